"""Calls from other threads: refused before anything is touched, except for the one that is made for them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from septum import MailboxFull, StateConfiguration, StateMachine, StateSpec, WrongThread
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import ledger, lines, run


def machine(size: int = 100_000, policy: Any = "block", **more: Any) -> StateMachine[Any]:
    """Return a machine whose one state dwells and keeps its messages."""
    A = StateSpec(name="thread.A", qualname="A", on_state=lambda ctx: ctx.common.append(ctx.msg), config=StateConfiguration(can_dwell=True))
    return StateMachine(A, size, policy, common_data=[], **more)


def in_thread(work: Any) -> Any:
    """Run *work* in a new thread and return what it returned or raised."""
    found: list[Any] = []

    def keep() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - handed to the caller
            found.append(error)

    thread = threading.Thread(target=keep)
    thread.start()
    thread.join(30)
    return found[0]


@pytest.mark.parametrize("call", ["send_message", "send_message_async", "tick", "run", "serve", "reset"])
@pytest.mark.parametrize("observed", [True, False])
def test_call_from_another_thread_is_refused(call: str, observed: bool) -> None:
    """WrongThread says which call it was, tells nothing, changes nothing; the owner goes on, and so it is without an observer."""

    async def main() -> None:
        recorder = RecorderHooks()
        fsm = machine(clock=ManualClock(), hooks=[recorder] if observed else [])
        await fsm.tick()
        fsm.send_message("a")
        lines(recorder)
        before = fsm.stats()

        def work() -> Any:
            method = getattr(fsm, call)
            arguments = ("b",) if call.startswith("send") else ()
            return method(*arguments) if call == "send_message" else asyncio.run(wrap(method(*arguments)))

        async def wrap(awaitable: Any) -> Any:
            return await awaitable

        error = await asyncio.to_thread(in_thread, work)
        assert isinstance(error, WrongThread), error
        assert call in str(error)
        assert isinstance(error, RuntimeError)
        assert (fsm.stats(), lines(recorder)) == (before, [])
        await fsm.tick()
        assert (fsm.context.common, ledger(fsm)) == ([None, "a"], {"accepted": 1, "handled": 1})

    run(main())


def test_reset_from_another_thread_leaves_what_has_ended_as_it_is() -> None:
    """Refused, it does not open a closed machine either."""
    fsm = machine(clock=ManualClock())
    asyncio.run(fsm.initialize())
    asyncio.run(fsm.close())

    assert isinstance(in_thread(lambda: asyncio.run(fsm.reset())), WrongThread)
    assert (fsm.has_ended, fsm.send_message("late"), ledger(fsm)) == (True, False, {"accepted": 1, "closed": 1})


def test_machine_belongs_to_the_thread_that_initialised_it() -> None:
    """Constructed here and initialised there, it is there that it may be called."""
    fsm = machine(clock=ManualClock())
    fsm.send_message("early")
    assert in_thread(lambda: asyncio.run(fsm.tick())) is None

    async def main() -> None:
        with pytest.raises(WrongThread):
            await fsm.tick()
        with pytest.raises(WrongThread):
            fsm.send_message("late")

    run(main())
    assert (fsm.context.common, ledger(fsm)) == ([None, "early"], {"accepted": 1, "handled": 1})


def test_threadsafe_send_from_many_threads_loses_nothing() -> None:
    """Thousands of messages from eight threads arrive once each, in the order of each thread, while the machine works."""

    async def main() -> None:
        fsm = machine()
        await fsm.tick()
        each, threads = 500, 8
        start = threading.Barrier(threads)

        def send(number: int) -> None:
            start.wait()
            for count in range(each):
                fsm.send_message_threadsafe((number, count))

        # The default executor may have fewer threads than the barrier waits for.
        pool = ThreadPoolExecutor(threads)
        loop = asyncio.get_running_loop()
        senders = [loop.run_in_executor(pool, send, number) for number in range(threads)]
        async with asyncio.timeout(60):
            while len(fsm.context.common) <= threads * each:
                await fsm.tick(timeout=None)
            await asyncio.gather(*senders)
        pool.shutdown()
        arrived = fsm.context.common[1:]
        for number in range(threads):
            assert [count for sender, count in arrived if sender == number] == list(range(each))
        assert ledger(fsm) == {"accepted": threads * each, "handled": threads * each}

    run(main())


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "block", "fail"])
def test_threadsafe_send_to_a_small_mailbox_keeps_the_books(policy: str) -> None:
    """Whatever the policy, what the threads offered is handled, dropped or rejected, and never more waits than fits."""

    async def main() -> None:
        fsm = machine(5, policy)
        await fsm.tick()
        each, threads = 200, 4

        def send(number: int) -> None:
            for count in range(each):
                with suppress(MailboxFull):
                    fsm.send_message_threadsafe((number, count))

        # The default executor may have fewer threads than the barrier waits for.
        pool = ThreadPoolExecutor(threads)
        loop = asyncio.get_running_loop()
        senders = [loop.run_in_executor(pool, send, number) for number in range(threads)]
        async with asyncio.timeout(60):
            while not all(sender.done() for sender in senders):
                await fsm.run(timeout=0)
                assert fsm.queue_depth <= 5
                await asyncio.sleep(0)
            await asyncio.gather(*senders)
            await settle()
            await fsm.run(timeout=0)
        books = ledger(fsm)
        assert books["accepted"] + books.get("rejected", 0) == each * threads
        assert books["handled"] == len(fsm.context.common) - 1
        for number in range(threads):
            counts = [count for sender, count in fsm.context.common[1:] if sender == number]
            assert counts == sorted(set(counts))

    run(main())


def test_threadsafe_send_from_the_own_thread_is_a_send() -> None:
    """Called where send_message could be called it queues as well, in order with the others."""

    async def main() -> None:
        fsm = machine(clock=ManualClock())
        await fsm.initialize()
        fsm.send_message("a")
        fsm.send_message_threadsafe("b")
        fsm.send_message("c")
        await settle()
        await fsm.run(timeout=0)
        assert fsm.context.common == [None, "a", "b", "c"]
        assert ledger(fsm) == {"accepted": 3, "handled": 3}

    run(main())


def test_threadsafe_send_wakes_a_machine_that_waits() -> None:
    """A machine that waits for a message without a time limit wakes for one from another thread."""

    async def main() -> None:
        fsm = machine()
        async with asyncio.timeout(60):
            task = asyncio.create_task(fsm.tick(timeout=None))
            await settle()
            await asyncio.to_thread(fsm.send_message_threadsafe, "a")
            await task
        assert (fsm.context.common, ledger(fsm)) == ([None, "a"], {"accepted": 1, "handled": 1})

    run(main())
