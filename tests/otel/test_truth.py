"""What is exported is what happened: spans, counters and gauges against the recorder and `stats()`, for random machines in every scope."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

from septum import facts
from septum.logs import type_name
from septum.otel import OTelHooks
from septum.testing import RecorderHooks
from tests.model.generate import programs
from tests.model.machine import Machine
from tests.model.program import Call, Command, Definition, Tape

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

Program = tuple[Definition, tuple[Call, ...], tuple[Command, ...]]
Step = tuple[Any, ...]
THOROUGH = os.environ.get("SEPTUM_MODEL_EXAMPLES")
seldom = settings(max_examples=int(THOROUGH or 60), deadline=None, suppress_health_check=list(HealthCheck), derandomize=THOROUGH is None)

SCOPES = ("run", "visit", "message")
SEGMENT = 3
LEAVES_NOTHING = {"again", "unhandled"}
NOT_ALWAYS_BY_A_TRANSITION = {"error", "completed", "cancelled", "stopped", "reset"}
NUMBERS = (
    "septum.transitions", "septum.enqueued.messages", "septum.consumed.messages", "septum.machine.active", "septum.mailbox.usage",
    "septum.state.dwell.max", "septum.retries", "septum.timeouts", "septum.errors", "septum.dropped.messages", "septum.unhandled.messages",
)  # fmt: skip


class Told(RecorderHooks):
    """Keeps the facts, and for each message that was queued in a run where it was sent from."""

    def __init__(self) -> None:
        super().__init__()
        self.senders: dict[int, SpanContext] = {}

    def message_queued(self, fact: facts.MessageQueued, /) -> None:
        """Keep the sender's span."""
        self.facts.append(fact)
        if any(started.run_id == fact.run_id for started in self.of(facts.RunStarted)):
            self.senders[fact.number] = get_current_span().get_span_context()

    def states(self) -> dict[str, str]:
        """Return what telemetry calls the states."""
        return {node.name: node.qualname for fact in self.of(facts.RunStarted) for node in fact.definition.nodes}


class Telemetry:
    """Hooks with an SDK of their own."""

    def __init__(self, **fields: Any) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.senders = provider.get_tracer("senders")
        self.hooks = OTelHooks(tracer_provider=provider, meter_provider=MeterProvider([self._reader], shutdown_on_exit=False), **fields)
        self.hooks.strict = True

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Return all finished spans."""
        return self._exporter.get_finished_spans()

    def made(self, operation: str) -> list[ReadableSpan]:
        """Return Septum's spans of one kind."""
        return [span for span in self.spans if of(span, "operation.name") == operation]

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

    def by(self, name: str, *keys: str) -> Counter[tuple[str, ...]]:
        """Return the sums of a metric by some of its attributes, without those that are zero."""
        sums = Counter[tuple[str, ...]]()
        for found, count in self.read(name).items():
            sums[tuple(dict(found).get(f"septum.{key}", "") for key in keys)] += count
        return +sums

    def total(self, name: str) -> int:
        """Return the sum over all attributes."""
        return sum(self.read(name).values())


def of(span: ReadableSpan, key: str) -> Any:
    """Return an attribute of Septum's."""
    return (span.attributes or {}).get(f"septum.{key}")


def links(span: ReadableSpan, kind: str) -> list[SpanContext]:
    """Return the targets of the links of one kind."""
    return [link.context for link in span.links if (link.attributes or {})["septum.link.type"] == kind]


async def play(program: Program, telemetry: Telemetry | None = None, check: Any = None) -> tuple[Machine, Told]:
    """Run *program*, each sender outside in a span of its own, *check* after every command, and close the machine."""
    definition, tape, orders = program
    told = Told()
    machine = Machine(definition, Tape(tape), hooks=(told,) if telemetry is None else (told, telemetry.hooks))
    for order in orders:
        note(f"{order}")
        if telemetry is not None and order.kind == "send":
            with telemetry.senders.start_as_current_span("sender"):
                await machine.do(order)
        else:
            await machine.do(order)
        if check is not None:
            check(machine, told)
    await machine.fsm.close()
    return machine, told


def walk_of_facts(told: Told) -> list[Step]:
    """Return for each visit how it was entered, how it was left, and when."""
    names = told.states()
    ends = {(fact.run_id, fact.visit): fact for fact in told.of(facts.VisitEnded)}
    ways = {(fact.run_id, fact.visit): fact for fact in told.of(facts.TransitionTaken) if fact.kind not in LEAVES_NOTHING}
    steps: list[Step] = []
    for fact in told.of(facts.VisitStarted):
        end, way = ends[fact.run_id, fact.visit], ways.get((fact.run_id, fact.visit))
        left = (None, None) if way is None else (way.target and names[way.target], way.label)
        stack = tuple(names[name] for name in fact.stack)
        steps.append((fact.run_id, fact.visit, names[fact.state], fact.kind, stack, end.outcome, *left, fact.wall, end.wall))
    return sorted(steps, key=lambda step: step[:2])


def walk_of_spans(telemetry: Telemetry) -> list[Step]:
    """Return the same from spans alone; a visit that went on in further segments is put together from its parts."""
    parts = defaultdict[tuple[str, int], list[Any]](list)
    for span in telemetry.made("visit"):
        parts[of(span, "run.id"), of(span, "visit.number")].append(span)
    steps: list[Step] = []
    for (run, number), spans in sorted(parts.items()):
        spans.sort(key=lambda span: (span.start_time, span.end_time, of(span, "visit.outcome") != "continued"))
        first, last = spans[0], spans[-1]
        assert [of(span, "visit.outcome") for span in spans[:-1]] == ["continued"] * (len(spans) - 1)
        assert all(one.end_time == other.start_time for one, other in pairwise(spans))
        (place,) = {(of(span, "state.name"), of(span, "stack") or ()) for span in spans}
        (kind,) = [kind for span in spans if (kind := of(span, "transition.kind"))]
        way = (of(last, "visit.outcome"), of(last, "transition.to_state"), of(last, "transition.label"))
        steps.append((run, number, place[0], kind, place[1], *way, first.start_time, last.end_time))
    return steps


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", SCOPES)
@pytest.mark.parametrize("detail", ["auto", "visits", "handlers"])
@pytest.mark.parametrize("age", [900.0, 1.0])
def test_the_walk_in_the_spans_is_the_walk_in_the_facts(trace_scope: Any, detail: Any, age: float) -> None:
    """Way of entry, stack, outcome, way out and times of every visit, over short segments; messages and calls as well."""

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        telemetry = Telemetry(trace_scope=trace_scope, detail=detail, metrics="off", segment_max_visits=SEGMENT, segment_max_age=age)
        machine, told = asyncio.run(play(program, telemetry))
        assert machine.fsm.stats().hook_errors == 0
        assert walk_of_spans(telemetry) == walk_of_facts(told)
        check_messages(telemetry, told, trace_scope, wanted=detail != "visits")
        check_causes(telemetry, told)
        calls = told.of(facts.HandlerFinished) if detail == "handlers" else []
        found = [
            (of(span, "run.id"), of(span, "visit.number"), of(span, "handler.name"), span.end_time) for span in telemetry.made("handle")
        ]
        assert Counter(found) == Counter((fact.run_id, fact.visit, fact.handler, fact.wall) for fact in calls)

    law()


def check_messages(telemetry: Telemetry, told: Told, scope: str, *, wanted: bool) -> None:
    """Check that each message and each deadline has its span, linked to its sender or standing below it."""
    found = {(of(span, "run.id"), of(span, "seq")): span for span in telemetry.made("process")}
    taken = told.of(facts.MessageTaken, facts.TimeoutFired) if wanted else []
    assert found.keys() == {(fact.run_id, fact.seq) for fact in taken}
    for fact in taken:
        span = found[fact.run_id, fact.seq]
        kind, number = (type_name(fact.message), fact.number) if isinstance(fact, facts.MessageTaken) else ("timeout", 0)
        assert (span.name, of(span, "message.type"), of(span, "visit.number")) == (f"process {kind}", kind, fact.visit)
        sender, linked = told.senders.get(number), links(span, "message")
        if sender is None or not sender.is_valid:
            assert linked == []
        elif scope == "message":
            assert (linked, span.parent and (span.parent.trace_id, span.parent.span_id)) == ([], (sender.trace_id, sender.span_id))
        else:
            assert linked == [sender]


def check_causes(telemetry: Telemetry, told: Told) -> None:
    """Check that what a retry, a timeout or a pop led to is linked to the visit that decided it, and what comes back to its caller."""
    expected: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    cause, caller = list[int](), list[int]()
    stack = defaultdict[str, list[int]](list)
    for fact in told.facts:
        match fact:
            case facts.RunStarted():
                cause, caller = [], []
            case facts.VisitEnded():
                cause = [fact.visit] if fact.outcome in {"retry", "timeout", "pop"} else []
            case facts.StackPushed():
                stack[fact.run_id] += [fact.visit] * len(fact.states)
                assert len(stack[fact.run_id]) == fact.depth
            case facts.StackPopped():
                caller = [stack[fact.run_id].pop()]
                assert len(stack[fact.run_id]) == fact.depth
            case facts.VisitStarted():
                expected[fact.run_id, fact.visit] = cause, caller
                cause, caller = [], []
    by_id = {span.context.span_id: span for span in telemetry.spans if span.context is not None}
    found = {visit: (list[int](), list[int]()) for visit in expected}
    for span in telemetry.made("visit"):
        for place, kind in enumerate(("cause", "caller")):
            found[of(span, "run.id"), of(span, "visit.number")][place].extend(
                of(by_id[context.span_id], "visit.number") for context in links(span, kind)
            )
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", SCOPES)
@pytest.mark.parametrize("age", [900.0, 1.0])
def test_spans_hang_together_as_the_scope_says(trace_scope: Any, age: float) -> None:
    """Ids are unique, every parent and every link is exported, and segments stand in a chain and hold so many visits at most."""

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        telemetry = Telemetry(trace_scope=trace_scope, detail="handlers", metrics="off", segment_max_visits=SEGMENT, segment_max_age=age)
        _, told = asyncio.run(play(program, telemetry))
        by_id: dict[int, Any] = {span.context.span_id: span for span in telemetry.spans if span.context is not None}
        assert len(by_id) == len(telemetry.spans)
        for span in by_id.values():
            assert span.start_time <= span.end_time
            assert all(by_id[link.context.span_id].context == link.context for link in span.links)
            if span.parent is None:
                continue
            above = by_id[span.parent.span_id]
            assert above.context.trace_id == span.context.trace_id
            # The work of a message may outlast its sender, and what it led to outlasts its span.
            if trace_scope == "run" and span.name != "sender":
                assert above.start_time <= span.start_time
                assert span.end_time <= above.end_time
        check_chains(telemetry, told, trace_scope)
        if trace_scope != "visit":
            check_sizes(telemetry, by_id)

    law()


def check_chains(telemetry: Telemetry, told: Told, scope: str) -> None:
    """Check the segments of each run, or its visits where each is a trace of its own."""
    chains = defaultdict[str, list[Any]](list)
    for span in telemetry.made("visit" if scope == "visit" else "run"):
        chains[of(span, "run.id")].append(span)
    outcomes = {fact.run_id: fact.outcome for fact in told.of(facts.RunEnded)}
    assert chains.keys() == outcomes.keys()
    for run, chain in chains.items():
        chain.sort(key=lambda span: of(span, "run.segment"))
        assert [of(span, "run.segment") for span in chain] == list(range(len(chain)))
        assert [span.parent for span in chain] == [None] * len(chain)
        assert len({span.context.trace_id for span in chain}) == len(chain)
        assert links(chain[0], "previous_segment") == links(chain[0], "first_segment") == []
        for one, other in pairwise(chain):
            assert (links(other, "previous_segment"), links(other, "first_segment")) == ([one.context], [chain[0].context])
            if scope != "visit":
                assert (one.end_time, of(one, "run.outcome")) == (other.start_time, "continued")
        # A run that is ended in a retry's delay is between visits: the span of the last one is gone already.
        between = scope == "visit" and of(chain[-1], "visit.outcome") == "retry"
        assert of(chain[-1], "run.outcome") == (None if between else outcomes[run])


def check_sizes(telemetry: Telemetry, by_id: dict[int, Any]) -> None:
    """Check that each visit belongs to one segment, as its child or by a link, and that none has too many."""
    sizes = Counter[int]()
    for span in telemetry.made("visit"):
        assert span.parent is not None
        near = [by_id[context.span_id] for context in (span.parent, *links(span, "segment"))]
        (segment,) = [other for other in near if of(other, "operation.name") == "run"]
        assert of(segment, "run.id") == of(span, "run.id")
        sizes[segment.context.span_id] += 1
    assert max(sizes.values(), default=0) <= SEGMENT


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", SCOPES)
def test_a_machine_with_telemetry_does_what_it_does_without(trace_scope: Any) -> None:
    """All facts but for their ids, the books, and where it stands."""

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        telemetry = Telemetry(trace_scope=trace_scope, detail="handlers", metrics="full", segment_max_visits=SEGMENT)
        plain, told_plainly = asyncio.run(play(program))
        machine, told = asyncio.run(play(program, telemetry))
        assert machine.facts(told) == plain.facts(told_plainly)
        assert machine.look() == plain.look()

    law()


@pytest.mark.slow
def test_counters_are_what_stats_says_at_every_moment() -> None:
    """After every command: transitions, messages, retries, timeouts and errors; one machine is active, nothing is negative."""

    def check(machine: Machine, told: Told) -> None:
        nonlocal early
        stats = machine.fsm.stats()
        if not told.of(facts.RunStarted):
            early = stats.accepted  # nobody observed yet
        found = {
            "transitions": telemetry.total("septum.transitions"),
            "enqueued": telemetry.total("septum.enqueued.messages"),
            "consumed": telemetry.total("septum.consumed.messages"),
            "unhandled": telemetry.total("septum.unhandled.messages"),
            "dropped": telemetry.by("septum.dropped.messages", "drop.reason"),
            "retries": telemetry.total("septum.retries"),
            "timeouts": telemetry.total("septum.timeouts"),
            "usage": telemetry.total("septum.mailbox.usage"),
            "active": telemetry.total("septum.machine.active"),
            "negative": [name for name in NUMBERS if any(value < 0 for value in telemetry.read(name).values())],
        }
        active = len(told.of(facts.RunStarted)) - len(told.of(facts.RunEnded))
        assert found == {
            "transitions": stats.transitions,
            "enqueued": stats.accepted - early,
            "consumed": stats.handled + stats.unhandled,
            "unhandled": stats.unhandled,
            "dropped": Counter((fact.reason,) for fact in told.of(facts.MessageDropped)),
            "retries": stats.retries,
            "timeouts": stats.timeouts,
            "usage": stats.pending if active else 0,
            "active": active,
            "negative": [],
        }

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        nonlocal telemetry, early
        telemetry, early = Telemetry(metrics="full", events=False), 0
        machine, told = asyncio.run(play(program, telemetry, check))
        assert machine.fsm.stats().hook_errors == 0
        check_series(telemetry, told)

    telemetry, early = Telemetry(), 0
    law()


def check_series(telemetry: Telemetry, told: Told) -> None:
    """Check by state and way what was counted, and that each visit that a transition ended is one that left: `again` leaves none."""
    names = told.states()
    taken, ended = told.of(facts.TransitionTaken), told.of(facts.VisitEnded)
    keys = ("transition.from_state", "transition.to_state", "transition.label", "transition.kind")
    assert telemetry.by("septum.transitions", *keys) == Counter(
        (names[fact.source], names[fact.target] if fact.target else "", fact.label or "", fact.kind) for fact in taken
    )
    visits = telemetry.by("septum.state.duration", "state.name", "visit.outcome")
    assert visits == Counter((names[fact.state], fact.outcome) for fact in ended)
    ends = {(fact.run_id, fact.visit): fact.outcome for fact in ended}
    left = {(fact.run_id, fact.visit): names[fact.source] for fact in taken if fact.kind not in LEAVES_NOTHING}
    assert len(left) == sum(fact.kind not in LEAVES_NOTHING for fact in taken)
    assert left.keys() <= ends.keys()
    for outcome in set(ends.values()) - NOT_ALWAYS_BY_A_TRANSITION:
        leavers = Counter(state for visit, state in left.items() if ends[visit] == outcome)
        assert leavers == Counter({state: count for (state, how), count in visits.items() if how == outcome})
    assert telemetry.by("septum.process.duration", "state.name", "handler.name") == Counter(
        (names[fact.state], fact.handler) for fact in told.of(facts.HandlerFinished)
    )
    assert telemetry.by("septum.run.duration", "run.outcome") == Counter((fact.outcome,) for fact in told.of(facts.RunEnded))
    assert telemetry.total("septum.message.wait.duration") == len(told.of(facts.MessageTaken))
    assert telemetry.total("septum.errors") == len(told.of(facts.ErrorRouted))
    assert telemetry.total("septum.machine.active") == 0
