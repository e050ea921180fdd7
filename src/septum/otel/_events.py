"""Events: what happened at one moment, as log records with an event name, through OpenTelemetry's Logs API.

That API is private in OpenTelemetry for Python as yet, and changes; this file is the only one that touches it.
"""

from __future__ import annotations

import inspect
import os
import traceback
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import Logger, NoOpLogger, SeverityNumber, get_logger
from opentelemetry.context import get_current
from opentelemetry.trace import set_span_in_context

from septum import Hooks, semconv
from septum.logs import type_name
from septum.otel._failures import error_type, message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context

    from septum import facts
    from septum.otel._run import Run, Runs

_HAS_EXCEPTION = "exception" in inspect.signature(Logger.emit).parameters

Attributes = dict[str, Any]


class EventLog:
    """Where events go."""

    def __init__(self, provider: LoggerProvider | None, version: str | None, scope: str = semconv.SCOPE) -> None:
        self._logger = get_logger(scope, version or "", provider, schema_url=semconv.SCHEMA_URL)

    def is_on(self) -> bool:
        """Say whether anybody takes records now; a provider may be set later."""
        logger: Any = self._logger
        real = getattr(logger, "_real_logger", logger) or getattr(logger, "_logger", logger)
        if isinstance(real, NoOpLogger) or (real is logger and hasattr(logger, "_noop_logger")):
            return False
        enabled = getattr(real, "enabled", None)
        return True if enabled is None else bool(enabled(severity_number=SeverityNumber.ERROR))

    def emit(
        self,
        name: str,
        severity: SeverityNumber,
        wall: int,
        context: Context | None,
        attributes: Attributes,
        *,
        body: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Emit one event in *context*."""
        given: dict[str, Any] = {}
        if exception is not None:
            if _HAS_EXCEPTION:
                given["exception"] = exception
            else:
                attributes = {**attributes, **exception_attributes(exception)}
        self._logger.emit(
            timestamp=wall,
            context=context,
            severity_number=severity,
            severity_text=severity.name,
            body=body,
            attributes=attributes,
            event_name=name,
            **given,
        )


def exception_attributes(exception: BaseException) -> dict[str, str]:
    """Return what the conventions ask for of an exception."""
    kind = type(exception)
    return {
        semconv.EXCEPTION_TYPE: kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        semconv.EXCEPTION_MESSAGE: message(exception),
        semconv.EXCEPTION_STACKTRACE: "".join(traceback.format_exception(exception)),
    }


def _context(run: Run) -> Context:
    span = run.current
    return get_current() if span is None else set_span_in_context(span, run.base)


class Failures(Hooks):
    """Records exceptions: as events where there is a log pipeline, else on the span that is open."""

    def __init__(self, log: EventLog, runs: Runs, *, events: bool) -> None:
        self._log = log
        self._runs = runs
        self._events = events

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Record the exception, once wherever it goes."""
        run = self._runs.get(fact.origin[2])
        if run is None:
            return
        if fact.to == "on_error_fn":
            run.answered = (fact.visit, fact.exception)
        if run.told is fact.exception:
            return
        run.told = fact.exception
        wanted = os.environ.get("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "")
        logged = self._events and self._log.is_on()
        if logged:
            self._log.emit(
                semconv.Event.HANDLER_EXCEPTION,
                SeverityNumber.ERROR if fact.to == "raised" else SeverityNumber.WARN,
                fact.wall,
                _context(run),
                {
                    **run.attributes,
                    semconv.STATE_NAME: run.state(fact.state),
                    semconv.VISIT_NUMBER: fact.visit,
                    semconv.ERROR_TYPE: error_type(fact.exception),
                },
                exception=fact.exception,
            )
        span = run.current
        if span is not None and (wanted == "logs/dup" or not (logged or wanted == "logs")):
            span.record_exception(fact.exception, timestamp=fact.wall)


class Events(Failures):
    """Emits an event for each fact that an operator would look for."""

    def __init__(self, log: EventLog, runs: Runs) -> None:
        super().__init__(log, runs, events=True)
        self._definitions: set[str] = set()

    def _emit(
        self,
        run: Run,
        fact: facts.Fact,
        name: str,
        severity: SeverityNumber,
        attributes: Mapping[str, Any] | None = None,
        *,
        body: Any = None,
    ) -> None:
        found = {**run.attributes, **(attributes or {})}
        self._log.emit(name, severity, fact.wall, _context(run), found, body=body)

    def begin(self, run: Run, fact: facts.RunStarted) -> None:
        """Tell of the run, and once in the process of its definition."""
        graph = run.definition
        if graph.hash not in self._definitions:
            self._definitions.add(graph.hash)
            attributes = {semconv.MACHINE_NAME: run.name, semconv.MACHINE_DEFINITION_HASH: graph.hash}
            name = semconv.Event.MACHINE_DEFINITION
            self._log.emit(name, SeverityNumber.DEBUG, fact.wall, _context(run), attributes, body=graph.to_dict())
        self._emit(run, fact, semconv.Event.RUN_START, SeverityNumber.INFO, {semconv.MACHINE_DEFINITION_HASH: graph.hash})

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Tell how the run ended."""
        run = self._runs.get(fact.origin[2])
        if run is None:
            return
        attributes: Attributes = {semconv.RUN_OUTCOME: fact.outcome, semconv.STATE_NAME: run.state(fact.state)}
        if run.taken is None:
            # Else it waits for the end of a retry's delay, and no visit goes on.
            attributes[semconv.VISIT_NUMBER] = fact.visit
            attributes[semconv.VISIT_OUTCOME] = run.outcome
        if fact.outcome == semconv.RunOutcome.FAILED and fact.exception is not None:
            attributes[semconv.ERROR_TYPE] = error_type(fact.exception)
        self._emit(run, fact, semconv.Event.RUN_END, SeverityNumber.INFO, attributes)

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        """Note how long the visit was and how it ended, for the transition that follows."""
        run = self._runs.get(fact.origin[2])
        if run is not None:
            run.dwell, run.outcome = fact.duration, fact.outcome

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """Tell of the transition, in the visit that it leads to if there is one."""
        run = self._runs.get(fact.origin[2])
        if run is None:
            return
        run.taken = fact
        if fact.target is None or fact.kind == "again":
            self._tell_transition(run, fact)

    def visit_started(self, fact: facts.VisitStarted, /) -> None:
        """Tell of the transition that led here."""
        run = self._runs.get(fact.origin[2])
        if run is not None and run.taken is not None:
            self._tell_transition(run, fact)

    def _tell_transition(self, run: Run, fact: facts.Fact) -> None:
        taken, run.taken = run.taken, None
        if taken is None:
            return
        attributes: Attributes = {
            semconv.TRANSITION_FROM_STATE: run.state(taken.source),
            semconv.TRANSITION_KIND: taken.kind,
            semconv.VISIT_NUMBER: fact.visit,
            semconv.DWELL: run.dwell,
            semconv.VISIT_OUTCOME: run.outcome,
        }
        if taken.kind == "again":
            # Nothing was left.
            del attributes[semconv.DWELL], attributes[semconv.VISIT_OUTCOME]
        if taken.target is not None:
            attributes[semconv.TRANSITION_TO_STATE] = run.state(taken.target)
        if taken.label is not None:
            attributes[semconv.TRANSITION_LABEL] = taken.label
        self._emit(run, fact, semconv.Event.TRANSITION, SeverityNumber.INFO, attributes)

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """Tell of the deadline."""
        run = self._runs.get(fact.origin[2])
        if run is not None:
            attributes = {
                semconv.STATE_NAME: run.state(fact.state),
                semconv.VISIT_NUMBER: fact.visit,
                semconv.TIMEOUT_DURATION: float(fact.after),
            }
            self._emit(run, fact, semconv.Event.TIMEOUT, SeverityNumber.INFO, attributes)

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        """Tell of the retry."""
        run = self._runs.get(fact.origin[2])
        if run is not None:
            attributes: Attributes = {
                semconv.STATE_NAME: run.state(fact.state),
                semconv.VISIT_NUMBER: fact.visit,
                semconv.RETRY_COUNT: fact.count,
            }
            if fact.limit is not None:
                attributes[semconv.RETRY_LIMIT] = fact.limit
            answered = run.answered_in(fact.visit)
            if answered is not None:
                attributes[semconv.ERROR_TYPE] = error_type(answered)
            self._emit(run, fact, semconv.Event.RETRY, SeverityNumber.WARN, attributes)

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        """Tell of a message that will reach no handler."""
        run = self._runs.get(fact.origin[2])
        if run is not None:
            attributes = {semconv.MESSAGE_TYPE: type_name(fact.message), semconv.DROP_REASON: fact.reason}
            self._emit(run, fact, semconv.Event.MESSAGE_DROPPED, SeverityNumber.WARN, attributes)

    def message_unhandled(self, fact: facts.MessageUnhandled, /) -> None:
        """Tell of a message that its handler had no use for."""
        run = self._runs.get(fact.origin[2])
        if run is not None:
            attributes = {semconv.MESSAGE_TYPE: type_name(fact.message), semconv.VISIT_NUMBER: fact.visit}
            self._emit(run, fact, semconv.Event.MESSAGE_UNHANDLED, SeverityNumber.DEBUG, attributes)

    def overdue(self, fact: facts.Overdue, /) -> None:
        """Tell of a state that lasts too long."""
        run = self._runs.get(fact.origin[2])
        if run is not None:
            attributes = {
                semconv.STATE_NAME: run.state(fact.state),
                semconv.VISIT_NUMBER: fact.visit,
                semconv.DWELL: fact.age,
                semconv.DWELL_LIMIT: float(fact.limit),
            }
            self._emit(run, fact, semconv.Event.STATE_OVERDUE, SeverityNumber.WARN, attributes)
