"""The part of the pytest plugin that measures transition coverage, also where pytest-xdist spreads the tests over processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import septum.hooks
from septum.testing._coverage import Counts, TransitionCoverage
from septum.testing._covered import find_graph, measure, percent
from septum.testing._errors import CoverageError
from septum.testing._page import write_page
from septum.testing._summary import summarize

if TYPE_CHECKING:
    from septum.testing._covered import Covered

_KEY: Final = "septum_coverage"
_PAGE: Final = "septum-coverage.html"


class Measure:
    """Counts while the tests run, and reports when they are over.

    Under pytest-xdist each worker counts and sends its counts to the controller, which adds them up and reports.

    Raises:
        UsageError: The options do not fit together, or there is nothing to append to that can be read.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._is_worker = hasattr(config, "workerinput")
        asked: list[str] = config.getoption("septum_cov") or []
        self._targets = list(dict.fromkeys(asked))
        self._least: float | None = config.getoption("septum_cov_fail_under")
        reports: list[str] = config.getoption("septum_cov_report") or ["term"]
        self._reports = [_read_report(kind) for kind in reports]
        data: str | None = config.getoption("septum_cov_data")
        self._data = None if data is None else config.invocation_params.dir / data
        self._counts = Counts()
        self._lost: list[str] = []
        self._covered: list[Covered] = []
        self._problem = ""
        if config.getoption("septum_cov_append") and not self._is_worker:
            self._counts = self._read_earlier()
        self._hook = TransitionCoverage()
        septum.hooks.install(self._hook)

    def _read_earlier(self) -> Counts:
        if self._data is None:
            raise pytest.UsageError("--septum-cov-append needs --septum-cov-data=FILE, the file to count on from")
        try:
            return Counts.read(self._data) if self._data.exists() else Counts()
        except CoverageError as error:
            raise pytest.UsageError(f"--septum-cov-append: {error}") from None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take in what a worker of pytest-xdist counted."""
        output: dict[str, Any] = getattr(node, "workeroutput", {})
        if _KEY in output:
            self._counts.add(Counts.from_dict(output[_KEY]))
        else:
            self._lost.append(f"{node.gateway.id} ({error or 'it did not say why'})")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send what was counted to the controller; there, measure the definitions and decide whether it is enough."""
        counted = self._hook.counts()
        if self._is_worker:
            config: Any = self._config
            output: dict[str, Any] = config.workeroutput
            output[_KEY] = counted.to_dict()
            return
        self._counts.add(counted)
        try:
            if self._data is not None:
                self._counts.write(self._data)
            self._covered = [measure(target, find_graph(target), self._counts) for target in self._import_as_tests_do()]
        except (CoverageError, OSError) as error:
            self._problem = str(error)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return
        for kind, path in self._reports:
            if kind == "html":
                write_page(self._config.invocation_params.dir / path, self._covered, self._least)
        if self._is_too_little() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _import_as_tests_do(self) -> list[str]:
        """Make sure that this process finds what the tests found; under pytest-xdist it has collected none itself."""
        for folder in (self._config.invocation_params.dir, self._config.rootpath):
            if str(folder) not in sys.path:
                sys.path.append(str(folder))
        return self._targets

    def _is_too_little(self) -> bool:
        return self._least is not None and percent(self._covered) < self._least

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was reached."""
        if self._problem:
            terminalreporter.section("septum: transition coverage", red=True)
            terminalreporter.write_line(self._problem, red=True)
            return
        if any(kind == "term" for kind, _ in self._reports):
            terminalreporter.section("septum: transition coverage")
            terminalreporter.write_line(summarize(self._covered))
        for kind, path in self._reports:
            if kind == "html":
                terminalreporter.write_line(f"Transition coverage as a page: {path}")
        for worker in self._lost:
            terminalreporter.write_line(f"Without what worker {worker} did: it ended before it could tell.", yellow=True)
        if self._least is not None:
            reached, is_failed = percent(self._covered), self._is_too_little()
            text = f"Required transition coverage of {self._least:g} % {'not ' if is_failed else ''}reached: {reached:.2f} %"
            terminalreporter.write_line(text, red=is_failed, green=not is_failed)

    def pytest_unconfigure(self) -> None:
        """Count no more."""
        septum.hooks.uninstall(self._hook)


def _read_report(text: str) -> tuple[str, Path]:
    kind, _, path = text.partition(":")
    if kind not in {"term", "html", "none"} or (path and kind != "html"):
        raise pytest.UsageError(f"--septum-cov-report={text}: give term, html, html:FILE or none")
    return kind, Path(path or _PAGE)
