"""Exceptions in every kind of handler, in the error state, in on_error_fn, filter and trap: routed or raised, and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from septum import Repeat, Retry, StateConfiguration, StateMachine, StateSpec
from septum.testing import ManualClock, RecorderHooks
from tests.scenes import ledger, lines, run


class Bang(Exception):
    """What the handler under test raises."""


HANDLERS = ["on_enter", "on_state", "on_leave", "on_timeout", "on_fail"]


class Scene:
    """A state in which one handler raises the first `times` times that it is called; it repeats once and then dwells."""

    def __init__(self, failing: str, *, times: int = 1, suspends: bool = True, **more: Any) -> None:
        self.clock = ManualClock()
        self.recorder = RecorderHooks()
        self.left = {failing: times}
        self.calls: list[str] = []
        self.suspends = suspends
        self.answers = {"on_fail": [Retry], "on_timeout": [], "on_leave": [Repeat]}.get(failing, [])
        limits = StateConfiguration(timeout=5.0, retries=0, can_dwell=True)
        self.A = StateSpec(name="raising.A", qualname="A", config=limits, **{name: self.handler(name) for name in HANDLERS})
        self.Lost = StateSpec(name="raising.Lost", qualname="Lost", config=StateConfiguration(can_dwell=True))
        self.Lost.on_state = lambda ctx: self.calls.append(f"Lost {ctx.msg}")
        self.fsm = StateMachine(self.A, common_data={}, clock=self.clock, hooks=[self.recorder], **self.more(more))

    def more(self, more: dict[str, Any]) -> dict[str, Any]:
        return more | ({"error_state": self.Lost} if more.pop("lost", False) else {})

    def handler(self, name: str) -> Any:
        async def later(ctx: Any) -> Any:
            await asyncio.sleep(0)
            return at_once(ctx)

        def at_once(ctx: Any) -> Any:
            self.calls.append(name if ctx.msg is None else f"{name} {ctx.msg}")
            if self.left.get(name, 0):
                self.left[name] -= 1
                raise Bang(name)
            return self.answers.pop(0) if name == "on_state" and self.answers else None

        return later if self.suspends else at_once

    async def provoke(self) -> None:
        """Come to the call of the failing handler."""
        if "on_timeout" in self.left:
            await self.fsm.tick()
            await self.clock.advance(5)
        await self.fsm.run(timeout=0)


@pytest.mark.parametrize("suspends", [True, False])
@pytest.mark.parametrize("failing", HANDLERS)
def test_raised_exception_keeps_the_machine_and_its_mail(failing: str, suspends: bool) -> None:
    """Without an error state the exception is raised as it is; the next call goes on, and the message that waited arrives."""

    async def main() -> None:
        at = Scene(failing, suspends=suspends)
        if failing != "on_timeout":
            at.fsm.send_message("mail")
        with pytest.raises(Bang, match=failing) as caught:
            await at.provoke()
        assert (at.fsm.current_state, at.fsm.state_stack, at.fsm.stats().errors) == (at.A, [], 1)
        told = lines(at.recorder)
        assert told[-1] == "error_routed exception=Bang state=A to=raised"
        assert type(caught.value) is Bang
        if failing == "on_timeout":
            at.fsm.send_message("mail")
        # The first run may be one lap only: the Repeat that a failing on_leave held up.
        await at.fsm.run(timeout=0)
        await at.fsm.run(timeout=0)
        expected = {
            # A call that did not return is made again ...
            "on_enter": ["on_enter", "on_enter", "on_state", "on_state mail"],
            "on_state": ["on_enter", "on_state", "on_state", "on_state mail"],
            "on_leave": ["on_enter", "on_state", "on_leave", "on_leave", "on_enter", "on_state", "on_state mail"],
            "on_timeout": ["on_enter", "on_state", "on_timeout", "on_timeout", "on_state mail"],
            "on_fail": ["on_enter", "on_state", "on_fail", "on_fail", "on_state mail"],
        }
        assert (at.calls, ledger(at.fsm)) == (expected[failing], {"accepted": 1, "handled": 1})
        # ... and its deadline does not fire a second time.
        assert at.fsm.stats().timeouts == (failing == "on_timeout")

    run(main())


def test_message_whose_handler_raised_is_not_given_again() -> None:
    """A message is consumed by the call that sees it, also when that call raises; it counts as handled."""

    async def main() -> None:
        at = Scene("on_state", times=0)
        await at.fsm.tick()
        at.left["on_state"] = 1
        for message in ("first", "second"):
            at.fsm.send_message(message)
        with pytest.raises(Bang):
            await at.fsm.tick()
        assert ledger(at.fsm) == {"accepted": 2, "handled": 1, "pending": 1}
        await at.fsm.tick()
        assert (at.calls, ledger(at.fsm)) == (["on_enter", "on_state", "on_state first", "on_state second"], {"accepted": 2, "handled": 2})

    run(main())


@pytest.mark.parametrize("suspends", [True, False])
@pytest.mark.parametrize("failing", HANDLERS)
def test_exception_goes_to_the_error_state(failing: str, suspends: bool) -> None:
    """With an error state tick returns normally; on_leave runs unless it failed itself or the state was not entered whole."""

    async def main() -> None:
        at = Scene(failing, suspends=suspends, lost=True)
        await at.provoke()
        leaves = [] if failing == "on_enter" else ["on_leave"]
        calls = {
            "on_enter": ["on_enter"],
            "on_state": ["on_enter", "on_state"],
            "on_leave": ["on_enter", "on_state"],
            "on_timeout": ["on_enter", "on_state", "on_timeout"],
            "on_fail": ["on_enter", "on_state", "on_fail"],
        }[failing]
        assert at.calls == [*calls, *leaves, "Lost None"]
        assert (at.fsm.current_state, at.fsm.stats().errors) == (at.Lost, 1)
        told = lines(at.recorder)
        assert "error_routed exception=Bang state=A to=error_state" in told
        assert "visit_ended state=A outcome=error duration=0.0 exception=Bang" in [
            told_line.replace("duration=5.0", "duration=0.0") for told_line in told
        ]
        assert "transition_taken source=A target=Lost label=None kind=error" in told
        at.fsm.send_message("mail")
        await at.fsm.tick()
        assert (at.calls[-1], ledger(at.fsm)) == ("Lost mail", {"accepted": 1, "handled": 1})

    run(main())


def test_on_leave_that_fails_on_the_way_to_the_error_state_does_not_stop_it() -> None:
    """Both exceptions are counted and chained; the machine arrives in the error state."""

    async def main() -> None:
        at = Scene("on_state", lost=True)
        at.left["on_leave"] = 1
        await at.provoke()
        assert (at.fsm.current_state, at.fsm.stats().errors) == (at.Lost, 2)
        assert at.calls == ["on_enter", "on_state", "on_leave", "Lost None"]

    run(main())


@pytest.mark.parametrize("failing", ["on_enter", "on_state", "on_leave", "on_timeout", "on_fail"])
def test_exception_in_the_error_state_is_raised(failing: str) -> None:
    """The error state's own exception is never swallowed and never asked of on_error_fn, and the machine stays in it."""

    async def main() -> None:
        asked: list[Any] = []
        at = Scene(failing)
        at.fsm = StateMachine(
            at.A, error_state=at.A, on_error_fn=lambda ctx, error: asked.append(error), clock=at.clock, hooks=[at.recorder], common_data={}
        )
        with pytest.raises(Bang):
            await at.provoke()
        assert (asked, at.fsm.current_state, lines(at.recorder)[-1]) == ([], at.A, "error_routed exception=Bang state=A to=raised")
        at.fsm.send_message("mail")
        # As above, one lap may come first.
        await at.fsm.run(timeout=0)
        await at.fsm.run(timeout=0)
        assert (at.calls[-1], ledger(at.fsm)) == ("on_state mail", {"accepted": 1, "handled": 1})

    run(main())


def test_error_state_that_fails_on_entering_raises_its_own_exception() -> None:
    """The first exception is routed, the second raised; the machine is in the error state and enters it again."""

    async def main() -> None:
        at = Scene("on_state", lost=True)
        tries: list[int] = []

        def on_enter(ctx: Any) -> None:
            tries.append(1)
            if len(tries) == 1:
                raise KeyError("lost")

        at.Lost.on_enter = on_enter
        fsm = StateMachine(at.A, error_state=at.Lost, clock=at.clock, common_data={})
        with pytest.raises(KeyError):
            await fsm.tick()
        assert (fsm.current_state, fsm.stats().errors) == (at.Lost, 2)
        await fsm.tick()
        assert (tries, at.calls[-1]) == ([1, 1], "Lost None")

    run(main())


@pytest.mark.parametrize("is_async", [True, False])
def test_on_error_fn_decides(is_async: bool) -> None:
    """What on_error_fn answers is taken as a transition, also to a state that no edge of the failing one leads to."""

    async def main() -> None:
        asked: list[Any] = []
        at = Scene("on_state", lost=True)

        def at_once(ctx: Any, error: BaseException) -> Any:
            asked.append((type(error), ctx.common))
            return at.Lost

        async def later(ctx: Any, error: BaseException) -> Any:
            await asyncio.sleep(0)
            return at_once(ctx, error)

        fsm = StateMachine(
            at.A, error_state=at.Lost, on_error_fn=later if is_async else at_once, clock=at.clock, common_data={1: 2}, hooks=[at.recorder]
        )
        await fsm.tick()
        assert (asked, fsm.current_state) == ([(Bang, {1: 2})], at.Lost)
        told = lines(at.recorder)
        assert "error_routed exception=Bang state=A to=on_error_fn" in told
        assert "transition_taken source=A target=Lost label=None kind=error" in told

    run(main())


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("answer", [None, False, 0])
def test_on_error_fn_that_decides_nothing_passes_the_exception_on(answer: Any, lost: bool) -> None:
    """A false answer goes on to the error state, or to the caller."""

    async def main() -> None:
        at = Scene("on_state", lost=lost, on_error_fn=lambda ctx, error: answer)
        if lost:
            await at.provoke()
            assert at.fsm.current_state == at.Lost
        else:
            with pytest.raises(Bang):
                await at.provoke()
            assert at.fsm.current_state == at.A

    run(main())


@pytest.mark.parametrize("lost", [True, False])
def test_on_error_fn_that_raises_passes_its_own_exception_on(lost: bool) -> None:
    """Its exception goes the way of the first one, and remembers it."""

    async def main() -> None:
        def on_error(ctx: Any, error: BaseException) -> None:
            raise KeyError("on the way")

        at = Scene("on_state", lost=lost, on_error_fn=on_error)
        if lost:
            await at.provoke()
            assert at.fsm.current_state == at.Lost
            assert "error_routed exception=KeyError state=A to=error_state" in lines(at.recorder)
        else:
            with pytest.raises(KeyError) as caught:
                await at.provoke()
            assert isinstance(caught.value.__context__ or caught.value.__cause__, Bang)
        at.fsm.send_message("mail")
        await at.fsm.run(timeout=0)
        assert ledger(at.fsm) == {"accepted": 1, "handled": 1}

    run(main())


@pytest.mark.parametrize("lost", [True, False])
def test_exception_sent_as_a_message_is_routed_when_taken(lost: bool) -> None:
    """It goes before other messages, is counted as handled, and is the very object that was sent."""

    async def main() -> None:
        at = Scene("nobody", lost=lost)
        await at.fsm.tick()
        sent = Bang("sent")
        at.fsm.send_message("mail")
        at.fsm.send_message(sent)
        if lost:
            await at.fsm.tick()
            assert at.fsm.current_state == at.Lost
        else:
            with pytest.raises(Bang) as caught:
                await at.fsm.tick()
            assert caught.value is sent
        assert ledger(at.fsm) == {"accepted": 2, "handled": 1, "pending": 1}
        await at.fsm.tick()
        assert (at.calls[-1].endswith("mail"), ledger(at.fsm)) == (True, {"accepted": 2, "handled": 2})

    run(main())


def test_filter_that_raises_reaches_the_sender_and_rejects_the_message() -> None:
    """The sender gets the filter's exception, the message is outside the ledger, the next one is queued."""

    async def main() -> None:
        def strict(ctx: Any, message: Any) -> bool:
            if message == "bad":
                raise KeyError(message)
            return message == "unwanted"

        at = Scene("nobody", filter_fn=strict)
        await at.fsm.tick()
        with pytest.raises(KeyError):
            at.fsm.send_message("bad")
        with pytest.raises(KeyError):
            await at.fsm.send_message_async("bad")
        assert (at.fsm.send_message("unwanted"), at.fsm.send_message("mail")) == (False, True)
        assert ledger(at.fsm) == {"accepted": 2, "filtered": 1, "pending": 1, "rejected": 2}
        await at.fsm.tick()
        assert at.calls[-1] == "on_state mail"

    run(main())


@pytest.mark.parametrize("lost", [True, False])
def test_trap_that_raises_is_routed_like_a_handler(lost: bool) -> None:
    """The trap is asked at every wait; its exception goes to the error state or the caller, the message stays accounted for."""

    async def main() -> None:
        def trap(ctx: Any) -> None:
            if ctx.common.pop("trapped", None):
                raise Bang("trap")

        at = Scene("nobody", lost=lost, trap_fn=trap)
        await at.fsm.tick()
        at.fsm.context.common["trapped"] = True
        at.fsm.send_message("mail")
        if lost:
            await at.fsm.tick()
            assert at.fsm.current_state == at.Lost
        else:
            with pytest.raises(Bang):
                await at.fsm.tick()
            assert at.fsm.current_state == at.A
        assert ledger(at.fsm) == {"accepted": 1, "handled": 1}
        at.fsm.send_message("more")
        await at.fsm.run(timeout=0)
        assert ledger(at.fsm) == {"accepted": 2, "handled": 2}

    run(main())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_of_the_machine_is_not_routed(error: type[BaseException]) -> None:
    """KeyboardInterrupt and its kin pass everything by; the machine goes on afterwards."""
    at = Scene("nobody", lost=True, on_error_fn=lambda ctx, error: at.Lost)
    raised: list[int] = []

    def on_state(ctx: Any) -> None:
        if not raised:
            raised.append(1)
            raise error
        at.calls.append("again")

    at.A.on_state = on_state
    fsm = StateMachine(at.A, error_state=at.Lost, clock=at.clock, common_data={})
    tick = fsm.tick()
    with pytest.raises(error):
        tick.send(None)
        while True:
            tick.send(None)

    async def afterwards() -> None:
        await fsm.tick()
        assert (fsm.current_state, at.calls[-1], fsm.stats().errors) == (at.A, "again", 0)

    run(afterwards())
