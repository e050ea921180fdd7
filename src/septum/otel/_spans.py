"""The hooks that turn facts into spans; `OTelHooks` sends them in its place, for runs that are recorded and for those that are not."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import NonRecordingSpan, SpanKind, get_current_span, set_span_in_context

from septum import Hooks, facts, semconv
from septum.logs import type_name
from septum.otel._failures import fail
from septum.otel._resumed import keep, keep_ended, note_end
from septum.otel._segments import Segments, link, span_of
from septum.otel.propagation import sender_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Link, Span, SpanContext

    from septum.otel._recording import Payloads
    from septum.otel._run import Run

_LINKED = {semconv.VisitOutcome.RETRY, semconv.VisitOutcome.TIMEOUT, semconv.VisitOutcome.POP}


class Working(Hooks):
    """Makes the run's span current while the machine works, and asks for no facts: for runs that the sampler dropped."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self.runs = segments.runs

    def working(self, run: facts.Origin, /) -> Callable[[], None] | None:
        """Make the innermost open span current until the machine pauses."""
        known = self.runs.get(run[2])
        return None if known is None else self.segments.begin_work(known)

    def keeps(self, run: facts.Origin, /) -> Mapping[str, str]:
        """Return where the run's segment is, and those that its next visits are to be linked to."""
        known = self.runs.get(run[2])
        return keep_ended(run) if known is None else keep(known)


class Tracing(Working):
    """Makes the spans of visits and of messages."""

    def __init__(self, segments: Segments) -> None:
        super().__init__(segments)
        self._config = segments.config
        self._by_message = segments.config.detail != "visits"
        self._most_visits = segments.config.segment_max_visits
        self.payloads: Payloads | None = None

    def visit_started(self, fact: facts.VisitStarted, /) -> None:
        """Begin a visit's span, in a new segment if it is time."""
        run = self.runs.get(fact.origin[2])
        if run is None:
            return
        segments = self.segments
        if segments.runs.vanished:
            segments.sweep()
        if segments.scope == "visit":
            if run.segment_visits or run.segment:
                run.segment += 1
            if run.first is not None:
                run.context = Context()
                run.links = [
                    *(run.links or ()),
                    *link(run.previous, semconv.LinkType.PREVIOUS_SEGMENT),
                    *link(run.first, semconv.LinkType.FIRST_SEGMENT),
                ]
        elif run.segment_visits >= self._most_visits or segments.is_old(run, fact.wall):
            links = run.links
            segments.roll_over(run, fact.wall, fact.seq)
            run.links = links
        run.segment_visits += 1
        segments.open_visit(run, fact.state, fact.visit, fact.seq, fact.wall, fact.kind, fact.stack)

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        """Note how the visit ended, and what the next one is to be linked to."""
        run = self.runs.get(fact.origin[2])
        if run is None:
            return
        run.last = fact.wall
        if fact.outcome in _LINKED:
            run.links = [*(run.links or ()), *link(span_of(run.process or run.visit), semconv.LinkType.CAUSE)]
        if run.process is not None:
            self.segments.end_process(run, fact.wall)
        run.ending = fact
        run.left = run.visit

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """End the visit's span."""
        run = self.runs.get(fact.origin[2])
        if run is not None and run.ending is not None:
            self.segments.leave_visit(run, fact)

    def stack_pushed(self, fact: facts.StackPushed, /) -> None:
        """Note which visit the states that come back some day were pushed by."""
        run = self.runs.get(fact.origin[2])
        if run is not None:
            frames = run.frames = run.frames or []
            frames.extend([span_of(run.left)] * len(fact.states))

    def stack_popped(self, fact: facts.StackPopped, /) -> None:
        """Link the state that comes back to the visit that pushed it."""
        run = self.runs.get(fact.origin[2])
        if run is not None and run.frames:
            run.links = [*(run.links or ()), *link(run.frames.pop(), semconv.LinkType.CALLER)]

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        """Note which retry the next visit is."""
        run = self.runs.get(fact.origin[2])
        if run is not None:
            run.retry = (fact.count, fact.limit)

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Mark the message's span as failed, unless `on_error_fn` had an answer."""
        run = self.runs.get(fact.origin[2])
        if run is None:
            return
        if fact.to == "on_error_fn":
            run.handled = fact.exception
        elif run.process is not None:
            fail(run.process, fact.exception)

    # ---- messages

    def message_queued(self, fact: facts.MessageQueued, /) -> None:
        """Remember where the message was sent from, with a span for that if it is asked for."""
        run = self.runs.get(fact.origin[2])
        if run is None:
            return
        if self._config.send_spans and is_instrumentation_enabled():
            sent = self._send(run, fact)
            sent.end(fact.wall)
            sender = sent.get_span_context()
        else:
            sender = sender_context(fact.headers) or get_current_span().get_span_context()
        if fact.number and sender.is_valid:
            if run.senders is None:
                run.senders = {}
            run.senders[fact.number] = sender

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        """Forget a message that will not be taken; one that was rejected has a failed span if sending has spans."""
        run = self.runs.get(fact.origin[2])
        if run is None:
            return
        if run.senders:
            run.senders.pop(fact.number, None)
        if fact.reason == semconv.DropReason.REJECTED and self._config.send_spans and is_instrumentation_enabled():
            sent = self._send(run, fact)
            sent.set_attribute(semconv.ERROR_TYPE, semconv.ErrorType.MAILBOX_FULL)
            fail(sent, None)
            sent.end(fact.wall)

    def _send(self, run: Run, fact: facts.MessageQueued | facts.MessageDropped) -> Span:
        kind = type_name(fact.message)
        known: dict[str, str | int] = {semconv.MESSAGE_ID: str(fact.number)} if fact.number else {}
        if isinstance(fact, facts.MessageQueued):
            known[semconv.MESSAGE_PRIORITY] = fact.priority
        return self.segments.tracer.start_span(
            f"{semconv.Operation.SEND} {kind}",
            kind=SpanKind.PRODUCER,
            attributes={
                semconv.OPERATION_NAME: semconv.Operation.SEND,
                **run.attributes,
                semconv.SEQ: fact.seq,
                semconv.MESSAGE_TYPE: kind,
                **known,
            },
            start_time=fact.wall,
        )

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """Begin the message's span, linked to where it was sent from, or below it."""
        run = self.runs.get(fact.origin[2])
        if run is None:
            return
        sender = (run.senders.pop(fact.number, None) if run.senders else None) or sender_context(fact.headers)
        self._take(
            run,
            fact,
            type_name(fact.message),
            sender,
            {
                **(self.payloads.of(run.run_id, fact.message) if self.payloads is not None and self._by_message else {}),
                semconv.MESSAGE_PRIORITY: fact.priority,
                semconv.MESSAGE_WAIT_TIME: fact.waited,
                semconv.MAILBOX_DEPTH: fact.depth,
                **({semconv.MESSAGE_ID: str(fact.number)} if fact.number else {}),
            },
        )

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """Begin the span of a deadline, which is dealt with as a message is."""
        run = self.runs.get(fact.origin[2])
        if run is not None:
            self._take(run, fact, "timeout", None, {semconv.TIMEOUT_DURATION: float(fact.after)})

    def _take(self, run: Run, fact: facts.Fact, kind: str, sender: SpanContext | None, attributes: Mapping[str, str | int | float]) -> None:
        segments = self.segments
        run.last = fact.wall
        segments.end_process(run, fact.wall)
        if segments.is_old(run, fact.wall):
            segments.roll_over(run, fact.wall, fact.seq)
        visit = run.visit
        parent = run.context if visit is None else set_span_in_context(visit, run.base)
        links: list[Link] = []
        by_message = segments.scope == "message"
        if by_message:
            run.home = None
        if sender is not None and by_message:
            parent = set_span_in_context(NonRecordingSpan(sender), run.base)
            links = link(span_of(visit), semconv.LinkType.SEGMENT)
        elif sender is not None:
            links = link(sender, semconv.LinkType.MESSAGE)
        if not self._by_message:
            # In place of what an earlier message left here, which led to no visit.
            run.links = None
            if sender is not None and by_message:
                run.home = parent
            else:
                run.links = links
            return
        if not is_instrumentation_enabled():
            return
        span = run.process = segments.tracer.start_span(
            f"{semconv.Operation.PROCESS} {kind}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes={
                semconv.OPERATION_NAME: semconv.Operation.PROCESS,
                **run.attributes,
                semconv.STATE_NAME: run.state(run.visit_state),
                semconv.VISIT_NUMBER: fact.visit,
                semconv.SEQ: fact.seq,
                semconv.MESSAGE_TYPE: kind,
                **attributes,
                **({semconv.RETRY_COUNT: run.retries} if run.retries else {}),
            },
            links=links,
            start_time=fact.wall,
        )
        if sender is not None and by_message:
            run.home = set_span_in_context(span, run.base)
        segments.show(run, span)


class HandlerTracing(Tracing):
    """Makes a span for every handler call as well."""

    def __init__(self, segments: Segments) -> None:
        super().__init__(segments)
        self._calls: dict[str, Span] = {}

    def handler_started(self, fact: facts.HandlerStarted, /) -> None:
        """Begin the call's span and make it current."""
        run = self.runs.get(fact.origin[2])
        if run is None or run.suppressed:
            return
        above = run.current
        state = run.state(fact.state)
        attributes: dict[str, str | int] = {
            semconv.OPERATION_NAME: semconv.Operation.HANDLE,
            **run.attributes,
            semconv.STATE_NAME: state,
            semconv.VISIT_NUMBER: fact.visit,
            semconv.SEQ: fact.seq,
            semconv.HANDLER_NAME: fact.handler,
            **_code(getattr(run.names[fact.state], fact.handler, None), where=self._config.code_attributes),
        }
        span = self._calls[run.run_id] = self.segments.tracer.start_span(
            f"{fact.handler} {run.name}.{state}",
            context=run.context if above is None else set_span_in_context(above, run.base),
            attributes=attributes,
            start_time=fact.wall,
        )
        self.segments.show(run, span)

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        """End the call's span: failed if the handler raised anything but a cancellation."""
        span = self._calls.pop(fact.origin[2], None)
        if span is None:
            return
        run = self.runs.get(fact.origin[2])
        if run is not None:
            self.segments.show(run, run.current)
        if isinstance(fact.exception, Exception):
            fail(span, fact.exception)
        span.end(fact.wall)


class Ends(Hooks):
    """Closes a run, as the last of those that are told of its end."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """End the run's span with its outcome and forget the run."""
        run = self._segments.runs.pop(fact.origin[2], None)
        if run is not None:
            self._segments.end(run, fact.outcome, semconv.VisitOutcome.STOPPED, fact.wall, fact.exception)
            note_end(run, fact.origin)


def _code(handler: Any, *, where: bool) -> dict[str, str | int]:
    """Return what is known of a handler's place in the source."""
    function = inspect.unwrap(handler) if callable(handler) else None
    name = getattr(function, "__qualname__", None)
    if function is None or not isinstance(name, str):
        return {}
    found: dict[str, str | int] = {semconv.CODE_FUNCTION_NAME: f"{function.__module__}.{name}"}
    code = getattr(function, "__code__", None)
    if where and code is not None:
        found[semconv.CODE_FILE_PATH] = code.co_filename
        found[semconv.CODE_LINE_NUMBER] = code.co_firstlineno
    return found
