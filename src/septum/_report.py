"""Everything that is found about a definition: of `septum.check`, and what a machine's construction makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from septum import _checks, _proofs, _source
from septum import _findings as findings
from septum._errors import DefinitionError
from septum._findings import warning
from septum._graph import Graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from septum._findings import Finding
    from septum._proofs import Proofs
    from septum._states import StateSpec
    from septum._transitions import Target

_PROVED: Final = frozenset({findings.EMPTY_POP, findings.UNBOUNDED_STACK, findings.UNREACHED, findings.NO_END, findings.NEVER_RETURNED})


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found.

    Attributes:
        graph: The definition; None where the states make none, which its errors explain.
        findings: All of them, errors first, notes last.
        allowed: What a comment `# septum: allow CODE reason` keeps out of `findings`.
        stack_depth: Most states that can ever wait on the stack of a machine, exactly; None if there is no bound, or if nothing was
            proved because of other errors.
    """

    graph: Graph | None
    findings: tuple[Finding, ...]
    allowed: tuple[Finding, ...] = ()
    stack_depth: int | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What must be repaired."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is doubtful."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is good to know."""
        return tuple(finding for finding in self.findings if finding.severity == "note")

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors


def check(initial: Target, error_state: Target | None = None) -> Report:
    """Return everything that is found about a machine that begins in *initial*, nothing of which is run.

    What is proved (SEP101 to SEP105) counts as an error here, a spin (SEP106) as a note. Nothing is proved while the structure has errors.
    The source of every state is read for comments that allow a finding.

    Args:
        initial: A state, a `StateRef` or a full name.
        error_state: The machine's, if it has one.

    Raises:
        UnknownState: *initial* or *error_state* is a name that leads nowhere.
        DefinitionError: One of them is no state.
    """
    try:
        graph = Graph.of(initial, error_state)
    except DefinitionError as exc:
        if not exc.findings:
            raise
        return Report(None, tuple(exc.findings))
    found = list(_checks.check(graph))
    depth = None
    if not any(finding.severity == "error" for finding in found):
        proofs = _prove(graph, full=True)
        depth = proofs.stack_depth
        found += map(_harden, proofs.findings)
        found += proofs.spins
    specs = [node.spec for node in graph.nodes]
    kept, allowed, idle = _allow(found, specs)
    return Report(graph, findings.sort([*kept, *idle]), allowed, depth)


def require_sound(graph: Graph, *, strict: bool) -> tuple[Finding, ...]:
    """Return the warnings about *graph* that no comment allows, for the log of the first machine that is constructed.

    Sources are read only of states that there are warnings about. What comments say in vain is left to `check`.

    Raises:
        DefinitionError: There are errors, or warnings under *strict*; `findings` has all of them.
    """
    found = list(_checks.check(graph))
    if not any(finding.severity == "error" for finding in found):
        found += _prove(graph, full=strict).findings
        names = {finding.state for finding in found}
        found = list(_allow(found, [node.spec for node in graph.nodes if node.name in names])[0])
    if strict:
        found = list(map(_harden, found))
    wrong = [finding for finding in found if strict or finding.severity == "error"]
    if wrong:
        lines = "".join(f"\n  {finding}" for finding in wrong)
        raise DefinitionError(f"State machine validation failed:{lines}", findings=findings.sort(found))
    return tuple(found)


def _prove(graph: Graph, *, full: bool) -> Proofs:
    """Return what is proved about *graph*, once for all machines and reports."""
    known = cast("Proofs | None", graph.proofs)
    if known is None or (full and not known.full):
        graph.proofs = known = _proofs.prove(graph, full=full)
    return known


def _harden(finding: Finding) -> Finding:
    return replace(finding, severity="error") if finding.code in _PROVED else finding


def _allow(found: Iterable[Finding], specs: Sequence[StateSpec]) -> tuple[tuple[Finding, ...], tuple[Finding, ...], list[Finding]]:
    """Return what of *found* stays, what comments of *specs* allow, and what is wrong with these comments."""
    kept: list[Finding] = list(found)
    allowed: list[Finding] = []
    idle: list[Finding] = []
    for spec in specs:
        for comment in _source.read_allowances(spec):
            if not comment.reason:
                text = (
                    f"The comment that allows {', '.join(comment.codes)} in state {spec.name!r} gives no reason, so it counts for nothing."
                )
                idle.append(warning(findings.NO_REASON, spec.name, text, "Write why behind the code.", comment.where))
                continue
            for code in comment.codes:
                meant = [finding for finding in kept if finding.code == code and finding.state == spec.name and _may_be_allowed(finding)]
                allowed += meant
                kept = [finding for finding in kept if finding not in meant]
                if not meant:
                    text = f"The comment that allows {code} in state {spec.name!r} silences nothing."
                    idle.append(warning(findings.IDLE_COMMENT, spec.name, text, "Remove it, or correct its code.", comment.where))
    return tuple(kept), tuple(allowed), idle


def _may_be_allowed(finding: Finding) -> bool:
    return finding.severity != "error" or finding.code in _PROVED
