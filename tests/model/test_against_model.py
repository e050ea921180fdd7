"""The engine does what the reference model does, told to hooks or not, over random programs."""

from __future__ import annotations

import asyncio
import os
from itertools import zip_longest
from typing import Any

from hypothesis import HealthCheck, given, note, settings

from septum import Hooks, facts
from septum.testing import RecorderHooks
from tests.model.generate import programs
from tests.model.machine import Machine
from tests.model.model import Model
from tests.model.program import Call, Command, Definition, Tape

Program = tuple[Definition, tuple[Call, ...], tuple[Command, ...]]
EXAMPLES = int(os.environ.get("SEPTUM_MODEL_EXAMPLES", "200"))
thorough = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="SEPTUM_MODEL_EXAMPLES" not in os.environ,
)


class TransitionsOnly(Hooks):
    """A hook that wants to know one kind of fact."""

    def __init__(self) -> None:
        self.facts: list[Any] = []

    def transition_taken(self, fact: Any, /) -> None:
        self.facts.append(fact)


class StepsPassed(Hooks):
    """Hears of plain steps in one tuple; `facts` has the facts that each stands for, `skipped` the numbers of calls not told."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.skipped: set[tuple[str, int]] = set()

    def passed(self, step: facts.Passed, /) -> None:
        origin, seq, visit, at, (source, target, label), seconds = step
        header = {"machine_id": origin[0], "machine_name": origin[1], "run_id": origin[2], "visit": visit, "at": at}
        header["wall"] = origin.wall_ns()
        self.facts.append(facts.VisitEnded(**header, seq=seq - 2, state=source, outcome="transition", duration=seconds, exception=None))
        self.facts.append(facts.TransitionTaken(**header, seq=seq - 1, source=source, target=target, label=label, kind="label"))
        self.skipped.add((origin[2], seq - 3))

    def keep(self, fact: Any, /) -> None:
        self.facts.append(fact)

    handler_finished = visit_ended = transition_taken = keep


async def same(program: Program, hooks: tuple[Any, ...]) -> None:
    """Run *program* on the model and on a machine with *hooks*, and compare after every command."""
    definition, tape, orders = program
    model = Model(definition, Tape(tape))
    machine = Machine(definition, Tape(tape), hooks=hooks)
    for order in orders:
        note(f"{order}")
        expected = {"outcome": model.do(order)} | model.look()
        found = {"outcome": await machine.do(order)} | machine.look()
        assert found == expected, [f"{what}: {found[what]}, model: {expected[what]}" for what in expected if found[what] != expected[what]]
        for hook in hooks:
            everything = isinstance(hook, RecorderHooks)
            if isinstance(hook, StepsPassed):
                check_steps(machine, hook, model)
            else:
                check_facts(machine.facts(hook), [fact for fact in model.facts if everything or fact["fact"] == "TransitionTaken"])


def check_steps(machine: Machine, hook: StepsPassed, model: Model) -> None:
    """Assert that steps and facts are together what the model says; a call that a step stands for was told in no other way."""
    runs = list(dict.fromkeys(fact.run_id for fact in hook.facts))
    skipped = {(runs.index(run) + 1, seq) for run, seq in hook.skipped}
    kinds = {"HandlerFinished", "VisitEnded", "TransitionTaken"}
    names = list(dict.fromkeys(fact["run"] for fact in model.facts if fact["fact"] in kinds))
    expected = [fact for fact in model.facts if fact["fact"] in kinds and (names.index(fact["run"]) + 1, fact["seq"]) not in skipped]
    check_facts(machine.facts(hook), expected)


def check_facts(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Assert that both lists are the same; the message shows where they part."""
    runs = list(dict.fromkeys(fact["run"] for fact in expected))
    expected = [fact | {"run": runs.index(fact["run"]) + 1} for fact in expected]
    both = zip_longest(found, expected)
    assert found == expected, next(f"fact {place}: {one}, model: {other}" for place, (one, other) in enumerate(both) if one != other)


@thorough
@given(programs())
def test_observed_machine_does_what_the_model_does(program: Program) -> None:
    """States, stack, retry counts, books, exceptions and the whole list of facts are the model's after every command."""
    asyncio.run(same(program, (RecorderHooks(),)))


@thorough
@given(programs())
def test_unobserved_machine_does_what_the_model_does(program: Program) -> None:
    """Without a hook the machine takes its fast ways and comes to the same states, stack, retry counts and books."""
    asyncio.run(same(program, ()))


@thorough
@given(programs())
def test_partly_observed_machine_does_what_the_model_does(program: Program) -> None:
    """A hook that overrides one method is told those facts and no others, numbered as if all had been told."""
    asyncio.run(same(program, (TransitionsOnly(),)))


@thorough
@given(programs())
def test_machine_that_tells_steps_in_one_does_what_the_model_does(program: Program) -> None:
    """Each plain step is told in one tuple or in facts, never in both, and the numbers of both are the model's."""
    asyncio.run(same(program, (StepsPassed(),)))


@thorough
@given(programs())
def test_steps_are_told_as_facts_where_another_hook_wants_them(program: Program) -> None:
    """A second hook that wants facts is told all of them, and so is the first one then."""
    asyncio.run(same(program, (StepsPassed(), RecorderHooks())))
