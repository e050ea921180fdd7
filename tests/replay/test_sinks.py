"""Where recordings go, memory and files of OTLP JSON lines; what is in them after a kill, a full disk, a rotation."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from septum.replay import FileSink, FlightRecorder, MemorySink, Record, Recorder, records
from septum.replay._item import Identity, Item, Part
from septum.testing import ManualClock
from tests.model.generate import programs
from tests.model.machine import Machine
from tests.model.program import Tape
from tests.replay.scenes import pinging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum.replay import Sink

WHO = Identity("run-1", "machine-1", "Order", "3f1c09d2ab47")


def part(*items: Item) -> Part:
    """Return a part of one run."""
    return Part(WHO, items)


def message(index: int, text: str | None = None) -> Item:
    """Return a record of a message."""
    return Item("message", index, index, 1, index * 10, index * 100, {"septum.message.type": "str"}, text)


async def play(program: Any, *recorders: Recorder) -> None:
    """Run a random program with *recorders*, and close those."""
    definition, tape, orders = program
    machine = Machine(definition, Tape(tape), hooks=recorders)
    for order in orders:
        await machine.do(order)
    await machine.fsm.close()
    for recorder in recorders:
        recorder.close()


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_a_file_holds_what_memory_holds(tmp_path_factory: pytest.TempPathFactory, program: Any) -> None:
    """Written as OTLP JSON and read back, the records of each run are the same, at every level."""
    for level in ("metadata", "full"):
        path = tmp_path_factory.mktemp("recording") / "run.jsonl"
        memory = MemorySink()
        asyncio.run(play(program, Recorder(memory, level=level), Recorder(FileSink(path), level=level)))  # type: ignore[arg-type]
        assert comparable(records(path)) == comparable(memory.records)


def comparable(found: Any) -> list[Record]:
    """Return records run by run, as writers may mix runs."""
    return sorted(found, key=lambda record: (record.run_id, record.index))


def test_lines_of_a_file_are_otlp(tmp_path: Path) -> None:
    """Each line is an export request: resource, scope with the schema's URL, records with 64-bit numbers as texts."""
    path = tmp_path / "run.jsonl"
    sink = FileSink(path, resource={"service.name": "orders"})
    sink.write([part(Item("end", 3, 7, 2, 40, 1_700_000_000_000_000_000, {"septum.run.outcome": "failed"}, '{"a":"\u00e9"}'))])
    sink.close()
    (line,) = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    (resource,) = line["resourceLogs"]
    (scope,) = resource["scopeLogs"]
    (record,) = scope["logRecords"]
    assert resource["resource"] == {"attributes": [{"key": "service.name", "value": {"stringValue": "orders"}}]}
    assert (scope["scope"]["name"], scope["schemaUrl"]) == ("septum.recording", "https://septum.dev/schemas/septum/0.1.0")
    assert record == {
        "timeUnixNano": "1700000000000000000",
        "observedTimeUnixNano": "1700000000000000000",
        "severityNumber": 9,
        "severityText": "INFO",
        "eventName": "septum.recording.end",
        "attributes": [
            {"key": "septum.recording.version", "value": {"intValue": "1"}},
            {"key": "septum.run.id", "value": {"stringValue": "run-1"}},
            {"key": "septum.machine.id", "value": {"stringValue": "machine-1"}},
            {"key": "septum.machine.name", "value": {"stringValue": "Order"}},
            {"key": "septum.machine.definition.hash", "value": {"stringValue": "3f1c09d2ab47"}},
            {"key": "septum.recording.index", "value": {"intValue": "3"}},
            {"key": "septum.recording.time", "value": {"intValue": "40"}},
            {"key": "septum.seq", "value": {"intValue": "7"}},
            {"key": "septum.visit.number", "value": {"intValue": "2"}},
            {"key": "septum.run.outcome", "value": {"stringValue": "failed"}},
        ],
        "body": {"stringValue": '{"a":"\u00e9"}'},
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, {"boolValue": True}),
        (False, {"boolValue": False}),
        (2**63, {"intValue": "9223372036854775808"}),
        (0.1, {"doubleValue": 0.1}),
        (float("inf"), {"doubleValue": "Infinity"}),
        (float("-inf"), {"doubleValue": "-Infinity"}),
        (float("nan"), {"doubleValue": "NaN"}),
        (["a", "b"], {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}),
        ("\ud800 \n", {"stringValue": "\ud800 \n"}),
    ],
)
def test_attributes_are_written_as_otlp_has_them(tmp_path: Path, value: object, written: object) -> None:
    """Numbers that JSON cannot write are texts, as protobuf has it; nothing breaks a line."""
    sink = FileSink(tmp_path / "run.jsonl")
    sink.write([part(Item("end", 1, 1, 1, 0, 0, {"x": value}))])
    sink.close()
    (line,) = (tmp_path / "run.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert record["attributes"][-1] == {"key": "x", "value": written}


def test_files_are_rotated_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    """A file ends before a line that does not fit; the newest keeps its name."""
    path = tmp_path / "deep" / "run.jsonl"
    sink = FileSink(path, most_bytes=1, backups=2)
    for index in range(1, 6):
        sink.write([part(message(index))])
    sink.close()
    found = {file.name: [record.index for record in records(file)] for file in path.parent.iterdir()}
    assert found == {"run.jsonl": [5], "run.jsonl.1": [4], "run.jsonl.2": [3]}


def test_a_file_without_backups_begins_anew(tmp_path: Path) -> None:
    """What does not fit replaces what was there."""
    sink = FileSink(tmp_path / "run.jsonl", most_bytes=1, backups=0)
    for index in (1, 2):
        sink.write([part(message(index))])
    sink.close()
    assert [file.name for file in tmp_path.iterdir()] == ["run.jsonl"]
    assert [record.index for record in records(tmp_path / "run.jsonl")] == [2]


def test_long_writes_become_several_lines(tmp_path: Path) -> None:
    """A reader never needs to hold more than a line, and a line is not much longer than 256 KiB."""
    sink = FileSink(tmp_path / "run.jsonl")
    sink.write([part(*[message(index, json.dumps("x" * 60_000)) for index in range(1, 11)])])
    sink.close()
    lengths = [len(line) for line in (tmp_path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (len(lengths), max(lengths) < 400_000) == (2, True)


def test_a_file_is_continued_after_a_line_that_was_cut(tmp_path: Path) -> None:
    """The half line of a process that was killed stays alone; what is appended is whole."""
    path = tmp_path / "run.jsonl"
    path.write_text('{"resourceLogs":[{"reso', encoding="utf-8")
    sink = FileSink(path)
    sink.write([part(message(1))])
    sink.close()
    cut, whole = path.read_text(encoding="utf-8").splitlines()
    assert cut == '{"resourceLogs":[{"reso'
    assert json.loads(whole)


def test_a_closed_sink_refuses_and_closing_again_does_nothing(tmp_path: Path) -> None:
    """What cannot be written is told, not dropped."""
    sink = FileSink(tmp_path / "run.jsonl")
    sink.close()
    sink.close()
    sink.flush()
    assert repr(sink) == f"<FileSink {str(tmp_path / 'run.jsonl')!r}>"
    with pytest.raises(ValueError, match="closed"):
        sink.write([part(message(1))])


@pytest.mark.parametrize(("most_bytes", "backups"), [(0, 1), (1, -1)])
def test_a_file_sink_refuses_what_is_no_size(tmp_path: Path, most_bytes: int, backups: int) -> None:
    """Nothing is opened."""
    with pytest.raises(ValueError, match="most_bytes must be at least 1"):
        FileSink(tmp_path / "run.jsonl", most_bytes=most_bytes, backups=backups)
    assert list(tmp_path.iterdir()) == []


def test_memory_forgets_the_oldest_and_counts_them() -> None:
    """It never holds more than it may."""
    sink = MemorySink(2)
    sink.write([part(message(1), message(2), message(3))])
    assert ([record.index for record in sink.records], sink.forgotten) == ([2, 3], 1)
    assert repr(sink) == "<MemorySink of 2 records>"
    with pytest.raises(ValueError, match="at least 1"):
        MemorySink(0)


KILLED = """
import asyncio, os, signal, sys
from septum.replay import FileSink, Recorder
from tests.replay.scenes import pinging

async def main():
    fsm = pinging(hooks=[Recorder(FileSink(sys.argv[1]))])
    await fsm.initialize()
    for number in range(10_000):
        fsm.send_message(number)
        await fsm.tick()
        if number == 6_000:
            print("well under way", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_file_is_readable_after_kill_9(tmp_path: Path) -> None:
    """A process that kills itself loses what waited: the last 512 entries at most; all that was written before is there without a gap."""
    path = tmp_path / "run.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "well under way\n"), done.stderr
    found = list(records(path))
    assert [record.index for record in found] == list(range(1, len(found) + 1))
    # A turn is four entries: the first call, message, taken, and the step, which is two records.
    assert len(found) > 10_000 * 5 - 2 * 512


def test_a_file_that_was_cut_is_readable_up_to_the_last_whole_line(tmp_path: Path) -> None:
    """Wherever the cut is, the lines before it are there; the reader says what it met."""
    path = tmp_path / "run.jsonl"
    sink = FileSink(path)
    for index in (1, 2, 3):
        sink.write([part(message(index))])
    sink.close()
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (last, last + 1, (last + len(whole)) // 2, len(whole) - 2):
        path.write_bytes(whole[:cut])
        found = []
        try:
            for record in records(path):
                found.append(record.index)  # noqa: PERF401 - kept when the reader stops
        except ValueError:
            pass
        assert found == [1, 2]


class Failing:
    """A sink that cannot write."""

    def write(self, parts: Sequence[Part]) -> None:
        raise OSError("the disk is full")

    def flush(self) -> None:
        raise OSError("the disk is full")

    def close(self) -> None:
        raise OSError("the disk is full")


def test_a_sink_that_raises_hurts_no_machine_and_what_is_lost_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Logged once, counted, and the machine does not notice."""
    sink: Sink = Failing()
    recorder = Recorder(sink)
    fsm = pinging(hooks=[recorder])

    async def main() -> None:
        await fsm.initialize()
        for _ in range(3):
            fsm.send_message("go")
            await fsm.tick()
            recorder.flush()
        await fsm.close()

    asyncio.run(main())
    recorder.close()
    assert (fsm.stats().handled, fsm.stats().hook_errors, recorder.lost) == (3, 0, 17)
    assert [record.getMessage() for record in caplog.records] == [
        "the recording cannot be written; Recorder.lost counts what is gone, later errors are not logged"
    ]


def test_flight_recorder_and_file_sink_write_the_same(tmp_path: Path) -> None:
    """A dump of a ring in which everything has room is the recording."""
    path = tmp_path / "run.jsonl"
    flight = FlightRecorder(1000, directory=tmp_path)

    async def main() -> None:
        with Recorder(FileSink(path)) as recorder:
            fsm = pinging(hooks=[recorder, flight], clock=ManualClock())
            await fsm.initialize()
            for number in range(5):
                fsm.send_message(number)
                await fsm.tick()
            await fsm.close()

    asyncio.run(main())
    assert list(records(flight.dump())) == list(records(path))
