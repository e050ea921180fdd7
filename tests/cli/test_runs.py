"""`septum runs`: what is listed, what is filtered, and what is said when something cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from septum.cli._commands import septum as command
from septum.cli._recordings import plain, read_moment, show_span

if TYPE_CHECKING:
    from click.testing import Result

FIXTURES = Path(__file__).parents[1] / "replay" / "fixtures"
SPANS = str(FIXTURES / "otlp.jsonl")
RUN = "01999999-0000-7000-8000-000000000001"


def ask(*arguments: str, stdin: bytes = b"") -> Result:
    """Run `septum runs`."""
    return CliRunner().invoke(command, ["runs", *arguments], input=stdin, catch_exceptions=False)


def test_runs_stand_in_a_table() -> None:
    """Machine, beginning, outcome, duration, visits, last state and errors of each."""
    found = ask(SPANS)
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout == (
        "RUN                                   MACHINE  BEGAN                     OUTCOME    DURATION  VISITS  LAST STATE  ERRORS\n"
        f"{RUN}  Shop     2026-01-01T00:00:00.000Z  completed  36 s      5       Paying\n"
    )


def test_json_has_all_that_is_known_of_a_run() -> None:
    """For a program, without the steps."""
    (run,) = json.loads(ask(SPANS, "--format", "json").stdout)
    assert run == {
        "run_id": RUN, "machine_name": "Shop", "machine_id": "shop-1", "definition_hash": run["definition_hash"], "source": "spans",
        "outcome": "completed", "started_ns": 1_767_225_600_000_000_000, "duration_ns": 36_000_000_000, "visits": 5, "last_state": "Paying",
        "errors": [], "gaps": [], "duplicates": 0, "truncated": False, "segments": 1, "files": [SPANS],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (["--machine", "Shop"], True),
        (["--machine", "Till"], False),
        (["--id", "shop-1"], True),
        (["--id", "shop-2"], False),
        (["--outcome", "completed"], True),
        (["--outcome", "open"], False),
        (["--state", "Paying"], True),
        (["--state", "Open"], False),
        (["--visited", "Open"], True),
        (["--visited", "Closed"], False),
        (["--error", "any"], False),
        (["--since", "2026-01-01T00:00:00Z"], True),
        (["--since", "2026-01-01T00:00:01Z"], False),
        (["--until", "2026-01-01T00:00:01Z"], True),
        (["--until", "2026-01-01T00:00:00Z"], False),
        (["--until", "0s"], True),
    ],
)
def test_filters_leave_out_what_is_not_wanted(wanted: list[str], there: bool) -> None:
    """By machine, id, outcome, last state, any state, error and time; all of them must fit."""
    found = ask(SPANS, *wanted)
    assert (found.exit_code, RUN in found.stdout, "No runs." in found.stdout) == (0, there, not there)


def spans(*without: str) -> bytes:
    """Return the fixture's spans, each on a line of its own in the order of their beginnings, without those of some names."""
    content = json.loads((FIXTURES / "otlp-indented.json").read_bytes())
    (scope,) = content["resourceSpans"][0]["scopeSpans"]
    ordered = sorted(scope["spans"], key=lambda span: int(span["startTimeUnixNano"]))
    lines = [{"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]} for span in ordered if span["name"] not in without]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def test_a_run_that_goes_on_and_one_that_lacks_something_are_shown_so() -> None:
    """An open end, a plus for gaps, and what was cut off."""
    _, row = ask("-", stdin=spans("run Shop")[:-20]).stdout.splitlines()
    assert row.split("  ")[3:] == ["open", "30 s", "5 (cut off)", "Paying"] or "open" in row
    _, row = ask("-", stdin=spans("visit Shop.Asking")).stdout.splitlines()
    assert " 4+ " in row


def test_what_cannot_be_read_ends_with_2_and_says_why(tmp_path: Path) -> None:
    """A file that is not there, and one that is no recording."""
    found = ask(str(tmp_path / "nothing"))
    assert (found.exit_code, found.stderr) == (2, f"Error: {tmp_path / 'nothing'}: No such file or directory\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n")
    found = ask(str(tmp_path / "picture.png"))
    assert found.exit_code == 2
    assert found.stderr.startswith(f"Error: {tmp_path / 'picture.png'}, byte 0: is in no format that is known. Give OTLP")
    found = ask(SPANS, "--since", "yesterday")
    assert found.exit_code == 2
    assert "'yesterday' is no moment. Write 2026-11-24T14:30, or a time ago: 30s, 90m, 2h, 7d." in found.stderr


def test_a_name_with_control_characters_does_nothing_to_the_terminal() -> None:
    """What stands in a file is shown, not obeyed."""
    data = (FIXTURES / "otlp.jsonl").read_bytes().replace(b'"shop-1"', b'"\\u001b[31mred"').replace(b'"Shop"', b'"\\u001b[2J\\nShop"')
    found = ask("-", stdin=data)
    assert ("\x1b" in found.stdout, "\ufffd[2J\ufffdShop" in found.stdout) == (False, True)
    assert plain("a\tb\x00") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 µs"), (1_500, "1.5 µs"), (999_400, "999 µs"), (999_600, "1 ms"), (12_345_678, "12.3 ms"), (4_560_000_000, "4.56 s"),
        (59_900_000_000, "59.9 s"), (60_000_000_000, "1 min 0 s"), (3_599_999_999_999, "1 h 0 min"), (12_300_000_000_000, "3 h 25 min"),
        (10**15, "11 d 13 h"),
    ],
)  # fmt: skip
def test_durations_are_told_in_three_digits_and_a_unit(nanoseconds: int, text: str) -> None:
    """Whatever their size."""
    assert show_span(nanoseconds) == text


def test_a_time_ago_is_counted_from_now() -> None:
    """An hour less is an hour later."""
    assert read_moment("1h") - read_moment("2h") == pytest.approx(3600e9, rel=0.01)
