"""`septum replay`: the path, moments and the check of recorded runs, and what is refused."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from septum import StateMachine, StateMachineComplete
from septum.cli._commands import septum as command
from septum.cli._recordings import each
from septum.replay import FileSink, Recorder, load
from septum.testing import ManualClock
from tests.testing.shop import Failed, Idle, Words

if TYPE_CHECKING:
    from click.testing import Result

FIXTURES = Path(__file__).parents[1] / "replay" / "fixtures"
SPANS = str(FIXTURES / "otlp.jsonl")
SHOP = "tests.testing.shop:Idle"


def ask(*arguments: str, stdin: bytes = b"") -> Result:
    """Run `septum replay`."""
    return CliRunner().invoke(command, ["replay", *arguments], input=stdin, catch_exceptions=False)


def record(path: Path, *messages: object, level: Any = "full", times: int = 1) -> str:
    """Record a machine of tests.testing.shop that gets *messages*, so many times."""

    async def scene(hooks: list[Any]) -> None:
        async with StateMachine(Idle, error_state=Failed, clock=ManualClock(), hooks=hooks, name="shop") as machine:
            for message in messages:
                machine.send_message(message)
                try:
                    await machine.tick()
                except StateMachineComplete:
                    break

    recorder = Recorder(FileSink(path), level=level)
    for _ in range(times):
        asyncio.run(scene([recorder]))
    recorder.close()
    return str(path)


# ---- path


def test_path_is_drawn_visit_by_visit() -> None:
    """What run it is, each visit with how long it lasted and the edge to the next, and how it ended."""
    found = ask(SPANS)
    (run,) = load(SPANS)
    assert (found.exit_code, found.stderr) == (0, "")
    assert (
        found.stdout
        == f"""\
run 01999999-0000-7000-8000-000000000001 of Shop (shop-1), definition {run.definition_hash}
began 2026-01-01T00:00:00.000Z, known from spans

     1  Open    6 s         seq 2
        |  Do.ASK (push)
     2  Asking  6 s         timeout after 6 s; stack: Open; seq 12
        |  timeout, pop
     3  Open    6 s         seq 21
        |  Do.PAY
     4  Paying  6 s         seq 30
        |  retry
     5  Paying  6 s         retry 1 of 2; seq 40
        |  Do.DONE

completed after 36 s
"""
    )


def test_what_is_missing_is_a_dashed_line() -> None:
    """In the middle, and at the end."""
    content = json.loads((FIXTURES / "otlp-indented.json").read_bytes())
    spans = content["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[:] = [span for span in spans if span["name"] not in {"visit Shop.Asking", "visit Shop.Paying"}]
    found = ask("-", stdin=json.dumps(content).encode())
    assert found.stdout.splitlines()[3:] == [
        "     1  Open  6 s         seq 2",
        "        :",
        "        :  visits 2 missing",
        "        :",
        "     3  Open  6 s         seq 21",
        "        :",
        "        :  visits 4 to 5 missing",
        "        :",
        "",
        "completed after 36 s",
    ]


def test_path_as_json_has_every_step() -> None:
    """For a program."""
    (run,) = json.loads(ask(SPANS, "--format", "json").stdout)
    assert [step["state"] for step in run["steps"]] == ["Open", "Asking", "Open", "Paying", "Paying"]
    assert run["steps"][1]["stack"] == ["Open"]


def test_a_moment_is_shown_with_all_that_was_the_case() -> None:
    """State, stack, retries, mailbox, deadline and time, as text and as JSON."""
    found = ask(SPANS, "--at", "12")
    assert found.stdout.splitlines() == [
        "moment    seq 12",
        "time      2026-01-01T00:00:06.000Z, 6 s after the beginning",
        "state     Asking, visit 2, entered by Do.ASK",
        "stack     Open",
        "retries   none",
        "mailbox   nothing known",
        "deadline  in 5 s",
    ]
    moment = json.loads(ask(SPANS, "--at", "12", "--format", "json").stdout)
    assert (moment["state"], moment["stack"], moment["deadline"], moment["step"]["visit"]) == ("Asking", ["Open"], 5_000_000_000, 2)
    found = ask(SPANS, "--at", "1")
    assert (found.exit_code, "nothing is known of run" in found.stderr) == (1, True)


def test_a_run_is_chosen_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    """One of many; an id that is none is refused with those there are."""
    path = record(tmp_path / "r.jsonl", Words.START, times=7)
    runs = load(path)
    found = ask(path, "--run", runs[3].run_id)
    assert found.stdout.count("run ") == 1
    found = ask(path, "--run", "x")
    assert (found.exit_code, f"There is no run 'x'. There are: {runs[0].run_id}, " in found.stderr) == (2, True)
    assert "and 2 more. `septum runs` lists them." in found.stderr
    assert ask(path, "--name", "other").stdout == "No runs.\n"


def test_with_a_definition_it_is_drawn_with_what_was_used(tmp_path: Path) -> None:
    """The states below the path, the last one marked."""
    path = record(tmp_path / "r.jsonl", Words.START)
    found = ask(path, "--machine", SHOP, "--error-state", "Failed")
    assert found.exit_code == 0
    assert "Idle" in found.stdout.split("after")[-1]


# ---- check


def test_check_says_that_a_definition_admits_its_runs(tmp_path: Path) -> None:
    """And ends with 0."""
    path = record(tmp_path / "r.jsonl", Words.START, times=2)
    found = ask(path, "--level", "check", "--machine", SHOP, "--error-state", "Failed")
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout.startswith("2 of 2 runs admitted by ")


def changed(tmp_path: Path) -> str:
    """Return a recording with a run that tests.testing.shop does not admit."""
    path = Path(record(tmp_path / "r.jsonl", Words.START))
    path.write_bytes(path.read_bytes().replace(b"Words.START", b"Words.BEGIN"))
    return str(path)


def test_check_names_each_difference_and_ends_with_1(tmp_path: Path) -> None:
    """In every format: run, visit, number, expected and found."""
    path = changed(tmp_path)
    options = ("--level", "check", "--machine", SHOP, "--error-state", "Failed", "--format")
    (run,) = load(path)
    text, data, junit, sarif = (ask(path, *options, kind) for kind in ("text", "json", "junit", "sarif"))
    assert {found.exit_code for found in (text, data, junit, sarif)} == {1}
    assert f"run {run.run_id}, visit 1 (seq 2): edge-missing in Idle: expected one of the edges of Idle: " in text.stdout
    assert json.loads(data.stdout)["violations"][0]["kind"] == "edge-missing"
    assert ET.fromstring(junit.stdout).attrib["failures"] == "1"
    (result,) = json.loads(sarif.stdout)["runs"][0]["results"]
    assert result["ruleId"] == "edge-missing"


def test_runs_of_other_machines_are_left_out_and_counted(tmp_path: Path) -> None:
    """Unless --name says that they are meant."""
    path = record(tmp_path / "r.jsonl", Words.START)
    (tmp_path / "spans.jsonl").write_bytes(Path(SPANS).read_bytes())
    found = ask(str(tmp_path), "--level", "check", "--machine", SHOP, "--error-state", "Failed")
    assert found.exit_code == 0
    assert found.stderr == "1 run is of other machines and not looked at: none of the definition's states was visited.\n"
    found = ask(str(tmp_path), "--level", "check", "--machine", SHOP, "--name", "Shop")
    assert (found.exit_code, "state-removed in Open" in found.stdout) == (1, True)
    assert path


# ---- execute


def test_execute_needs_a_recording() -> None:
    """Spans do not tell what the handlers answered."""
    found = ask(SPANS, "--level", "execute", "--machine", SHOP, "--name", "Shop")
    assert found.exit_code == 1
    assert "--level execute needs a recording, and there is none among these 1 runs." in found.stderr


@pytest.mark.parametrize("kind", ["text", "json", "junit", "sarif"])
def test_execute_runs_the_handlers_again(tmp_path: Path, kind: str) -> None:
    """The same comes out, and the process ends with 0."""
    path = record(tmp_path / "r.jsonl", Words.START)
    found = ask(path, "--level", "execute", "--machine", SHOP, "--error-state", "Failed", "--format", kind)
    assert found.exit_code == 0, found.stdout
    if kind == "json":
        assert json.loads(found.stdout)[0]["verdict"] == "same"
    elif kind == "junit":
        assert ET.fromstring(found.stdout).attrib["failures"] == "0"
    elif kind == "sarif":
        assert json.loads(found.stdout)["runs"][0]["results"] == []


# ---- what is refused


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--level", "check"], "--level check needs --machine MODULE:STATE"),
        (["--level", "check", "--machine", SHOP, "--at", "1"], "--at shows a moment of what was recorded"),
        (["--level", "execute", "--machine", SHOP, "--edit", "drop message 1"], "--edit goes with --level what-if only."),
        (["--level", "what-if", "--machine", SHOP], "--level what-if needs --edit"),
        (["--level", "path", "--pdb"], "--pdb goes with --level execute only."),
        (["--format", "junit"], "--format junit goes with --level check and execute only."),
        (["--edit", "drop message 1"], "--level what-if needs --machine"),
        (["--pdb"], "--level execute needs --machine"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], problem: str) -> None:
    """With what is meant to go with what."""
    found = ask(SPANS, *arguments)
    assert (found.exit_code, problem in found.stderr) == (2, True)


class Terminal(io.StringIO):
    """Takes what is written, as a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def test_many_runs_have_a_progress_bar_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, if that is a terminal; one run, and a pipe, have none."""
    terminal, pipe = Terminal(), io.StringIO()
    (run,) = load(SPANS)
    done: list[str] = []
    for stream, runs in ((terminal, [run] * 3), (pipe, [run] * 3)):
        monkeypatch.setattr("sys.stderr", stream)
        each(runs, lambda run: done.append(run.run_id), "Checking")
    assert len(done) == 6
    assert ("Checking" in terminal.getvalue(), pipe.getvalue()) == (True, "")
