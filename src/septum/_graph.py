"""The states that a machine can reach, with everything resolved: the only reader of what `transitions()` lists.

Engine, checks and drawings all stand on a `Graph`, so that they cannot disagree about what an edge means.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import deque
from enum import Enum
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from septum import _findings as findings
from septum._difference import tell_difference
from septum._drawings import Drawings
from septum._errors import DefinitionError, UnknownState
from septum._node import ASYNC, ASYNC_TIMED, MARKER_KINDS, MARKERS, SLOW, SYNC, Edge, Node
from septum._source import find_edge_places, find_place
from septum._states import StateSpec, describe_place, find_state, remember_graph
from septum._transitions import LabeledTransition, Push, StateRef, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum._findings import Finding

__all__ = ["ASYNC", "ASYNC_TIMED", "MARKERS", "SLOW", "SYNC", "Edge", "Graph", "Node"]


class Graph(Drawings):
    """A definition: the states that are reachable from an initial and an error state.

    Attributes:
        initial: Where a machine begins.
        error: Where it goes when nothing else handles an exception; None for nowhere.
        nodes: Every reachable state: breadth first from the initial one, in the order of declaration, then from the error state.
        by_name: The nodes by their full names.
        plain: Source, target and label of every plain edge (`Node.plain`), in the order of their numbers.
        plan, tallies: Free for the engine.
        proofs: Free for what is proved about it.
    """

    __slots__ = ("_hash", "by_name", "error", "initial", "nodes", "plain", "plan", "proofs", "tallies")

    def __init__(self, initial: Node, error: Node | None, nodes: tuple[Node, ...]) -> None:
        self.initial = initial
        self.error = error
        self.nodes = nodes
        self.by_name: Mapping[str, Node] = {node.name: node for node in nodes}
        self.plain = tuple((node.name, quick[1].name, quick[3]) for node in nodes for quick in node.plain.values())
        self.plan: object | None = None
        self.proofs: object | None = None
        self.tallies: dict[object, object] = {}
        self._hash = ""

    @classmethod
    def of(cls, initial: Target, error_state: Target | None = None) -> Graph:
        """Return the graph of a machine that begins at *initial*: built once, until a state is declared or changed.

        Where `error_state` is None, `initial.graph_cache.get(None)` is the same in one lookup, or None before the first time.

        Raises:
            UnknownState: A name or a `StateRef` in it leads nowhere.
            DefinitionError: The states make no graph for another reason; `findings` has them all.
        """
        first = find_state(initial)
        error = None if error_state is None else find_state(error_state)
        graph = first.graph_cache.get(error)
        # States are equal by name, so an error state of the same name may be another one.
        if graph is None or (graph.error is not None and graph.error.spec is not error):
            graph = _Walk(first, error).graph
            remember_graph(first, error, graph)
        return graph

    def find(self, target: object) -> Node | None:
        """Return the node of *target* (a state, a `StateRef` or a full name), None if it is no state of this graph."""
        name = target.name if isinstance(target, StateSpec) else target.state if isinstance(target, StateRef) else target
        return self.by_name.get(name) if isinstance(name, str) else None

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits of the states, edges and limits: equal for two definitions that allow the same runs."""
        if not self._hash:
            rules = self.to_dict()
            rules["states"].sort(key=itemgetter("name"))
            for state in rules["states"]:
                del state["handlers"], state["expect"]
                state["edges"].sort(key=json.dumps)
                state["timeout"] = _as_float(state["timeout"])
                policy = state["retry"]
                state["retry"] = policy and {name: _as_float(value) for name, value in policy.items()}
            text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
            self._hash = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self._hash

    def where(self, node: Node, edge: Edge | None = None) -> str:
        """Return `"file:line"` of the first line of the state *node*, or of its *edge*; empty if it stands in no file.

        Only for an edge the source is read; where the list is put together by a program, the line is that of the function.
        """
        if edge is None:
            return find_place(node.spec)
        return find_edge_places(node.spec, node.edges)[node.edges.index(edge)]

    def diff(self, other: Graph) -> list[str]:
        """Return in sentences what became different from this definition to *other*; an empty list if their hashes are equal."""
        return tell_difference(self.to_dict(), other.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return everything in it that is not code, as JSON can hold it."""
        return {
            "initial": self.initial.name,
            "error": None if self.error is None else self.error.name,
            "states": [_describe_node(node) for node in self.nodes],
        }

    def __repr__(self) -> str:
        return f"<graph of {self.initial.name}, {len(self.nodes)} states, {self.hash}>"


def _as_float(number: Any) -> Any:
    """Return 5 as 5.0, which is the same limit, so that both have one hash."""
    return float(number) if type(number) is int and abs(number) < 2**53 else number


def _describe_node(node: Node) -> dict[str, Any]:
    policy = node.retry
    handlers = ("on_state", "on_enter", "on_leave", "on_timeout", "on_fail")
    return {
        "name": node.name,
        "timeout": node.timeout,
        "retries": node.retries,
        "retry": None if policy is None else {name: getattr(policy, name) for name in ("base", "factor", "max_delay", "jitter")},
        "expect": node.expect,
        "terminal": node.terminal,
        "can_dwell": node.can_dwell,
        "handlers": [name for name in handlers if getattr(node, name) is not None],
        "edges": [
            {
                "label": None if edge.label is None else edge.name,
                "kind": edge.kind,
                "targets": [target.name for target in edge.targets],
            }
            for edge in node.edges
        ],
    }


class _Walk:
    """One building of a graph; goes through to the end to find every fault."""

    def __init__(self, initial: StateSpec, error: StateSpec | None) -> None:
        self._nodes: dict[str, Node] = {}
        self._waiting: deque[Node] = deque()
        self._faults: list[Finding] = []
        self._missing = ""
        self._plain = 0
        self._cause: Exception | None = None
        first = self._reach(initial)
        self._visit_all()
        last = None if error is None else self._reach(error)
        self._visit_all()
        if self._faults or first is None:
            raise findings.refuse(initial.name, self._faults, missing=self._missing) from self._cause
        self.graph = Graph(first, last, tuple(self._nodes.values()))

    def _reach(self, spec: StateSpec) -> Node | None:
        """Return the node of *spec*, new or known; None where it cannot have one, which is noted."""
        known = self._nodes.get(spec.name)
        if known is not None:
            if known.spec is not spec:
                self._note_shared_name(known.spec, spec)
            return known
        if spec.on_state is None:
            message = f"State {spec.name!r} must have an @on_state decorated method."
            self._faults.append(
                findings.error(
                    findings.NO_HANDLER, spec.name, message, "Give StateSpec(on_state=...) or use @septum.state.", find_place(spec)
                )
            )
            return None
        try:
            spec.check_names()
        except DefinitionError as exc:
            self._faults.append(findings.error(findings.AMBIGUOUS_NAME, spec.name, str(exc), "", find_place(spec)))
        node = Node(spec, spec.on_state, len(self._nodes))
        self._nodes[spec.name] = node
        self._waiting.append(node)
        return node

    def _visit_all(self) -> None:
        while self._waiting:
            node = self._waiting.popleft()
            edges = (self._read_edge(node.spec, entry) for entry in self._list_entries(node.spec))
            node.connect(tuple(edge for edge in edges if edge is not None), self._plain)
            self._plain += len(node.plain)

    def _list_entries(self, spec: StateSpec) -> tuple[object, ...]:
        if spec.transitions is None:
            return ()
        try:
            listed = spec.transitions()
        except Exception as exc:  # noqa: BLE001 - user code; whatever it raises goes on as the cause
            self._cause = self._cause or exc
            message = f"{_locate(spec)} raised {type(exc).__name__}: {exc}."
            self._fault(findings.BROKEN_TRANSITIONS, spec, message, "It is called when a machine is constructed, and must return a list.")
            return ()
        if isinstance(listed, list | tuple):
            return tuple(cast("list[object]", listed))
        if listed is None or not _is_entry(listed):
            self._fault(findings.NO_TRANSITION, spec, f"{_locate(spec)} returned {listed!r}.", _ENTRY_HINT)
            return ()
        return (listed,)

    def _read_edge(self, spec: StateSpec, entry: object) -> Edge | None:
        """Return the edge that *entry* of the list means; None where it means none, which is noted."""
        label, target = (entry.label, entry.transition) if isinstance(entry, LabeledTransition) else (None, entry)
        if isinstance(entry, LabeledTransition):
            if not isinstance(label, Enum):
                message = f"{_locate(spec)} lists {entry!r}, whose label is not a member of an Enum."
                self._fault(findings.NO_TRANSITION, spec, message, "Label it with a member of the state's Events.")
                return None
            if target is None:
                return Edge(label, "end")
        if not _is_entry(target):
            self._fault(findings.NO_TRANSITION, spec, f"{_locate(spec)} lists {entry!r}.", _ENTRY_HINT)
            return None
        kind = MARKER_KINDS.get(target if isinstance(target, type) else type(target))
        if kind is not None:
            return Edge(label, kind)
        pushed = target.push_states if isinstance(target, Push) else [target]
        nodes = tuple(node for node in (self._follow(spec, state) for state in pushed) if node is not None)
        if len(nodes) < len(pushed):
            return None
        if isinstance(target, Push):
            return Edge(label, "push", nodes)
        return Edge(label, "direct" if label is None else "label", nodes)

    def _follow(self, spec: StateSpec, target: object) -> Node | None:
        try:
            return self._reach(find_state(target))
        except UnknownState as exc:
            self._missing = self._missing or exc.name
            self._fault(findings.UNKNOWN_TARGET, spec, f"{_locate(spec)} leads to {exc.name!r}.", str(exc))
        except DefinitionError as exc:
            self._fault(findings.NO_TRANSITION, spec, f"{_locate(spec)} pushes no state.", str(exc))
        return None

    def _fault(self, code: str, spec: StateSpec, message: str, hint: str) -> None:
        self._faults.append(findings.error(code, spec.name, message, hint, find_place(spec)))

    def _note_shared_name(self, known: StateSpec, other: StateSpec) -> None:
        message = f"Two states named {known.name!r} are reachable, declared at {describe_place(known)} and {describe_place(other)}."
        hint = (
            'Where a function makes states, give each its own: @septum.state(name="..."). '
            "Where a module was reloaded, import again what was imported from it."
        )
        self._fault(findings.SHARED_NAME, known, message, hint)


_ENTRY_HINT = "Return a list of LabeledTransition(label, target), states and markers, or one of these alone."


def _is_entry(target: object) -> bool:
    """Tell whether *target* may stand in a list of transitions; says nothing about where it leads."""
    if isinstance(target, type):
        return target in MARKER_KINDS
    if isinstance(target, Push):
        return bool(target.push_states)
    return isinstance(target, LabeledTransition | StateSpec | StateRef | str) or type(target) in MARKER_KINDS


def _locate(spec: StateSpec) -> str:
    code = getattr(inspect.unwrap(spec.transitions), "__code__", None) if spec.transitions is not None else None
    place = describe_place(spec) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
    return f"transitions() of state {spec.name!r} ({place})"
