"""A call that moves the machine: how it begins, waits and ends, and a tick with everything that it may meet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from septum import _errors
from septum._gate import gate
from septum._mode import (
    BUSY,
    CHANGED,
    CLOSED,
    DELAY,
    DONE,
    EQUIPPED,
    FAILED,
    FIRST,
    FRESH,
    NOT_RUNNING,
    OBSERVED,
    PAUSED,
    STAGE,
    STOPPING,
    WAIT,
    WATCHED,
)
from septum._pace import paces
from septum._stepper import IDLE, STEPPED, WAITING, Stepper

if TYPE_CHECKING:
    from septum._hooks import Watch

T = TypeVar("T")


class Session(Stepper[T]):
    """A machine that can be started, and moved by one call at a time."""

    __slots__ = ()

    async def initialize(self) -> None:
        """Enter the initial state; a second call does nothing. The thread that calls it first owns the machine.

        Raises:
            Exception: What `on_enter` of the initial state raised and nothing handled; the next call of `tick` makes it again.
        """
        if self._mode == gate.start and self._plan.quick_start:
            self._pace = paces.mine
            self._visits = 1
            self._mode = FIRST
        elif self._mode & NOT_RUNNING == FRESH:
            self._claim("initialize()")
            try:
                await self._start()
            finally:
                self._release()

    def stop(self) -> None:
        """Let the running `serve()`, `run()` or `tick()` return after the step it is at; does nothing when none is at work."""
        if self._mode & BUSY:
            self._mode |= STOPPING
            self._hold_mail()
            self._wake_up()

    async def _start(self) -> bool:
        """Enter the initial state; True when its deadline cut `on_enter`, and `on_timeout` has made the first step instead."""
        self._pace = paces.mine
        self._look_for_observers()
        node = self._node = self._plan.initial
        self._mode &= ~(FRESH | EQUIPPED)
        self._end_work()
        self._begin_watching(resumed=False)
        self._hold_mail()
        self._begin(node, "initial")
        if self._mode & OBSERVED:
            self._start_work()
        try:
            return await self._enter(node)
        except Exception as error:
            if not await self._route(error):
                raise
            return True

    def _claim(self, called: str, *, again: bool = False) -> None:
        """Begin a call that moves the machine.

        Args:
            called: The call, as errors name it.
            again: What has ended may begin again.

        Raises:
            AlreadyRunning, WrongThread, StateMachineComplete, NoStateToTick: Nothing was touched.
        """
        mode = self._mode
        name = self._plan.name
        if self._pace.is_foreign():
            raise _errors.wrong_thread(name, called)
        if mode & BUSY:
            raise _errors.already_running(name, called)
        if mode & DONE and not again:
            raise _errors.complete(name)
        if mode & CLOSED and not again:
            raise _errors.NoStateToTick(f"machine {name!r} is closed: its `async with` has ended. reset() starts it again.", machine=name)
        self._mode = mode & ~(DONE | CLOSED | FAILED | CHANGED) | BUSY

    def _release(self) -> None:
        """End a call that moved the machine."""
        self.msg = None
        mode = self._mode
        self._mode = mode & ~(BUSY | STOPPING | CHANGED)
        if mode & STOPPING:
            self._hold_mail()
        aside = self._aside
        if aside is None:
            return
        if aside.undo is not None:
            self._end_work()
        if aside.released is not None and not aside.released.done():
            aside.released.set_result(None)

    async def _pause(self) -> None:
        """Give the event loop a turn between two steps of a call."""
        self._mode |= PAUSED
        try:
            await self._pace.give_way()
        finally:
            self._mode &= ~PAUSED

    async def _failed(self, error: BaseException) -> None:
        """Route what came out of a fast loop; what nothing handles is raised, and the call that it came out of has ended."""
        self.msg = None
        try:
            if not isinstance(error, Exception) or not await self._route(error):
                raise error
        except BaseException:
            self._release()
            raise

    async def _tick_observed(self, watch: Watch) -> None:
        """Do what `_tick(0)` does where a first call or a message is due, the same listen as before, and nothing special is the matter."""
        waits = self._mode & WAIT != 0
        self._mode |= BUSY
        try:
            if watch.audience.working:
                self._start_work()
            node = self._node
            try:
                if not waits:
                    answer = await self._call_on_state(node)
                    if answer is node.quick[0] and self._mode == WATCHED:
                        self._pass(watch, node, node.quick)
                        self._node = node.quick[1]
                    elif answer is None and not node.terminal:
                        self._answered_wait(node)
                        waits = True
                    else:
                        waits = await self._answered(node, answer)
                if waits:
                    await self._attend(node)
            except Exception as error:
                if not await self._route(error):
                    raise
        finally:
            self._release()
        await self._give_way()

    async def _give_way(self) -> None:
        """Count a tick, and let others have a turn if it is time.

        Raises:
            StateMachineComplete: That was the last one.
        """
        pace = self._pace
        pace.left -= 1
        if pace.left <= 0 and pace.is_due():
            await pace.give_way()
        if self._mode & DONE:
            raise _errors.complete(self._plan.name)

    async def _tick(self, timeout: float | None) -> None:
        """Do what `tick` does, with everything that it may meet."""
        if self._mode & ~WAIT == OBSERVED and gate.calm >= 0 and timeout == 0 and not self._pace.is_foreign():
            watch = self._watch
            if watch is not None and not watch.ended:
                await self._tick_observed(watch)
                return
        check_seconds(timeout, "Tick")
        self._claim("tick()")
        try:
            did = STEPPED if self._mode & FRESH and await self._start() else IDLE
            self._look_for_observers()
            if self._mode & OBSERVED:
                self._start_work()
            now = self._plan.now
            until: float | None = None
            while did == IDLE:
                did = await self._step()
                if did == WAITING:
                    # A first call that answers "wait", and the call with what came meanwhile, are one tick.
                    did = await self._step()
                if did != IDLE or timeout == 0 or self._mode & STOPPING or (until is not None and now() >= until):
                    break
                if timeout is not None and until is None:
                    until = now() + timeout
                await self._wait(self._next_moment(until))
                self._look_for_observers()
        finally:
            self._release()
        await self._give_way()

    async def _wait_for_work(self, patience: float | None) -> bool:
        """Wait until something is due; False when nothing came for *patience* seconds, and nothing ever will by itself."""
        moment = self._next_moment(None)
        until = moment
        if moment is None and patience is not None:
            until = self._plan.now() + patience
        await self._wait(until)
        self._look_for_observers()
        if moment is not None or until is None or self._mode & STOPPING:
            return True
        return len(self._mailbox) > 0 or self._plan.now() < until

    def _next_moment(self, until: float | None) -> float | None:
        """Return when something happens without a message: the deadline, the end of a retry's delay, *until*; None for never."""
        pending = self._deadline
        if pending is None or (self._node.timeout is None and self._mode & STAGE != DELAY):
            return until
        return pending if until is None or pending < until else until

    def _is_back(self, retries: int) -> bool:
        """Say whether stack and retry count are what they were when the call began; its state was compared already."""
        aside = self._aside
        if aside is None:
            return retries == 0
        return len(aside.stack) == len(aside.anchor) == aside.matched and self.retry_count == retries


def check_seconds(timeout: object, who: str) -> None:
    """Refuse what is no time to wait."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or math.isnan(timeout) or timeout < 0:
        raise ValueError(f"{who} timeout must be None or >= 0 (seconds; an int or float), not {timeout!r}")
