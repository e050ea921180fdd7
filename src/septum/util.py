"""The old address of `to_mermaid`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from septum._graph import Graph
from septum._mermaid import draw

if TYPE_CHECKING:
    from septum._machine import StateMachine

__all__ = ["to_mermaid"]


def to_mermaid(fsm: StateMachine[Any]) -> str:
    """Return the states that *fsm* can reach as the text of a Mermaid flowchart."""
    return draw(Graph.of(fsm.initial_state, fsm.error_state))
