"""Facts as lines below a failed test: short, and never a failure of their own."""

from __future__ import annotations

from septum import facts
from septum.testing._lines import describe_fact, describe_facts
from tests.samples import SAMPLES, sample
from tests.testing.shop import Idle, Words


class Rude:
    """A message that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_every_kind_of_fact_is_a_line() -> None:
    """No fact takes two, and each begins with its time and the name of its hook method."""
    lines = [describe_fact(fact) for fact in SAMPLES]

    assert [line for line in lines if "\n" in line] == []
    assert [line.split(" s ")[1].split(" ")[0] for line in lines] == [fact.told_as for fact in SAMPLES]


def test_line_leaves_out_what_says_nothing() -> None:
    """States go by their last name, labels as text, and None and empty stacks are left out."""
    taken = sample(facts.TransitionTaken, source="m.A", target=None, label="Events.GO", kind="end")
    started = sample(facts.VisitStarted, state="m.test.<locals>.B", kind="initial", stack=("m.A", "m.C"))
    answered = sample(facts.HandlerFinished, handler="on_state", state="m.A", message=None, answer=Words.GOT, duration=0.25, exception=None)

    assert [describe_fact(fact, 10.0) for fact in (taken, started, answered)] == [
        "     2.500 s transition_taken source=A label=Events.GO kind=end",
        "     2.500 s visit_started state=B kind=initial stack=(A, C)",
        "     2.500 s handler_finished handler=on_state state=A answer=Words.GOT duration=0.250",
    ]
    assert describe_fact(taken, several=True) == "    12.500 s orders transition_taken source=A label=Events.GO kind=end"


def test_what_users_send_is_cut_and_may_be_rude() -> None:
    """A long repr is shortened, one that raises is named, a state goes by its name."""
    lines = [describe_fact(sample(facts.MessageUnhandled, message=message, number=1)) for message in ("x" * 1000, Rude(), Idle)]

    assert len(lines[0]) < 110
    assert "message_unhandled message=<Rude instance at 0x" in lines[1]
    assert lines[2].endswith("message_unhandled message=Idle number=1")


def test_only_the_last_facts_are_shown() -> None:
    """What is left out is counted; all machines are named if there are several."""
    told = [sample(facts.MessageUnhandled, message=number, number=number) for number in range(60)]
    other = facts.MessageUnhandled(message="last", number=1, machine_id="other", machine_name="parcels", at=13.5)

    lines = describe_facts(told).splitlines()
    assert (len(lines), lines[0], lines[-1]) == (51, "... 10 facts before", "     0.000 s message_unhandled message=59 number=59")
    assert describe_facts([told[0], other]).splitlines() == [
        "     0.000 s orders message_unhandled message=0 number=0",
        "     1.000 s parcels message_unhandled message='last' number=1",
    ]
    assert describe_facts([]) == ""
