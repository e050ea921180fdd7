"""What `septum.check` reports, what constructing a machine makes of it, and what a comment allows."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from septum import (
    Again,
    DefinitionError,
    LabeledTransition,
    Pop,
    Push,
    StateConfiguration,
    StateMachine,
    StateSpec,
    UnknownState,
    _proofs,
    _source,
)
from septum._report import Report, check
from tests.small_systems import E

if TYPE_CHECKING:
    from pathlib import Path


def make(name: str, *listed: Any, **parts: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    return StateSpec(name=f"r.{name}", qualname=name, **({"on_state": print, "transitions": lambda: list(listed)} | parts))


def codes(report: Report) -> list[tuple[str, str]]:
    """Return severity and code of each finding."""
    return [(finding.severity, finding.code) for finding in report.findings]


def test_report_has_everything_errors_first() -> None:
    """What is proved is an error here, what the structure makes doubtful stays a warning, a spin is a note."""
    sub = make("Sub", Pop, config=StateConfiguration(can_dwell=True))
    start = make("Start")
    start.transitions = lambda: [start, Push(sub, start), LabeledTransition(E.A, sub)]
    report = check(start)
    assert codes(report) == [("error", "SEP101"), ("warning", "SEP013"), ("warning", "SEP013"), ("note", "SEP106")]
    assert report.errors + report.warnings + report.notes == report.findings
    assert (report.ok, report.stack_depth, report.allowed) == (False, 1, ())
    assert report.graph is not None
    assert report.graph.initial.spec is start


def test_sound_definition_is_ok() -> None:
    """No findings, and the exact depth of the stack."""
    sub = make("Sub", Pop)
    start = make(
        "Start", LabeledTransition(E.A, Push(sub, sub, sub)), LabeledTransition(E.B, None), config=StateConfiguration(can_dwell=True)
    )
    report = check(start)
    assert (report.ok, report.findings, report.stack_depth) == (False, report.errors, 2)
    start.transitions = lambda: [LabeledTransition(E.A, Push(sub, start)), LabeledTransition(E.B, None)]
    assert (check(start).ok, check(start).findings, check(start).stack_depth) == (True, (), 1)


def test_error_state_takes_part() -> None:
    """It is one of the machine's states, and a way to go."""
    assert codes(check(make("Start", LabeledTransition(E.A, None)), make("Stuck"))) == [("error", "SEP104")]


def test_states_that_make_no_graph_are_reported() -> None:
    """With the findings that say why; nothing is proved."""
    report = check(make("A", 42))
    assert (codes(report), report.graph, report.stack_depth, report.ok) == ([("error", "SEP003")], None, None, False)


def test_nothing_is_proved_while_the_structure_has_errors() -> None:
    """What would be proved might not be what is meant."""
    report = check(make("A", Pop, Again, config=StateConfiguration(timeout=-1), on_timeout=print))
    assert (codes(report), report.stack_depth) == ([("error", "SEP007")], None)


def test_what_is_no_state_is_refused() -> None:
    """There is nothing to report on."""
    with pytest.raises(UnknownState, match="State 'r.Nobody' not found"):
        check("r.Nobody")
    with pytest.raises(DefinitionError, match="3 is not a state"):
        check(3)  # type: ignore[arg-type]


def test_construction_logs_what_is_proved_once(caplog: pytest.LogCaptureFixture) -> None:
    """As warnings, without the note; the second machine of the definition has nothing to add, and nothing is proved again."""
    loop = make("Loop", Again, Pop)
    hint = "PopFromEmptyStack is raised then. Push it with a state below it, or answer something else where nothing was pushed."
    asked: list[object] = []
    before = _proofs.prove
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_proofs, "prove", lambda graph, full=True: asked.append(full) or before(graph, full=full))
        StateMachine(loop)
        StateMachine(loop)
        StateMachine(loop, name="other")
    assert [record.getMessage() for record in caplog.records] == [
        f"SEP101 in r.Loop: State 'r.Loop' may answer Pop while nothing is on the stack. {hint}"
    ]
    assert asked == [False]


def test_construction_proves_nothing_about_a_broken_structure() -> None:
    """The error of the structure is all that is told."""
    with pytest.raises(DefinitionError) as caught:
        StateMachine(make("A", Pop, config=StateConfiguration(timeout=-1), on_timeout=print))
    assert [finding.code for finding in caught.value.findings] == ["SEP007"]


def test_strict_construction_refuses_what_is_proved() -> None:
    """As errors, whether or not a lenient machine came before; a note is nobody's fault."""
    loop = make("Loop", Again, Pop)
    for _ in range(2):
        with pytest.raises(DefinitionError) as caught:
            StateMachine(loop, strict=True)
        assert [(finding.severity, finding.code) for finding in caught.value.findings] == [("error", "SEP101")]
        assert str(caught.value).splitlines() == ["State machine validation failed:", f"  {caught.value.findings[0]}"]
        StateMachine(loop)
    StateMachine(make("Spin", Again), strict=True)


PROGRAM = """\
from enum import Enum, auto
from septum import Again, Pop, septum

@septum.state
def Waived():  # septum: allow SEP101 {reason}
    @septum.on_state
    def on_state(ctx): ...
    @septum.transitions
    def transitions():
        return [Pop]

@septum.state  # septum: allow {code} all is well
class Sound:
    @septum.on_state
    def on_state(ctx): ...
    @septum.transitions
    def transitions():
        return [Again]
"""


def declare(directory: Path, **parts: str) -> dict[str, Any]:
    """Write the program with these *parts* into a file and run it from there; return its names."""
    file = directory / "waived.py"
    file.write_text(PROGRAM.format(**({"reason": "the caller has pushed", "code": "SEP106"} | parts)), encoding="utf-8")
    scope: dict[str, Any] = {"__name__": "waived"}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), scope)
    return scope


def test_comment_with_a_reason_allows_a_finding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is out of the findings, kept aside, not logged, and no matter under strict; so is a note."""
    scope = declare(tmp_path)
    report = check(scope["Waived"])
    assert (report.ok, report.findings, [finding.code for finding in report.allowed]) == (True, (), ["SEP101"])
    assert report.allowed[0].where == f"{tmp_path / 'waived.py'}:4"
    assert [finding.code for finding in check(scope["Sound"]).allowed] == ["SEP106"]
    StateMachine(scope["Waived"], strict=True)
    assert caplog.records == []


def test_comment_without_a_reason_allows_nothing(tmp_path: Path) -> None:
    """It is a finding itself."""
    report = check(declare(tmp_path, reason="")["Waived"])
    where = f"{tmp_path / 'waived.py'}:5"
    text = "The comment that allows SEP101 in state 'waived.Waived' gives no reason, so it counts for nothing."
    assert codes(report) == [("error", "SEP101"), ("warning", "SEP019")]
    assert (report.warnings[0].message, report.warnings[0].where) == (text, where)


@pytest.mark.parametrize("code", ["SEP102", "SEP005"])
def test_comment_that_allows_nothing_is_a_finding(tmp_path: Path, code: str) -> None:
    """Told where it stands; the errors of the structure cannot be allowed at all."""
    report = check(declare(tmp_path, code=code)["Sound"])
    text = f"The comment that allows {code} in state 'waived.Sound' silences nothing."
    assert codes(report) == [("warning", "SEP018"), ("note", "SEP106")]
    assert (report.warnings[0].message, report.warnings[0].where) == (text, f"{tmp_path / 'waived.py'}:12")


def test_no_source_is_read_while_there_is_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constructing a machine of a sound definition opens no file; nor are those states looked at that nothing is said about."""
    read: list[str] = []
    before = _source.read_allowances
    monkeypatch.setattr(_source, "read_allowances", lambda spec: read.append(spec.name) or before(spec))
    scope = declare(tmp_path)
    StateMachine(scope["Sound"])
    assert read == []
    StateMachine(scope["Waived"], error_state=scope["Sound"])
    assert read == ["waived.Waived"]


def test_proofs_are_kept_with_the_graph_until_a_state_changes() -> None:
    """A report after a machine adds the notes; a changed definition is proved anew."""
    start = make("Start", Pop)
    assert [finding.code for finding in check(start).findings] == ["SEP101"]
    start.transitions = lambda: [Again]
    assert [finding.code for finding in check(start).findings] == ["SEP106"]


def test_finding_of_a_report_is_that_of_the_log_but_for_its_severity(tmp_path: Path) -> None:
    """Same path, same place."""
    scope = declare(tmp_path, reason="")
    (error,) = check(scope["Waived"]).errors
    assert error.path == (("waived.Waived", "Pop"),)
    assert error.where == f"{tmp_path / 'waived.py'}:4"
    assert replace(error, severity="warning") in _proofs.prove(check(scope["Waived"]).graph).findings  # type: ignore[arg-type]


def test_findings_are_logged_with_their_state(caplog: pytest.LogCaptureFixture) -> None:
    """One record each, at WARNING."""
    stuck = make("Stuck", config=StateConfiguration(can_dwell=True))
    StateMachine(make("Start", LabeledTransition(E.A, stuck), LabeledTransition(E.B, None)))
    assert [(record.levelno, record.__dict__["septum_state"]) for record in caplog.records] == [(logging.WARNING, "r.Stuck")]
