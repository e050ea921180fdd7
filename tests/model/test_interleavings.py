"""Messages, time and cancellation come while the machine is at work: waiting, or inside a handler that has not returned yet."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from septum import AlreadyRunning
from septum.testing import RecorderHooks, settle
from tests.model.generate import calls, definitions, messages, tell_moments_apart
from tests.model.ledger import Failure
from tests.model.machine import Machine
from tests.model.model import Cancelled, Model, Wait
from tests.model.program import Call, Command, Definition, Message, Tape
from tests.model.test_against_model import EXAMPLES, check_facts

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

amounts = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.5, 4.0])
works = st.one_of(
    st.builds(Command, st.just("tick"), st.sampled_from([0.0, None, 2.5])),
    st.builds(Command, st.just("run"), st.sampled_from([0.0, 1.0, None]), limit=st.one_of(st.none(), st.integers(1, 6))),
)


class Working:
    """An operation of the model that has begun and not ended."""

    def __init__(self, model: Model, operation: Generator[Wait, None, Any]) -> None:
        self.model = model
        self.operation = operation
        self.wait: Wait | None = None
        self.outcome: tuple[Any, ...] | None = None
        self.go_on()

    def go_on(self) -> None:
        """Go on to where it has to wait, or to its end."""
        try:
            self.wait = next(self.operation)
            while self.wait.until is not None and self.wait.until <= self.model.now:
                self.wait = next(self.operation)
        except StopIteration:
            self.outcome = ("returned", None)
        except Failure as failure:
            self.outcome = ("raised", *failure.what)

    def cancel(self) -> None:
        """Cancel it where it waits."""
        try:
            self.operation.throw(Cancelled())
        except Cancelled:
            self.outcome = ("cancelled",)

    def pass_time(self, end: float) -> None:
        """Go on at each moment until *end* that it waits for."""
        while self.outcome is None and self.wait is not None and self.wait.until is not None and self.wait.until <= end:
            self.model.now = max(self.model.now, self.wait.until)
            self.go_on()


class Interleavings(RuleBasedStateMachine):
    """The model and the engine side by side, with at most one call at work."""

    observed = True

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.working: Working | None = None
        self.task: asyncio.Task[None] | None = None
        self.waits = 0

    def teardown(self) -> None:
        if self.task is not None:
            self.machine.was_cancelled = True
            self.task.cancel()
            self.loop.run_until_complete(settle())
        self.loop.close()

    def now_do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(definition=definitions(), tape=st.lists(calls, min_size=8, max_size=40))
    def begin(self, definition: Definition, tape: list[Call]) -> None:
        parted, _ = tell_moments_apart(tuple(tape), ())
        self.waits = 3 + sum(doing.kind == "hang" for call in tape for doing in call.doings)
        self.recorder = RecorderHooks()
        self.model = Model(definition, Tape(parted))
        self.machine = Machine(definition, Tape(parted), hooks=(self.recorder,) if self.observed else ())

    def apart(self, seconds: float) -> float:
        self.waits += 1
        return seconds + 0.5**self.waits

    @precondition(lambda self: self.task is None)
    @rule(work=works)
    def start(self, work: Command) -> None:
        self.begin_work(work)

    def begin_work(self, work: Command) -> None:
        if work.amount:
            work = Command(work.kind, self.apart(work.amount), work.limit)
        self.machine.was_cancelled = False
        self.working = Working(self.model, self.model.operation(work))
        self.task = self.loop.create_task(self.machine.operation(work))
        self.now_do(settle())

    @precondition(lambda self: self.task is None)
    @rule(kind=st.sampled_from(["initialize", "reset"]))
    def start_over(self, kind: str) -> None:
        self.begin_work(Command(kind))

    @rule(message=messages)
    def send(self, message: Message) -> None:
        try:
            expected: Any = self.model.send(message)
        except Failure as failure:
            expected = failure.what
        try:
            found: Any = self.machine.fsm.send_message(self.machine.message(message))
        except Exception as error:  # noqa: BLE001 - compared with the model's
            found = self.machine.exception(error)
        assert found == expected
        working = self.working
        if working is not None and working.wait is not None and working.wait.for_message and self.model.pending:
            working.go_on()
        self.now_do(settle())

    @rule(seconds=amounts)
    def let_time_pass(self, seconds: float) -> None:
        end = self.model.now + seconds
        if self.working is not None:
            self.working.pass_time(end)
        self.model.now = max(self.model.now, end)
        self.now_do(self.machine.clock.run_for(seconds))

    @precondition(lambda self: self.task is not None)
    @rule()
    def cancel(self) -> None:
        assert self.task is not None
        assert self.working is not None
        self.machine.was_cancelled = True
        self.task.cancel()
        self.working.cancel()
        self.now_do(settle())

    @precondition(lambda self: self.task is not None)
    @rule(work=works)
    def start_another(self, work: Command) -> None:
        async def refused() -> bool:
            try:
                await self.machine.operation(work)
            except AlreadyRunning:
                return True
            return False

        assert self.now_do(refused())

    @invariant()
    def same(self) -> None:
        if self.task is not None and self.working is not None:
            assert self.task.done() == (self.working.outcome is not None), self.working.outcome
            if self.task.done():
                assert self.outcome(self.task) == self.working.outcome
                self.task = self.working = None
        if hasattr(self, "model"):
            assert self.machine.look() == self.model.look()
            if self.observed:
                check_facts(self.machine.facts(self.recorder), self.model.facts)

    def outcome(self, task: asyncio.Task[None]) -> tuple[Any, ...]:
        if task.cancelled():
            return ("cancelled",)
        error = task.exception()
        return ("returned", None) if error is None else ("raised", *self.machine.exception(error))


class UnobservedInterleavings(Interleavings):
    """The same without a hook."""

    observed = False


TestInterleavings = Interleavings.TestCase
TestUnobservedInterleavings = UnobservedInterleavings.TestCase
for case in (TestInterleavings, TestUnobservedInterleavings):
    case.settings = settings(
        max_examples=max(1, EXAMPLES // 4),
        stateful_step_count=30,
        deadline=None,
        derandomize="SEPTUM_MODEL_EXAMPLES" not in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
