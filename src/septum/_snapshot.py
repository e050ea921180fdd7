"""A machine written down: everything that it is between two steps, as values that JSON can hold, checked whenever they are read.

Nothing here knows a live machine; `_keeper` writes it down and brings it back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping  # noqa: TC003 - the annotations are read when a snapshot is
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from septum._errors import bad_snapshot
from septum._sealed import seal, unseal
from septum._shape import check_record, fields_of

Stage: TypeAlias = Literal["fresh", "first", "wait", "enter", "enter_wait", "leave", "delay", "timeout", "fail", "complete"]

MoveKind: TypeAlias = Literal["label", "direct", "push", "pop", "repeat", "restart", "retry", "error", "end", "complete"]
Outcome: TypeAlias = Literal["transition", "timeout", "push", "pop", "repeat", "restart", "retry", "error", "completed"]

Plain: TypeAlias = Any
"""What JSON can hold: None, bool, int, float, str, lists of these, dicts of these with texts as keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """A message that waits.

    Attributes:
        priority: 0 exceptions, 1 internal, 2 messages.
        message: The message, encoded.
        headers: What the sender gave along, encoded; None if nothing.
        number: Its number among the messages that were queued while the machine was observed; 0 if it has none.
        waited: Seconds that it had waited; None if nobody observed when it came.
    """

    priority: int
    message: Plain
    headers: Plain
    number: int
    waited: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What was decided before an `on_leave` that has not come to its end, and is due again.

    Attributes:
        kind, label, target, below: The move, states by full name.
        outcome: How the visit ends.
        exception: What the move answers to, encoded; None if it answers to nothing.
    """

    kind: MoveKind
    label: str | None
    target: str | None
    below: tuple[str, ...]
    outcome: Outcome
    exception: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Which definition a machine follows.

    Attributes:
        hash: As `Graph.hash`.
        version: What `@septum.state(version=...)` says at the initial state; None if nothing.
        graph: The graph, packed, so that a difference can be named.
    """

    hash: str
    version: str | None
    graph: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where the machine's telemetry stood.

    Attributes:
        run_id: The run that goes on; None if it had ended, or was never observed.
        seq: Number of its last fact.
        number: How many messages were queued while observed.
        visit_age, run_age: Seconds since the visit and the run began; None if nobody observed.
        overdue: It was told that this visit lasts too long.
        kept: What hooks kept, as text.
    """

    run_id: str | None
    seq: int
    number: int
    visit_age: float | None
    run_age: float | None
    overdue: bool
    kept: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What `stats()` is made of; `taken` messages are the handled and the unhandled, `before` and `entries` are those of earlier runs."""

    visits: int
    before: int
    entries: int
    extra: int
    accepted: int
    taken: int
    unhandled: int
    filtered: int
    rejected: int
    overflow_newest: int
    overflow_oldest: int
    closed: int
    retries: int
    timeouts: int
    errors: int
    hook_errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A machine between two steps, written down: `fsm.snapshot()` makes one, `StateMachine.restore` brings the machine back.

    It holds what the machine held: your data is in it, in clear, and nothing is redacted. It is a value: it shares nothing with the machine
    and does not change with it. States are their full names; `common` and messages are as the codec encoded them.

    Attributes:
        machine_id, name: Which machine it is, and what it is called.
        state: The current state.
        stage: What is due in it: `fresh` (nothing: it was not entered yet), `enter` or `enter_wait` (`on_enter`), `first` (the first call
            of the visit), `wait` (nothing, until a message or the deadline comes), `leave` (`on_leave`), `delay` (nothing, until the delay
            of a retry is over), `timeout` (`on_timeout`), `fail` (`on_fail`), `complete` (nothing any more).
        failed: An exception came out of the machine's last call.
        stack: The states that `Pop` returns to, bottom first.
        retries: Retry counts above zero, by state.
        deadline: Seconds that were left of the visit's timeout, or of the retry's delay; below zero if it was over; None without one.
        fired: The visit's deadline fired already, and does not again.
        decided: At stage `leave`: what happens after it; else None.
        messages: What waits in the mailbox, in the order in which it would be taken.
        common: `ctx.common`, encoded.
        definition: Hash, version and graph of its definition.
        trace: Where its telemetry stood.
        counts: What its `stats()` are made of.
        chance: The state of `ctx.random`; None if it was never used.
        taken_at: When it was written, in nanoseconds since the Unix epoch.
        reason: Why, in the caller's words.
    """

    machine_id: str
    name: str
    state: str
    stage: Stage
    failed: bool
    stack: tuple[str, ...]
    retries: Mapping[str, int]
    deadline: float | None
    fired: bool
    decided: Decided | None
    messages: tuple[KeptMessage, ...]
    common: Plain
    definition: Definition
    trace: Trace
    counts: Counts
    chance: str | None
    taken_at: int
    reason: str

    def to_json(self) -> str:
        """Return it as text: one line of ASCII, under a checksum, which must be stored as it is."""
        return seal(self.to_plain())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the snapshot that `to_json` wrote.

        Raises:
            BadSnapshot: The text differs from what was written, be it by one byte, or is none at all; its `place` says where.
        """
        return cls.from_plain(unseal(text))

    def to_plain(self) -> dict[str, Plain]:
        """Return its fields as what JSON can hold."""
        return fields_of(self)

    @classmethod
    def from_plain(cls, plain: object) -> Self:
        """Return the snapshot of which *plain* holds the fields, each checked.

        Raises:
            BadSnapshot: A field is missing, unknown, of a wrong type, or does not go with the others.
        """
        try:
            found = check_record(cls, plain, "snapshot")
        except RecursionError:
            raise bad_snapshot("snapshot", "lists and objects too deep in one another") from None
        _check_whole(found)
        return found

    def replace(self, **changes: Any) -> Self:
        """Return another snapshot that differs in some fields; for migrations. Messages that are left out count as dropped ("closed").

        Raises:
            BadSnapshot: A new value is of a wrong type, or does not go with the others.
            TypeError: There is no such field.
        """
        if "messages" in changes and "counts" not in changes:
            more = len(changes["messages"]) - len(self.messages)
            counts = self.counts
            changes["counts"] = dataclasses.replace(counts, accepted=counts.accepted + max(0, more), closed=counts.closed + max(0, -more))
        return type(self).from_plain(dataclasses.replace(self, **changes).to_plain())

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return another snapshot in which states have other names; for migrations.

        Args:
            names: The new full name for each old one; what is not in it keeps its name.
        """
        decided = self.decided

        def new(name: str) -> str:
            return names.get(name, name)

        if decided is not None:
            target = None if decided.target is None else new(decided.target)
            decided = dataclasses.replace(decided, target=target, below=tuple(map(new, decided.below)))
        return self.replace(
            state=new(self.state),
            stack=tuple(map(new, self.stack)),
            retries={new(name): count for name, count in self.retries.items()},
            decided=decided,
        )

    def __repr__(self) -> str:
        return f"<snapshot of {self.name} in {self.state}, {self.stage}, {len(self.messages)} messages>"


def _check_whole(snapshot: Snapshot) -> None:
    """Refuse what no machine can be, though each field by itself may be so."""
    stage, counts, waiting = snapshot.stage, snapshot.counts, len(snapshot.messages)
    dropped = counts.overflow_newest + counts.overflow_oldest + counts.closed
    laws = (
        ("snapshot.decided", (snapshot.decided is not None) == (stage == "leave"), "there is a decision exactly at stage 'leave'"),
        ("snapshot.decided.target", _leads_somewhere(snapshot), "it is the state that the move leads to, if it leads to one"),
        ("snapshot.deadline", stage != "delay" or snapshot.deadline is not None, "a delay has an end"),
        ("snapshot.fired", not (snapshot.fired and (snapshot.deadline is not None or stage in {"delay", "fresh"})), "it has not fired yet"),
        ("snapshot.retries", all(snapshot.retries.values()), "only counts above zero are kept"),
        ("snapshot.counts.visits", (counts.visits == 0) == (stage == "fresh"), "a machine that has started has visits"),
        ("snapshot.counts.before", counts.before < counts.visits or stage == "fresh", "this run has a visit"),
        ("snapshot.counts.entries", counts.visits + counts.extra > counts.entries or stage == "fresh", "there are more visits than runs"),
        ("snapshot.counts.unhandled", counts.unhandled <= counts.taken, "unhandled messages were taken"),
        (
            "snapshot.counts.accepted",
            counts.accepted == counts.taken + dropped + counts.filtered + waiting,
            f"of {counts.accepted} messages {counts.taken} were taken, {dropped} dropped, {counts.filtered} filtered, {waiting} wait",
        ),
        ("snapshot.stack", stage != "fresh" or not snapshot.stack, "a machine that has not started has no stack"),
        ("snapshot.messages", _is_in_order(snapshot.messages), "they stand in the order in which they would be taken"),
    )
    for place, holds, why in laws:
        if not holds:
            raise bad_snapshot(place, why)


def _leads_somewhere(snapshot: Snapshot) -> bool:
    decided = snapshot.decided
    if decided is None:
        return True
    match decided.kind:
        case "end" | "complete":
            return decided.target is None
        case "pop":
            return snapshot.stack[-1:] == (decided.target,)
        case "repeat" | "restart" | "retry":
            return decided.target == snapshot.state
        case _:
            return decided.target is not None


def _is_in_order(messages: tuple[KeptMessage, ...]) -> bool:
    priorities = [message.priority for message in messages]
    return priorities == sorted(priorities)
