"""`septum coverage`: production and tests compared, both ways."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings

import septum.replay
from septum import Pop, Repeat, Restart, Retry, StateMachine, StateMachineComplete
from septum.cli._commands import septum as command
from septum.cli._coverage import read_production, read_tests
from septum.replay import FileSink, Recorder
from septum.testing import ManualClock, TransitionCoverage
from tests.testing.shop import Failed, Idle, Words

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def play(hooks: list[Any], *deeds: object, name: str = "shop") -> None:
    """Do *deeds* to a machine with *hooks*: messages are sent, numbers of seconds pass; a tick after each."""

    async def scene() -> None:
        clock = ManualClock()
        async with StateMachine(Idle, error_state=Failed, clock=clock, hooks=hooks, name=name) as machine:
            for deed in deeds:
                if isinstance(deed, float):
                    await clock.advance(deed)
                else:
                    machine.send_message(deed)
                try:
                    await machine.tick()
                except StateMachineComplete:
                    break

    asyncio.run(scene())


def record(path: Path, *deeds: object, name: str = "shop") -> str:
    """Write a recording of *deeds* to *path*."""
    sink = FileSink(path)
    play([Recorder(sink)], *deeds, name=name)
    sink.close()
    return str(path)


def count_tests(path: Path, *deeds: object) -> str:
    """Write what tests that do *deeds* count to *path*."""
    coverage = TransitionCoverage()
    play([coverage], *deeds)
    coverage.counts().write(path)
    return str(path)


def ask(*arguments: str) -> Result:
    """Run `septum coverage`."""
    return CliRunner().invoke(command, ["coverage", *arguments], prog_name="septum")


def test_both_lists_are_printed_the_most_frequent_first(tmp_path: Path) -> None:
    """Timeouts, retries, pops, errors and ends are told by their names; what both do is only counted."""
    production = record(tmp_path / "p.jsonl", Words.MORE, Words.CHECK, Pop, Words.START, Retry, 1.0, 5.0, Words.START, Words.LOST)
    again = record(tmp_path / "q.jsonl", Words.START, 5.0)
    tests = count_tests(tmp_path / "t.json", Words.START, "boom")

    done = ask("--production", production, "--production", again, "--tests", tests)

    assert (done.exit_code, done.output.splitlines()) == (
        0,
        [
            "production: 2 runs; tests do 1 of the 7 things that it does",
            "",
            "production does, no test does:",
            "  Fetching -SLOW-> Idle       2x",
            "  Fetching -timeout->         2x",
            "  Checking -pop-> Idle        1x",
            "  Fetching -LOST-> end        1x",
            "  Fetching -retry-> Fetching  1x",
            "  Idle -CHECK-> Checking      1x",
            "",
            "tests do, production does not:",
            "  Fetching -error-> Failed  1x",
        ],
    )


DEEDS: tuple[tuple[object, ...], ...] = (
    (Words.MORE, Words.CHECK, Pop, Words.START, Retry, 1.0, 5.0, Words.START, Words.LOST),
    (Words.START, "boom"),
    (Words.CHECK, Repeat, Restart, ValueError("asked for")),
    (Words.START, Retry, 1.0, Retry, 2.0, Retry),
    (Words.START, Words.GOT),
    (Words.START, Retry),
)


@pytest.mark.parametrize("trace_scope", ["run", "visit", "message"])
@pytest.mark.parametrize("detail", ["auto", "handlers", "visits"])
def test_spans_of_the_sdk_tell_what_tests_count(tmp_path: Path, trace_scope: str, detail: str) -> None:
    """Production and tests do the same, and so they differ in nothing, whatever a trace is; not in a retry that was waited for, either."""
    from tests.replay.exported import Exported

    exported = Exported(trace_scope=trace_scope, detail=detail, events=False, segment_max_visits=3)
    coverage = TransitionCoverage()
    for deeds in DEEDS:
        play([exported.hooks, coverage], *deeds)
    (tmp_path / "spans.jsonl").write_bytes(exported.lines())
    coverage.counts().write(tmp_path / "t.json")

    done = ask("--production", str(tmp_path / "spans.jsonl"), "--tests", str(tmp_path / "t.json"), "--format", "json")

    assert json.loads(done.output) == {"production": {"runs": 6, "incomplete": 0, "does": 12}, "untested": [], "unused": []}


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", ["run", "visit", "message"])
def test_spans_of_random_machines_tell_what_is_counted(tmp_path: Path, trace_scope: str) -> None:
    """Every transition, error route, end and deadline of random programs, as often as the hook of the tests counts it."""
    from tests.model.generate import programs
    from tests.replay.exported import Exported
    from tests.replay.exported import play as play_program

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(programs())
    def law(program: Any) -> None:
        exported, coverage = Exported(trace_scope=trace_scope, events=False, segment_max_visits=3), TransitionCoverage()
        play_program(program, exported.hooks, coverage)
        (tmp_path / "spans.jsonl").write_bytes(exported.lines())
        coverage.counts().write(tmp_path / "t.json")
        assert read_production([tmp_path / "spans.jsonl"]).deeds == read_tests([tmp_path / "t.json"]).deeds

    law()


def test_same_on_both_sides_leaves_nothing(tmp_path: Path) -> None:
    """Several files of tests are added up, and --strict is content."""
    production = record(tmp_path / "p.jsonl", Words.CHECK, Pop, Words.START, Words.GOT)
    first = count_tests(tmp_path / "a.json", Words.CHECK, Pop)
    second = count_tests(tmp_path / "b.json", Words.START, Words.GOT)

    done = ask("--production", production, "--tests", first, "--tests", second, "--strict")

    assert (done.exit_code, done.output.splitlines()) == (
        0,
        [
            "production: 1 run; tests do 4 of the 4 things that it does",
            "",
            "production does, no test does:",
            "  nothing",
            "",
            "tests do, production does not:",
            "  nothing",
        ],
    )


def test_strict_ends_with_one_and_json_has_everything(tmp_path: Path) -> None:
    """For pipelines: an exit code, and an object with the counts."""
    production = record(tmp_path / "p.jsonl", Words.START, Words.GOT)
    tests = count_tests(tmp_path / "t.json", Words.START, 5.0)

    done = ask("--production", production, "--tests", tests, "--strict", "--format", "json")

    assert done.exit_code == 1
    assert json.loads(done.output) == {
        "production": {"runs": 1, "incomplete": 0, "does": 2},
        "untested": [{"source": "Fetching", "way": "Words.GOT", "target": "Done", "count": 1}],
        "unused": [
            {"source": "Fetching", "way": "Words.SLOW", "target": "Idle", "count": 1},
            {"source": "Fetching", "way": "timeout", "target": "", "count": 1},
        ],
    }


def test_machine_chooses_among_productions_machines(tmp_path: Path) -> None:
    """Runs of other machines are left out."""
    shop = record(tmp_path / "p.jsonl", Words.START, name="shop")
    other = record(tmp_path / "q.jsonl", Words.CHECK, name="other")
    tests = count_tests(tmp_path / "t.json", Words.START)

    done = ask("--production", shop, "--production", other, "--tests", tests, "--machine", "shop")

    assert done.output.splitlines()[0] == "production: 1 run; tests do 1 of the 1 things that it does"


def test_a_folder_of_recordings_is_production_too(tmp_path: Path) -> None:
    """All files in it are read, as `septum replay` reads them."""
    (tmp_path / "recordings").mkdir()
    for number in range(2):
        record(tmp_path / "recordings" / f"{number}.jsonl", Words.START)
    tests = count_tests(tmp_path / "t.json", Words.START)

    done = ask("--production", str(tmp_path / "recordings"), "--tests", tests)

    assert done.output.splitlines()[0] == "production: 2 runs; tests do 1 of the 1 things that it does"


def test_recording_with_a_hole_is_said_to_have_one(tmp_path: Path) -> None:
    """What is missing may be what no test does."""
    path = tmp_path / "p.jsonl"
    record(path, Words.START, 5.0, Words.START, Words.GOT)
    written = json.loads(path.read_text(encoding="utf-8"))
    records = written["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    del records[len(records) // 2]
    path.write_text(json.dumps(written) + "\n", encoding="utf-8")

    done = ask("--production", str(path), "--tests", count_tests(tmp_path / "t.json"))

    assert done.output.splitlines()[0].startswith("production: 1 run; of 1 something is missing; tests do 0 of the ")


def test_files_that_are_something_else_end_with_two(tmp_path: Path) -> None:
    """A file of production, one of tests, and one that is not there: each is named with what is wrong."""
    production = record(tmp_path / "p.jsonl", Words.START)
    tests = count_tests(tmp_path / "t.json", Words.START)
    (tmp_path / "bad").write_bytes(b"\x00\x01nothing")

    swapped = ask("--production", production, "--tests", production)
    unread = ask("--production", str(tmp_path / "bad"), "--tests", tests)
    absent = ask("--production", str(tmp_path / "absent"), "--tests", tests)

    assert [done.exit_code for done in (swapped, unread, absent)] == [2, 2, 2]
    assert "p.jsonl is no JSON" in swapped.output or "p.jsonl holds no transition coverage" in swapped.output
    assert f"{tmp_path / 'bad'}" in unread.output
    assert "absent' does not exist" in absent.output


def test_without_a_loader_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where septum.replay cannot load, production cannot be read, and the command says so."""
    tests = count_tests(tmp_path / "t.json", Words.START)
    monkeypatch.setattr(septum.replay, "__getattr__", _nothing)

    done = ask("--production", tests, "--tests", tests)

    assert (done.exit_code, "--production needs septum.replay, which reads recordings and spans" in done.output) == (2, True)


def _nothing(name: str) -> object:
    raise AttributeError(name)
