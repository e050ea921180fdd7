"""The old address of `to_mermaid`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from septum._graph import Graph

if TYPE_CHECKING:
    from septum._machine import StateMachine

__all__ = ["to_mermaid"]


def to_mermaid(fsm: StateMachine[Any]) -> str:
    """Return the states that *fsm* can reach as the text of a Mermaid flowchart, the current state highlighted once it has begun."""
    return Graph.of(fsm.initial_state, fsm.error_state).to_mermaid(current=fsm.current_state)
