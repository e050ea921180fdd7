"""MachineStateful: what Hypothesis does with a machine, what it finds, and how users build on it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from enum import Enum, auto
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from septum import Hooks, LabeledTransition, MailboxFull, Pop, Repeat, Restart, Retry, StateConfiguration, StateMachine, StateSpec
from septum.testing import MachineStateful
from tests.testing.shop import Failed, Idle, Words

QUICK = settings(max_examples=25, stateful_step_count=15, deadline=None, database=None, derandomize=True, report_multiple_bugs=False)


def play(machine: type[MachineStateful], examples: settings = QUICK) -> None:
    """Let Hypothesis play with *machine*, quickly."""
    run_state_machine_as_test(machine, settings=settings(examples, suppress_health_check=list(HealthCheck)))


class Shop(MachineStateful):
    """Everything that the shop does, with words that it does not know among its messages."""

    initial = Idle
    error_state = Failed
    messages = st.one_of(st.sampled_from([*Words, Pop, Retry, Repeat, Restart]), st.text(max_size=3), st.builds(OSError))


@pytest.mark.slow
def test_sound_machine_passes() -> None:
    """Whatever Hypothesis does, what must be true of every machine is true of this one."""
    play(Shop)


@pytest.mark.slow
def test_every_rule_is_played() -> None:
    """Messages are sent, ticks and runs made, time passes, and a complete machine begins again."""
    seen: set[str] = set()

    class Watching(Shop):
        messages = st.sampled_from([Words.START, Words.CHECK, Words.GOT, Pop, Retry, "no such label"])

        @invariant()
        def note(self) -> None:
            seen.update(self.recorder.names())

    play(Watching, settings(QUICK, max_examples=300, stateful_step_count=40))

    assert seen >= {"message_taken", "timeout_fired", "retry_scheduled", "stack_popped", "error_routed", "run_ended", "run_started"}


@pytest.mark.slow
def test_exception_that_comes_out_of_the_machine_fails_the_test() -> None:
    """Without an error state an unknown answer is raised, and Hypothesis shows the way there."""

    class Unsound(Shop):
        error_state = None
        messages = st.just("no such label")

    with pytest.raises(ValueError, match="Unknown transition"):
        play(Unsound)


@pytest.mark.slow
def test_expected_exceptions_are_no_failure() -> None:
    """The machine goes on after them, as its own promises say."""

    class Rough(Shop):
        error_state = None
        expected = (ValueError, OSError)
        options = {"max_queue_size": 2, "queue_overflow_policy": "fail"}  # noqa: RUF012 - the type says ClassVar

    play(Rough)


@pytest.mark.slow
def test_handler_that_hangs_is_cut_at_its_deadline() -> None:
    """A call at work does not hold the game up: time passes, messages are sent, and the deadline ends it."""

    async def hang(ctx: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def give_up(ctx: Any) -> object:
        return Repeat

    cut: list[float] = []

    class Hanging(MachineStateful):
        initial = StateSpec(name="Hang", on_state=hang, on_timeout=give_up, config=StateConfiguration(timeout=7.0))
        messages = st.integers(1, 3)

        @invariant()
        def note(self) -> None:
            cut.extend(fact.after for fact in self.recorder.facts if fact.told_as == "timeout_fired")

    play(Hanging)

    assert set(cut) == {7.0}


def test_hook_that_raises_is_found() -> None:
    """The machine goes on, the invariant does not."""

    class Broken(Hooks):
        def visit_started(self, fact: Any, /) -> None:
            raise ValueError(fact.state)

    class Hooked(Shop):
        options = {"hooks": [Broken()]}  # noqa: RUF012 - as above

    with pytest.raises(AssertionError, match="a hook raised 1 times"):
        play(Hooked)


@pytest.mark.slow
def test_books_that_do_not_balance_are_found() -> None:
    """A message that vanishes from the mailbox behind the machine's back is noticed."""

    class Lossy(Shop):
        @rule()
        def lose(self) -> None:
            if self.fsm.queue_depth:
                self.fsm._mailbox.messages.clear()

    with pytest.raises(AssertionError, match="messages were lost or made up"):
        play(Lossy)


def test_rules_of_the_user_call_the_machine() -> None:
    """`complete` runs a coroutine in the machine's loop, `make_machine` makes another machine."""

    class Go(Enum):
        ON = auto()

    async def stay(ctx: Any) -> object:
        return Go.ON if ctx.msg else None

    left: list[str] = []

    class Own(MachineStateful):
        def make_machine(self) -> StateMachine[Any]:
            here = StateSpec(name="Here", on_state=stay, config=StateConfiguration(can_dwell=True))
            there = StateSpec(name="There", on_state=stay, config=StateConfiguration(can_dwell=True))
            here.transitions = lambda: [LabeledTransition(Go.ON, there)]
            return StateMachine(here, clock=self.clock, hooks=[self.recorder], max_queue_size=1)

        @rule()
        def go_on(self) -> None:
            try:
                self.complete(self._go_on())
            except (MailboxFull, ValueError):
                left.append("refused")

        async def _go_on(self) -> None:
            self.fsm.send_message("on")
            await self.fsm.tick()
            left.append(self.fsm.state)

    play(Own, settings(QUICK, max_examples=5))

    assert set(left) == {"There", "refused"}


def test_every_subclass_is_a_test_case() -> None:
    """`TestCase` is what unittest and pytest collect."""
    assert issubclass(Shop.TestCase, __import__("unittest").TestCase)


@pytest.mark.slow
def test_without_hypothesis_the_rest_of_the_kit_works() -> None:
    """Asking for MachineStateful says what to install; nothing else needs it."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import septum.testing\n"
        "try:\n    septum.testing.MachineStateful\n"
        "except ImportError as error:\n    print(error.name, error)\n"
        "print(hasattr(septum.testing, 'Nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ("hypothesis septum.testing.MachineStateful needs hypothesis; install it with: pip install hypothesis\nFalse\n")
