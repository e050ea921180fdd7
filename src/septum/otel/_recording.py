"""Recordings as OpenTelemetry log records, and as payloads on the spans of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context, get_current
from opentelemetry.trace import get_current_span

from septum import SeptumError, semconv
from septum.otel._events import EventLog
from septum.replay._record import SCOPE
from septum.replay._scribe import septum_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry._logs import LoggerProvider

    from septum.replay._item import Part
    from septum.replay._recorder import Recorder


_NOWHERE = Context()


class LogsSink:
    """Writes a recording through OpenTelemetry's Logs API, with the scope `septum.recording`; where it goes is the SDK's business.

    Each record is emitted in the context in which it happened, so that it has the trace and the span of its visit. Where nothing is traced,
    records with no body or a short one go together, many in one log record.
    """

    def __init__(self, logger_provider: LoggerProvider | None = None) -> None:
        """Make a sink that has emitted nothing.

        Args:
            logger_provider: None means the global one, also one that the program sets later.
        """
        self._log = EventLog(logger_provider, septum_version(), SCOPE)

    def is_on(self) -> bool:
        """Say whether anybody takes records now."""
        return self._log.is_on()

    def context(self) -> Context | None:
        """Return what is current now, for the record that is made now; None where there is no span, which lets records go together."""
        return get_current() if get_current_span().get_span_context().is_valid else None

    def write(self, parts: Sequence[Part]) -> None:
        """Emit the records.

        Raises:
            SeptumError: There is no pipeline that takes log records.
        """
        if not self.is_on():
            raise SeptumError("no LoggerProvider takes log records; set one up before machines are recorded, or record into a FileSink")
        for part in parts:
            for name, wall, attributes, text, context in part.log_records():
                # Not in what happens to be current now.
                place: Context = context if isinstance(context, Context) else _NOWHERE
                self._log.emit(name, SeverityNumber.INFO, wall, place, attributes, body=text)

    def flush(self) -> None:
        """Do nothing: the SDK's processor exports when it is time."""

    def close(self) -> None:
        """Do nothing: the provider is the program's."""

    def __repr__(self) -> str:
        return "<LogsSink>"


class Payloads:
    """Puts messages onto their spans, for `record="inline"`."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def of(self, run_id: str, message: Any) -> dict[str, str | int | bool]:
        """Return the attributes of a message's span that hold what was sent; none if the run is not recorded."""
        kept = self._recorder.look_at(run_id, message)
        if kept is None:
            return {}
        found: dict[str, str | int | bool] = {}
        for key, theirs in _SAME.items():
            if key in kept.attributes:
                found[theirs] = kept.attributes[key]  # type: ignore[assignment]  # texts and numbers
        if kept.text is None:
            found[semconv.MESSAGE_PAYLOAD_TRUNCATED] = True
        else:
            found[semconv.MESSAGE_PAYLOAD] = kept.text
        return found


_SAME = {
    semconv.RECORDING_ENCODING: semconv.MESSAGE_PAYLOAD_ENCODING,
    semconv.RECORDING_SIZE: semconv.MESSAGE_PAYLOAD_SIZE,
    semconv.RECORDING_DIGEST: semconv.MESSAGE_PAYLOAD_DIGEST,
}
