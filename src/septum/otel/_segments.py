"""Runs and visits as spans: opened, linked, rolled over into new traces, ended; and which of them is current while the machine works."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, cast

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import INVALID_SPAN, Link, get_current_span, set_span_in_context

from septum import StateMachine, semconv
from septum.otel._detached import links as detached_links
from septum.otel._failures import fail
from septum.otel._resumed import take_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FunctionType

    from opentelemetry.trace import Span, SpanContext, Tracer

    from septum import facts
    from septum.otel._config import SeptumConfig
    from septum.otel._run import Run, Runs

_EMPTY = Context()
_SERVE = cast("FunctionType", StateMachine.serve).__code__  # pyright: ignore[reportUnknownMemberType]  # it is generic

# Resetting it fails exactly where detaching would fail, and be logged by OpenTelemetry as "Failed to detach context": in another context
# than that in which the machine began to work, when a task was abandoned and its coroutine is closed by whoever collects it
# (test_an_abandoned_tick_that_is_closed_elsewhere_is_no_error).
_bracket: ContextVar[object] = ContextVar("septum.otel.bracket")


class Segments:
    """Makes and ends the spans of runs and visits, for any number of machines."""

    def __init__(self, tracer: Tracer, config: SeptumConfig, runs: Runs) -> None:
        self.tracer = tracer
        self.config = config
        self.runs = runs
        self.scope = config.trace_scope
        self._max_age_ns = config.segment_max_age * 1e9

    # ---- runs

    def begin(self, run: Run, fact: facts.RunStarted) -> None:
        """Open the run's first span, below the span that is current here, or as the configuration says."""
        self.runs.watch(run, fact.machine)
        self.runs[run.run_id] = run
        if not is_instrumentation_enabled():
            run.suppressed = True
            run.span, run.context = INVALID_SPAN, get_current()
            return
        here = get_current()
        links = detached_links(here)
        if self.config.parent == "root" or (self.config.parent == "auto" and _is_background()):
            links = [*links, *link(get_current_span(here).get_span_context(), semconv.LinkType.SPAWNED_BY)]
            here = _EMPTY
        before = take_up(run, fact.origin.kept)
        if before is None:
            self._open(run, here, links, fact.wall, fact.seq)
            return
        links = [*links, *link(before, semconv.LinkType.RESUMED_FROM)]
        if self.scope == "visit":
            # Each visit is a segment, and links to the first by itself; the number is that of the last one.
            self._open(run, here, links, fact.wall, fact.seq)
            run.segment_visits = 1
        else:
            run.segment += 1
            self._open(run, here, [*links, *link(run.first, semconv.LinkType.FIRST_SEGMENT)], fact.wall, fact.seq)

    def _open(self, run: Run, parent: Context, links: Sequence[Link], wall: int, seq: int) -> None:
        """Begin a segment."""
        run.segment_at = wall
        run.segment_visits = 0
        if self.scope == "visit":
            run.context = parent if run.segment == 0 else _EMPTY
            run.links = [*links]
            return
        span = run.span = self.tracer.start_span(
            f"{semconv.Operation.RUN} {run.name}",
            context=parent,
            attributes={
                semconv.OPERATION_NAME: semconv.Operation.RUN,
                **run.attributes,
                semconv.MACHINE_DEFINITION_HASH: run.definition.hash,
                semconv.RUN_SEGMENT: run.segment,
                semconv.SEQ: seq,
            },
            links=links,
            start_time=wall,
        )
        run.context = set_span_in_context(span, parent)
        if run.first is None:
            run.first = span.get_span_context()

    def roll_over(self, run: Run, wall: int, seq: int) -> None:
        """Go on in a new trace: the open spans end as continued, a new segment begins, and the visit in it too if there was one."""
        in_visit = run.visit is not None
        if in_visit:
            self._end_visit(run, semconv.VisitOutcome.CONTINUED, wall)
        self._close(run, semconv.RunOutcome.CONTINUED, None, wall)
        run.segment += 1
        links = [
            *link(run.previous, semconv.LinkType.PREVIOUS_SEGMENT),
            *link(run.first, semconv.LinkType.FIRST_SEGMENT),
        ]
        run.home = None
        self._open(run, _EMPTY, links, wall, seq)
        if in_visit:
            run.segment_visits = 1
            if run.retries:
                run.retry = (run.retries, run.names[run.visit_state].retries)
            self.open_visit(run, run.visit_state, run.visit_number, seq, wall, None, run.stack)

    def is_old(self, run: Run, wall: int) -> bool:
        """Say whether the segment has lasted long enough."""
        return wall - run.segment_at >= self._max_age_ns

    def _close(self, run: Run, outcome: str, exception: BaseException | None, wall: int) -> None:
        span = run.span
        if span is None:
            return
        run.previous = span.get_span_context()
        span.set_attribute(semconv.RUN_OUTCOME, outcome)
        if outcome == semconv.RunOutcome.FAILED:
            fail(span, exception)
        span.end(wall)
        run.span = None

    def end(self, run: Run, outcome: str, visit_outcome: str, wall: int, exception: BaseException | None = None) -> None:
        """End whatever is open of *run*: its visit with *visit_outcome* unless it has ended by a fact, the run with *outcome*."""
        self.end_process(run, wall)
        if run.visit is not None:
            if self.scope == "visit":
                run.visit.set_attribute(semconv.RUN_OUTCOME, outcome)
            self._end_visit(run, visit_outcome, wall)
        if not run.suppressed:
            self._close(run, outcome, exception, wall)

    def sweep(self) -> None:
        """End the spans of machines that were dropped in the middle of a run, at the time of the last that was seen of them."""
        vanished = self.runs.vanished
        while vanished:
            try:
                run = self.runs.pop(vanished.popleft(), None)
            except IndexError:  # pragma: no cover - another thread swept
                return
            if run is not None:
                self.end(run, semconv.RunOutcome.STOPPED, semconv.VisitOutcome.STOPPED, run.last)

    # ---- visits

    def open_visit(self, run: Run, full_name: str, number: int, seq: int, wall: int, kind: str | None, stack: tuple[str, ...]) -> None:
        """Begin the span of a visit and make it current."""
        node = run.names[full_name]
        state = node.qualname
        attributes: dict[str, str | int | float | Sequence[str]] = {
            semconv.OPERATION_NAME: semconv.Operation.VISIT,
            **run.attributes,
            semconv.STATE_NAME: state,
            semconv.VISIT_NUMBER: number,
            semconv.SEQ: seq,
        }
        if kind is not None:
            attributes[semconv.TRANSITION_KIND] = kind
        if node.timeout is not None:
            attributes[semconv.TIMEOUT_DURATION] = float(node.timeout)
        if stack:
            attributes[semconv.STACK] = [run.state(name) for name in stack]
        run.retries = 0
        if run.retry is not None:
            count, limit = run.retry
            run.retry = None
            run.retries = attributes[semconv.RETRY_COUNT] = count
            if limit is not None:
                attributes[semconv.RETRY_LIMIT] = limit
        links, run.links = run.links, None
        parent = run.context
        if self.scope != "run":
            if self.scope == "visit":
                attributes[semconv.RUN_SEGMENT] = run.segment
                attributes[semconv.MACHINE_DEFINITION_HASH] = run.definition.hash
            elif run.home is not None:
                parent = run.home
                links = [*(links or ()), *link(span_of(run.span), semconv.LinkType.SEGMENT)]
        span = run.visit = self.tracer.start_span(
            f"{semconv.Operation.VISIT} {run.name}.{state}",
            context=parent,
            attributes=attributes,
            links=links,
            start_time=wall,
        )
        run.last = wall
        run.visit_state, run.visit_number, run.seq, run.stack = full_name, number, seq, stack
        if self.scope == "visit":
            run.previous = span.get_span_context()
            if run.first is None:
                run.first = run.previous
        self.show(run, span)

    def _end_visit(self, run: Run, outcome: str, wall: int) -> None:
        """End the visit's span: as the fact says that ended it, else with *outcome* now."""
        visit, ending = run.visit, run.ending
        run.visit = run.ending = None
        if visit is None:
            return
        if ending is not None:
            outcome, wall = ending.outcome, ending.wall
            handled, run.handled = run.handled, None
            if outcome == semconv.VisitOutcome.ERROR and (ending.exception is None or ending.exception is not handled):
                fail(visit, ending.exception)
        visit.set_attribute(semconv.VISIT_OUTCOME, outcome)
        visit.end(wall)

    def leave_visit(self, run: Run, fact: facts.TransitionTaken) -> None:
        """End the visit's span, now that it is known where the machine goes."""
        visit, ending = run.visit, run.ending
        run.visit = run.ending = None
        if visit is None or ending is None:
            return
        outcome = ending.outcome
        found: dict[str, str] = {semconv.VISIT_OUTCOME: outcome}
        if fact.target is not None:
            found[semconv.TRANSITION_TO_STATE] = run.state(fact.target)
        if fact.label is not None:
            found[semconv.TRANSITION_LABEL] = fact.label
        visit.set_attributes(found)
        if outcome == semconv.VisitOutcome.ERROR and (ending.exception is None or ending.exception is not run.handled):
            fail(visit, ending.exception)
        run.handled = None
        if fact.target is None and self.scope == "visit":
            visit.set_attribute(semconv.RUN_OUTCOME, semconv.RunOutcome.COMPLETED)
        visit.end(ending.wall)

    def end_process(self, run: Run, wall: int) -> None:
        """End the span of the message that was dealt with, if there is one."""
        process = run.process
        if process is not None:
            run.process = None
            if run.at_work:
                self.show(run, run.current)
            process.end(wall)

    # ---- what is current

    def show(self, run: Run, span: Span | None) -> None:
        """Make *span* current, if the machine works; what the first such call put aside comes back when it pauses."""
        if run.at_work and span is not None and span is not INVALID_SPAN:
            shown = run.shown
            if shown is not None and shown[0] is span and shown[1] is run.base:
                # A machine that is ticked in one place: what was current at the end of one tick is current in the next.
                context = shown[2]
            else:
                context = set_span_in_context(span, run.base)
                run.shown = (span, run.base, context)
            if run.undo is None:
                run.undo = (_bracket.set(run), attach(context))
            else:
                attach(context)

    def begin_work(self, run: Run) -> Callable[[], None]:
        """Make the innermost open span current, on top of the context that the machine is driven from."""
        wall = run.wall_ns()
        if self.is_old(run, wall) and not run.suppressed and (run.visit is not None or run.span is not None):
            was_recorded = run.span is not None and run.span.is_recording()
            self.roll_over(run, wall, run.seq)
            machine = None if run.machine is None else run.machine()
            if machine is not None and run.span is not None and run.span.is_recording() is not was_recorded:
                machine.ask_hooks()
        run.base = get_current()
        run.at_work = True
        run.undo = None
        self.show(run, run.current)
        return partial(self._pause, run, run.base)

    def _pause(self, run: Run, base: Context) -> None:
        """Undo `begin_work`, if this is the context in which it was done."""
        if run.base is not base:
            return  # Begun anew elsewhere: this was the end of a task that was abandoned.
        undo, run.undo, run.base = run.undo, None, None
        run.at_work = False
        if undo is not None:
            bracket, token = undo
            try:
                _bracket.reset(bracket)
            except ValueError:
                pass  # Another context: there is nothing to undo here, and the one that was changed is gone.
            else:
                detach(token)
        # Last, for a span processor may raise, and what is current must be put back all the same.
        if run.process is not None:
            self.end_process(run, run.wall_ns())


def _is_background() -> bool:
    """Say whether the present task was made for a machine's `serve()` itself, so that its work outlives whoever made it."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and getattr(task.get_coro(), "cr_code", None) is _SERVE


def span_of(span: Span | None) -> SpanContext | None:
    """Return where *span* is."""
    return None if span is None else span.get_span_context()


def link(context: SpanContext | None, kind: str) -> list[Link]:
    """Return a link of *kind* to *context*, if that is a span."""
    return [Link(context, {semconv.LINK_TYPE: kind})] if context is not None and context.is_valid else []
