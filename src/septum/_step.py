"""What happens next: from a state, what is below it and an answer to the move that follows.

Pure: no awaiting, no clock, no hooks. A machine obeys it and a replay runs it, so both decide alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from septum import _errors

if TYPE_CHECKING:
    from septum._graph import Edge, Node

LEAVES: Final = frozenset({"label", "direct", "push", "pop", "repeat", "restart", "retry", "error", "end", "complete"})
"""Moves that end the visit: `on_leave` runs."""

RESETS: Final = frozenset({"label", "direct", "repeat", "restart", "error"})
"""Moves that clear the retry count of the state that is left."""


class Move(NamedTuple):
    """What a machine does next.

    Attributes:
        kind: The edge's kind; besides "wait" (answer None), "exhausted" (a retry past the limit: `on_fail` decides), "error" (routed) and
            "complete" (a terminal state is through).
        label: The label as text, None without one.
        target: The state to enter; None when none is entered.
        below: What is put onto the stack, lowest first.
    """

    kind: str
    label: str | None = None
    target: Node | None = None
    below: tuple[Node, ...] = ()


WAIT: Final = Move("wait")
COMPLETE: Final = Move("complete")


def decide(node: Node, top: Node | None, retries: int, answer: object, machine: str = "") -> Move:
    """Return the move that *answer* means in *node*.

    Args:
        node: The state whose handler answered.
        top: What is on top of the stack; None when it is empty.
        retries: How often the state was retried already.
        answer: What the handler returned.
        machine: The machine's name, for the errors.

    Raises:
        UnknownTransition: No edge of *node* is meant.
        PopFromEmptyStack: `Pop` with nothing on the stack.
    """
    if answer is None:
        return WAIT
    edge = node.resolve(answer)
    if edge is None:
        raise _errors.unknown_transition(machine, node.name, answer, (edge.name for edge in node.edges))
    return follow(edge, node, top, retries, machine)


def follow(edge: Edge, node: Node, top: Node | None, retries: int, machine: str = "") -> Move:
    """Return the move along *edge*; arguments and errors as for `decide`."""
    label = None if edge.label is None else edge.name
    kind = edge.kind
    match kind:
        case "label" | "direct":
            return Move(kind, label, edge.targets[0])
        case "push":
            return Move(kind, label, edge.targets[0], edge.targets[:0:-1])
        case "pop":
            if top is None:
                raise _errors.pop_from_empty(machine, node.name)
            return Move(kind, label, top)
        case "retry":
            if node.retries is not None and retries >= node.retries:
                return Move("exhausted", label, node)
            return Move(kind, label, node)
        case "repeat" | "restart" | "again":
            return Move(kind, label, node)
        case _:
            return Move(kind, label)


def retry_delay(node: Node, count: int, chance: float) -> float:
    """Return the seconds before retry *count* (from 1); *chance* in [0, 1) picks the place within the jitter."""
    policy = node.retry
    if policy is None:
        return 0.0
    try:
        delay = min(policy.max_delay, policy.base * policy.factor ** (count - 1))
    except OverflowError:
        delay = policy.max_delay
    return max(0.0, delay * (1.0 + policy.jitter * (2.0 * chance - 1.0)))
