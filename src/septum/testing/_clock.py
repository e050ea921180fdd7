"""ManualClock: time that stands still until a test moves it."""

from __future__ import annotations

import math
from asyncio import get_running_loop
from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from septum.testing._settle import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

WALL_START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: what a clock on the wall shows at the start, unless told otherwise; in Unix nanoseconds."""


class ManualTimer:
    """A callback that a `ManualClock` keeps for its moment."""

    __slots__ = ("_waiting", "callback", "number", "when")

    def __init__(self, waiting: list[tuple[float, int, ManualTimer]], when: float, number: int, callback: Callable[[], object]) -> None:
        self._waiting = waiting
        self.when = when
        self.number = number
        self.callback = callback

    def __repr__(self) -> str:
        return f"<ManualTimer when={self.when}>"

    def cancel(self) -> None:
        """Take the timer back; after it fired, and the second time, nothing happens."""
        place = bisect_left(self._waiting, (self.when, self.number))
        if place < len(self._waiting) and self._waiting[place][2] is self:
            del self._waiting[place]


class ManualClock:
    """A clock for tests: hours pass in microseconds, in the same order every time.

    Give it to a machine with `StateMachine(..., clock=clock)`. Timers fire in the order in which they are due, those of one moment in the
    order in which they were made. Without a running event loop it moves just the same. It belongs to one thread.

        >>> clock = ManualClock()
        >>> timer = clock.call_at(3600.0, lambda: print("an hour has passed at", clock.now()))
        >>> moved = clock.advance(7200)
        an hour has passed at 3600.0
        >>> clock.now()
        7200.0

    Args:
        start: What `now()` says first, in seconds.
        wall_ns: What `wall_ns()` says first, in Unix nanoseconds; moves along with `now()`. Default: the first second of 2026.
    """

    __slots__ = ("_made", "_now", "_start", "_timers", "_wall_start")

    def __init__(self, start: float = 0.0, *, wall_ns: int = WALL_START_NS) -> None:
        self._start = self._now = _finite(start, "start")
        self._wall_start = wall_ns
        # Kept sorted, not as a heap: a cancelled timer leaves at once, so a clock that arms and cancels for hours does not grow.
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._made = 0

    def __repr__(self) -> str:
        return f"<ManualClock now={self._now} timers={len(self._timers)}>"

    def now(self) -> float:
        """Return the time in seconds; it moves only when the test says so."""
        return self._now

    def wall_ns(self) -> int:
        """Return the time of day in Unix nanoseconds."""
        return self._wall_start + round((self._now - self._start) * 1e9)

    @property
    def next_timer(self) -> float | None:
        """The moment at which the next timer is due, in seconds of this clock; None without timers."""
        return self._timers[0][0] if self._timers else None

    def call_at(self, when: float, callback: Callable[[], object]) -> ManualTimer:
        """Keep *callback* until *when*, a moment of this clock in seconds.

        If *when* is not in the future, time need not move any more: the running event loop calls *callback* in its next turn, as asyncio's
        own timers do; without a running loop the next `advance` does, be it by 0.

        Raises:
            ValueError: *when* is NaN; nothing was kept. Infinity is allowed and never due.
        """
        if math.isnan(when):
            raise ValueError("call_at(when) must be a moment in seconds, not NaN")
        when = float(when)
        self._made += 1
        timer = ManualTimer(self._timers, when, self._made, callback)
        insort(self._timers, (when, timer.number, timer))
        if when <= self._now:
            self._ask_loop_to_fire()
        return timer

    def advance(self, seconds: float) -> Settling:
        """Let *seconds* pass at once, firing each timer at its moment; await what it returns to let the woken tasks run.

        Tasks run only when you await, and then see the end of the time that passed; `run_for` lets them run in between.

            clock.advance(5)          # time has passed, timers have fired
            await clock.advance(5)    # ... and everybody that they woke has run

        Args:
            seconds: Time to pass, >= 0 and finite. `set` goes back.

        Raises:
            ValueError: *seconds* is negative, infinite or NaN; time has not moved.
        """
        self._move_to(self._now + _passing(seconds))
        return Settling()

    def advance_to_next(self) -> Settling:
        """Let time pass until the next timer is due and fire all of that moment; await what it returns to let the woken tasks run.

        Raises:
            LookupError: No timer waits for a moment that comes; time has not moved.
        """
        due = self.next_timer
        if due is None or due == math.inf:
            raise LookupError(
                "no timer waits, so there is no next moment to go to. A machine sets its timer when it begins to wait: "
                "start serve() or run() and `await settle()` first, or pass the time yourself with advance(seconds)."
            )
        self._move_to(due)
        return Settling()

    async def run_until_idle(self, *, limit: int = 10_000) -> None:
        """Go from timer to timer, letting everything that each woke run, until no timer waits and nothing is ready.

        Args:
            limit: Moments to stop at before giving up, at least 1.

        Raises:
            RuntimeError: Timers still waited after *limit* moments, because something sets a new one each time, or something does not come
                to rest (see `settle`); time stands at the last moment.

        Cancel-safe: time stands where it was.
        """
        await settle()
        for _ in range(limit):
            due = self.next_timer
            if due is None or due == math.inf:
                return
            self._move_to(due)
            await settle()
        if self.next_timer not in {None, math.inf}:
            raise RuntimeError(
                f"not idle after {limit} moments: at {self._now} s a timer still waits for {self.next_timer} s. Something sets a new timer "
                "whenever one fires (a state that times out into itself, a ticker): let a span of time pass with run_for(seconds) instead."
            )

    async def run_for(self, seconds: float) -> None:
        """Let *seconds* pass in steps: stop at each timer, and let everything that it woke run, before time goes on.

        Args:
            seconds: Time to pass, >= 0 and finite.

        Raises:
            ValueError: *seconds* is negative, infinite or NaN; time has not moved.
            RuntimeError: Something does not come to rest (see `settle`); time stands at that timer.

        Cancel-safe: time stands where it was.
        """
        end = self._now + _passing(seconds)
        await settle()
        while (due := self.next_timer) is not None and due <= end:
            self._move_to(due)
            await settle()
        self._move_to(end)
        await settle()

    def set(self, moment: float) -> Settling:
        """Put the clock to *moment*, forward or back, as a clock is set: nobody sees the time between.

        What is due at *moment* fires there, late; going back fires nothing, and what has fired stays fired.

        Args:
            moment: The new time in seconds of this clock, finite.

        Raises:
            ValueError: *moment* is infinite or NaN; time has not moved.
        """
        self._now = moment = _finite(moment, "set(moment)")
        self._move_to(moment)
        return Settling()

    def _move_to(self, moment: float) -> None:
        """Fire what is due until *moment*, each at its time; never goes back, though a callback may move the clock as well."""
        while self._timers and self._timers[0][0] <= moment:
            when, _, timer = self._timers.pop(0)
            self._now = max(self._now, when)
            timer.callback()
        self._now = max(self._now, moment)

    def _ask_loop_to_fire(self) -> None:
        try:
            loop = get_running_loop()
        except RuntimeError:
            return
        loop.call_soon(self._fire_due)

    def _fire_due(self) -> None:
        self._move_to(self._now)


class Settling:
    """What moving a `ManualClock` gives: awaiting it is `settle()`, dropping it is allowed."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        """Let every ready task run until nothing is ready."""
        return settle().__await__()


def _passing(seconds: float) -> float:
    span = _finite(seconds, "seconds")
    if span < 0:
        raise ValueError(f"time passes forward: seconds must be >= 0, not {seconds!r}. ManualClock.set(moment) puts the clock back.")
    return span


def _finite(number: float, what: str) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{what} must be a finite number of seconds, not {number!r}")
    return float(number)
