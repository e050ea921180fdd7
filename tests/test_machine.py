"""What a machine is besides running: its own log, clock and chance, its looks, its end, and messages from other threads."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import Any

import pytest

from septum import (
    LabeledTransition,
    MailboxFull,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateSpec,
    facts,
)
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import ledger, run


class Say(Enum):
    """The only label."""

    NEXT = auto()


def waiting(**parts: Any) -> StateSpec:
    """Return a state that keeps its messages in `common`, or ends the machine when told so."""

    def on_state(ctx: Any) -> Any:
        if ctx.msg is not None:
            ctx.common.append(ctx.msg)
        return Say.NEXT if ctx.msg == "end" else None

    return StateSpec(
        name="m.Waiting",
        qualname="Waiting",
        **(
            {"config": StateConfiguration(can_dwell=True), "on_state": on_state, "transitions": lambda: [LabeledTransition(Say.NEXT, None)]}
            | parts
        ),
    )


def test_handler_log_names_machine_run_state_and_visit(caplog: pytest.LogCaptureFixture) -> None:
    """`ctx.log` is a record on septum.app, found by what it carries; without anybody who listens nothing is made."""
    fsm = StateMachine(waiting(), name="m", machine_id="1")
    with caplog.at_level(logging.WARNING):
        fsm.log("unheard")
    with caplog.at_level(logging.INFO, logger="septum.app"):
        fsm.log("reserved 100 % of it")
    found = [
        (record.name, record.getMessage(), record.__dict__["septum_machine_id"], record.__dict__["septum_state"])
        for record in caplog.records
    ]
    assert found == [("septum.app", "reserved 100 % of it", "1", "m.Waiting")]


def test_machine_shows_its_clock_chance_and_graph() -> None:
    """What handlers get of time and chance is the machine's own."""
    clock = ManualClock(start=7.0)
    fsm = StateMachine(waiting(), clock=clock)
    fsm.random.seed(1)
    first = fsm.random.random()
    fsm.random.seed(1)
    assert (fsm.now(), fsm.random.random(), fsm.graph.initial.name, fsm.context) == (7.0, first, "m.Waiting", fsm)


def test_enter_times_are_kept_once_they_are_asked_for() -> None:
    """Upstream's property: wall-clock seconds by state name."""

    async def scene() -> None:
        clock = ManualClock(wall_ns=5_000_000_000)
        fsm = StateMachine(waiting(), clock=clock, common_data=[])
        assert fsm.state_enter_times == {}
        await fsm.tick()
        assert fsm.state_enter_times == {"m.Waiting": 5.0}

    run(scene())


def test_stopped_machine_goes_on_as_a_resumed_run() -> None:
    """stop() ends the run but not the machine: what comes later is another run, told as resumed."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = StateMachine(waiting(), clock=ManualClock(), hooks=[recorder], common_data=[])
        serving = asyncio.create_task(fsm.serve())
        await settle()
        fsm.stop()
        result = await serving
        assert (result.outcome, result.visits) == ("stopped", 1)
        recorder.clear()
        fsm.send_message("a")
        await fsm.tick()
        assert [(fact.resumed, fact.seq) for fact in recorder.of(facts.RunStarted)] == [(True, 1)]
        assert fsm.common == ["a"]

    run(scene())


@pytest.mark.parametrize("ending", ["close", "leave", "cancel"])
def test_machine_that_is_served_elsewhere_is_stopped_at_the_end_of_its_block(ending: str) -> None:
    """Closing waits for the call that is at work, tells how the block ended, and drops what waits."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = StateMachine(waiting(), clock=ManualClock(), hooks=[recorder], common_data=[])

        go = asyncio.Event()

        async def block() -> None:
            async with fsm:
                serving = asyncio.create_task(fsm.serve())
                await go.wait()
                if ending == "close":
                    await fsm.close()
                    assert (await serving).outcome == "stopped"
                elif ending == "cancel":
                    fsm.stop()
                    await serving
                    await asyncio.Event().wait()

        task = asyncio.create_task(block())
        await settle()
        go.set()
        await settle()
        if ending == "cancel":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [fact.outcome for fact in recorder.of(facts.RunEnded)] == ["stopped"]
        assert (fsm.send_message("late"), ledger(fsm)) == (False, {"accepted": 1, "closed": 1})

    run(scene())


def test_complete_machine_is_served_at_once() -> None:
    """serve() raises no completion, also when that lies behind."""

    async def scene() -> None:
        fsm = StateMachine(waiting(), common_data=[])
        fsm.send_message("end")
        assert (await fsm.serve()).outcome == "completed"
        again = await fsm.serve()
        assert (again.outcome, again.visits, again.duration) == ("completed", 0, 0.0)
        with pytest.raises(StateMachineComplete):
            await fsm.run()

    run(scene())


def test_messages_of_another_thread_meet_the_same_gate() -> None:
    """Filter, bound and end count for them as for the owner's, in books of their own that add up."""

    async def scene() -> None:
        def keep_out(ctx: Any, message: Any) -> bool:
            if message == "bang":
                raise ValueError(message)
            return bool(message == "spam")

        fsm = StateMachine(waiting(), 2, filter_fn=keep_out, common_data=[])
        await fsm.tick()
        send = fsm.send_message_threadsafe
        answers = [await asyncio.to_thread(send, message) for message in ("spam", "a")]
        assert await asyncio.to_thread(lambda: send("end", headers={"k": "v"}))
        with pytest.raises(MailboxFull):
            await asyncio.to_thread(send, "too much")
        with pytest.raises(ValueError, match="bang"):
            await asyncio.to_thread(send, "bang")
        assert (answers, ledger(fsm)) == ([False, True], {"accepted": 3, "filtered": 1, "pending": 2, "rejected": 2})
        with pytest.raises(StateMachineComplete):
            await fsm.run()
        assert await asyncio.to_thread(send, "late") is False
        assert (fsm.common, ledger(fsm)) == (["a", "end"], {"accepted": 4, "handled": 2, "filtered": 1, "closed": 1, "rejected": 2})

    run(scene())


def test_machine_that_waits_is_woken_by_another_thread() -> None:
    """The owner's event loop is told, whatever it waits for."""

    async def scene() -> None:
        fsm = StateMachine(waiting(), common_data=[])
        serving = asyncio.create_task(fsm.serve())
        await settle()
        assert await asyncio.to_thread(fsm.send_message_threadsafe, "end")
        async with asyncio.timeout(30):
            assert (await serving).outcome == "completed"

    run(scene())


def test_run_refuses_a_number_of_iterations_that_is_none() -> None:
    """Nothing is done then."""

    async def scene() -> None:
        fsm = StateMachine(waiting(), common_data=[])
        for wrong in (-1, 1.5, "2"):
            with pytest.raises(ValueError, match="max_iterations"):
                await fsm.run(max_iterations=wrong)  # type: ignore[arg-type]  # what is refused
        assert fsm.current_state is None

    run(scene())


def test_jitter_comes_from_the_machines_own_chance() -> None:
    """Two machines with one seed wait alike, between the bounds of the policy."""

    async def scene() -> None:
        delays = []
        for _ in range(2):
            recorder = RecorderHooks()
            state = waiting(
                config=StateConfiguration(can_dwell=True, retry=RetryPolicy(base=1.0, jitter=0.5, max=1)),
                on_state=lambda ctx: Retry if ctx.retry_count == 0 else None,
            )
            fsm = StateMachine(state, clock=ManualClock(), hooks=[recorder])
            fsm.random.seed(4711)
            await fsm.tick()
            delays += [fact.delay for fact in recorder.of(facts.RetryScheduled)]
        assert delays[0] == delays[1]
        assert 0.5 <= delays[0] <= 1.5

    run(scene())
