"""Fairness: a thread's machines together give way to its event loop every 4 ms or so, also when none of them ever suspends."""

from __future__ import annotations

from threading import RLock, local
from typing import TYPE_CHECKING, Final

from septum._clock import LOOP_CLOCK, pass_turn

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE: Final = 4e-3
"""Seconds that machines may run on without a turn of the event loop: below what a person or a timeout notices."""

STRIDE: Final = 64
"""Most steps between two looks at the clock: spreads its cost to a nanosecond a step, and bounds what a sudden slow handler can overrun."""

_now = LOOP_CLOCK.now


class Pace:
    """One thread's account of how long its machines have run without a pause.

    It reads real time, whatever clock its machines have: what it protects are timers, sockets and signals.

    Attributes:
        lock: Held by the thread for good, which is how `is_mine` knows the thread.
        left: Steps until the clock is looked at; the machines count it down.
        since: When the event loop last had a turn, as far as is known.
        stride: Steps between two looks; small where steps are slow.
    """

    __slots__ = ("left", "lock", "looked", "since", "stride")

    def __init__(self) -> None:
        self.lock = RLock()
        self.lock.acquire()
        self.stride = 1
        self.left = 1
        self.since = self.looked = _now()

    def is_foreign(self) -> bool:
        """Say whether this is the pace of another thread: not of the one that asks, and not `NO_PACE`."""
        return self is not NO_PACE and not is_mine(self.lock)

    def is_due(self) -> bool:
        """Look at the clock: True if the event loop should have a turn now (`give_way`)."""
        now = _now()
        took, self.looked = now - self.looked, now
        # Slow steps are looked at one by one, quick ones many at a time.
        if took > SLICE / 8:
            self.stride = 1
        elif self.stride < STRIDE:
            self.stride *= 2
        self.left = self.stride
        return now - self.since >= SLICE

    async def give_way(self) -> None:
        """Give the event loop a turn."""
        await pass_turn()
        self.since = self.looked = _now()


class _Paces(local):
    """The pace of the thread that asks, made when it first asks."""

    def __init__(self) -> None:
        self.mine = Pace()


paces = _Paces()
"""`paces.mine` is the pace of the thread that asks."""


NO_PACE: Final = Pace()
"""The pace of a machine that no thread owns yet."""
NO_PACE.lock.release()


def _is_of_this_pace(lock: RLock) -> bool:
    return lock is paces.mine.lock


# Asking a lock whether this thread holds it takes a third of asking for the thread's number and comparing that, which makes an object.
# `threading.Condition` asks so, but the method is private to threading: where there is none, the thread's own pace is looked up.
is_mine: Final[Callable[[RLock], bool]] = getattr(type(NO_PACE.lock), "_is_owned", _is_of_this_pace)
"""Says whether a pace's lock is held by this thread: whether its machines are this thread's."""
