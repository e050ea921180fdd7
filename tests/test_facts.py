"""Facts: frozen, equal by what they say, readable."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest

from septum import Hooks, StateConfiguration, StateMachine, facts, septum
from septum.testing import RecorderHooks
from tests.samples import HEADER, SAMPLES, sample

PICKLABLE = [fact for fact in SAMPLES if "secret" not in repr(fact)]


def test_a_fact_has_header_and_fields_by_name() -> None:
    """Every field is an attribute, and `fields()` is the whole of them, the header first."""
    fact = facts.Overdue(**HEADER, state="m.A", age=61.0, limit=60.0)

    assert dict(fact.fields()) == {**HEADER, "state": "m.A", "age": 61.0, "limit": 60.0}
    assert list(fact.fields()) == [*HEADER, "state", "age", "limit"]
    assert [getattr(fact, name) for name in fact.fields()] == list(fact.fields().values())


def test_a_fact_made_by_hand_needs_no_header() -> None:
    """For comparisons and tests of hooks, the header has plain defaults."""
    assert facts.SnapshotTaken(state="m.A", reason="why").fields() == {
        "machine_id": "",
        "machine_name": "",
        "run_id": "",
        "seq": 0,
        "visit": 0,
        "at": 0.0,
        "wall": 0,
        "state": "m.A",
        "reason": "why",
    }


@pytest.mark.parametrize("fact", SAMPLES, ids=lambda fact: fact.told_as)
def test_a_fact_cannot_be_changed(fact: facts.Fact) -> None:
    """Neither a field nor a new attribute can be set or deleted, and the fact is as before."""
    before = fact.fields()

    for name in (*before, "extra"):
        with pytest.raises(AttributeError):
            setattr(fact, name, None)
        with pytest.raises(AttributeError):
            delattr(fact, name)

    assert fact.fields() == before
    assert not hasattr(fact, "__dict__")


@pytest.mark.parametrize("fact", SAMPLES, ids=lambda fact: fact.told_as)
def test_facts_are_equal_by_class_and_fields(fact: facts.Fact) -> None:
    """A fact made again is equal; with any one field changed it is another."""
    fields = dict(fact.fields())
    changed = [type(fact)(**(fields | {name: object()})) for name in fields]

    assert type(fact)(**fields) == fact
    assert (type(fact)(**fields) != fact) is False
    assert [other == fact for other in changed] == [False] * len(fields)
    assert all(other != fact for other in changed)


def test_facts_of_different_classes_are_never_equal() -> None:
    """The same fields in another class, or in a plain tuple, are not the same fact."""
    pushed, popped = (sample(kind, states=("m.A",), depth=1) for kind in (facts.StackPushed, facts.StackPopped))

    assert pushed != popped
    assert tuple(pushed) == tuple(popped)
    assert pushed != tuple(pushed)
    assert len({pushed, popped, sample(facts.StackPushed, states=("m.A",), depth=1)}) == 2


def test_a_repr_names_class_place_and_own_fields() -> None:
    """What a failing comparison prints can be read."""
    assert repr(sample(facts.TransitionTaken, source="m.A", target="m.B", label="Events.GO", kind="label")) == (
        "TransitionTaken(seq=4, visit=2, at=12.5, source='m.A', target='m.B', label='Events.GO', kind='label')"
    )


def test_a_wrong_field_is_refused_by_name() -> None:
    """Missing and unknown fields are both named."""
    with pytest.raises(TypeError) as caught:
        facts.Overdue(state="m.A", old=1)

    assert str(caught.value) == "Overdue takes state, age, limit; missing: ['age', 'limit'], not known: ['old']"


@pytest.mark.parametrize("fact", PICKLABLE, ids=lambda fact: fact.told_as)
def test_a_fact_survives_pickle_and_copy(fact: facts.Fact) -> None:
    """What its fields allow, the fact does: it comes back equal and of its class."""
    for again in (pickle.loads(pickle.dumps(fact)), copy.copy(fact), copy.deepcopy(fact)):
        assert (again, type(again)) == (fact, type(fact))


def test_a_fact_can_be_matched_by_its_own_fields() -> None:
    """`match` takes them by position, in the order of the reference, and by name."""
    match sample(facts.RetryScheduled, state="m.A", count=2, limit=3, delay=0.2):
        case facts.RetryScheduled(state, count, visit=visit):
            assert (state, count, visit) == ("m.A", 2, 2)
        case _:
            pytest.fail("the fact did not match its own class")


def test_each_fact_is_told_to_the_method_of_its_name() -> None:
    """Class and hook method are one idea in two spellings, and every method of `Hooks` has its class."""
    spelled = {kind: "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)[1:] for kind in facts.FACTS}

    assert {kind: kind.told_as for kind in facts.FACTS} == spelled
    assert {kind.told_as for kind in facts.FACTS} == {name for name, value in vars(Hooks).items() if callable(value)} - {
        "delegates",
        "working",
        "tallied",
        "passed",
        "keeps",
    }
    assert {kind.__module__ for kind in facts.FACTS} == {"septum.facts"}


def test_a_fact_leads_to_its_machine_while_that_lives() -> None:
    """The machine is held weakly and is no part of the value; a fact made by hand, copied or pickled leads nowhere."""
    recorder = RecorderHooks()
    fsm = StateMachine(Lonely, hooks=[recorder])
    asyncio.run(fsm.initialize())
    fact = recorder.facts[0]

    assert fact.machine is fsm
    assert (copy.copy(fact), copy.copy(fact).machine) == (fact, None)
    assert type(fact)(**fact.fields()).machine is None
    del fsm
    assert fact.machine is None


@septum.state(config=StateConfiguration(can_dwell=True))
def Lonely():
    @septum.on_state
    async def on_state(ctx):
        pass
