"""Spans: one for the run, one for each visit below it, and the visit's made current around every handler call."""

from __future__ import annotations

import weakref
from collections import deque
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import StatusCode, get_tracer, set_span_in_context

from septum import BlockedInUntimedState, Hooks, MailboxFull, RetriesExhausted, UnhandledTimeout, UnknownTransition, semconv

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider

    from septum import facts

_ERROR_TYPES: dict[type[BaseException], str] = {
    UnhandledTimeout: semconv.ErrorType.TIMEOUT,
    RetriesExhausted: semconv.ErrorType.RETRIES_EXHAUSTED,
    BlockedInUntimedState: semconv.ErrorType.BLOCKED_IN_UNTIMED_STATE,
    UnknownTransition: semconv.ErrorType.UNKNOWN_TRANSITION,
    MailboxFull: semconv.ErrorType.MAILBOX_FULL,
}


class _Run:
    """What is kept for one run of one machine while it is open.

    Attributes:
        span: The run's own span.
        context: The run's span in the context in which the run began; parent of every visit.
        visit: The span of the visit that the machine is in; None between visits, or when the run is not sampled.
        attached: What undoes the last `handler_started`; None between handler calls.
        handled: The last exception that `on_error_fn` answered with a transition.
        last: Wall time of the last fact that was seen, in nanoseconds.
        machine: Weak reference that reports the machine's disappearance; None if the machine cannot be referenced.
    """

    __slots__ = ("attached", "attributes", "context", "handled", "last", "machine", "names", "span", "visit")

    def __init__(self, fact: facts.RunStarted, span: Span, context: Context) -> None:
        self.span = span
        self.context = context
        self.visit: Span | None = None
        self.attached: tuple[Token[object], Token[Context]] | None = None
        self.handled: BaseException | None = None
        self.last = fact.wall
        self.names = fact.definition.by_name
        self.attributes = {
            semconv.OPERATION_NAME: semconv.Operation.VISIT,
            semconv.MACHINE_NAME: fact.machine_name,
            semconv.MACHINE_ID: fact.machine_id,
            semconv.RUN_ID: fact.run_id,
        }
        self.machine: weakref.ref[object] | None = None


# Resetting it fails exactly where detaching would fail, and be logged by OpenTelemetry as "Failed to detach context": in another context
# than that of `handler_started`, when a task was abandoned and its coroutine is closed by whoever collects it
# (test_an_abandoned_tick_that_is_closed_elsewhere_is_no_error).
_bracket: ContextVar[object] = ContextVar("septum.otel.bracket")


class OTelHooks(Hooks):
    """Makes a span `run {machine}` for each run and a child `visit {machine}.{state}` for each visit.

    A run's span is a child of the span that is current where the run begins. Inside a handler the visit's span is current, on top of the
    context that the machine is driven from: spans that the handler makes, also in tasks that it starts, are children of the visit.
    One object serves any number of machines.
    """

    def __init__(self, *, tracer_provider: TracerProvider | None = None) -> None:
        """Make hooks that record nothing yet.

        Args:
            tracer_provider: Where spans are made; None means the global provider, also one that the program sets later.

        Raises:
            TypeError: *tracer_provider* is not a tracer provider.
        """
        if tracer_provider is not None and not callable(getattr(tracer_provider, "get_tracer", None)):
            raise TypeError(
                f"tracer_provider must be an OpenTelemetry TracerProvider or None, not {tracer_provider!r}; "
                "opentelemetry.sdk.trace.TracerProvider() makes one"
            )
        self.tracer_provider = tracer_provider
        self._tracer = get_tracer(semconv.SCOPE, _version(), tracer_provider, schema_url=semconv.SCHEMA_URL)
        self._runs: dict[str, _Run] = {}
        self._vanished: deque[str] = deque()
        self._closed = False

    def run_started(self, fact: facts.RunStarted, /) -> None:
        """Open the run's span, below the span that is current here."""
        self._sweep()
        if self._closed:
            return
        known = self._runs.pop(fact.run_id, None)
        if known is not None:
            # Detached and attached again in mid-run: what happened in between was not seen.
            _end(known, semconv.RunOutcome.CONTINUED, semconv.VisitOutcome.CONTINUED)
        here = get_current()
        span = self._tracer.start_span(
            f"{semconv.Operation.RUN} {fact.machine_name}",
            context=here,
            attributes={
                semconv.OPERATION_NAME: semconv.Operation.RUN,
                semconv.MACHINE_NAME: fact.machine_name,
                semconv.MACHINE_ID: fact.machine_id,
                semconv.MACHINE_DEFINITION_HASH: fact.definition.hash,
                semconv.RUN_ID: fact.run_id,
                semconv.SEQ: fact.seq,
            },
            start_time=fact.wall,
        )
        run = _Run(fact, span, set_span_in_context(span, here))
        run.machine = self._watch(fact.machine, fact.run_id)
        self._runs[fact.run_id] = run

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Close the run's span with its outcome and forget the run."""
        run = self._runs.pop(fact.run_id, None)
        if run is None:
            return
        span = run.span
        span.set_attribute(semconv.RUN_OUTCOME, fact.outcome)
        if fact.outcome == semconv.RunOutcome.FAILED:
            _fail(span, fact.exception)
        span.end(fact.wall)

    def visit_started(self, fact: facts.VisitStarted, /) -> None:
        """Open the visit's span, below the run's; nothing when the run is not recorded."""
        if self._vanished:
            self._sweep()
        run = self._runs.get(fact.run_id)
        # A span that the sampler drops costs a quarter of one that is kept; not asking for it costs nothing.
        if run is None or not run.span.is_recording():
            return
        run.last = fact.wall
        state = run.names[fact.state].qualname
        run.visit = self._tracer.start_span(
            f"{semconv.Operation.VISIT} {fact.machine_name}.{state}",
            context=run.context,
            attributes={
                **run.attributes,
                semconv.STATE_NAME: state,
                semconv.VISIT_NUMBER: fact.visit,
                semconv.SEQ: fact.seq,
            },
            start_time=fact.wall,
        )

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        """Close the visit's span with its outcome; an error if an exception ended it that nobody handled."""
        run = self._runs.get(fact.run_id)
        if run is None or run.visit is None:
            return
        span, run.visit = run.visit, None
        handled, run.handled = run.handled, None
        run.last = fact.wall
        span.set_attribute(semconv.VISIT_OUTCOME, fact.outcome)
        if fact.outcome == semconv.VisitOutcome.ERROR and (fact.exception is None or fact.exception is not handled):
            _fail(span, fact.exception)
        span.end(fact.wall)

    def handler_started(self, fact: facts.HandlerStarted, /) -> None:
        """Make the visit's span current in this context, on top of whatever else is in it."""
        run = self._runs.get(fact.run_id)
        if run is None:
            return
        context = set_span_in_context(run.span if run.visit is None else run.visit)
        run.attached = (_bracket.set(run), attach(context))

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        """Make current again what was current before the handler."""
        run = self._runs.get(fact.run_id)
        if run is None or run.attached is None:
            return
        (bracket, token), run.attached = run.attached, None
        run.last = fact.wall
        if self._closed:
            del self._runs[fact.run_id]
        try:
            _bracket.reset(bracket)
        except ValueError:
            return  # Another context: there is nothing to undo here, and the one that was changed is gone.
        detach(token)

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Note an exception that `on_error_fn` handled: the visit that it ends is no error."""
        run = self._runs.get(fact.run_id)
        if run is not None and fact.to == "on_error_fn":
            run.handled = fact.exception

    def close(self) -> None:
        """End every open span as `continued` and record nothing more; the machines run on."""
        self._closed = True
        for run_id, run in list(self._runs.items()):
            _end(run, semconv.RunOutcome.CONTINUED, semconv.VisitOutcome.CONTINUED)
            # A handler that is at work now still has to find out what to detach.
            if run.attached is None:
                self._runs.pop(run_id, None)

    def _watch(self, machine: object, run_id: str) -> weakref.ref[object] | None:
        """Note the end of the run *run_id* when *machine* is dropped without telling it."""
        if machine is None:
            return None
        vanished = self._vanished
        # Only noted: this may be called in the middle of anything, also where the SDK holds a lock that ending a span needs.
        return weakref.ref(machine, lambda _: vanished.append(run_id))

    def _sweep(self) -> None:
        """End the spans of machines that were dropped in the middle of a run, at the time of the last that was seen of them."""
        while self._vanished:
            try:
                run = self._runs.pop(self._vanished.popleft(), None)
            except IndexError:  # pragma: no cover - another thread swept
                return
            if run is not None:
                _end(run, semconv.RunOutcome.STOPPED, semconv.VisitOutcome.STOPPED)


def _end(run: _Run, run_outcome: str, visit_outcome: str) -> None:
    """End the open spans of *run*, of which no end was told."""
    if run.visit is not None:
        run.visit.set_attribute(semconv.VISIT_OUTCOME, visit_outcome)
        run.visit.end(run.last)
        run.visit = None
    run.span.set_attribute(semconv.RUN_OUTCOME, run_outcome)
    run.span.end(run.last)


def _fail(span: Span, exception: BaseException | None) -> None:
    """Mark *span* as failed by *exception*."""
    if exception is None:
        span.set_status(StatusCode.ERROR)
        return
    span.set_attribute(semconv.ERROR_TYPE, _error_type(type(exception)))
    span.set_status(StatusCode.ERROR, _message(exception))


def _error_type(kind: type[BaseException]) -> str:
    """Return the value of `error.type` for exceptions of class *kind*."""
    known = _ERROR_TYPES.get(kind)
    if known is not None:
        return known
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(exception: BaseException) -> str:
    """Return the text of *exception*, or its class name if making the text fails."""
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - it is the user's own __str__, and the span must end all the same
        return type(exception).__qualname__


def _version() -> str | None:
    """Return Septum's version; None when it runs from a directory that was never installed."""
    try:
        return version("septum")
    except PackageNotFoundError:
        return None
