"""settle(): returns when nothing is ready, and says so when that never comes."""

from __future__ import annotations

import asyncio
import socket
from itertools import count
from types import SimpleNamespace

import pytest

from septum.testing import settle


async def spinning(turns: list[int]) -> None:
    """Take turn after turn, for ever, and number them."""
    for number in count(1):
        turns.append(number)
        await asyncio.sleep(0)


def test_an_idle_loop_is_settled_at_once() -> None:
    """With nobody else around, one turn is enough."""
    asyncio.run(settle(limit=1))


@pytest.mark.parametrize("length", [1, 7, 400])
def test_a_chain_of_tasks_runs_to_its_end(length: int) -> None:
    """However many tasks wake one another, settle returns after the last, and no turn later than needed."""
    log = []

    async def link(number: int) -> None:
        await asyncio.sleep(0)
        log.append(number)
        if number < length:
            tasks.append(asyncio.create_task(link(number + 1)))

    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        tasks.append(asyncio.create_task(link(1)))
        await settle()
        assert log == list(range(1, length + 1))
        assert all(task.done() for task in tasks)

    asyncio.run(main())


def test_plain_callbacks_are_waited_for_too() -> None:
    """Callbacks without a task, and those that callbacks schedule, run before settle returns."""
    log = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(lambda: loop.call_soon(log.append, "third")))
        await settle()
        assert log == ["third"]

    asyncio.run(main())


def test_a_task_that_waits_is_not_waited_for() -> None:
    """A task that waits for an event is at rest, and goes on waiting."""

    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(event.wait())
        await settle()
        assert not task.done()
        event.set()
        await settle()
        assert task.done()

    asyncio.run(main())


def test_data_that_has_arrived_is_read() -> None:
    """A reader whose bytes lie in the socket already is ready, though no callback is scheduled yet."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            task = asyncio.create_task(reader.readexactly(2))
            await settle()
            theirs.sendall(b"hi")
            await settle()
            assert task.done()
            assert task.result() == b"hi"
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())


def test_what_never_rests_is_named_and_goes_on() -> None:
    """Past the limit a RuntimeError names the live tasks; they are left alone."""
    turns: list[int] = []

    async def main() -> None:
        task = asyncio.create_task(spinning(turns), name="spinner")
        with pytest.raises(RuntimeError) as caught:
            await settle(limit=10)
        assert str(caught.value) == (
            "not settled after 10 rounds: something is always ready. Live tasks: "
            "spinner (spinning). A machine that never waits does not settle: stop it first, or bound it with "
            "run(max_iterations=...). If there is just much to do, raise settle(limit=...)."
        )
        assert (turns, task.done()) == (list(range(1, 11)), False)
        task.cancel()

    asyncio.run(main())


def test_many_live_tasks_are_counted_not_listed() -> None:
    """The message stays readable: five names and the number of the rest."""

    async def main() -> None:
        tasks = [asyncio.create_task(spinning([]), name=f"t{number}") for number in range(8)]
        shown = ", ".join(f"t{number} (spinning)" for number in range(5))
        with pytest.raises(RuntimeError, match="not settled after 3 rounds") as caught:
            await settle(limit=3)
        assert f"Live tasks: {shown} and 3 more. " in str(caught.value)
        for task in tasks:
            task.cancel()

    asyncio.run(main())


def test_a_callback_that_calls_itself_is_found_without_a_task() -> None:
    """The cause may be no task at all, and the message says that."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            nonlocal handle
            handle = loop.call_soon(again)

        handle = loop.call_soon(again)
        with pytest.raises(RuntimeError, match=r"Live tasks: none \(a callback calls itself again\)"):
            await settle(limit=3)
        handle.cancel()

    asyncio.run(main())


def test_a_loop_that_hides_its_callbacks_gets_a_hundred_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a list to look at, settle gives a fixed number of turns and believes that it was enough."""
    turns: list[int] = []

    async def main() -> None:
        task = asyncio.create_task(spinning(turns))
        with monkeypatch.context() as patch:
            patch.setattr("septum.testing._settle.asyncio.get_running_loop", SimpleNamespace)
            await settle()
        assert turns == list(range(1, 101))
        task.cancel()

    asyncio.run(main())


def test_a_cancelled_settle_changes_nothing() -> None:
    """Cancelling the wait ends the wait only."""

    async def main() -> None:
        spinner = asyncio.create_task(spinning([]))
        waiting = asyncio.create_task(settle())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not spinner.done()
        spinner.cancel()

    asyncio.run(main())
