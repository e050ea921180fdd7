"""Handlers that hang, that will not be cut, that are cancelled at the wrong moment, and clocks that go backwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from septum import Again, StateConfiguration, StateMachine, StateSpec, UnhandledTimeout
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import ledger, lines, run


class Scene:
    """A state with a deadline of 5 seconds whose `hanging` handler behaves as told, and a state to go to."""

    def __init__(self, hanging: Any = None, *, where: str = "on_state", **parts: Any) -> None:
        self.clock = ManualClock()
        self.recorder = RecorderHooks()
        self.calls: list[str] = []
        self.B = StateSpec(name="deadline.B", qualname="B", config=StateConfiguration(can_dwell=True), on_state=self.note("B"))
        self.A = StateSpec(name="deadline.A", qualname="A", config=StateConfiguration(timeout=5.0, retries=0), transitions=lambda: [self.B])
        handlers = {name: self.note(name) for name in ("on_enter", "on_state", "on_leave")} | {
            "on_timeout": self.note("on_timeout", self.B)
        }
        for name, handler in (handlers | ({where: hanging} if hanging else {}) | parts).items():
            setattr(self.A, name, handler)
        self.fsm = StateMachine(self.A, clock=self.clock, hooks=[self.recorder])

    def note(self, name: str, answer: Any = None) -> Any:
        def handler(ctx: Any) -> Any:
            self.calls.append(name if ctx.msg is None else f"{name} {ctx.msg}")
            return answer

        return handler

    async def sleep(self, seconds: float) -> None:
        done = asyncio.get_running_loop().create_future()
        self.clock.call_at(self.clock.now() + seconds, lambda: done.done() or done.set_result(None))
        await done


async def for_ever(ctx: Any) -> None:
    """A handler that never returns."""
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("where", ["on_enter", "on_state"])
@pytest.mark.parametrize("call", ["tick", "run"])
def test_handler_that_never_returns_is_cut_at_the_deadline(where: str, call: str) -> None:
    """At the deadline the handler is cancelled and on_timeout decides; the caller's task is not cancelled, no timer stays."""

    async def main() -> None:
        at = Scene(for_ever, where=where)
        task = asyncio.create_task(at.fsm.tick() if call == "tick" else at.fsm.run(timeout=0))
        await at.clock.run_for(4.5)
        assert not task.done()
        await at.clock.run_for(0.5)
        await task
        assert (task.cancelling(), at.clock.next_timer, at.fsm.current_state) == (0, None, at.B)
        told = lines(at.recorder)
        cut = f"handler_finished handler={where} state=A message=None answer=None duration=5.0 exception=TimeoutError"
        place = told.index(cut)
        assert told[place + 1 : place + 4] == [
            "timeout_fired state=A after=5.0 lateness=0.0",
            "handler_started handler=on_timeout state=A message=None",
            "handler_finished handler=on_timeout state=A message=None answer=B duration=0.0 exception=None",
        ]
        assert "visit_ended state=A outcome=timeout duration=5.0 exception=None" in told

    run(main())


def test_message_whose_handler_was_cut_is_accounted_for() -> None:
    """The message counts as handled, and the one behind it waits for the next state."""

    async def main() -> None:
        async def on_state(ctx: Any) -> None:
            at.calls.append(f"on_state {ctx.msg}")
            if ctx.msg:
                await for_ever(ctx)

        at = Scene(on_state)
        for message in "ab":
            at.fsm.send_message(message)
        task = asyncio.create_task(at.fsm.tick())
        await at.clock.run_for(5)
        await task
        assert ledger(at.fsm) == {"accepted": 2, "handled": 1, "pending": 1}
        await at.fsm.tick()
        assert at.calls[-2:] == ["B", "B b"]
        assert ledger(at.fsm) == {"accepted": 2, "handled": 2}

    run(main())


@pytest.mark.parametrize("where", ["on_leave", "on_timeout", "on_fail"])
def test_handlers_that_decide_or_clean_up_are_not_cut(where: str) -> None:
    """on_leave, on_timeout and on_fail run over the deadline, to their end."""

    async def main() -> None:
        async def slow(ctx: Any) -> Any:
            await at.sleep(20)
            at.calls.append(f"{where} done")
            return None if where == "on_leave" else at.B

        parts: dict[str, Any] = {
            "on_leave": {"on_state": lambda ctx: at.B},
            "on_timeout": {},
            "on_fail": {"on_state": lambda ctx: "retry"},
        }[where]
        if where == "on_fail":
            from septum import Retry

            parts = {"on_state": lambda ctx: Retry}
        at = Scene(slow, where=where, **parts)
        task = asyncio.create_task(at.fsm.tick(timeout=10))
        await at.clock.run_for(30)
        await task
        assert (f"{where} done" in at.calls, at.fsm.current_state, at.fsm.stats().timeouts) == (True, at.B, int(where == "on_timeout"))

    run(main())


def test_handler_that_swallows_its_cancellation_and_answers_late_is_obeyed() -> None:
    """The answer stands: no timeout is told, and the task is as if it had never been cancelled."""

    async def main() -> None:
        async def stubborn(ctx: Any) -> Any:
            try:
                await for_ever(ctx)
            except asyncio.CancelledError:
                await at.sleep(2)
                return at.B

        at = Scene(stubborn)

        async def drive() -> int:
            await at.fsm.tick()
            # A cancellation that was left behind would come up here.
            await asyncio.sleep(0)
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        task = asyncio.create_task(drive())
        await at.clock.run_for(7)
        assert (await task, at.fsm.current_state, at.fsm.stats().timeouts) == (0, at.B, 0)
        assert "visit_ended state=A outcome=transition duration=7.0 exception=None" in lines(at.recorder)

    run(main())


@pytest.mark.parametrize("answer", [None, Again])
def test_handler_that_swallows_its_cancellation_and_stays_times_out_next(answer: Any) -> None:
    """A late answer that stays in the state stands, and the deadline, still expired, is the next thing that happens."""

    async def main() -> None:
        async def stubborn(ctx: Any) -> Any:
            at.calls.append("on_state")
            if at.calls.count("on_state") > 1:
                return None
            try:
                await for_ever(ctx)
            except asyncio.CancelledError:
                return answer

        at = Scene(stubborn)
        task = asyncio.create_task(at.fsm.run(timeout=0))
        await at.clock.run_for(5)
        await task
        assert (at.fsm.current_state, at.fsm.stats().timeouts) == (at.B, 1)

    run(main())


def test_handler_that_raises_when_it_is_cut_is_routed_like_any_other() -> None:
    """What a handler raises instead of giving way is its exception; the deadline then is still expired."""

    async def main() -> None:
        async def stubborn(ctx: Any) -> Any:
            try:
                await for_ever(ctx)
            except asyncio.CancelledError:
                raise KeyError("stubborn") from None

        at = Scene(stubborn)
        task = asyncio.create_task(at.fsm.tick())
        await at.clock.run_for(5)
        with pytest.raises(KeyError):
            await task
        assert (at.fsm.current_state, at.fsm.stats().errors, task.cancelling()) == (at.A, 1, 0)

    run(main())


def test_blocking_handler_past_the_deadline_is_obeyed() -> None:
    """A handler that never suspends cannot be cut, and its late answer stands."""

    async def main() -> None:
        async def blocking(ctx: Any) -> Any:
            at.clock.advance(50)
            return at.B

        at = Scene(blocking)
        await at.fsm.tick()
        assert (at.fsm.current_state, at.fsm.stats().timeouts) == (at.B, 0)

    run(main())


def test_first_call_is_made_even_when_the_deadline_has_passed() -> None:
    """A slow on_enter does not take the visit's first call away; the deadline comes right after it, in the same tick."""

    async def main() -> None:
        at = Scene()
        at.A.on_enter = lambda ctx: (at.clock.advance(50), at.calls.append("on_enter"))[1]
        at.fsm = StateMachine(at.A, clock=at.clock, hooks=[at.recorder])
        at.fsm.send_message("later")
        await at.fsm.tick()
        assert at.calls == ["on_enter", "on_state", "on_timeout", "on_leave"]
        assert "timeout_fired state=A after=5.0 lateness=45.0" in lines(at.recorder)

    run(main())


@pytest.mark.parametrize("order", ["cancel first", "deadline first"])
def test_cancellation_at_the_very_moment_of_the_deadline_propagates(order: str) -> None:
    """CancelledError always reaches the caller; the deadline is not forgotten, the machine goes on."""

    async def main() -> None:
        at = Scene(for_ever)
        task = asyncio.create_task(at.fsm.tick())
        await settle()
        if order == "cancel first":
            task.cancel()
            at.clock.advance(5)
        else:
            at.clock.advance(5)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (task.cancelled(), at.fsm.current_state, at.fsm.stats().errors) == (True, at.A, 0)
        at.A.on_state = None
        again = asyncio.create_task(at.fsm.tick())
        await settle()
        assert (again.done(), at.fsm.current_state, at.fsm.stats().timeouts) == (True, at.B, 1)
        await again

    run(main())


@pytest.mark.parametrize("order", ["cancel first", "deadline first"])
def test_cancellation_at_the_moment_that_ends_a_wait_propagates(order: str) -> None:
    """The same while the machine waits: nothing is lost, and the deadline fires in the next tick."""

    async def main() -> None:
        at = Scene()
        task = asyncio.create_task(at.fsm.tick(timeout=None))
        await settle()
        if order == "cancel first":
            task.cancel()
            at.clock.advance(5)
        else:
            at.clock.advance(5)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await at.fsm.tick()
        assert (at.fsm.current_state, at.fsm.stats().timeouts, at.clock.next_timer) == (at.B, 1, None)

    run(main())


@pytest.mark.parametrize("order", ["cancel first", "message first"])
def test_cancellation_at_the_moment_that_a_message_comes_loses_nothing(order: str) -> None:
    """A message that wakes a wait which is cancelled in the same turn stays in the mailbox."""

    async def main() -> None:
        at = Scene()
        task = asyncio.create_task(at.fsm.tick(timeout=None))
        await settle()
        if order == "cancel first":
            task.cancel()
        at.fsm.send_message("a")
        if order == "message first":
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ledger(at.fsm) == {"accepted": 1, "pending": 1}
        await at.fsm.tick()
        assert (at.calls[-1], ledger(at.fsm)) == ("on_state a", {"accepted": 1, "handled": 1})

    run(main())


def test_callers_own_timeout_around_a_timed_handler_wins_when_it_is_earlier() -> None:
    """asyncio.timeout around tick works: its own cancellation is not taken for the deadline's."""

    async def main() -> None:
        at = Scene(for_ever)
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as scope:
                at.clock.call_at(3.0, lambda: scope.reschedule(loop.time()))
                loop.call_soon(lambda: at.clock.advance(3))
                await at.fsm.tick()
        assert (at.fsm.current_state, at.fsm.stats().timeouts) == (at.A, 0)
        task = asyncio.create_task(at.fsm.tick())
        await at.clock.run_for(2)
        await task
        assert at.fsm.current_state == at.B

    run(main())


def test_handlers_own_timeout_inside_a_timed_handler_is_its_own() -> None:
    """A handler's asyncio.timeout that is earlier than the deadline ends as it does anywhere."""

    async def main() -> None:
        async def careful(ctx: Any) -> Any:
            try:
                async with asyncio.timeout(0):
                    await for_ever(ctx)
            except TimeoutError:
                return at.B

        at = Scene(careful)
        await at.fsm.tick()
        assert (at.fsm.current_state, at.fsm.stats().timeouts, at.clock.next_timer) == (at.B, 0, None)

    run(main())


def test_clock_that_goes_backwards_only_makes_the_deadline_later() -> None:
    """Put back, the clock has to come to the deadline again; nothing fires early, twice, or with a negative lateness."""

    async def main() -> None:
        at = Scene()
        await at.clock.advance(100)
        await at.fsm.tick()
        await at.clock.set(50)
        await at.fsm.tick()
        task = asyncio.create_task(at.fsm.tick(timeout=None))
        await at.clock.run_for(54)
        assert not task.done()
        at.fsm.send_message("a")
        await settle()
        await task
        task = asyncio.create_task(at.fsm.tick(timeout=None))
        await at.clock.run_for(1)
        await task
        assert at.calls == ["on_enter", "on_state", "on_state a", "on_timeout", "on_leave"]
        assert ledger(at.fsm) == {"accepted": 1, "handled": 1}
        fired = [told for told in lines(at.recorder) if told.startswith("timeout_fired")]
        assert fired == ["timeout_fired state=A after=5.0 lateness=0.0"]

    run(main())


def test_clock_put_back_while_the_machine_waits_waits_anew() -> None:
    """A timer that fires late or early by the clock's jump is checked against the clock before the deadline counts."""

    async def main() -> None:
        at = Scene()
        task = asyncio.create_task(at.fsm.tick(timeout=None))
        await at.clock.run_for(4)
        await at.clock.set(0)
        await at.clock.run_for(4)
        assert not task.done()
        await at.clock.run_for(1)
        await task
        assert at.fsm.current_state == at.B

    run(main())


def test_deadline_without_on_timeout_cuts_as_well() -> None:
    """The handler is cut, and UnhandledTimeout is raised; the machine then dwells in its state and takes messages."""

    async def main() -> None:
        async def on_state(ctx: Any) -> None:
            at.calls.append(f"on_state {ctx.msg}")
            if ctx.msg is None:
                await for_ever(ctx)

        at = Scene(on_state, on_timeout=None)
        task = asyncio.create_task(at.fsm.tick())
        await at.clock.run_for(5)
        with pytest.raises(UnhandledTimeout):
            await task
        at.fsm.send_message("a")
        await at.fsm.run(timeout=0)
        assert (at.calls[-1], at.fsm.current_state, ledger(at.fsm)) == ("on_state a", at.A, {"accepted": 1, "handled": 1})

    run(main())
