"""Puts a machine under replay into the middle of a run: at its recording's beginning, after a gap, or where another one was restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from septum import semconv
from septum._mode import DELAY, ENTER, ENTER_WAIT, FAIL, FIRST, LEAVE, TIMEOUT, WAIT
from septum.replay._casting import give_common
from septum.replay._payloads import Unreadable
from septum.replay._script import GAP, NOTHING, START
from septum.replay._telling import in_words

if TYPE_CHECKING:
    from septum._graph import Node
    from septum.replay._actor import Actor
    from septum.replay._judge import Judge
    from septum.replay._record import Record
    from septum.replay._script import Script

_STAGES: Final = {"on_enter": ENTER, "on_leave": LEAVE, "on_timeout": TIMEOUT, "on_fail": FAIL}
# Others show by what comes.
_TOLD_ONLY: Final[dict[object, int]] = {"delay": DELAY, "enter_wait": ENTER_WAIT}
_ENDS: Final = frozenset({"transition", GAP, NOTHING, START})


class Entrance:
    """Brings one machine to where its recording says that it stands.

    Args:
        given: Its `common` is the caller's, and stays.
    """

    def __init__(self, script: Script, judge: Judge, actor: Actor, *, given: bool) -> None:
        self._script = script
        self._judge = judge
        self._actor = actor
        self._given = given

    def begin(self, first: Record) -> None:
        """Begin with a run that had begun before it was recorded; the machine has its data."""
        if first.event != START:
            what = "nothing" if first.event == NOTHING else in_words(first)
            self._judge.diverge("gap", f"the recording begins with {what}", expected="the start of the run")
        self._script.advance()
        self._place(first)

    def go_on(self) -> None:
        """Go on where the machine stands that was restored; or this one, of which nothing was recorded for a while."""
        record = self._script.next
        self._script.advance()
        self._take_common(record)
        self._place(record)

    def go_on_after_gap(self) -> str:
        """Go on at the next snapshot or start, and return a note of it."""
        script = self._script
        first, last = script.lost
        followed = script.passed
        script.advance()
        found = script.skip_to("snapshot", START)
        script.passed = followed
        if not found:
            script.next = script.next._replace(event=NOTHING)
            self._judge.diverge(
                "gap",
                f"records {first} to {last} are missing, and no snapshot comes after them",
                expected="all records of the run",
                advice="What came before was replayed. Snapshots (`fsm.snapshot()`) in a recording let a replay go on after a gap.",
            )
        record = script.next
        self.go_on()
        return f"records {first} to {last} are missing: went on at the {record.event} in record {record.index}"

    def _take_common(self, record: Record) -> None:
        """Give the machine the data that *record* has; where it has none, they are not compared any more."""
        if self._given:
            return
        try:
            known = give_common(record, self._actor, self._judge.payloads, given=False)
        except Unreadable:
            known = False
        if known:
            self._judge.know_common()
        else:
            self._judge.forget_common()

    def _place(self, record: Record) -> None:
        """Put the machine where *record*, a start or a snapshot, says that it is, and go on to where a call begins."""
        judge, actor = self._judge, self._actor
        judge.in_middle = True
        attributes = record.attributes
        known = {judge.name(node.name): node for node in actor.plan.graph.nodes}
        wanted = [attributes.get(semconv.STATE_NAME), *cast("tuple[str, ...]", attributes.get(semconv.STACK, ()))]
        missing = [str(name) for name in wanted if name not in known]
        if missing:
            judge.diverge("machine", f"today's definition has no state {', '.join(missing)}", expected=in_words(record))
        node, *stack = [known[cast("str", name)] for name in wanted]
        retries: dict[str, int] = {}
        for text in cast("tuple[str, ...]", attributes.get(semconv.RECORDING_RETRIES, ())):
            name, _, count = text.rpartition(" ")
            if name in known:
                retries[known[name].name] = int(count)
        actor.place(record.run_id, node, tuple(stack), retries, record.visit)
        stage = attributes.get(semconv.RECORDING_STAGE)
        if stage is not None:
            # Recordings of earlier versions do not say; the deadline is then that of a visit which begins here.
            left = cast("float | None", attributes.get(semconv.RECORDING_DEADLINE))
            actor.deadline = None if left is None else record.at / 1e9 + left
        if stage in _TOLD_ONLY:
            actor.set_stage(_TOLD_ONLY[stage])
        if semconv.RECORDING_MAILBOX in attributes:
            actor.keep_only(set(cast("tuple[str, ...]", attributes[semconv.RECORDING_MAILBOX])))
        self._find_stage(known)

    def _find_stage(self, known: dict[str, Node]) -> None:
        """Find out by what comes which call is due; what is left of a step that began before goes as the recording has it."""
        script, actor = self._script, self._actor
        while True:
            for record in (script.next, *script.ahead()):
                match record.event:
                    case "taken" | "end" | "nothing" | "start":
                        return
                    case "timer":
                        if record.attributes.get(semconv.TIMER_KIND) == semconv.TimerKind.RETRY_BACKOFF:
                            self._cross_timer(record)
                        return
                    case "handler":
                        name = cast("str", record.attributes[semconv.HANDLER_NAME])
                        if name == "on_leave":
                            break
                        if actor.stage != DELAY and (name != "on_enter" or actor.stage != ENTER_WAIT):
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
        while script.next.event not in _ENDS:
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


def _change_stack(stack: list[str], record: Record, known: dict[str, str]) -> None:
    states = [known.get(name, name) for name in cast("tuple[str, ...]", record.attributes.get(semconv.STACK_STATES, ()))]
    if record.attributes.get(semconv.STACK_CHANGE) == semconv.StackChange.PUSHED:
        stack += states
    elif stack:
        stack.pop()
