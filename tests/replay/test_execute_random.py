"""Random machines, recorded and executed: they do the same again, and a single other answer is found where it is given.

SEPTUM_REPLAY_EXAMPLES=10000 makes so many of them (with `-o faulthandler_timeout=0`, as that takes longer than ten minutes); a run of the
tests makes 300 of each.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from septum import semconv
from septum.replay import execute
from septum.replay._names import names_of
from tests.model.generate import programs
from tests.model.program import Answer
from tests.replay.troupe import CLASSES, Program, honest, record, replica

thorough = settings(
    max_examples=int(os.environ.get("SEPTUM_REPLAY_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    derandomize="SEPTUM_REPLAY_EXAMPLES" not in os.environ,
)
OTHERS = [Answer(kind) for kind in ("nothing", "again", "repeat", "restart", "rubbish")] + [Answer("edge", pick) for pick in range(5)]


@pytest.mark.slow
@thorough
@given(programs(), st.sampled_from(["full", "inline"]))
def test_recorded_machine_does_the_same_again(program: Program, level: str):
    """Messages, failures, retries, timeouts, push and pop, chance, calls, cancelled and cut handlers: no divergence to the last record."""
    program = honest(program)
    runs, marks = record(program, level)
    for run in runs:
        execution = execute(run, replica(program, marks.positions[run[0].run_id]).fsm, allowed=CLASSES, patience=0.0)
        assert execution.ok, str(execution)


@pytest.mark.slow
@thorough
@given(programs(), st.integers(0, 8), st.booleans())
def test_recorded_machine_that_was_restored_does_the_same_again(program: Program, place: int, closes: bool):
    """Written down after any order and brought back, closed or left: the replay goes through both parts to the last record."""
    program = honest(program)
    runs, marks = record(program, moves_at=min(place, len(program[2]) - 1), closes=closes)
    for run in runs:
        starts = [each for each in run if each.event == "start"]
        event(f"{len(starts)} parts")
        if any(each.attributes.get(semconv.RECORDING_STAGE) == "leave" for each in starts):
            # What was decided before is in the first process only: on_leave is not called, and the program is a call behind.
            continue
        execution = execute(run, replica(program, marks.positions[run[0].run_id]).fsm, allowed=CLASSES, patience=0.0)
        assert execution.ok, str(execution)


@pytest.mark.slow
@thorough
@given(programs(), st.integers(0, 1000), st.permutations(OTHERS))
def test_other_answer_is_found_in_every_run_that_reaches_it(program: Program, choice: int, others: list[Answer]):
    """One answer on the tape is changed: the replay of the run that comes there ends at that very record."""
    program = honest(program)
    runs, marks = record(program)
    candidates = [(place, *call) for place, call in sorted(marks.calls.items()) if place < len(program[1])]
    if not candidates:
        return
    place, run_id, ordinal, number = candidates[choice % len(candidates)]
    run = next(run for run in runs if run[0].run_id == run_id)
    handlers = [each for each in run if each.event == "handler"]
    if ordinal > len(handlers) or semconv.ANSWER_KIND not in handlers[ordinal - 1].attributes:
        event("the call did not answer")
        return
    recorded = handlers[ordinal - 1]
    mutant = next((mutated for other in others if (mutated := _mutate(program, place, other, number, recorded)) is not None), None)
    assert mutant is not None

    execution = execute(run, replica(mutant, marks.positions[run_id]).fsm, allowed=CLASSES, patience=0.0)

    event("killed")
    assert execution.divergence is not None, f"{recorded} did not matter"
    assert (execution.verdict, execution.divergence.kind, execution.divergence.index) == ("diverged", "answer", recorded.index)


def _mutate(program: Program, place: int, other: Answer, number: int, recorded: Any) -> Program | None:
    """Return *program* with the answer *other* at *place* of the tape; None if a recording would have the same word for it."""
    definition, tape, orders = program
    machine = replica(program, place)
    graph = machine.fsm.graph
    state = f"m.S{number}"
    kind, name = names_of(graph).answer(state, machine.object(number, other))
    if (kind, name or None) == (recorded.attributes[semconv.ANSWER_KIND], recorded.attributes.get(semconv.ANSWER_NAME)):
        return None
    return definition, (*tape[:place], replace(tape[place], answer=other), *tape[place + 1 :]), orders
