"""explore: its paths do everything that there is to do, with stubs and with real handlers, and say so when they do not."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings

from septum import (
    Graph,
    LabeledTransition,
    Pop,
    Push,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateSpec,
)
from septum.testing import TIMEOUT, ExplorationPath, ManualClock, PathError, RecorderHooks, TransitionCoverage, assert_path, explore
from septum.testing._covered import measure
from septum.testing._explore import MOST_CONFIGURATIONS, can_be_done
from septum.testing._goals import describe_goal
from tests.model.generate import definitions
from tests.model.machine import Machine
from tests.model.program import Definition, Tape
from tests.scenes import run
from tests.testing.shop import Failed, Fetching, Idle, Words


def state(name: str, *edges: Any, **limits: Any) -> StateSpec:
    """Return a state that lists *edges* and answers what it is sent."""

    async def echo(ctx: Any) -> object:
        return ctx.msg

    handlers = {name: limits.pop(name) for name in ("on_state", "on_timeout", "on_fail") if name in limits}
    limits.setdefault("can_dwell", True)
    return StateSpec(
        name=name, qualname=name, config=StateConfiguration(**limits), transitions=lambda: list(edges), **{"on_state": echo} | handlers
    )


def texts(initial: Any, **options: Any) -> list[str]:
    """Return the paths as text."""
    return [str(path) for path in explore(initial, **options)]


def reached(paths: Any, *, error_state: Any = None) -> dict[str, int]:
    """Walk all *paths* with stubs and return how many of its goals each kind has left."""
    coverage = TransitionCoverage()
    for path in paths:
        run(path.walk(hooks=[coverage]))
    measured = measure("", paths.graph, coverage.counts())
    return {goal.kind: sum(other.kind == goal.kind for other in measured.missing) for goal in measured.missing}


def test_paths_do_everything_that_there_is_to_do() -> None:
    """Every edge, the timeout, the retries up to the last, the pop, and each state's way to the error state."""
    found = explore(Idle, error_state=Failed)

    assert [str(path) for path in found] == [
        "Idle -MORE-> Idle",
        "Idle -error-> Failed",
        "Idle -CHECK-> Checking -error-> Failed",
        "Idle -CHECK-> Checking -pop-> Idle",
        "Idle -CHECK-> Checking -repeat-> Checking",
        "Idle -CHECK-> Checking -restart-> Checking",
        "Idle -START-> Fetching -GOT-> Done",
        "Idle -START-> Fetching -LOST-> end",
        "Idle -START-> Fetching -SLOW-> Idle",
        "Idle -START-> Fetching -error-> Failed",
        "Idle -START-> Fetching -timeout-> Done",
        "Idle -START-> Fetching -retry-> Fetching -retry-> Fetching -fail-> Done",
    ]
    assert (found.missing, len(found), repr(found)) == ((), 12, "<exploration of tests.testing.shop.Idle: 12 paths, 0 missing>")
    assert reached(found) == {}


@pytest.mark.parametrize("path", explore(Idle, error_state=Failed), ids=str)
def test_stub_walks_the_path(path: ExplorationPath) -> None:
    """A machine of stubs has the definition's hash and goes exactly along the path's own text."""
    recorder = RecorderHooks()

    machine = run(path.walk(hooks=[recorder]))

    assert machine.graph.hash == Graph.of(Idle, Failed).hash
    assert_path(recorder, str(path))


@pytest.mark.parametrize("path", explore(Idle, error_state=Failed), ids=str)
def test_real_handlers_are_driven_along_the_path(path: ExplorationPath) -> None:
    """Handlers that answer what they are sent need nothing said; what on_timeout and on_fail decide is theirs."""
    clock = ManualClock()
    machine: StateMachine[Any] = StateMachine(Idle, error_state=Failed, clock=clock)

    run(path.drive(machine, clock))

    names = [step.way for step in path.steps]
    expected = {"timeout": Idle, "fail": Fetching}.get(names[-1])
    last = path.steps[-1].target
    assert machine.current_state == (expected if expected is not None else last if last is not None else Fetching)
    assert machine.hooks == ()


def test_messages_say_how_real_handlers_are_brought_to_answer() -> None:
    """By label, by state and label, by marker, with a function, with a deadline, and with an exception of one's own."""

    class Words(Enum):
        PAY = 1
        WAIT = 2

    async def on_state(ctx: Any) -> object:
        if ctx.common.pop("broken", False):
            return Retry
        return Words.PAY if ctx.msg == "pay" else None

    async def on_timeout(ctx: Any) -> object:
        return Words.WAIT

    end = state("End", terminal=True)
    shop = state(
        "Shop",
        LabeledTransition(Words.PAY, end),
        LabeledTransition(Words.WAIT, None),
        timeout=60.0,
        retries=1,
        on_state=on_state,
        on_timeout=on_timeout,
        on_fail=on_timeout,
    )

    async def break_it(fsm: StateMachine[Any]) -> None:
        fsm.context.common["broken"] = True

    error = OSError("gone")
    messages = {Words.PAY: "pay", (shop, Words.WAIT): TIMEOUT, Retry: break_it, Exception: error}
    found = explore(shop, error_state=end, messages=messages)

    async def drive(path: ExplorationPath) -> list[str]:
        clock, recorder = ManualClock(), RecorderHooks()
        machine: StateMachine[Any] = StateMachine(shop, error_state=end, clock=clock, hooks=[recorder])
        await path.drive(machine, clock)
        return recorder.names()[-2:]

    assert [str(path) for path in found] == [
        "Shop -PAY-> End",
        "Shop -WAIT-> end",
        "Shop -error-> End",
        "Shop -timeout-> End",
        "Shop -retry-> Shop -fail-> End",
    ]
    assert [run(drive(path))[-1] for path in found] == ["run_ended"] * 5


def test_machine_that_leaves_the_path_fails_with_both_ways() -> None:
    """The failure shows the path, the walk, and what the machine was given."""
    path = next(path for path in explore(Idle, messages={Words.START: Words.CHECK}) if str(path) == "Idle -START-> Fetching -GOT-> Done")
    clock = ManualClock()

    with pytest.raises(AssertionError) as caught:
        run(path.drive(StateMachine(Idle, clock=clock), clock))

    assert str(caught.value).splitlines() == [
        "machine 'Idle' left the path in Idle, at step 1",
        "  path:   Idle -START-> Fetching -GOT-> Done",
        "  walked: Idle -CHECK-> Checking",
        "               ^",
        "  Idle has: -START-> Fetching, -CHECK-> Push(Checking, Idle), -MORE again-> Idle",
        "  For step 1, -START->, it was given <Words.CHECK: 2>.",
    ]


def test_step_that_nobody_provokes_says_what_is_missing() -> None:
    """With messages for some labels, the others are left to the machine; one that does not move by itself fails with a hint."""
    path = explore(Idle, messages={Words.CHECK: Words.CHECK})[0]
    clock = ManualClock()

    with pytest.raises(AssertionError, match=re.escape("Nothing was sent for -MORE->: explore(messages=...) has no entry for it")):
        run(path.drive(StateMachine(Idle, clock=clock), clock))


def test_handler_that_never_gets_anywhere_is_given_up() -> None:
    """A state that keeps itself busy without moving fails the step after a thousand ticks."""
    ticks: list[int] = []

    async def busy(ctx: Any) -> None:
        ticks.append(1)
        ctx.send_message("again")

    end = state("End", terminal=True)
    (path,) = explore(state("Busy", end, on_state=busy), messages={})
    clock = ManualClock()

    with pytest.raises(AssertionError, match="machine 'Busy' is still in Busy after 0 steps; the path goes on"):
        run(path.drive(StateMachine(state("Busy", end, on_state=busy), clock=clock), clock))
    assert 1_000 <= len(ticks) <= 1_001


def test_error_that_a_state_cannot_take_says_how_to_provoke_it() -> None:
    """A state that decides by itself never takes an exception that is sent; the failure says what to give instead."""
    end = state("End", terminal=True)

    async def decide(ctx: Any) -> object:
        return end

    path = explore(state("Here", end, on_state=decide), error_state=end)[1]
    clock = ManualClock()

    assert str(path) == "Here -error-> End"
    with pytest.raises(AssertionError, match=re.escape("give explore(messages={(Here, Exception): function}) that lets its handler raise")):
        run(path.drive(StateMachine(state("Here", end, on_state=decide), error_state=end, clock=clock), clock))


def test_real_on_timeout_may_let_the_state_dwell() -> None:
    """What on_timeout decides is its own: that it decides to stay is right as well."""
    end = state("End", terminal=True)
    here = state("Here", end, timeout=3.0, on_timeout=lambda ctx: None)
    path = explore(here)[-1]
    clock = ManualClock()
    machine: StateMachine[Any] = StateMachine(here, clock=clock)

    run(path.drive(machine, clock))

    assert (str(path), machine.current_state, machine.stats().timeouts) == ("Here -timeout-> End", here, 1)


def test_machine_of_another_definition_or_one_under_way_is_refused() -> None:
    """Nothing is done to a machine that the path does not begin with."""
    path, clock = explore(Idle)[0], ManualClock()
    started: StateMachine[Any] = StateMachine(Idle, clock=clock)
    run(started.initialize())

    with pytest.raises(PathError, match="this path is of <graph of tests.testing.shop.Idle"):
        run(path.drive(StateMachine(Fetching, clock=clock), clock))
    with pytest.raises(PathError, match="machine 'Idle' has started already"):
        run(path.drive(started, clock))


def test_what_lies_deeper_than_allowed_is_missing() -> None:
    """Paths are no longer than max_depth, and what needs longer ones is listed in words."""
    found = explore(Idle, max_depth=1)

    assert [str(path) for path in found] == ["Idle -CHECK-> Checking", "Idle -MORE-> Idle", "Idle -START-> Fetching"]
    assert found.missing == (
        "Fetching -GOT-> Done",
        "Fetching -SLOW-> Idle",
        "Fetching -LOST-> end",
        "Fetching -timeout->",
        "Fetching -retry-> Fetching",
        "Fetching -fail->",
        "Checking -pop-> Pop",
        "Checking -repeat-> Checking",
        "Checking -restart-> Checking",
        "Done",
    )
    with pytest.raises(ValueError, match="max_depth must be at least 1, not 0"):
        explore(Idle, max_depth=0)


def test_state_alone_has_one_path_of_no_step() -> None:
    """Where there is nothing to do, there is still the start."""
    assert texts(state("Alone", terminal=True)) == ["Alone"]


def test_exhausted_retries_too_many_to_walk_are_missing() -> None:
    """A limit beyond max_depth is not walked to its end; the first retry is."""
    found = explore(state("Try", retries=60, on_fail=lambda ctx: None))

    assert ([str(path) for path in found], found.missing) == (["Try -retry-> Try"], ("Try -fail->",))


def test_pop_is_reached_with_something_below_it() -> None:
    """A pop on an empty stack is no way; the path pushes first, and returns to what was pushed last."""
    first, second = StateSpec(name="First"), StateSpec(name="Second")
    leaf = state("Leaf", Pop)
    for spec, edges in ((first, [Push(leaf, second, first)]), (second, [Pop, leaf])):
        spec.qualname, spec.on_state, spec.config = spec.name, leaf.on_state, StateConfiguration(can_dwell=True)
        spec.transitions = lambda edges=edges: edges

    assert texts(first) == [
        "First -push-> Leaf -pop-> Second -direct-> Leaf",
        "First -push-> Leaf -pop-> Second -pop-> First",
    ]


def test_stack_that_grows_for_ever_does_not_hold_the_search_up() -> None:
    """Configurations without end are cut off, and what no run does is missing."""
    labels = Enum("labels", "A B C")
    grow = StateSpec(name="Grow")
    never = state("Never", Pop)
    grow.qualname, grow.on_state, grow.config = "Grow", never.on_state, StateConfiguration(can_dwell=True)
    grow.transitions = lambda: [
        LabeledTransition(labels["A"], Push(grow, grow)),
        LabeledTransition(labels["B"], Push(grow, grow, never)),
        LabeledTransition(labels["C"], Push(grow, never)),
    ]
    assert MOST_CONFIGURATIONS == 50_000

    found = explore(grow)

    assert [str(path) for path in found] == ["Grow -A-> Grow", "Grow -B-> Grow", "Grow -C-> Grow"]
    assert found.missing == ("Never", "Never -pop-> Pop")


def test_restart_is_walked() -> None:
    """The machine waits in the state that it has entered again."""
    end = state("End", terminal=True)
    path = next(path for path in explore(state("Here", Restart, end)) if str(path) == "Here -restart-> Here")

    machine = run(path.walk())

    assert machine.current_state == "Here"


def test_deadline_after_which_the_state_dwells_is_walked_too() -> None:
    """A state without a way out has its on_timeout called, and no transition."""
    found = explore(state("Here", timeout=3.0, on_timeout=lambda ctx: None))

    assert [str(path) for path in found] == ["Here"]
    assert reached(found) == {}


def test_deadline_that_nobody_decides_leads_to_the_error_state_or_nowhere() -> None:
    """Without on_timeout it is the error's way; without an error state it is raised, and no path of this kind."""
    end = state("End", terminal=True)
    here = state("Here", end, timeout=3.0)

    assert texts(here, error_state=end) == ["Here -direct-> End", "Here -error-> End", "Here -timeout-> End"]
    assert reached(explore(here, error_state=end)) == {}
    assert texts(here) == ["Here -direct-> End"]
    assert explore(here).missing == ()


def test_on_fail_without_a_way_out_is_no_path_where_it_may_not_wait() -> None:
    """A state that can only pop and may not wait has no answer for its on_fail on an empty stack; with something below it has."""
    leaf = state("Leaf", Pop, can_dwell=False, retries=0, on_fail=lambda ctx: None)

    assert texts(leaf) == ["Leaf"]
    assert explore(leaf).missing == ("Leaf -pop-> Pop", "Leaf -fail->")
    assert texts(state("Root", Push(leaf, leaf))) == ["Root -push-> Leaf -fail-> Leaf", "Root -push-> Leaf -pop-> Leaf"]


def test_delay_of_a_retry_passes_on_the_clock() -> None:
    """A path with two retries takes as long as the policy says."""
    policy = RetryPolicy(base=1.0, factor=3.0)
    path = explore(state("Try", retries=2, retry=policy, on_fail=lambda ctx: None))[0]
    clock = ManualClock()

    run(path.walk(clock=clock))

    assert (str(path), clock.now()) == ("Try -retry-> Try -retry-> Try", 4.0)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(definitions())
def test_paths_of_any_definition_can_be_walked(definition: Definition) -> None:
    """For random definitions each path is walked by stubs, and all together do what is not listed as missing."""
    machine = Machine(definition, Tape(()))
    error = None if definition.error is None else machine.specs[definition.error]
    found = explore(machine.specs[0], error_state=error, max_depth=20)
    coverage = TransitionCoverage()

    for path in found:
        run(path.walk(hooks=[coverage]))

    measured = measure("", found.graph, coverage.counts())
    left = {describe_goal(goal, found.graph) for goal in measured.missing if can_be_done(goal, found.graph)}
    assert left - set(found.missing) == set()
