"""The orders example through the real collector into a real Prometheus: every panel has data, and the numbers are the example's own."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.collector.boards import PANELS, Asked
from tests.collector.stack import Pipeline, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent


class Run(NamedTuple):
    """A pipeline after a run of the orders, and the example's own books."""

    pipeline: Pipeline
    books: dict[str, Any]


def run_orders(pipeline: Pipeline, *arguments: str, **variables: str) -> dict[str, Any]:
    """Run the example to its end, wait until what it sent has arrived, and return its books."""
    file = pipeline.folder / "books.json"
    running = pipeline.process(HERE / "ordering.py", file, *arguments, **variables)
    output, said = running.communicate(timeout=120)
    assert running.returncode == 0, output + said
    books: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    taken = sum(count for *_, count in books["edges"])
    until(lambda: pipeline.value("sum(septum_transitions_total)") == taken, "all transitions in Prometheus")
    visits = sum(map(len, books["times"].values()))
    until(lambda: pipeline.value('sum(septum_span_calls_total{septum_operation_name="visit"})') == visits, "all visits counted from spans")
    return books


@pytest.fixture(scope="module")
def run(programs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with Pipeline(programs, tmp_path_factory.mktemp("orders")) as pipeline:
        yield Run(pipeline, run_orders(pipeline, "--orders", "300", "--concurrency", "20"))


@pytest.fixture(scope="module")
def native(programs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with Pipeline(programs, tmp_path_factory.mktemp("native")) as pipeline:
        histograms = {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram"}
        yield Run(pipeline, run_orders(pipeline, "--orders", "300", "--concurrency", "20", **histograms))


def ask_all(run: Run) -> set[tuple[str, str]]:
    """Return title and legend of what has no answer in Prometheus."""
    asked = [panel for panel in PANELS if panel.store == "prometheus"]
    return {(panel.title, panel.legend.split(" ")[0]) for panel in asked if not run.pipeline.has_answered(panel.filled(), 60)}


def test_every_panel_has_data_with_its_labels(run: Run) -> None:
    """Each expression of each dashboard gives a number for the orders."""
    assert ask_all(run) == set()


def test_every_panel_has_data_from_native_histograms(native: Run) -> None:
    """With exponential histograms the same panels have data: each expression asks for both kinds."""
    assert native.pipeline.ask("septum_state_duration_seconds_bucket") == []
    assert ask_all(native) == set()


def test_transitions_by_edge_are_the_examples_own(run: Run) -> None:
    """Each edge has been taken exactly as often as the machines' hook and their stats() say."""
    labels = "septum_transition_from_state, septum_transition_label, septum_transition_to_state, septum_transition_kind"
    found = run.pipeline.ask(f'sum by ({labels}) (septum_transitions_total{{septum_machine_name="Order"}})')
    seen = {
        tuple(metric.get(f"septum_transition_{part}", "") for part in ("from_state", "label", "to_state", "kind")): value
        for metric, value in found
    }
    assert seen == {(source, label or "", target, kind): count for source, label, target, kind, count in run.books["edges"]}
    assert sum(seen.values()) == sum(stats["transitions"] for stats in run.books["stats"].values())


@pytest.mark.parametrize("what", ["retries", "timeouts", "errors"])
def test_troubles_by_state_are_the_examples_own(run: Run, what: str) -> None:
    """Retries, timeouts and errors are counted exactly, state by state."""
    found = run.pipeline.ask(f"sum by (septum_state_name) (septum_{what}_total)")
    assert {metric["septum_state_name"]: value for metric, value in found} == run.books[what]
    assert sum(run.books[what].values()) == sum(stats[what] for stats in run.books["stats"].values())


def test_messages_are_the_examples_own(run: Run) -> None:
    """What was consumed is what was handled and unhandled."""
    stats = run.books["stats"].values()
    assert run.pipeline.value("septum_consumed_messages_total") == sum(each["handled"] + each["unhandled"] for each in stats)
    assert run.pipeline.value("septum_unhandled_messages_total") == sum(each["unhandled"] for each in stats)


def test_nobody_is_left_in_any_state(run: Run) -> None:
    """At rest, after the last order, every state is reported, and with zero machines."""
    found = run.pipeline.ask("sum by (septum_state_name) (septum_machine_active)")
    assert {value for _, value in found} == {0}
    assert {metric["septum_state_name"] for metric, _ in found} >= run.books["times"].keys()


@pytest.mark.parametrize("kind", ["classic", "native"])
def test_visits_are_counted_exactly_in_histograms(request: pytest.FixtureRequest, kind: str) -> None:
    """Each state's histogram has as many values as the state had visits, whatever its kind, and spans say the same."""
    of: Run = request.getfixturevalue({"classic": "run", "native": "native"}[kind])
    visits = {state: len(times) for state, times in of.books["times"].items()}
    counted = {"classic": "septum_state_duration_seconds_count", "native": "histogram_count(septum_state_duration_seconds)"}[kind]
    for expression in (counted, 'septum_span_calls_total{septum_operation_name="visit"}'):
        found = of.pipeline.ask(f"sum by (septum_state_name) ({expression})")
        assert {metric["septum_state_name"]: value for metric, value in found} == visits


@pytest.mark.parametrize("kind", ["classic", "native"])
@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_percentiles_are_right_within_a_bucket(request: pytest.FixtureRequest, kind: str, quantile: float) -> None:
    """A percentile of Prometheus and one of the times themselves lie in one bucket, or in neighbours where a value is at its border."""
    of: Run = request.getfixturevalue({"classic": "run", "native": "native"}[kind])
    series = {
        "classic": "sum by (le, septum_state_name) (septum_state_duration_seconds_bucket)",
        "native": "sum by (septum_state_name) (septum_state_duration_seconds)",
    }
    found = of.pipeline.ask(f"histogram_quantile({quantile}, {series[kind]})")
    bounds = [0.0, 0.005, 0.025, 0.1, 0.5, 1, 5, 10, 30]
    assert found
    for metric, value in found:
        times = sorted(of.books["times"][metric["septum_state_name"]])
        exact = times[max(math.ceil(quantile * len(times)) - 1, 0)]
        if kind == "classic":
            place = max(index for index, bound in enumerate(bounds) if bound <= exact)
            assert bounds[place] <= value <= bounds[place + 1], metric
        else:
            # Four buckets or more to a doubling, as the SDK chooses.
            assert exact / 1.2 <= value <= exact * 1.2 or abs(exact - value) < 0.002, metric


def test_exemplars_lead_to_spans_that_were_sent(run: Run) -> None:
    """Histograms have examples, and each names a trace that the collector wrote down."""
    traces = {span["traceId"] for span in run.pipeline.spans_in("septum-replay.jsonl")}
    series = run.pipeline.api("query_exemplars", query="septum_state_duration_seconds_bucket", start="0", end="9999999999")
    named = {exemplar["labels"]["trace_id"] for each in series for exemplar in each["exemplars"]}
    assert named
    assert named <= traces


def test_population_is_exact_at_rest(run: Run) -> None:
    """Machines that wait are counted in the states in which they wait."""
    machines = {"Open": 7, "Closed": 3}
    running = run.pipeline.process(HERE / "resting.py", json.dumps(machines))
    try:
        counted = 'sum by (septum_state_name) (septum_machine_active{service_name="resting"})'
        until(
            lambda: {m["septum_state_name"]: v for m, v in run.pipeline.ask(counted)} == machines, "seven open gates and three closed ones"
        )
    finally:
        running.communicate("done\n", timeout=180)


def test_the_files_have_every_span_and_no_recording_is_sent_away(run: Run) -> None:
    """The replay file has each span once, and the store of traces has the same ones."""
    written = Counter(span["spanId"] for span in run.pipeline.spans_in("septum-replay.jsonl"))
    until(lambda: run.pipeline.backend.spans.keys() == written.keys(), "the store has all spans")
    assert set(written.values()) == {1}
    assert not [scope for scope, _, _ in run.pipeline.backend.records if scope == "septum.recording"]


def test_panels_have_expressions() -> None:
    """The dashboards ask something, so that the tests here mean something."""
    assert len(PANELS) > 50
    assert all(isinstance(panel, Asked) for panel in PANELS)
