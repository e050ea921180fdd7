"""A back end goes away, the collector is killed: what had arrived is delivered, and the program does not notice."""

from __future__ import annotations

import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from septum.replay import load
from tests.collector.stack import Pipeline, servers, until, wait

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.slow

DEPOT = servers.ROOT / "tests" / "collector" / "depot.py"


def books_of(process: subprocess.Popen[str]) -> dict[str, int]:
    """Return the books of a depot that ends by itself."""
    output, said = process.communicate(timeout=180)
    assert process.returncode == 0, output + said
    books: dict[str, int] = json.loads(output.splitlines()[-1])
    return books


def edges(pipeline: Pipeline) -> float:
    return pipeline.value("sum(septum_transitions_total)")


def counted(books: Mapping[str, int]) -> int:
    return sum(count for what, count in books.items() if what.startswith("edge "))


def written(pipeline: Pipeline) -> set[str]:
    """Return the ids of the spans that have come to the collector."""
    return {span["spanId"] for span in pipeline.spans_in("septum-replay.jsonl")}


def harmless(books: Mapping[str, int]) -> None:
    """Say that the program stood still for no longer than a busy machine makes anything stand still, and stayed small.

    Who waits for an exporter waits for its deadline, which is 10 s.
    """
    assert books["longest standstill, ms"] < 3000
    assert books["most memory, MB"] < 400


def test_back_ends_that_are_down_for_half_a_minute_get_everything_later(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """Both the store of traces and logs and Prometheus are away for 30 s: afterwards each span, each record and each count is there."""
    with Pipeline(programs, tmp_path) as pipeline:
        depot = pipeline.process(DEPOT, "--seconds", "42", "--rate", "20")
        until(lambda: pipeline.backend.spans, "the first spans")
        pipeline.backend.down()
        pipeline.prometheus.stop()
        wait(30)
        before = len(pipeline.backend.spans)
        pipeline.backend.up()
        pipeline.prometheus.start()
        pipeline.prometheus.wait_until_well()
        books = books_of(depot)
        until(lambda: pipeline.backend.spans.keys() == written(pipeline), "every span in the store")
        assert len(pipeline.backend.spans) > before + 1000
        until(lambda: edges(pipeline) == counted(books), "every transition counted")
        events = [record for line in pipeline.lines("logs.jsonl") for record in records_in(line)]
        until(lambda: len(pipeline.backend.records) >= len({key_of(event) for event in events}), "every event in the store")
        harmless(books)


def test_a_killed_collector_delivers_what_its_queue_had(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """SIGKILL with everything in the queue and nobody to take it: the next start delivers all of it."""
    with Pipeline(programs, tmp_path) as pipeline:
        pipeline.backend.down()
        books = books_of(pipeline.process(DEPOT, "--seconds", "6", "--rate", "20"))
        # One span for each run and visit; `process` spans are more.
        expected = sum(count for what, count in books.items() if what.startswith(("visit ", "run ")))
        until(lambda: len(written(pipeline)) >= expected, "all spans with the collector")
        pipeline.collector.kill()
        assert pipeline.collector.ending() == f"was killed by {signal.SIGKILL.name}"
        held = written(pipeline)
        assert pipeline.backend.spans.keys() == set()
        pipeline.backend.up()
        pipeline.collector.start()
        until(lambda: pipeline.backend.spans.keys() >= held, "all that the queue held")
        assert pipeline.backend.spans.keys() == held


def test_a_collector_killed_in_the_middle_costs_the_program_nothing(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """The program goes on, everything that came to the collector comes to the store, and the counts are right in the end."""
    with Pipeline(programs, tmp_path) as pipeline:
        depot = pipeline.process(DEPOT, "--seconds", "20", "--rate", "20")
        until(lambda: len(pipeline.backend.spans) > 200, "some spans")
        pipeline.collector.kill()
        wait(4)
        assert depot.poll() is None
        pipeline.collector.start()
        books = books_of(depot)
        until(lambda: edges(pipeline) == counted(books), "every transition counted")
        until(lambda: pipeline.backend.spans.keys() >= written(pipeline), "every span that came")
        harmless(books)


def test_without_a_collector_the_program_does_not_notice(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """Nobody listens at all, and the depot works as before."""
    with Pipeline(programs, tmp_path) as pipeline:
        pipeline.collector.stop()
        harmless(books_of(pipeline.process(DEPOT, "--seconds", "8", "--rate", "20")))


def test_what_a_full_queue_made_the_program_send_twice_is_replayed_once(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """The collector refuses a batch that is in the file already, the program repeats it, and the loader takes each span once."""
    small = "yaml:exporters::otlp_http/traces::sending_queue: {queue_size: 50, sizer: items, batch: {min_size: 1, max_size: 10}}"
    with Pipeline(programs, tmp_path, configs=(small,)) as pipeline:
        pipeline.backend.down()
        books = books_of(pipeline.process(DEPOT, "--seconds", "6", "--rate", "20"))
        spans = Counter(span["spanId"] for span in pipeline.spans_in("septum-replay.jsonl"))
    assert max(spans.values()) > 1
    runs = load(tmp_path / "septum-replay.jsonl")
    visits = sum(count for what, count in books.items() if what.startswith("visit "))
    assert sum(len(run.steps) for run in runs) == visits
    assert sum(run.duplicates for run in runs) > 0
    assert [run.gaps for run in runs if run.gaps] == []


def records_in(line: dict[str, Any]) -> list[dict[str, Any]]:
    return [record for resource in line["resourceLogs"] for scope in resource["scopeLogs"] for record in scope["logRecords"]]


def key_of(record: dict[str, Any]) -> tuple[str, str]:
    return record.get("eventName", ""), record.get("timeUnixNano") or record["observedTimeUnixNano"]
