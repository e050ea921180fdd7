"""A definition once more, with stubs for handlers: each answers what a script says that it answers next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from septum import LabeledTransition, Push, StateSpec
from septum.testing._goals import MARKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from septum import Graph
    from septum._node import Edge, Node


class Script:
    """What handlers answer, in the order of their calls.

    Args:
        lines: State, handler and answer of each call that decides something; an exception is raised. Calls between them answer None.
    """

    def __init__(self, lines: Sequence[tuple[str, str, object]]) -> None:
        self._lines = list(lines)[::-1]

    def answer(self, state: str, handler: str) -> object:
        """Return what *handler* of *state* answers to this call."""
        if not self._lines or self._lines[-1][:2] != (state, handler):
            return None
        answer = self._lines.pop()[2]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def stub_states(graph: Graph, script: Script) -> tuple[StateSpec, StateSpec | None]:
    """Return the initial and the error state of a definition equal to *graph*, whose handlers follow *script*.

    The states have the names, limits and edges of the real ones, and are not registered.
    """
    stubs: dict[str, StateSpec] = {}
    for node in graph.nodes:
        stubs[node.name] = _stub(node, script, stubs)
    return stubs[graph.initial.name], None if graph.error is None else stubs[graph.error.name]


def _stub(node: Node, script: Script, stubs: dict[str, StateSpec]) -> StateSpec:
    spec = node.spec

    def handler(name: str) -> Callable[[Any], Coroutine[Any, Any, object]]:
        async def answer(_: Any) -> object:
            return script.answer(node.name, name)

        return answer

    return StateSpec(
        name=spec.name,
        qualname=spec.qualname,
        module=spec.module,
        config=spec.config,
        Events=spec.Events,
        on_state=handler("on_state"),
        on_timeout=None if node.on_timeout is None else handler("on_timeout"),
        on_fail=None if node.on_fail is None else handler("on_fail"),
        transitions=lambda: [_transition(edge, stubs) for edge in node.edges],
    )


def _transition(edge: Edge, stubs: dict[str, StateSpec]) -> object:
    targets = [stubs[target.name] for target in edge.targets]
    leads: Any = Push(*targets) if edge.kind == "push" else targets[0] if targets else MARKERS.get(edge.kind)
    return leads if edge.label is None else LabeledTransition(edge.label, leads)
