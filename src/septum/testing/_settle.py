"""settle(): wait until nothing is ready to run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Sized

BLIND_ROUNDS = 100
"""Turns of the event loop that `settle` takes on a loop that does not show what is ready."""

NAMED = 5
"""Tasks that the error names before it only counts."""


class Turn:
    """Awaiting it gives the event loop one turn."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


async def settle(*, limit: int = 5_000) -> None:
    """Let every ready task run, and what that makes ready, until nothing is.

    Each round gives the event loop one full turn: it polls its sockets, moves due timers to its list of ready callbacks and runs
    that list. Nothing is ready when that list is empty after a turn. asyncio has no public question for this, so one private
    attribute of its loops is read (`_ready`); a loop without it (uvloop) gets 100 turns and is believed to be done.

    What waits for real time, for another thread or for data that has not arrived is not ready, and is not waited for: give the machine
    a `ManualClock`, and such waits become turns of the hand.

    Args:
        limit: Rounds to make before giving up, at least 1. One `await` that another task answers takes about two.

    Raises:
        RuntimeError: Something was still ready after *limit* rounds, e.g. a machine that drives itself under `serve()`; names the live
            tasks, which go on.

    Cancel-safe: nothing is changed but the time that others had to run.
    """
    loop = asyncio.get_running_loop()
    ready: Sized | None = getattr(loop, "_ready", None)
    if ready is None:
        for _ in range(BLIND_ROUNDS):
            await Turn()
        return
    for _ in range(limit):
        # The turn comes before the question: sockets are polled only between turns.
        await Turn()
        if not ready:
            return
    raise RuntimeError(_unsettled(limit))


def _unsettled(limit: int) -> str:
    here = asyncio.current_task()
    names = sorted(_describe(task) for task in asyncio.all_tasks() if task is not here)
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return (
        f"not settled after {limit} rounds: something is always ready. Live tasks: {shown or 'none (a callback calls itself again)'}. "
        "A machine that never waits does not settle: stop it first, or bound it with run(max_iterations=...). "
        "If there is just much to do, raise settle(limit=...)."
    )


def _describe(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return f"{task.get_name()} ({getattr(coroutine, '__qualname__', type(coroutine).__name__)})"
