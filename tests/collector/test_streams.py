"""What goes where: spans before and after sampling, recordings and the rest, secrets and files."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.collector.stack import Pipeline, servers, until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.slow

DEPOT = servers.ROOT / "tests" / "collector" / "depot.py"
SHORT = {"SEPTUM_OTEL_SEGMENT_MAX_AGE": "1.5", "OTEL_BSP_SCHEDULE_DELAY": "500"}
RESOURCE = Resource.create({"service.name": "streams"})


def emit(pipeline: Pipeline, scope: str, records: list[dict[str, Any]]) -> None:
    """Send log records of *scope*."""
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=pipeline.otlp, insecure=True)))
    logger = provider.get_logger(scope)
    for number, record in enumerate(records, 1):
        logger.emit(timestamp=number, severity_number=SeverityNumber.INFO, **record)
    provider.shutdown()


def scopes_in(pipeline: Pipeline, file: str) -> dict[str, list[dict[str, Any]]]:
    """Return the log records in a file by scope."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in pipeline.lines(file):
        for resource in line.get("resourceLogs", ()):
            for scope in resource["scopeLogs"]:
                found[scope["scope"]["name"]] += scope["logRecords"]
    return found


def test_recordings_go_into_the_replay_file_whole_and_nowhere_else(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """Tail sampling keeps nothing here, and yet each record of a recording is in the file; the store of logs has only the others."""
    with Pipeline(programs, tmp_path, configs=(servers.TAIL,), KEEP_PERCENT="0", DECISION_WAIT="1s") as pipeline:
        names = [f"septum.recording.{what}" for what in ("start", "message", "handler", "end") for _ in range(100)]
        emit(pipeline, "septum.recording", [{"event_name": name, "body": {"payload": name}} for name in names])
        emit(pipeline, "septum", [{"event_name": "septum.transition"}] * 10)
        until(lambda: len(scopes_in(pipeline, "septum-replay.jsonl")["septum.recording"]) == len(names), "the recording in its file")
        until(lambda: sum(pipeline.backend.records.values()) == 10, "the events in the store")
        assert {scope for scope, _, _ in pipeline.backend.records} == {"septum"}
        assert scopes_in(pipeline, "logs.jsonl").keys() == {"septum"}
        assert [record["eventName"] for record in scopes_in(pipeline, "septum-replay.jsonl")["septum.recording"]] == names


def test_secrets_that_got_past_the_program_do_not_get_past_the_collector(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """In attributes, bodies and exceptions, of spans, logs and recordings, what follows a word like password is replaced."""
    texts = [
        "password=hunter2 was wrong",
        "Authorization: Bearer hunter2",
        '{"api_key": "a \\" hunter2", "n": 1}',
        "my-token=hunter2",
        "secret: hunter2",
    ]
    with Pipeline(programs, tmp_path) as pipeline:
        for scope in ("septum", "septum.recording", "shop"):
            records: list[dict[str, Any]] = [{"body": text, "attributes": {"exception.message": text}} for text in texts]
            records += [{"body": {"note": text}} for text in texts]
            emit(pipeline, scope, records)
        provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=pipeline.otlp, insecure=True)))
        with provider.get_tracer("shop").start_as_current_span("login") as span:
            for text in texts:
                span.add_event("said", {"text": text})
            span.set_attribute("said", texts[0])
            span.set_attribute("db.password", "hunter2")
        provider.shutdown()
        until(lambda: sum(pipeline.backend.records.values()) == 20, "the logs in the store")
        until(lambda: pipeline.backend.spans, "the span in the store")
        until(lambda: len(scopes_in(pipeline, "septum-replay.jsonl")["septum.recording"]) == 10, "the recording in its file")
        for file in ("septum-replay.jsonl", "logs.jsonl"):
            assert "hunter2" not in (tmp_path / file).read_text(encoding="utf-8")
        assert not [body for body in pipeline.backend.bodies if "hunter2" in body]
        for file, scope in (("logs.jsonl", "shop"), ("septum-replay.jsonl", "septum.recording")):
            said = [record["body"]["stringValue"] for record in scopes_in(pipeline, file)[scope][:5]]
            assert said[0] == 'password="[redacted]" was wrong'
            # Still JSON: what is replayed must be read.
            assert json.loads(said[2]) == {"api_key": "[redacted]", "n": 1}


def test_tail_sampling_keeps_whole_traces_of_what_went_wrong(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """With segments shorter than the decision, each trace with an error is in the store, whole; of the others only a part."""
    with Pipeline(programs, tmp_path, configs=(servers.TAIL,), KEEP_PERCENT="10", DECISION_WAIT="7s") as pipeline:
        depot = pipeline.process(DEPOT, "--seconds", "16", "--trouble-at", "8", "--rate", "20", **SHORT)
        output, said = depot.communicate(timeout=180)
        assert depot.returncode == 0, output + said
        traces: dict[str, set[str]] = defaultdict(set)
        failed, wrong, hung, calls = set[str](), set[str](), set[str](), 0
        for found in pipeline.spans_in("septum-replay.jsonl"):
            traces[found["traceId"]].add(found["spanId"])
            calls += found["scope"] == "septum"
            values = {attribute["key"]: attribute["value"] for attribute in found["attributes"]}
            # The desk's handler, which never came back, and the gate, to which nothing happened, until they were cancelled: segments are
            # cut when something happens.
            if int(found["endTimeUnixNano"]) - int(found["startTimeUnixNano"]) > 6e9:
                hung.add(found["traceId"])
            if found.get("status", {}).get("code") == 2:
                failed.add(found["traceId"])
            if "septum.retry.count" in values or values.get("septum.visit.outcome", {}).get("stringValue") in {
                "timeout",
                "error",
                "cancelled",
            }:
                wrong.add(found["traceId"])
        until(lambda: pipeline.value("sum(septum_span_calls_total)") == calls, "all spans counted before sampling")
        pipeline.collector.stop()  # decides what is undecided; what is not sent by then waits on disk
        pipeline.collector.start()
        kept = pipeline.backend.traces
        assert failed
        assert len(wrong) > 20
        assert len(hung) <= 2
        expected = (failed | wrong) - hung
        until(lambda: all(kept.get(trace) == traces[trace] for trace in expected), "each of them in the store, whole")
        rest = traces.keys() - failed - wrong
        assert 0 < len(rest & kept.keys()) < len(rest) / 2


def test_a_restart_goes_on_where_the_files_end_and_a_full_file_is_set_aside(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """Nothing in a file is lost by a restart, and at FILE_MEGABYTES a new file begins."""
    with Pipeline(programs, tmp_path, FILE_MEGABYTES="1") as pipeline:
        for turn in range(3):
            emit(pipeline, "septum.recording", [{"event_name": "septum.recording.message", "body": f"{turn} {'x' * 2000}"}] * 300)
            pipeline.collector.stop()
            pipeline.collector.start()
            pipeline.collector.wait_until_well()
        bodies = [record["body"]["stringValue"][0] for record in scopes_in(pipeline, "septum-replay.jsonl")["septum.recording"]]
        assert bodies == ["0"] * 300 + ["1"] * 300 + ["2"] * 300
        assert list(tmp_path.glob("septum-replay-*.jsonl"))
        assert json.loads((tmp_path / "septum-replay.jsonl").read_text(encoding="utf-8").splitlines()[0])
