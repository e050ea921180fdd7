"""What `septum.replay.check` found, for people and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RULES: Final[dict[str, str]] = {
    "state-removed": "A visited state is no state of the definition any more.",
    "other-initial": "The machine begins in another state.",
    "edge-missing": "A state has no edge for the answer by which it was left.",
    "other-target": "The edge that was taken leads elsewhere.",
    "stack-impossible": "The stack cannot be as it was.",
    "timeout-shorter": "A state's timeout is shorter than a visit lasted.",
    "timeout-missing": "A timeout fired that the state has no more, or only later.",
    "fewer-retries": "A state was retried more often than it may be now.",
    "terminal": "A state was left by an edge that ends the machine now.",
    "not-terminal": "The machine ended in a state that does not end it any more.",
}
"""The kinds of violations, with what each says; the identifiers are stable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that a run did and a definition does not admit.

    Attributes:
        kind: What sort of thing, a key of `RULES`.
        run_id, machine_name, machine_id: Which run.
        visit: In which visit of it.
        seq: `septum.seq` of that visit; 0 where it has none.
        state: Its state.
        expected: What the definition admits.
        found: What the run did.
        where: "file:line" of the state as it is declared today; "" where there is none.
        file: What the run was read from.
    """

    kind: str
    run_id: str
    machine_name: str
    machine_id: str
    visit: int
    seq: int
    state: str
    expected: str
    found: str
    where: str = ""
    file: str = ""

    def __str__(self) -> str:
        """Return it as one line."""
        place = f"run {self.run_id}, visit {self.visit}" + (f" (seq {self.seq})" if self.seq else "")
        return f"{place}: {self.kind} in {self.state}: expected {self.expected}; found {self.found}"


class Problem(NamedTuple):
    """What is wrong with a run, for the reports that other programs read.

    Attributes:
        kind: What sort of thing.
        text: One sentence or more.
        state: In which state; "" if that is not known.
        where: "file:line" in the program; "" if there is none.
        key: What makes it the same thing in another run.
        details: What else is known, for programs.
    """

    kind: str
    text: str
    state: str = ""
    where: str = ""
    key: str = ""
    details: Mapping[str, object] = MappingProxyType({})

    @classmethod
    def of(cls, violation: Violation) -> Problem:
        """Return a violation as a problem."""
        details = {"run": violation.run_id, "visit": violation.visit, "seq": violation.seq, "recording": violation.file}
        return cls(violation.kind, str(violation), violation.state, violation.where, violation.expected, details)


class Case(NamedTuple):
    """A run as a test: its name, the machine's, and what is wrong."""

    name: str
    group: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Which runs a definition admits.

    Attributes:
        initial: Full name of its initial state.
        definition_hash: Its hash.
        runs: The ids of the runs that were checked.
        violations: What it does not admit, run by run.
        incomplete: How many of the runs have gaps; what is missing was not checked.
    """

    initial: str
    definition_hash: str
    runs: tuple[str, ...]
    violations: tuple[Violation, ...]
    incomplete: int = 0

    @property
    def ok(self) -> bool:
        """Whether all runs are admitted."""
        return not self.violations

    @property
    def refused(self) -> tuple[str, ...]:
        """The ids of the runs that are not admitted, in their order."""
        return tuple(dict.fromkeys(violation.run_id for violation in self.violations))

    @property
    def exit_code(self) -> int:
        """0 if all runs are admitted, else 1."""
        return 0 if self.ok else 1

    def __str__(self) -> str:
        """Return it as text: a line for each violation, and one for all."""
        return "\n".join([*map(str, self.violations), self.summary])

    @property
    def summary(self) -> str:
        """One sentence about all runs."""
        count, refused = len(self.runs), len(self.refused)
        admitted = f"{count - refused} of {count} run{'' if count == 1 else 's'} admitted by {self.initial} ({self.definition_hash})"
        return admitted + (f", {self.incomplete} of them with gaps" if self.incomplete else "")

    def by_run(self) -> Iterator[tuple[str, tuple[Violation, ...]]]:
        """Yield each run that was checked with its violations."""
        found: dict[str, list[Violation]] = {run: [] for run in self.runs}
        for violation in self.violations:
            found[violation.run_id].append(violation)
        for run, violations in found.items():
            yield run, tuple(violations)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "initial": self.initial,
            "definition_hash": self.definition_hash,
            "ok": self.ok,
            "runs": len(self.runs),
            "refused": list(self.refused),
            "incomplete": self.incomplete,
            "violations": [asdict(violation) for violation in self.violations],
        }

    def cases(self) -> list[Case]:
        """Return each run as the case of a test."""
        return [
            Case(run, violations[0].machine_name if violations else self.initial, tuple(map(Problem.of, violations)))
            for run, violations in self.by_run()
        ]

    def to_junit(self) -> str:
        """Return it as JUnit XML: a test case for each run."""
        from septum.replay._junit import as_junit  # noqa: PLC0415 - XML is for those who ask for it

        return as_junit(self.initial, self.cases())

    def to_sarif(self) -> str:
        """Return it as SARIF 2.1.0: a result for each violation, at the state as it is declared today."""
        from septum.replay._sarif import as_sarif  # noqa: PLC0415 - for those who ask for it

        return as_sarif(RULES, self.cases())
