"""Plays a recording: moves a machine step by step, so that all comes in the order in which it came when it was recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from septum import semconv
from septum._mode import DELAY, ENTER, ENTER_WAIT, FAIL, FIRST, LEAVE, TIMEOUT, WAIT
from septum._stepper import IDLE
from septum.replay import _lines as lines
from septum.replay._divergence import Halt
from septum.replay._script import GAP, NOTHING
from septum.replay._telling import CANCELLED, in_words, is_own

if TYPE_CHECKING:
    from collections.abc import Callable

    from septum._graph import Node
    from septum.replay._actor import Actor
    from septum.replay._judge import Judge
    from septum.replay._record import Record
    from septum.replay._script import Script

_STAGES: Final = {"on_enter": ENTER, "on_leave": LEAVE, "on_timeout": TIMEOUT, "on_fail": FAIL}


class Player:
    """Leads one machine through one recording.

    Attributes:
        notes: What a reader of the result should know.
        step_began: How many records were passed when the step began that is at work.
        pauses: Asked before each step; true ends `play` there.
    """

    def __init__(self, script: Script, judge: Judge, actor: Actor, *, patience: float) -> None:
        self._script = script
        self._judge = judge
        self._actor = actor
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
        if self.pauses is not None and self.pauses():
            return
        first = script.next
        if first.event == "start" and not first.attributes.get(semconv.RECORDING_RESUMED):
            script.advance()
            await self._do(actor.begin(first.run_id))
        else:
            self._resume(first)
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
                    return False
                case "snapshot":
                    script.advance()
                case "gap":
                    self._go_on_after_gap()
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

    # -- beginning in the middle

    def _go_on_after_gap(self) -> None:
        script = self._script
        first, last = script.lost
        followed = script.passed
        script.advance()
        found = script.skip_to("snapshot")
        script.passed = followed
        if not found:
            script.next = script.next._replace(event=NOTHING)
            self._judge.diverge(
                "gap",
                f"records {first} to {last} are missing, and no snapshot comes after them",
                expected="all records of the run",
                advice="What came before was replayed. Snapshots (`fsm.snapshot()`) in a recording let a replay go on after a gap.",
            )
        self._judge.forget_common()
        self.notes.append(f"records {first} to {last} are missing: went on at the snapshot in record {script.next.index}")
        self._place(script.next)
        script.advance()

    def _resume(self, first: Record) -> None:
        if first.event != "start":
            what = "nothing" if first.event == NOTHING else in_words(first)
            self._judge.diverge("gap", f"the recording begins with {what}", expected="the start of the run")
        self.notes.append("the run began before it was recorded: ctx.common and the retry counts are as the first record has them")
        self._script.advance()
        self._place(first)

    def _place(self, record: Record) -> None:
        """Put the machine where *record*, a start or a snapshot, says that it is, and go on to where a call begins."""
        self._judge.in_middle = True
        graph = self._actor.plan.graph
        attributes = record.attributes
        known = {self._judge.name(node.name): node for node in graph.nodes}
        wanted = [attributes.get(semconv.STATE_NAME), *cast("tuple[str, ...]", attributes.get(semconv.STACK, ()))]
        missing = [str(name) for name in wanted if name not in known]
        if missing:
            self._judge.diverge("machine", f"today's definition has no state {', '.join(missing)}", expected=in_words(record))
        node, *stack = [known[cast("str", name)] for name in wanted]
        retries: dict[str, int] = {}
        for text in cast("tuple[str, ...]", attributes.get(semconv.RECORDING_RETRIES, ())):
            name, _, count = text.rpartition(" ")
            if name in known:
                retries[known[name].name] = int(count)
        self._actor.place(record.run_id, node, tuple(stack), retries, record.visit)
        self._find_stage(known)

    def _find_stage(self, known: dict[str, Node]) -> None:
        """Find out by what comes which call is due; what is left of a step that began before goes as the recording has it."""
        script, actor = self._script, self._actor
        while True:
            for record in (script.next, *script.ahead()):
                match record.event:
                    case "taken" | "end" | "nothing":
                        return
                    case "timer":
                        if record.attributes.get(semconv.TIMER_KIND) == semconv.TimerKind.RETRY_BACKOFF:
                            self._cross_timer(record)
                        return
                    case "handler":
                        name = cast("str", record.attributes[semconv.HANDLER_NAME])
                        if name == "on_leave":
                            break
                        if name != "on_enter" or actor.stage != ENTER_WAIT:
                            actor.set_stage(_STAGES.get(name, FIRST))
                        return
                    case "error" if record.attributes.get(semconv.ERROR_DESTINATION) == semconv.ErrorDestination.RAISED:
                        script.skip_to("error")
                        script.advance()
                        return
                    case "transition" | "stack" | "error":
                        break
                    case _:
                        pass
            else:
                return
            self._cross(known)

    def _cross_timer(self, record: Record) -> None:
        """A retry was asked for before the recording began."""
        script, actor = self._script, self._actor
        script.skip_to("timer")
        script.advance()
        actor.deadline = record.at / 1e9 + float(cast("float", record.attributes[semconv.TIMER_DURATION]))
        actor.set_stage(DELAY)
        actor.count_retry(int(cast("int", record.attributes.get(semconv.RETRY_COUNT, 1))))

    def _cross(self, known: dict[str, Node]) -> None:
        """Follow the rest of a step whose beginning is not there, up to its transition."""
        script, actor = self._script, self._actor
        stack = [node.name for node in actor.stack()]
        while script.next.event not in {"transition", GAP, NOTHING}:
            record = script.next
            if record.event == "stack":
                _change_stack(stack, record, {name: node.name for name, node in known.items()})
            elif record.event == "handler":
                self._judge.forget_common()
            script.advance()
        record = script.next
        if record.event != "transition":
            return
        script.advance()
        kind = record.attributes.get(semconv.TRANSITION_KIND)
        if kind in {"retry", "again"}:
            # The one is followed by its delay, the other by a call.
            actor.set_stage(FIRST)
            return
        target = known.get(cast("str", record.attributes.get(semconv.TRANSITION_TO_STATE)))
        while script.next.event == "stack":
            _change_stack(stack, script.next, {name: node.name for name, node in known.items()})
            script.advance()
        if target is None:
            script.skip_to("end")
            script.advance()
        else:
            stage = ENTER_WAIT if kind == "restart" else ENTER
            actor.cross(target, stack, stage if target.on_enter is not None else WAIT if stage == ENTER_WAIT else FIRST)

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
                        return other.seq != before.seq + 1
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


def _change_stack(stack: list[str], record: Record, known: dict[str, str]) -> None:
    states = [known.get(name, name) for name in cast("tuple[str, ...]", record.attributes.get(semconv.STACK_STATES, ()))]
    if record.attributes.get(semconv.STACK_CHANGE) == semconv.StackChange.PUSHED:
        stack += states
    elif stack:
        stack.pop()
