"""A tracer provider that keeps its spans, and words to compare them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from septum.otel import OTelHooks
from septum.otel._config import Fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

PROBE = "probe"


class Tracing:
    """An SDK of its own; `spans` are the finished ones, in the order in which they ended; without spans for messages unless told."""

    def __init__(self, sampler: Sampler | None = None, **fields: Unpack[Fields]) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._probes = self.provider.get_tracer(PROBE)
        settings: Fields = {"detail": "visits", "metrics": "off", **fields}
        self.hooks = OTelHooks(tracer_provider=self.provider, **settings)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def probe(self, name: str) -> None:
        """Make the span that a library would make here, a child of whatever is current."""
        self._probes.start_span(name).end()

    def named(self, name: str) -> ReadableSpan:
        """Return the one finished span of this *name*."""
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def engine_spans(self) -> list[ReadableSpan]:
        """Return the spans that Septum made, in the order in which they began; a parent before its child."""
        return sorted((span for span in self.spans if _scope(span) == "septum"), key=lambda span: (span.start_time, _number(span)))

    def walk(self) -> list[tuple[str, str]]:
        """Return name and outcome of Septum's spans, in the order in which they began."""
        return [(span.name, _outcome(span)) for span in self.engine_spans()]

    def places(self) -> dict[str, str]:
        """Return for each probe where it hangs: the visit's number and state, or the name of another span, or nothing; closes `hooks`."""
        self.hooks.close()
        by_id = {span.context.span_id: span for span in self.spans if span.context is not None}
        return {
            span.name: "" if span.parent is None else _place(by_id.get(span.parent.span_id)) for span in self.spans if _scope(span) == PROBE
        }


def _scope(span: ReadableSpan) -> str:
    return "" if span.instrumentation_scope is None else span.instrumentation_scope.name


def _attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def _number(span: ReadableSpan) -> int:
    return int(_attributes(span).get("septum.visit.number", 0))


def _outcome(span: ReadableSpan) -> str:
    attributes = _attributes(span)
    return str(attributes.get("septum.visit.outcome") or attributes.get("septum.run.outcome") or "")


def _place(span: ReadableSpan | None) -> str:
    if span is None:
        return "?"
    number, state = _number(span), _attributes(span).get("septum.state.name")
    return f"{number} {state}" if state else span.name
