"""What is proved about a definition before any machine of it runs: one small function for each kind of finding.

The questions are asked of an `Abstraction`, which says what is modelled and what is not; `_pushdown` says by which method, and whose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from septum import _findings as findings
from septum._abstraction import EMPTY, Abstraction
from septum._findings import Finding, warning
from septum._pushdown import LONGEST, Arc, find_components, find_lap
from septum._source import find_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from septum._findings import Step
    from septum._graph import Graph, Node
    from septum._pushdown import Lap, Pushdown, Reach, Rule


class Proofs(NamedTuple):
    """What was proved.

    Attributes:
        findings: SEP101 to SEP105 by code, each in the order of the states, all as warnings.
        stack_depth: Most states that can ever be on the stack; None if there is no bound.
        spins: SEP106, as notes.
        full: There are spins and paths.
    """

    findings: tuple[Finding, ...]
    stack_depth: int | None
    spins: tuple[Finding, ...] = ()
    full: bool = False


def prove(graph: Graph, *, full: bool = True) -> Proofs:
    """Return what can be proved about the stack, the ends and the reachable states of *graph*.

    Args:
        full: With the paths, and with the groups of states in which a machine can go round for ever without waiting. A log shows neither.
    """
    if not full and _is_plainly_sound(graph):
        return Proofs((), 0)
    prover = _Prover(graph, full=full)
    depth, unbounded = prover.measure_stack()
    found = (
        *prover.find_empty_pops(),
        *unbounded,
        *prover.find_unreached(),
        *prover.find_dead_ends(),
        *prover.find_never_returned(),
    )
    return Proofs(found, depth, tuple(prover.find_spins()) if full else (), full)


def _is_plainly_sound(graph: Graph) -> bool:
    """Say whether *graph* is of the common kind in which there is nothing to find, at a fraction of what proofs cost.

    No state pushes or pops; none is terminal and leads on, so that all that is drawn is reached; and an end can be reached from each, if
    there is any.
    """
    sources: list[list[int]] = [[] for _ in graph.nodes]
    ends: list[int] = []
    for node in graph.nodes:
        if node.terminal and node.edges:
            return False
        if node.terminal:
            ends.append(node.index)
        for edge in node.edges:
            if edge.targets and edge.kind != "push":
                sources[edge.targets[0].index].append(node.index)
            elif edge.kind == "end":
                ends.append(node.index)
            elif edge.kind in {"push", "pop"}:
                return False
    if not ends:
        return True
    alive = set(ends)
    while ends:
        index = ends.pop()
        before = range(len(sources)) if graph.error is not None and index == graph.error.index else sources[index]
        fresh = [source for source in before if source not in alive]
        alive.update(fresh)
        ends += fresh
    return len(alive) == len(sources)


class _Prover:
    """Asks one definition."""

    def __init__(self, graph: Graph, *, full: bool) -> None:
        self._full = full
        self._nodes: Sequence[Node] = graph.nodes
        self._model = Abstraction(graph)
        self._system = self._model.system
        self._costs = self._model.reach.costs
        self._nearest = self._model.find_nearest()

    def find_empty_pops(self) -> Iterator[Finding]:
        for node in self._nodes:
            place = 3 * node.index + EMPTY
            pop = next((rule for rule in self._system.rules[node.index] if not rule.into), None)
            if pop is not None and place in self._costs:
                text = f"State {node.name!r} may answer {pop.step[1]} while nothing is on the stack."
                hint = "PopFromEmptyStack is raised then. Push it with a state below it, or answer something else where nothing was pushed."
                yield _warn(findings.EMPTY_POP, node, text, hint, self._lead(place, pop))

    def measure_stack(self) -> tuple[int | None, list[Finding]]:
        """Return the most states on the stack, None if there is no bound, and a finding for each group of states that grows it."""
        arcs = self._system.arcs
        if not any(arc.growth for state in self._nearest for arc in arcs[state]):
            return 0, []
        components = find_components([self._model.start // 3], arcs)
        group_of = {state: group for group, states in enumerate(components) for state in states}
        depths = [0] * len(components)
        found: list[Finding] = []
        # The group that the machine begins in is the last.
        for group in reversed(range(len(components))):
            grows = False
            for state in components[group]:
                for arc in arcs[state]:
                    other = group_of[arc.target]
                    if other != group:
                        depths[other] = max(depths[other], depths[group] + arc.growth)
                    elif arc.growth:
                        grows = True
            if grows:
                found.append(self._tell_growth(components[group]))
        order = {node.name: node.index for node in self._nodes}
        found.sort(key=lambda finding: order[finding.state])
        return None if found else max(depths), found

    def _tell_growth(self, group: Sequence[int]) -> Finding:
        lap = self._find_lap(self._system.arcs, group, growing=True)
        arc = next(arc for arc in lap.arcs if arc.growth)
        node = self._nodes[arc.rule.source]
        path = self._spell(self._nearest[lap.start], lap.arcs, lap.cost)
        left = sum(arc.growth for arc in lap.arcs)
        text = (
            f"The stack can grow without bound: state {node.name!r} answers {arc.rule.step[1]} again and again "
            f"({self._draw(lap, self._system)}), and every time round {left} more {_STAY[left > 1]} on the stack."
        )
        hint = "Let what was pushed pop before the next push, or lead there by an edge instead of a Push."
        return _warn(findings.UNBOUNDED_STACK, node, text, hint, path)

    def find_unreached(self) -> Iterator[Finding]:
        if len(self._nearest) == len(self._nodes):
            return
        reasons: dict[int, str] = {}
        for node in self._nodes:
            if node.index in self._nearest:
                for target in (target.index for edge in node.edges for target in edge.targets):
                    if target not in self._nearest:
                        reasons.setdefault(target, self._explain(node, target))
        for node in self._nodes:
            if node.index not in self._nearest:
                reason = reasons.get(node.index, "it can only be entered from states that are not reached either")
                text = f"State {node.name!r} is drawn as reachable, but no run reaches it: {reason}."
                yield _warn(findings.UNREACHED, node, text, "Repair the way there, or remove the state.")

    def _explain(self, node: Node, target: int) -> str:
        """Return why *target* is not reached from *node*, which is."""
        for rule in self._system.rules[node.index]:
            if target in rule.into:
                return f"{node.name!r} pushes it below {self._nodes[rule.into[self._find_blocker(rule)]].name!r}, which never pops"
        return f"{node.name!r} is terminal"

    def _find_blocker(self, rule: Rule) -> int:
        """Return the place of the first state of *rule*'s word that never pops, its length if all do."""
        return next((place for place, state in enumerate(rule.into) if self._system.pops[state] is None), len(rule.into))

    def find_dead_ends(self) -> Iterator[Finding]:
        """Yield a finding for each state by which a machine passes from where an end can be reached to where none can."""
        model = self._model
        if not any(model.ends):
            return
        if not model.is_alive(model.start):
            text = f"No terminal state can be reached from {self._nodes[model.start // 3].name!r}, where the machine begins."
            yield _warn(findings.NO_END, self._nodes[model.start // 3], text, _NO_END_HINT)
            return
        endings = model.find_last_pops()
        best: dict[int, tuple[int, int, Arc]] = {}
        for place, cost in self._costs.items():
            if model.is_alive(place):
                state, below = divmod(place, 3)
                for following in model.list_next(state):
                    if not model.is_alive(following.lead_from(below)):
                        total = self._add(cost, following.arc, endings)
                        if total is not None and (following.target not in best or total < best[following.target][0]):
                            best[following.target] = total, place, following.arc
        for state in sorted(best):
            cost, place, arc = best[state]
            node = self._nodes[state]
            stack = "" if self._system.pops[state] is None else " with what is then below it on the stack"
            text = f"Once the machine is in state {node.name!r}{stack}, no terminal state can be reached any more."
            yield _warn(findings.NO_END, node, text, _NO_END_HINT, self._spell(place, self._split(arc, endings), cost))

    def _add(self, cost: int, arc: Arc, endings: Reach) -> int | None:
        """Return *cost* and that of *arc*, which leads to where no end can be reached; None if it leads there from such a place only."""
        if not arc.place:
            return cost + arc.cost
        last = arc.rule.into[arc.place - 1]
        if last not in endings.costs:
            return None
        return cost + arc.cost - cast("int", self._system.pops[last]) + endings.costs[last]

    def _split(self, arc: Arc, endings: Reach) -> list[Arc]:
        """Return *arc* so that the state popped away last is popped by a state from which an end can be reached."""
        if not arc.place:
            return [arc]
        last = arc.rule.into[arc.place - 1]
        return [Arc(arc.rule, arc.place - 1, 0, last, 0), *reversed(endings.find_way(last))]

    def find_never_returned(self) -> Iterator[Finding]:
        for node in self._nodes:
            place = self._nearest.get(node.index)
            for rule in () if place is None else self._system.rules[node.index]:
                blocker = self._find_blocker(rule)
                lost = rule.into[blocker + 1 :]
                if lost:
                    names = ", ".join(repr(self._nodes[state].name) for state in lost)
                    text = (
                        f"State {node.name!r} pushes {names} below {self._nodes[rule.into[blocker]].name!r}, which never pops: "
                        f"{'it is' if len(lost) == 1 else 'they are'} never returned to."
                    )
                    hint = "Let what is above end with a Pop, or lead there by an edge instead of a Push."
                    yield _warn(findings.NEVER_RETURNED, node, text, hint, self._lead(cast("int", place), rule))

    def find_spins(self) -> Iterator[Finding]:
        spinning = self._model.make_spinning()
        for group in reversed(find_components(sorted(self._nearest), spinning.arcs)):
            if len(group) == 1 and all(arc.target != group[0] for arc in spinning.arcs[group[0]]):
                continue
            lap = self._find_lap(spinning.arcs, group, growing=False)
            path = self._spell(self._nearest[lap.start], lap.arcs, lap.cost, spinning)
            node = self._nodes[lap.start]
            text = f"The machine can go round without ever waiting: {self._draw(lap, spinning)}."
            hint = "None of these can wait. If that is not meant, give one can_dwell=True or a timeout, or bound run() with max_iterations."
            yield Finding(findings.SPIN, "note", node.name, text, hint, path, find_place(node.spec))

    def _find_lap(self, arcs: Sequence[Sequence[Arc]], group: Sequence[int], *, growing: bool) -> Lap:
        costs = {state: self._costs[self._nearest[state]] for state in group}
        return cast("Lap", find_lap(costs, arcs, group, growing=growing))  # its component has one

    def _draw(self, lap: Lap, system: Pushdown) -> str:
        """Return the states of *lap*, in the middle only so many as can be read."""
        rules = system.spell(lap.arcs) if lap.cost <= LONGEST else [arc.rule for arc in lap.arcs]
        names = [self._nodes[rule.source].qualname for rule in rules]
        if len(names) > _DRAWN:
            names[_DRAWN // 2 : -_DRAWN // 2] = ["..."]
        return " -> ".join([*names, names[0]])

    def _spell(self, place: int, arcs: Iterable[Arc], cost: int, system: Pushdown | None = None) -> tuple[Step, ...]:
        return self._model.spell(place, arcs, cost, system) if self._full else ()

    def _lead(self, place: int, rule: Rule) -> tuple[Step, ...]:
        """Return the path to the node *place* and on by *rule*."""
        return self._spell(place, [Arc(rule, 0, 1, -1, 0)], self._costs[place] + 1)


def _warn(code: str, node: Node, text: str, hint: str, path: tuple[Step, ...] = ()) -> Finding:
    return warning(code, node.name, text, hint, find_place(node.spec), path)


_DRAWN: Final = 8
_STAY: Final = ("state stays", "states stay")
_NO_END_HINT: Final = "Give it a way on to a terminal state or to an edge that ends the machine, or make it terminal."
