"""What there is to do in a definition: its states, edges, timeouts, retries and error routes, one by one.

`explore` leads to each of them, transition coverage counts which were reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from septum import Again, Pop, Push, Repeat, Restart, Retry, Unhandled
from septum.testing._walk import short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from septum import Graph
    from septum._node import Edge, Node

GoalKind = Literal["state", "edge", "timeout", "retry", "exhausted", "error"]

KINDS: Final[dict[GoalKind, str]] = {
    "state": "states",
    "edge": "edges",
    "timeout": "timeouts",
    "retry": "retries",
    "exhausted": "exhausted retries",
    "error": "error routes",
}
"""Each kind of goal, and what many of it are called, in the order of reports."""

MARKERS: Final[dict[str, Any]] = {"again": Again, "unhandled": Unhandled, "repeat": Repeat, "restart": Restart, "retry": Retry, "pop": Pop}
"""The marker of each kind of edge that has one."""


class Goal(NamedTuple):
    """One thing that a run can do.

    Attributes:
        kind: "state": it is entered; "edge": it is taken; "timeout": the state's deadline passes; "retry": the state is retried;
            "exhausted": it asks for more retries than it has; "error": an exception leads from it to the error state.
        state: Full name of the state that it happens in.
        edge: For an edge its place in the state's list, else -1.
    """

    kind: GoalKind
    state: str
    edge: int = -1


def list_goals(graph: Graph) -> tuple[Goal, ...]:
    """Return what runs of *graph* can do, state by state.

    Left out is what never shows as a transition: edges that no answer finds because another one takes it, and `Unhandled`, which is a way
    to wait. Of a terminal state there is only that it is entered: its handler has the last word.
    """
    return tuple(goal for node in graph.nodes for goal in _list_of(node, graph))


def _list_of(node: Node, graph: Graph) -> Iterator[Goal]:
    yield Goal("state", node.name)
    if not node.terminal:
        for place, edge in enumerate(node.edges):
            # A retry without a label is what the goal of that kind is about.
            is_retry = edge.kind == "retry" and (node.retries == 0 or edge.label is None)
            if answer_for(node, edge) is not None and not is_retry:
                yield Goal("edge", node.name, place)
        if node.timeout is not None:
            yield Goal("timeout", node.name)
        if may_retry(node):
            if node.retries != 0:
                yield Goal("retry", node.name)
            if node.retries is not None:
                yield Goal("exhausted", node.name)
        if graph.error is not None and node is not graph.error:
            yield Goal("error", node.name)


def may_retry(node: Node) -> bool:
    """Say whether the state means to be retried: it limits that, has a policy for it, or lists it."""
    return node.retries is not None or node.retry is not None or any(edge.kind == "retry" for edge in node.edges)


def answer_for(node: Node, edge: Edge) -> object:
    """Return what a handler answers to take *edge*; None if no answer does, or if it is a way to wait."""
    answer: object = edge.label
    if answer is None:
        specs = [target.spec for target in edge.targets]
        answer = Push(*specs) if edge.kind == "push" else specs[0] if specs else MARKERS.get(edge.kind)
    return answer if edge.kind != "unhandled" and answer is not None and node.resolve(answer) is edge else None


def describe_goal(goal: Goal, graph: Graph) -> str:
    """Return *goal* as a line: `Idle -START-> Fetching`."""
    names = graph.by_name
    here = short_name(goal.state, names)
    match goal.kind:
        case "state":
            return here
        case "edge":
            return f"{here} {describe_edge(names[goal.state].edges[goal.edge], here, names)}"
        case "timeout":
            return f"{here} -timeout->"
        case "retry":
            return f"{here} -retry-> {here}"
        case "exhausted":
            return f"{here} -fail->"
        case "error":
            return f"{here} -error-> {short_name(graph.error.name, names) if graph.error else ''}"


def describe_edge(edge: Edge, here: str, known: Iterable[str]) -> str:
    """Return an edge out of the state *here*, of the states *known*, as an arrow with its target: `-START-> Fetching`."""
    word = edge.kind if edge.label is None else edge.label.name
    if edge.kind == "push":
        pushed = ", ".join(short_name(target.name, known) for target in edge.targets)
        return f"-{word}-> Push({pushed})"
    if edge.kind == "pop":
        return f"-{word}-> Pop"
    if edge.kind == "end":
        return f"-{word}-> end"
    if edge.targets:
        return f"-{word}-> {short_name(edge.targets[0].name, known)}"
    return f"-{word}-> {here}" if edge.label is None else f"-{word} {edge.kind}-> {here}"
