"""Every public call as a type checker sees it: checked by mypy and pyright in `make lint`, never run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, assert_type

from hypothesis import strategies as st
from hypothesis.stateful import rule

import septum
import septum.core
import septum.hooks
import septum.testing
import septum.util
from septum import (
    Again,
    DefinitionError,
    FSMPool,
    Graph,
    Hooks,
    LabeledTransition,
    Pop,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    RunResult,
    SharedContext,
    StateConfiguration,
    StateMachine,
    StateRef,
    StateSpec,
    Stats,
    Unhandled,
    facts,
)


class Kind(Enum):
    """Labels."""

    GO = auto()


@dataclass
class Job:
    """What the states below share."""

    url: str
    pages: int = 0


@septum.state
def Bare() -> None:
    """The function form, bare."""

    class Events(Enum):
        GO = auto()

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events | None:
        assert_type(ctx.common, Job)
        assert_type(ctx.retry_count, int)
        assert_type(ctx.state, str)
        assert_type(ctx.machine_id, str)
        assert_type(ctx.now(), float)
        assert_type(ctx.uuid(), str)
        assert_type(ctx.random.random(), float)
        assert_type(await ctx.call("pages", int, "3"), int)
        ctx.send_message({"any": "object"}, headers={"traceparent": "00-..."})
        ctx.log("text")
        ctx.log.warning("text", left=3)
        assert_type(ctx.log.error("text", exc_info=ValueError()), None)
        return Events.GO if ctx.msg else None

    @septum.transitions
    def transitions() -> list[LabeledTransition]:
        return [LabeledTransition(Events.GO, Called), LabeledTransition(Events.GO, None)]

    _ = (on_state, transitions)


@septum.state(config=StateConfiguration(timeout=5.0, retries=3, retry=RetryPolicy(base=1.0)), name="called", group="g")
def Called() -> None:
    """The function form, called."""

    @septum.on_state
    def on_state(ctx: SharedContext[Job]) -> object:
        return Retry

    @septum.on_enter
    async def on_enter(ctx: SharedContext[Job]) -> None: ...
    @septum.on_leave
    async def on_leave(ctx: SharedContext[Job]) -> None: ...
    @septum.on_timeout
    async def on_timeout(ctx: SharedContext[Job]) -> object:
        return ClassForm

    @septum.on_fail
    async def on_fail(ctx: SharedContext[Job]) -> object:
        return Restart()

    @septum.transitions
    def transitions() -> list[object]:
        return [Again, Retry(), Repeat, Restart, Unhandled, Pop, Push(ClassForm, Bare), StateRef("called"), ClassForm]

    _ = (on_state, on_enter, on_leave, on_timeout, on_fail, transitions)


@septum.state
class ClassForm:
    """The class form: handlers are static to a type checker."""

    config = StateConfiguration(can_dwell=True)

    @septum.events
    class Events(Enum):
        GO = auto()

    @staticmethod
    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events | None:
        return ClassForm.Events.GO

    @staticmethod
    @septum.transitions
    def transitions() -> LabeledTransition:
        return LabeledTransition(ClassForm.Events.GO, Bare)


@septum.state(config=StateConfiguration(terminal=True), name="class.called", group="g")
class CalledClassForm:
    """The class form, called; handlers' decorators may be called, too, and keep the handler's type."""

    @septum.events()
    class Events(Enum):
        GO = auto()

    @staticmethod
    @septum.on_state()
    def on_state(ctx: SharedContext[Job]) -> int:
        return 1


class Watching(Hooks):
    """A hook that overrides what it wants to know."""

    def visit_started(self, fact: facts.VisitStarted, /) -> None:
        assert_type(fact.state, str)
        assert_type(fact.stack, tuple[str, ...])
        assert_type(fact.seq, int)
        assert_type(fact.at, float)

    def run_started(self, fact: facts.RunStarted, /) -> None:
        assert_type(fact.definition, Graph)


async def drive() -> None:
    """Every call on a machine."""
    assert_type(Bare, StateSpec)
    assert_type(Called, StateSpec)
    machine = StateMachine(Bare, common_data=Job("x"), hooks=[Watching()], clock=septum.LoopClock())
    assert_type(machine, StateMachine[Job])
    StateMachine[Job](ClassForm, 10, "drop_oldest", Called, None, None, None, Job("y"))
    StateMachine("module.Name", error_state=StateRef("module.Other"))
    async with machine as entered:
        assert_type(entered, StateMachine[Job])
    assert_type(await machine.initialize(), None)
    assert_type(await machine.tick(timeout=None), None)
    assert_type(await machine.run(max_iterations=3, timeout=0.5), None)
    assert_type(await machine.serve(), RunResult)
    assert_type(await machine.reset(), None)
    assert_type(machine.send_message("m", headers={"a": "b"}), bool)
    assert_type(await machine.send_message_async("m"), bool)
    assert_type(machine.send_message_threadsafe("m"), bool)
    assert_type(machine.current_state, StateSpec | None)
    assert_type(machine.state_stack, list[StateSpec])
    assert_type(machine.queue_depth, int)
    assert_type(machine.context.common, Job)
    assert_type(machine.stats(), Stats)
    assert_type(machine.stats().dropped, Mapping[str, int])
    assert_type(machine.graph, Graph)
    assert_type(machine.stop(), None)
    machine.attach(Watching())
    machine.detach(Watching())
    septum.hooks.install(Watching())
    septum.hooks.uninstall(Watching())


async def pool() -> None:
    """A pool lends machines."""
    machines: FSMPool[Job] = FSMPool(Bare, pool_size=3, common_data=Job("x"))
    await machines.initialize()
    async with machines.machine() as machine:
        await machine.tick()
    await machines.release(await machines.acquire(), reset=False)
    await machines.close()


async def testing() -> None:
    """What tests use."""
    clock = septum.testing.ManualClock()
    StateMachine(Bare, common_data=Job("x"), clock=clock)
    assert_type(clock.now(), float)
    await clock.advance(5)
    await clock.advance_to_next()
    assert_type(await clock.run_until_idle(limit=3), None)
    await clock.run_for(5)
    recorder = septum.testing.RecorderHooks()
    assert_type(recorder.of(facts.VisitStarted), list[facts.VisitStarted])
    assert_type(recorder.names(), list[str])
    await septum.testing.settle()
    SharedContext(print, print, Job("x"), msg="m")
    machine = StateMachine(Bare, common_data=Job("x"), hooks=[recorder], clock=clock)
    for walked in (machine, recorder, recorder.facts, iter(recorder.facts)):
        assert_type(septum.testing.assert_path(walked, "Bare -GO-> Called"), None)


async def exploring(machine_factory: septum.testing.MachineFactory, manual_clock: septum.testing.ManualClock) -> None:
    """What the fixtures give, and the paths of a definition."""
    machine = machine_factory(Bare, error_state=Called, common_data=Job("x"), hooks=[Watching()], name="n")
    assert_type(machine, StateMachine[Job])
    messages = {Kind.GO: "go", (Bare, Kind.GO): septum.testing.TIMEOUT, Exception: ValueError("no")}
    found = septum.testing.explore(Bare, max_depth=9, error_state=Called, messages=messages)
    assert_type(found.missing, tuple[str, ...])
    assert_type(found.graph, Graph)
    for path in found:
        assert_type(path, septum.testing.ExplorationPath)
        assert_type(path.steps[0].target, str | None)
        assert_type(await path.drive(machine, manual_clock), None)
        assert_type(await path.walk(clock=manual_clock, hooks=[Watching()]), StateMachine[Any])
    septum.hooks.install(septum.testing.TransitionCoverage())


class Played(septum.testing.MachineStateful):
    """Hypothesis plays with a machine."""

    initial = Bare
    error_state = Called
    messages = st.sampled_from(["pay", "cancel"])
    options: ClassVar[Mapping[str, Any]] = {"common_data": Job("x")}
    expected = (ValueError,)

    @rule(pages=st.integers())
    def turn(self, pages: int) -> None:
        assert_type(self.complete(self._turn(pages)), int)
        assert_type(self.fsm, StateMachine[Any])
        assert_type(self.clock, septum.testing.ManualClock)
        assert_type(self.recorder, septum.testing.RecorderHooks)

    async def _turn(self, pages: int) -> int:
        await self.fsm.tick()
        return pages


def drawing(graph: Graph) -> None:
    """A definition, compared and drawn."""
    heat: dict[object, float] = {"module.Bare": 3, ("module.Bare", "Events.GO"): 2.5}
    assert_type(graph.diff(Graph.of(ClassForm)), list[str])
    assert_type(graph.to_mermaid(), str)
    assert_type(graph.to_dot(current=Bare), str)
    assert_type(graph.to_svg(heat=heat), str)
    assert_type(graph.to_text(heat=heat, unit="s"), str)


def plain_context() -> None:
    """A context without a machine."""
    SharedContext(send_message=print, log=print, common=Job("x"))


def declaring() -> None:
    """A decorator gives back what it was given; `septum.state` gives a state."""

    async def handler(ctx: SharedContext[Job]) -> None: ...

    def body() -> None: ...

    limits = StateConfiguration(1.0, 3, True, can_dwell=False, retry=RetryPolicy(3, 0.1, 2.0, 60.0, 0.5), expect=9.0)
    assert_type(septum.state(body), StateSpec)
    assert_type(septum.state(Job), StateSpec)
    assert_type(septum.state(limits, "name", "group")(body), StateSpec)
    assert_type(septum.state(config=limits)(Job), StateSpec)
    assert_type(septum.septum.state()(body), StateSpec)
    assert_type(septum.core.state(body), StateSpec)
    same: Callable[[SharedContext[Job]], Coroutine[Any, Any, None]] = septum.on_state(handler)
    septum.on_state(same)
    assert_type(septum.transitions(body), Callable[[], None])
    assert_type(septum.events(Kind), type[Kind])
    for decorate in (septum.on_enter, septum.on_leave, septum.on_timeout, septum.on_fail, septum.root):
        decorate(handler)
        decorate()(handler)


def looking() -> None:
    """A state, its graph and what is found about it."""
    assert_type(Bare.name, str)
    assert_type(Bare.base_name, str)
    assert_type(Bare.config, StateConfiguration)
    assert_type(Bare.config.timeout, float | None)
    assert_type(Bare.get_transitions(), list[LabeledTransition | septum.core.TransitionType])
    graph = Graph.of(ClassForm, error_state="called")
    assert_type(graph, Graph)
    assert_type(Graph.of(StateRef("a.b")).hash, str)
    assert_type(graph.to_dict(), dict[str, Any])
    assert_type(septum.get_all_states(), dict[str, StateSpec])
    assert_type(septum.register_state(Bare), None)
    assert_type(StateMachine(Bare).registry.validate_all_states(Bare).errors, list[str])
    assert_type(septum.core.StateRegistry().resolve_state("called", validate_only=True), StateSpec | None)
    assert_type(Push(Bare, "a.b", ClassForm).push_states, list[StateSpec | StateRef | type[Any] | str])


def answering(ctx: SharedContext[Job]) -> type[Again] | Retry | StateSpec | Kind | None:
    """Whatever a handler may answer has a type."""
    answers: list[type[Again] | Retry | StateSpec | Kind | None] = [Again, Retry(), Bare, Kind.GO, None]
    return answers[ctx.common.pages]


def others() -> None:
    """The old addresses, and what is left."""
    assert_type(septum.util.to_mermaid(StateMachine(Bare)), str)
    septum.core.StateMachine(septum.core.StateRef("a.b"))
    assert_type(septum.get_state("called"), StateSpec | None)
    assert_type(DefinitionError("text", findings=()).add_note("note"), None)
