"""MachineStateful: Hypothesis plays with a machine, and after each move checks what must be true of every machine."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from septum import Graph, MailboxFull, StateMachine, StateMachineComplete, facts
from septum.testing._clock import ManualClock
from septum.testing._recorder import RecorderHooks
from septum.testing._settle import settle

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from hypothesis.strategies import SearchStrategy

    from septum._transitions import Target

R = TypeVar("R")


class MachineStateful(RuleBasedStateMachine):
    """A Hypothesis state machine around a `StateMachine`: subclass it and say which.

        class Orders(MachineStateful):
            initial = Idle
            messages = st.sampled_from(["pay", "cancel"])

        TestOrders = Orders.TestCase

    It sends messages, ticks, runs, lets time pass up to a deadline and beyond, and resets a machine that is complete. After each of these
    the books of the mailbox must balance, the machine and its stack must be in states of the definition, no state may have been retried
    more often than it allows, each transition must begin where the one before ended, and no fact may be missing. An exception that comes
    out of the machine fails the test, unless it is `expected`. Add rules and invariants of your own as in any Hypothesis state machine.

    Attributes:
        initial: Where the machine begins; what a subclass must set.
        error_state: Its error state.
        messages: What is sent to it; without it nothing is.
        options: Further arguments of `StateMachine`.
        expected: Exceptions that may come out of the machine; it goes on after them.
        fsm: The machine.
        clock: Its `ManualClock`.
        recorder: A `RecorderHooks` that was told everything.
    """

    initial: ClassVar[Target]
    error_state: ClassVar[Target | None] = None
    messages: ClassVar[SearchStrategy[Any]] = st.nothing()
    options: ClassVar[Mapping[str, Any]] = {}
    expected: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self._call: asyncio.Task[None] | None = None
        self._checked = 0
        self._place: str | None = None
        self.clock = ManualClock()
        self.recorder = RecorderHooks()
        self.fsm: StateMachine[Any] = self.make_machine()
        self._wait_for(self._start(self.fsm.initialize()))

    def make_machine(self) -> StateMachine[Any]:
        """Return a new machine; override it for one that class attributes cannot describe, and hand `clock` and `recorder` on."""
        options = dict(self.options)
        hooks = (*options.pop("hooks", ()), self.recorder)
        return StateMachine(self.initial, error_state=self.error_state, clock=self.clock, hooks=hooks, **options)

    def teardown(self) -> None:
        """Close the machine."""
        try:
            self._wait_for(self._end())
        finally:
            self._loop.close()

    # -- what is done to it

    @rule(message=st.runner().flatmap(lambda self: self.messages))
    def send(self, message: Any) -> None:
        """Send a message; a full mailbox may refuse it."""
        self._wait_for(self._send(message))

    @precondition(lambda self: self.can_be_called)
    @rule()
    def tick(self) -> None:
        """Make one step."""
        self._wait_for(self._start(self.fsm.tick()))

    @precondition(lambda self: self.can_be_called)
    @rule(steps=st.integers(1, 20))
    def run(self, steps: int) -> None:
        """Make several steps."""
        self._wait_for(self._start(self.fsm.run(max_iterations=steps, timeout=0)))

    @rule(seconds=st.runner().flatmap(lambda self: self.spans()))
    def wait(self, seconds: float) -> None:
        """Let time pass; a handler that hangs goes on, or is cut at its deadline."""
        self._wait_for(self._pass_time(seconds))

    @precondition(lambda self: self.fsm.is_complete)
    @rule()
    def reset(self) -> None:
        """Begin again."""
        self._wait_for(self._start(self.fsm.reset()))

    def spans(self) -> SearchStrategy[float]:
        """Return how many seconds may pass at once: the limits of the definition, and anything up to the longest of them."""
        limits = [node.timeout for node in self.graph.nodes if node.timeout is not None]
        limits += [node.retry.max_delay for node in self.graph.nodes if node.retry is not None]
        longest = max([1.0, *(limit for limit in limits if limit < math.inf)])
        return st.one_of(st.sampled_from([limit for limit in limits if limit < math.inf] or [1.0]), st.floats(0.0, longest))

    # -- what must be true of it

    @invariant()
    def books_balance(self) -> None:
        """Every message that was accepted is accounted for once."""
        stats = self.fsm.stats()
        known = stats.handled + stats.unhandled + sum(stats.dropped.values()) + stats.filtered + stats.pending
        _require(claim=stats.accepted == known, text=f"messages were lost or made up: {stats}")
        _require(claim=stats.pending == self.fsm.queue_depth, text=f"{self.fsm.queue_depth} messages wait: {stats}")
        _require(claim=not stats.hook_errors, text=f"a hook raised {stats.hook_errors} times; see the log of septum.hooks")

    @invariant()
    def states_are_known(self) -> None:
        """The machine is in a state of its definition, and so is what lies below."""
        here = self.fsm.current_state
        for state in [*([here] if here else []), *self.fsm.state_stack]:
            _require(claim=self.graph.find(state) is not None, text=f"{state.name} is no state of the definition")

    @invariant()
    def retries_are_within_limits(self) -> None:
        """No state was retried more often than it allows."""
        for state, count in self.fsm.retry_counters.items():
            node = self.graph.by_name[state]
            _require(
                claim=node.retries is None or count <= node.retries, text=f"{state} was retried {count} times, its limit is {node.retries}"
            )

    @invariant()
    def walk_is_unbroken(self) -> None:
        """Each visit begins where the transition before led, each transition where the visit is, and no fact is missing."""
        told, self._checked = self.recorder.facts[self._checked :], len(self.recorder.facts)
        for fact in told:
            match fact:
                case facts.RunStarted():
                    self._place = fact.state
                case facts.VisitStarted():
                    _require(claim=fact.state == self._place, text=f"the machine was led to {self._place} and is in {fact.state}")
                case facts.TransitionTaken():
                    _require(claim=fact.source == self._place, text=f"the machine was in {self._place} and left {fact.source}")
                    self._place = fact.target
                case _:
                    pass
        numbers = [fact.seq for fact in told if fact.run_id == (told[-1].run_id if told else "")]
        first = numbers[0] if numbers else 0
        _require(claim=numbers == list(range(first, first + len(numbers))), text=f"facts are missing among {numbers}")

    # -- how it is done

    @property
    def graph(self) -> Graph:
        """The definition."""
        return self.fsm.graph

    @property
    def can_be_called(self) -> bool:
        """Whether `tick`, `run` and the like may be called: no such call is at work, and the machine is not complete."""
        return self._call is None and not self.fsm.is_complete

    def complete(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Return what *coroutine* returns, run in the machine's event loop; for rules of your own."""
        return self._wait_for(coroutine)

    def _wait_for(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return self._loop.run(coroutine)

    async def _send(self, message: Any) -> None:
        with suppress(MailboxFull):
            self.fsm.send_message(message)
        await self._collect()

    async def _pass_time(self, seconds: float) -> None:
        await self.clock.run_for(seconds)
        await self._collect()

    async def _start(self, call: Coroutine[Any, Any, None]) -> None:
        # In a task of its own, for its handler may hang until time passes.
        self._call = asyncio.ensure_future(call)
        await self._collect()

    async def _collect(self) -> None:
        await settle()
        if self._call is None or not self._call.done():
            return
        call, self._call = self._call, None
        excused: tuple[type[Exception], ...] = (StateMachineComplete, *self.expected)
        with suppress(*excused):
            call.result()

    async def _end(self) -> None:
        if self._call is not None:
            self._call.cancel()
            await asyncio.wait([self._call])
        await self.fsm.close()


def _require(*, claim: bool, text: str) -> None:
    if not claim:
        raise AssertionError(text)
