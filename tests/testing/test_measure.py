"""`pytest --septum-cov`: what is measured, reported, merged and required."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from septum import StateMachine
from septum.testing._coverage import Counts
from tests.testing.inner import run_inside, run_outside, write
from tests.testing.shop import Idle

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow

TWO = {
    "test_one": """
def test_one(machine_factory):
    asyncio.run(walk(machine_factory(Idle), Words.START, Words.GOT))
""",
    "test_two": """
def test_two(machine_factory, manual_clock):
    async def main():
        async with machine_factory(Idle) as fsm:
            fsm.send_message(Words.START)
            await fsm.tick()
            await manual_clock.advance(5.0)
            await fsm.tick()
    asyncio.run(main())
""",
}


def test_hook_is_taken_back_when_the_run_is_over(pytester: pytest.Pytester) -> None:
    """A machine made after an inner run has the hooks that one made before it has."""
    write(pytester, **TWO)
    before = StateMachine(Idle).hooks

    run_inside(pytester, "--septum-cov=kiosk:Idle", "-k", "one")

    assert StateMachine(Idle).hooks == before


def test_report_says_what_was_never_done(pytester: pytest.Pytester) -> None:
    """A line with what was reached of each kind, and the rest by name."""
    write(pytester, **TWO)

    done = run_inside(pytester, "--septum-cov=kiosk:Idle", "-k", "one")

    done.assert_outcomes(passed=1, deselected=1)
    done.stdout.fnmatch_lines(
        [
            "*= septum: transition coverage =*",
            "kiosk:Idle  71.43 %  states 3/3, edges 2/3, timeouts 0/1",
            "  never:",
            "    Fetching -SLOW-> Idle",
            "    Fetching -timeout->",
        ]
    )


def test_machine_of_any_test_counts_not_only_those_of_the_factory(pytester: pytest.Pytester) -> None:
    """Whoever makes a machine, the installed hook sees it; several definitions have a total."""
    write(
        pytester,
        test_it="""
def test_it():
    asyncio.run(walk(StateMachine(Idle, error_state=Failed), Words.START, "boom"))
""",
    )

    done = run_inside(pytester, "--septum-cov=kiosk:Idle,Failed", "--septum-cov=kiosk:Done")

    done.stdout.fnmatch_lines(
        [
            "kiosk:Idle,Failed  50.00 %  states 3/4, edges 1/3, timeouts 0/1, error routes 1/2",
            "    Idle -error-> Failed",
            "kiosk:Done  0.00 %  states 0/1",
            "total  45.45 %",
        ]
    )


def test_too_little_fails_the_run(pytester: pytest.Pytester) -> None:
    """Below the limit the exit code is 1 though every test passed; at the limit it is 0."""
    write(pytester, **TWO)

    failed = run_inside(pytester, "--septum-cov=kiosk:Idle", "-k", "one", "--septum-cov-fail-under=72")
    passed = run_inside(pytester, "--septum-cov=kiosk:Idle", "-k", "one", "--septum-cov-fail-under=71.4")

    assert (failed.ret, passed.ret) == (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.OK)
    failed.stdout.fnmatch_lines(["Required transition coverage of 72 % not reached: 71.43 %"])
    passed.stdout.fnmatch_lines(["Required transition coverage of 71.4 % reached: 71.43 %"])


def test_workers_of_xdist_are_added_up(pytester: pytest.Pytester) -> None:
    """Two processes that each run one test reach together what one process reaches with both."""
    write(pytester, **TWO)

    alone = run_outside(pytester, "--septum-cov=kiosk:Idle", "--septum-cov-data=alone.json")
    spread = run_outside(pytester, "--septum-cov=kiosk:Idle", "-n", "2", "--dist", "loadfile", "--septum-cov-data=spread.json")

    alone.stdout.fnmatch_lines(["kiosk:Idle  100.00 %  states 3/3, edges 3/3, timeouts 1/1"])
    spread.stdout.fnmatch_lines(["kiosk:Idle  100.00 %  states 3/3, edges 3/3, timeouts 1/1"])
    assert (pytester.path / "alone.json").read_text() == (pytester.path / "spread.json").read_text()


def test_worker_that_crashed_is_named(pytester: pytest.Pytester) -> None:
    """What it had counted is lost, and the report says so."""
    write(pytester, test_it="import os\ndef test_crash():\n    os._exit(3)\n\ndef test_fine():\n    pass\n")

    done = run_outside(pytester, "--septum-cov=kiosk:Idle", "-n", "1")

    done.stdout.fnmatch_lines(["Without what worker gw0 (Not properly terminated) did: it ended before it could tell."])


def test_data_is_written_and_counted_on_from(pytester: pytest.Pytester) -> None:
    """A second run with --septum-cov-append reports on both; without it the file is written anew."""
    write(pytester, **TWO)
    options = ("--septum-cov=kiosk:Idle", "--septum-cov-data=made/data.json", "--septum-cov-report=none")

    run_inside(pytester, *options, "-k", "one")
    first = Counts.read(pytester.path / "made" / "data.json")
    appended = run_inside(pytester, *options, "--septum-cov-append", "-k", "two", "--septum-cov-fail-under=100")
    both = Counts.read(pytester.path / "made" / "data.json")
    run_inside(pytester, *options, "-k", "two")
    second = Counts.read(pytester.path / "made" / "data.json")

    assert appended.ret == 0
    assert "septum: transition coverage" not in appended.stdout.str()
    assert both.transitions == first.transitions + second.transitions
    assert both.names == {"kiosk.Idle": "Idle", "kiosk.Fetching": "Fetching", "kiosk.Done": "Done"}


def test_page_is_written_whole(pytester: pytest.Pytester) -> None:
    """--septum-cov-report=html writes one page that loads nothing, beside the report in the terminal if that is asked for too."""
    write(pytester, **TWO)

    done = run_inside(
        pytester, "--septum-cov=kiosk:Idle", "-k", "one", "--septum-cov-report=html:made/page.html", "--septum-cov-report=term"
    )

    page = (pytester.path / "made" / "page.html").read_text(encoding="utf-8")
    assert '<tr class="never"><td><code>Fetching -timeout-&gt;</code></td><td class="number">0</td></tr>' in page
    done.stdout.fnmatch_lines(["kiosk:Idle  71.43 %*", "Transition coverage as a page: made/page.html"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--septum-cov-fail-under=80"], "--septum-cov-fail-under given, but nothing to measure: add --septum-cov=MODULE:STATE"),
        (["--septum-cov-append"], "--septum-cov-append given, but nothing to measure"),
        (["--septum-cov=kiosk:Idle", "--septum-cov-append"], "--septum-cov-append needs --septum-cov-data=FILE"),
        (["--septum-cov-data=a", "--septum-cov-report=none"], "--septum-cov-report, --septum-cov-data given, but nothing to measure"),
        (["--septum-cov=kiosk:Idle", "--septum-cov-report=pdf"], "--septum-cov-report=pdf: give term, html, html:FILE or none"),
        (["--septum-cov=kiosk:Idle", "--septum-cov-report=term:x"], "--septum-cov-report=term:x: give term, html, html:FILE or none"),
        (["--septum-cov=kiosk:Idle", "--septum-cov-append", "--septum-cov-data=kiosk.py"], "--septum-cov-append: *kiosk.py is no JSON"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_any_test(pytester: pytest.Pytester, options: list[str], text: str) -> None:
    """The error names the option and the fix."""
    write(pytester, **TWO)

    done = run_inside(pytester, *options)

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*{text}*"])


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("kiosk", "'kiosk' names no state. Write MODULE:STATE"),
        ("shopp:Idle", "'shopp:Idle': module 'shopp' cannot be imported: No module named 'shopp'."),
        ("kiosk:Idel", "'kiosk:Idel': there is no 'Idel' in 'kiosk'. States there: Done, Failed, Fetching, Idle."),
        ("kiosk:Words", "'kiosk:Words' is EnumType, not a state."),
        ("kiosk:Idle,Words", "'kiosk:Words' is EnumType, not a state."),
    ],
)
def test_target_that_leads_nowhere_ends_the_run_with_the_reason(pytester: pytest.Pytester, target: str, text: str) -> None:
    """The tests have run, and the report says what is wrong with the option; the exit code is that of a wrong use."""
    write(pytester, **TWO)

    done = run_inside(pytester, f"--septum-cov={target}")

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert text in done.stdout.str()


def test_failing_tests_keep_their_exit_code(pytester: pytest.Pytester) -> None:
    """What coverage says does not hide that a test failed."""
    write(pytester, test_it="def test_it():\n    assert False\n")

    assert run_inside(pytester, "--septum-cov=kiosk:Idle", "--septum-cov-fail-under=0").ret == pytest.ExitCode.TESTS_FAILED


def test_data_file_is_json_that_says_what_it_is(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """Format and version stand in it, for the next Septum to read or refuse."""
    write(pytester, **TWO)

    run_inside(pytester, "--septum-cov=kiosk:Idle", f"--septum-cov-data={tmp_path / 'data.json'}", "-k", "one")

    data = json.loads((tmp_path / "data.json").read_text())
    assert (data["format"], data["version"], data["starts"]) == ("septum-coverage", 1, {"kiosk.Idle": 1})
    assert data["transitions"] == [
        ["kiosk.Fetching", "kiosk.Done", "Words.GOT", "label", 1],
        ["kiosk.Idle", "kiosk.Fetching", "Words.START", "label", 1],
    ]
