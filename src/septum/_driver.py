"""How a machine is kept going: ticked, run, served.

`tick` and `_drive` each hold a fast loop for the common case, plain edges of a machine that nobody observes: the handler's call, one
comparison of the mode, one of the answer. Whatever else is the matter goes to `_stepper`, which does it in full. tests/model runs both on
the same random machines.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from septum import _errors
from septum._deadline import within
from septum._gate import gate
from septum._mode import BUSY, CHANGED, DONE, FIRST, FRESH, OBSERVED, STOPPING, WAIT, WATCHED
from septum._node import ASYNC, ASYNC_DWELLS, ASYNC_TIMED, SYNC
from septum._pace import is_mine
from septum._queue import NOTHING
from septum._session import Session, check_seconds
from septum._stepper import IDLE, STEPPED

if TYPE_CHECKING:
    from septum._states import StateSpec

T = TypeVar("T")

_NO_LIMIT: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How `serve` ended.

    Attributes:
        state: The last state.
        outcome: "completed" or "stopped".
        visits: Visits started during the call.
        duration: Seconds of the machine's clock.
    """

    state: StateSpec
    outcome: str
    visits: int
    duration: float


class Driver(Session[T]):
    """A machine that can be kept going."""

    __slots__ = ()

    async def tick(self, timeout: float | None = 0) -> None:  # noqa: C901, PLR0912, PLR0915 - the fast loop, by hand
        """Make one step, with at most one message in it.

        A visit's first call has `ctx.msg` None; if it answers "wait" and a message is there, or the deadline over, the call for that is
        made too.

        Args:
            timeout: Seconds to wait for a message or deadline when nothing is due; 0 does not wait, None waits for ever.

        Raises:
            StateMachineComplete: The machine reached its end, in this tick or before.
            ValueError: A timeout that is negative or no number; nothing was done.
            AlreadyRunning, WrongThread: Nothing was done.
            Exception: What a handler raised and nothing handled; the machine is in a named state and can be ticked again.

        Cancel-safe: a handler that was cancelled is called again by the next tick, but the message it had seen is consumed.
        """
        mode = self._mode
        pace = self._pace
        if mode > gate.calm or timeout != 0 or not is_mine(pace.lock):
            await self._tick(timeout)
            return
        node = self._node
        on_state = node.on_state
        self._mode = BUSY
        try:
            if mode == FIRST:
                if node.speed <= ASYNC:
                    answer = await on_state(self)
                elif node.speed == ASYNC_TIMED:
                    call = on_state(self)
                    try:
                        waiting = call.send(None)
                    except StopIteration as stop:
                        answer = stop.value
                    else:
                        answer = await within(call, waiting, self._deadline, self._plan.clock)
                elif node.speed == SYNC:
                    answer = on_state(self)
                else:
                    answer = await self._call_on_state(node)
                if answer is not None:
                    label, target, seconds, _, _ = node.quick
                    if answer is label and self._mode == BUSY:
                        self._node = target
                        self._visits += 1
                        if seconds is not None:
                            self._deadline = self._plan.now() + seconds
                        self._mode = FIRST
                        pace.left = left = pace.left - 1
                        if left > 0:
                            return
                    elif await self._finish(node, answer):
                        await self._do_what_is_due()
                elif not node.may_wait or node.terminal:
                    if await self._finish(node, answer):
                        await self._do_what_is_due()
                else:
                    mode = WAIT
            if mode == WAIT:
                # Whatever changed the mode meanwhile has closed `ready`.
                box = self._mailbox
                ready = box.ready
                if not ready or node.speed != ASYNC_DWELLS:
                    self._mode |= WAIT
                    await self._do_what_is_due()
                else:
                    self.msg = message = ready.popleft()
                    box.taken += 1
                    try:
                        answer = await on_state(self)
                    except BaseException:
                        self._mode |= WAIT
                        raise
                    label, target, seconds, _, _ = node.quick
                    if answer is label and self._mode == BUSY:
                        self.msg = None
                        self._node = target
                        self._visits += 1
                        if seconds is not None:
                            self._deadline = self._plan.now() + seconds
                        self._mode = FIRST
                        pace.left = left = pace.left - 1
                        if left > 0:
                            return
                    else:
                        self._mode |= WAIT
                        await self._finish(node, answer, message)
        except BaseException as error:  # noqa: BLE001 - cancellation too ends the call; _failed raises it again
            await self._failed(error)
        mode = self._mode
        if mode & STOPPING:
            # Somebody waits for this call to end.
            self._release()
        else:
            self._mode = mode & ~BUSY
        pace.left -= 1
        if pace.left <= 0 and pace.is_due():
            await pace.give_way()
        if mode & DONE:
            raise _errors.complete(self._plan.name)

    async def run(self, max_iterations: int | None = None, timeout: float | None = 1) -> None:
        """Make steps until the machine comes to rest.

        It rests when it waits without a deadline and nothing arrives for *timeout* seconds, or when it comes back to the configuration
        (state, stack, retry count) in which this call began without having consumed a message, a deadline or a retry's delay on the way:
        one lap. While a deadline or a delay is pending it waits for that, however long it is, unless *timeout* is 0.

        Args:
            max_iterations: At most so many handler calls of `on_state`; a lap does not end it then.
            timeout: Seconds; 0 never waits, None waits for ever.

        Raises:
            StateMachineComplete: The machine reached its end, in this call or before.
            ValueError: A timeout or number of iterations that is negative or no number; nothing was done.
            Exception: As `tick`.

        Cancel-safe, as `tick` is.
        """
        check_seconds(timeout, "run")
        if max_iterations is not None and (not isinstance(max_iterations, int) or max_iterations < 0):
            raise ValueError(f"run's max_iterations must be None or an int >= 0, not {max_iterations!r}")
        self._claim("run()")
        try:
            await self._drive(max_iterations, timeout)
        finally:
            self._release()
        if self._mode & DONE:
            raise _errors.complete(self._plan.name)

    async def serve(self) -> RunResult:
        """Run until the machine completes or `stop()` is called, waiting for messages as long as it takes.

        Returns:
            How it ended; completion is no exception here.

        Raises:
            Exception: What a handler raised and nothing handled; the run is told as failed.
            CancelledError: The run is told as cancelled. The machine can go on after either.
        """
        if self._mode & (DONE | BUSY) == DONE:
            return RunResult(state=self._node.spec, outcome="completed", visits=0, duration=0.0)
        self._claim("serve()")
        began, visits = self._plan.now(), self._visits
        try:
            await self._drive(None, None, laps=False)
            if not self._mode & DONE:
                self._end_run("stopped", None)
        except asyncio.CancelledError as error:
            self._end_run("cancelled", error)
            raise
        except BaseException as error:
            self._end_run("failed", error)
            raise
        finally:
            self._release()
        outcome = "completed" if self._mode & DONE else "stopped"
        return RunResult(state=self._node.spec, outcome=outcome, visits=self._visits - visits, duration=self._plan.now() - began)

    async def _drive(self, limit: int | None, patience: float | None, *, laps: bool = True) -> None:  # noqa: C901, PLR0912, PLR0915 - as tick
        """Make steps until the machine rests, completes or is stopped; errors that nothing handles come out."""
        left = _NO_LIMIT if limit is None else limit
        if self._mode & FRESH and await self._start():
            left -= 1
        self._look_for_observers()
        if self._mode & OBSERVED:
            self._start_work()
        plan = self._plan
        pace = self._pace
        # What this call began in; coming back to it is a lap.
        start = self._node if laps and limit is None else None
        retries = self.retry_count
        if self._aside is not None:
            self._aside.anchor = tuple(self._aside.stack)
            self._aside.matched = len(self._aside.anchor)
            self._aside.consumed = False
        consumed = False
        while left > 0:
            mode = self._mode
            if mode & (DONE | STOPPING):
                return
            if mode & CHANGED:
                self._mode = mode = mode & ~CHANGED
            visits = self._visits
            box = self._mailbox
            taken = box.taken
            # A turn of the fast loop is two steps at most: a state's first call, and the call with a message.
            stride = min(left // 2, max(pace.left, 1))
            special = mode != BUSY or stride == 0
            if special:
                watch = self._watch
                if watch is not None and mode == WATCHED and watch.audience.light and not (plan.expects and watch.audience.passed):
                    if plan.expects or not watch.audience.silent:
                        take = self._take_light_steps
                    else:
                        take = self._take_passed_steps if watch.audience.passed else self._take_silent_steps
                    steps = await take(watch, max(stride, 1), start)
                    did = STEPPED
                else:
                    steps = 1
                    did = await self._step()
            else:
                did = STEPPED
                node = self._node
                steps = 0
                message: object = NOTHING
                try:
                    for steps in range(1, stride + 1):
                        on_state = node.on_state
                        if node.speed <= ASYNC:
                            answer = await on_state(self)
                        elif node.speed == ASYNC_TIMED:
                            call = on_state(self)
                            try:
                                waiting = call.send(None)
                            except StopIteration as stop:
                                answer = stop.value
                            else:
                                answer = await within(call, waiting, self._deadline, plan.clock)
                        elif node.speed == SYNC:
                            answer = on_state(self)
                        else:
                            answer = await self._limited(on_state(self), limited=True)
                        if answer is not None:
                            label, target, seconds, _, _ = node.quick
                            if answer is not label or self._mode != BUSY:
                                await self._finish(node, answer)
                                break
                        elif node.speed != ASYNC_DWELLS:
                            await self._finish(node, answer)
                            break
                        else:
                            # Messages that wait, until one of them leads on. Whatever changes the mode closes `ready`.
                            while ready := box.ready:
                                self.msg = message = ready.popleft()
                                box.taken += 1
                                consumed = True
                                try:
                                    answer = await on_state(self)
                                except BaseException:
                                    self._mode |= WAIT
                                    raise
                                if answer is not None or box.taken - taken >= stride:
                                    break
                            if answer is None:
                                # Nothing is there, or something special, or it is enough for now.
                                self.msg = None
                                self._mode |= WAIT
                                break
                            label, target, seconds, _, _ = node.quick
                            if answer is not label or self._mode != BUSY:
                                self._mode |= WAIT
                                await self._finish(node, answer, message)
                                break
                            self.msg = None
                        self._visits += 1
                        if seconds is not None:
                            self._deadline = plan.now() + seconds
                        self._node = node = target
                        if node is start and (self._aside is None or self._is_back(retries)):
                            if not consumed:
                                pace.left -= steps
                                if pace.left <= 0 and pace.is_due():
                                    await self._pause()
                                return
                            consumed = False
                            visits = self._visits
                except Exception as error:
                    self.msg = None
                    if not await self._route(error):
                        raise
                steps += self._mailbox.taken - taken
            left -= steps
            pace.left -= steps
            aside = self._aside
            if special and self._mailbox.taken != taken:
                consumed = True
            if aside is not None and aside.consumed:
                consumed, aside.consumed = True, False
            # An entry that a fast loop did not see.
            if self._visits != visits and self._node is start and self._is_back(retries):
                if not consumed:
                    return
                consumed = False
            if did == IDLE:
                left += 1
                if patience == 0 or not await self._wait_for_work(patience):
                    return
            elif pace.left <= 0:
                if pace.is_due():
                    await self._pause()
                if gate.loud:
                    self._look_for_observers()
