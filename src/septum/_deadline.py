"""How a handler is cut at its visit's deadline: in the machine's own task, and with no timer before it really suspends."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from septum._clock import Clock, Timer

CUT: Final[Any] = object()
"""What `within` returns for a handler that the deadline cut."""


@types.coroutine
def _resume(call: Coroutine[Any, Any, Any], waiting: object) -> Generator[object, Any, Any]:
    """Await *call*, which was started already and is suspended on *waiting*."""
    while True:
        try:
            yield waiting
        except BaseException as error:  # noqa: BLE001 - whatever the event loop throws is for the handler
            try:
                waiting = call.throw(error)
            except StopIteration as stop:
                return stop.value
        else:
            # From here on the interpreter passes everything through by itself.
            return (yield from cast("Generator[object, Any, Any]", call))


def _running_task() -> asyncio.Task[Any] | None:
    """Return the task that runs now; None where somebody drives coroutines without an event loop, which has no timers either."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


async def within(call: Coroutine[Any, Any, Any], waiting: object, deadline: float | None, clock: Clock) -> Any:
    """Finish a handler's call that has suspended, but not later than *deadline*.

    Args:
        call: The handler's coroutine, after its first `send(None)`.
        waiting: What that `send` gave.
        deadline: A time of *clock*; None for no limit.

    Returns:
        What the handler returned, even when it did so after its cancellation at the deadline; `CUT` when that cancellation came through.

    Raises:
        CancelledError: The task was cancelled from outside, at the deadline or not.
        BaseException: What the handler raised, also while it was being cut.
    """
    task = _running_task()
    if deadline is None or task is None:
        return await _resume(call, waiting)
    before = task.cancelling()
    fired = False
    timer: Timer | None = None

    def cut() -> None:
        nonlocal fired, timer
        if asyncio.current_task() is task:
            # The handler itself moved the clock: it is cut when it suspends next, since a task that runs cannot cancel itself now.
            timer = asyncio.get_running_loop().call_soon(cut)
            return
        fired = True
        task.cancel()

    def arm() -> None:
        nonlocal timer
        timer = clock.call_at(deadline, cut)

    if before:
        # Somebody cancelled the task and it may not have heard of that yet; it must, before a deadline that is past speaks up.
        timer = asyncio.get_running_loop().call_soon(arm)
    else:
        arm()
    try:
        return await _resume(call, waiting)
    except asyncio.CancelledError:
        # As asyncio.timeout does: only if nobody else asked for the cancellation as well, it was ours alone.
        if fired and task.uncancel() <= before:
            fired = False
            return CUT
        fired = False
        raise
    finally:
        if timer is not None:
            timer.cancel()
        if fired:
            task.uncancel()
