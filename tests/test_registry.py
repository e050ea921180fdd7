"""The old way to ask about definitions."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import pytest

from septum import Again, LabeledTransition, Pop, Push, Retry, StateConfiguration, StateRef, StateSpec, UnknownState, register_state
from septum._registry import StateRegistry, ValidationResult


class E(Enum):
    """Labels."""

    GO = auto()
    DOWN = auto()
    AGAIN = auto()
    END = auto()
    LIST = []  # noqa: RUF012


def make(name: str, *listed: Any, **parts: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    return StateSpec(name=f"r.{name}", qualname=name, **({"on_state": print, "transitions": lambda: list(listed)} | parts))


REGISTRY = StateRegistry()
B = make("B")
register_state(B)


def test_state_is_resolved_from_whatever_means_it() -> None:
    """Itself, its reference, its name; what means no state gives None."""
    assert [REGISTRY.resolve_state(target) is B for target in (B, StateRef("r.B"), "r.B")] == [True] * 3
    assert REGISTRY.resolve_state(3) is None  # type: ignore[arg-type]


def test_unknown_state_is_raised_or_only_looked_for() -> None:
    """With validate_only it is None."""
    with pytest.raises(UnknownState, match="State 'zzz' not found in registry"):
        REGISTRY.resolve_state("zzz")
    assert REGISTRY.resolve_state("zzz", True) is None
    assert REGISTRY.resolve_state(StateRef("zzz"), validate_only=True) is None


def test_transitions_are_found_by_every_answer() -> None:
    """A label by itself, its name and its value; a state listed alone by its name; references are resolved, markers are classes."""
    listed = [LabeledTransition(E.GO, StateRef("r.B")), LabeledTransition(E.DOWN, Push("r.B")), LabeledTransition(E.AGAIN, Again())]
    found = REGISTRY.get_transitions(make("A", *listed, LabeledTransition(E.END, None), LabeledTransition(E.LIST, Pop), B, Retry))
    expected = {E.GO: B, E.DOWN: Push(B), E.AGAIN: Again, E.END: None}
    by_name = {label.name: target for label, target in expected.items()}
    by_value = {label.value: target for label, target in expected.items()}
    assert found == expected | by_name | by_value | {E.LIST: Pop, "LIST": Pop, "r.B": B}


def test_sound_states_are_valid() -> None:
    """All three validations say what was reached; warnings are told by the first."""
    A = make("A", B)
    reached = {"r.A", "r.B"}
    warning = (
        "SEP013 State 'r.A' lists r.B without a label. Write LabeledTransition(Events.X, ...), so that traces and drawings can name it."
    )
    assert REGISTRY.validate_all_states(A) == ValidationResult(True, [], [warning], reached)
    assert REGISTRY.validate_determinism(A) == ValidationResult(True, [], [], reached)
    assert REGISTRY.validate_pda_properties(B, A) == ValidationResult(True, [], [], reached)


def test_two_edges_for_a_label_are_not_deterministic() -> None:
    """The first two validations say so, the third looks for something else."""
    A = make("A", LabeledTransition(E.GO, B), LabeledTransition(E.GO, None), config=StateConfiguration(timeout=-1), on_timeout=print)
    two = "SEP006 State 'r.A' has multiple transitions for E.GO: 2 of them. Keep one, or give each its own label."
    bad = "SEP007 State 'r.A' has timeout=-1. Give seconds, zero or more, or None for no deadline."
    assert REGISTRY.validate_all_states(A) == ValidationResult(False, [two, bad], [], {"r.A", "r.B"})
    assert REGISTRY.validate_determinism(A) == ValidationResult(False, [two], [], {"r.A", "r.B"})
    assert REGISTRY.validate_pda_properties(A).valid


def test_states_that_make_no_graph_are_invalid_for_all() -> None:
    """What stops the graph is told by every validation; an initial state that nobody knows as well."""
    A = make("A", "r.Gone")
    for validate in (REGISTRY.validate_all_states, REGISTRY.validate_determinism, REGISTRY.validate_pda_properties):
        result = validate(A)
        assert (result.valid, len(result.errors), result.warnings, result.discovered_states) == (False, 1, [], set())
        assert "State 'r.Gone' not found in registry" in result.errors[0]
        (text,) = validate("r.Lost").errors
        assert text.startswith("State 'r.Lost' not found in registry.")


def test_stack_is_validated_by_what_is_proved() -> None:
    """What can go wrong with it is a warning of the first and the third validation, without the comments that `check` heeds."""
    A = make("A", LabeledTransition(E.GO, Pop))
    text = (
        "SEP101 State 'r.A' may answer E.GO while nothing is on the stack. PopFromEmptyStack is raised then. "
        "Push it with a state below it, or answer something else where nothing was pushed."
    )
    result = ValidationResult(True, [], [text], {"r.A"})
    assert (REGISTRY.validate_all_states(A), REGISTRY.validate_pda_properties(A)) == (result, result)
    assert REGISTRY.validate_determinism(A).warnings == []
