"""A hook that fails never hurts the machine: logged once for each hook and kind of exception, counted, kept."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from septum import Hooks, Repeat, StateConfiguration, StateMachine, StateSpec
from septum.testing import ManualClock, RecorderHooks
from tests.scenes import ledger, lines, run


class Broken(Hooks):
    """Raises at everything that it is told."""

    def __init__(self, error: type[Exception] = KeyError) -> None:
        self.error = error
        self.told = 0

    def _fail(self, fact: Any, /) -> None:
        self.told += 1
        raise self.error("broken hook")

    visit_started = handler_started = handler_finished = transition_taken = message_queued = message_taken = _fail


def state() -> StateSpec:
    """Return a state that repeats once and then keeps its messages."""

    def on_state(ctx: Any) -> Any:
        ctx.common.append(ctx.msg)
        return Repeat if len(ctx.common) == 1 else None

    return StateSpec(name="hook.A", qualname="A", on_state=on_state, config=StateConfiguration(can_dwell=True))


def test_hook_that_raises_is_logged_once_counted_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    """The machine and the other hooks notice nothing, whichever comes first."""

    async def main() -> None:
        unharmed, first, last, broken = RecorderHooks(), RecorderHooks(), RecorderHooks(), Broken()
        for hooks in ([unharmed], [first, broken, last]):
            fsm = StateMachine(state(), common_data=[], clock=ManualClock(), hooks=hooks, name="m", machine_id="1")
            fsm.send_message("a")
            # The Repeat is a lap of its own.
            await fsm.run(timeout=0)
            await fsm.run(timeout=0)
            assert (fsm.context.common, ledger(fsm)) == ([None, None, "a"], {"accepted": 1, "handled": 1})
        assert fsm.stats().hook_errors == broken.told > 8
        told = lines(unharmed)
        assert (lines(first), lines(last)) == (told, told)
        records = [record for record in caplog.records if record.name.startswith("septum") and record.levelno == logging.ERROR]
        assert [(record.levelno, "Broken" in record.getMessage(), "KeyError" in record.getMessage()) for record in records] == [
            (40, True, True)
        ]
        assert records[0].exc_info is not None

    run(main())


def test_each_kind_of_exception_of_a_hook_is_logged_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Another exception type, or another hook, is another line."""

    async def main() -> None:
        one, two = Broken(), Broken()
        fsm = StateMachine(state(), common_data=[], clock=ManualClock(), hooks=[one, two])
        await fsm.tick()
        one.error = ZeroDivisionError
        await fsm.tick()
        records = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert ["ZeroDivisionError" in record.getMessage() for record in records] == [False, False, True]

    run(main())


@pytest.mark.parametrize(
    "told_as", ["handler_started", "handler_finished", "visit_ended", "transition_taken", "message_taken", "message_queued"]
)
def test_strict_hook_speaks_up_and_the_machine_survives_it(told_as: str) -> None:
    """A hook with `strict = True` raises to the caller; what the machine had decided is not lost."""

    async def main() -> None:
        class Strict(Broken):
            strict = True

        hook = Strict()
        setattr(hook, told_as, hook._fail)
        for name in ("visit_started", "handler_started", "handler_finished", "transition_taken", "message_queued", "message_taken"):
            if name != told_as:
                setattr(hook, name, lambda fact: None)
        fsm = StateMachine(state(), common_data=[], clock=ManualClock())
        fsm.attach(hook)
        with pytest.raises(KeyError):
            fsm.send_message("a")
            await fsm.run(timeout=0)
            await fsm.run(timeout=0)
        fsm.detach(hook)
        await fsm.run(timeout=0)
        ledger(fsm)
        assert fsm.current_state == "hook.A"

    run(main())
