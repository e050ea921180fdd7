"""Plain steps told in one tuple: to whom, when not, and what is told beside them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from enum import Enum, auto
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

import septum
from septum import Hooks, LabeledTransition, StateConfiguration, StateMachine, facts
from septum.testing import ManualClock, RecorderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let a coroutine function be a test."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


class Way(Enum):
    """The labels of the states below."""

    ON = auto()
    BACK = auto()


@septum.state
def Going() -> None:
    """Goes to Waiting at once."""

    @septum.on_state
    async def on_state(ctx: Any) -> Any:
        ctx.common.append("going")
        return Way.ON

    @septum.transitions
    def transitions() -> Any:
        return [LabeledTransition(Way.ON, Waiting)]


@septum.state(config=StateConfiguration(can_dwell=True))
def Waiting() -> None:
    """Waits for a message: an Enum member to go by, an exception to raise, or a hook to attach before going back."""

    @septum.on_state
    async def on_state(ctx: Any) -> Any:
        match ctx.msg:
            case Hooks():
                ctx.attach(ctx.msg)
                return Way.BACK
            case str():
                raise ValueError(ctx.msg)
            case answer:
                return answer

    @septum.transitions
    def transitions() -> Any:
        return [LabeledTransition(Way.BACK, Going)]


class Steps(Hooks):
    """Keeps what it is told, as (what, fields)."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def passed(self, step: facts.Passed, /) -> None:
        _, seq, visit, at, edge, seconds = step
        self.told.append(("passed", seq, visit, at, edge[2], seconds))

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        self.told.append(("finished", fact.seq, fact.answer, repr(fact.exception)))

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        self.told.append(("taken", fact.seq, fact.label))


async def go(*hooks: Hooks, messages: tuple[Any, ...] = ()) -> StateMachine[Any]:
    """Return a machine that has dealt with *messages*."""
    fsm: StateMachine[Any] = StateMachine(Going, hooks=hooks, clock=ManualClock(), common_data=[], name="m")
    await fsm.initialize()
    for message in messages:
        fsm.send_message(message)
    await fsm.run(timeout=0)
    return fsm


@in_a_loop
async def test_a_plain_step_is_one_tuple_and_a_wait_is_a_fact() -> None:
    """Run started and visit started are 1 and 2; the step stands for 3 to 7, the call that waits for 8 and 9."""
    steps = Steps()
    await go(steps)
    assert steps.told == [("passed", 7, 1, 0.0, "Way.ON", 0.0), ("finished", 9, None, "None")]


@in_a_loop
async def test_a_step_with_a_message_is_one_tuple_too() -> None:
    """What the message was, `message_taken` tells."""
    steps = Steps()
    await go(steps, messages=(Way.BACK,))
    assert [told[0] for told in steps.told] == ["passed", "finished", "passed", "passed", "finished"]


@in_a_loop
async def test_steps_of_tick_are_tuples_too() -> None:
    """However the machine is driven."""
    steps = Steps()
    fsm: StateMachine[Any] = StateMachine(Going, hooks=[steps], clock=ManualClock(), common_data=[], name="m")
    await fsm.initialize()
    await fsm.tick()
    assert steps.told == [("passed", 7, 1, 0.0, "Way.ON", 0.0)]


@in_a_loop
async def test_a_failed_call_is_told_with_its_exception() -> None:
    """A step that did not come about is no tuple."""
    steps = Steps()
    with pytest.raises(ValueError, match="no"):
        await go(steps, messages=("no",))
    assert steps.told[-1][0::2] == ("finished", None)
    assert steps.told[-1][3] == "ValueError('no')"


@in_a_loop
async def test_another_hook_that_wants_handlers_brings_the_facts_back() -> None:
    """Then the facts are built anyway, and both get them."""
    steps, recorder = Steps(), RecorderHooks()
    await go(steps, recorder)
    assert [told[0] for told in steps.told] == ["finished", "taken", "finished"]


@in_a_loop
async def test_the_log_at_info_brings_the_facts_back(caplog: pytest.LogCaptureFixture) -> None:
    """The log wants transitions as facts."""
    steps = Steps()
    with caplog.at_level(logging.INFO, logger="septum"):
        await go(steps)
    assert [told[0] for told in steps.told] == ["finished", "taken", "finished"]


@in_a_loop
async def test_a_hook_that_comes_in_the_middle_of_a_call_changes_the_way_at_once() -> None:
    """The call itself is told as a fact, since the newcomer gets facts of the move."""
    steps, newcomer = Steps(), RecorderHooks()
    await go(steps, messages=(newcomer,))
    assert [told[0] for told in steps.told] == ["passed", "finished", "finished", "taken", "finished", "taken", "finished"]
    assert [fact.label for fact in newcomer.of(facts.TransitionTaken)] == ["Way.BACK", "Way.ON"]


@in_a_loop
async def test_a_function_of_c_may_take_the_steps() -> None:
    """The cheapest listener there is: the append of a bounded deque."""

    class Ring(Hooks):
        def __init__(self) -> None:
            self.ring: deque[Any] = deque(maxlen=2)
            self.passed = self.ring.append  # type: ignore[method-assign]

    ring = Ring()
    await go(ring, messages=(Way.BACK, Way.BACK))
    assert [step[4][2] for step in ring.ring] == ["Way.BACK", "Way.ON"]


@in_a_loop
async def test_a_listener_that_raises_does_not_hurt_the_machine(caplog: pytest.LogCaptureFixture) -> None:
    """Counted and logged once, as for facts."""

    class Bad(Hooks):
        def passed(self, step: facts.Passed, /) -> None:
            raise OSError("full")

    fsm = await go(Bad(), messages=(Way.BACK,))
    assert (fsm.stats().hook_errors, fsm.common) == (3, ["going", "going"])
    assert [record.name for record in caplog.records] == ["septum.hooks"]


@in_a_loop
async def test_many_steps_of_one_run_are_told_in_order_and_counted() -> None:
    """The loop without waits: two states that lead to each other."""

    class Label(Enum):
        GO = auto()

    def make(name: str, target: str) -> Any:
        spec = septum.StateSpec(name=name)

        async def on_state(ctx: Any) -> Any:
            await asyncio.sleep(0)
            return Label.GO

        spec.on_state, spec.Events = on_state, Label
        spec.transitions = lambda: [LabeledTransition(Label.GO, pair[target])]
        return spec

    pair: dict[str, Any] = {}
    pair["one"], pair["two"] = make("m.one", "two"), make("m.two", "one")
    steps = Steps()
    fsm: StateMachine[Any] = StateMachine(pair["one"], hooks=[steps], clock=ManualClock(), name="m")
    await fsm.initialize()
    await fsm.run(max_iterations=1000)
    assert [told[1:3] for told in steps.told] == [(7 + 5 * n, 1 + n) for n in range(1000)]
