"""Events as span events, for back ends that show nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import get_current_span

try:
    from opentelemetry.sdk._logs import LogRecordProcessor
except ImportError as error:
    raise ImportError(
        'septum.otel.EventToSpanEventProcessor needs opentelemetry-sdk; install it with: pip install "septum[otlp]"', name=error.name
    ) from error

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord


class EventToSpanEventProcessor(LogRecordProcessor):
    """Copies each event onto the span that it happened in; a processor for the SDK's `LoggerProvider`, beside those that export.

    It is the "event to span event bridge" of the OpenTelemetry specification (logs/sdk.md, in development): a record is copied if it has an
    event name and a valid trace and span id, and if the span that is current in the record's own context is recording and is the one that
    the ids name. The span event has the event's name, its timestamp (the observed one if it has no other) and its attributes; severity
    and body are not copied. The record itself goes on unchanged, to other processors.

    It serves all events, not only Septum's. `provider.add_log_record_processor(EventToSpanEventProcessor())`
    """

    # Not overridden: enabled(). That a record would be bridged cannot be said without its event name and its context, which may both be
    # missing from the question, and "no" would silence the events of a program that has no other processor.

    def __init__(self) -> None:
        self._closed = False

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Copy the event to its span, if it has one that is still open."""
        # SDK 1.38 gives a LogData here, of which no more is used than of its successor.
        record = log_record.log_record
        name = record.event_name
        if not name or not record.trace_id or not record.span_id or self._closed:
            return
        span = get_current_span(record.context)
        if not span.is_recording():
            return
        identity = span.get_span_context()
        if (identity.trace_id, identity.span_id) != (record.trace_id, record.span_id):
            return
        timestamp = record.observed_timestamp if record.timestamp is None else record.timestamp
        span.add_event(name, record.attributes, timestamp)

    def shutdown(self) -> None:
        """Copy nothing more."""
        self._closed = True

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's interface
        """Return True: nothing is ever held back."""
        return True
