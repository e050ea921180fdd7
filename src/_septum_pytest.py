"""The pytest plugin, as far as every run of pytest loads it: names of options and fixtures, and not a line of Septum.

It stands beside the package, not in it, because pytest imports it before anything else: importing `septum` here would cost every run its
time, and hide Septum's own lines from coverage. The work is done in `septum.testing`, imported by the first test that asks for a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from septum.testing import MachineFactory, ManualClock, RecorderHooks

_RECORDER = pytest.StashKey["RecorderHooks"]()
_FACTORY = pytest.StashKey["MachineFactory"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of transition coverage."""
    group = parser.getgroup("septum", "transition coverage of state machines (Septum)")
    group.addoption(
        "--septum-cov",
        action="append",
        default=[],
        metavar="MODULE:STATE",
        help="Measure which transitions of the machine that begins at STATE the tests take; MODULE:STATE,ERROR_STATE for a machine with an "
        "error state. May be given several times.",
    )
    group.addoption(
        "--septum-cov-fail-under",
        type=float,
        metavar="PERCENT",
        help="Fail if less than this share of states, edges, timeouts, retries and error routes was seen.",
    )
    group.addoption(
        "--septum-cov-report",
        action="append",
        default=[],
        metavar="KIND",
        help="term (what is usual), html (a page in septum-coverage.html), html:FILE, or none. May be given several times.",
    )
    group.addoption(
        "--septum-cov-data", metavar="FILE", help="Write what was counted to FILE, for `septum coverage` and for --septum-cov-append."
    )
    group.addoption("--septum-cov-append", action="store_true", help="Count on from what --septum-cov-data holds.")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to measure, if that was asked for."""
    if config.getoption("septum_cov"):
        from septum.testing._measure import Measure  # noqa: PLC0415 - only runs that measure pay for it

        config.pluginmanager.register(Measure(config), "septum-coverage")
        return
    idle = [option for option in ("fail-under", "report", "data", "append") if config.getoption(f"septum_cov_{option.replace('-', '_')}")]
    if idle:
        given = ", ".join(f"--septum-cov-{option}" for option in idle)
        raise pytest.UsageError(f"{given} given, but nothing to measure: add --septum-cov=MODULE:STATE")


@pytest.fixture
def manual_clock() -> ManualClock:
    """Return a clock that stands still until the test moves it (`septum.testing.ManualClock`)."""
    from septum.testing import ManualClock  # noqa: PLC0415 - see the top of this file

    return ManualClock()


@pytest.fixture
def recorder(request: pytest.FixtureRequest) -> RecorderHooks:
    """Return a hook that keeps every fact it is told (`septum.testing.RecorderHooks`); a failed test shows the last 50."""
    from septum.testing import RecorderHooks  # noqa: PLC0415 - see the top of this file

    found = RecorderHooks()
    request.node.stash[_RECORDER] = found
    return found


@pytest.fixture
def machine_factory(request: pytest.FixtureRequest, recorder: RecorderHooks, manual_clock: ManualClock) -> Iterator[MachineFactory]:
    """Return a function that makes machines as `StateMachine` does, on *manual_clock* and recorded by *recorder*.

    The test fails if a hook of one raises, or if one is left running.
    """
    from septum.testing import MachineFactory  # noqa: PLC0415 - see the top of this file

    factory = MachineFactory(recorder, manual_clock)
    request.node.stash[_FACTORY] = factory
    with factory:
        yield factory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that passed although a machine of its was left running, or a hook raised."""
    __tracebackhide__ = True
    result = yield
    factory = item.stash.get(_FACTORY, None)
    faults = [] if factory is None else factory.faults()
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the last facts below a test that failed."""
    report = yield
    recorder = item.stash.get(_RECORDER, None)
    if recorder is not None and report.failed and recorder.facts:
        from septum.testing._lines import SHOWN, describe_facts  # noqa: PLC0415 - see the top of this file

        report.sections.append((f"septum: the last {min(SHOWN, len(recorder.facts))} facts", describe_facts(recorder.facts)))
    return report
