"""Ready-made views for an SDK's `MeterProvider(views=...)`."""

from __future__ import annotations

try:
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
except ImportError as error:
    raise ImportError('septum.otel.views needs opentelemetry-sdk; install it with: pip install "septum[otlp]"', name=error.name) from error

__all__ = ["exponential"]


def exponential() -> list[View]:
    """Return views that make an exponential histogram of each of Septum's durations; no other instrument is touched.

    Buckets then fit themselves to what is measured, from microseconds to weeks, and one series carries them all (a native histogram in
    Prometheus), where the default has fixed buckets, one series each. The default stays explicit because the collector's Prometheus
    exporter gives exponential histograms no exemplars.
    """
    return [View(instrument_name="septum.*.duration", aggregation=ExponentialBucketHistogramAggregation())]
