"""Plays a recording: moves a machine step by step, so that all comes in the order in which it came when it was recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from septum import semconv
from septum._mode import FIRST, WAIT
from septum._stepper import IDLE
from septum.replay import _lines as lines
from septum.replay._divergence import Halt
from septum.replay._entrance import Entrance
from septum.replay._script import START
from septum.replay._telling import CANCELLED, is_own

if TYPE_CHECKING:
    from collections.abc import Callable

    from septum.replay._actor import Actor
    from septum.replay._judge import Judge
    from septum.replay._record import Record
    from septum.replay._script import Script


class Player:
    """Leads one machine through one recording.

    Attributes:
        notes: What a reader of the result should know.
        step_began: How many records were passed when the step began that is at work.
        pauses: Asked before each step; true ends `play` there.
    """

    def __init__(self, script: Script, judge: Judge, actor: Actor, *, patience: float, given: bool = False) -> None:
        """Lead *actor* through *script*; *given*: its `common` is the caller's, and stays."""
        self._script = script
        self._judge = judge
        self._actor = actor
        self._entrance = Entrance(script, judge, actor, given=given)
        self._patience = patience
        self._waited = 0.0
        self._passed = -1
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = False
        self.notes: list[str] = []
        self.step_began = 0
        self.pauses: Callable[[], bool] | None = None

    async def play(self) -> None:
        """Play to the end of the recording, or to where `pauses` says so.

        Raises:
            Halt: The replay left the recording, or cannot go on.
        """
        actor, script = self._actor, self._script
        self._task = actor.task = asyncio.current_task()
        first = script.next
        if first.event == START and not first.attributes.get(semconv.RECORDING_RESUMED):
            if self.pauses is not None and self.pauses():
                return
            script.advance()
            await self._do(actor.begin(first.run_id))
        else:
            self.notes.append("the run began before it was recorded: ctx.common and the retry counts are as the first record has them")
            self._entrance.begin(first)
        while True:
            self.step_began = script.passed
            if (self.pauses is not None and self.pauses()) or not self._prepare():
                return
            passed = script.passed
            did = await self._do(self._step())
            if did == IDLE and script.passed == passed:
                self._judge.diverge("machine", self._say_idle())

    async def _step(self) -> int:
        actor = self._actor
        if actor.stage == FIRST and await actor.steps():
            return -1
        return await actor.step()

    async def _do(self, call: Any) -> int:
        """Make a call of the machine; what it raises to its caller is in the recording, and the caller went on."""
        try:
            return cast("int", await call)
        except asyncio.CancelledError:
            if not self._cancelling:
                raise
            self._cancelling = False
            cast("asyncio.Task[Any]", self._task).uncancel()
        except Halt as halt:
            if halt.divergence is not None or self._judge.halt is not None:
                raise
            # The recording ends here, or has a gap.
            return -1
        except Exception:  # noqa: BLE001 - whatever a handler raises
            if self._judge.halt is not None:
                raise self._judge.halt from None
        if self._judge.halt is not None:
            raise self._judge.halt
        return -1

    # -- before a step

    def _prepare(self) -> bool:
        """Do what happened outside before the next step, and set the clock for it; False at the end."""
        script, judge = self._script, self._judge
        while True:
            record = script.next
            match record.event:
                case "message" | "dropped" if judge.is_outside(record):
                    judge.let_in(record)
                case "end" if record.attributes.get(semconv.RUN_OUTCOME) != semconv.RunOutcome.COMPLETED:
                    script.advance()
                    if script.next.event != START:
                        return False
                case "start":
                    self.notes.append(f"went on with the machine that was restored in record {record.index}")
                    self._entrance.go_on()
                case "snapshot":
                    script.advance()
                case "gap":
                    self.notes.append(self._entrance.go_on_after_gap())
                case "nothing":
                    return False
                case _ if self._actor.is_done:
                    if record.event != "end":
                        judge.diverge("machine", "the machine has completed")
                    return False
                case _:
                    judge.set_clock(record, self._actor.stage)
                    return True

    def _say_idle(self) -> str:
        actor = self._actor
        where = self._judge.name(actor.state)
        if actor.stage == WAIT and not actor.queue_depth:
            return f"the machine waits in {where}, without a message"
        return f"the machine waits in {where}"

    # -- when nothing is ready

    def idle(self, seconds: float | None) -> float:
        """Say what comes next while the machine's handler waits: called by the loop when nothing is ready.

        Args:
            seconds: Until the next timer; None without one.

        Returns:
            Real seconds to wait for something that is not in the recording.
        """
        try:
            return self._find_next(seconds)
        except Halt:
            # The judge keeps it; the machine's task learns of it by its cancellation.
            self._cancel()
            return 0.0

    def _find_next(self, seconds: float | None) -> float:
        script, judge = self._script, self._judge
        if script.passed != self._passed:
            self._passed, self._waited = script.passed, 0.0
        if judge.halt is not None:
            self._cancel()
            return 0.0
        record = script.next
        clock = script.clock
        timer = None if seconds is None else clock.time + seconds
        moment = record.at / 1e9
        if judge.is_outside(record) and not (timer is not None and timer < moment):
            judge.let_in(record)
            return 0.0
        if judge.wake_callers():
            return 0.0
        if self._was_cancelled(record) and not (timer is not None and timer < moment and not self._actor.in_error_fn):
            self._cancel()
            return 0.0
        if timer is not None:
            if self._was_cut_late(record) and clock.ring():
                return 0.0
            clock.time = max(clock.time, timer)
            return 0.0
        if self._waited >= self._patience:
            self._give_up()
        self._waited += _PIECE
        return _PIECE

    def _give_up(self) -> NoReturn:
        judge = self._judge
        frame = lines.waiting_frame(cast("asyncio.Task[Any]", self._task).get_coro())
        judge.diverge(
            "waits",
            f"a handler of {judge.name(self._actor.state)} waits for something that is not in the recording",
            where=None if frame is None else lines.say(frame.f_code.co_filename, frame.f_lineno),
            advice="What a handler awaits from outside must go through `await ctx.call(name, fn, *args)`, so that the recording has it.",
            frame=frame,
        )

    def turn(self) -> None:
        """End a call that was cut or cancelled where it suspends without waiting for anything: it may be the last time that it does."""
        record = self._script.next
        deadline = self._actor.deadline
        is_over = deadline is not None and self._script.clock.time >= deadline
        waits = getattr(self._task, "_fut_waiter", None) is not None
        if (is_over or not waits) and self._was_cancelled(record):
            self._cancel()
        elif not waits and record.attributes.get(semconv.HANDLER_CUT):
            self._script.clock.ring()

    def _was_cancelled(self, record: Record) -> bool:
        """Say whether the call that is suspended was cancelled when it was recorded, with nothing between."""
        if self._cancelling:
            return False
        if self._actor.in_error_fn:
            before = self._script.last
            for other in (record, *self._script.ahead()):
                if other.event in {"effect", "message", "dropped"}:
                    if is_own(other) is not False:
                        # Its own doing follows at once; the start of a handler would have a number in between.
                        return other.seq != before.seq + 1 + (before.index == self._judge.exhausted_after)
                elif other.event in {"error", "handler", "taken", "end"}:
                    # Its end would be told by an "error"; the handler whose error it was asked about was called again instead.
                    return other.event != "error"
                before = other
            return False
        return record.event == "handler" and record.attributes.get(semconv.ERROR_TYPE) == CANCELLED

    def _was_cut_late(self, record: Record) -> bool:
        """Say whether the call is cut next, and was so long after its deadline: it kept the event loop busy, and suspended only then."""
        deadline = self._actor.deadline
        late = deadline is not None and record.at / 1e9 - deadline > _LATE
        return late and bool(record.attributes.get(semconv.HANDLER_CUT))

    def _cancel(self) -> None:
        self._cancelling = True
        cast("asyncio.Task[Any]", self._task).cancel()


_PIECE: Final = 0.05
_LATE: Final = 0.05
