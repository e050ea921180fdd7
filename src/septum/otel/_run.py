"""What is kept for one run of one machine while it is open, and the runs of a process."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from septum import semconv

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanContext

    from septum import StateMachine, facts
    from septum._graph import Graph


class Run:
    """One run, from `run_started` to `run_ended`.

    Attributes:
        machine: The machine, weakly.
        definition: Its graph.
        names: For each state's full name the name below its module.
        attributes: What every span of the run says of it.
        suppressed: It began under `suppress_instrumentation()`.
        span: The span of the present segment; None with `trace_scope="visit"`, where a run has none.
        context: The context that visits are started in.
        visit_state, visit_number, seq, stack: Of the visit that began last.
        visit, process: The open spans of the visit and of the message that is being dealt with; None where there is none.
        ending: The fact that ended the visit; its span is ended by the transition that follows.
        segment, segment_visits, segment_at: Number of the present segment, visits in it, and when it began, in nanoseconds.
        first, previous: Where the first segment and the one before this began.
        links: For the next visit.
        left: The span of the visit that ended last.
        frames: For each state on the stack, the visit that pushed it.
        home: With `trace_scope="message"`: the span that the next visits belong to; None for the run's own.
        senders: For each queued message, by its number, where it was sent from.
        retry: Count and limit of the retry that begins next; None if the next visit is none.
        retries: Count of the retry that the present visit is; 0 for none.
        handled: The last exception that `on_error_fn` answered, until its visit ends; `answered` is the same with the visit's number.
        told: The exception that was recorded last, so that none is recorded twice.
        taken, dwell, outcome: The transition whose event waits for the next visit; how long the last visit was, and how it ended.
        at_work: The machine works in some task now; `base` is what was current there before, `undo` how to go back to it.
        shown: The span that was made current last, the context that it was put on top of, and the context that this made.
        last: When something was seen last, in nanoseconds.
    """

    __slots__ = (
        "answered", "at_work", "attributes", "base", "context", "definition", "dwell", "ending", "first", "frames", "handled",
        "home", "last", "left", "links", "machine", "name", "names", "outcome", "previous", "process", "retries", "retry", "run_id",
        "segment", "segment_at", "segment_visits", "senders", "seq", "shown", "span", "stack", "suppressed", "taken", "told",
        "undo", "visit", "visit_number", "visit_state", "wall_ns",
    )  # fmt: skip

    def __init__(self, fact: facts.RunStarted) -> None:
        self.run_id = fact.run_id
        self.name = fact.machine_name
        self.machine: weakref.ref[StateMachine[Any]] | None = None
        self.wall_ns: Callable[[], int] = fact.origin.wall_ns
        self.definition: Graph = fact.definition
        self.names = fact.definition.by_name
        self.attributes: dict[str, str | int] = {
            semconv.MACHINE_NAME: fact.machine_name,
            semconv.MACHINE_ID: fact.machine_id,
            semconv.RUN_ID: fact.run_id,
        }
        self.suppressed = False
        self.span: Span | None = None
        self.context: Context | None = None
        self.visit: Span | None = None
        self.process: Span | None = None
        self.visit_state = ""
        self.visit_number = self.seq = 0
        self.stack: tuple[str, ...] = ()
        self.ending: facts.VisitEnded | None = None
        self.segment = self.segment_visits = 0
        self.segment_at = self.last = fact.wall
        self.first: SpanContext | None = None
        self.previous: SpanContext | None = None
        self.links: list[Link] | None = None
        self.left: Span | None = None
        self.frames: list[SpanContext | None] | None = None
        self.home: Context | None = None
        self.senders: dict[int, SpanContext] | None = None
        self.retry: tuple[int, int | None] | None = None
        self.retries = 0
        self.handled: BaseException | None = None
        self.answered: tuple[int, BaseException] | None = None
        self.told: BaseException | None = None
        self.taken: facts.TransitionTaken | None = None
        self.dwell = 0.0
        self.outcome = ""
        self.at_work = False
        self.base: Context | None = None
        self.undo: tuple[Token[object], Token[Context]] | None = None
        self.shown: tuple[Span, Context | None, Context] | None = None

    @property
    def current(self) -> Span | None:
        """The innermost open span."""
        return self.process or self.visit or self.span

    def answered_in(self, visit: int) -> BaseException | None:
        """Return the exception that `on_error_fn` answered in the visit with this number."""
        answered = self.answered
        return answered[1] if answered is not None and answered[0] == visit else None

    def state(self, full_name: str) -> str:
        """Return what telemetry calls a state."""
        return self.names[full_name].qualname


class Runs(dict[str, Run]):
    """The open runs by their id, and notes of machines that vanished without an end of their run."""

    def __init__(self) -> None:
        super().__init__()
        self.vanished: deque[str] = deque()

    def watch(self, run: Run, machine: StateMachine[Any] | None) -> None:
        """Note the end of *run* when *machine* is dropped without telling it."""
        if machine is not None:
            vanished, run_id = self.vanished, run.run_id
            # Only noted: this may be called in the middle of anything, also where the SDK holds a lock that ending a span needs.
            run.machine = weakref.ref(machine, lambda _: vanished.append(run_id))
