"""The fixtures of the pytest plugin, seen from outside: pytest runs inside pytest."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.testing.inner import OPTIONS, run_inside, run_outside, write

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow


def test_machine_of_the_factory_stands_on_the_manual_clock(pytester: pytest.Pytester) -> None:
    """`machine_factory` makes machines with the test's clock and recorder; a machine may be named, and given more."""
    write(
        pytester,
        test_it="""
def test_it(machine_factory, manual_clock, recorder):
    async def main():
        fsm = machine_factory(Fetching, name="orders", common_data=[1], hooks=[Hooks()])
        async with fsm:
            await fsm.tick()
            await manual_clock.advance(5.0)
            await fsm.tick()
            assert fsm.current_state == Idle
        return fsm
    fsm = asyncio.run(main())
    assert isinstance(fsm, StateMachine) and fsm.name == "orders" and fsm.context.common == [1]
    assert machine_factory.machines == [fsm]
    assert recorder.names()[0] == "run_started" and "timeout_fired" in recorder.names()
    assert recorder in fsm.hooks and len(fsm.hooks) == 2
""",
    )

    run_inside(pytester).assert_outcomes(passed=1)


def test_machine_that_is_left_running_fails_the_test_by_name(pytester: pytest.Pytester) -> None:
    """A task that serves it is cut off by the end of the loop, or still there; either way the test fails and says which machine."""
    write(
        pytester,
        test_it="""
def test_cut_off(machine_factory):
    async def main():
        fsm = machine_factory(Idle, name="orders")
        task = asyncio.create_task(fsm.serve())
        await settle()
    asyncio.run(main())

def test_still_there(machine_factory):
    loop = asyncio.new_event_loop()
    task = loop.create_task(machine_factory(Idle, name="parcels").run(timeout=None))
    loop.run_until_complete(settle())
    machine_factory.loop = loop, task

def test_stopped(machine_factory):
    async def main():
        fsm = machine_factory(Idle)
        task = asyncio.create_task(fsm.serve())
        await settle()
        fsm.stop()
        await task
    asyncio.run(main())

def test_closed_after_a_cancellation(machine_factory):
    async def main():
        async with machine_factory(Idle) as fsm:
            task = asyncio.create_task(fsm.serve())
            await settle()
            task.cancel()
            await asyncio.wait([task])
    asyncio.run(main())

def test_called_after_a_cancellation(machine_factory):
    async def main():
        fsm = machine_factory(Idle)
        task = asyncio.create_task(fsm.tick(timeout=None))
        await settle()
        task.cancel()
        await asyncio.wait([task])
        await fsm.reset()
    asyncio.run(main())

def test_at_rest(machine_factory):
    fsm = machine_factory(Idle)
    asyncio.run(fsm.run(timeout=0))
    assert fsm.current_state == Idle
""",
    )

    done = run_outside(pytester, "-W", "ignore::pytest.PytestUnraisableExceptionWarning", "-W", "ignore::ResourceWarning")

    done.assert_outcomes(passed=4, failed=2)
    done.stdout.fnmatch_lines(
        [
            "machine 'orders' was left running in state kiosk.Idle: serve() was cut off when its task was cancelled*",
            "machine 'parcels' was left running in state kiosk.Idle: run() is still at work. End it with fsm.stop(), fsm.close()*",
            "FAILED test_it.py::test_cut_off - Failed: machine 'orders' was left running *",
            "FAILED test_it.py::test_still_there - Failed: machine 'parcels' was left runn*",
        ]
    )


def test_hook_that_raises_fails_the_test(pytester: pytest.Pytester) -> None:
    """Though the machine goes on, the test fails, and shows what was raised and where."""
    write(
        pytester,
        test_it="""
class Broken(Hooks):
    def visit_started(self, fact):
        raise ValueError("no such metric")

class Sound(Hooks):
    def visit_started(self, fact):
        pass

def test_broken(machine_factory):
    asyncio.run(walk(machine_factory(Idle, name="orders", hooks=[Broken()]), Words.START))

def test_sound(machine_factory):
    asyncio.run(walk(machine_factory(Idle, hooks=[Sound()])))

def test_elsewhere(recorder):
    asyncio.run(walk(StateMachine(Idle, hooks=[Broken(), recorder])))
""",
    )

    done = run_inside(pytester)

    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(
        [
            "a hook of machine 'orders' raised 2 times",
            "  Broken raised ValueError('no such metric') at *test_it.py:*",
            "FAILED *test_broken*",
        ]
    )


def test_failure_shows_the_last_fifty_facts(pytester: pytest.Pytester) -> None:
    """Below a failed test stand the facts that its recorder was told last; below one that passed, and one without facts, none."""
    write(
        pytester,
        test_it="""
def test_fails(recorder):
    asyncio.run(walk(StateMachine(Idle, hooks=[recorder]), Words.START, Words.GOT))
    assert recorder.facts == []

def test_passes(recorder):
    asyncio.run(walk(StateMachine(Idle, hooks=[recorder])))

def test_fails_early(recorder):
    assert not recorder.names
""",
    )

    done = run_inside(pytester)

    done.assert_outcomes(passed=1, failed=2)
    text = done.stdout.str()
    assert text.count("septum: the last") == 1
    done.stdout.fnmatch_lines(
        [
            "*- septum: the last * facts -*",
            "     0.000 s run_started definition=* state=Idle resumed=False",
            "     0.* s transition_taken source=Idle target=Fetching label=Words.START kind=label",
            "     0.* s run_ended state=Done outcome=stopped duration=0.*",
        ]
    )


def test_failure_of_a_long_run_counts_what_it_leaves_out(pytester: pytest.Pytester) -> None:
    """Fifty lines, and before them how many facts there were."""
    write(
        pytester,
        test_it="""
def test_fails(machine_factory, recorder):
    asyncio.run(walk(machine_factory(Idle), *[Words.START, Words.SLOW] * 20))
    assert False, f"{len(recorder.facts)} in all"
""",
    )

    lines = run_inside(pytester).stdout.lines
    first = next(number for number, line in enumerate(lines) if "septum: the last 50 facts" in line)

    assert lines[first + 1].startswith("... ")
    assert lines[first + 1].endswith(" facts before")
    assert sum(" s " in line for line in lines[first + 2 : first + 52]) == 50


def test_fixtures_work_in_the_processes_of_xdist(pytester: pytest.Pytester) -> None:
    """Failure by name and facts come through from the workers."""
    write(
        pytester,
        test_it="""
def test_left(machine_factory):
    async def main():
        task = asyncio.create_task(machine_factory(Idle, name="orders").serve())
        await settle()
    asyncio.run(main())

def test_passes(machine_factory):
    asyncio.run(walk(machine_factory(Idle)))
""",
    )

    done = run_outside(pytester, "-n", "2")

    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["machine 'orders' was left running*", "*septum: the last * facts*"])


def test_run_that_asks_for_nothing_never_imports_septum(pytester: pytest.Pytester) -> None:
    """The plugin costs a run that does not use it one small file, and leaves Septum's lines to be measured."""
    pytester.makepyfile(
        test_it="import sys\ndef test_it():\n    assert not [name for name in sys.modules if name.split('.')[0] == 'septum']\n"
    )

    run_outside(pytester).assert_outcomes(passed=1)


def test_plugin_imports_pytest_and_nothing_else() -> None:
    """Loading it brings in no module besides pytest's own."""
    code = "import json, sys, pytest; before = set(sys.modules); import _septum_pytest;print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["_septum_pytest"]


def test_fixtures_are_listed_with_what_they_are(pytester: pytest.Pytester) -> None:
    """`pytest --fixtures` shows the three, and --help the options."""
    pytester.makepyfile(test_it="def test_it(): pass")

    shown = pytester.runpytest_inprocess(*OPTIONS, "--fixtures").stdout.str()
    helped = pytester.runpytest_inprocess(*OPTIONS, "--help").stdout.str()

    assert [name for name in ("manual_clock", "recorder", "machine_factory") if f"\n{name} " not in shown] == []
    options = ("--septum-cov=MODULE:STATE", "--septum-cov-fail-under=PERCENT", "--septum-cov-report=KIND", "--septum-cov-data=FILE")
    assert [option for option in (*options, "--septum-cov-append") if option not in helped] == []
