"""Ready-made views, seen through a meter provider."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ExponentialHistogram, Histogram, InMemoryMetricReader, Sum

from septum.otel.views import exponential

DURATIONS = ["septum.state.duration", "septum.process.duration", "septum.run.duration", "septum.message.wait.duration"]


def kinds(provider: MeterProvider, reader: InMemoryMetricReader) -> dict[str, type]:
    """Record one value with instruments of Septum and of others, and return the form in which each is exported."""
    meter = provider.get_meter("septum")
    for name in DURATIONS:
        meter.create_histogram(name, unit="s", explicit_bucket_boundaries_advisory=[1.0, 2.0]).record(0.5)
    meter.create_counter("septum.transitions").add(1)
    provider.get_meter("http").create_histogram("http.server.request.duration", unit="s").record(0.5)
    data = reader.get_metrics_data()
    assert data is not None
    found = {m.name: type(m.data) for resource in data.resource_metrics for scope in resource.scope_metrics for m in scope.metrics}
    provider.shutdown()
    return found


def test_durations_become_exponential_and_nothing_else_does() -> None:
    """All of Septum's durations, whatever is between the dots; other instruments, and other libraries' durations, stay as they are."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=exponential(), shutdown_on_exit=False)

    assert kinds(provider, reader) == {
        **dict.fromkeys(DURATIONS, ExponentialHistogram),
        "septum.transitions": Sum,
        "http.server.request.duration": Histogram,
    }


def test_without_the_view_durations_have_fixed_buckets() -> None:
    """The default is explicit buckets."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)

    assert [kinds(provider, reader)[name] for name in DURATIONS] == [Histogram] * 4


def test_each_call_makes_views_of_its_own() -> None:
    """The list can be put together with other views and given to more than one provider."""
    one, other = exponential(), exponential()
    one.append(other[0])

    assert (len(one), len(other)) == (2, 1)
    assert one[0] is not other[0]


def test_without_the_sdk_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ImportError that names the command."""
    monkeypatch.delitem(sys.modules, "septum.otel.views")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics.view", None)

    with pytest.raises(ImportError) as raised:
        import_module("septum.otel.views")

    assert str(raised.value) == 'septum.otel.views needs opentelemetry-sdk; install it with: pip install "septum[otlp]"'
