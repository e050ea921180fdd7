"""`expect=`: a state that lasts longer than it should is told of, once a visit, and nothing else changes."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import Any

import pytest

from septum import Hooks, LabeledTransition, StateConfiguration, StateMachine, StateSpec, facts
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import run


class Say(Enum):
    """What the state answers to a message."""

    NEXT = auto()


def expecting(seconds: float) -> StateSpec:
    """Return a state that leads to itself at each message and is expected to be over after *seconds*."""
    state = StateSpec(
        name="late.Waiting",
        qualname="Waiting",
        config=StateConfiguration(can_dwell=True, expect=seconds),
        on_state=lambda ctx: None if ctx.msg is None else Say.NEXT,
    )
    state.transitions = lambda: [LabeledTransition(Say.NEXT, state)]
    return state


class OnlyOverdue(Hooks):
    """Wants to know of nothing else, so that the machine takes its quick way."""

    def __init__(self) -> None:
        self.facts: list[facts.Overdue] = []

    def overdue(self, fact: facts.Overdue, /) -> None:
        self.facts.append(fact)


def test_state_that_lasts_too_long_is_told_of_while_it_lasts() -> None:
    """The machine wakes up for it, tells it once with the age, and goes on waiting."""

    async def scene() -> None:
        clock, recorder = ManualClock(), RecorderHooks()
        fsm: StateMachine[Any] = StateMachine(expecting(5.0), clock=clock, hooks=[recorder])
        serving = asyncio.create_task(fsm.serve())
        await clock.run_for(4)
        assert recorder.of(facts.Overdue) == []
        await clock.run_for(100)
        assert [(fact.state, fact.age, fact.limit, fact.at) for fact in recorder.of(facts.Overdue)] == [("late.Waiting", 5.0, 5.0, 5.0)]
        fsm.send_message("next")
        await settle()
        await clock.run_for(6)
        assert [(fact.visit, fact.at) for fact in recorder.of(facts.Overdue)] == [(1, 5.0), (2, 109.0)]
        fsm.stop()
        await serving

    run(scene())


@pytest.mark.parametrize("light", [True, False])
def test_state_that_nobody_waited_in_is_told_of_when_it_ends(light: bool) -> None:
    """A machine that is ticked by hand, or whose handler takes its time, says so at the latest before the visit ends."""

    async def scene() -> None:
        clock, told = ManualClock(), OnlyOverdue()
        recorder = RecorderHooks()
        fsm: StateMachine[Any] = StateMachine(expecting(5.0), clock=clock, hooks=[told if light else recorder])
        await fsm.tick()
        clock.advance(7)
        fsm.send_message("next")
        await fsm.tick()
        found = told.facts if light else recorder.of(facts.Overdue)
        assert [(fact.visit, fact.age) for fact in found] == [(1, 7.0)]

    run(scene())


def test_machine_that_only_the_log_watches_says_it_there(caplog: pytest.LogCaptureFixture) -> None:
    """At WARNING, the default level, with nobody attached."""

    async def scene() -> None:
        clock = ManualClock()
        fsm: StateMachine[Any] = StateMachine(expecting(5.0), clock=clock, name="m", machine_id="1")
        serving = asyncio.create_task(fsm.serve())
        await clock.run_for(6)
        fsm.stop()
        await serving

    with caplog.at_level(logging.WARNING):
        run(scene())
    assert [record.getMessage() for record in caplog.records] == ["m[1]: late.Waiting is overdue: 5.000 s, expected at most 5 s"]


def test_state_in_time_is_not_told_of() -> None:
    """Leaving before the time is nothing special, and the next visit counts from its own beginning."""

    async def scene() -> None:
        clock, recorder = ManualClock(), RecorderHooks()
        fsm: StateMachine[Any] = StateMachine(expecting(5.0), clock=clock, hooks=[recorder])
        for _ in range(3):
            await fsm.tick()
            clock.advance(4)
            fsm.send_message("next")
            await fsm.tick()
        assert (fsm.stats().visits, recorder.of(facts.Overdue)) == (4, [])

    run(scene())
