"""When a machine can be written down, and what it is when it is brought back."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest

import septum
from septum import (
    Hooks,
    LabeledTransition,
    MailboxFull,
    NoStateToTick,
    Pop,
    Push,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    WrongThread,
    facts,
)
from septum._errors import BadSnapshot, NotKept, StepNotOver
from septum._snapshot import Snapshot
from septum.testing import ManualClock, RecorderHooks, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Go(Enum):
    """Labels."""

    ON = auto()
    BACK = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Idle() -> None:
    @septum.on_state
    async def on_state(ctx):
        if callable(ctx.msg):
            ctx.common["found"] = await ctx.msg(ctx)
        if isinstance(ctx.msg, str):
            ctx.common.setdefault("seen", []).append(ctx.msg)
        return ctx.msg if isinstance(ctx.msg, Go) else None

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Timed), LabeledTransition(Go.BACK, None)]


@septum.state(config=StateConfiguration(timeout=10.0, expect=4.0))
def Timed() -> None:
    @septum.on_state
    async def on_state(ctx):
        return ctx.msg if isinstance(ctx.msg, Go) else None

    @septum.on_timeout
    async def on_timeout(ctx):
        return None if ctx.common.get("stay") else Go.BACK

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Idle), LabeledTransition(Go.BACK, Idle)]


def again(kept: Snapshot) -> Snapshot:
    """Return the snapshot that was written as text and read."""
    found = Snapshot.from_json(kept.to_json())
    assert found == kept
    return found


def run(scene: Any) -> Any:
    """Run a scene to its end."""
    return asyncio.run(scene)


def machine(state: Any = Idle, **options: Any) -> StateMachine[Any]:
    """Return a machine under a clock of its own, unless another is given."""
    return StateMachine(state, **{"clock": ManualClock(), **options})


async def restored(kept: Snapshot, state: Any = Idle, **options: Any) -> StateMachine[Any]:
    """Bring a machine back from text, under a clock that begins when the snapshot was taken."""
    clock = ManualClock(wall_ns=kept.taken_at)
    return await StateMachine[Any].restore(again(kept), state, **{"clock": clock, **options})


# -- when


def test_snapshot_inside_a_handler_is_refused_and_the_machine_goes_on() -> None:
    """A handler that asks for a snapshot of its own machine gets the named error, which says what to do."""

    async def ask(ctx: Any) -> str:
        with pytest.raises(StepNotOver, match=r"in the middle of a step, in state .*Idle") as caught:
            ctx.snapshot()
        return f"{caught.value.machine} {caught.value.state}"

    async def scene() -> None:
        fsm = machine(name="M")
        fsm.send_message(ask)
        await fsm.run(timeout=0)
        assert fsm.common == {"found": f"M {Idle.name}"}
        assert fsm.stats().handled == 1

    run(scene())


def test_snapshot_while_a_handler_hangs_is_refused() -> None:
    """Between two steps means between them: another task gets the error while a handler awaits something."""

    async def scene() -> None:
        fsm = machine()
        gate = asyncio.Event()
        fsm.send_message(lambda ctx: gate.wait())
        ticking = asyncio.create_task(fsm.tick())
        await settle()
        with pytest.raises(StepNotOver):
            fsm.snapshot()
        gate.set()
        await ticking
        assert fsm.snapshot().common == {"found": True}

    run(scene())


@pytest.mark.parametrize("call", [lambda fsm: fsm.run(timeout=None), lambda fsm: fsm.serve(), lambda fsm: fsm.tick(None)])
def test_snapshot_while_the_machine_waits_is_taken(call: Callable[[StateMachine[Any]], Any]) -> None:
    """run(), serve() and tick() that wait for a message are between two steps, and go on waiting."""

    async def scene() -> None:
        fsm = machine()
        working = asyncio.create_task(call(fsm))
        await settle()
        kept = fsm.snapshot()
        fsm.send_message("later")
        assert fsm.snapshot().messages[0].message == "later"
        await settle()
        fsm.stop()
        await working
        assert (kept.stage, kept.messages, fsm.common) == ("wait", (), {"seen": ["later"]})
        back = await restored(kept)
        await back.tick()
        assert back.common == {}

    run(scene())


@septum.state
def Spinning() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, SpinningToo)]


@septum.state
def SpinningToo() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Go.BACK

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.BACK, Spinning)]


@pytest.mark.parametrize("hooks", [(), (RecorderHooks(),)])
def test_snapshot_of_a_machine_that_never_waits_is_taken_when_others_have_their_turn(hooks: tuple[Hooks, ...]) -> None:
    """A machine that spins under serve() lets the event loop run between two steps; what runs then may take a snapshot."""

    async def scene() -> None:
        fsm = machine(Spinning, hooks=hooks)
        serving = asyncio.create_task(fsm.serve())
        await asyncio.sleep(0)
        kept = fsm.snapshot()
        fsm.stop()
        await serving
        assert (kept.stage, kept.counts.visits > 1) == ("first", True)

    run(scene())


def test_fresh_machine_is_restored_fresh() -> None:
    """A machine that has not started has its mail, and starts when it is driven: its run begins then and is no resumed one."""

    async def scene() -> None:
        fsm = machine()
        fsm.send_message("early")
        recorder = RecorderHooks()
        kept = fsm.snapshot()
        back = await restored(kept, hooks=[recorder])
        assert (kept.stage, back.current_state, back.queue_depth, recorder.facts) == ("fresh", None, 1, [])
        await back.run(timeout=0)
        assert back.common == {"seen": ["early"]}
        assert [fact.resumed for fact in recorder.of(facts.RunStarted)] == [False]
        assert recorder.names()[:2] == ["run_started", "visit_started"]

    run(scene())


def test_complete_machine_is_restored_complete() -> None:
    """It raises StateMachineComplete when it is driven, takes no messages, keeps what waited, and reset() starts it again."""

    async def scene() -> None:
        fsm = machine()
        fsm.send_message(Go.BACK)
        fsm.send_message("left")
        with pytest.raises(StateMachineComplete):
            await fsm.run(timeout=0)
        recorder = RecorderHooks()
        back = await restored(fsm.snapshot(), hooks=[recorder])
        assert (back.is_complete, back.queue_depth, recorder.facts) == (True, 1, [])
        with pytest.raises(StateMachineComplete):
            await back.tick()
        assert not back.send_message("late")
        assert [(fact.machine_id, fact.machine_name) for fact in recorder.facts] == [(fsm.machine_id, fsm.name)]
        await back.reset()
        assert (back.is_complete, back.stats().transitions, back.stats().dropped["closed"]) == (False, 1, 2)

    run(scene())


def test_closed_machine_is_not_written_down() -> None:
    """What waited is gone after close(), so a snapshot would lose it silently: it is refused."""

    async def scene() -> None:
        async with machine() as fsm:
            await fsm.tick()
        with pytest.raises(NoStateToTick, match=r"take the snapshot before close\(\)"):
            fsm.snapshot()

    run(scene())


def test_failed_machine_is_restored_failed_and_can_go_on() -> None:
    """After an exception that nothing handled, the restored machine says so too, and can be ticked."""

    async def scene() -> None:
        fsm = machine()
        fsm.send_message(ValueError("sent"))
        fsm.send_message("next")
        with pytest.raises(ValueError, match="sent"):
            await fsm.run(timeout=0)
        back = await restored(fsm.snapshot())
        assert (back.has_ended, back.stats().errors) == (True, 1)
        await back.run(timeout=0)
        assert (back.has_ended, back.common) == (False, {"seen": ["next"]})

    run(scene())


def test_foreign_thread_takes_no_snapshot() -> None:
    """Only the owner's thread may write a machine down, and the thread that restores it is its owner."""

    async def scene() -> None:
        fsm = machine()
        await fsm.initialize()
        back = await restored(fsm.snapshot())
        errors: list[BaseException] = []

        def ask() -> None:
            for asked in (fsm, back):
                try:
                    asked.snapshot()
                except WrongThread as error:
                    errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert [str(error).partition(" ")[0] for error in errors] == ["snapshot()", "snapshot()"]

    run(scene())


def test_machine_goes_on_in_the_thread_that_restored_it() -> None:
    """A snapshot is a way from one thread to another: the restored machine works there."""
    found: list[Any] = []

    async def first() -> str:
        fsm = machine()
        await fsm.tick()
        fsm.send_message("there")
        return fsm.snapshot().to_json()

    async def second(text: str) -> None:
        back = await restored(Snapshot.from_json(text))
        await back.run(timeout=0)
        found.append(back.common)

    text = run(first())
    thread = threading.Thread(target=lambda: run(second(text)))
    thread.start()
    thread.join()
    assert found == [{"seen": ["there"]}]


def test_a_snapshot_changes_nothing_and_does_not_change() -> None:
    """The machine is as before, and what happens to it later is not in the snapshot."""

    async def scene() -> None:
        fsm = machine(common_data={"list": [1]})
        await fsm.tick()
        fsm.send_message("a")
        before = fsm.stats()
        kept = fsm.snapshot()
        text = kept.to_json()
        assert fsm.stats() == before
        fsm.common["list"].append(2)
        await fsm.run(timeout=0)
        assert (kept.to_json(), kept.common, len(kept.messages)) == (text, {"list": [1]}, 1)
        back = await restored(kept)
        back.common["list"].append(3)
        assert (await restored(kept)).common == {"list": [1]}

    run(scene())


# -- what is due


class Trouble(Exception):
    """What a handler raises once."""


def troubled(handler: str, **config: Any) -> Any:
    """Return a state whose *handler* raises as long as `common["bad"]` says so, and one that it leads to."""

    async def fail_if_bad(ctx: Any) -> Any:
        ctx.common.setdefault("calls", []).append(handler)
        if ctx.common["bad"]:
            raise Trouble(handler)
        return Go.BACK if handler in {"on_timeout", "on_fail"} else None

    @septum.state(name=f"troubled.{handler}", config=StateConfiguration(can_dwell=True, **config))
    def Troubled() -> None:
        @septum.on_state
        async def on_state(ctx):
            return ctx.msg

        getattr(septum, handler)(fail_if_bad)

        @septum.transitions
        def transitions():
            return [LabeledTransition(Go.ON, Push(Idle, Idle)), LabeledTransition(Go.BACK, Idle), Retry]

    return Troubled


@pytest.mark.parametrize(
    ("handler", "config", "message", "stage"),
    [
        ("on_enter", {}, None, "enter"),
        ("on_leave", {}, Go.ON, "leave"),
        ("on_timeout", {"timeout": 1.0}, None, "timeout"),
        ("on_fail", {"retries": 0}, Retry, "fail"),
    ],
)
def test_call_that_did_not_return_is_due_in_the_restored_machine(handler: str, config: Any, message: Any, stage: str) -> None:
    """A machine whose handler raised is written down with that call due, and the restored one makes it again."""
    state = troubled(handler, **config)

    async def scene() -> None:
        clock = ManualClock()
        fsm = machine(state, common_data={"bad": handler != "on_enter"}, clock=clock)
        if handler == "on_enter":
            fsm.common["bad"] = True
        else:
            await fsm.tick()
        if message is not None:
            fsm.send_message(message)
        clock.advance(2.0)
        with pytest.raises(Trouble):
            await fsm.tick()
        kept = fsm.snapshot()
        assert kept.stage == stage
        back = await restored(kept, state)
        with pytest.raises(Trouble):
            await back.tick()
        assert back.snapshot().stage == stage
        back.common["bad"] = False
        await back.tick()
        assert back.common["calls"] == [handler] * 3
        expected = (Idle, [Idle]) if message is Go.ON else (state, []) if handler == "on_enter" else (Idle, [])
        assert (back.current_state, back.state_stack) == expected

    run(scene())


@septum.state(config=StateConfiguration(terminal=True))
def Broken() -> None:
    @septum.on_state
    async def on_state(ctx):
        pass


@septum.state(config=StateConfiguration(can_dwell=True))
def SlowToLeave() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg:
            raise KeyError(ctx.msg)

    @septum.on_leave
    async def on_leave(ctx):
        await asyncio.get_running_loop().create_future() if ctx.common["slow"] else None

    @septum.transitions
    def transitions():
        return [Idle]


def test_exception_that_the_way_to_the_error_state_answers_comes_along() -> None:
    """Cancelled in on_leave on the way to the error state, the restored machine goes there and says with which exception."""

    async def scene() -> None:
        fsm = machine(SlowToLeave, common_data={"slow": True}, error_state=Broken)
        fsm.send_message("missing")
        working = asyncio.create_task(fsm.run(timeout=0))
        await settle()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        kept = fsm.snapshot()
        assert kept.decided is not None
        assert (kept.decided.kind, kept.decided.outcome, kept.decided.target) == ("error", "error", Broken.name)
        recorder = RecorderHooks()
        back = await restored(kept, SlowToLeave, error_state=Broken, hooks=[recorder])
        back.common["slow"] = False
        await back.tick()
        assert back.current_state == Broken
        assert [(fact.outcome, repr(fact.exception)) for fact in recorder.of(facts.VisitEnded)] == [("error", "KeyError('missing')")]

    run(scene())


def test_what_is_no_exception_answers_no_move() -> None:
    """A snapshot in which something else stands in the place of the exception is refused."""

    async def scene() -> None:
        fsm = machine()
        await fsm.tick()
        plain = fsm.snapshot().to_plain()
        decided = {"kind": "error", "label": None, "target": Idle.name, "below": [], "outcome": "error", "exception": 5}
        kept = Snapshot.from_plain({**plain, "stage": "leave", "decided": decided})
        with pytest.raises(BadSnapshot, match="a int is no exception") as caught:
            await restored(kept)
        assert caught.value.place == "snapshot.decided.exception"

    run(scene())


# -- time


async def waiting(**common: Any) -> tuple[ManualClock, StateMachine[Any]]:
    """Return a machine that has waited for 3 of its 10 seconds."""
    clock = ManualClock()
    fsm = machine(Timed, clock=clock, common_data=common)
    await fsm.tick()
    await clock.advance(3.0)
    return clock, fsm


@pytest.mark.parametrize(("timers", "left"), [("resume", 2.0), ("remaining", 7.0), ("restart", 10.0)])
def test_deadline_after_five_seconds_away(timers: Any, left: float) -> None:
    """Of 7 seconds left, 5 pass before the machine is back: counted, not counted, or the whole timeout begins anew."""

    async def scene() -> None:
        _, fsm = await waiting()
        kept = fsm.snapshot()
        clock = ManualClock(1_000.0, wall_ns=kept.taken_at + 5_000_000_000)
        back = await restored(kept, Timed, clock=clock, timers=timers)
        await clock.advance(left - 0.5)
        await back.tick()
        assert back.current_state == Timed
        await clock.advance(0.5)
        await back.tick()
        assert back.current_state == Idle

    run(scene())


def test_deadline_that_passed_while_nobody_was_there_fires_at_once_and_late() -> None:
    """The restored machine's first step is its timeout, and the fact says how late it is."""

    async def scene() -> None:
        _, fsm = await waiting()
        kept = fsm.snapshot()
        recorder = RecorderHooks()
        back = await restored(kept, Timed, clock=ManualClock(wall_ns=kept.taken_at + 60_000_000_000), hooks=[recorder])
        await back.tick()
        assert [fact.lateness for fact in recorder.of(facts.TimeoutFired)] == [53.0]

    run(scene())


def test_clock_on_the_wall_that_went_back_gives_nothing() -> None:
    """Where the wall clock says that less than no time has passed, none has."""

    async def scene() -> None:
        _, fsm = await waiting()
        kept = fsm.snapshot()
        clock = ManualClock(wall_ns=kept.taken_at - 60_000_000_000)
        back = await restored(kept, Timed, clock=clock)
        await clock.advance(7.0)
        await back.tick()
        assert back.current_state == Idle

    run(scene())


@pytest.mark.parametrize("timers", ["resume", "remaining", "restart"])
def test_deadline_that_has_fired_does_not_fire_again(timers: Any) -> None:
    """It fires once a visit, and a snapshot does not begin another visit."""

    async def scene() -> None:
        clock, fsm = await waiting(stay=True)
        await clock.advance(7.0)
        await fsm.tick()
        kept = fsm.snapshot()
        assert (kept.fired, kept.deadline) == (True, None)
        later = ManualClock(wall_ns=kept.taken_at)
        back = await restored(kept, Timed, clock=later, timers=timers)
        await later.advance(100.0)
        await back.tick()
        assert (back.stats().timeouts, back.current_state) == (1, Timed)

    run(scene())


@septum.state(config=StateConfiguration(retries=5, retry=RetryPolicy(base=8.0, factor=2.0), can_dwell=True))
def Trying() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Retry if ctx.retry_count < ctx.common["tries"] else None

    @septum.transitions
    def transitions():
        return [Retry]


@pytest.mark.parametrize(("timers", "left"), [("resume", 8.0), ("remaining", 13.0), ("restart", 16.0)])
def test_delay_of_a_retry_after_five_seconds_away(timers: Any, left: float) -> None:
    """The second delay is 16 seconds; after 3 of them and 5 away there are 8, 13 or all 16 left."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = machine(Trying, clock=clock, common_data={"tries": 2})
        await fsm.tick()
        await clock.advance(8.0)
        await fsm.tick()
        await clock.advance(3.0)
        kept = fsm.snapshot()
        assert (kept.stage, kept.retries, kept.deadline) == ("delay", {Trying.name: 2}, 13.0)
        recorder = RecorderHooks()
        later = ManualClock(wall_ns=kept.taken_at + 5_000_000_000)
        back = await restored(kept, Trying, clock=later, timers=timers, hooks=[recorder])
        assert recorder.names() == ["run_started"]
        await later.advance(left - 0.5)
        await back.tick()
        assert back.stats().visits == 2
        await later.advance(0.5)
        await back.tick()
        assert (back.stats().visits, back.retry_count) == (3, 2)

    run(scene())


def test_timeout_without_end_is_kept_as_that() -> None:
    """A deadline at infinity is no number of JSON; it comes back as what the definition says."""

    @septum.state(config=StateConfiguration(timeout=float("inf")))
    def Patient() -> None:
        @septum.on_state
        async def on_state(ctx):
            return None

        @septum.transitions
        def transitions():
            return [Idle]

    async def scene() -> None:
        fsm = machine(Patient)
        await fsm.tick()
        kept = fsm.snapshot()
        back = await restored(kept, Patient)
        assert (kept.deadline, kept.fired, back._deadline) == (None, False, float("inf"))

    run(scene())


def test_visit_that_lasts_too_long_is_told_once_over_both_processes() -> None:
    """The age of a visit comes along: overdue is told when the whole of it is too long, and not again if it was."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = machine(Timed, clock=clock, hooks=[RecorderHooks()])
        await fsm.tick()
        await clock.advance(3.0)
        kept = fsm.snapshot()
        recorder = RecorderHooks()
        later = ManualClock(wall_ns=kept.taken_at + 500_000_000)
        back = await restored(kept, Timed, clock=later, hooks=[recorder])
        assert back.state_age == 3.5
        working = asyncio.create_task(back.run(timeout=0.0, max_iterations=1))
        serving = None
        await working
        serving = asyncio.create_task(back.serve())
        await later.run_for(1.0)
        assert [fact.age for fact in recorder.of(facts.Overdue)] == [4.0]
        second = back.snapshot()
        back.stop()
        await serving
        assert second.trace.overdue
        recorder.clear()
        last = await restored(second, Timed, clock=later, hooks=[recorder])
        serving = asyncio.create_task(last.serve())
        await later.run_for(1.0)
        last.stop()
        await serving
        assert recorder.of(facts.Overdue) == []

    run(scene())


# -- mail


@dataclass
class Order:
    """A message of the program's own."""

    number: int
    items: list[str]


def test_mail_comes_back_in_order_with_headers_and_age() -> None:
    """Messages are taken in the same order, each with its number, its headers and the time that it waited in all."""

    async def scene() -> None:
        clock = ManualClock()
        fsm = machine(clock=clock, hooks=[RecorderHooks()])
        await fsm.tick()
        fsm.send_message("plain")
        await clock.advance(2.0)
        fsm.send_message(Order(7, ["tea"]), headers={"id": "x"})
        fsm.send_message(b"raw", headers={"id": b"bytes"})  # type: ignore[dict-item]  # brokers deliver such
        kept = fsm.snapshot()
        recorder = RecorderHooks()
        later = ManualClock(wall_ns=kept.taken_at + 1_000_000_000)
        back = await restored(kept, clock=later, hooks=[recorder])
        await back.run(timeout=0)
        back.send_message("new")
        taken = [(fact.message, fact.number, fact.headers, fact.waited) for fact in recorder.of(facts.MessageTaken)]
        assert taken == [
            ("plain", 1, None, 3.0),
            (Order(7, ["tea"]), 2, {"id": "x"}, 1.0),
            (b"raw", 3, {"id": b"bytes"}, 1.0),
        ]
        assert [fact.number for fact in recorder.of(facts.MessageQueued)] == [4]

    run(scene())


def test_books_of_the_mailbox_come_along() -> None:
    """Every count of stats() is what it was, and the law holds on."""

    async def scene() -> None:
        fsm = machine(max_queue_size=1, queue_overflow_policy="fail", filter_fn=lambda ctx, message: message == "spam")
        await fsm.tick()
        fsm.send_message("spam")
        fsm.send_message("kept")
        with pytest.raises(MailboxFull):
            fsm.send_message("too much")
        before = fsm.stats()
        back = await restored(fsm.snapshot(), max_queue_size=1, queue_overflow_policy="fail")
        assert (back.stats(), before.rejected, before.filtered) == (before, 1, 1)
        with pytest.raises(MailboxFull):
            back.send_message("too much")
        await back.run(timeout=0)
        assert back.send_message("more")
        await back.run(timeout=0)
        after = back.stats()
        assert (after.accepted, after.handled, after.rejected, back.common) == (3, 2, 2, {"seen": ["kept", "more"]})

    run(scene())


def test_message_of_another_thread_is_in_it_and_one_that_waits_for_room_is_not() -> None:
    """What was queued from another thread is collected; what a sender still waits to send is not in the mailbox yet."""

    async def scene() -> None:
        fsm = machine(max_queue_size=1)
        await fsm.tick()
        thread = threading.Thread(target=fsm.send_message_threadsafe, args=("foreign",))
        thread.start()
        thread.join()
        sending = asyncio.create_task(fsm.send_message_async("waits"))
        await settle()
        kept = fsm.snapshot()
        assert [message.message for message in kept.messages] == ["foreign"]
        back = await restored(kept, max_queue_size=1)
        await back.run(timeout=0)
        assert back.common == {"seen": ["foreign"]}
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    run(scene())


# -- data


class Lock:
    """What cannot be written."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("common", "place"),
    [
        ({"job": Lock()}, "common.job.lock"),
        ({"jobs": [1, {"x": threading.Lock()}]}, "common.jobs[1].x"),
        (threading.Lock(), "common"),
    ],
)
def test_data_that_cannot_be_written_is_named_and_there_is_no_snapshot(common: Any, place: str) -> None:
    """The error says where the value is; nothing is told to hooks and the machine goes on."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = machine(common_data=common, hooks=[recorder])
        await fsm.tick()
        with pytest.raises(NotKept, match=r"cannot be kept in a snapshot: .*lock.*Nothing was written") as caught:
            fsm.snapshot()
        assert (caught.value.place, recorder.of(facts.SnapshotTaken)) == (place, [])
        await fsm.tick()

    run(scene())


def test_message_that_cannot_be_written_is_named_by_its_place() -> None:
    """So is one in the mailbox, and one in headers."""

    async def scene() -> None:
        fsm = machine()
        await fsm.tick()
        fsm.send_message("fine", headers={"lock": threading.Lock()})  # type: ignore[dict-item]  # to be refused
        with pytest.raises(NotKept) as caught:
            fsm.snapshot()
        assert caught.value.place == "the headers of mailbox[0].lock"
        await fsm.run(timeout=0)
        fsm.send_message("fine")
        fsm.send_message([Lock()])
        with pytest.raises(NotKept) as caught:
            fsm.snapshot()
        assert caught.value.place == "mailbox[1][0].lock"

    run(scene())


def test_program_teaches_what_it_holds() -> None:
    """encode= says what stands for a value in common and in messages, and decode= makes the value of it."""

    async def scene() -> None:
        fsm = machine(common_data={"pool": Lock()})
        await fsm.tick()
        fsm.send_message(Lock())

        def encode(value: Any) -> tuple[str, object] | None:
            return ("lock", {"is": "open"}) if isinstance(value, Lock) else None

        def decode(name: str, value: object) -> Any:
            return (name, value)

        kept = fsm.snapshot(encode=encode)
        back = await restored(kept, decode=decode)
        assert back.common == {"pool": ("lock", {"is": "open"})}
        with pytest.raises(BadSnapshot) as caught:
            await restored(kept)
        assert caught.value.place == "snapshot.common"

    run(scene())


def test_class_that_the_definition_does_not_know_is_not_made() -> None:
    """A snapshot names classes; only those of the definition's packages, and those that are allowed, are made."""

    @dataclass
    class Local:
        x: int

    async def scene() -> None:
        fsm = machine(common_data={"a": Local(1)})
        kept = fsm.snapshot()
        with pytest.raises(BadSnapshot, match="no class") as caught:
            await restored(kept)
        assert caught.value.place == "snapshot.common"
        assert (await restored(kept, classes=[Local])).common == {"a": Local(1)}
        assert (await restored(kept, common_data={"given": 1})).common == {"given": 1}

    run(scene())


def test_source_of_chance_goes_on_where_it_was() -> None:
    """The numbers that ctx.random gives after the restore are those that it would have given."""

    async def scene() -> None:
        fsm = machine()
        await fsm.tick()
        assert fsm.snapshot().chance is None
        fsm.random.seed(5)
        fsm.random.gauss(0.0, 1.0)
        kept = fsm.snapshot()
        back = await restored(kept)
        expected = [fsm.random.gauss(0.0, 1.0), fsm.random.random(), fsm.random.getrandbits(40)]
        assert [back.random.gauss(0.0, 1.0), back.random.random(), back.random.getrandbits(40)] == expected

    run(scene())


# -- who is told


class Keeping(Hooks):
    """A hook that keeps something with snapshots, and notes what was kept."""

    def __init__(self, what: Any) -> None:
        self.what = what
        self.found: list[Mapping[str, str]] = []

    def keeps(self, run: facts.Origin, /) -> Mapping[str, str]:
        return {"hook": self.what, "seen by": run[1]}

    def run_started(self, fact: facts.RunStarted, /) -> None:
        self.found.append(fact.origin.kept)


def test_snapshot_is_told_as_a_fact_of_the_run_that_goes_on() -> None:
    """Hooks hear of state and reason; the restored run has the same id, goes on counting and is a resumed one."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = machine(hooks=[recorder])
        await fsm.tick()
        kept = fsm.snapshot("deploy")
        last = recorder.facts[-1]
        assert isinstance(last, facts.SnapshotTaken)
        assert (last.state, last.reason) == (Idle.name, "deploy")
        there = RecorderHooks()
        back = await restored(kept, hooks=[there])
        started, visit = there.facts
        assert isinstance(started, facts.RunStarted)
        assert isinstance(visit, facts.VisitStarted)
        assert (started.run_id, started.machine_id, started.resumed) == (last.run_id, last.machine_id, True)
        assert (started.seq, visit.seq, visit.visit, visit.state) == (last.seq + 1, last.seq + 2, 1, Idle.name)
        assert back.hooks == (there,)

    run(scene())


def test_snapshot_is_logged_where_the_level_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A level that is turned on after the last step is noticed by the snapshot."""

    async def scene() -> None:
        fsm = machine()
        await fsm.tick()
        caplog.set_level("DEBUG", "septum.machine")
        fsm.snapshot()

    run(scene())
    assert caplog.messages[-1].endswith(f"snapshot taken in {Idle.name}")


def test_another_machine_id_makes_another_run() -> None:
    """A copy under an id of its own is another machine: its run has another id and counts from 1."""

    async def scene() -> None:
        fsm = machine(hooks=[RecorderHooks()])
        await fsm.tick()
        kept = fsm.snapshot()
        recorder = RecorderHooks()
        copy = await restored(kept, hooks=[recorder], machine_id="copy")
        (same,) = {fact.run_id for fact in recorder.facts}
        assert (copy.machine_id, same == kept.trace.run_id, recorder.facts[0].seq) == ("copy", False, 1)

    run(scene())


def test_run_that_had_ended_does_not_go_on() -> None:
    """After serve() was stopped its run is over; a machine restored then begins another, as it would have where it was."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = machine(hooks=[recorder])
        serving = asyncio.create_task(fsm.serve())
        await settle()
        fsm.stop()
        await serving
        kept = fsm.snapshot()
        assert kept.trace.run_id is None
        there = RecorderHooks()
        await restored(kept, hooks=[there])
        assert there.names() == ["run_started", "visit_started"]
        assert there.facts[0].run_id != recorder.facts[0].run_id

    run(scene())


def test_what_hooks_keep_is_found_by_the_hooks_of_the_restored_run() -> None:
    """It also survives a stay of the machine where nobody observes it, and ends with the run."""

    async def scene() -> None:
        first = Keeping("é")
        fsm = machine(hooks=[first], name="M")
        await fsm.tick()
        unobserved = await restored(fsm.snapshot())
        await unobserved.tick()
        later = Keeping("new")
        back = await restored(unobserved.snapshot(), hooks=[later])
        assert (first.found, later.found) == ([{}], [{"hook": "é", "seen by": "M"}])
        assert back.snapshot().trace.kept == {"hook": "new", "seen by": "M"}
        await back.reset()
        assert later.found[1:] == [{}]

    run(scene())


def test_hook_that_fails_to_keep_something_does_not_hurt() -> None:
    """What it raises is counted, and so is an answer that is no text; the snapshot is taken without it."""

    async def scene() -> None:
        fsm = machine(hooks=[Keeping(5)])
        await fsm.tick()
        assert (fsm.snapshot().trace.kept, fsm.stats().hook_errors) == ({}, 1)
        assert (await restored(fsm.snapshot())).stats().hook_errors == 2

    run(scene())


# -- arguments


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"timers": "never"}, ValueError, "timers must be one of 'resume', 'remaining', 'restart', not 'never'"),
        ({"queue_overflow_policy": "no"}, ValueError, "queue_overflow_policy"),
        ({"hooks": [Hooks]}, TypeError, "construct it"),
        ({"migrations": [print]}, TypeError, "septum.migrate"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, error: type[Exception], text: str) -> None:
    """What restore() cannot use is refused by name, before there is a machine."""

    async def scene() -> None:
        kept = machine().snapshot()
        kept = kept.replace(definition=kept.definition.__class__(hash="0", version=None, graph="")) if "migrations" in arguments else kept
        with pytest.raises(error, match=text):
            await restored(kept, **arguments)

    run(scene())


@pytest.mark.parametrize(("given", "text"), [("{}", r"Snapshot.from_json\(text\) reads one"), (None, "not NoneType")])
def test_what_is_no_snapshot_is_refused(given: Any, text: str) -> None:
    """restore() takes a Snapshot, and says how to read one from text."""
    with pytest.raises(TypeError, match=text):
        run(StateMachine.restore(given, Idle))


def test_reason_is_a_text() -> None:
    """A reason of another type is refused."""
    with pytest.raises(TypeError, match="a text"):
        machine().snapshot(7)  # type: ignore[arg-type]


def test_machine_keeps_its_name_and_its_place_on_the_stack() -> None:
    """Name, id and stack are those of the machine; a name that is given anew counts."""

    @septum.state(name="deep.Below", config=StateConfiguration(can_dwell=True))
    def Below() -> None:
        @septum.on_state
        async def on_state(ctx):
            return Push(Above, Below) if ctx.msg == "down" else None

        @septum.transitions
        def transitions():
            return [Push(Above, Below)]

    @septum.state(name="deep.Above", config=StateConfiguration(can_dwell=True))
    def Above() -> None:
        @septum.on_state
        async def on_state(ctx):
            return Pop if ctx.msg == "up" else None

        @septum.transitions
        def transitions():
            return [Pop]

    async def scene() -> None:
        fsm = machine(Below, name="M", machine_id="m-7")
        fsm.send_message("down")
        await fsm.run(timeout=0)
        kept = fsm.snapshot()
        back = await restored(kept, Below)
        assert (back.name, back.machine_id, back.current_state, back.state_stack) == ("M", "m-7", Above, [Below])
        back.send_message("up")
        await back.run(timeout=0)
        assert (back.current_state, back.state_stack) == (Below, [])
        assert (await restored(kept, Below, name="N")).name == "N"

    run(scene())


def test_subclass_is_restored_as_itself() -> None:
    """restore() of a subclass makes one of it."""

    class Mine(StateMachine[Any]):
        pass

    async def scene() -> None:
        kept = Mine(Idle).snapshot()
        assert type(await Mine.restore(kept, Idle)) is Mine

    run(scene())


def test_what_was_decided_before_a_reset_is_not_in_a_snapshot() -> None:
    """Cancelled in on_leave and reset, a machine has nothing decided any more, and its snapshot can be read back."""

    @septum.state(config=StateConfiguration(can_dwell=True))
    def Leaving() -> None:
        @septum.on_state
        async def on_state(ctx):
            return None if ctx.msg is None else Leaving

        @septum.on_leave
        async def on_leave(ctx):
            await asyncio.sleep(3600.0)

        @septum.transitions
        def transitions():
            return [Leaving]

    async def main() -> None:
        fsm: StateMachine[Any] = StateMachine(Leaving)
        await fsm.initialize()
        fsm.send_message("go")
        leaving = asyncio.create_task(fsm.run(timeout=0))
        await settle()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert fsm.snapshot().stage == "leave"
        await fsm.reset()
        kept = fsm.snapshot()
        assert (kept.stage, kept.decided) == ("first", None)
        assert Snapshot.from_json(kept.to_json()) == kept

    asyncio.run(main())
