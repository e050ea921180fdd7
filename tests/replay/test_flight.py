"""The flight recorder: what is in the ring when something goes wrong, where it is written, and that it never grows."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from septum import LabeledTransition, StateConfiguration, StateMachine, septum
from septum.replay import FlightRecorder, Limits, MemorySink, Recorder, load, records
from septum.testing import ManualClock
from tests.model.generate import programs
from tests.model.machine import Machine
from tests.model.program import Tape
from tests.replay.scenes import Go, Ping, pinging

if TYPE_CHECKING:
    from pathlib import Path


@septum.state(config=StateConfiguration(can_dwell=True))
def Fragile() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg == "break":
            raise LookupError("it broke")
        return None if ctx.msg is None else Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Fragile)]


async def send(fsm: StateMachine[Any], *messages: object) -> None:
    """Let the machine deal with *messages* one by one."""
    for message in messages:
        fsm.send_message(message)
        await fsm.tick()


def fragile(**arguments: Any) -> StateMachine[Any]:
    """Return a machine that breaks when it is told to."""
    return StateMachine(Fragile, name="fragile", **arguments)


def test_an_exception_that_leaves_a_machine_says_where_the_records_are(tmp_path: Path) -> None:
    """A note on it names the file, which ends with where the exception went."""
    flight = FlightRecorder(directory=tmp_path / "flight")

    async def main() -> LookupError:
        fsm = fragile(hooks=[flight])
        with pytest.raises(LookupError) as broken:
            await send(fsm, "go", "break")
        return broken.value

    error = asyncio.run(main())
    (path,) = flight.written
    assert error.__notes__ == [f"septum: the last records of this process are in {path}"]
    assert re.fullmatch(rf"septum-flight-{os.getpid()}-\d+\.jsonl", path.name)
    assert [record.event for record in records(path)][-2:] == ["handler", "error"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_one_exception_is_written_once_and_one_that_came_from_elsewhere_too(tmp_path: Path) -> None:
    """Raised and then told as the end of the run it is one file; so is what was raised in the block of `async with`."""
    flight = FlightRecorder(directory=tmp_path, interval=0.0)

    async def main() -> None:
        with pytest.raises(LookupError):
            async with fragile(hooks=[flight]) as fsm:
                await send(fsm, "break")
        with pytest.raises(ZeroDivisionError) as mine:
            async with fragile(hooks=[flight]):
                raise ZeroDivisionError
        assert len(mine.value.__notes__) == 1

    asyncio.run(main())
    assert len(flight.written) == 2
    assert [record.event for record in records(flight.written[1])][-1] == "end"


def test_an_exception_that_is_handled_writes_nothing(tmp_path: Path) -> None:
    """`on_error_fn` and the error state are the program's way of dealing with it."""
    flight = FlightRecorder(directory=tmp_path)

    async def main() -> None:
        fsm = fragile(hooks=[flight], on_error_fn=lambda ctx, error: Fragile)
        await send(fsm, "break", "go")
        await fsm.close()

    asyncio.run(main())
    assert (flight.written, list(tmp_path.iterdir())) == ([], [])


def test_a_thousand_failures_do_not_fill_a_disk(tmp_path: Path) -> None:
    """Within the interval the file before is named; of files the newest are kept."""
    slow, quick = FlightRecorder(directory=tmp_path / "slow"), FlightRecorder(directory=tmp_path / "quick", files=2, interval=0.0)

    async def main() -> list[str]:
        notes: list[str] = []
        for _ in range(5):
            with pytest.raises(LookupError) as broken:
                await send(fragile(hooks=[slow, quick]), "break")
            notes += broken.value.__notes__
        return notes

    notes = asyncio.run(main())
    (path,) = slow.written
    assert [note.partition(", as they were")[0] for note in notes] == [f"septum: the last records of this process are in {path}"] * 5
    assert sorted(file.name.rpartition("-")[2] for file in (tmp_path / "slow").iterdir()) == ["1.jsonl"]
    # Two recorders, two notes at most: the second finds the first's and writes nothing of its own.
    assert quick.written == []


def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    """Those that were dumped to a path of the caller's are his."""
    flight = FlightRecorder(directory=tmp_path, files=2)
    mine = flight.dump(tmp_path / "mine.jsonl")
    made = [flight.dump() for _ in range(3)]
    assert flight.written == made[1:]
    assert sorted(tmp_path.iterdir()) == sorted([mine, *made[1:]])


def test_the_ring_has_the_newest_and_the_gap_is_counted(tmp_path: Path) -> None:
    """The start is kept beside the ring; what fell out between is missing by its numbers, exactly."""
    flight = FlightRecorder(10, directory=tmp_path)
    memory = MemorySink()

    async def main() -> None:
        with Recorder(memory) as recorder:
            # Under a real clock the wall times of records that are written together may differ by how long it takes to read it.
            fsm = pinging(hooks=[flight, recorder], clock=ManualClock())
            await fsm.initialize()
            await send(fsm, *range(100))

    asyncio.run(main())
    kept = list(records(flight.dump()))
    everything = {record.index: record for record in memory.records}
    assert [record.index for record in kept] == [1, *range(len(everything) - len(kept) + 2, len(everything) + 1)]
    assert kept == [everything[record.index] for record in kept]
    (run,) = load(flight.written[0])
    assert [gap[1:] for gap in run.gaps if gap.what == "records"] == [(2, kept[1].index - 1)]


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(programs(), st.integers(1, 40))
def test_whatever_happens_a_dump_is_the_end_of_the_recording(tmp_path: Path, program: Any, size: int) -> None:
    """Over random programs: the newest records of each run with their numbers, and the start of each run that is in it."""
    flight, memory = FlightRecorder(size, directory=tmp_path, files=1), MemorySink()

    async def main() -> None:
        definition, tape, orders = program
        with Recorder(memory) as recorder:
            machine = Machine(definition, Tape(tape), hooks=(flight, recorder))
            for order in orders:
                await machine.do(order)

    asyncio.run(main())
    everything = {(record.run_id, record.index): record for record in memory.records}
    kept = list(records(flight.dump(tmp_path / "all.jsonl")))
    assert kept == [everything[record.run_id, record.index] for record in kept]
    for run_id in {record.run_id for record in kept}:
        indexes = [record.index for record in kept if record.run_id == run_id]
        last = max(index for run, index in everything if run == run_id)
        assert indexes == [1, *range(last - len(indexes) + 2, last + 1)]
    assert len(flight._ring) <= size


@pytest.mark.slow
def test_it_never_grows(tmp_path: Path) -> None:
    """Neither with long runs, nor with many, nor with big bodies, nor with machines that vanish."""
    flight = FlightRecorder(50, directory=tmp_path, level="full", limits=Limits(run=10_000))

    async def main() -> None:
        for _ in range(100):
            fsm = fragile(hooks=[flight], common_data="c" * 500)
            await fsm.initialize()
            await send(fsm, *["x" * 1000] * 5)
            await fsm.close()
        for _ in range(20):
            fsm = fragile(hooks=[flight], common_data="c" * 500)
            await fsm.initialize()
            del fsm
            gc.collect()

    asyncio.run(main())
    assert len(flight._ring) <= 50
    assert flight._bytes == sum(len(entry.text or "") for entry in flight._ring if hasattr(entry, "text")) <= 10_000
    assert len(flight._runs) <= 52  # a vanished one leaves with its place in the ring
    assert len(flight._lost) <= len(flight._runs)
    assert flight._starts == sum(len(run.start.text or "") for run in flight._runs.values() if run.start is not None) <= 10_000
    assert list(records(flight.dump()))


def test_starts_without_room_lose_their_body(tmp_path: Path) -> None:
    """What many runs have in common is bounded like everything else."""
    flight = FlightRecorder(50, directory=tmp_path, level="full", limits=Limits(run=1_000))

    async def main() -> None:
        machines = [fragile(hooks=[flight], common_data="c" * 400) for _ in range(3)]
        for fsm in machines:
            await fsm.initialize()
            await send(fsm, "go")
        bodies = [record.body for record in records(flight.dump()) if record.event == "start"]
        assert bodies == ["c" * 400, "c" * 400, None]

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="this system has no SIGUSR2")
def test_a_signal_writes_what_there_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever handled that signal before is called too, and is alone again afterwards."""
    flight = FlightRecorder(directory=tmp_path)
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: seen.append(number))
    try:
        take_back = flight.dump_on_signal()

        async def main() -> None:
            fsm = pinging(hooks=[flight])
            await fsm.initialize()
            signal.raise_signal(signal.SIGUSR2)

        asyncio.run(main())
        take_back()
        signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    (path,) = flight.written
    assert (seen, [record.event for record in records(path)]) == ([signal.SIGUSR2] * 2, ["start"])
    assert [record.getMessage() for record in caplog.records] == [
        f"signal {signal.SIGUSR2:d}: the last records of this process are in {path}"
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="this system has no SIGUSR2")
def test_a_signal_that_cannot_be_answered_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The process goes on, whatever its disk says."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    flight = FlightRecorder(directory=tmp_path / "file" / "below")
    take_back = flight.dump_on_signal(signal.SIGUSR2)
    signal.raise_signal(signal.SIGUSR2)
    take_back()
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    take_back()
    assert [record.getMessage() for record in caplog.records] == [
        f"signal {signal.SIGUSR2:d}: the last records of this process cannot be written"
    ]


def test_a_disk_that_is_full_hurts_no_machine(tmp_path: Path) -> None:
    """The exception goes to the caller as it would have, with a note that says why there is no file."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    flight = FlightRecorder(directory=tmp_path / "file" / "below")

    async def main() -> tuple[LookupError, int]:
        fsm = fragile(hooks=[flight])
        with pytest.raises(LookupError) as broken:
            await send(fsm, "break")
        return broken.value, fsm.stats().hook_errors

    error, hook_errors = asyncio.run(main())
    (note,) = error.__notes__
    assert hook_errors == 0
    assert note.startswith("septum: the last records of this process could not be written: ")


@pytest.mark.parametrize("arguments", [{"size": 0}, {"files": 0}, {"level": "all"}])
def test_it_refuses_what_it_cannot_be_made_of(arguments: Any) -> None:
    """Before anything is recorded."""
    with pytest.raises(ValueError, match="at least 1|level must be"):
        FlightRecorder(**arguments)


def test_it_says_how_full_it_is() -> None:
    """For whoever prints it."""
    assert repr(FlightRecorder(7)) == "<FlightRecorder with 0 of 7 entries>"


def test_a_recorder_that_was_away_has_both_starts(tmp_path: Path) -> None:
    """The first is kept beside the ring, the second stands in it; names of files that are there already are not used."""
    flight = FlightRecorder(directory=tmp_path)
    (tmp_path / f"septum-flight-{os.getpid()}-1.jsonl").write_text("mine", encoding="utf-8")

    async def main() -> None:
        fsm = pinging()
        await fsm.initialize()
        for _ in range(2):
            fsm.attach(flight)
            await send(fsm, "go")
            fsm.detach(flight)

    asyncio.run(main())
    path = flight.dump()
    assert path.name == f"septum-flight-{os.getpid()}-2.jsonl"
    assert [(record.index, record.event) for record in records(path)][::6] == [(1, "start"), (7, "start")]


def test_a_system_without_the_signal_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no SIGUSR2."""
    monkeypatch.delattr(signal, "SIGUSR2", raising=False)
    with pytest.raises(ValueError, match="there is no SIGUSR2 here"):
        FlightRecorder().dump_on_signal()


def test_a_machine_that_is_restored_in_the_same_process_goes_on_in_the_ring(tmp_path: Path) -> None:
    """One run with two starts and two ends; the first end that falls out does not take the rest with it."""
    flight = FlightRecorder(16, directory=tmp_path)

    async def main() -> None:
        fsm = pinging(hooks=[flight])
        await fsm.initialize()
        await send(fsm, "go")
        snapshot = fsm.snapshot()
        await fsm.close()
        restored = await StateMachine.restore(snapshot, Ping, hooks=[flight])
        await send(restored, "on")
        before = list(records(flight.dump()))
        assert [record.index for record in before] == list(range(1, len(before) + 1))
        assert [record.event for record in before].count("end") == 1
        await send(restored, *range(20))
        after = list(records(flight.dump()))
        assert "end" not in {record.event for record in after}
        assert [record.index for record in after] == [1, *range(after[1].index, after[-1].index + 1)]

    asyncio.run(main())
