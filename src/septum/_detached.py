"""Work that a handler starts and leaves alone: `detached()`, and the list of who has something to leave behind there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_ways: tuple[Callable[[], Callable[[], None]], ...] = ()


@contextmanager
def detached() -> Generator[None]:
    """Start work that does not belong to the visit that starts it; `with septum.detached(): asyncio.create_task(work())`.

    Inside, no span is current: what is traced there, also in tasks that are started there, begins traces of its own, and a machine that is
    started there links to the span that was left (`spawned_by`). So a trace ends with its run, however long the work goes on. Baggage is
    left behind as well; other context variables are not touched. Without telemetry it does nothing.

    Cancel-safe: what was current before is current again after the block, on whatever way it is left.
    """
    undoing = [leave() for leave in _ways]
    try:
        yield
    finally:
        for undo in reversed(undoing):
            undo()


def install(leave: Callable[[], Callable[[], None]]) -> None:
    """Let every `detached` block begin with *leave* and end with what it returns; installing it again changes nothing.

    Args:
        leave: Called where the block begins; returns what undoes it, called where the block ends. Neither may raise.
    """
    global _ways  # noqa: PLW0603 - the process's list is what this file holds
    if leave not in _ways:
        _ways = (*_ways, leave)
