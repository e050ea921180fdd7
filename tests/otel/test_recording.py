"""Recordings through OpenTelemetry: log records in the span of what happened, payloads on spans, and nothing where nobody takes them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from septum.otel import OTelHooks, instrument, uninstrument
from septum.replay import LogsSink, MemorySink, Record, Recorder
from septum.testing import ManualClock
from tests.otel.conformance import LogExporter
from tests.replay.scenes import pinging


class Sdk:
    """Providers that keep what they get."""

    def __init__(self) -> None:
        self.spans, self._logs = InMemorySpanExporter(), LogExporter()
        self.tracers, self.loggers = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.loggers.add_log_record_processor(log_export.SimpleLogRecordProcessor(self._logs))

    def logs(self) -> list[Any]:
        """Return the log records of recordings."""
        found = [log for log in self._logs.get_finished_logs() if log.instrumentation_scope.name == "septum.recording"]
        return [log.log_record for log in found]


async def send(fsm: Any, *messages: object) -> None:
    """Start *fsm*, let it deal with *messages* one by one, and close it."""
    await fsm.initialize()
    for message in messages:
        fsm.send_message(message)
        await fsm.tick()
    await fsm.close()


def test_the_logs_api_gets_what_memory_gets() -> None:
    """Event by event, body by body; what no span is current for goes together."""
    sdk, memory = Sdk(), MemorySink()
    with Recorder(LogsSink(sdk.loggers), level="full") as logs, Recorder(memory, level="full") as recorder:
        asyncio.run(send(pinging(hooks=[logs, recorder], clock=ManualClock()), {"order": 1}, {"order": 2}))
    found: list[Record] = []
    for log in sdk.logs():
        attributes = dict(log.attributes)
        shared = [attributes.pop(f"septum.{key}") for key in ("recording.index", "seq", "visit.number", "recording.time")]
        index, seq, visit, at = shared
        who = [attributes.pop(f"septum.{key}") for key in ("run.id", "machine.id", "machine.name")]
        digest = attributes.pop("septum.machine.definition.hash")
        del attributes["septum.recording.version"]
        event = log.event_name.removeprefix("septum.recording.")
        body = None if log.body is None else json.loads(log.body)
        found.append(Record(event, index, seq, visit, at, log.timestamp, *who, attributes, body, digest))
        assert log.span_id == 0
    assert "batch" in {record.event for record in found}
    alone = [record for record in found if record.event != "batch"]
    assert alone == [record for record in memory.records if record.index in {one.index for one in alone}]
    batched = sum(len(json.loads(log.body)["shape"]) for log in sdk.logs() if log.event_name.endswith("batch"))
    assert len(alone) + batched == len(memory.records)


def test_a_configuration_records_in_the_spans_of_what_happened() -> None:
    """`record=` is all that it takes; each record has the span of its visit or of its message."""
    sdk = Sdk()
    hooks = OTelHooks(tracer_provider=sdk.tracers, logger_provider=sdk.loggers, metrics="off", record="inline")
    asyncio.run(send(pinging(hooks=[hooks]), {"order": 4711, "card": "4111"}, "x" * 2000))
    hooks.close()
    spans = {span.context.span_id: span for span in sdk.spans.get_finished_spans() if span.context}
    places = [(log.event_name.removeprefix("septum.recording."), spans[log.span_id].name if log.span_id else None) for log in sdk.logs()]
    assert places == [
        ("start", "run pinging"),
        ("message", None),  # sent outside of any span
        ("handler", "visit pinging.Ping"),
        ("taken", "process dict"),
        ("handler", "process dict"),
        ("transition", "visit pinging.Ping"),
        ("message", None),
        ("handler", "visit pinging.Ping"),
        ("taken", "process str"),
        ("handler", "process str"),
        ("transition", "visit pinging.Ping"),
        ("end", None),
    ]
    payloads = [
        {key.removeprefix("septum.message."): value for key, value in (span.attributes or {}).items() if "payload" in key}
        for span in sdk.spans.get_finished_spans()
        if span.name.startswith("process")
    ]
    assert payloads[0] == {"payload": '{"card":"[redacted]","order":4711}', "payload.encoding": "json"}
    assert {key: payloads[1][key] for key in ("payload.encoding", "payload.size", "payload.truncated")} == {
        "payload.encoding": "digest",
        "payload.size": 2002,
        "payload.truncated": True,
    }


def test_without_a_logs_pipeline_nothing_is_recorded() -> None:
    """`OTelHooks` does not even try, and a sink of its own says so once and counts."""
    sdk = Sdk()
    hooks = OTelHooks(tracer_provider=sdk.tracers, metrics="off", record="inline")
    asyncio.run(send(pinging(hooks=[hooks]), "go"))
    hooks.close()
    (process,) = [span for span in sdk.spans.get_finished_spans() if span.name.startswith("process")]
    assert not [key for key in process.attributes or {} if "payload" in key]


def test_a_sink_without_a_pipeline_loses_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    """The machine does not notice."""
    sink = LogsSink()
    recorder = Recorder(sink)
    asyncio.run(send(pinging(hooks=[recorder]), "go"))
    recorder.close()
    assert (recorder.lost, repr(sink)) == (7, "<LogsSink>")
    (logged,) = [record for record in caplog.records if record.name == "septum.replay"]
    assert "no LoggerProvider takes log records" in str(logged.exc_info and logged.exc_info[1])


def test_every_machine_is_recorded_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """SEPTUM_OTEL_RECORD turns it on without code."""
    monkeypatch.setenv("SEPTUM_OTEL_RECORD", "full")
    sdk = Sdk()
    instrument(tracer_provider=sdk.tracers, logger_provider=sdk.loggers, metrics="off")
    try:
        asyncio.run(send(pinging(), "go"))
    finally:
        uninstrument()
    assert [log.body for log in sdk.logs() if log.event_name == "septum.recording.message"] == ['"go"']
