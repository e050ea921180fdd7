"""A path that `explore` found, and how a machine is led along it: with its real handlers, or with stubs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from septum import StateMachine, StateMachineComplete, facts
from septum.testing._clock import ManualClock
from septum.testing._errors import PathError
from septum.testing._path import describe_parting, read_path
from septum.testing._recorder import RecorderHooks
from septum.testing._stub import Script, stub_states
from septum.testing._walk import read_walk, short_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum import Graph, Hooks
    from septum.testing._walk import WalkedStep

_MOST_TICKS = 1_000
"""Ticks that one step may take; a handler that answers `Again` for longer has lost its way."""


class Deed(Enum):
    """What a test does to a machine in place of sending it a message.

    Attributes:
        TIMEOUT: It lets the state's deadline pass.
    """

    TIMEOUT = auto()


TIMEOUT: Final = Deed.TIMEOUT
"""In place of a message: let the state's deadline pass."""


class Injected(Exception):
    """What `explore` has a state raise, to see its error route; sent as a message, the engine raises it when it is taken."""


class Call(NamedTuple):
    """What one handler decides.

    Attributes:
        handler: "on_state", "on_timeout" or "on_fail".
        answer: What it answers; an exception is raised.
    """

    handler: str
    answer: object


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One transition of a path.

    Attributes:
        state: Full name of the state that the machine is in.
        target: Full name of the state that is entered; None for the end of the machine.
        way: The transition's name, as `assert_path` knows it.
        message: What makes the machine take it: a message, `TIMEOUT`, or a function of the machine; None for nothing.
        calls: The handlers that decide it, and their answers.
        is_open: It is `on_timeout` or `on_fail` that decides, of whose real answers nothing is known; always the last step of a path.
        moves: False for a deadline after which the state dwells.
    """

    state: str
    target: str | None
    way: str
    message: Any = field(compare=False)
    calls: tuple[Call, ...]
    is_open: bool = False
    moves: bool = True

    def allows(self, step: WalkedStep) -> bool:
        """Say whether *step* of a real machine is this one."""
        return self.way in step.names and step.source == self.state and (self.is_open or step.target == self.target)


@dataclass(frozen=True, slots=True)
class ExplorationPath:
    """A path through a definition, from its initial state.

    Its text is what `assert_path` reads: `Idle -START-> Fetching -timeout-> Idle`.

    Attributes:
        graph: The definition.
        steps: The transitions.
    """

    graph: Graph = field(repr=False)
    steps: tuple[PathStep, ...]

    def __str__(self) -> str:
        names = self.graph.by_name
        text = short_name(self.graph.initial.name, names)
        return text + "".join(f" -{step.way}-> {short_name(step.target, names)}" for step in self.steps if step.moves)

    async def drive(self, fsm: StateMachine[Any], clock: ManualClock) -> None:
        """Lead *fsm*, with the handlers that it has, along the path; at the end of the machine it is complete.

        For each step it does what `PathStep.message` says and ticks the machine until it has moved.

        Args:
            fsm: A machine of this definition that has not started yet.
            clock: The machine's clock; deadlines and the delays of retries pass on it.

        Raises:
            AssertionError: The machine took another way, or none; the text shows both.
            PathError: *fsm* is another definition's, or has started already; it is as it was.
            Exception: What a handler raised and nothing handled.

        Cancel-safe, as `tick` is.
        """
        __tracebackhide__ = True
        await self._lead(fsm, clock, script=None)

    async def walk(self, *, clock: ManualClock | None = None, hooks: Sequence[Hooks] = ()) -> StateMachine[Any]:
        """Return a machine of this definition that has walked the path, with stubs for handlers that answer what the path says.

        Real handlers are not called: it is for whatever looks at machines (hooks, dashboards, the definition itself).

        Args:
            clock: Its clock; None for one of its own.
            hooks: Told what it does.

        Raises:
            AssertionError: The definition does not do what the path says, which would be a mistake of Septum's.
        """
        time = ManualClock() if clock is None else clock
        script = Script([(step.state, call.handler, call.answer) for step in self.steps for call in step.calls])
        initial, error = stub_states(self.graph, script)
        fsm: StateMachine[Any] = StateMachine(initial, error_state=error, clock=time, hooks=hooks)
        await self._lead(fsm, time, script=script)
        return fsm

    async def _lead(self, fsm: StateMachine[Any], clock: ManualClock, script: Script | None) -> None:
        __tracebackhide__ = True
        if fsm.graph.hash != self.graph.hash:
            raise PathError(f"this path is of {self.graph!r}, the machine {fsm.name!r} of {fsm.graph!r}. Give one of the same states.")
        if fsm.current_state is not None:
            raise PathError(f"machine {fsm.name!r} has started already; a path begins with its start. Give a new one, or reset() it.")
        guide = _Guide(self, fsm, clock, stubbed=script is not None)
        fsm.attach(guide.recorder)
        try:
            await guide.lead()
        finally:
            fsm.detach(guide.recorder)


class _Guide:
    """Leads one machine along one path."""

    def __init__(self, path: ExplorationPath, fsm: StateMachine[Any], clock: ManualClock, *, stubbed: bool) -> None:
        self.path = path
        self.fsm = fsm
        self.clock = clock
        self.stubbed = stubbed
        self.recorder = RecorderHooks()
        self.is_over = False

    async def lead(self) -> None:
        __tracebackhide__ = True
        await self.fsm.initialize()
        for number, step in enumerate(self.path.steps):
            await self._take(number, step)
            if "retry" in {name for walked in self._steps()[number : number + 1] for name in walked.names}:
                await self.clock.advance(self.recorder.of(facts.RetryScheduled)[-1].delay)
        here = self.fsm.current_state
        if here is not None and here.config.terminal and not self.is_over:
            await self._tick()

    async def _take(self, number: int, step: PathStep) -> None:
        """Have the machine take *step*, the path's step *number* from 0."""
        __tracebackhide__ = True
        decided = self._count_decisions()
        if step.message is not None and (not self.stubbed or step.message is TIMEOUT):
            await self._do(step)
        for _ in range(_MOST_TICKS):
            told = len(self.recorder.facts)
            if len(self._steps()) > number or self.is_over:
                break
            await self._tick()
            if len(self.recorder.facts) == told:
                break
        steps = self._steps()
        # After a deadline, or a retry too many, a state may dwell.
        dwells = step.is_open and self._count_decisions() > decided
        if not (step.allows(steps[number]) if len(steps) > number else dwells):
            text = describe_parting(read_path(str(self.path)), read_walk(self.recorder), number + 1)
            raise AssertionError(f"{text}\n  {self._explain(number, step)}")

    def _count_decisions(self) -> int:
        return len(self.recorder.of(facts.TimeoutFired, facts.RetriesExhausted))

    def _explain(self, number: int, step: PathStep) -> str:
        names = self.path.graph.by_name
        if step.message is None:
            return (
                f"Nothing was sent for -{step.way}->: explore(messages=...) has no entry for it, so {short_name(step.state, names)} had to "
                "take it by itself."
            )
        text = f"For step {number + 1}, -{step.way}->, it was given {step.message!r}."
        if isinstance(step.message, Exception):
            text += (
                f" Only a state that waits takes an exception that is sent; for one that decides by itself, give "
                f"explore(messages={{({short_name(step.state, names)}, Exception): function}}) that lets its handler raise."
            )
        return text

    def _steps(self) -> tuple[WalkedStep, ...]:
        return read_walk(self.recorder).steps if self.recorder.facts else ()

    async def _do(self, step: PathStep) -> None:
        message = step.message
        if message is TIMEOUT:
            await self.clock.advance(self.path.graph.by_name[step.state].timeout or 0.0)
        elif inspect.isroutine(message):
            done = message(self.fsm)
            if inspect.isawaitable(done):
                await done
        else:
            await self.fsm.send_message_async(message)

    async def _tick(self) -> None:
        try:
            await self.fsm.tick()
        except StateMachineComplete:
            self.is_over = True
