"""Where time and chance enter: the clock that a machine reads, the ids it makes, the turn it gives to others.

No other file reads a clock, sleeps or draws an id, so that a machine under `septum.testing.ManualClock` sees only what the test says.
"""

from __future__ import annotations

import asyncio
import os
import time
import types
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Timer(Protocol):
    """A call that a clock will make, unless it is cancelled first."""

    def cancel(self) -> None:
        """Take the call back; does nothing when it was made already."""


@runtime_checkable
class Clock(Protocol):
    """What a machine needs of time; `StateMachine(clock=...)` takes any object with these three."""

    def now(self) -> float:
        """Return seconds since some fixed moment; only differences mean anything, and it should not run backwards."""
        ...

    def wall_ns(self) -> int:
        """Return nanoseconds since the Unix epoch, for people and traces to read."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call *callback* once when `now()` reaches *when*; at the next turn of the event loop if that is past."""
        ...


class LoopClock:
    """Real time: the system's monotonic and wall clocks, and timers of the running event loop."""

    __slots__ = ()

    # Plain C functions, so that reading the time costs a call and nothing more.
    now = staticmethod(time.monotonic)
    wall_ns = staticmethod(time.time_ns)

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call *callback* at *when*, from the event loop that runs now.

        Raises:
            RuntimeError: No event loop is running in this thread.
        """
        # Not loop.call_at: a loop may count from another moment (uvloop does), while a difference means the same to all.
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)


LOOP_CLOCK = LoopClock()


def new_id() -> str:
    """Return a fresh UUID of version 7 (RFC 9562 section 5.7) as text: ids that sort by the time they were made."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@types.coroutine
def pass_turn() -> Generator[None, None, None]:
    """Let everything else that is ready in the event loop run once (what `asyncio.sleep(0)` does, without its call)."""
    yield


def show_wall(wall_ns: int) -> str:
    """Return Unix nanoseconds as ISO 8601 in UTC, to the millisecond; as a number where the calendar ends."""
    try:
        moment = time.gmtime(wall_ns // 1_000_000_000)
    except (OverflowError, ValueError, OSError):
        return f"{wall_ns} ns"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{wall_ns // 1_000_000 % 1000:03d}Z"


def read_wall(text: str) -> int:
    """Return what *text* means in Unix nanoseconds: a moment in ISO 8601, local time unless it says otherwise.

    Raises:
        ValueError: It is none.
    """
    from datetime import datetime  # noqa: PLC0415 - for the command line only, and no machine should wait for it

    return round(datetime.fromisoformat(text).timestamp() * 1e9)
