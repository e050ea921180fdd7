"""assert_path: what it accepts, what it refuses, and what it says where a walk and a path part."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from septum import Pop, Repeat, Retry, StateConfiguration, StateMachine, StateMachineComplete, StateSpec, facts
from septum.testing import ManualClock, PathError, RecorderHooks, assert_path
from septum.testing._path import read_path
from septum.testing._walk import short_name
from tests.scenes import run
from tests.testing.shop import Failed, Idle, Words

if TYPE_CHECKING:
    from collections.abc import Sequence


def walked(*deeds: object, error_state: Any = Failed, hooks: Sequence[Any] = ()) -> StateMachine[Any]:
    """Return a machine to which *deeds* were done: messages sent, numbers of seconds passed; a tick after each."""

    async def scene() -> StateMachine[Any]:
        clock = ManualClock()
        machine: StateMachine[Any] = StateMachine(Idle, error_state=error_state, clock=clock, hooks=hooks or [RecorderHooks()])
        await machine.initialize()
        for deed in deeds:
            if isinstance(deed, float):
                await clock.advance(deed)
            else:
                machine.send_message(deed)
            try:
                await machine.tick()
            except StateMachineComplete:
                break
        return machine

    return run(scene())


def parting(source: Any, path: str) -> list[str]:
    """Return the lines of the failure."""
    with pytest.raises(AssertionError) as caught:
        assert_path(source, path)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("deeds", "path"),
    [
        ([], "Idle"),
        ([Words.START], "Idle -START-> Fetching"),
        ([Words.START], "Idle -Words.START-> tests.testing.shop.Fetching"),
        ([Words.START], "  Idle  ->  shop.Fetching  "),
        ([Words.START], "Idle --> Fetching"),
        ([Words.START], "Idle --START--> Fetching"),
        ([Words.START, 5.0], "Idle -START-> Fetching -timeout-> Idle"),
        ([Words.START, 5.0], "Idle -START-> Fetching -SLOW-> Idle"),
        ([Words.START, 5.0], "Idle -START-> Fetching -timeout SLOW-> Idle"),
        ([Words.START, Words.LOST], "Idle -START-> Fetching -LOST-> end"),
        ([Words.START, Words.LOST], "Idle -START-> Fetching -end-> end"),
        ([Words.CHECK, Pop], "Idle -CHECK-> Checking -pop-> Idle"),
        ([Words.CHECK, Pop], "Idle -Push-> Checking -Pop-> Idle"),
        ([Words.CHECK, Repeat], "Idle -push CHECK-> Checking -REPEAT-> Checking"),
        ([Words.MORE], "Idle -Again-> Idle"),
        ([Words.START, Retry, 1.0], "Idle -START-> Fetching -Retry-> Fetching"),
        ([Words.START, "boom"], "Idle -START-> Fetching -error-> Failed"),
        ([Words.START, "boom"], "Idle -START-> Fetching -LookupError-> Failed"),
        ([Words.START, "boom"], "Idle -START-> Fetching -Exception-> Failed"),
    ],
)
def test_walk_that_the_path_tells_passes(deeds: list[object], path: str) -> None:
    """States go by the end of their name, transitions by label, kind, timeout or exception, and by several of these at once."""
    assert_path(walked(*deeds), path)


def test_exhausted_retries_are_called_fail() -> None:
    """The transition that `on_fail` decided is named `fail`, and by its label."""
    machine = walked(Words.START, Retry, 1.0, Retry, 2.0, Retry)

    assert_path(machine, "Idle -START-> Fetching -retry-> Fetching -retry-> Fetching -fail LOST-> end")


def test_deadline_that_was_not_decided_names_the_error() -> None:
    """Words that came before a transition without leading to it are not its names."""
    machine = walked(Words.START, "no such label", error_state=Failed)

    assert_path(machine, "Idle -> Fetching -error UnknownTransition-> Failed")
    assert parting(machine, "Idle -> Fetching -timeout-> Failed")[0] == "machine 'Idle' left the path in Fetching, at step 2"


def test_parting_shows_both_ways_one_above_the_other() -> None:
    """The failure says where they part, marks the step, and lists what the state could have done."""
    assert parting(walked(Words.START, Words.GOT), "Idle -START-> Fetching -timeout-> Idle") == [
        "machine 'Idle' left the path in Fetching, at step 2",
        "  path:   Idle -START-> Fetching -timeout-> Idle",
        "  walked: Idle -START-> Fetching -GOT-> Done",
        "                                 ^",
        "  Fetching has: -GOT-> Done, -SLOW-> Idle, -LOST-> end, -retry-> Fetching, a timeout after 5 s",
    ]


def test_path_that_goes_on_is_told_from_one_that_ends_early() -> None:
    """A walk that is too short and one that is too long have sentences of their own."""
    machine = walked(Words.START)

    assert parting(machine, "Idle -START-> Fetching -GOT-> Done -> end")[:3] == [
        "machine 'Idle' is still in Fetching after 1 step; the path goes on",
        "  path:   Idle -START-> Fetching -GOT-> Done -> end",
        "  walked: Idle -START-> Fetching",
    ]
    assert parting(machine, "Idle")[:3] == [
        "machine 'Idle' went on from Idle, where the path ends after 0 steps",
        "  path:   Idle",
        "  walked: Idle -START-> Fetching",
    ]
    assert parting(machine, "Fetching")[:1] == ["machine 'Idle' began in Idle, not in Fetching"]


def test_long_walks_are_shown_around_the_parting() -> None:
    """Only the steps just before it are repeated."""
    machine = walked(*[Words.MORE] * 9, Words.START)

    lines = parting(machine, "Idle" + " -MORE-> Idle" * 9 + " -CHECK-> Checking")

    assert lines[:3] == [
        "machine 'Idle' left the path in Idle, at step 10",
        "  path:   ... -MORE-> Idle -MORE-> Idle -MORE-> Idle -MORE-> Idle -CHECK-> Checking",
        "  walked: ... -MORE-> Idle -MORE-> Idle -MORE-> Idle -MORE-> Idle -START-> Fetching",
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "at column 1: expected the name of a state"),
        ("-START->", "at column 1: expected the name of a state"),
        ("Idle START", "at column 6: expected an arrow such as -START-> or -> after 'Idle'"),
        ("Idle -START Fetching", "at column 6: expected an arrow"),
        ("Idle - Fetching", "at column 6: expected an arrow"),
        ("Idle ->", "at column 8: expected a state, or end, after the arrow"),
        ("Idle -> -GOT-> Done", "at column 8: expected a state, or end, after the arrow"),
        ("Idle -> Fetchin", "no state 'Fetchin' in the definition. Did you mean 'Fetching'?"),
        ("Idle -> Nowhere -> Idle", "Its states: Idle, Fetching, Checking, Done, Failed."),
    ],
)
def test_path_that_cannot_be_read_is_refused_with_the_place(path: str, text: str) -> None:
    """The error is no failed assertion: it shows the text and the column in it."""
    with pytest.raises(PathError, match=re.escape(text)) as caught:
        assert_path(walked(Words.START), path)
    assert str(caught.value).splitlines()[1] == f"  {path}"


def test_a_column_points_at_what_is_wrong() -> None:
    """The mark stands below the first sign that cannot be read."""
    with pytest.raises(PathError) as caught:
        read_path("A -GO-> B & C")
    assert str(caught.value).splitlines()[1:] == ["  A -GO-> B & C", "            ^"]


def test_recorder_and_facts_are_walks_as_well() -> None:
    """A machine, its recorder, and the list of facts tell the same; facts from the middle are a walk from there."""
    recorder = RecorderHooks()
    walked(Words.START, Words.GOT, hooks=[recorder])

    assert_path(recorder, "Idle -> Fetching -> Done")
    assert_path(recorder.facts, "Idle -> Fetching -> Done")
    assert_path(iter(recorder.facts[-8:]), "Fetching -GOT-> Done")
    assert parting(recorder.facts[-8:], "Fetching -LOST-> end")[2] == "  walked: Fetching -GOT-> Done"


def test_only_the_last_run_counts() -> None:
    """After a reset the walk begins again."""

    async def scene() -> StateMachine[Any]:
        machine: StateMachine[Any] = StateMachine(Idle, hooks=[RecorderHooks()], clock=ManualClock())
        machine.send_message(Words.START)
        await machine.tick()
        await machine.reset()
        machine.send_message(Words.MORE)
        await machine.tick()
        return machine

    assert_path(run(scene()), "Idle -MORE-> Idle")


def test_what_has_no_walk_is_refused() -> None:
    """A machine without recorder, facts without a visit, and facts of two machines are errors that say what to give."""
    recorder = RecorderHooks()
    walked(Words.START, hooks=[recorder])
    walked(Words.START, hooks=[recorder])
    bare: StateMachine[Any] = StateMachine(Idle)

    with pytest.raises(PathError, match="machine 'Idle' has no RecorderHooks among its hooks"):
        assert_path(bare, "Idle")
    with pytest.raises(PathError, match="tells of no visit and no transition"):
        assert_path([], "Idle")
    with pytest.raises(PathError, match="tells of no visit"):
        assert_path(recorder.of(facts.RunStarted)[:1], "Idle")
    with pytest.raises(PathError, match="these facts are of several machines: Idle"):
        assert_path(recorder, "Idle")


def test_names_that_several_states_have_are_refused() -> None:
    """A name that fits two states of the definition needs more of it."""

    async def wait(ctx: Any) -> None: ...

    second = StateSpec(name="two.A", on_state=wait)
    first = StateSpec(name="one.A", on_state=wait, config=StateConfiguration(can_dwell=True), transitions=lambda: [second])
    machine: StateMachine[Any] = StateMachine(first, hooks=[RecorderHooks()])
    run(machine.initialize())

    assert_path(machine, "one.A")
    with pytest.raises(PathError, match=r"'A' means several states: one\.A, two\.A\. Write more of the name\."):
        assert_path(machine, "A")


def test_short_names_say_as_much_as_is_needed() -> None:
    """The last part of a name, more where another state shares it, all where nothing less will do; `end` for none."""
    assert short_name("a.b.C") == "C"
    assert short_name("a.b.C", ["x.C"]) == "b.C"
    assert short_name("b.C", ["a.b.C"]) == "b.C"
    assert short_name("m.test.<locals>.A", ["m.B"]) == "A"
    assert short_name(None) == "end"
