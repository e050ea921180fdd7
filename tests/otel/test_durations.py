"""Histograms that count by themselves: what comes out is what `Histogram.record` would have made of the same values."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from septum.otel._durations import MOST_VALUES, Durations
from septum.semconv import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions
    from opentelemetry.trace import Span

MADE = Metric.STATE_DURATION
NAME = MADE.name
SETS = [{"septum.machine.name": machine, "septum.state.name": state} for machine in "ab" for state in "xy"]

READERS: dict[str, Callable[[], list[InMemoryMetricReader]]] = {
    "cumulative": lambda: [InMemoryMetricReader()],
    "delta": lambda: [_delta()],
    "both": lambda: [InMemoryMetricReader(), _delta()],
    "one exponential": lambda: [
        InMemoryMetricReader(),
        InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()}),
    ],
}
VIEWS: dict[str, list[View]] = {
    "none": [],
    "an attribute left out": [View(instrument_name="septum.*", attribute_keys={"septum.machine.name"})],
    "other buckets": [View(instrument_name="septum.*", aggregation=ExplicitBucketHistogramAggregation([0.1, 1]))],
    "exponential": [View(instrument_name="septum.*", aggregation=ExponentialBucketHistogramAggregation())],
    "two streams": [View(instrument_name=NAME, name="other"), View(instrument_name=NAME)],
    "dropped": [View(instrument_name=NAME, aggregation=DropAggregation())],
    "no extremes": [View(instrument_name=NAME, aggregation=ExplicitBucketHistogramAggregation(list(MADE.buckets), record_min_max=False))],
}


def _delta() -> InMemoryMetricReader:
    return InMemoryMetricReader(preferred_temporality={Histogram: AggregationTemporality.DELTA})


class Side:
    """A histogram with its readers: ours, or with *plain* the SDK's own."""

    def __init__(self, readers: list[InMemoryMetricReader], views: Iterable[View] = (), *, plain: bool = False) -> None:
        self.readers = readers
        self.provider = MeterProvider(readers, views=list(views), shutdown_on_exit=False)
        meter = self.provider.get_meter("test")
        self.durations = Durations(meter, MADE)
        self._plain: Any = self.durations._instrument if plain else None
        self.durations.look()
        meter.create_observable_counter("hands.over", [self._hand_over])

    def _hand_over(self, _: CallbackOptions) -> list[Observation]:
        self.durations.hand_over()
        return [Observation(1)]

    def add(self, key: int, seconds: float, span: Span | None = None) -> None:
        attributes = SETS[key % len(SETS)]
        if self._plain is not None:
            self._plain.record(seconds, attributes, None if span is None else set_span_in_context(span))
        elif not self.durations.add(key, None, seconds, span):
            assert self.durations.add(key, attributes, seconds, span)

    def collect(self, reader: int = 0) -> list[Any]:
        """Return what one reader finds of the histogram."""
        data = self.readers[reader].get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name in {NAME, "other"}]
        return [point for metric in metrics for point in metric.data.data_points]

    def points(self, reader: int = 0) -> list[Any]:
        """Return the same as values that can be compared."""
        found: list[Any] = []
        for point in self.collect(reader):
            attributes = sorted((point.attributes or {}).items())
            buckets = (point.scale, *point.positive.bucket_counts) if hasattr(point, "scale") else tuple(point.bucket_counts)
            found.append((attributes, point.count, pytest.approx(point.sum), buckets, point.min, point.max))
        return sorted(found, key=lambda point: str(point[0]))


# The SDK itself fails at exponential buckets of numbers as small as 1e-295.
values = st.floats(1e-6, 1e6) | st.sampled_from([0.0, *MADE.buckets])
steps = st.lists(st.tuples(st.integers(0, 3), values) | st.integers(0, 1), max_size=60)


@pytest.mark.slow
@pytest.mark.parametrize("readers", READERS)
@pytest.mark.parametrize("views", VIEWS)
@settings(max_examples=25)
@given(steps=steps)
def test_any_values_make_what_record_makes(readers: str, views: str, steps: list[tuple[int, float] | int]) -> None:
    """Whatever is counted and whenever it is collected, each reader finds the points of the SDK's own record."""
    ours, theirs = (Side(READERS[readers](), VIEWS[views], plain=plain) for plain in (False, True))
    for step in (*steps, 0, 1):
        if isinstance(step, tuple):
            ours.add(*step)
            theirs.add(*step)
        elif step < len(ours.readers):
            assert ours.points(step) == theirs.points(step)


@pytest.mark.parametrize("views", VIEWS)
def test_a_view_that_changes_the_histogram_is_recorded_one_by_one(views: str) -> None:
    """Only what has our buckets and all attributes in every stream is handed over in bulk."""
    side = Side([InMemoryMetricReader()], VIEWS[views])
    assert side.durations.direct is (views not in {"none", "two streams", "no extremes"})


def test_more_values_than_are_kept_are_put_into_buckets() -> None:
    """A series of which nobody collects is as large as its buckets and the values that are kept."""
    side = Side([InMemoryMetricReader()])
    for _ in range(2 * MOST_VALUES + 5):
        side.add(0, 2.0)
    (series,) = side.durations._series.values()
    assert len(series.values) <= MOST_VALUES
    ((_, count, total, _, least, most),) = side.points()
    assert (count, total, least, most) == (2 * MOST_VALUES + 5, 2.0 * (2 * MOST_VALUES + 5), 2.0, 2.0)


def test_an_exemplar_is_a_value_of_its_own_span() -> None:
    """The exemplar's trace shows a visit that did last as long as the exemplar says."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    side = Side([InMemoryMetricReader()])
    long, short = tracer.start_span("long"), tracer.start_span("short")
    side.add(0, 100.0, long)
    side.add(0, 0.01, short)
    side.add(0, 50.0)
    (point,) = side.collect()
    assert [(exemplar.span_id, exemplar.value) for exemplar in point.exemplars] == [(short.get_span_context().span_id, 0.01)]
    assert (point.count, point.max, point.sum) == (3, 100.0, pytest.approx(150.01))


def test_an_example_is_given_once() -> None:
    """What a collection found no new example of has none from before."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("once")
    side = Side([_delta()])
    side.add(0, 1.0, span)
    assert [len(point.exemplars) for point in side.collect()] == [1]
    side.add(0, 2.0)
    assert [len(point.exemplars) for point in side.collect()] == [0]


@pytest.mark.slow
def test_more_series_than_the_sdk_takes_are_all_counted() -> None:
    """Series beyond the SDK's limit go where it puts them; no value is lost."""
    side = Side([InMemoryMetricReader()])
    for number in range(2_100):
        for seconds in (1.0, 2.0):
            side.durations.add(number, {"number": str(number)}, seconds, None)
    assert sum(point.count for point in side.collect()) == 4_200


def test_a_reader_that_comes_later_harms_nobody() -> None:
    """What the reader from before finds is as ever, though the new one wants other buckets; from the next run on it has its own."""
    side = Side([InMemoryMetricReader()])
    if not hasattr(side.provider, "add_metric_reader"):
        pytest.skip("this SDK takes no readers later")
    side.add(0, 1.0)
    side.add(0, 2.0)
    side.readers.append(InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()}))
    side.provider.add_metric_reader(side.readers[1])
    side.add(0, 3.0)
    assert [point.count for point in side.collect()] == [3]
    side.durations.look()
    side.add(0, 4.0)
    assert side.durations.direct
    assert [point.count for point in side.collect(0)] == [4]


@pytest.mark.slow
def test_nothing_is_lost_between_threads() -> None:
    """Values of four threads, collected by two readers meanwhile, are all found, and once."""
    side, each = Side(READERS["both"]()), 10_000
    done = threading.Event()
    deltas = 0

    def work(key: int) -> None:
        for _ in range(each):
            side.add(key, 0.5)

    def collect() -> None:
        nonlocal deltas
        while not done.is_set():
            side.collect(0)
            deltas += sum(point.count for point in side.collect(1))

    workers = [threading.Thread(target=work, args=(number % 2,)) for number in range(4)]
    collector = threading.Thread(target=collect)
    for thread in (collector, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    collector.join()
    deltas += sum(point.count for point in side.collect(1))
    assert (sum(point.count for point in side.collect(0)), deltas) == (4 * each, 4 * each)
