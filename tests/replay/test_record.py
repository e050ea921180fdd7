"""What a recording holds: over random programs, every fact that enters a run and everything that is decided, without a gap."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from septum import facts, semconv
from septum.replay import MemorySink, Recorder, load, records
from septum.testing import RecorderHooks
from tests.model.generate import programs
from tests.model.machine import Machine
from tests.model.program import Tape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum import Hooks
    from septum.replay import Record
    from tests.model.program import Call, Command, Definition

    Program = tuple[Definition, tuple[Call, ...], tuple[Command, ...]]

random_programs = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

EVENT_OF: dict[type[facts.Fact], str] = {
    facts.RunStarted: "start",
    facts.MessageQueued: "message",
    facts.MessageTaken: "taken",
    facts.MessageDropped: "dropped",
    facts.TimeoutFired: "timer",
    facts.RetryScheduled: "timer",
    facts.EffectReturned: "effect",
    facts.HandlerFinished: "handler",
    facts.TransitionTaken: "transition",
    facts.StackPushed: "stack",
    facts.StackPopped: "stack",
    facts.ErrorRouted: "error",
    facts.SnapshotTaken: "snapshot",
    facts.RunEnded: "end",
}
"""The facts that are recorded, and as what; visits and starts of handlers follow from these."""


async def perform(program: Program, *hooks: Hooks) -> None:
    """Run *program* on a machine with *hooks*, whatever it raises."""
    definition, tape, orders = program
    machine = Machine(definition, Tape(tape), hooks=hooks)
    for order in orders:
        await machine.do(order)
    await machine.fsm.close()


def recorded(program: Program, level: Any, *others: Hooks) -> list[Record]:
    """Return the records of *program* at *level*, with *others* attached to the same machine."""
    sink = MemorySink()
    recorder = Recorder(sink, level=level)
    asyncio.run(perform(program, recorder, *others))
    recorder.close()
    return list(sink.records)


def by_run(everything: Iterable[Record]) -> list[list[Record]]:
    """Return the records of each run together, in the order in which the runs appear."""
    found: dict[str, list[Record]] = {}
    for record in everything:
        found.setdefault(record.run_id, []).append(record)
    return list(found.values())


def without_ids(found: Iterable[Record]) -> list[Record]:
    """Return the records without what is another in each execution."""
    return [record._replace(run_id="", machine_id="") for record in found]


@pytest.mark.slow
@random_programs
@given(programs())
def test_every_fact_that_matters_is_a_record_with_its_number_and_time(program: Program) -> None:
    """Event, seq, visit and wall time are those of the facts, in their order; facts outside of a run are in no recording."""
    told = RecorderHooks()
    found = recorded(program, "full", told)
    within: dict[str, list[tuple[Any, ...]]] = {}
    ended: set[str] = set()
    for fact in told.facts:
        if isinstance(fact, facts.RunStarted):
            within.setdefault(fact.run_id, [])
        if fact.run_id in within and fact.run_id not in ended and type(fact) in EVENT_OF:
            within[fact.run_id].append((EVENT_OF[type(fact)], fact.seq, fact.visit, fact.wall))
        if isinstance(fact, facts.RunEnded):
            ended.add(fact.run_id)
    runs = {run[0].run_id: [(one.event, one.seq, one.visit, one.wall) for one in run] for run in by_run(found)}
    assert runs == within


@pytest.mark.slow
@random_programs
@given(programs())
def test_records_of_a_run_are_numbered_without_a_gap(program: Program) -> None:
    """From 1 on, the start first, the end last, the clock never back, whatever the level."""
    for level in ("metadata", "inline", "full"):
        for run_of_one in by_run(recorded(program, level)):
            assert [record.index for record in run_of_one] == list(range(1, len(run_of_one) + 1))
            assert (run_of_one[0].event, run_of_one[-1].event) == ("start", "end")
            assert [record.at for record in run_of_one] == sorted(record.at for record in run_of_one)
            assert [record.seq for record in run_of_one] == sorted({record.seq for record in run_of_one})


@pytest.mark.slow
@random_programs
@given(programs())
def test_a_recorder_alone_records_what_it_does_beside_others(program: Program) -> None:
    """Steps that it hears of in one tuple become the very records that the facts make."""
    assert without_ids(recorded(program, "inline")) == without_ids(recorded(program, "inline", RecorderHooks()))


@pytest.mark.slow
@random_programs
@given(programs())
def test_handlers_and_transitions_are_recorded_as_they_were_told(program: Program) -> None:
    """Handler, state, whether it answered; source, target, label and kind."""
    told = RecorderHooks()
    found = recorded(program, "metadata", told)
    runs = {record.run_id for record in found}
    calls = [
        {semconv.HANDLER_NAME: fact.handler, semconv.STATE_NAME: fact.state.removeprefix("m.")}
        for fact in told.of(facts.HandlerFinished)
        if fact.run_id in runs
    ]
    edges = [
        {
            semconv.TRANSITION_FROM_STATE: fact.source.removeprefix("m."),
            semconv.TRANSITION_TO_STATE: fact.target and fact.target.removeprefix("m."),
            semconv.TRANSITION_LABEL: fact.label,
            semconv.TRANSITION_KIND: fact.kind,
        }
        for fact in told.of(facts.TransitionTaken)
        if fact.run_id in runs
    ]
    handlers = [record.attributes for record in found if record.event == "handler"]
    assert [{key: one[key] for key in (semconv.HANDLER_NAME, semconv.STATE_NAME)} for one in handlers] == calls
    assert [{key: record.attributes.get(key) for key in edges[0]} for record in found if record.event == "transition"] == edges


def test_a_recording_of_version_1_is_read_for_ever() -> None:
    """Two machines at each level, with all that can happen: every record is there, and bodies are what they were."""
    path = Path(__file__).parent / "fixtures" / "everything-v1.jsonl"
    found = list(records(path))
    assert Counter(record.event for record in found) == {
        "handler": 360,
        "transition": 321,
        "message": 33,
        "taken": 30,
        "effect": 21,
        "start": 6,
        "stack": 6,
        "end": 6,
        "timer": 3,
        "error": 3,
        "dropped": 3,
    }
    runs = by_run(found)
    assert [[record.index for record in run] for run in runs] == [list(range(1, len(run) + 1)) for run in runs]
    bodies = [record.body for record in found if record.event == "message" and record.machine_id == "clerk-full"]
    ask = {"$": "enum", "t": "tests.otel.recordings:Ask"}
    assert bodies == [
        "hello",
        {"card": "[redacted]", "order": 4711},
        *[{**ask, "n": name} for name in ("EFFECTS", "AGAIN", "PUSH")],
        "pop",
        *[{**ask, "n": name} for name in ("LABEL", "RETRY")],
        None,
        {**ask, "n": "LOSE"},
    ]
    assert [(run.machine_id, run.outcome, len(run.steps), run.gaps) for run in load(path)] == [
        (f"{kind}-{level}", outcome, steps, ())
        for level in ("metadata", "inline", "full")
        for kind, outcome, steps in (("clerk", "completed", 7), ("ping", "stopped", 101))
    ]
