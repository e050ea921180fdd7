"""What is exported is what happened: spans, counters and gauges against the recorder and `stats()`, for random machines in every scope."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from septum import facts
from septum.otel import OTelHooks
from septum.testing import RecorderHooks
from tests.model.generate import programs
from tests.model.machine import Machine
from tests.model.program import Call, Command, Definition, Tape

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

Program = tuple[Definition, tuple[Call, ...], tuple[Command, ...]]
seldom = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


class Telemetry:
    """Hooks with an SDK of their own."""

    def __init__(self, **fields: Any) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.hooks = OTelHooks(tracer_provider=provider, meter_provider=MeterProvider([self._reader], shutdown_on_exit=False), **fields)
        self.hooks.strict = True

    def visits(self) -> list[ReadableSpan]:
        """Return the spans of visits by run and number; of a visit that went on in another segment the last."""
        spans = [span for span in self._exporter.get_finished_spans() if span.name.startswith("visit ")]
        ended = [span for span in spans if (span.attributes or {})["septum.visit.outcome"] != "continued"]
        return sorted(ended, key=lambda span: (span.start_time or 0, (span.attributes or {})["septum.visit.number"]))

    def read(self, name: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        """Return the points of a metric by their attributes; of a histogram the counts."""
        data = self._reader.get_metrics_data()
        return {
            tuple(sorted((point.attributes or {}).items())): getattr(point, "value", None) if hasattr(point, "value") else point.count
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    def total(self, name: str) -> int:
        """Return the sum over all attributes."""
        return sum(self.read(name).values())


async def play(program: Program, telemetry: Telemetry, check: Any) -> tuple[Machine, RecorderHooks]:
    """Run *program* with *telemetry* and a recorder, *check* after every command, and close the machine."""
    definition, tape, orders = program
    recorder = RecorderHooks()
    machine = Machine(definition, Tape(tape), hooks=(recorder, telemetry.hooks))
    for order in orders:
        note(f"{order}")
        await machine.do(order)
        check(machine, recorder)
    await machine.fsm.close()
    return machine, recorder


def nothing(machine: Machine, recorder: RecorderHooks) -> None:
    """Check nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", ["run", "visit", "message"])
@pytest.mark.parametrize("detail", ["auto", "visits", "handlers"])
def test_the_walk_in_the_spans_is_the_walk_in_the_facts(trace_scope: Any, detail: Any) -> None:
    """State, number, outcome and way of entry of every visit, over segments of three visits."""

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        telemetry = Telemetry(trace_scope=trace_scope, detail=detail, metrics="off", segment_max_visits=3)
        _, recorder = asyncio.run(play(program, telemetry, nothing))
        names = {node.name: node.qualname for fact in recorder.of(facts.RunStarted) for node in fact.definition.nodes}
        told = Counter((fact.run_id, fact.visit, names[fact.state], fact.outcome) for fact in recorder.of(facts.VisitEnded))
        found = Counter(
            tuple((span.attributes or {})[f"septum.{key}"] for key in ("run.id", "visit.number", "state.name", "visit.outcome"))
            for span in telemetry.visits()
        )
        assert found == told

    law()


@pytest.mark.slow
def test_counters_are_what_stats_says_at_every_moment() -> None:
    """After every command: transitions, messages, retries, timeouts and errors; one machine is active, nothing is negative."""

    def check(machine: Machine, recorder: RecorderHooks) -> None:
        stats = machine.fsm.stats()
        found = {
            "transitions": telemetry.total("septum.transitions"),
            "consumed": telemetry.total("septum.consumed.messages"),
            "unhandled": telemetry.total("septum.unhandled.messages"),
            "retries": telemetry.total("septum.retries"),
            "timeouts": telemetry.total("septum.timeouts"),
            "usage": telemetry.total("septum.mailbox.usage"),
            "active": telemetry.total("septum.machine.active"),
        }
        ended = len(recorder.of(facts.RunStarted)) - len(recorder.of(facts.RunEnded))
        assert found == {
            "transitions": stats.transitions,
            "consumed": stats.handled + stats.unhandled,
            "unhandled": stats.unhandled,
            "retries": stats.retries,
            "timeouts": stats.timeouts,
            "usage": stats.pending if ended else 0,
            "active": ended,
        }

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        nonlocal telemetry
        telemetry = Telemetry(metrics="full", events=False)
        machine, recorder = asyncio.run(play(program, telemetry, check))
        left = Counter(fact.kind for fact in recorder.of(facts.TransitionTaken))
        counted = Counter[str]()
        for key, count in telemetry.read("septum.transitions").items():
            counted[dict(key)["septum.transition.kind"]] += count
        assert counted == left
        # A visit ends by a transition, by the machine's completion or from outside; `again` leaves none.
        outcomes = Counter(fact.outcome for fact in recorder.of(facts.VisitEnded))
        assert telemetry.total("septum.state.duration") == outcomes.total()
        assert telemetry.total("septum.errors") == len(recorder.of(facts.ErrorRouted))
        assert machine.fsm.stats().hook_errors == 0

    telemetry = Telemetry()
    law()
