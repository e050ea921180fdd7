"""Runs that are in several parts, or begin in their middle: replayed from where each part says that the machine stands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from septum import LabeledTransition, Retry, RetryPolicy, Snapshot, StateMachine, StateSpec
from septum.replay import FileSink, Limits, MemorySink, Record, Recorder, execute, load, what_if
from septum.replay._virtual import VirtualClock, VirtualLoop, step_through
from tests.replay.plays import E, record, replay, serve, state, two, waiting

if TYPE_CHECKING:
    from pathlib import Path


async def count(ctx: Any) -> Any:
    """Add what comes to the sum; enough of it leads on."""
    if isinstance(ctx.msg, int):
        ctx.common["sum"] = await ctx.call("add", _add, ctx.common.get("sum", 0), ctx.msg)
    return E.ON if ctx.common.get("sum", 0) >= 30 else None


async def _add(first: int, second: int) -> int:
    await asyncio.sleep(0.5)
    return first + second


def in_virtual_time(main: Any) -> None:
    """Run main(clock) in virtual time."""
    clock = VirtualClock()
    loop = VirtualLoop(clock)
    try:
        loop.run(main(clock), step_through(clock))
    finally:
        loop.close()


async def put_away(sink: Any, clock: VirtualClock, *, later: tuple[int, ...] = (), close: bool = True) -> Snapshot:
    """Let a machine count to ten, with ten more in its mailbox, and write it down; messages *later* come after that."""
    recorder = Recorder(sink, level="full")
    machine: StateMachine[Any] = StateMachine(two(count, timeout=100.0), clock=clock, hooks=[recorder])
    await machine.initialize()
    machine.send_message(10)
    await machine.run(timeout=0)
    machine.send_message(10)
    snapshot = Snapshot.from_json(machine.snapshot("deploy").to_json())
    for message in later:
        machine.send_message(message)
        await machine.run(timeout=0)
    if close:
        await machine.close()
    recorder.flush()
    return snapshot


async def go_on(sink: Any, clock: VirtualClock, snapshot: Snapshot, *messages: int) -> None:
    """Restore a machine, send it *messages* one by one, and stop it."""
    recorder = Recorder(sink, level="full")
    machine: StateMachine[Any] = await StateMachine.restore(snapshot, two(count, timeout=100.0), clock=clock, hooks=[recorder])
    await machine.run(timeout=0)
    for message in messages:
        machine.send_message(message)
        await machine.run(timeout=0)
    await machine.close()
    recorder.flush()


@pytest.mark.parametrize("close", [True, False], ids=["closed", "killed"])
def test_run_that_was_restored_is_replayed_through_all_its_parts(close: bool, tmp_path: Path):
    """The second part goes on where the snapshot was taken, with what waited in the mailbox then."""
    file = tmp_path / "run.jsonl"

    async def main(clock: VirtualClock) -> None:
        snapshot = await put_away(FileSink(file), clock, close=close)
        await go_on(FileSink(file), clock, snapshot, 10)

    in_virtual_time(main)
    [run] = load(file)
    execution = execute(run, two(count, timeout=100.0))

    assert execution.ok, str(execution)
    assert execution.path == ("First -> Last (E.ON)",)
    assert execution.records == len(list(run.records))
    assert execution.notes == ("went on with the machine that was restored in record 11",)


@pytest.mark.parametrize("close", [True, False], ids=["closed", "killed"])
def test_what_came_after_the_snapshot_is_replayed_and_then_what_came_instead(close: bool, tmp_path: Path):
    """A process went on after its snapshot and was lost; the machine that was restored went another way."""
    file = tmp_path / "run.jsonl"

    async def main(clock: VirtualClock) -> None:
        snapshot = await put_away(FileSink(file), clock, later=(1, 2, 3, 4), close=close)
        await asyncio.sleep(1.0)
        await go_on(FileSink(file), clock, snapshot, 2, 8)

    in_virtual_time(main)
    [run] = load(file)
    starts = [each for each in run.records if each.event == "start"]
    sums = [each.body for each in run.records if each.event == "effect"]
    execution = execute(run, two(count, timeout=100.0))

    assert len(starts) == 2
    assert sums == [10, 20, 21, 23, 26, 30, 20, 22, 30]
    assert execution.ok, str(execution)
    assert execution.path == ("First -> Last (E.ON)", "First -> Last (E.ON)")


def test_other_answer_after_a_restore_is_found():
    """The part after a restore is compared as the first is."""
    sink = MemorySink()

    async def main(clock: VirtualClock) -> None:
        await go_on(sink, clock, await put_away(sink, clock), 10)

    async def other(ctx: Any) -> Any:
        answer = await count(ctx)
        return None if answer is E.ON else answer

    in_virtual_time(main)
    execution = execute(list(sink.records), two(other, timeout=100.0))

    assert execution.verdict == "diverged"
    assert execution.divergence is not None
    assert "answered E.ON" in execution.divergence.expected


def test_recorder_that_was_away_goes_on_where_the_machine_is_then():
    """What was not recorded in between is not replayed, and a message that was dealt with meanwhile does not wait any more."""

    async def drive(machine: Any, recorder: Any) -> None:
        await machine.initialize()
        machine.attach(recorder)
        for message in (1, 2):
            machine.send_message(message)
        machine.detach(recorder)
        await machine.run(timeout=0)
        await machine.run(timeout=0)
        machine.attach(recorder)
        machine.send_message(3)
        await machine.run(timeout=0)
        await machine.close()

    records = record(two(count), drive, attach=False)
    execution = replay(records, two(count))

    assert [each.event for each in records].count("start") == 2
    assert execution.ok, str(execution)
    assert execution.records == len(records)


def test_handler_of_a_run_from_its_middle_is_cut_when_it_was(tmp_path: Path):
    """The deadline of the visit that goes on is that of its beginning, which the recording says."""

    async def slow(ctx: Any) -> Any:
        if ctx.msg == "slow":
            await asyncio.sleep(5.0)
        return None

    async def late(ctx: Any) -> Any:
        return E.LATE

    async def drive(machine: Any, recorder: Any) -> None:
        asyncio.get_running_loop().call_later(6.0, machine.attach, recorder)
        await serve(machine, (7.0, "slow"), end=12.0)

    def make() -> StateSpec:
        return two(slow, timeout=10.0, on_timeout=late)

    records = record(make(), drive, attach=False)
    execution = replay(records, make())

    start = records[0].attributes
    assert (start["septum.recording.stage"], start["septum.recording.deadline"]) == ("wait", pytest.approx(4.0))
    assert start["septum.recording.timeouts"] == ("First 10.0",)
    assert execution.ok, str(execution)
    assert execution.path == ("First -> Last (E.LATE)",)


def test_deadline_that_fired_before_the_recording_does_not_fire_again():
    """A state that stays after its timeout has none any more."""

    async def late(ctx: Any) -> Any:
        return None

    async def drive(machine: Any, recorder: Any) -> None:
        asyncio.get_running_loop().call_later(6.0, machine.attach, recorder)
        await serve(machine, (50.0, 1), end=60.0)

    def make() -> StateSpec:
        return two(count, timeout=5.0, on_timeout=late)

    records = record(make(), drive, attach=False)

    assert "septum.recording.deadline" not in records[0].attributes
    assert replay(records, make()).ok


def test_gap_before_a_snapshot_takes_its_data():
    """After a gap `common` is that of the snapshot, and is compared on."""

    async def drive(machine: Any) -> None:
        task = asyncio.ensure_future(serve(machine, (1, 5), (2, 6), (4, 20)))
        await asyncio.sleep(3)
        machine.snapshot("every now and then")
        await task

    records = record(two(count), drive)
    snapshot = next(each for each in records if each.event == "snapshot")
    execution = replay([each for each in records if not 5 <= each.index < snapshot.index], two(count))

    assert snapshot.body == {"sum": 11}
    assert execution.ok, str(execution)
    assert execution.path == ("First -> Last (E.ON)",)


def test_snapshots_leave_room_for_what_comes_only_once():
    """However often a machine is written down, its messages are recorded: snapshots take a quarter of a run's limit."""

    async def drive(machine: Any) -> None:
        await machine.initialize()
        machine.common["text"] = "x" * 1_000
        for _ in range(50):
            machine.snapshot()
        machine.send_message("y" * 1_000)
        await machine.run(timeout=0)
        await machine.close()

    async def wait(ctx: Any) -> Any:
        return None

    records = record(two(wait), drive, recorder={"limits": Limits(run=10_000)})

    kept = [each.attributes["septum.recording.encoding"] for each in records if each.event == "snapshot"]
    assert kept == ["json", "json", *["digest"] * 48]
    [message] = [each for each in records if each.event == "message"]
    assert message.body == "y" * 1_000


def test_run_that_begins_in_a_delay_goes_on_when_that_is_over():
    """A machine that was written down while a retry waits calls the handler again when its time has come."""
    sink = MemorySink()

    async def tries(ctx: Any) -> Any:
        return E.ON if ctx.retry_count == 2 else Retry

    def make() -> StateSpec:
        last = waiting()
        first: StateSpec = state(
            "First", tries, lambda: [LabeledTransition(E.ON, last), Retry], retries=3, retry=RetryPolicy(base=4.0, jitter=0.0)
        )
        return first

    async def main(clock: VirtualClock) -> None:
        recorder = Recorder(sink, level="full")
        machine: StateMachine[Any] = StateMachine(make(), clock=clock, hooks=[recorder])
        await machine.initialize()
        await machine.tick()
        await asyncio.sleep(1.0)
        snapshot = machine.snapshot()
        await machine.close()
        recorder.flush()
        again = await StateMachine.restore(snapshot, make(), clock=clock, hooks=[Recorder(sink, level="full")])
        await again.run(timeout=20.0)
        await again.close()

    in_virtual_time(main)
    records: list[Record] = list(sink.records)
    execution = replay(records, make())

    start = [each for each in records if each.event == "start"][1]
    assert (start.attributes["septum.recording.stage"], start.attributes["septum.recording.deadline"]) == ("delay", 3.0)
    assert execution.ok, str(execution)
    assert execution.path[-1] == "First -> Last (E.ON)"


def in_two_parts() -> list[Record]:
    """Return what is recorded of a machine that was closed with a message in its mailbox, and restored."""
    sink = MemorySink()

    async def main(clock: VirtualClock) -> None:
        await go_on(sink, clock, await put_away(sink, clock), 10)

    in_virtual_time(main)
    return list(sink.records)


def test_message_that_waited_over_a_restore_can_be_changed_and_dropped():
    """It stands in both parts; an edit is of both. The result of the call that it leads to is the caller's."""
    records = in_two_parts()

    changed = what_if(records, two(count, timeout=100.0), ["change message 2 to 20", "result add#2=30"])
    dropped = what_if(records, two(count, timeout=100.0), ["drop message 2", "result add#2=20"])
    later = what_if(records, two(count, timeout=100.0), ["drop message 3"])

    assert [move.at / 1e9 for move in changed.replayed] == [1.0]
    assert (dropped.parts_at, dropped.replayed, dropped.ended) == (0, (), "was in First when the recording ended, after 1.5 s")
    assert (later.parts_at, later.replayed, later.ended) == (0, (), "was in First when the recording ended, after 1.5 s")


def test_what_if_of_a_run_from_its_middle_begins_where_that_stood():
    """An edit of the first message that was recorded does not send the machine back to its initial state."""

    async def there(ctx: Any) -> Any:
        return E.ON if ctx.msg == "on" else None

    async def back(ctx: Any) -> Any:
        return E.BACK if ctx.msg == "back" else None

    async def drive(machine: Any, recorder: Any) -> None:
        await machine.initialize()
        machine.send_message("on")
        await machine.run(timeout=0)
        machine.attach(recorder)
        await serve(machine, (1, "x"), (2, "back"), end=3)

    def make() -> StateSpec:
        second: StateSpec = state("Second", back, lambda: [LabeledTransition(E.BACK, first)])
        first: StateSpec = state("First", there, lambda: [LabeledTransition(E.ON, second)])
        return first

    records = record(make(), drive, attach=False)
    answer = what_if(records, make(), ['insert message "back" before message 1'])

    assert [str(move) for move in answer.recorded] == ["Second -> First (E.BACK)"]
    assert [str(move) for move in answer.replayed] == ["Second -> First (E.BACK)"]
    assert answer.replayed[0].at < answer.recorded[0].at


@pytest.mark.parametrize("level", ["metadata", "full"])
def test_handler_that_nobody_recorded_is_not_called(level: str):
    """After the last step before a second start, the machine goes on where that says, whichever way its steps are told."""
    calls: list[str] = []

    async def on(ctx: Any) -> Any:
        calls.append(ctx.current_state.base_name)
        return E.ON

    def make() -> StateSpec:
        pong: StateSpec = state("Pong", on, lambda: [LabeledTransition(E.ON, ping)])
        ping: StateSpec = state("Ping", on, lambda: [LabeledTransition(E.ON, pong)])
        return ping

    async def drive(machine: Any, recorder: Any) -> None:
        machine.attach(recorder)
        await machine.run(max_iterations=5)
        machine.detach(recorder)
        await machine.run(max_iterations=4)
        machine.attach(recorder)
        await machine.run(max_iterations=5)

    records = record(make(), drive, attach=False, recorder={"level": level})
    calls.clear()
    execution = replay(records, make())

    assert [each.event for each in records].count("start") == 2
    assert execution.ok, str(execution)
    assert (execution.calls, len(calls)) == (10, 10)
