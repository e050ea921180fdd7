"""What can be wrong with a definition: one finding a fault, each of a kind that has a stable code.

Codes never change their meaning; a new kind takes a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from septum._errors import DefinitionError, DuplicateState, UnknownState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Severity = Literal["error", "warning", "note"]
Step: TypeAlias = "tuple[str, str]"
"""One step of a path: the full name of a state, and the answer that it gives there."""

UNKNOWN_TARGET = "SEP001"
BROKEN_TRANSITIONS = "SEP002"
NO_TRANSITION = "SEP003"
SHARED_NAME = "SEP004"
NO_HANDLER = "SEP005"
TWO_EDGES = "SEP006"
BAD_TIMEOUT = "SEP007"
BAD_RETRIES = "SEP008"
BAD_POLICY = "SEP009"
BAD_EXPECT = "SEP010"
AMBIGUOUS_NAME = "SEP011"
UNUSED_EVENT = "SEP012"
NO_LABEL = "SEP013"
TERMINAL_EDGES = "SEP014"
NO_ON_TIMEOUT = "SEP015"
NO_ON_FAIL = "SEP016"
REPEATED_HANDLER = "SEP017"
IDLE_COMMENT = "SEP018"
NO_REASON = "SEP019"
EMPTY_POP = "SEP101"
UNBOUNDED_STACK = "SEP102"
UNREACHED = "SEP103"
NO_END = "SEP104"
NEVER_RETURNED = "SEP105"
SPIN = "SEP106"

_RANKS: Final = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a definition.

    Attributes:
        code: The kind, `"SEP001"`; those of the structure are below 100, those of the proofs above.
        severity: "error" stops the construction of a machine; "warning" is logged there; "note" is only told by `septum.check`.
        state: The full name of the state it is about.
        message: What was found, in a sentence.
        hint: What to do about it.
        path: How to get there from the start: the shortest list of steps that shows it, each a state's full name and what it answers (a
            label as `"Events.GO"`, a marker, a target, or `"error"`: it raises). Empty where no run shows it, where the machine need not
            move to show it, or where it would be longer than `septum._pushdown.LONGEST` steps.
        where: `"file:line"` of the state's first line, where a comment may allow it; empty if that is unknown.
    """

    code: str
    severity: Severity
    state: str
    message: str
    hint: str
    path: tuple[Step, ...] = ()
    where: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.message} {self.hint}".rstrip()


def error(code: str, state: str, message: str, hint: str, where: str = "") -> Finding:
    """Return a finding that stops the construction of a machine."""
    return Finding(code, "error", state, message, hint, (), where)


def warning(code: str, state: str, message: str, hint: str, where: str = "", path: tuple[Step, ...] = ()) -> Finding:
    """Return a finding that is logged."""
    return Finding(code, "warning", state, message, hint, path, where)


def sort(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return *findings* with errors first, notes last, each kind in the order given."""
    return tuple(sorted(findings, key=lambda finding: _RANKS[finding.severity]))


def refuse(initial: str, findings: Sequence[Finding], *, missing: str = "") -> DefinitionError:
    """Build the error for a machine that begins at *initial* and has *findings*; *missing* is a name that led nowhere."""
    text = f"State machine validation failed: no machine can be made from state {initial!r}."
    text += "".join(f"\n  {finding}" for finding in findings)
    facts: dict[str, object] = {"findings": tuple(findings)}
    shared = [finding.state for finding in findings if finding.code == SHARED_NAME]
    if missing:
        return UnknownState(text, name=missing, **facts)
    return DuplicateState(text, name=shared[0], **facts) if shared else DefinitionError(text, **facts)
