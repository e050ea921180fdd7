"""The old way to ask about definitions, `StateRegistry`: a thin layer over the graph and its checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from septum import _findings as findings
from septum._checks import check
from septum._errors import DefinitionError
from septum._graph import Graph
from septum._node import MARKER_KINDS
from septum._states import StateSpec, find_state
from septum._transitions import Push, StateRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum._findings import Finding
    from septum._node import Edge
    from septum._transitions import Target


@dataclass
class ValidationResult:
    """What a validation found.

    Attributes:
        valid: There are no errors.
        errors: Each in a sentence.
        warnings: Each in a sentence.
        discovered_states: The full names of the states that can be reached; empty if the states make no graph.
    """

    valid: bool
    errors: list[str]
    warnings: list[str]
    discovered_states: set[str]


class StateRegistry:
    """Answers questions about declared states; it keeps nothing itself."""

    def resolve_state(
        self,
        state_ref: Target,
        validate_only: bool = False,  # noqa: FBT001, FBT002 - the old signature
    ) -> StateSpec | None:
        """Return the state that *state_ref* means; None for what means none.

        Raises:
            UnknownState: A name or `StateRef` leads nowhere, and *validate_only* is False.
        """
        if not isinstance(state_ref, StateSpec | StateRef | str):
            return None
        try:
            return find_state(state_ref)
        except DefinitionError:
            if validate_only:
                return None
            raise

    def get_transitions(self, state: StateSpec) -> dict[Any, Any]:
        """Return where the answers of *state* lead: by label, its name and its value; by state name for a state listed without label.

        Raises:
            DefinitionError: The states that can be reached from it make no graph.
        """
        found: dict[Any, Any] = {}
        for edge in Graph.of(state).initial.edges:
            for answer in _list_answers(edge):
                found.setdefault(answer, _find_target(edge))
        return found

    def validate_all_states(self, initial_state: Target, error_state: Target | None = None) -> ValidationResult:
        """Return all that is wrong with a machine of these two; only what it can reach is looked at."""
        return _validate(initial_state, error_state, None)

    def validate_determinism(self, initial_state: Target, error_state: Target | None = None) -> ValidationResult:
        """Return where one label has two transitions."""
        return _validate(initial_state, error_state, {findings.TWO_EDGES})

    def validate_pda_properties(self, initial_state: Target, error_state: Target | None = None) -> ValidationResult:
        """Return what is wrong with pushing and popping: a pop of nothing, a stack without bound, a state never returned to."""
        return _validate(initial_state, error_state, {findings.EMPTY_POP, findings.UNBOUNDED_STACK, findings.NEVER_RETURNED})


def _validate(initial: Target, error: Target | None, codes: set[str] | None) -> ValidationResult:
    """Return the findings with one of *codes*, None for all; those that leave no graph to look at count always."""
    try:
        graph = Graph.of(initial, error)
    except DefinitionError as exc:
        texts = [str(finding) for finding in exc.findings] or [str(exc)]
        return ValidationResult(valid=False, errors=texts, warnings=[], discovered_states=set())
    found = list(check(graph))
    if not any(finding.severity == "error" for finding in found):
        from septum._proofs import prove  # noqa: PLC0415 - so that importing septum does not wait for it

        found += prove(graph, full=False).findings
    found = [finding for finding in found if codes is None or finding.code in codes]
    errors = _list_texts(found, "error")
    return ValidationResult(valid=not errors, errors=errors, warnings=_list_texts(found, "warning"), discovered_states=set(graph.by_name))


def _list_texts(found: list[Finding], severity: str) -> list[str]:
    return [str(finding) for finding in found if finding.severity == severity]


def _list_answers(edge: Edge) -> Iterator[object]:
    if edge.label is not None:
        yield edge.label
        yield edge.label.name
        if edge.label.value.__hash__ is not None:
            yield edge.label.value
    elif edge.kind == "direct":
        yield edge.targets[0].name


def _find_target(edge: Edge) -> object:
    if edge.kind == "push":
        return Push(*(target.spec for target in edge.targets))
    if edge.targets:
        return edge.targets[0].spec
    return next((marker for marker, kind in MARKER_KINDS.items() if kind == edge.kind), None)
