"""tick, run, serve and `async with`: how far each goes, when it rests, and how long it waits."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import pytest

from septum import (
    LabeledTransition,
    NoStateToTick,
    Pop,
    Push,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateSpec,
    Unhandled,
    septum,
)
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import check_law, lines, run


class Go(Enum):
    """The one label."""

    ON = auto()


def ring(size: int) -> list[StateSpec]:
    """Return *size* states, each of which goes on to the next, the last to the first."""
    specs = [StateSpec(name=f"ring.R{number}", qualname=f"R{number}") for number in range(size)]

    async def on_state(ctx: Any) -> Go:
        ctx.common.append(ctx.state.name if hasattr(ctx.state, "name") else ctx.state)
        return Go.ON

    for number, spec in enumerate(specs):
        target = specs[(number + 1) % size]
        spec.on_state = on_state
        spec.Events = Go
        spec.transitions = lambda target=target: [LabeledTransition(Go.ON, target)]
    return specs


def dwelling(*, timeout: float | None = None, answer: Any = None) -> StateSpec:
    """Return a state that counts its calls in `common`, appends its messages, and dwells."""

    @septum.state(config=StateConfiguration(can_dwell=True, timeout=timeout))
    def Dwelling():
        @septum.on_state
        async def on_state(ctx):
            ctx.common.append(ctx.msg)
            return answer

        @septum.on_timeout
        async def on_timeout(ctx):
            ctx.common.append("timeout")

    return Dwelling


async def started(awaitable: Any) -> asyncio.Task[Any]:
    """Return a task for *awaitable* that went as far as it can."""
    task = asyncio.ensure_future(awaitable)
    await settle()
    return task


# ---- run comes to rest


@pytest.mark.parametrize("size", [1, 2, 5])
def test_run_of_a_ring_is_one_lap(size: int) -> None:
    """A machine that drives itself rests when it comes back to where the call began; n calls are n laps."""

    async def scene() -> None:
        seen: list[Any] = []
        specs = ring(size)
        fsm = StateMachine(specs[0], common_data=seen, clock=ManualClock())
        for lap in range(1, 4):
            await fsm.run()
            assert (len(seen), fsm.current_state) == (lap * size, specs[0])

    run(scene())


def test_run_from_the_middle_of_a_ring_comes_back_to_the_middle() -> None:
    """A lap begins wherever the call begins."""

    async def scene() -> None:
        seen: list[Any] = []
        specs = ring(3)
        fsm = StateMachine(specs[0], common_data=seen, clock=ManualClock())
        await fsm.tick()
        await fsm.run()
        assert (len(seen), fsm.current_state) == (4, specs[1])

    run(scene())


def test_lap_with_a_message_in_it_is_not_the_last() -> None:
    """What consumed a message since the configuration was last there has to come round once more without."""

    async def scene() -> None:
        @septum.state(config=StateConfiguration(can_dwell=True))
        def Gate():
            class Events(Enum):
                ON = auto()

            @septum.on_state
            async def on_state(ctx):
                ctx.common.append(ctx.msg)
                return Events.ON if ctx.msg is not None else None

            @septum.transitions
            def transitions():
                return LabeledTransition(Events.ON, Gate)

        seen: list[Any] = []
        fsm = StateMachine(Gate, common_data=seen, clock=ManualClock())
        for message in "abc":
            fsm.send_message(message)
        await fsm.run(timeout=0)
        assert (seen, fsm.queue_depth) == ([None, "a", None, "b", None, "c", None], 0)
        check_law(fsm)

    run(scene())


def test_lap_is_full_only_with_the_same_stack() -> None:
    """Coming back to the same state with more on the stack is not coming full circle."""

    async def scene() -> None:
        Deep = StateSpec(name="deep.Deep", qualname="Deep")

        async def on_state(ctx: Any) -> Any:
            ctx.common.append(len(fsm.state_stack))
            return Push(Deep, Deep) if len(ctx.common) < 5 else None

        Deep.config = StateConfiguration(can_dwell=True)
        Deep.on_state = on_state
        Deep.transitions = lambda: [Push(Deep, Deep)]
        fsm = StateMachine(Deep, common_data=[], clock=ManualClock())
        await fsm.run(timeout=0)
        assert fsm.context.common == [0, 1, 2, 3, 4]

    run(scene())


def test_lap_is_full_with_an_equal_stack_that_was_popped_and_pushed() -> None:
    """A stack that was taken off and put back is the same stack."""

    async def scene() -> None:
        Low = StateSpec(name="lap.Low", qualname="Low")
        Top = StateSpec(name="lap.Top", qualname="Top")
        Low.on_state, Low.transitions = lambda ctx: (ctx.common.append("low"), Push(Top, Low))[1], lambda: [Push(Top, Low)]
        Top.on_state, Top.transitions = lambda ctx: (ctx.common.append("top"), Pop)[1], lambda: [Pop]
        fsm = StateMachine(Low, common_data=[], clock=ManualClock())
        await fsm.tick()
        assert (fsm.current_state, fsm.state_stack) == (Top, [Low])
        await fsm.run()
        assert (fsm.current_state, fsm.state_stack, fsm.context.common) == (Top, [Low], ["low", "top", "low"])

    run(scene())


def test_lap_is_full_only_with_the_same_retry_count() -> None:
    """A retry is another configuration, so that run goes on until on_fail decides."""

    async def scene() -> None:
        Stubborn = StateSpec(name="stubborn.Stubborn", qualname="Stubborn", config=StateConfiguration(retries=3, can_dwell=True))
        Stubborn.on_state = lambda ctx: (ctx.common.append(ctx.retry_count), Retry)[1]
        Stubborn.on_fail = lambda ctx: ctx.common.append("failed")
        fsm = StateMachine(Stubborn, common_data=[], clock=ManualClock())
        await fsm.run(timeout=0)
        assert fsm.context.common == [0, 1, 2, 3, "failed"]

    run(scene())


def test_lap_with_a_retry_delay_in_it_is_not_the_last() -> None:
    """A delay that was waited for counts as something consumed: run waits for it however long it is."""

    async def scene() -> None:
        clock = ManualClock()
        policy = RetryPolicy(base=100.0, max=1, max_delay=1000.0)
        Slow = StateSpec(name="slow.Slow", qualname="Slow", config=StateConfiguration(retry=policy, can_dwell=True))
        Slow.on_state = lambda ctx: (ctx.common.append(clock.now()), Retry if ctx.retry_count == 0 else None)[1]
        fsm = StateMachine(Slow, common_data=[], clock=clock)
        task = await started(fsm.run(timeout=1))
        await clock.run_for(99)
        assert not task.done()
        await clock.run_for(1)
        assert (fsm.context.common, task.done()) == ([0.0, 100.0], False)
        await clock.run_for(1)
        await task

    run(scene())


def test_run_rests_when_nothing_comes_in_time() -> None:
    """In a state without deadline run waits `timeout` seconds from when it began to wait, and each message starts that anew."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(), common_data=[], clock=clock)
        task = await started(fsm.run(timeout=2))
        await clock.run_for(1.5)
        fsm.send_message("a")
        await clock.run_for(1.5)
        assert (fsm.context.common, task.done()) == ([None, "a"], False)
        await clock.run_for(0.5)
        await task
        assert clock.next_timer is None

    run(scene())


def test_run_with_timeout_zero_never_waits() -> None:
    """timeout=0 takes what is there, and waits for neither message, deadline nor delay."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(timeout=5.0), common_data=[], clock=clock)
        fsm.send_message("a")
        await fsm.run(timeout=0)
        assert (fsm.context.common, clock.now()) == ([None, "a"], 0.0)
        await clock.advance(5)
        await fsm.run(timeout=0)
        assert fsm.context.common == [None, "a", "timeout"]

    run(scene())


def test_run_waits_for_a_deadline_however_far_it_is() -> None:
    """With a deadline pending the machine will move by itself, so run outlasts its own timeout."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(timeout=50.0), common_data=[], clock=clock)
        task = await started(fsm.run(timeout=1))
        await clock.run_for(49)
        assert not task.done()
        await clock.run_for(1)
        assert (fsm.context.common, task.done()) == ([None, "timeout"], False)
        await clock.run_for(1)
        assert task.done()
        await task

    run(scene())


def test_run_with_timeout_none_waits_for_ever() -> None:
    """timeout=None comes to rest only full circle; cancelled while it waits, it loses nothing."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(), common_data=[], clock=clock)
        task = await started(fsm.run(timeout=None))
        await clock.run_for(1e6)
        assert (task.done(), clock.next_timer) == (False, None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        fsm.send_message("a")
        await fsm.run(timeout=0)
        assert fsm.context.common == [None, "a"]

    run(scene())


@pytest.mark.parametrize("limit", [0, 1, 2, 7])
def test_max_iterations_counts_steps_and_laps_do_not_stop_it(limit: int) -> None:
    """With max_iterations run makes that many steps, past any full circle."""

    async def scene() -> None:
        seen: list[Any] = []
        fsm = StateMachine(ring(2)[0], common_data=seen, clock=ManualClock())
        await fsm.run(max_iterations=limit)
        assert len(seen) == limit

    run(scene())


def test_first_call_and_the_message_after_it_are_two_iterations() -> None:
    """A tick may make both, max_iterations counts each."""

    async def scene() -> None:
        fsm = StateMachine(dwelling(), common_data=[], clock=ManualClock())
        fsm.send_message("a")
        await fsm.run(1, 0)
        assert (fsm.context.common, fsm.queue_depth) == ([None], 1)
        await fsm.run(1, 0)
        assert fsm.context.common == [None, "a"]

    run(scene())


def test_max_iterations_still_rests_when_nothing_comes() -> None:
    """The limit is a limit, not a promise."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(), common_data=[], clock=clock)
        task = await started(fsm.run(100, timeout=1))
        await clock.run_for(1)
        await task
        assert fsm.context.common == [None]

    run(scene())


# ---- tick


def test_tick_makes_the_first_call_and_takes_one_message() -> None:
    """A first call that waits and the message after it are one tick; the second message is the next one's."""

    async def scene() -> None:
        fsm = StateMachine(dwelling(), common_data=[], clock=ManualClock())
        for message in "ab":
            fsm.send_message(message)
        await fsm.tick()
        assert fsm.context.common == [None, "a"]
        await fsm.tick()
        assert fsm.context.common == [None, "a", "b"]
        await fsm.tick()
        assert fsm.context.common == [None, "a", "b"]

    run(scene())


def test_tick_waits_at_most_its_timeout() -> None:
    """timeout=x waits x seconds for a message, and then returns without a call."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(), common_data=[], clock=clock)
        task = await started(fsm.tick(timeout=3))
        await clock.run_for(2)
        assert not task.done()
        await clock.run_for(1)
        await task
        assert (fsm.context.common, clock.next_timer) == ([None], None)

    run(scene())


def test_tick_takes_a_message_that_comes_while_it_waits() -> None:
    """The message is handled at once, and the timer of the wait is taken back."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(), common_data=[], clock=clock)
        await fsm.tick()
        task = await started(fsm.tick(timeout=3))
        fsm.send_message("a")
        await settle()
        assert (task.done(), fsm.context.common, clock.next_timer) == (True, [None, "a"], None)
        await task

    run(scene())


@pytest.mark.parametrize("timeout", [None, 10])
def test_tick_takes_a_deadline_that_comes_while_it_waits(timeout: float | None) -> None:
    """The deadline is enforced at its moment, without a message."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(timeout=5.0), common_data=[], clock=clock)
        task = await started(fsm.tick(timeout=timeout))
        await clock.run_for(4.5)
        assert not task.done()
        await clock.run_for(0.5)
        await task
        assert (fsm.context.common, clock.now(), clock.next_timer) == ([None, "timeout"], 5.0, None)

    run(scene())


def test_tick_without_anything_to_do_touches_nothing() -> None:
    """A tick in a waiting state with an empty mailbox is no step."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = StateMachine(dwelling(), common_data=[], clock=ManualClock(), hooks=[recorder])
        await fsm.tick()
        before, stats = lines(recorder), fsm.stats()
        await fsm.tick()
        await fsm.tick(0.0)
        assert (len(before), lines(recorder), fsm.stats()) == (4, [], stats)

    run(scene())


# ---- initialize


def test_initialize_enters_once() -> None:
    """A second call does nothing, and tick does not enter again."""

    async def scene() -> None:
        entries: list[int] = []
        Door = dwelling()
        Door.on_enter = lambda ctx: entries.append(1)
        fsm = StateMachine(Door, common_data=[], clock=ManualClock())
        assert fsm.current_state is None or fsm.current_state == Door
        await fsm.initialize()
        await fsm.initialize()
        await fsm.tick()
        assert (entries, fsm.context.common) == ([1], [None])

    run(scene())


def test_one_machine_under_two_event_loops() -> None:
    """A machine initialised under one asyncio.run goes on under the next, deadlines and waits included."""
    clock = ManualClock()
    fsm = StateMachine(dwelling(timeout=5.0), common_data=[], clock=clock)

    async def first() -> None:
        task = await started(fsm.tick(timeout=None))
        await clock.run_for(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def second() -> None:
        fsm.send_message("a")
        await fsm.tick()
        task = await started(fsm.tick(timeout=None))
        await clock.run_for(4)
        await task

    run(first())
    run(second())
    assert fsm.context.common == [None, "a", "timeout"]


# ---- serve


def test_serve_ends_with_the_machine() -> None:
    """serve returns what the run came to and raises no signal."""

    async def scene() -> None:
        End = StateSpec(name="serve.End", qualname="End", config=StateConfiguration(terminal=True), on_state=lambda ctx: None)
        Start = dwelling(answer=End)
        Start.transitions = lambda: [End]
        clock = ManualClock()
        fsm = StateMachine(Start, common_data=[], clock=clock)
        result = await fsm.serve()
        assert (str(result.outcome), result.visits) == ("completed", 2)
        assert result.duration == 0.0
        assert End in {result.final_state if hasattr(result, "final_state") else result.state, End.name}
        with pytest.raises(StateMachineComplete):
            await fsm.tick()

    run(scene())


def test_serve_waits_for_messages_until_it_is_stopped() -> None:
    """serve never returns early; stop() ends it between two steps, and what waits in the mailbox is accounted for."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = StateMachine(dwelling(), common_data=[], clock=clock)
        task = await started(fsm.serve())
        await clock.run_for(1e6)
        fsm.send_message("a")
        await settle()
        assert (fsm.context.common, task.done()) == ([None, "a"], False)
        fsm.stop()
        await settle()
        assert task.done()
        result = await task
        assert (str(result.outcome), result.visits) == ("stopped", 1)
        check_law(fsm)

    run(scene())


def test_serve_of_a_ring_goes_on_past_a_full_circle() -> None:
    """Rule (b) is run's alone: a served ring turns until it is stopped, and lets others live."""

    async def scene() -> None:
        seen: list[Any] = []
        fsm = StateMachine(ring(2)[0], common_data=seen)
        task = asyncio.ensure_future(fsm.serve())
        for _ in range(1_000):
            await asyncio.sleep(0)
            if len(seen) > 100:
                break
        fsm.stop()
        result = await task
        assert (len(seen) > 100, str(result.outcome)) == (True, "stopped")

    run(scene())


def test_serve_raises_what_nobody_routed() -> None:
    """An exception that reaches the caller ends serve with it, and the run as failed."""

    async def scene() -> None:
        Bad = dwelling()
        Bad.on_state = lambda ctx: 1 / 0
        recorder = RecorderHooks()
        fsm = StateMachine(Bad, common_data=[], clock=ManualClock(), hooks=[recorder])
        with pytest.raises(ZeroDivisionError):
            await fsm.serve()
        assert lines(recorder)[-1] == "run_ended state=Dwelling outcome=failed duration=0.0 exception=ZeroDivisionError"

    run(scene())


# ---- async with


def test_async_with_enters_and_closes() -> None:
    """Entering initialises; leaving ends the run as stopped and drops what is pending as closed."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = StateMachine(dwelling(), common_data=[], clock=ManualClock(), hooks=[recorder])
        async with fsm as same:
            assert same is fsm
            await fsm.tick()
            fsm.send_message("a")
        told = lines(recorder)
        assert told[:2] == ["run_started state=Dwelling resumed=False", "visit_started state=Dwelling kind=initial stack=()"]
        assert sorted(told[-3:]) == [
            "message_dropped message=a reason=closed number=1",
            "run_ended state=Dwelling outcome=stopped duration=0.0 exception=None",
            "visit_ended state=Dwelling outcome=stopped duration=0.0 exception=None",
        ]
        assert told[-1].startswith("run_ended")
        assert fsm.stats().dropped["closed"] == 1
        check_law(fsm)
        assert fsm.send_message("b") is False
        check_law(fsm)
        with pytest.raises((NoStateToTick, StateMachineComplete)):
            await fsm.tick()

    run(scene())


def test_async_with_after_an_error_ends_as_failed() -> None:
    """Leaving with the exception of the last call tells the run as failed, and lets the exception through."""

    async def scene() -> None:
        Bad = dwelling()
        Bad.on_state = lambda ctx: 1 / 0
        recorder = RecorderHooks()
        with pytest.raises(ZeroDivisionError):
            async with StateMachine(Bad, common_data=[], clock=ManualClock(), hooks=[recorder]) as fsm:
                await fsm.run()
        assert lines(recorder)[-1] == "run_ended state=Dwelling outcome=failed duration=0.0 exception=ZeroDivisionError"

    run(scene())


def test_async_with_left_by_completion_tells_the_end_once() -> None:
    """The signal passes, and the run ended as completed before."""

    async def scene() -> None:
        End = StateSpec(name="with.End", qualname="End", config=StateConfiguration(terminal=True), on_state=lambda ctx: None)
        recorder = RecorderHooks()
        with pytest.raises(StateMachineComplete):
            async with StateMachine(End, clock=ManualClock(), hooks=[recorder]) as fsm:
                await fsm.run()
        ends = [told for told in lines(recorder) if told.startswith("run_ended")]
        assert ends == ["run_ended state=End outcome=completed duration=0.0 exception=None"]

    run(scene())


# ---- fairness


def test_ten_machines_that_never_suspend_leave_room_for_others() -> None:
    """Machines that spin without awaiting anything still let a timer of the loop fire and another task go on."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        fired, turns = asyncio.Event(), 0
        loop.call_later(0.02, fired.set)
        machines = [StateMachine(ring(2)[0], common_data=Forgetful()) for _ in range(10)]
        tasks = [asyncio.ensure_future(fsm.serve()) for fsm in machines]

        async def other() -> None:
            nonlocal turns
            while turns < 5:
                turns += 1
                await asyncio.sleep(0)

        async with asyncio.timeout(30):
            await asyncio.gather(other(), fired.wait())
        for fsm in machines:
            fsm.stop()
        results = await asyncio.gather(*tasks)
        assert (turns, {str(result.outcome) for result in results}) == (5, {"stopped"})

    run(scene())


@pytest.mark.parametrize("drive", ["tick", "lap"])
def test_loop_of_calls_that_never_suspend_leaves_room_for_others(drive: str) -> None:
    """A loop of tick() or of one-lap run() calls yields by time as well."""

    async def scene() -> None:
        fired = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, fired.set)
        fsm = StateMachine(ring(2)[0], common_data=Forgetful())
        for _ in range(10_000_000):
            await (fsm.tick() if drive == "tick" else fsm.run())
            if fired.is_set():
                break
        assert fired.is_set()

    run(scene())


class Forgetful(list[Any]):
    """A list that keeps nothing, so that what spins does not fill the memory."""

    def append(self, item: Any, /) -> None:
        pass


@pytest.mark.parametrize("config", [StateConfiguration(terminal=True, can_dwell=True), StateConfiguration(terminal=True, timeout=5.0)])
@pytest.mark.parametrize("observed", [True, False])
def test_terminal_state_that_might_wait_does_not(config: StateConfiguration, observed: bool) -> None:
    """A terminal state is through when its handler is, whatever else its configuration allows."""

    async def scene() -> None:
        End = StateSpec(name="end.End", qualname="End", config=config, on_state=lambda ctx: None, on_timeout=lambda ctx: None)
        for drive in ("tick", "run", "serve"):
            fsm = StateMachine(End, clock=ManualClock(), hooks=[RecorderHooks()] if observed else [])
            await fsm.initialize()
            if drive == "serve":
                assert (await fsm.serve()).outcome == "completed"
            else:
                with pytest.raises(StateMachineComplete):
                    await getattr(fsm, drive)()
            assert fsm.is_complete

    run(scene())


@pytest.mark.parametrize("answer", [None, Unhandled])
@pytest.mark.parametrize("observed", [True, False])
def test_terminal_state_whose_timeout_leads_nowhere_is_through(answer: Any, observed: bool) -> None:
    """Its handler was cut, so there is nothing to wait for."""

    async def scene() -> None:
        clock = ManualClock()
        recorder = RecorderHooks()
        End = StateSpec(name="end.End", qualname="End", config=StateConfiguration(terminal=True, timeout=5.0))
        End.on_state = lambda ctx: asyncio.sleep(60)
        End.on_timeout = lambda ctx: answer
        fsm = StateMachine(End, clock=clock, hooks=[recorder] if observed else [])
        task = await started(fsm.tick())
        await clock.run_for(5)
        with pytest.raises(StateMachineComplete):
            await task
        if observed:
            assert [told for told in lines(recorder) if told.startswith("visit_ended")] == [
                "visit_ended state=End outcome=timeout duration=5.0 exception=None"
            ]

    run(scene())


@pytest.mark.parametrize("answer", [None, Unhandled])
@pytest.mark.parametrize("observed", [True, False])
def test_restarted_terminal_state_is_through_after_its_message(answer: Any, observed: bool) -> None:
    """A visit that begins with Restart has a message in its only call; what that answers is ignored as well."""

    async def scene() -> None:
        clock = ManualClock()
        seen: list[Any] = []

        async def on_state(ctx: Any) -> Any:
            seen.append(ctx.msg)
            if ctx.msg is None:
                await asyncio.sleep(60)
            return answer

        End = StateSpec(name="end.End", qualname="End", config=StateConfiguration(terminal=True, timeout=5.0))
        End.on_state = on_state
        End.on_timeout = lambda ctx: Restart
        fsm = StateMachine(End, clock=clock, hooks=[RecorderHooks()] if observed else [])
        task = await started(fsm.tick())
        await clock.run_for(5)
        await task
        fsm.send_message("a")
        with pytest.raises(StateMachineComplete):
            await fsm.tick()
        assert seen == [None, "a"]
        check_law(fsm)

    run(scene())


def test_tick_that_waits_out_a_retry_delay_goes_on_to_wait_for_a_message() -> None:
    """The first call after the delay answers "wait", and the call with the message that comes then is in the same tick."""

    async def scene() -> None:
        clock = ManualClock()
        policy = RetryPolicy(base=10.0, max=1)
        Slow = StateSpec(name="slow.Slow", qualname="Slow", config=StateConfiguration(retry=policy, can_dwell=True))
        Slow.on_state = lambda ctx: (ctx.common.append(ctx.msg), Retry if ctx.retry_count == 0 else None)[1]
        fsm = StateMachine(Slow, common_data=[], clock=clock)
        await fsm.tick()
        task = await started(fsm.tick(timeout=None))
        await clock.run_for(50)
        assert (fsm.context.common, task.done()) == ([None, None], False)
        fsm.send_message("late")
        await task
        assert fsm.context.common == [None, None, "late"]

    run(scene())
