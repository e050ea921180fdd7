"""Cancelled at every await point there is, a machine goes on and comes to the same end."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septum import (
    Hooks,
    LabeledTransition,
    Pop,
    Push,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateSpec,
)
from septum.testing import ManualClock, settle
from tests.scenes import ledger, run

HANDLERS = ("on_enter", "on_state", "on_leave", "on_timeout", "on_fail")


class Say(Enum):
    """Labels."""

    GO = auto()


class Journey:
    """A machine that walks by every way there is: a push, a pop, retries with a delay, on_fail, a message, a deadline, an end.

    Each handler suspends `naps` times. At the suspension number `cancel_at` (all are counted) the task that drives the machine is
    cancelled from within, and driven on by another one. What a call decides depends on what was done before, not on how often it was
    called.
    """

    def __init__(self, naps: dict[str, int], *, timed: bool, cancel_at: set[int]) -> None:
        self.naps = naps
        self.cancel_at = cancel_at
        self.suspensions = self.cancelled = 0
        self.clock = ManualClock()
        self.finished: list[str] = []
        timeout = 1000.0 if timed else None
        names = {
            "Start": {"timeout": timeout},
            "Side": {"timeout": timeout, "can_dwell": True},
            "Flaky": {"retries": 1, "retry": RetryPolicy(base=2.0)},
        }
        names |= {"Mail": {"can_dwell": True, "timeout": timeout}, "Late": {"timeout": 3.0}, "End": {"terminal": True, "timeout": timeout}}
        self.states = {
            name: StateSpec(name=f"journey.{name}", qualname=name, config=StateConfiguration(**limits)) for name, limits in names.items()
        }
        answers: dict[tuple[str, str], Any] = {
            ("Start", "on_state"): lambda ctx: Push(self.states["Side"], self.states["Flaky"]),
            ("Side", "on_state"): lambda ctx: Pop,
            ("Flaky", "on_state"): lambda ctx: Retry,
            ("Flaky", "on_fail"): lambda ctx: self.states["Mail"],
            ("Mail", "on_state"): lambda ctx: self.states["Late"] if ctx.msg == "go" else None,
            ("Late", "on_timeout"): lambda ctx: Say.GO,
        }
        for name, spec in self.states.items():
            for handler in HANDLERS:
                setattr(spec, handler, self.handler(name, handler, answers.get((name, handler), lambda ctx: None)))
        s = self.states
        edges = {"Start": [Push(s["Side"], s["Flaky"])], "Side": [Pop], "Flaky": [s["Mail"]], "Mail": [s["Late"]]}
        edges["Late"] = [LabeledTransition(Say.GO, s["End"])]
        for name, listed in edges.items():
            s[name].transitions = lambda listed=listed: listed
        self.fsm = StateMachine(s["Start"], clock=self.clock, hooks=[self.Watcher(self)])

    class Watcher(Hooks):
        """Notes each handler call that came to its end, and checks that every one started comes to some end."""

        strict = True

        def __init__(self, journey: Journey) -> None:
            self.journey = journey
            self.open: list[str] = []

        def handler_started(self, fact: Any, /) -> None:
            assert self.open == []
            self.open.append(fact.handler)

        def handler_finished(self, fact: Any, /) -> None:
            assert self.open.pop() == fact.handler
            if fact.exception is None and fact.message is None:
                self.journey.finished.append(f"{fact.state} {fact.handler}")

        def visit_started(self, fact: Any, /) -> None:
            self.journey.finished.append(f"{fact.state} {fact.kind} {fact.stack}")

    def handler(self, name: str, handler: str, answer: Any) -> Any:
        async def play(ctx: Any) -> Any:
            for _ in range(self.naps[handler]):
                if self.suspensions in self.cancel_at:
                    self.cancelled += 1
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                self.suspensions += 1
                await asyncio.sleep(0)
            return answer(ctx)

        return play

    async def drive(self, call: str) -> None:
        """Drive the machine to its end with one sort of call, in a new task after each cancellation."""
        for _ in range(500):
            if self.fsm.current_state == self.states["Mail"] and not self.fsm.queue_depth:
                # Sent again when the call that saw it was cancelled: a message is consumed by the call that sees it.
                self.fsm.send_message("noise")
                self.fsm.send_message("go")
            work = {"tick": self.fsm.tick, "run": lambda: self.fsm.run(timeout=0), "wait": lambda: self.fsm.tick(timeout=1)}[call]
            task = asyncio.create_task(work())
            await settle()
            while not task.done():
                assert self.clock.next_timer is not None
                await self.clock.set(self.clock.next_timer)
            try:
                await task
            except asyncio.CancelledError:
                assert task.cancelled()
            except StateMachineComplete:
                return
            await self.clock.advance(0.5)
        raise AssertionError("the journey does not end")


async def walk(naps: dict[str, int], cancel_at: set[int], *, timed: bool, call: str) -> tuple[list[str], int, int]:
    """Return what happened, how many suspensions there were, and how many of them were cancelled."""
    journey = Journey(naps, timed=timed, cancel_at=cancel_at)
    await journey.drive(call)
    books = ledger(journey.fsm)
    assert books == {"accepted": books["accepted"], "handled": books["accepted"]}
    assert (journey.fsm.stats().errors, journey.fsm.stats().retries, journey.fsm.stats().timeouts) == (0, 1, 1)
    assert journey.clock.next_timer is None
    return journey.finished, journey.suspensions, journey.cancelled


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    st.data(),
    st.fixed_dictionaries({name: st.integers(0, 2) for name in HANDLERS}),
    st.booleans(),
    st.sampled_from(["tick", "run", "wait"]),
)
def test_journey_cancelled_anywhere_comes_to_the_same_end(data: st.DataObject, naps: dict[str, int], timed: bool, call: str) -> None:
    """Cancelled at any suspensions, the machine makes the visits and finishes the handler calls of an undisturbed walk."""

    async def main() -> None:
        undisturbed, points, _ = await walk(naps, set(), timed=timed, call=call)
        cancel_at = data.draw(st.sets(st.integers(0, max(0, points - 1)), max_size=4))
        finished, _, cancelled = await walk(naps, cancel_at, timed=timed, call=call)
        assert (finished, cancelled) == (undisturbed, len(cancel_at) if points else 0)

    run(main())


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("call", ["tick", "run", "wait"])
def test_journey_cancelled_at_each_point_in_turn(call: str, timed: bool) -> None:
    """The same, exhaustively, for one suspension in every handler."""

    async def main() -> None:
        naps = dict.fromkeys(HANDLERS, 1)
        undisturbed, points, _ = await walk(naps, set(), timed=timed, call=call)
        assert points > 20
        for point in range(points):
            finished, _, cancelled = await walk(naps, {point}, timed=timed, call=call)
            assert (point, finished, cancelled) == (point, undisturbed, 1)

    run(main())
