"""A machine that can be written down between two steps, and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, cast, get_args

from septum import _errors
from septum import _facts as facts
from septum._contents import unwrap, write, write_chance
from septum._driver import Driver
from septum._fit import describe
from septum._gate import gate
from septum._message import Envelope, priority_of
from septum._mode import BLOCKED, BUSY, CLOSED, DELAY, DONE, EQUIPPED, FAILED, FRESH, LEAVE, PAUSED, RETRIED, STAGE, WAIT
from septum._pace import paces
from septum._snapshot import Counts, Decided, KeptMessage, Snapshot, Trace
from septum._step import Move, retry_delay

if TYPE_CHECKING:
    from septum._codec import Encoder
    from septum._contents import Contents
    from septum._snapshot import MoveKind, Outcome, Stage

T = TypeVar("T")

Timers: TypeAlias = Literal["resume", "remaining", "restart"]

# By the numbers of `_mode`.
_BY_NUMBER: Final[tuple[Stage, ...]] = ("first", "wait", "enter", "enter_wait", "leave", "delay", "timeout", "fail")


class Standing(NamedTuple):
    """Where a machine stands in its visit.

    Attributes:
        stage: Which call is due, or at work.
        left: Seconds until the visit's timeout, or the delay of a retry, is over; below zero if it was over; None without one.
        waiting: Numbers of the messages that wait, 0 for those that have none.
    """

    stage: Stage
    left: float | None
    waiting: list[int]


def check_timers(snapshot: object, timers: object) -> None:
    """Refuse what is no snapshot, and no way to go on with its timers.

    Raises:
        TypeError, ValueError: Says what to give.
    """
    if not isinstance(snapshot, Snapshot):
        hint = "; Snapshot.from_json(text) reads one" if isinstance(snapshot, str | bytes) else ""
        raise TypeError(f"restore() takes a Snapshot, not {type(snapshot).__qualname__}{hint}")
    if timers not in get_args(Timers):
        raise ValueError(f"timers must be one of {', '.join(map(repr, get_args(Timers)))}, not {timers!r}")


class Keeper(Driver[T]):
    """A machine that can be written down and brought back."""

    __slots__ = ()

    def snapshot(self, reason: str = "", *, encode: Encoder | None = None) -> Snapshot:
        """Return the machine as it is between two steps, for `StateMachine.restore`; nothing is changed.

        It can be asked for after `tick`, `run` or `serve` has returned, raised or was cancelled, and while one of them waits or lets others
        have their turn; of a machine that has not started, and of one that is complete. What is in the mailbox is in it, but not what
        senders still wait to send.

        Args:
            reason: Why, for hooks to tell.
            encode: Asked about each value in `common` and in messages that JSON does not have: returns a name and something simpler that
                stands for the value, which `restore(decode=...)` is given; or None.

        Raises:
            StepNotOver: A handler is at work, be it this one.
            NotKept: Something in `common` or in a message cannot be written; `place` says where.
            WrongThread: Called from a thread that does not own the machine.
            NoStateToTick: The machine is closed, and what waited is gone already.
        """
        mode, plan = self._mode, self._plan
        if not isinstance(reason, str):  # pyright: ignore[reportUnnecessaryIsInstance] - it becomes text of a file
            raise TypeError(f"snapshot(reason) is a text, not {reason!r}")
        if self._pace.is_foreign():
            raise _errors.wrong_thread(plan.name, "snapshot()")
        if mode & CLOSED:
            text = f"machine {plan.name!r} is closed, and what waited in its mailbox is gone: take the snapshot before close()."
            raise _errors.NoStateToTick(text, machine=plan.name)
        if mode & BUSY and not mode & (BLOCKED | PAUSED):
            raise _errors.step_not_over(plan.name, self._node.name)
        if self._mailbox.has_foreign:
            self._collect()
        if gate.loud and not mode & FRESH:
            self._look_for_observers()
        taken = self._write_down(reason, encode)
        if not mode & FRESH:
            self._tell(facts.SnapshotTaken, self._node.name, reason)
        return taken

    def _write_down(self, reason: str, extra: Encoder | None) -> Snapshot:
        mode, plan, node, aside = self._mode, self._plan, self._node, self._side()
        now = plan.now()
        is_under_way = not mode & (FRESH | DONE)
        standing = self._standing()
        return Snapshot(
            machine_id=self.machine_id,
            name=plan.name,
            state=node.name,
            stage=standing.stage,
            failed=bool(mode & FAILED),
            stack=self._stack_names(),
            retries={name: count for name, count in aside.retries.items() if count},
            deadline=standing.left,
            fired=is_under_way and standing.stage != "delay" and node.timeout is not None and self._deadline is None,
            decided=self._write_decided(extra),
            messages=tuple(self._write_message(index, item, now, extra) for index, item in enumerate(self._mailbox)),
            common=write(self.common, "common", extra),
            definition=describe(plan.graph),
            trace=self._write_trace(now),
            counts=self._write_counts(),
            chance=None if aside.random is None else write_chance(aside.random),
            taken_at=plan.clock.wall_ns(),
            reason=reason,
        )

    def _standing(self) -> Standing:
        """Return where the machine stands, also in the middle of a step."""
        mode = self._mode
        number = mode & STAGE
        stage: Stage = "fresh" if mode & FRESH else "complete" if mode & DONE else _BY_NUMBER[number]
        left = None
        # A fast loop leaves the deadline of an earlier state behind.
        if self._deadline is not None and not mode & (FRESH | DONE) and (number == DELAY or self._node.timeout is not None):
            left = self._deadline - self._plan.now()
        waiting = [item.number if isinstance(item, Envelope) else 0 for item in self._mailbox]
        return Standing(stage, None if left is None or abs(left) == float("inf") else left, waiting)

    def _write_decided(self, extra: Encoder | None) -> Decided | None:
        pending = self._side().pending
        # What was decided before an on_leave that did not return stays behind where that call is not due any more.
        if pending is None or self._mode & (FRESH | DONE) or self._mode & STAGE != LEAVE:
            return None
        move, outcome, error = pending
        return Decided(
            kind=cast("MoveKind", move.kind),
            label=move.label,
            target=None if move.target is None else move.target.name,
            below=tuple(node.name for node in move.below),
            outcome=cast("Outcome", outcome),
            exception=write(error, "the exception that on_leave is called after", extra),
        )

    def _write_message(self, index: int, item: object, now: float, extra: Encoder | None) -> KeptMessage:
        message, headers, number, at = unwrap(item)
        return KeptMessage(
            priority=int(priority_of(message)),
            message=write(message, f"mailbox[{index}]", extra),
            headers=write(
                dict(cast("Mapping[str, str]", headers)) if isinstance(headers, Mapping) else headers,
                f"the headers of mailbox[{index}]",
                extra,
            ),
            number=number,
            waited=None if at is None else now - at,
        )

    def _write_trace(self, now: float) -> Trace:
        aside, watch = self._side(), self._watch
        is_told = watch is not None and not watch.ended
        in_visit = is_told and self._mode & STAGE != DELAY
        # SnapshotTaken is told next, as one more fact of the run that goes on.
        seq = watch.seq + 1 if watch is not None and is_told else aside.seq if aside.run_id is not None else 0
        return Trace(
            run_id=aside.run_id,
            seq=seq,
            number=0 if watch is None else watch.number,
            visit_age=now - watch.visit_at if watch is not None and in_visit else None,
            run_age=now - watch.run_at if watch is not None and is_told else None,
            overdue=watch is not None and is_told and watch.overdue,
            kept=self._ask_what_to_keep(),
        )

    def _ask_what_to_keep(self) -> dict[str, str]:
        """Return what hooks keep, on top of what they kept when the run was written down before."""
        watch = self._watch
        found: dict[str, str] = dict(self._side().kept or {})
        if watch is None or self._mode & FRESH:
            return found
        for method in watch.audience.keeps:
            try:
                kept: Mapping[Any, Any] = method(watch.origin)
                wrong = [item for pair in kept.items() for item in pair if not isinstance(item, str)]
                if wrong:
                    raise TypeError(f"Hooks.keeps returns texts by their names, not {wrong[0]!r}")
                found.update(kept)
            except Exception as error:  # noqa: BLE001 - as for facts: a hook may raise anything
                watch.failed(method, error)
        return found

    def _write_counts(self) -> Counts:
        box, aside, watch = self._mailbox, self._side(), self._watch
        names = ("accepted", "unhandled", "filtered", "rejected", "overflow_newest", "overflow_oldest", "closed")
        return Counts(
            visits=self._visits,
            before=aside.before,
            entries=aside.entries,
            extra=aside.extra,
            taken=box.taken,
            retries=aside.retry_count,
            timeouts=aside.timeouts,
            errors=aside.errors,
            hook_errors=aside.hook_errors + (watch.errors if watch else 0),
            **{name: box.count(name) for name in names},
        )

    # -- and back

    def _bring_back(self, kept: Snapshot, contents: Contents, timers: Timers) -> None:
        """Become the machine that was written down; this is one that was just constructed, and *kept* was checked."""
        plan, aside = self._plan, self._side()
        nodes = plan.graph.by_name
        now = plan.now()
        gone = max(0.0, (plan.clock.wall_ns() - kept.taken_at) / 1e9) if timers == "resume" else 0.0
        same = aside.machine_id is None or aside.machine_id == kept.machine_id
        aside.machine_id = aside.machine_id or kept.machine_id
        if contents.chance is not None:
            self.random.setstate(contents.chance)
        counts = kept.counts
        aside.stack = [nodes[name] for name in kept.stack]
        aside.retries = dict(kept.retries)
        aside.extra, aside.entries, aside.before = counts.extra, counts.entries, counts.before
        aside.retry_count, aside.timeouts, aside.errors, aside.hook_errors = (
            counts.retries,
            counts.timeouts,
            counts.errors,
            counts.hook_errors,
        )
        aside.kept = kept.trace.kept
        if same:
            aside.run_id, aside.seq = kept.trace.run_id, kept.trace.seq
        self._visits = counts.visits
        self._node = nodes[kept.state]
        if kept.decided is not None:
            decided = kept.decided
            target = None if decided.target is None else nodes[decided.target]
            move = Move(decided.kind, decided.label, target, tuple(nodes[name] for name in decided.below))
            aside.pending = (move, decided.outcome, contents.exception)
        if kept.stage != "fresh":
            self._pace = paces.mine
            number = WAIT if kept.stage == "complete" else _BY_NUMBER.index(kept.stage)
            flags = (RETRIED if kept.retries else 0) | (DONE if kept.stage == "complete" else 0) | (FAILED if kept.failed else 0)
            self._mode = self._mode & ~(FRESH | STAGE | EQUIPPED) | number | flags
            self._deadline = self._find_deadline(kept, now, gone, timers)
        self._bring_back_mail(kept, contents, now - gone)
        if kept.stage != "fresh":
            self._look_for_observers()
        watch = self._watch
        if watch is not None:
            watch.number += kept.trace.number
            if watch.ended:
                self._sign(watch, "")
                watch.before = counts.before
        if watch is not None and not watch.ended:
            watch.overdue = kept.trace.overdue
            if kept.trace.run_age is not None:
                watch.run_at = now - gone - kept.trace.run_age
            if kept.trace.visit_age is not None:
                watch.visit_at = now - gone - kept.trace.visit_age

    def _find_deadline(self, kept: Snapshot, now: float, gone: float, timers: Timers) -> float | None:
        node = self._node
        if kept.stage == "complete":
            return None
        if kept.stage == "delay":
            whole = retry_delay(node, kept.retries.get(node.name, 1), 0.5)
            return now + (whole if timers == "restart" or kept.deadline is None else kept.deadline - gone)
        if node.timeout is None or kept.fired:
            return None
        return now + (node.timeout if timers == "restart" or kept.deadline is None else kept.deadline - gone)

    def _bring_back_mail(self, kept: Snapshot, contents: Contents, now: float) -> None:
        counts = kept.counts
        if not (counts.accepted or counts.rejected):
            return
        items: list[tuple[Any, int]] = []
        for message, (body, headers) in zip(kept.messages, contents.messages, strict=True):
            wrapped = message.number or headers is not None or message.waited is not None or isinstance(body, Envelope)
            at = None if message.waited is None else now - message.waited
            items.append((Envelope(body, headers, at, message.number) if wrapped else body, message.priority))
        names = ("accepted", "taken", "unhandled", "filtered", "rejected", "overflow_newest", "overflow_oldest", "closed")
        self._box().refill(items, {name: getattr(counts, name) for name in names})
        self._hold_mail()
