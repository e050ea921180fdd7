"""What a handler may answer, and what a state lists as its transitions: markers, references and labelled edges.

All of them are values: hashable, equal by what they say, never changed. A marker means the same as a class and as an instance,
`Retry` and `Retry()`, so the two are equal and have one hash. `AWAITS` is kept for programs that read it; the engine does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from enum import Enum

    from septum._states import StateSpec

# mypy does not apply class decorators to the name, so a state in the class form is a `type` to it.
Target: TypeAlias = "StateSpec | StateRef | type[Any] | str"


# No slots: `Again.AWAITS` must stay readable on the class.
@dataclass(frozen=True, eq=False)
class TransitionType:
    """The root of everything that leads somewhere."""

    AWAITS: bool = False

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type):
            return other is type(self)
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    @property
    def name(self) -> str:
        """The name of its class."""
        return type(self).__name__

    @property
    def base_name(self) -> str:
        """The name of its kind: `StateTransition`, `StateContinuation` or `StateRenewal` for a marker."""
        return type(self).__mro__[1].__name__


class StateTransition(TransitionType):
    """Leads to another state."""


class StateContinuation(TransitionType):
    """Stays in the state and keeps its retry count."""


class StateRenewal(TransitionType):
    """Begins the state anew and resets its retry count."""


class Again(StateContinuation):
    """Run `on_state` again at once; no `on_leave`, no `on_enter`."""


@dataclass(frozen=True, eq=False)
class Unhandled(StateContinuation):
    """Wait for the next message or the timeout; the message that was seen counts as unhandled."""

    AWAITS: bool = True


class Retry(StateContinuation):
    """Leave and enter the state again after its policy's delay, at most `retries` times; then `on_fail` decides."""


class Repeat(StateRenewal):
    """Leave and enter the state again at once."""


@dataclass(frozen=True, eq=False)
class Restart(StateRenewal):
    """Leave and enter the state again, then wait for a message."""

    AWAITS: bool = True


class Pop(StateTransition):
    """Return to the state on top of the stack."""


class Push(StateTransition):
    """Enter the first of *states*; the others wait below it, in their order.

    The pushing state itself comes back only if it is listed. Two pushes are equal when they name the same states, whether by the
    state, its `StateRef` or its name.

    Args:
        states: At least one, the one to enter first.
    """

    _states: tuple[Target, ...]

    def __init__(self, *states: Target) -> None:
        object.__setattr__(self, "_states", states)

    @property
    def push_states(self) -> list[Target]:
        """The states as given, the one to enter first."""
        return list(self._states)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Push) and self._names() == other._names()

    def __hash__(self) -> int:
        return hash((Push, self._names()))

    def __repr__(self) -> str:
        return f"Push({', '.join(map(repr, self._states))})"

    def _names(self) -> tuple[object, ...]:
        # A StateSpec is equal to its name, with the same hash.
        return tuple(state.state if isinstance(state, StateRef) else state for state in self._states)


class StateRef(StateTransition):
    """Names a state that is declared elsewhere, which breaks import circles; resolved when a machine is constructed.

    Args:
        state: The full name, `"module.Name"`. The module must have been imported by then.
    """

    state: str = ""

    def __init__(self, state: str) -> None:
        object.__setattr__(self, "state", state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StateRef) and self.state == other.state

    def __hash__(self) -> int:
        return hash((StateRef, self.state))

    def __repr__(self) -> str:
        return f"StateRef({self.state!r})"


@dataclass(frozen=True, slots=True)
class LabeledTransition:
    """An edge: the state goes to *transition* when a handler answers *label*.

    Args:
        label: A member of the state's `Events`.
        transition: A state, a marker as class or instance, a `Push`, or None, which ends the machine.
    """

    label: Enum
    transition: TransitionType | type[Any] | str | None
