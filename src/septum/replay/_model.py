"""What is known of recorded runs: values without behaviour but looking, whatever they were read from."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from septum.replay._record import Record

Source = Literal["recording", "spans", "events"]
"""What a run was put together from; where there are several, the first of these that there is."""


class Step(NamedTuple):
    """One visit of a run: how the machine came into a state, how long it stayed, how it left. None stands for what is not known.

    Attributes:
        visit: Number of the visit within its run, from 1.
        seq: `septum.seq` of the fact that began it; 0 where only events tell of it, which carry none.
        state: The state's name below its module, as telemetry calls it.
        kind: How it was entered: initial, label, direct, push, pop, repeat, restart, retry or error; None where its beginning is missing.
        label: The label of the edge that led here; None also where that edge had none.
        source: The state that the machine came from; None for the first visit, and where the visit before is missing.
        stack: The states below, bottom first.
        at: Nanoseconds from the beginning of the run to the beginning of the visit.
        wall: The same moment in Unix nanoseconds.
        duration: Nanoseconds that it lasted; None while it lasts, and where its end is missing.
        outcome: How it ended, a `semconv.VisitOutcome`.
        target: The state that it was left for; None also at the end of the machine.
        exit: The label of the edge by which it was left; None also where that edge had none.
        error: `error.type` of what it failed with; None if it did not fail.
        retry: Which retry of its state it is; 0 for none, None where that is not known.
        limit: How many retries the state had; None also for any number.
        timeout: Seconds that the state had; None also for no limit.
        timed_out: Nanoseconds into the visit at which its deadline fired; None if it did not.
    """

    visit: int
    seq: int
    state: str
    kind: str | None
    label: str | None
    source: str | None
    stack: tuple[str, ...] | None
    at: int
    wall: int
    duration: int | None
    outcome: str | None
    target: str | None
    exit: str | None
    error: str | None
    retry: int | None
    limit: int | None
    timeout: float | None
    timed_out: int | None

    @property
    def end(self) -> int | None:
        """Unix nanoseconds at which it ended."""
        return None if self.duration is None else self.wall + self.duration


class Message(NamedTuple):
    """One message on its way through a mailbox; a moment is 0 where it is not known, or where that did not happen.

    Attributes:
        number: Its place among the messages of its machine, from 1; 0 if it has none.
        type: Class name, or `Enum.MEMBER`; never its content.
        priority: 0 exceptions, 1 the machine's own, 2 all others; None if not known.
        queued, queued_at: When it came into the mailbox, as `septum.seq` and in Unix nanoseconds.
        taken, taken_at: When a handler took it, likewise.
        visit: The visit that took it; 0 for none.
        dropped, dropped_at: When it was dropped, likewise.
        reason: Why it was dropped, a `semconv.DropReason`; None if it was not.
    """

    number: int
    type: str
    priority: int | None = None
    queued: int = 0
    queued_at: int = 0
    taken: int = 0
    taken_at: int = 0
    visit: int = 0
    dropped: int = 0
    dropped_at: int = 0
    reason: str | None = None


class Gap(NamedTuple):
    """Something that must have been there and is not: sampled away, dropped on its way, or cut off.

    Attributes:
        what: "visits" by their numbers, "records" by their index, "parts" of the visits with these numbers, which were seen, but not
            whole.
        first: The first that is missing.
        last: The last that is missing; None if it is not known how many there were.
    """

    what: Literal["visits", "records", "parts"]
    first: int
    last: int | None

    def __str__(self) -> str:
        """Return it in words: `visits 17 to 19`."""
        if self.last is None:
            return f"{self.what} from {self.first} on"
        return f"{self.what} {self.first} to {self.last}" if self.last > self.first else f"{self.what} {self.first}"


class RunError(NamedTuple):
    """An exception that came out of a state.

    Attributes:
        visit: In which visit.
        state: In which state.
        type: `error.type`, the class of the exception or one of Septum's own words.
        to: Where it went: on_error_fn, error_state or raised; None if not known.
        wall: Unix nanoseconds.
    """

    visit: int
    state: str
    type: str
    to: str | None
    wall: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of one machine, as far as it is known.

    Attributes:
        run_id: Which execution.
        machine_id: Which machine.
        machine_name: Which definition, by its name.
        definition_hash: Which definition, by its hash; "" where nothing tells it.
        source: What it was put together from.
        outcome: How it ended, a `semconv.RunOutcome`; None where no end was seen: it may go on.
        started: Unix nanoseconds of its beginning, or of the first that was seen of it.
        duration: Nanoseconds until its end, or until the last that was seen of it.
        steps: Its visits, in their order.
        messages: What is known of its messages, in the order of their first moment. Only a recording tells of messages that wait.
        errors: Exceptions that came out of its states.
        gaps: What is missing. Without any, and with an outcome, the steps are the whole walk.
        duplicates: Spans or records that were there more than once; the copies were left out.
        truncated: What it was read from breaks off in the middle of a line or message.
        segments: How many segments were seen.
        definition: The definition as it was exported, as `Graph.to_dict` makes it; None where that is missing.
        files: What it was read from.
        records: The records, for source "recording"; may be iterated any number of times.
    """

    run_id: str
    machine_id: str
    machine_name: str
    definition_hash: str
    source: Source
    outcome: str | None
    started: int
    duration: int
    steps: tuple[Step, ...]
    messages: tuple[Message, ...] = ()
    errors: tuple[RunError, ...] = ()
    gaps: tuple[Gap, ...] = ()
    duplicates: int = 0
    truncated: bool = False
    segments: int = 1
    definition: Mapping[str, object] | None = field(default=None, repr=False)
    files: tuple[str, ...] = ()
    records: Iterable[Record] = field(default=(), repr=False, compare=False)

    @property
    def complete(self) -> bool:
        """True if nothing is missing and its end was seen: the steps are the whole walk.

        Only a recording can tell that a run was ended in a retry's delay, with no visit after it.
        """
        ended = self.outcome is not None and bool(self.steps)
        certain = ended and (self.source == "recording" or self.steps[-1].target is None)
        return certain and not self.gaps and not self.truncated

    @property
    def last_state(self) -> str | None:
        """The state that it was seen in last; None if no visit was seen."""
        return self.steps[-1].state if self.steps else None

    def step(self, visit: int) -> Step | None:
        """Return the visit with this number; None if it is missing."""
        place = bisect_right(self.steps, visit, key=_visit_of) - 1
        return self.steps[place] if place >= 0 and self.steps[place].visit == visit else None

    @cached_property
    def moments(self) -> tuple[int, ...]:
        """Every sequence number at which something is known to have happened, in order; where to stop when stepping through."""
        seqs = {step.seq for step in self.steps}
        for message in self.messages:
            seqs.update((message.queued, message.taken, message.dropped))
        return tuple(sorted(seqs - {0}))

    def at(self, seq: int | None = None, *, visit: int | None = None) -> At:
        """Return what was the case at one moment.

        Args:
            seq: A sequence number (`septum.seq`): right after the fact with this number, or the last known fact before it.
            visit: In its place the number of a visit: its beginning. A run from events has no sequence numbers, only these.

        Raises:
            LookupError: Nothing is known of that moment: it lies before the first step that was seen, or the visit is missing.
        """
        from septum.replay._moment import look  # noqa: PLC0415 - it needs the classes above

        return look(self, seq, visit)


class At(NamedTuple):
    """What was the case at one moment of a run. None stands for what is not known.

    Attributes:
        run: The run.
        seq: The sequence number that was asked for; 0 for a visit that has none.
        wall: Unix nanoseconds of the last known fact up to here.
        at: The same from the beginning of the run.
        step: The visit, or the last one if the machine is between two.
        state: The state that the machine is in, or was in last.
        stack: The states below, bottom first.
        retries: For each state, which retry it is at.
        mailbox: Messages that wait. From spans only those that were taken later.
        deadline: Nanoseconds until the deadline of the visit; None if none is pending.
        between: The visit is over: a retry delay, or the end.
        exact: False where a gap or a visit without a number lies between the step and this moment, so that the machine may have been on.
    """

    run: Run
    seq: int
    wall: int
    at: int
    step: Step
    state: str
    stack: tuple[str, ...] | None
    retries: Mapping[str, int]
    mailbox: tuple[Message, ...]
    deadline: int | None
    between: bool
    exact: bool

    def forward(self) -> At | None:
        """Return the next moment at which something happened; None at the last."""
        from septum.replay._moment import move  # noqa: PLC0415 - it needs the classes above

        return move(self, 1)

    def back(self) -> At | None:
        """Return the moment before, at which something happened; None at the first."""
        from septum.replay._moment import move  # noqa: PLC0415 - it needs the classes above

        return move(self, -1)


def _visit_of(step: Step) -> int:
    return step.visit
