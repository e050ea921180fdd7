"""Does today's definition still admit what production did? Each recorded visit against the graph, with the rule that the engine runs."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

from septum import _errors, semconv
from septum._graph import Edge, Graph, Node
from septum._states import describe_place
from septum._step import follow
from septum.replay._report import CheckReport, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from septum._transitions import Target
    from septum.replay._model import Run, Step

_KINDS: Final = semconv.TransitionKind
_TO_A_STATE: Final = {_KINDS.LABEL, _KINDS.DIRECT}
# A handler may answer them whether its state lists them or not.
_ALWAYS: Final = {_KINDS.RETRY, _KINDS.REPEAT, _KINDS.RESTART, _KINDS.ERROR}
_ENDS_BY_AN_EDGE: Final = {"transition", "timeout", "error", "push", "pop", "repeat", "restart", "retry", "completed"}
_NS: Final = 1e9


def check(runs: Iterable[Run], initial: Target, error_state: Target | None = None) -> CheckReport:
    """Return which of some recorded runs a definition does not admit, and where each of them leaves it.

    Nothing is run: every visit is held against the graph, and every way out of it decided by the rule that the engine runs. What is not
    known of a run (a gap, a label that was lost) is not held against it. Looked for is: a state that is gone; another initial state; an
    edge that is missing or leads elsewhere; a stack that cannot be; a timeout that is shorter than a visit was long, or that fired and
    is gone; fewer retries than were made; a state that ended the machine, or did not.

    Which timeout a state had, spans tell, recordings, and events with their definition. Where nothing does, as in recordings of before, a
    visit of another definition that lasted longer than today's timeout counts, though it may have been late for another reason.

    What production answered where no graph says it, in `on_error_fn`, is admitted if its state is there.

    Args:
        runs: What `load` returned, or some of it; all of them are meant to be runs of this definition.
        initial: A state, a `StateRef` or a full name.
        error_state: The machine's, if it has one.

    Raises:
        UnknownState: *initial* or *error_state* is a name that leads nowhere.
        DefinitionError: The states make no graph.
    """
    graph = Graph.of(initial, error_state)
    checker = _Checker(graph)
    names: list[str] = []
    violations: list[Violation] = []
    unsure = 0
    for run in runs:
        names.append(run.run_id)
        violations.extend(checker.check(run))
        unsure += bool(run.gaps)
    return CheckReport(graph.initial.name, graph.hash, tuple(names), tuple(violations), unsure)


def match_states(graph: Graph) -> dict[str, tuple[Node, ...]]:
    """Return the nodes that each name may mean: the full name its own, the name below the module any that share it."""
    found: dict[str, tuple[Node, ...]] = {}
    for node in graph.nodes:
        found[node.qualname] = (*found.get(node.qualname, ()), node)
    return found | {node.name: (node,) for node in graph.nodes}


class _Way(NamedTuple):
    """How a visit was left; the kind is "" where only the label is known."""

    kind: str
    label: str | None
    target: str | None
    text: str


class _Checker:
    """Holds runs against one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names = match_states(graph)
        self._places: dict[str, str] = {}

    def check(self, run: Run) -> Iterator[Violation]:
        """Yield what the graph does not admit of a run."""
        steps = run.steps
        for place, step in enumerate(steps):
            following = steps[place + 1] if place + 1 < len(steps) and steps[place + 1].visit == step.visit + 1 else None
            nodes = self._names.get(step.state)
            if nodes is None:
                close = get_close_matches(step.state, self._names, n=1)
                hint = f"; did it become {close[0]}?" if close else ""
                yield self._violation("state-removed", run, step, f"a state of {self._graph.initial.qualname}{hint}", f"{step.state}")
                continue
            yield from self._check_place(run, step, nodes[0])
            yield from self._check_limits(run, step, nodes[0])
            way = _way_out(step, following)
            # Where two states share the name, one that admits it is enough.
            problems = [problem for node in nodes if (problem := self._check_way(step, following, node, way)) is not None]
            if way is not None and len(problems) == len(nodes):
                kind, expected, found = problems[0]
                yield self._violation(kind, run, step, expected, found, nodes[0])

    def _check_place(self, run: Run, step: Step, node: Node) -> Iterator[Violation]:
        initial = self._graph.initial
        if step.visit == 1 and step.kind == _KINDS.INITIAL and initial not in self._names[step.state]:
            yield self._violation("other-initial", run, step, f"to begin in {initial.qualname}", f"began in {step.state}", node)
        for name in dict.fromkeys(step.stack or ()):
            if name not in self._names:
                expected = f"states of {self._graph.initial.qualname} on the stack"
                yield self._violation("stack-impossible", run, step, expected, f"{name} on the stack", node)

    def _check_limits(self, run: Run, step: Step, node: Node) -> Iterator[Violation]:
        timeout, stay = node.timeout, step.duration
        # Where nothing tells the definition that it walked on, it may be this one, and a timeout that did not fire was late.
        same = run.definition_hash in {"", self._graph.hash}
        fired = None if step.timed_out is None else step.timed_out / _NS
        if timeout is not None and stay is not None and not same and step.timeout != timeout:
            # With the timeout that it has today it was late, not longer: a handler that hangs in its first call, say.
            reached = stay / _NS if fired is None else fired
            if reached > timeout:
                found = f"stayed {reached:g} s" if fired is None else f"its timeout fired after {fired:g} s"
                yield self._violation("timeout-shorter", run, step, f"at most {timeout:g} s in {step.state}", found, node)
        if fired is not None and not same and (timeout is None or (step.timeout != timeout and stay is not None and stay / _NS < timeout)):
            expected = "no timeout" if timeout is None else f"no timeout before {timeout:g} s"
            yield self._violation("timeout-missing", run, step, expected, f"its timeout fired after {fired:g} s", node)
        if node.retries is not None and step.retry and step.retry > node.retries:
            yield self._violation(
                "fewer-retries", run, step, f"at most {node.retries} retries of {step.state}", f"retry {step.retry}", node
            )

    def _check_way(self, step: Step, following: Step | None, node: Node, way: _Way | None) -> tuple[str, str, str] | None:
        """Return kind, expected and found of what does not fit in the way out of a visit; None if it fits."""
        if way is None or way.kind == _KINDS.ERROR:
            return None
        if way.kind == "complete":
            return None if node.terminal else ("not-terminal", "an edge out of it, for it is not terminal", "the machine ended in it")
        if node.terminal and step.outcome == semconv.VisitOutcome.TRANSITION:
            return "terminal", "the machine to end in it", way.text
        edges = [edge for edge in node.edges if _is_meant(edge, way)]
        if not edges:
            if way.kind in _ALWAYS:
                return None
            return "edge-missing", _list_edges(node, way), way.text
        reasons = [self._check_edge(edge, step, following, node, way) for edge in edges]
        return None if None in reasons else reasons[0]

    def _check_edge(self, edge: Edge, step: Step, following: Step | None, node: Node, way: _Way) -> tuple[str, str, str] | None:
        if edge.kind == way.kind == _KINDS.RETRY:
            return None
        stack = step.stack
        tops = self._names.get(stack[-1]) if stack else None
        try:
            move = follow(edge, node, tops[0] if tops else None, 0)
        except _errors.PopFromEmptyStack:
            if stack is None and way.kind == _KINDS.POP:
                return None  # what was on top is not known
            return "stack-impossible", "something on the stack", f"{edge.name} with nothing on it"
        if way.kind == "end":
            return None if edge.kind == "end" else ("other-target", f"{edge.name} {_lead(edge, move.target)}", way.text)
        if edge.kind == "end" or move.kind in {"exhausted", "unhandled"}:
            return "other-target", f"{edge.name} {_lead(edge)}", way.text
        if move.target not in self._names.get(way.target or "", ()):
            if way.target not in self._names and following is not None:
                return None  # that one tells that its state is gone
            kind = "stack-impossible" if edge.kind == "pop" and way.kind == _KINDS.POP else "other-target"
            return kind, f"{edge.name} {_lead(edge, move.target)}", way.text
        if way.kind and move.kind != way.kind and not {move.kind, way.kind} <= _TO_A_STATE:
            return "other-target", f"{edge.name} {_lead(edge, move.target)}", way.text
        if following is None or following.stack is None or stack is None:
            return None
        expected = (
            (*stack, *(below.qualname for below in move.below)) if edge.kind == "push" else stack[:-1] if edge.kind == "pop" else stack
        )
        if len(expected) != len(following.stack) or any(map(self._differ, expected, following.stack)):
            return "stack-impossible", f"{_show(expected)} on the stack", _show(following.stack)
        return None

    def _differ(self, one: str, other: str) -> bool:
        return one != other and not set(self._names.get(one, ())) & set(self._names.get(other, ()))

    def _violation(self, kind: str, run: Run, step: Step, expected: str, found: str, node: Node | None = None) -> Violation:
        where = ""
        if node is not None:
            where = self._places.setdefault(node.name, describe_place(node.spec) if node.spec.origin.file else "")
        return Violation(
            kind=kind,
            run_id=run.run_id,
            machine_name=run.machine_name,
            machine_id=run.machine_id,
            visit=step.visit,
            seq=step.seq,
            state=step.state,
            expected=expected,
            found=found,
            where=where,
            file=run.files[0] if run.files else "",
        )


def _way_out(step: Step, following: Step | None) -> _Way | None:
    """Return how a visit was left by the machine itself; None if it was not, or if that is not known."""
    if step.outcome not in _ENDS_BY_AN_EDGE or step.duration is None:
        return None
    label, target = step.exit, step.target
    if target is None:
        if label is not None:
            return _Way("end", label, None, f"{label} ended the machine")
        # A failed run ends without a way out of its last state.
        return _Way("complete", None, None, "") if step.outcome in {"completed", "timeout"} and following is None else None
    kind = following.kind if following is not None else None
    if kind is None or kind == _KINDS.INITIAL:
        kind = {"transition": _KINDS.LABEL if label else _KINDS.DIRECT}.get(step.outcome, step.outcome)
        if kind not in {_KINDS.LABEL, _KINDS.DIRECT, _KINDS.PUSH, _KINDS.POP, *_ALWAYS} or kind == _KINDS.ERROR:
            # A timeout, or on_error_fn: the kind of its edge is not known.
            kind = ""
            if label is None:
                return None
    text = f"{label} led to {target}" if label else f"went to {target}"
    return _Way(kind, label, target, text if kind in {"", *_TO_A_STATE} else f"{text} ({kind})")


def _is_meant(edge: Edge, way: _Way) -> bool:
    if way.label is not None:
        return edge.label is not None and edge.name == way.label
    if way.kind == _KINDS.DIRECT:
        return edge.kind in _TO_A_STATE and way.target in {edge.targets[0].name, edge.targets[0].qualname}
    if way.kind == _KINDS.PUSH:
        return edge.kind == "push" and way.target in {edge.targets[0].name, edge.targets[0].qualname}
    return edge.kind == way.kind


def _list_edges(node: Node, way: _Way) -> str:
    names = [edge.name for edge in node.edges]
    asked = way.label or way.target or way.kind
    close = get_close_matches(asked, names, n=1)
    hint = f"; did it become {close[0]}?" if close else ""
    return f"one of the edges of {node.qualname}: {', '.join(names) or 'it has none'}{hint}"


def _lead(edge: Edge, target: Node | None = None) -> str:
    """Return in words where an edge leads."""
    if edge.kind == "end":
        return "to end the machine"
    if edge.kind in {"again", "unhandled"}:
        return "to stay"
    if target is None:
        return f"to {edge.kind}"
    suffix = "" if edge.kind in _TO_A_STATE else f" ({edge.kind})"
    return f"to lead to {target.qualname}{suffix}"


def _show(stack: Sequence[str]) -> str:
    return ", ".join(stack) if stack else "nothing"
