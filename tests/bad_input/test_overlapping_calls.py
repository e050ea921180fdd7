"""Two calls at once, reset in the middle of things, copies of a live machine: refused, or clean."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest

from septum import AlreadyRunning, Repeat, StateConfiguration, StateMachine, StateSpec
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import ledger, lines, run

CALLS = ["tick", "run", "serve", "reset"]


class Scene:
    """A machine whose first call hangs until `gate` is set."""

    def __init__(self, **limits: Any) -> None:
        self.gate = asyncio.Event()
        self.clock = ManualClock()
        self.recorder = RecorderHooks()
        self.A = StateSpec(name="overlap.A", qualname="A", config=StateConfiguration(can_dwell=True, **limits), on_state=self.on_state)
        self.fsm = StateMachine(self.A, common_data=[], clock=self.clock, hooks=[self.recorder])

    async def on_state(self, ctx: Any) -> None:
        ctx.common.append(ctx.msg)
        await self.gate.wait()


@pytest.mark.parametrize("first", ["tick", "run", "serve"])
@pytest.mark.parametrize("second", CALLS)
def test_overlapping_calls_are_refused(first: str, second: str) -> None:
    """The second call is AlreadyRunning and touches nothing; the first comes to its end."""

    async def main() -> None:
        at = Scene()
        at.fsm.send_message("a")
        task = asyncio.create_task(getattr(at.fsm, first)())
        await settle()
        before, told = at.fsm.stats(), len(lines(at.recorder))
        with pytest.raises(AlreadyRunning, match=second) as caught:
            await getattr(at.fsm, second)()
        assert isinstance(caught.value, RuntimeError)
        assert (told > 0, lines(at.recorder), at.fsm.stats()) == (True, [], before)
        at.gate.set()
        await settle()
        at.fsm.stop()
        await at.clock.run_for(5)
        assert task.done()
        await task
        assert (at.fsm.context.common, ledger(at.fsm)) == ([None, "a"], {"accepted": 1, "handled": 1})

    run(main())


@pytest.mark.parametrize("second", CALLS)
def test_call_while_another_waits_is_refused(second: str) -> None:
    """A machine that waits for a message is at work as well; the message still finds it."""

    async def main() -> None:
        at = Scene()
        at.gate.set()
        task = asyncio.create_task(at.fsm.tick(timeout=None))
        await settle()
        with pytest.raises(AlreadyRunning):
            await getattr(at.fsm, second)()
        assert not task.done()
        at.fsm.send_message("a")
        await task
        assert at.fsm.context.common == [None, "a"]

    run(main())


@pytest.mark.parametrize("second", CALLS)
def test_handler_that_calls_its_own_machine_is_refused(second: str) -> None:
    """A handler's call is refused there, where it can be caught; the handler's answer is then obeyed as ever."""

    async def main() -> None:
        caught: list[BaseException] = []

        async def on_state(ctx: Any) -> Any:
            try:
                await getattr(fsm, second)()
            except AlreadyRunning as error:
                caught.append(error)
            return Repeat if len(caught) == 1 else None

        A = StateSpec(name="overlap.Own", qualname="Own", on_state=on_state, config=StateConfiguration(can_dwell=True))
        fsm = StateMachine(A, clock=ManualClock())
        await fsm.run(2, 0)
        assert (len(caught), fsm.stats().visits, fsm.stats().errors) == (2, 2, 0)

    run(main())


def test_send_from_a_handler_is_no_overlap() -> None:
    """A handler may send to its own machine, through the context and the machine alike; both are handled next."""

    async def main() -> None:
        def on_state(ctx: Any) -> None:
            ctx.common.append(ctx.msg)
            if ctx.msg is None:
                ctx.send_message("a")
                fsm.send_message("b")

        A = StateSpec(name="overlap.Own", qualname="Own", on_state=on_state, config=StateConfiguration(can_dwell=True))
        fsm = StateMachine(A, common_data=[], clock=ManualClock())
        await fsm.run(timeout=0)
        assert (fsm.context.common, ledger(fsm)) == ([None, "a", "b"], {"accepted": 2, "handled": 2})

    run(main())


def test_failed_call_lets_the_next_one_in() -> None:
    """After an exception, a cancellation or a completed call the machine is free again."""

    async def main() -> None:
        at = Scene()
        task = asyncio.create_task(at.fsm.run())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        at.gate.set()
        await at.fsm.tick()
        await at.fsm.reset()
        await at.fsm.tick()
        assert at.fsm.context.common == [None, None, None]

    run(main())


def test_reset_between_ticks_starts_again_with_the_books_kept() -> None:
    """reset drops what is pending as closed, clears stack, counts and deadline, runs no on_leave, and keeps common."""

    async def main() -> None:
        clock, recorder = ManualClock(), RecorderHooks()
        A = StateSpec(name="overlap.R", qualname="R", config=StateConfiguration(can_dwell=True, timeout=5.0))
        A.on_state = lambda ctx: ctx.common.append(ctx.msg)
        A.on_enter = lambda ctx: ctx.common.append("enter")
        A.on_leave = lambda ctx: ctx.common.append("leave")
        A.on_timeout = lambda ctx: ctx.common.append("timeout")
        fsm = StateMachine(A, common_data=[], clock=clock, hooks=[recorder])
        await fsm.tick()
        for message in "ab":
            fsm.send_message(message)
        await fsm.tick()
        await clock.advance(3)
        lines(recorder)
        await fsm.reset()
        told = lines(recorder)
        assert sorted(told[:3]) == [
            "message_dropped message=b reason=closed number=2",
            "run_ended state=R outcome=reset duration=3.0 exception=None",
            "visit_ended state=R outcome=reset duration=3.0 exception=None",
        ]
        assert told[2:5] == [
            "run_ended state=R outcome=reset duration=3.0 exception=None",
            "run_started state=R resumed=False",
            "visit_started state=R kind=initial stack=()",
        ]
        await clock.advance(4)
        await fsm.tick()
        assert fsm.context.common == ["enter", None, "a", "enter", None]
        await clock.advance(1)
        await fsm.tick()
        assert fsm.context.common[-1] == "timeout"
        assert ledger(fsm) == {"accepted": 2, "handled": 1, "closed": 1}

    run(main())


def test_reset_of_a_cancelled_run_starts_clean() -> None:
    """A run that was cancelled inside a handler is reset without that handler being heard of again."""

    async def main() -> None:
        at = Scene(timeout=5.0)
        task = asyncio.create_task(at.fsm.run())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        lines(at.recorder)
        await at.fsm.reset()
        assert [told.partition(" ")[0] for told in lines(at.recorder)] == ["visit_ended", "run_ended", "run_started", "visit_started"]
        at.gate.set()
        await at.fsm.tick()
        assert (at.fsm.context.common, at.clock.next_timer) == ([None, None], None)

    run(main())


COPIES = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in a list": lambda fsm: copy.deepcopy([fsm]),
    "pickle in a dict": lambda fsm: pickle.dumps({1: fsm}),
}


@pytest.mark.parametrize("when", ["new", "running"])
@pytest.mark.parametrize("how", COPIES)
def test_copy_of_a_live_machine_is_refused(how: str, when: str) -> None:
    """A machine is refused with a pointer to snapshot(), and goes on as if nothing had been asked."""

    async def main() -> None:
        at = Scene()
        at.gate.set()
        if when != "new":
            await at.fsm.tick()
        at.fsm.send_message("a")
        before = at.fsm.stats()
        with pytest.raises(TypeError, match=r"snapshot\(\)"):
            COPIES[how](at.fsm)
        assert at.fsm.stats() == before
        await at.fsm.run(timeout=0)
        assert (at.fsm.context.common, ledger(at.fsm)) == ([None, "a"], {"accepted": 1, "handled": 1})

    run(main())
