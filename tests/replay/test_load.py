"""What is read, from what: every format, whatever is put together of it, and what is said of what is missing."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings

from septum import StateMachine, StateMachineComplete
from septum.replay import At, BadRecording, Gap, LogsSink, MemorySink, Message, Record, Recorder, Run, RunError, Step, load, records
from septum.replay import _documents as documents
from septum.replay import _quick as quick
from septum.replay._protobuf import Reader
from septum.testing import ManualClock
from tests.model.generate import programs
from tests.replay.exported import SCOPES, SEGMENT, Exported, Program, play
from tests.replay.fixtures.make import RUN_ID, Open
from tests.replay.forms import FORMS, ROUNDED, batches, json_lines, protobuf, spans_in, standard_library_only, text

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parent / "fixtures"
BEGAN = 1_767_225_600_000_000_000
S = 1_000_000_000

WALK = [
    Step(1, 2, "Open", "initial", None, None, (), 0, BEGAN, 6 * S, "push", "Asking", "Do.ASK", None, 0, None, None, None),
    Step(
        2,
        12,
        "Asking",
        "push",
        "Do.ASK",
        "Open",
        ("Open",),
        6 * S,
        BEGAN + 6 * S,
        6 * S,
        "timeout",
        "Open",
        None,
        None,
        0,
        None,
        5.0,
        6 * S,
    ),
    Step(
        3, 21, "Open", "pop", None, "Asking", (), 12 * S, BEGAN + 12 * S, 6 * S, "transition", "Paying", "Do.PAY", None, 0, None, None, None
    ),
    Step(4, 30, "Paying", "label", "Do.PAY", "Open", (), 18 * S, BEGAN + 18 * S, 6 * S, "retry", "Paying", None, None, 0, None, None, None),
    Step(5, 40, "Paying", "retry", None, "Paying", (), 30 * S, BEGAN + 30 * S, 6 * S, "completed", None, "Do.DONE", None, 1, 2, None, None),
]


@pytest.fixture
def without_msgspec() -> Iterator[None]:
    """Read as without the extra `replay`."""
    with standard_library_only():
        yield


@pytest.mark.parametrize("name", FORMS)
def test_fixture_of_each_form_gives_the_same_run(name: str) -> None:
    """The one run that stands in all of them: its walk, how it ended, its machine and definition."""
    (run,) = load(FIXTURES / name)
    assert list(run.steps) == WALK
    assert (run.run_id, run.machine_id, run.machine_name, run.source) == (RUN_ID, "shop-1", "Shop", "spans")
    assert (run.outcome, run.started, run.duration, run.last_state, run.complete) == ("completed", BEGAN, 36 * S, "Paying", True)
    assert (run.gaps, run.duplicates, run.truncated, run.errors, run.files) == ((), 0, False, (), (str(FIXTURES / name),))
    assert run.definition_hash == load(FIXTURES / "otlp.jsonl")[0].definition_hash != ""
    assert [(message.number, message.type, message.visit) for message in run.messages] == [
        (1, "str", 1), (2, "str", 3), (3, "str", 4), (4, "str", 5),
    ]  # fmt: skip


@pytest.mark.usefixtures("without_msgspec")
@pytest.mark.parametrize("name", [name for name in FORMS if "json" in name])
def test_fixture_is_read_by_the_standard_library_as_well(name: str) -> None:
    """Without msgspec the same comes out."""
    (run,) = load(FIXTURES / name)
    assert list(run.steps) == WALK


def test_events_give_the_walk_without_numbers() -> None:
    """Events alone, the definition among them, which tells what a push put below."""
    (run,) = load(FIXTURES / "events.jsonl")
    unknown = {2: {"timeout": 5.0}, 5: {"limit": 2}}
    assert list(run.steps) == [step._replace(seq=0, **unknown.get(step.visit, {})) for step in WALK]
    assert (run.source, run.outcome, run.gaps, run.complete) == ("events", "completed", (), True)
    assert run.definition is not None
    assert run.definition["initial"] == "shop.Open"


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("recording-v*.jsonl")), ids=lambda path: path.name)
def test_recording_of_every_version_is_read(path: Path) -> None:
    """A recording that an older version wrote loads for ever: the walk, the messages, and every record in its order."""
    (run,) = load(path)
    # It has the end of a retry's delay, not the later moment at which that was noticed; and no timeout that did not fire.
    assert [step._replace(wall=0, at=0, duration=0) for step in run.steps] == [step._replace(wall=0, at=0, duration=0) for step in WALK]
    assert (run.source, run.outcome, run.complete) == ("recording", "completed", True)
    assert [record.index for record in run.records] == list(range(1, len(list(run.records)) + 1))
    assert list(run.records) == list(records(path))
    assert [message.reason or message.type for message in run.messages] == ["str"] * 4


@pytest.mark.parametrize("name", ["everything-v1.jsonl", "everything-v1-bodies.jsonl"])
def test_recording_of_everything_that_can_happen_is_read(name: str) -> None:
    """Two machines at each level: every record is there, with its body from level "inline" on, alone or in a batch."""
    found = load(FIXTURES / name)

    assert [(run.machine_id, run.outcome, run.complete, run.gaps, len(run.steps)) for run in found] == [
        (f"{machine}-{level}", outcome, True, (), steps)
        for level in ("metadata", "inline", "full")
        for machine, outcome, steps in (("clerk", "completed", 7), ("ping", "stopped", 101))
    ]
    assert [(len(list(run.records)), sum(record.body is not None for record in run.records)) for run in found] == [
        (60, 0), (204, 0), (60, 16), (204, 2), (60, 16), (204, 2),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("trace_scope", SCOPES)
def test_to_each_form_and_back_is_the_same(name: str, trace_scope: Any) -> None:
    """Random machines, in every trace scope, over segments: from every form come the runs that come from OTLP's lines."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(programs())
    def law(program: Program) -> None:
        exported = Exported(trace_scope=trace_scope, events=False, segment_max_visits=SEGMENT)
        play(program, exported.hooks)
        found, expected = load(FORMS[name](exported.spans())), load(json_lines(exported.spans()))
        if name in ROUNDED:
            found, expected = list(map(rounded, found)), list(map(rounded, expected))
        assert found == expected

    law()


def rounded(run: Run) -> tuple[Any, ...]:
    """Return what does not depend on nanoseconds."""
    steps = [step._replace(at=0, wall=0, duration=0 if step.duration is None else 1, timed_out=step.timed_out and 1) for step in run.steps]
    return (
        run.run_id,
        steps,
        run.outcome,
        run.gaps,
        run.duplicates,
        sorted(message._replace(queued_at=0, taken_at=0) for message in run.messages),
    )


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(programs())
def test_with_and_without_msgspec_the_same_is_read(program: Program) -> None:
    """Spans, events and records, signal by signal."""
    exported = Exported(detail="handlers", segment_max_visits=SEGMENT)
    sink = LogsSink(exported.logger_provider)
    play(program, exported.hooks, Recorder(sink, level="full"))
    data = exported.lines() + exported.log_lines()
    found, of_recording = load(data), list(records(data))
    with standard_library_only():
        assert (load(data), list(records(data))) == (found, of_recording)


@pytest.mark.parametrize("name", [name for name in FORMS if name.endswith(".json")])
def test_large_document_is_read_as_a_small_one_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is decoded span by span; one of them that only the standard library reads changes nothing for those before and after it."""
    odd = (FIXTURES / name).read_bytes().replace(b'"Do.PAY"', b'"Do.\\ud800PAY"')
    found = load(FIXTURES / name), load(odd)
    monkeypatch.setattr(quick, "LARGE", 0)
    assert (load(FIXTURES / name), load(odd)) == found


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("first", [b"", b"\xef\xbb\xbf"])
def test_file_whose_first_line_is_long_is_read_to_its_end(first: bytes, tmp_path: Path) -> None:
    """Longer than what is read at once, also of a named pipe, whose size nobody knows."""
    line, *rest = (FIXTURES / "otlp.jsonl").read_bytes().splitlines(keepends=True)
    data = b"".join([first, line[:-1], b" " * (1 << 20), b"\n", *rest])
    (tmp_path / "file").write_bytes(data)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    found = [load(tmp_path / name) for name in ("pipe", "file")]
    writer.join()
    assert [list(run.steps) for runs in found for run in runs] == [WALK, WALK]


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(programs())
def test_layouts_of_spans_change_nothing(program: Program) -> None:
    """Protobuf that is read by the layouts of spans before it, and field by field."""
    exported = Exported(detail="handlers", segment_max_visits=SEGMENT)
    play(program, exported.hooks)
    messages = [protobuf(batch) for batch in batches(exported.spans())]
    reader = Reader()
    found = [list(reader.read(message)) for message in (*messages, *messages)]
    assert found == [list(Reader().read(message)) for message in messages] * 2


# ---- what is given


def test_folder_stands_for_its_files_whatever_they_are_called(tmp_path: Path) -> None:
    """Every file in it and below is read by what it holds; what is there twice is left out and counted."""
    spans = FIXTURES / "otlp.jsonl"
    (tmp_path / "deeper").mkdir()
    (tmp_path / "one").write_bytes(spans.read_bytes())
    (tmp_path / "deeper" / "picture.png").write_bytes((FIXTURES / "tempo-v2.json").read_bytes())
    (run,) = load(tmp_path)
    assert list(run.steps) == WALK
    assert run.files == (str(tmp_path / "deeper" / "picture.png"), str(tmp_path / "one"))
    assert run.duplicates == len(lines())


def test_standard_input_is_read_for_a_dash() -> None:
    """What is piped in, once."""
    code = "import json, sys; from septum.replay import load; print(json.dumps([len(run.steps) for run in load('-')]))"
    done = subprocess.run([sys.executable, "-c", code], input=(FIXTURES / "otlp.binpb.gz").read_bytes(), capture_output=True, check=True)
    assert json.loads(done.stdout) == [5]


def test_what_is_at_hand_is_read_without_a_file() -> None:
    """Bytes, parsed JSON and records, and any number of them."""
    data = (FIXTURES / "otlp.jsonl").read_bytes()
    parsed = [json.loads(line) for line in data.splitlines()]
    assert load(data)[0].steps == load(parsed)[0].steps == tuple(WALK)
    sink = list(records(FIXTURES / "recording-v1.jsonl"))
    (run,) = load(sink)
    assert list(run.records) == sink
    assert load(sink[0])[0].last_state == "Open"


def test_nothing_is_no_error(tmp_path: Path) -> None:
    """An empty file, one of blank lines, a folder without files, and a file without anything of Septum's give no runs."""
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "blank").write_bytes(b"\n \n")
    other = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "httpx"}, "spans": [{"broken": True}]}]}]}
    assert load(tmp_path) == load([]) == load(text(other)) == load(text({"resourceMetrics": []})) == load(text({"data": []})) == []


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    """And no BadRecording: nothing is wrong with what was recorded."""
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


# ---- what is missing


def lines() -> list[bytes]:
    """Return the fixture's spans, each on a line of its own, in the order of their visits."""
    content = json.loads((FIXTURES / "otlp-indented.json").read_bytes())
    scope = content["resourceSpans"][0]["scopeSpans"][0]
    return [
        text({"resourceSpans": [{"scopeSpans": [{"scope": scope["scope"], "spans": [span]}]}]}) + b"\n"
        for span in sorted(spans_in(content), key=lambda span: int(span["startTimeUnixNano"]))
    ]


def of(line: bytes, name: str) -> bool:
    """Say whether a line has the span of this name."""
    return f'"{name}"'.encode() in line


def test_a_visit_that_is_missing_is_a_gap_and_never_a_step() -> None:
    """Without the span of one visit, the one after it has no source, and nothing else changes."""
    (run,) = load(b"".join(line for line in lines() if not of(line, "visit Shop.Asking")))
    assert list(run.steps) == [WALK[0], WALK[2]._replace(label=None, source=None), *WALK[3:]]
    assert (run.gaps, run.complete) == ((Gap("visits", 2, 2),), False)
    assert str(run.gaps[0]) == "visits 2"


def test_the_last_visits_that_are_missing_are_a_gap_if_the_run_is_over() -> None:
    """The edge that was taken last tells that there were more; how many is not known."""
    (run,) = load(b"".join(line for line in lines() if not of(line, "visit Shop.Paying") and not of(line, "process str")))
    assert (run.gaps, str(run.gaps[0])) == ((Gap("visits", 4, None),), "visits from 4 on")
    assert run.last_state == "Open"


def test_messages_tell_of_visits_whose_spans_are_missing() -> None:
    """A message that was taken in a visit shows that there was one."""
    (run,) = load(b"".join(line for line in lines() if not of(line, "visit Shop.Paying")))
    assert run.gaps == (Gap("visits", 4, 5),)


def test_a_run_that_goes_on_has_no_gap_at_its_end() -> None:
    """Without the run's own span nothing says that it is over: its last visit that was exported is the last that is known."""
    (run,) = load(
        b"".join(
            line for line in lines()[:-1] if not of(line, "run Shop") and not of(line, "process str") and b'"intValue": "5"' not in line
        )
    )
    assert (run.outcome, run.gaps, run.complete, run.last_state) == (None, (), False, "Paying")


def test_a_stack_is_not_known_where_the_record_of_a_push_is_missing() -> None:
    """Nor is the one before taken for it if the whole visit is missing as well."""
    found = [record for record in records(FIXTURES / "recording-v1.jsonl") if record.visit != 2 and record.index != 7]
    (run,) = load(found)
    assert [step.stack for step in run.steps] == [(), None, None, None, None]
    assert run.gaps == (Gap("records", 7, 12), Gap("parts", 2, 3))


def test_a_run_without_any_visit_is_all_gap() -> None:
    """Only the run's span is left: that it was, and how it ended."""
    (run,) = load(next(line for line in lines() if of(line, "run Shop")))
    assert (run.steps, run.outcome, run.gaps, run.last_state) == ((), "completed", (Gap("visits", 1, None),), None)


def test_the_end_of_a_line_that_breaks_off_is_reported() -> None:
    """A file whose writer was killed: all whole lines are read, and the run says that there was more."""
    data = b"".join(lines())
    (run,) = load(b"".join(line for line in lines() if not of(line, "run Shop"))[:-30])
    assert run.truncated
    assert not run.complete
    # Whose end is known and which has no gap, lacks nothing.
    (run,) = load(data + data[:40])
    assert not run.truncated


def test_a_writer_that_was_started_anew_goes_on_behind_half_a_line() -> None:
    """Half a line in the middle is left out and reported; the first line of a file may be one as well."""
    first, *others = (line for line in lines() if not of(line, "run Shop"))
    for broken in (b"".join([first, first[:50], b"\n", *others[:-3]]), b"".join([first[:50], b"\n", first, *others[:-3]])):
        (run,) = load(broken)
        assert run.truncated
        assert run.steps[0].state == "Open"


def test_copies_are_left_out_and_counted() -> None:
    """A span that an exporter sent twice is one."""
    data = lines()
    (run,) = load(b"".join([*data, *data[:3]]))
    assert (list(run.steps), run.duplicates, run.gaps) == (WALK, 3, ())


def test_a_compressed_file_that_breaks_off_is_reported() -> None:
    """What could be decompressed is read."""
    whole = b"".join(line for line in lines() if not of(line, "run Shop"))
    (run,) = load(gzip.compress(whole)[:-200])
    assert run.truncated
    (run,) = load(zstandard.compress(whole) + zstandard.compress(whole)[:-1])
    assert run.truncated
    with pytest.raises(BadRecording, match="is compressed and breaks off before anything could be read"):
        load(zstandard.compress(whole)[:-1])


# ---- recordings


def record(path: Path, runs: int = 3) -> list[Record]:
    """Write the fixture's recording so many times, with other run ids, and return the records."""
    found = list(records(FIXTURES / "recording-v1.jsonl"))
    content = (FIXTURES / "recording-v1.jsonl").read_bytes()
    path.write_bytes(b"".join(content.replace(RUN_ID.encode(), f"run-{number}".encode()) for number in range(runs)))
    return [record._replace(run_id=f"run-{number}") for number in range(runs) for record in found]


def test_records_of_a_run_are_read_again_from_its_lines(tmp_path: Path) -> None:
    """Any number of times, without those of the others, and without their lines."""
    path = tmp_path / "recording.jsonl"
    expected = record(path)
    runs = load(path)
    assert [run.run_id for run in runs] == ["run-0", "run-1", "run-2"]
    for run in (*runs, *runs):
        assert list(run.records) == [record for record in expected if record.run_id == run.run_id]
    assert list(records(path, run_id="run-1")) == list(runs[1].records)


def test_records_of_a_compressed_run_are_read_again_too(tmp_path: Path) -> None:
    """Where lines cannot be found again, the file is."""
    path = tmp_path / "recording.jsonl"
    expected = record(path, 1)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert list(load(path)[0].records) == expected


def test_records_come_in_their_order_and_once() -> None:
    """However they are mixed, as far as the window allows; what is missing is a gap."""
    found = list(records(FIXTURES / "recording-v1.jsonl"))
    mixed = [*found[10:], *found[:10], found[3], found[-1]]
    assert list(records(mixed)) == found
    (run,) = load([*found[:5], *found[8:]])
    assert run.gaps[0] == Gap("records", 6, 8)


def test_a_newer_format_is_refused_with_what_to_do() -> None:
    """A recording that this version cannot know how to read."""
    content = (FIXTURES / "recording-v1.jsonl").read_bytes()
    newer = content.replace(b'"septum.recording.version","value":{"intValue":"1"}', b'"septum.recording.version","value":{"intValue":"2"}')
    assert newer != content
    with pytest.raises(BadRecording, match="has version 2 of the format, and this Septum reads up to 1: update it"):
        load(newer)


# ---- moments


def test_at_tells_what_was_the_case() -> None:
    """State, stack, retries, mailbox and deadline, by number and by visit."""
    (run,) = load(FIXTURES / "otlp.jsonl")
    pushed = run.at(12)
    assert pushed == At(run, 12, BEGAN + 6 * S, 6 * S, WALK[1], "Asking", ("Open",), {}, (), 5 * S, between=False, exact=True)
    assert run.at(14).step is run.at(visit=2).step
    retried = run.at(visit=5)
    assert (retried.state, retried.retries, retried.deadline) == ("Paying", {"Paying": 1}, None)
    assert [message.number for message in retried.mailbox] == [4]
    assert run.at(10**9).step == WALK[-1]
    with pytest.raises(LookupError, match="nothing is known of run .* at 1; known are visits 1 to 5, and numbers from 2 on"):
        run.at(1)
    with pytest.raises(LookupError, match="visit 6 of run"):
        run.at(visit=6)
    with pytest.raises(LookupError, match="say which moment"):
        run.at()


def test_a_deadline_that_does_not_fire_is_pending_from_spans_events_and_recordings() -> None:
    """What a state had is told by each of them alone: by its visit's span, by the definition, by the start of a recording."""
    sink = MemorySink()

    async def main() -> None:
        clock = ManualClock()
        machine: StateMachine[Any] = StateMachine(Open, clock=clock, hooks=[Recorder(sink)])
        await machine.initialize()
        machine.send_message("ask")
        await machine.run(timeout=0)
        clock.advance(1.0)
        machine.send_message("x")
        await machine.run(timeout=0)
        clock.advance(1.0)
        await machine.close()

    asyncio.run(main())
    (recorded,) = load(sink.records)
    (told,) = load(FIXTURES / "events.jsonl")
    asking = next(step for step in recorded.steps if step.state == "Asking")
    assert (asking.timeout, asking.timed_out) == (5.0, None)
    taken = [message for message in recorded.messages if message.type == "str"][1].taken
    assert recorded.at(taken).deadline == 4 * S
    assert told.at(visit=2).deadline == 5 * S
    assert [step.timeout for step in told.steps] == [None, 5.0, None, None, None]


def test_a_recording_tells_of_messages_that_wait() -> None:
    """From where a message was queued to where it was taken it is in the mailbox."""
    (run,) = load(FIXTURES / "recording-v1.jsonl")
    message = run.messages[1]
    assert isinstance(message, Message)
    assert [waiting.number for waiting in run.at(message.queued).mailbox] == [2]
    assert run.at(message.taken).mailbox == ()


def test_stepping_through_goes_there_and_back() -> None:
    """Each moment at which something is known to have happened, forward from the first and back from the last."""
    for name in ("otlp.jsonl", "events.jsonl", "recording-v1.jsonl"):
        (run,) = load(FIXTURES / name)
        at: At | None = run.at(visit=1)
        there: list[At] = []
        while at is not None:
            there.append(at)
            at = at.forward()
        assert [moment.step.visit for moment in there] == sorted(moment.step.visit for moment in there)
        assert {moment.step for moment in there} == set(run.steps)
        assert [moment.back() for moment in there] == [None, *there[:-1]]


def test_errors_are_told_with_where_they_went() -> None:
    """From a recording all of them; from a span the one that ended a visit."""
    (run,) = load(
        text({"resourceSpans": [{"scopeSpans": [{"spans": [visit({"error.type": "KeyError", "septum.visit.outcome": "error"})]}]}]})
    )
    assert run.errors == (RunError(1, "Open", "KeyError", None, 20),)


def visit(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the span of a visit."""
    attributes: dict[str, Any] = {
        "septum.operation.name": "visit", "septum.machine.name": "Shop", "septum.machine.id": "1", "septum.run.id": "r",
        "septum.state.name": "Open", "septum.visit.number": 1, "septum.seq": 2, "septum.transition.kind": "initial",
        "septum.visit.outcome": "transition", **changes,
    }  # fmt: skip
    pairs = [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in attributes.items()
    ]
    return {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "startTimeUnixNano": "10", "endTimeUnixNano": "20", "attributes": pairs}


def test_a_stream_is_read_in_bounded_memory() -> None:
    """Of a compressed file no more is in memory than one line of it."""
    line = (FIXTURES / "otlp.jsonl").read_bytes().splitlines(keepends=True)[0]
    found = documents.Documents(io.BytesIO(gzip.compress(line * 1000)), "x")
    assert sum(1 for _ in found) == 1000


# ---- restored runs


async def restored(*hooks: Any, gap: bool) -> tuple[Any, Any]:
    """Run a machine, keep it, go on for a while if there is to be a gap, and bring it back; returns both, the second at its end."""
    clock = ManualClock()
    async with StateMachine(Open, name="Shop", machine_id="shop-1", hooks=hooks, clock=clock) as first:
        first.send_message("ask")
        await first.tick()
        await first.tick()
        snapshot = first.snapshot()
        if gap:
            await clock.advance(6.0)
            await first.run(timeout=0)
    await clock.advance(60.0)
    second = await StateMachine.restore(snapshot, Open, hooks=hooks, clock=clock)
    async with second:
        await second.run(timeout=0)
        second.send_message("pay")
        await second.run(timeout=0)
        second.send_message("paid")
        with pytest.raises(StateMachineComplete):
            await second.run(timeout=0)
    return first, second


@pytest.mark.parametrize("gap", [False, True], ids=["at its end", "in its middle"])
@pytest.mark.parametrize("source", ["recording", "spans"])
def test_a_restored_machine_goes_on_with_its_run(source: str, gap: bool) -> None:
    """One run, whose visits go on where the snapshot was taken; of a recording what came after the snapshot is no part of it."""
    exported, sink = Exported(events=False), MemorySink()
    recorder = Recorder(sink)
    asyncio.run(restored(exported.hooks, recorder, gap=gap))
    recorder.close()
    (run,) = load(sink.records if source == "recording" else exported.lines())
    assert [(step.visit, step.state, step.outcome) for step in run.steps] == [
        (1, "Open", "push"), (2, "Asking", "timeout"), (3, "Open", "transition"), (4, "Paying", "completed"),
    ]  # fmt: skip
    assert (run.outcome, [gap for gap in run.gaps if gap.what == "visits"]) == ("completed", [])
