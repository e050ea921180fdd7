"""Answers and calls that cannot be obeyed: each is a named error, and the machine goes on from where it was."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import pytest

from septum import (
    LabeledTransition,
    Pop,
    PopFromEmptyStack,
    Push,
    RetriesExhausted,
    Retry,
    StateConfiguration,
    StateMachine,
    StateSpec,
    UnknownTransition,
)
from septum.testing import ManualClock, RecorderHooks
from tests.scenes import ledger, lines, name_case, run


class Say(Enum):
    """Labels of the state."""

    GOT = auto()
    LOST = auto()


class Other(Enum):
    """Labels of nobody, with the same names and values."""

    GOT = auto()


def scene(*answers: Any, on_fail: Any = None, transitions: Any = None, **limits: Any) -> StateMachine[Any]:
    """Return a machine whose one state answers in turn, and then dwells."""
    said = list(answers)
    seen: list[Any] = []

    async def on_state(ctx: Any) -> Any:
        seen.append(ctx.msg)
        return said.pop(0) if said else None

    A = StateSpec(
        name="answers.A", qualname="A", on_state=on_state, on_fail=on_fail, Events=Say, config=StateConfiguration(can_dwell=True, **limits)
    )
    B = StateSpec(name="answers.B", qualname="B", on_state=on_state, config=StateConfiguration(can_dwell=True))
    A.transitions = transitions or (lambda: [LabeledTransition(Say.GOT, B), LabeledTransition(Say.LOST, Push(B, A))])
    return StateMachine(A, common_data=seen, clock=ManualClock(), hooks=[RecorderHooks()])


async def goes_on(fsm: StateMachine[Any], state: str = "A", stack: tuple[str, ...] = ()) -> None:
    """The machine is in *state* with its stack whole, takes the messages that come, and accounts for each."""
    assert fsm.current_state is not None
    assert (fsm.current_state.base_name, tuple(below.base_name for below in fsm.state_stack)) == (state, stack)
    before = fsm.stats()
    fsm.send_message("and on")
    await fsm.run(timeout=0)
    assert fsm.context.common[-1] == "and on"
    assert ledger(fsm) == {"accepted": before.accepted + 1, "handled": before.accepted + 1}


UNKNOWN = [
    Other.GOT,
    "GOTT",
    99,
    True,
    object(),
    ["unhashable"],
    {},
    1.5,
    b"GOT",
    Push,
    StateSpec(name="answers.C"),
    lambda: None,
    Exception,
    "",
]


@pytest.mark.parametrize("answer", UNKNOWN, ids=name_case)
def test_unknown_answer_is_refused_with_what_is_known(answer: Any) -> None:
    """What is neither label, nor marker, nor a state of an edge is UnknownTransition: the machine stays, nothing is lost."""

    async def main() -> None:
        fsm = scene(answer)
        with pytest.raises(UnknownTransition, match="GOT") as caught:
            await fsm.tick()
        assert (caught.value.answer is answer, caught.value.state, isinstance(caught.value, ValueError)) == (True, "answers.A", True)
        await goes_on(fsm)

    run(main())


def test_unknown_label_gets_a_guess() -> None:
    """A label that is nearly one of the state's gets the nearest offered."""

    async def main() -> None:
        with pytest.raises(UnknownTransition, match=r"Did you mean GOT\?"):
            await scene("GOTT").tick()

    run(main())


@pytest.mark.parametrize("answer", [0, 0.0, False, (), []], ids=name_case)
def test_falsy_rubbish_is_refused_too(answer: Any) -> None:
    """Only None means "wait"."""

    async def main() -> None:
        fsm = scene(answer)
        with pytest.raises(UnknownTransition):
            await fsm.tick()
        await goes_on(fsm)

    run(main())


def test_unknown_answer_to_a_message_consumes_it() -> None:
    """The message was seen, so it counts as handled and does not come back; the one behind it is next."""

    async def main() -> None:
        fsm = scene(None, "GOTT")
        for message in "ab":
            fsm.send_message(message)
        with pytest.raises(UnknownTransition):
            await fsm.tick()
        assert (fsm.context.common, ledger(fsm)) == ([None, "a"], {"accepted": 2, "handled": 1, "pending": 1})
        await fsm.tick()
        assert (fsm.context.common, ledger(fsm)) == ([None, "a", "b"], {"accepted": 2, "handled": 2})

    run(main())


def test_state_that_no_edge_leads_to_is_unknown() -> None:
    """A state may be answered only where an edge leads, else what was proved of the definition would not hold."""

    async def main() -> None:
        fsm = scene()
        A, B = fsm.current_state or fsm.initial_state, None
        B = next(edge.transition for edge in A.get_transitions() if edge.label is Say.GOT)
        for answer in (A, Push(A), Push(B, B)):
            fsm = scene(answer)
            with pytest.raises(UnknownTransition):
                await fsm.tick()
            await goes_on(fsm)

    run(main())


@pytest.mark.parametrize("answer", [Pop, Pop()], ids=name_case)
def test_pop_that_is_not_listed_is_unknown(answer: Any) -> None:
    """Pop is no marker that goes anywhere: it must stand among the state's transitions."""

    async def main() -> None:
        fsm = scene(answer)
        with pytest.raises(UnknownTransition):
            await fsm.tick()
        await goes_on(fsm)

    run(main())


@pytest.mark.parametrize("answer", [Pop, Pop(), Say.GOT], ids=name_case)
def test_pop_of_an_empty_stack_leaves_the_machine_in_its_state(answer: Any) -> None:
    """PopFromEmptyStack runs no on_leave; the machine goes on where it is."""

    async def main() -> None:
        fsm = scene(answer, transitions=lambda: [LabeledTransition(Say.GOT, Pop)])
        with pytest.raises(PopFromEmptyStack, match="stack is empty") as caught:
            await fsm.tick()
        assert caught.value.state == "answers.A"
        assert fsm.stats().visits == 1
        await goes_on(fsm)

    run(main())


def test_retries_past_the_limit_without_on_fail_keep_the_machine() -> None:
    """RetriesExhausted is raised, the count stays at the limit, the machine goes on where it is."""

    async def main() -> None:
        fsm = scene(Retry, Retry, Retry, retries=2)
        with pytest.raises(RetriesExhausted, match="no on_fail") as caught:
            await fsm.run(timeout=0)
        assert (caught.value.limit, dict(fsm.retry_counters)) == (2, {"answers.A": 2})
        await goes_on(fsm)

    run(main())


@pytest.mark.parametrize("answer", ["rubbish", Pop, 1 / 3], ids=name_case)
def test_rubbish_from_on_fail_is_refused(answer: Any) -> None:
    """on_fail's answer is looked up like any other."""

    async def main() -> None:
        answers = [answer]
        fsm = scene(Retry, retries=0, on_fail=lambda ctx: answers.pop() if answers else None)
        with pytest.raises(UnknownTransition):
            await fsm.tick()
        await goes_on(fsm)

    run(main())


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan"), float("-inf"), "soon", [], object()], ids=name_case)
@pytest.mark.parametrize("call", ["tick", "run"])
def test_impossible_wait_is_refused_before_anything_is_touched(call: str, timeout: Any) -> None:
    """A negative, NaN or non-number timeout is a ValueError, told to nobody, and the mailbox is as before."""

    async def main() -> None:
        fsm = scene()
        recorder = RecorderHooks()
        fsm.attach(recorder)
        fsm.send_message("a")
        before = fsm.stats()
        told = lines(recorder)
        with pytest.raises(ValueError, match=r"imeout must be None or >= 0"):
            await (fsm.tick(timeout=timeout) if call == "tick" else fsm.run(timeout=timeout))
        assert (len(told), lines(recorder), fsm.stats(), fsm.context.common) == (1, [], before, [])
        await fsm.tick()
        assert (fsm.context.common, ledger(fsm)) == ([None, "a"], {"accepted": 1, "handled": 1})

    run(main())
