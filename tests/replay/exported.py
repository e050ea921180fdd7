"""Random machines whose telemetry goes through OpenTelemetry's own encoders, and the walk that their facts tell."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.exporter.otlp.json.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from septum import facts
from septum.otel import OTelHooks
from septum.testing import RecorderHooks
from tests.model.machine import Machine
from tests.model.program import Call, Command, Definition, Tape

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from opentelemetry.sdk.trace.id_generator import IdGenerator

    from septum.replay import Run

Program = tuple[Definition, tuple[Call, ...], tuple[Command, ...]]
SCOPES = ("run", "visit", "message")
SEGMENT = 3
RESOURCE = Resource({"service.name": "tests"})


class Visit(NamedTuple):
    """A visit as facts tell it, in the words of `septum.replay.Step`."""

    run: str
    visit: int
    seq: int
    state: str
    kind: str
    label: str | None
    source: str | None
    stack: tuple[str, ...]
    wall: int
    end: int
    outcome: str
    target: str | None
    exit: str | None


LEFT_OPEN = ("label", "source", "target", "exit")
"""Of these, None says also that there is none."""


class Exported:
    """An SDK that keeps spans and log records until they are asked for as OTLP."""

    def __init__(self, *, ids: IdGenerator | None = None, **fields: Any) -> None:
        self._spans = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, id_generator=ids, resource=RESOURCE)
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._logs = log_export.InMemoryLogRecordExporter()
        logger_provider = LoggerProvider(shutdown_on_exit=False, resource=RESOURCE)
        logger_provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(self._logs))
        self.logger_provider = logger_provider
        self.hooks = OTelHooks(tracer_provider=provider, logger_provider=logger_provider, metrics="off", **fields)
        self.hooks.strict = True

    def spans(self) -> list[Any]:
        """Return the finished spans."""
        return list(self._spans.get_finished_spans())

    def logs(self) -> list[Any]:
        """Return the log records."""
        return list(self._logs.get_finished_logs())

    def lines(self, spans: Sequence[Any] | None = None, *, batch: int = 7) -> bytes:
        """Return spans (all if None) as OTLP JSON lines, some in each line."""
        return as_lines(self.spans() if spans is None else spans, encode_spans, batch)

    def log_lines(self, logs: Sequence[Any] | None = None, *, batch: int = 7) -> bytes:
        """Return log records (all if None) as OTLP JSON lines."""
        return as_lines(self.logs() if logs is None else logs, encode_logs, batch)


def as_lines(entries: Sequence[Any], encode: Any, batch: int) -> bytes:
    """Return *entries* as OTLP JSON lines."""
    parts = [encode(entries[place : place + batch]).to_dict() for place in range(0, len(entries), batch)]
    return "".join(json.dumps(part, separators=(",", ":")) + "\n" for part in parts).encode()


def play(program: Program, *hooks: Any) -> RecorderHooks:
    """Run *program* with *hooks*, close the machine and return what happened."""

    async def act() -> RecorderHooks:
        definition, tape, orders = program
        told = RecorderHooks()
        machine = Machine(definition, Tape(tape), hooks=(told, *hooks))
        for order in orders:
            await machine.do(order)
        await machine.fsm.close()
        assert machine.fsm.stats().hook_errors == 0
        return told

    return asyncio.run(act())


def walk_of_facts(told: RecorderHooks) -> list[Visit]:
    """Return the visits that *told* tells, by run and number."""
    names = {node.name: node.qualname for fact in told.of(facts.RunStarted) for node in fact.definition.nodes}
    ends = {(fact.run_id, fact.visit): fact for fact in told.of(facts.VisitEnded)}
    leaves = (fact for fact in told.of(facts.TransitionTaken) if fact.kind not in {"again", "unhandled"})
    ways = {(fact.run_id, fact.visit): fact for fact in leaves}
    found: list[Visit] = []
    for fact in told.of(facts.VisitStarted):
        end, way, before = (place.get(key) for place, key in ((ends, _key(fact)), (ways, _key(fact)), (ways, _key(fact, -1))))
        led = before is not None and before.target is not None and fact.kind != "initial"
        found.append(
            Visit(
                fact.run_id,
                fact.visit,
                fact.seq,
                names[fact.state],
                fact.kind,
                before.label if led else None,
                names[before.source] if led else None,
                tuple(names[name] for name in fact.stack),
                fact.wall,
                end.wall,
                end.outcome,
                way and way.target and names[way.target],
                way and way.label,
            )
        )
    return sorted(found)


def _key(fact: facts.Fact, by: int = 0) -> tuple[str, int]:
    return fact.run_id, fact.visit + by


def walk_of_runs(runs: Collection[Run]) -> list[Visit]:
    """Return the visits of loaded runs, by run and number."""
    found = [
        Visit(
            run.run_id, step.visit, step.seq, step.state, step.kind, step.label, step.source, step.stack, step.wall, step.end,  # type: ignore[arg-type]
            step.outcome, step.target, step.exit,  # type: ignore[arg-type] - None is not equal to what is known
        )
        for run in runs
        for step in run.steps
    ]  # fmt: skip
    return sorted(found, key=lambda visit: visit[:2])
