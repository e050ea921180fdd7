"""What a snapshot keeps of a run's spans, and what the run's first span after a restore is linked to.

The text is W3C Trace Context whatever the program's propagator is: it is read by nobody but this file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from septum import semconv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

    from septum import facts
    from septum.otel._run import Run

_FORMAT: Final = TraceContextTextMapPropagator()
_FIRST: Final = "first_segment/"
_SENDER: Final = "message/"
_FRAME: Final = "stack/"
_COUNT: Final = re.compile("[0-9]{1,9}")
_SENT: Final = re.compile("message/([0-9]{1,18})/traceparent")


class _Left(NamedTuple):
    """Of a run that has ended: its last segment, its first, and the number of the last."""

    segment: SpanContext | None
    first: SpanContext | None
    number: int


def keep(run: Run) -> dict[str, str]:
    """Return what a snapshot keeps of an open *run*: its present segment and its first, who sent what waits, who pushed what is below."""
    here = run.previous if run.span is None else run.span.get_span_context()
    kept = keep_segment(here, run.first, run.segment)
    if kept:
        for number, sender in (run.senders or {}).items():
            kept |= _write(sender, f"{_SENDER}{number}/")
        for place, frame in enumerate(run.frames or ()):
            kept |= _write(frame, f"{_FRAME}{place}/")
    return kept


def keep_segment(segment: SpanContext | None, first: SpanContext | None, number: int) -> dict[str, str]:
    """Return what a snapshot keeps of a run of which nothing is open any more."""
    kept = _write(segment, "")
    return {**kept, **_write(first, _FIRST), semconv.RUN_SEGMENT: str(number)} if kept else {}


def keep_ended(run: facts.Origin) -> dict[str, str]:
    """Return what a snapshot keeps of a run that has ended, as `note_end` left it."""
    return keep_segment(*run.left) if isinstance(run.left, _Left) else {}


def note_end(run: Run, origin: facts.Origin) -> None:
    """Leave what a snapshot after the end of the run would keep of it."""
    origin.left = _Left(run.previous, run.first, run.segment)


def take_up(run: Run, kept: Mapping[str, str]) -> SpanContext | None:
    """Let *run*, of which nothing is open yet, go on from what a snapshot *kept*; return the segment that it goes on from."""
    before = _read(kept, "")
    number = kept.get(semconv.RUN_SEGMENT, "")
    if before is None or not _COUNT.fullmatch(number):
        return None
    run.segment = int(number)
    run.first = _read(kept, _FIRST)
    senders: dict[int, SpanContext] = {}
    for name in kept:
        sender = _SENT.fullmatch(name)
        found = None if sender is None else _read(kept, f"{_SENDER}{sender[1]}/")
        if sender is not None and found is not None:
            senders[int(sender[1])] = found
    run.senders = senders or None
    machine = None if run.machine is None else run.machine()
    depth = 0 if machine is None else len(machine.state_stack)
    run.frames = [_read(kept, f"{_FRAME}{place}/") for place in range(depth)]
    return before


def _write(span: SpanContext | None, prefix: str) -> dict[str, str]:
    if span is None or not span.is_valid:
        return {}
    carrier: dict[str, str] = {}
    _FORMAT.inject(carrier, set_span_in_context(NonRecordingSpan(span)))
    return {prefix + name: text for name, text in carrier.items()}


def _read(kept: Mapping[str, str], prefix: str) -> SpanContext | None:
    carrier = {name: kept[prefix + name] for name in ("traceparent", "tracestate") if prefix + name in kept}
    found = get_current_span(_FORMAT.extract(carrier)).get_span_context() if carrier else None
    return found if found is not None and found.is_valid else None
