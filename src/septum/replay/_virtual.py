"""Time under replay: a clock that a recording moves, and an event loop that counts by it and asks what comes next when nothing is ready."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    Idle = Callable[[float | None], float]

MOST_TURNS: Final = 2_000
"""Turns of the loop without a pause after which it asks all the same: somebody waits by asking over and over."""


class VirtualClock:
    """A `septum.Clock` that stands still until it is set.

    Attributes:
        time: Seconds; whoever leads the replay sets it, forward only.
        wall: Unix nanoseconds at time 0.
    """

    __slots__ = ("_alarm", "loop", "time", "wall")

    def __init__(self, wall: int = 0) -> None:
        self._alarm: tuple[asyncio.TimerHandle, Callable[[], object]] | None = None
        self.time = 0.0
        self.wall = wall
        self.loop: VirtualLoop | None = None

    def now(self) -> float:
        """Return the time in seconds."""
        return self.time

    def wall_ns(self) -> int:
        """Return the time of day, in Unix nanoseconds, at which this happened when it was recorded."""
        return self.wall + round(self.time * 1e9)

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call *callback* when the time has come to *when*."""
        if self.loop is None:
            raise RuntimeError("a VirtualClock calls back in its VirtualLoop only; there is none")
        timer = self.loop.call_at(when, self._go_off, callback)
        self._alarm = timer, callback
        return timer

    def _go_off(self, callback: Callable[[], object]) -> None:
        self._alarm = None
        callback()

    def ring(self) -> bool:
        """Let the last timer that was set go off now, as the first thing of all; says whether there was one."""
        if self._alarm is None or self._alarm[0].cancelled():
            return False
        timer, callback = self._alarm
        self.advance(timer.when())
        timer.cancel()
        self._go_off(callback)
        return True

    def advance(self, moment: float) -> None:
        """Go forward to *moment*; never back."""
        self.time = max(self.time, moment)


class _Selector(selectors.DefaultSelector):
    """A selector that never sleeps by itself: where the loop would, it asks what comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.idle: Idle | None = None
        self.turn: Callable[[], None] | None = None
        self.turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; asks `idle` for more where nothing is, and sleeps for as many seconds as that says, 0 for not at all."""
        self.turns += 1
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or self.idle is None:
            return ready
        if timeout is not None and timeout <= 0 and self.turns < MOST_TURNS:
            if self.turn is not None:
                self.turn()
            return ready
        self.turns = 0
        seconds = self.idle(timeout)
        return super().select(seconds) if seconds > 0 else []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go by a `VirtualClock`.

    Nobody who sleeps in it waits: when nothing is ready, `idle` is called with the seconds until the next timer (None without one) and says
    for how many real seconds the loop shall wait for sockets and threads; it may move the clock or make something ready.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._virtual = clock
        clock.loop = self
        self._asking = _Selector()
        super().__init__(self._asking)

    def time(self) -> float:
        """Return the clock's time."""
        return self._virtual.time

    def run(self, main: Coroutine[Any, Any, object], idle: Idle, turn: Callable[[], None] | None = None) -> None:
        """Run *main* to its end, and cancel what it leaves behind; *turn* is called where somebody suspended who is ready again.

        Raises:
            BaseException: What came out of *main*.
        """
        self._asking.idle, self._asking.turn = idle, turn
        try:
            self.run_until_complete(main)
        finally:
            self._asking.idle = self._asking.turn = None
            self._end_rest()

    def _end_rest(self) -> None:
        """Cancel the tasks that handlers left behind; one that will not go is left alone."""
        rest = asyncio.all_tasks(self)
        for task in rest:
            task.cancel()
        if rest:
            self._asking.idle = lambda _: 0.0
            for _ in range(10):
                if all(task.done() for task in rest):
                    break
                self.run_until_complete(asyncio.sleep(0))
        self._asking.idle = None
        self.run_until_complete(self.shutdown_asyncgens())


def step_through(clock: VirtualClock) -> Idle:
    """Return an `idle` for a loop that is led by nobody: it goes from timer to timer, and waits for real where there is none."""

    def idle(seconds: float | None) -> float:
        if seconds is None:
            return 3600.0
        clock.time += seconds
        return 0.0

    return idle
