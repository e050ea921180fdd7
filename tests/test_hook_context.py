"""What a hook puts into contextvars before a handler is there in the handler and in the tasks it starts, and gone after it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from septum import Hooks, Pop, Push, Repeat, Retry, RetryPolicy, StateConfiguration, StateMachine, StateMachineComplete, StateSpec
from septum.testing import ManualClock, settle
from tests.scenes import run

NOBODY = "nobody"
current: ContextVar[str] = ContextVar("current", default=NOBODY)


class Scope(Hooks):
    """Sets `current` around each handler, as a tracer makes a span current; outside of handlers it must never be seen."""

    strict = True

    def __init__(self, mark: str = "") -> None:
        self.mark = mark
        self.tokens: list[Any] = []
        self.told: list[str] = []

    def handler_started(self, fact: Any, /) -> None:
        assert current.get() == NOBODY
        self.tokens.append(current.set(f"{self.mark}{fact.handler} of {fact.state.removeprefix('ctx.')} in visit {fact.visit}"))

    def handler_finished(self, fact: Any, /) -> None:
        # Raises when this is another context than the one of handler_started.
        current.reset(self.tokens.pop())
        self.told.append(f"{fact.handler} of {fact.state.removeprefix('ctx.')} in visit {fact.visit}")

    def _outside(self, fact: Any, /) -> None:
        assert current.get() == NOBODY

    visit_started = visit_ended = transition_taken = message_taken = timeout_fired = run_started = run_ended = error_routed = _outside
    retry_scheduled = retries_exhausted = stack_pushed = stack_popped = message_unhandled = _outside


class Scene:
    """States whose handlers look at `current` in every way there is, and a machine with a `Scope` on it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.scope = Scope()
        self.seen: list[str] = []
        self.children: list[asyncio.Task[None]] = []

    def look(self) -> str:
        seen = current.get()
        self.seen.append(seen)
        return seen

    def handler(self, answer: Any = None, *, suspends: bool = True, raises: bool = False, hangs: bool = False) -> Any:
        """Return a handler that looks when called, after a suspension, and in tasks and callbacks that it starts."""

        async def child(expected: str) -> None:
            assert current.get() == expected
            await asyncio.sleep(0)
            assert current.get() == expected

        async def later(ctx: Any) -> Any:
            mine = self.look()
            assert mine != NOBODY
            # One that is awaited and one that outlives the handler.
            self.children.append(asyncio.create_task(child(mine)))
            await asyncio.gather(child(mine), asyncio.create_task(child(mine)))
            asyncio.get_running_loop().call_soon(lambda: self.check(mine))
            await asyncio.sleep(0)
            assert current.get() == mine
            if hangs:
                await asyncio.get_running_loop().create_future()
            if raises:
                raise ZeroDivisionError
            return answer(ctx) if callable(answer) and not isinstance(answer, type) else answer

        def at_once(ctx: Any) -> Any:
            mine = self.look()
            assert mine != NOBODY
            self.children.append(asyncio.create_task(child(mine)))
            if raises:
                raise ZeroDivisionError
            return answer(ctx) if callable(answer) and not isinstance(answer, type) else answer

        return later if suspends else at_once

    def check(self, expected: str) -> None:
        assert current.get() == expected

    def state(self, name: str, *edges: Any, **parts: Any) -> StateSpec:
        """Return a state whose on_enter and on_leave look as well, unless given."""
        handlers = {"on_enter": self.handler(), "on_leave": self.handler(), "on_state": self.handler()}
        limits = {key: parts.pop(key) for key in list(parts) if key in {"timeout", "retries", "retry", "terminal", "can_dwell"}}
        spec = StateSpec(name=f"ctx.{name}", qualname=name, config=StateConfiguration(**limits), **(handlers | parts))
        spec.transitions = lambda: [*edges] or [spec]
        return spec

    def machine(self, initial: StateSpec, **more: Any) -> StateMachine[Any]:
        return StateMachine(initial, hooks=[self.scope], clock=self.clock, **more)

    async def done(self, *expected: str) -> None:
        """Every handler saw what was set for it, in this order, and nothing is left of it here or in a task."""
        await asyncio.gather(*self.children)
        assert self.seen == list(expected)
        assert [name.removeprefix(self.scope.mark) for name in self.seen] == self.scope.told
        assert (current.get(), self.scope.tokens) == (NOBODY, [])


def test_handlers_of_a_transition() -> None:
    """on_enter, on_state and on_leave see each its own."""

    async def scene() -> None:
        at = Scene()
        B = at.state("B", can_dwell=True)
        A = at.state("A", B, on_state=at.handler(B))
        fsm = at.machine(A)
        await fsm.tick()
        await fsm.tick()
        await at.done(
            "on_enter of A in visit 1",
            "on_state of A in visit 1",
            "on_leave of A in visit 1",
            "on_enter of B in visit 2",
            "on_state of B in visit 2",
        )

    run(scene())


def test_sync_handlers() -> None:
    """Handlers that are plain functions see it, and so do the tasks that they start."""

    async def scene() -> None:
        at = Scene()
        End = at.state("End", terminal=True, **dict.fromkeys(("on_enter", "on_state", "on_leave"), at.handler(suspends=False)))
        fsm = at.machine(End)
        with pytest.raises(StateMachineComplete):
            await fsm.run()
        await at.done("on_enter of End in visit 1", "on_state of End in visit 1", "on_leave of End in visit 1")

    run(scene())


def test_handlers_after_a_retry_and_on_fail() -> None:
    """The second visit's handlers see the second visit's, after a delay as well, and on_fail sees its own."""

    async def scene() -> None:
        at = Scene()
        A = at.state("A", on_state=at.handler(Retry), on_fail=at.handler(), retries=1, retry=RetryPolicy(base=5.0), can_dwell=True)
        fsm = at.machine(A)
        await fsm.tick()
        await at.clock.advance(5)
        await fsm.run(1, 0)
        await at.done(
            "on_enter of A in visit 1",
            "on_state of A in visit 1",
            "on_leave of A in visit 1",
            "on_enter of A in visit 2",
            "on_state of A in visit 2",
            "on_fail of A in visit 2",
        )

    run(scene())


def test_handlers_after_a_pop() -> None:
    """What was below the pop is entered with its own."""

    async def scene() -> None:
        at = Scene()
        B = at.state("B", Pop, on_state=at.handler(Pop))
        A = at.state("A", can_dwell=True)
        A.transitions = lambda: [Push(B, A)]
        A.on_state = at.handler(lambda ctx: Push(B, A) if len(at.seen) < 4 else None)
        fsm = at.machine(A)
        await fsm.run(3, 0)
        await at.done(
            "on_enter of A in visit 1",
            "on_state of A in visit 1",
            "on_leave of A in visit 1",
            "on_enter of B in visit 2",
            "on_state of B in visit 2",
            "on_leave of B in visit 2",
            "on_enter of A in visit 3",
            "on_state of A in visit 3",
        )

    run(scene())


@pytest.mark.parametrize("hanging", ["on_state", "on_enter"])
def test_timed_handler_that_suspends_is_cut(hanging: str) -> None:
    """A handler that its deadline cuts is taken leave of in its own context, and on_timeout sees its own."""

    async def scene() -> None:
        at = Scene()
        B = at.state("B", can_dwell=True)
        A = at.state("A", B, on_timeout=at.handler(B), timeout=5.0, **{hanging: at.handler(hangs=True)})
        fsm = at.machine(A)
        task = asyncio.create_task(fsm.tick())
        await at.clock.run_for(5)
        await task
        first = ["on_enter of A in visit 1", "on_state of A in visit 1"][: 1 if hanging == "on_enter" else 2]
        await at.done(*first, "on_timeout of A in visit 1", "on_leave of A in visit 1", "on_enter of B in visit 2")

    run(scene())


def test_timed_handler_that_suspends_and_comes_back_in_time() -> None:
    """A deadline that is armed but not needed changes no context."""

    async def scene() -> None:
        at = Scene()
        A = at.state("A", timeout=5.0)
        fsm = at.machine(A)
        await fsm.tick()
        fsm.send_message("hello")
        await fsm.tick()
        await at.done("on_enter of A in visit 1", "on_state of A in visit 1", "on_state of A in visit 1")

    run(scene())


def test_deadline_that_passed_while_waiting() -> None:
    """on_timeout called from a wait sees its own."""

    async def scene() -> None:
        at = Scene()
        A = at.state("A", timeout=5.0, on_timeout=at.handler())
        fsm = at.machine(A)
        task = asyncio.create_task(fsm.tick(timeout=None))
        await at.clock.run_for(5)
        await task
        await at.done("on_enter of A in visit 1", "on_state of A in visit 1", "on_timeout of A in visit 1")

    run(scene())


@pytest.mark.parametrize("suspends", [True, False])
@pytest.mark.parametrize("failing", ["on_enter", "on_state", "on_leave"])
def test_handlers_of_the_error_state(failing: str, suspends: bool) -> None:
    """A handler that raises is taken leave of, and the error state's handlers see their own."""

    async def scene() -> None:
        at = Scene()
        Lost = at.state("Lost", can_dwell=True)
        parts = {"on_state": at.handler(Repeat)} | {failing: at.handler(raises=True, suspends=suspends)}
        A = at.state("A", Repeat, **parts)
        fsm = at.machine(A, error_state=Lost)
        await fsm.initialize()
        await fsm.run(2, 0)
        calls = {
            "on_enter": ["on_enter"],
            "on_state": ["on_enter", "on_state", "on_leave"],
            "on_leave": ["on_enter", "on_state", "on_leave"],
        }
        await at.done(
            *[f"{handler} of A in visit 1" for handler in calls[failing]], "on_enter of Lost in visit 2", "on_state of Lost in visit 2"
        )

    run(scene())


def test_ticks_driven_from_different_tasks() -> None:
    """Each tick runs in the context of the task that calls it, with what the hook sets on top."""

    async def scene() -> None:
        at = Scene()
        mine: ContextVar[int] = ContextVar("mine")
        found: list[int] = []
        A = at.state("A", Repeat, on_state=at.handler(lambda ctx: (found.append(mine.get()), Repeat)[1]))
        fsm = at.machine(A)

        async def drive(number: int) -> None:
            mine.set(number)
            await fsm.tick()
            assert (mine.get(), current.get()) == (number, NOBODY)

        for number in range(3):
            await asyncio.create_task(drive(number), context=copy_context())
        assert found == [0, 1, 2]
        await at.done(
            *[f"{h} of A in visit {v}" for v in (1, 2, 3) for h in ("on_enter", "on_state", "on_leave")], "on_enter of A in visit 4"
        )

    run(scene())


def test_what_a_handler_sets_stays_in_the_callers_context() -> None:
    """Handlers run in the calling task itself: what they set is there for the next handler and for the caller."""

    async def scene() -> None:
        left_by: ContextVar[str] = ContextVar("left_by", default="nobody")
        A = StateSpec(name="ctx.A", qualname="A", config=StateConfiguration(timeout=5.0))
        found: list[str] = []

        async def on_enter(ctx: Any) -> None:
            await asyncio.sleep(0)
            left_by.set("on_enter")

        async def on_state(ctx: Any) -> None:
            found.append(left_by.get())
            await asyncio.sleep(0)
            left_by.set("on_state")

        A.on_enter, A.on_state = on_enter, on_state
        await StateMachine(A, clock=ManualClock(), hooks=[Scope()]).tick()
        assert (found, left_by.get()) == (["on_enter"], "on_state")

    run(scene())


@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize("handler", ["on_enter", "on_state", "on_leave", "on_timeout", "on_fail"])
def test_cancelled_handler_is_taken_leave_of(handler: str, timeout: float | None) -> None:
    """Cancellation tells handler_finished in the context of handler_started, for every kind of handler, timed or not."""

    async def scene() -> None:
        at = Scene()
        retries = 0 if handler == "on_fail" else None
        parts: dict[str, Any] = {"on_state": at.handler(Retry if handler in {"on_fail", "on_leave"} else None)}
        limit = 5.0 if handler == "on_timeout" else timeout
        A = at.state("A", timeout=limit, retries=retries, can_dwell=True, **(parts | {handler: at.handler(hangs=True)}))
        fsm = at.machine(A)
        task = asyncio.create_task(fsm.tick(timeout=None))
        await settle()
        if handler == "on_timeout":
            await at.clock.run_for(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert at.scope.told[-1] == f"{handler} of A in visit 1"
        # The same call is due again, in another task, and seen as the first time (on_state's first call likewise).
        again = asyncio.create_task(fsm.tick())
        await settle()
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again
        assert at.scope.told[-1] == f"{handler} of A in visit 1"
        await at.done(*at.scope.told)

    run(scene())


def test_two_hooks_nest() -> None:
    """Every hook's own variable is set in the handler and gone after it."""

    async def scene() -> None:
        other: ContextVar[str] = ContextVar("other", default=NOBODY)
        found: list[tuple[str, str]] = []

        class Second(Hooks):
            strict = True
            token: Any = None

            def handler_started(self, fact: Any, /) -> None:
                self.token = other.set("second")

            def handler_finished(self, fact: Any, /) -> None:
                other.reset(self.token)

        A = StateSpec(name="ctx.A", qualname="A", config=StateConfiguration(can_dwell=True))
        A.on_state = lambda ctx: found.append((current.get(), other.get()))
        await StateMachine(A, clock=ManualClock(), hooks=[Scope(), Second()]).tick()
        assert (found, current.get(), other.get()) == ([("on_state of A in visit 1", "second")], NOBODY, NOBODY)

    run(scene())
