"""What recording costs: Septum with a `Recorder` or a `FlightRecorder`, and beside it one record of OpenTelemetry's own, by hand.

Everything is in the figure: what is kept is also packed and written, to a file or through the SDK, before a sample ends.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from septum import core, semconv
from septum.replay import FileSink, FlightRecorder, MemorySink, Recorder
from tests.bench.metrics import Bench, Family, Loop, Metric, expect, machine_bench
from tests.bench.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from septum.replay._item import Part

    Prepare = Callable[[], Coroutine[Any, Any, Loop]]

MOST_BYTES = 16 * 1024 * 1024
"""Size at which the file begins anew: enough for any sample, and no disk is filled."""

RING = 10_000


class Counting(FileSink):
    """A file that counts the records that went into it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, most_bytes=MOST_BYTES, backups=0)
        self.records = 0

    def write(self, parts: Sequence[Part]) -> None:
        """Write, and count the last number of each part."""
        super().write(parts)
        self.records = parts[-1].items[-1].index


def bench(variant: str) -> Bench:
    """Return what is measured of recording.

    Args:
        variant: "metadata" writes a file at that level, "full" at the other, "ring" is the flight recorder, "logs" emits log records,
            "emit" is a bare call of the SDK.
    """
    if variant == "emit":
        return Bench(metrics={"emit": Metric(prepare=_bare_emit)})
    if variant == "ring":
        ring = FlightRecorder(RING, directory=tempfile.gettempdir())
        return _family(ring, lambda: None)
    if variant == "logs":
        recorder = Recorder(_logs_sink())
        return _family(recorder, recorder.flush)
    sink = Counting(Path(tempfile.mkdtemp(prefix="septum-bench-")) / "recording.jsonl")
    recorder = Recorder(sink, level="full" if variant == "full" else "metadata")
    _check(variant)
    return _family(recorder, recorder.flush)


def _family(hook: Recorder | FlightRecorder, flush: Callable[[], object]) -> Bench:
    program = Program(core)
    found = machine_bench(
        Family(
            machine=partial(core.StateMachine, hooks=(hook,), name="bench"),
            ticking=program.ticking,
            counting=program.counting,
            receiving=program.receiving,
            run=lambda fsm, count: fsm.run(max_iterations=count),
            drain=lambda fsm: fsm.run(timeout=0),
        )
    )
    metrics = {name: Metric(prepare=_flushed(found.metrics[name].prepare, flush)) for name in ("run", "tick", "message")}
    return Bench(metrics=metrics, idle=found.idle)


def _flushed(prepare: Prepare, flush: Callable[[], object]) -> Prepare:
    """Return *prepare* with a loop that ends when everything is written."""

    async def flushed() -> Loop:
        loop = await prepare()

        async def whole(count: int) -> None:
            await loop(count)
            flush()

        return whole

    return flushed


def _check(variant: str) -> None:
    """Leave unless ten steps are recorded as ten handlers and ten transitions."""
    sink = MemorySink()
    with Recorder(sink, level="full" if variant == "full" else "metadata") as recorder:
        fsm: Any = core.StateMachine(Program(core).counting, hooks=(recorder,), name="bench", common_data={"count": 0})
        step = fsm.run(max_iterations=10)
        try:
            while True:
                step.send(None)
        except StopIteration:
            pass
    events = [record.event for record in sink.records]
    if events != ["start", *["handler", "transition"] * 10]:
        sys.exit(f"ten steps were recorded as {events}")
    expect(sink.records[-1].index, 21)


def _logs_sink() -> Any:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from septum.replay import LogsSink

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(_nowhere(), max_queue_size=65536))
    return LogsSink(provider)


def _nowhere() -> Any:
    from opentelemetry.sdk._logs import export

    # Renamed in OpenTelemetry 1.39.
    base = getattr(export, "LogRecordExporter", None) or export.LogExporter
    result = getattr(export, "LogRecordExportResult", None) or export.LogExportResult

    class Nowhere(base):  # type: ignore[misc, valid-type]  # one of the two
        """Drops records."""

        def export(self, batch: Any) -> Any:
            """Drop *batch*."""
            del batch
            return result.SUCCESS

        def shutdown(self) -> None:
            """Do nothing."""

        def force_flush(self, timeout_millis: int = 0) -> bool:
            """Do nothing."""
            del timeout_millis
            return True

    return Nowhere()


async def _bare_emit() -> Loop:
    """One log record of the SDK, without a processor, with the attributes of a record of a handler."""
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider

    logger = LoggerProvider(shutdown_on_exit=False).get_logger("septum.recording")
    attributes: dict[str, Any] = {
        semconv.RECORDING_VERSION: 1,
        semconv.RUN_ID: "0199a0a5-5c1e-7a44-9d5e-3f3f0f5b7c12",
        semconv.MACHINE_ID: "0199a0a5-5c1e-7a44-9d5e-3f3f0f5b7c11",
        semconv.MACHINE_NAME: "bench",
        semconv.HANDLER_NAME: "on_state",
        semconv.STATE_NAME: "bench.counting.One",
        semconv.ANSWER_KIND: "label",
        semconv.ANSWER_NAME: "Events.GO",
    }

    async def loop(count: int) -> None:
        for number in range(count):
            logger.emit(
                timestamp=number,
                severity_number=SeverityNumber.INFO,
                attributes={**attributes, semconv.RECORDING_INDEX: number, semconv.SEQ: number},
                event_name="septum.recording.handler",
            )

    return loop
