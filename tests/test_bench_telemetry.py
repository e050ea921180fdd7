"""The benchmark of telemetry: its subjects do what they say, and one that does not is refused."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracerProvider

from septum.otel import OTelHooks
from tests.bench import __main__ as command
from tests.bench import gate, table, telemetry
from tests.bench.harness import Measured
from tests.bench.metrics import METRICS, Loop, Metric
from tests.bench.subjects import GROUPS, SUBJECTS, Subject
from tests.bench.worker import _elapsed
from tests.test_bench import timed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.table import Row

SUBJECTS_HERE = [name for name, subject in SUBJECTS.items() if subject.file.startswith("telemetry")]
NOT_INSTALLED = Subject(file="telemetry", about="", package="no-such-distribution-septum")


@pytest.fixture
def tracing() -> Iterator[telemetry.Tracing]:
    """Give a tracer provider, and shut it down."""
    made = telemetry.Tracing()
    yield made
    made.provider.shutdown()


async def twice(metric: Metric) -> None:
    """Do what a worker does to *metric*, two samples, so that what the first left behind is checked by the second."""
    for _ in range(2):
        await (await metric.prepare())(metric.unit * 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS_HERE)
def test_every_subject_passes_its_own_checks(name: str) -> None:
    """Each loop runs, and what it made is found where it should be."""
    subject = SUBJECTS[name]
    if subject.version() is None:
        pytest.skip(f"{subject.package} is not installed")
    metrics = subject.bench().metrics
    assert set(metrics) <= set(METRICS)
    for metric in metrics.values():
        asyncio.run(twice(metric))


def test_spans_that_were_lost_stop_the_benchmark(tracing: telemetry.Tracing) -> None:
    """A subject of which a span did not reach the exporter is not measured on."""

    async def nothing() -> Loop:
        async def loop(count: int) -> None:
            """Make no span."""

        return loop

    metric = Metric(prepare=tracing.audited(nothing))
    with pytest.raises(SystemExit, match="3 spans were made and 0 exported"):
        asyncio.run(twice(metric))


def test_span_with_other_attributes_stops_the_benchmark(tracing: telemetry.Tracing) -> None:
    """A span that says less than the one it is compared with is named with what it has and what it should have."""
    tracing.provider.get_tracer("test").start_span("visit", attributes={"one": 1}).end()
    with pytest.raises(SystemExit, match=r"the span has \['one'\] and not \['one', 'two'\]"):
        tracing.check({"one", "two"})


def test_handler_without_its_span_stops_the_benchmark(tracing: telemetry.Tracing) -> None:
    """Hooks that make nothing current are found out, though they would be fast."""
    hook = OTelHooks(tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider(), metrics="off", events=False)
    with pytest.raises(SystemExit, match="a handler found"):
        asyncio.run(telemetry._check_current(hook, tracing, sampled=True))


def test_run_that_is_kept_is_no_unsampled_one(tracing: telemetry.Tracing) -> None:
    """Whoever measures what a dropped run costs does not measure one that is recorded."""
    hook = OTelHooks(tracer_provider=tracing.provider, meter_provider=NoOpMeterProvider(), metrics="off", events=False)
    with pytest.raises(SystemExit, match="a handler found"):
        asyncio.run(telemetry._check_current(hook, tracing, sampled=False))


def test_series_are_as_many_as_are_said() -> None:
    """Machines are made until a collection finds so many series, and not many more."""
    watched = telemetry.Watched()
    asyncio.run(watched.fill(60))
    series = len(telemetry._points(watched.reader, ""))
    assert 60 <= series < 60 + 2 * series / len(watched.machines)


def test_points_are_found_by_their_instrument() -> None:
    """A reader that saw nothing has no points, one that saw a count has it."""
    reader = InMemoryMetricReader()
    counter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test").create_counter("made")
    assert telemetry._points(reader, "made") == []
    counter.add(3)
    assert [point.value for point in telemetry._points(reader, "made")] == [3]
    assert telemetry._points(reader, "other") == []


def test_sample_is_what_a_loop_says_it_took() -> None:
    """A loop that times a part of what it does returns that; the rest of its time does not count."""

    async def prepare() -> Loop:
        async def loop(count: int) -> int:
            return 7 * count

        return loop

    assert asyncio.run(_elapsed(Metric(prepare=prepare), 5)) == 35


@pytest.fixture
def _all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say of every distribution that it is installed; what is chosen does not depend on it."""
    monkeypatch.setattr(Subject, "version", lambda subject: "")


@pytest.mark.usefixtures("_all_installed")
def test_only_telemetry_is_measured_if_asked() -> None:
    """The group names its subjects and metrics, what Septum costs without telemetry among them; idle machines are weighed."""
    chosen = command.arguments(["--only", "telemetry"])
    assert (chosen.subjects, chosen.metrics) == GROUPS["telemetry"]
    assert {"septum", "bare-span", *SUBJECTS_HERE} <= set(chosen.subjects)
    assert chosen.weigh


@pytest.mark.usefixtures("_all_installed")
def test_choice_within_a_group_is_kept() -> None:
    """What is named stands, the group gives the rest."""
    chosen = command.arguments(["--only", "telemetry", "--metrics", "run"])
    assert (chosen.subjects, chosen.metrics, chosen.weigh) == (GROUPS["telemetry"][0], ("run",), False)


def rows_of(ns: dict[tuple[str, str], float], weights: dict[tuple[str, str], float] | None = None) -> dict[str, tuple[Any, ...]]:
    """Return what the table says of these figures: measured, unit, whether it is as it must be, whether as it is aimed to be."""
    measured = Measured(timings=timed(ns), bytes=weights or {})

    def marks(line: Row) -> tuple[bool | None, ...]:
        return tuple(None if bound is None else line.holds(bound) for bound in (line.must, line.aim))

    return {line.what: (line.found, line.unit, *marks(line)) for line in table.rows(measured)}


def test_spans_are_compared_with_the_bare_one() -> None:
    """Septum's visit and the other libraries' are multiples of the span that is written by hand; only Septum's have bounds."""
    visits = {"bare-span": 20_000, "septum-traced": 8_000, "transitions-spans": 30_000, "xstate-spans": 50_000}
    found = rows_of({**{(name, "visit"): ns for name, ns in visits.items()}, ("septum-traced", "tick"): 25_000})
    assert found == {
        "traced visit, its span current": (0.4, "x", True, False),
        "traced visit in a tick of its own": (1.25, "x", False, None),
        "transitions, a span for each state by hand": (1.5, "x", None, None),
        "xstate-statemachine with its OpenTelemetry plugin": (2.5, "x", None, None),
    }


def test_metrics_are_differences_to_the_unobserved_machine() -> None:
    """What a transition takes more is the figure, in ns; the SDK's own record stands beside it."""
    runs = {"septum": 300, "septum-unsampled": 390, "septum-counts": 361, "septum-states": 600}
    found = rows_of({**{(name, "run"): ns for name, ns in runs.items()}, ("bare-record", "record"): 7_000})
    assert found == {
        "traced, not sampled: a visit more": (90, "ns", True, True),
        "metrics, counts: a transition more": (61, "ns", False, False),
        "metrics, counts and time in state: a transition more": (300, "ns", True, False),
        "bare SDK histogram record": (7_000, "ns", None, None),
    }


def test_collection_has_its_time_and_the_machine_its_longest_step() -> None:
    """A collection is shown in milliseconds; the longest step beside it is a multiple of that beside a thread that computes."""
    found = rows_of(
        {("septum-collect", "collect"): 6_500_000, ("septum-collect", "pause"): 12_000_000, ("bare-thread", "pause"): 10_000_000}
    )
    assert found == {
        "collection of 500 series": (6.5, "ms", True, False),
        "longest step of a machine while 2,000 series are collected": (1.2, "x", True, None),
    }


def test_observed_machine_is_weighed_against_an_unobserved_one() -> None:
    """Memory is what observing adds."""
    weights = {("septum", "1000"): 120.0, ("septum-hook-transitions", "1000"): 1_000.0, ("septum-traced", "1000"): 8_000.0}
    found = rows_of({("septum", "tick"): 300}, weights)
    assert {what: figures for what, figures in found.items() if "more" in what} == {
        "observed idle machine, bytes more": (880, "bytes", True, False),
        "traced idle machine, with two open spans of the SDK, bytes more": (7_880, "bytes", None, None),
    }


COUNTED = {"septum": {"run": 4_000.0}, "floor": {"run": 3_000.0}, "septum-unhooked": {"run": 4_000.0}}


def test_gate_holds_what_metrics_cost_and_a_traced_visit() -> None:
    """What does not call the SDK is held to its committed count, a visit's span to the bare one of the same SDK."""
    kept = {**COUNTED, "septum-counts": {"run": 5_000.0}, "septum-states": {"run": 9_000.0}}
    now = {
        **COUNTED,
        "septum-counts": {"run": 5_100.0},
        "septum-states": {"run": 9_900.0},
        "septum-unsampled": {"run": 4_200.0},
        "septum-traced": {"visit": 250_000.0},
        "bare-span": {"visit": 200_000.0},
    }
    engine = {"count, floor", "count, septum", "hooks compiled in", "ratio to the floor"}
    assert [(check.gate, check.metric, check.holds) for check in gate.checks(now, kept, [kept]) if check.gate not in engine] == [
        ("count, septum-counts", "run", True),
        ("count, septum-states", "run", False),
        ("ratio to a bare span", "visit", False),
    ]


def test_gate_keeps_no_count_that_depends_on_the_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed figures outlive an upgrade of the SDK."""
    monkeypatch.setattr(gate, "FIGURES", tmp_path / "figures.json")
    gate.update({**COUNTED, "septum-counts": {"run": 5_000.0}, "septum-traced": {"visit": 250_000.0}, "bare-span": {"visit": 1.0}}, [])
    (kept,) = json.loads(gate.FIGURES.read_text(encoding="utf-8"))
    assert set(kept) == {"python", "build", *COUNTED, "septum-counts"}


def test_gate_counts_telemetry_only_with_an_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an SDK the engine is counted all the same."""
    assert {"septum-counts", "bare-span"} <= set(gate.engines_here())
    monkeypatch.setattr(gate, "SUBJECTS", {**SUBJECTS, **dict.fromkeys((*gate.TELEMETRY, *gate.SPANS), NOT_INSTALLED)})
    assert gate.engines_here() == gate.ENGINES
