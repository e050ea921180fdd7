"""A definition as a pushdown system: what its machines may do, whatever their handlers compute.

Every edge of a state may be taken at any time: every label may be answered, by `on_state`, `on_timeout` or `on_fail`; retries and timeouts
may or may not happen; with an error state every other state may raise and go there, its stack as it is. A terminal state takes an edge only
if it has a timeout and an `on_timeout`, the one answer of it that counts.

Assumed is what a definition lists. `Again`, `Unhandled`, `Repeat`, `Restart` and `Retry` may be answered unlisted, but all of them come
back to the state with the stack that it has, so they change nothing that is reachable. For spinning they would matter: every state could
answer `Again` for ever, and to say so would say nothing. So there, too, only what is listed counts. Not modelled are what `on_error_fn`
chooses, which may be any state, and stacks that no run of this definition made (a restored snapshot of another one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from septum._pushdown import LONGEST, Arc, Pushdown, Reach, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from septum._findings import Step
    from septum._graph import Edge, Graph, Node

# What is below the state in front: nothing; states from which no end can be reached; states from which one can.
EMPTY: Final = 0
DEAD: Final = 1
ALIVE: Final = 2
# What an arc adds to that: nothing; states that can only be popped away.
_NOTHING: Final = 3
_PASSING: Final = 4


class Next(NamedTuple):
    """An arc from a head: the state that it leads to, what it adds below that, and itself."""

    target: int
    added: int
    arc: Arc

    def lead_from(self, below: int) -> int:
        """Return the node that it leads to if *below* is below the source."""
        if self.added == _PASSING:
            return 3 * self.target + (ALIVE if below == ALIVE else DEAD)
        return 3 * self.target + (below if self.added == _NOTHING else self.added)


class Abstraction:
    """One definition as a pushdown system, with the shortest way to each state over each kind of stack.

    A node stands for a state and what is below it: `3 * state + EMPTY`, `DEAD` or `ALIVE`.

    Attributes:
        system: Its rules; not those that lead back to their own state, which reach nothing.
        ends: By state: the machine may end there.
        can_end: By state: it can end from there without what is below.
        reach: The shortest ways to all nodes.
    """

    __slots__ = ("_next", "can_end", "ends", "graph", "reach", "start", "system")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.system = Pushdown(len(graph.nodes), _list_rules(graph))
        self.ends = [node.terminal or any(edge.kind == "end" for edge in node.edges) for node in graph.nodes]
        self.can_end = self._find_those_that_can_end()
        self._next: list[list[Next] | None] = [None] * len(graph.nodes)
        self.start = 3 * graph.initial.index + EMPTY
        self.reach = Reach(self.start, self._follow)

    def _find_those_that_can_end(self) -> list[bool]:
        """Go backwards through the heads from the ends."""
        can_end = list(self.ends)
        waiting = [state for state, ends in enumerate(can_end) if ends]
        if waiting:
            sources: list[list[int]] = [[] for _ in can_end]
            for state, arcs in enumerate(self.system.arcs):
                for arc in arcs:
                    sources[arc.target].append(state)
            while waiting:
                for source in sources[waiting.pop()]:
                    if not can_end[source]:
                        can_end[source] = True
                        waiting.append(source)
        return can_end

    def list_next(self, state: int) -> list[Next]:
        """Return the arcs from *state*."""
        known = self._next[state]
        if known is not None:
            return known
        found: list[Next] = []
        rule, judged = None, [_NOTHING, _NOTHING]
        for arc in self.system.arcs[state]:
            if arc.rule is not rule:
                rule = arc.rule
                judged = self._judge(rule.into)
            found.append(Next(arc.target, judged[arc.place + 1], arc))
        self._next[state] = found
        return found

    def _judge(self, word: tuple[int, ...]) -> list[int]:
        """Return for each place of *word* what its states from there on add, nothing behind the last."""
        judged = [_NOTHING]
        for state in reversed(word):
            if self.can_end[state]:
                judged.append(ALIVE)
            elif self.system.pops[state] is None:
                judged.append(DEAD)
            else:
                judged.append(_PASSING if judged[-1] == _NOTHING else judged[-1])
        judged.reverse()
        return judged

    def _follow(self, node: int) -> Iterator[tuple[int, Arc]]:
        state, below = divmod(node, 3)
        for following in self.list_next(state):
            yield following.lead_from(below), following.arc

    def is_alive(self, node: int) -> bool:
        """Say whether an end can be reached from *node*."""
        state, below = divmod(node, 3)
        return self.can_end[state] or (self.system.pops[state] is not None and below == ALIVE)

    def find_nearest(self) -> dict[int, int]:
        """Return for each reachable state the node of it that is reached soonest."""
        nearest: dict[int, int] = {}
        for node in self.reach.costs:  # in the order of their costs
            nearest.setdefault(node // 3, node)
        return nearest

    def spell(self, node: int, arcs: Iterable[Arc], cost: int, system: Pushdown | None = None) -> tuple[Step, ...]:
        """Return the shortest way to *node* and on along *arcs* as a path; empty if its *cost*, in steps, is too high to spell it out.

        Args:
            system: Whose arcs they are, if not this one's.
        """
        if cost > LONGEST:
            return ()
        rules = (*self.system.spell(self.reach.find_way(node)), *(system or self.system).spell(arcs))
        return tuple([rule.step for rule in rules])

    def find_last_pops(self) -> Reach:
        """Return the shortest ways, backwards, from states that may pop though an end can be reached without that.

        A way leads to what begins a run that pops at last in such a state, with nothing left below it; the node -1 is where all begin.
        """
        sources: list[list[tuple[int, Arc]]] = [[] for _ in self.graph.nodes]
        last: list[tuple[int, Arc]] = []
        for state, arcs in enumerate(self.system.arcs):
            for arc in arcs:
                if not arc.growth:
                    sources[arc.target].append((state, arc))
            if self.can_end[state]:
                last += [(state, Arc(rule, 0, 1, -1, 0)) for rule in self.system.rules[state] if not rule.into][:1]
        return Reach(-1, lambda state: last if state < 0 else sources[state])

    def make_spinning(self) -> Pushdown:
        """Return the system of those rules that never wait, between states that cannot: neither `can_dwell` nor a timeout."""
        return Pushdown(len(self.graph.nodes), _list_spinning(self.graph, self.system))


def _list_taken(node: Node) -> tuple[Edge, ...]:
    return node.edges if not node.terminal or (node.timeout is not None and node.on_timeout is not None) else ()


def _list_rules(graph: Graph) -> Iterator[Rule]:
    error = graph.error
    for node in graph.nodes:
        for edge in _list_taken(node):
            if edge.targets:
                yield Rule(node.index, tuple([target.index for target in edge.targets]), (node.name, edge.name))
            elif edge.kind == "pop":
                yield Rule(node.index, (), (node.name, edge.name))
        if error is not None and node is not error:
            yield Rule(node.index, (error.index,), (node.name, "error"))


def _list_spinning(graph: Graph, system: Pushdown) -> Iterator[Rule]:
    for node in graph.nodes:
        if not node.may_wait:
            yield from system.rules[node.index]
            for edge in _list_taken(node):
                if edge.kind in {"again", "repeat"} or (edge.kind == "retry" and _retries_for_ever_at_once(node)):
                    yield Rule(node.index, (node.index,), (node.name, edge.name))


def _retries_for_ever_at_once(node: Node) -> bool:
    policy = node.retry
    return node.retries is None and (policy is None or not (policy.base and policy.factor and policy.max_delay))
