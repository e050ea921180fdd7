"""A histogram that counts by itself and hands over what it counted when metrics are collected.

The SDK's `Histogram.record` takes 7 µs, a dozen state transitions. So durations are put into buckets here, at a tenth of a microsecond, and
each collection begins with handing them over: for each series one `record`, with the context that makes it an exemplar, and the rest is
added to the very aggregation that this one went to. That is private to the SDK and therefore looked for, not assumed: whatever is not
what we know (another SDK, a view with exponential buckets or with attributes left out) is recorded one by one
(test_a_view_that_changes_the_histogram_is_recorded_one_by_one).
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.trace import set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span

    from septum.semconv import Instrument


MOST_VALUES = 1024


class Series:
    """What was counted for one set of attributes since the last hand-over.

    Attributes:
        values: Durations that are in no bucket yet; appended to by machines, in any thread, and emptied when there are many.
        example: The last of them that has a span, and that span.
    """

    __slots__ = ("attributes", "bounds", "counts", "example", "highest", "lowest", "total", "values")

    def __init__(self, attributes: Mapping[str, str], bounds: tuple[float, ...]) -> None:
        self.attributes = attributes
        self.bounds = bounds
        self.values: list[float] = []
        self.example: tuple[float, Span] | None = None
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0
        self.lowest, self.highest = math.inf, -math.inf

    def settle(self) -> None:
        """Put the values that are there into their buckets; the caller holds the lock."""
        values = self.values
        # Two steps for other threads, but what they append meanwhile stands behind what is taken.
        some = values[:]
        if not some:
            return
        del values[: len(some)]
        # Sorted, all of one bucket are found at once.
        some.sort()
        place = 0
        for index, bound in enumerate(self.bounds):
            end = bisect_right(some, bound, place)
            self.counts[index] += end - place
            place = end
        self.counts[-1] += len(some) - place
        self.total += sum(some)
        self.lowest = min(self.lowest, some[0])
        self.highest = max(self.highest, some[-1])


class Durations:
    """One histogram of seconds.

    Attributes:
        direct: Every value is recorded at once, because the SDK's aggregation is none that we know.
        short: Values of some series, by a key that is quicker to make.
    """

    def __init__(self, meter: Meter, instrument: Instrument) -> None:
        self._instrument = _create(meter, instrument)
        self._bounds = tuple(instrument.buckets)
        self._series: dict[Any, Series] = {}
        self._lock = threading.Lock()
        self._known: object = None
        self.direct = True
        self.short: dict[object, list[float]] = {}

    def shorten(self, short: object, key: object) -> None:
        """Let values of the series *key* be appended under *short*, as long as there are fewer than `MOST_VALUES`."""
        if not self.direct:
            self.short[short] = self._series[key].values

    def look(self) -> None:
        """Find out whether values can be handed over in bulk; asked when a run starts, for providers and readers may come late."""
        storages = _storages(self._instrument)
        if storages is self._known and storages is not None:
            return
        direct = storages is None or not all(
            _is_known(match, self._bounds) for storage in storages.values() for match in _matches(storage, self._instrument)
        )
        self._known = storages
        if direct is not self.direct:
            if direct:
                self.short.clear()
                self.hand_over()
            self.direct = direct

    def add(self, key: object, attributes: Mapping[str, str] | None, seconds: float, span: Span | None) -> bool:
        """Count *seconds* for the series *key*; False if that is a new one and its *attributes* were not given."""
        series = self._series.get(key)
        if series is None:
            if attributes is None:
                return False
            with self._lock:
                series = self._series.setdefault(key, Series(attributes, self._bounds))
        if self.direct:
            self._instrument.record(seconds, series.attributes, _context(span))
            return True
        values = series.values
        values.append(seconds)
        if span is not None:
            # After the value itself, so that an example is always one of the values that are there.
            series.example = (seconds, span)
        if len(values) > MOST_VALUES:
            with self._lock:
                series.settle()
        return True

    def hand_over(self) -> None:
        """Give the SDK what was counted since the last time; called at the beginning of a collection, in the reader's thread."""
        pending: list[_Counted] = []
        with self._lock:
            for series in list(self._series.values()):
                # Taken before the values are: it is one of them.
                example, series.example = series.example, None
                series.settle()
                if series.highest >= 0:
                    one, span = (series.highest, None) if example is None else example
                    pending.append(_Counted(series.attributes, series.counts, series.total, series.lowest, series.highest, one, span))
                    series.clear()
        if not pending:
            return
        for counted in pending:
            # One value goes the public way: it makes the aggregation, and is an exemplar if it has a span.
            self._instrument.record(counted.one, counted.attributes, _context(counted.span))
            counted.counts[bisect_left(self._bounds, counted.one)] -= 1
        for storage in (_storages(self._instrument) or {}).values():
            for match in _matches(storage, self._instrument):
                if not _is_known(match, self._bounds):
                    continue  # A reader that came since `look`: it misses what was counted before the next run starts.
                aggregations = _by_attributes(match)
                overflow = aggregations.get(_OVERFLOW)
                for counted in pending:
                    aggregation = aggregations.get(frozenset(counted.attributes.items()), overflow)
                    if aggregation is not None and any(counted.counts):
                        with aggregation._lock:  # noqa: SLF001 - see the top of the file
                            _add(aggregation, counted)


class _Counted(NamedTuple):
    attributes: Mapping[str, str]
    counts: list[int]
    total: float
    lowest: float
    highest: float
    one: float
    span: Span | None


def _context(span: Span | None) -> Context | None:
    return None if span is None else set_span_in_context(span)


def _create(meter: Meter, instrument: Instrument) -> Any:
    return meter.create_histogram(
        instrument.name, instrument.unit, instrument.brief, explicit_bucket_boundaries_advisory=list(instrument.buckets)
    )


def _storages(histogram: Any) -> Mapping[Any, Any] | None:
    """Return the SDK's storage of each reader for *histogram*; None if it is no histogram of an SDK that we know."""
    real = getattr(histogram, "_real_instrument", None) or histogram
    storages = getattr(getattr(real, "_measurement_consumer", None), "_reader_storages", None)
    return storages if hasattr(storages, "values") else None


def _matches(storage: Any, histogram: Any) -> list[Any]:
    real = getattr(histogram, "_real_instrument", None) or histogram
    find = getattr(storage, "_get_or_init_view_instrument_match", None)
    return [None] if find is None else find(real)


def _is_known(match: Any, bounds: tuple[float, ...]) -> bool:
    """Say whether *match*, one of the SDK's ways from instrument to aggregation, keeps plain buckets as ours are."""
    sample = getattr(match, "_aggregation", None)
    return (
        type(sample).__name__ == "_ExplicitBucketHistogramAggregation"
        and tuple(getattr(sample, "_boundaries", ())) == bounds
        and all(hasattr(sample, name) for name in ("_lock", "_value", "_sum", "_min", "_max", "_attributes", "_record_min_max"))
        and getattr(getattr(match, "_view", None), "_attribute_keys", bounds) is None
        and isinstance(getattr(match, "_attributes_aggregation", None), dict)
    )


_OVERFLOW: Final = frozenset({("otel.metric.overflow", True)})


def _by_attributes(match: Any) -> dict[frozenset[tuple[str, object]], Any]:
    """Return the aggregations of *match*; where the SDK puts series that are too many is one of them."""
    return {frozenset(found._attributes.items()): found for found in list(match._attributes_aggregation.values())}  # noqa: SLF001 - see the top of the file


def _add(aggregation: Any, counted: _Counted) -> None:
    """Add what was counted, but for the one value that was recorded, to *aggregation*, whose lock is held."""
    present = aggregation._value  # noqa: SLF001 - see the top of the file
    counts = counted.counts
    aggregation._value = list(counts) if present is None else [a + b for a, b in zip(present, counts, strict=True)]  # noqa: SLF001 - see the top of the file
    aggregation._sum += counted.total - counted.one  # noqa: SLF001 - see the top of the file
    if not aggregation._record_min_max:  # noqa: SLF001 - see the top of the file
        return
    aggregation._min = min(aggregation._min, counted.lowest)  # noqa: SLF001 - see the top of the file
    aggregation._max = max(aggregation._max, counted.highest)  # noqa: SLF001 - see the top of the file
