"""Pushdown systems with a single control location, also called context-free processes: what their runs can reach, and how soon.

A configuration is a word: the current state, then the stack, top first. A rule replaces the state in front by a word: `s -> t` for an
edge, `s -> a b c` for a push, `s -> ` (nothing) for a pop. That what such a system can reach is decidable, and cheap, is due to

* A. Bouajjani, J. Esparza, O. Maler: Reachability Analysis of Pushdown Automata: Application to Model-Checking. CONCUR 1997;
* J. Esparza, D. Hansel, P. Rossmanith, S. Schwoon: Efficient Algorithms for Model Checking Pushdown Systems. CAV 2000, whose graph of
  heads is the one below.

With one control location no automata are needed. A state that is popped away leaves nothing behind but the time it took, so two things
say everything: which states can be popped away, with everything that they push (a least fixpoint), and the graph of heads. Its arc from s
to a state of a rule's word means that what stands before that state in the word is popped away, and what stands behind it stays below.
Every reachable configuration is a path through the heads, what its arcs leave below being the stack.

Shortest runs come with it: D. E. Knuth, A Generalization of Dijkstra's Algorithm, Information Processing Letters 6 (1977), for the
shortest way to pop a state away, and Dijkstra's own for the paths. Cycles are found with R. Tarjan's components (SIAM J. Comput. 1, 1972).
Everything is linear in the length of the rules, but for the logarithm of the heaps; nothing recurses.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from septum._findings import Step

LONGEST: Final = 500
"""Steps of the longest run that is spelled out; that of a small system can have more than there are atoms."""


class Rule(NamedTuple):
    """The state *source* in front of a word may be replaced by *into*, its first state in front.

    Attributes:
        step: What a path says of it: the name of the source, and what it answers.
    """

    source: int
    into: tuple[int, ...]
    step: Step


class Arc(NamedTuple):
    """An arc between heads: *rule* is taken, and the first *place* states of its word are popped away.

    Attributes:
        cost: The steps of that.
        target: The state in front afterwards; -1 if the whole word is gone.
        growth: How many states are left below it.
    """

    rule: Rule
    place: int
    cost: int
    target: int
    growth: int


class Pushdown:
    """A system of states 0, 1, ... and the rules between them.

    Attributes:
        rules: By source, in the order given.
        pops: For each state, the steps of the shortest run that pops it away with everything that it pushes; None if there is none.
        arcs: The graph of heads, by source.
    """

    __slots__ = ("_first", "arcs", "pops", "rules")

    def __init__(self, size: int, rules: Iterable[Rule]) -> None:
        self.rules: list[list[Rule]] = [[] for _ in range(size)]
        for rule in rules:
            self.rules[rule.source].append(rule)
        self.pops: list[int | None] = [None] * size
        self._first: list[Rule | None] = [None] * size
        self._find_pops()
        self.arcs: list[list[Arc]] = [[arc for rule in own for arc in self._list_arcs(rule)] for own in self.rules]

    def _find_pops(self) -> None:
        """Find for each state the shortest run that pops it away: a rule counts once every state of its word has its own."""
        waiting: list[list[int]] = [[] for _ in self.rules]  # by state: the rules whose word it stands in, once each time
        every: list[Rule] = []
        left: list[int] = []  # by rule: how many states of its word have none yet
        costs: list[int] = []  # by rule: itself and those that have
        heap: list[tuple[int, int]] = []
        for own in self.rules:
            for rule in own:
                if not rule.into:
                    heappush(heap, (1, len(every)))
                for state in rule.into:
                    waiting[state].append(len(every))
                every.append(rule)
                left.append(len(rule.into))
                costs.append(1)
        while heap:
            cost, number = heappop(heap)
            source = every[number].source
            if self.pops[source] is not None:
                continue
            self.pops[source] = cost
            self._first[source] = every[number]
            for other in waiting[source]:
                costs[other] += cost
                left[other] -= 1
                if not left[other]:
                    heappush(heap, (costs[other], other))

    def _list_arcs(self, rule: Rule) -> Iterator[Arc]:
        cost, growth = 1, len(rule.into)
        for place, state in enumerate(rule.into):
            growth -= 1
            yield Arc(rule, place, cost, state, growth)
            popped = self.pops[state]
            if popped is None:
                return
            cost += popped

    def spell(self, arcs: Iterable[Arc]) -> tuple[Rule, ...]:
        """Return the shortest run along *arcs*: every rule taken, also those that pop states away. At most `LONGEST` by its cost."""
        run: list[Rule] = []
        for arc in arcs:
            run.append(arc.rule)
            going = list(reversed(arc.rule.into[: arc.place])) if arc.place else []
            while going:
                rule = cast("Rule", self._first[going.pop()])  # an arc pops away only what can be popped
                run.append(rule)
                going.extend(reversed(rule.into))
        return tuple(run)


class Reach:
    """Shortest paths from one node to others, in a graph given by the arcs of each node.

    Args:
        goal: The search ends when it is reached; None to reach everything.
        limit: Only paths that cost less are looked for; None for any.

    Attributes:
        costs: The cost of the shortest path to each node that was reached.
    """

    __slots__ = ("_ways", "costs")

    def __init__(
        self, start: int, follow: Callable[[int], Iterable[tuple[int, Arc]]], goal: int | None = None, limit: int | None = None
    ) -> None:
        self.costs: dict[int, int] = {}
        self._ways: dict[int, tuple[int, Arc]] = {}
        nearest: dict[int, int] = {start: 0}
        heap = [(0, start)]
        while heap:
            cost, node = heappop(heap)
            if node in self.costs:
                continue
            self.costs[node] = cost
            if node == goal:
                return
            for target, arc in follow(node):
                total = cost + arc.cost
                if (target not in nearest or total < nearest[target]) and (limit is None or total < limit):
                    nearest[target] = total
                    self._ways[target] = node, arc
                    heappush(heap, (total, target))

    def find_way(self, node: int) -> list[Arc]:
        """Return the arcs of the shortest path to *node*."""
        arcs: list[Arc] = []
        while node in self._ways:
            node, arc = self._ways[node]
            arcs.append(arc)
        arcs.reverse()
        return arcs


def find_components(states: Iterable[int], arcs: Sequence[Sequence[Arc]]) -> list[list[int]]:
    """Return the strongly connected components of *states* and all that they lead to, what leads to another one behind it (Tarjan)."""
    found: list[list[int]] = []
    numbers: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_states: list[int] = []
    is_open: set[int] = set()
    for root in states:
        if root in numbers:
            continue
        calls: list[tuple[int, Iterator[Arc]]] = [(root, iter(arcs[root]))]
        numbers[root] = lowest[root] = len(numbers)
        open_states.append(root)
        is_open.add(root)
        while calls:
            state, rest = calls[-1]
            for arc in rest:
                target = arc.target
                if target not in numbers:
                    numbers[target] = lowest[target] = len(numbers)
                    open_states.append(target)
                    is_open.add(target)
                    calls.append((target, iter(arcs[target])))
                    break
                if target in is_open:
                    lowest[state] = min(lowest[state], numbers[target])
            else:
                calls.pop()
                if calls:
                    caller = calls[-1][0]
                    lowest[caller] = min(lowest[caller], lowest[state])
                if lowest[state] == numbers[state]:
                    component: list[int] = []
                    while not component or component[-1] != state:
                        component.append(open_states.pop())
                    is_open.difference_update(component)
                    found.append(component)
    return found


class Lap(NamedTuple):
    """A way round: from *start* along *arcs* and back to it; *cost* steps with the way there."""

    start: int
    arcs: list[Arc]
    cost: int


def find_lap(costs: Mapping[int, int], arcs: Sequence[Sequence[Arc]], members: Collection[int], *, growing: bool) -> Lap | None:
    """Return the shortest run that goes to one of *members* and round through others back to it; None if none does.

    Args:
        costs: The steps to each of *members*.
        arcs: The graph of heads in which it goes round.
        members: A strongly connected component.
        growing: Only laps count that leave something on the stack.

    Shortest cycles cost more than linear time. So the members are tried from the nearest on, each without those before it (a lap through
    one of these is best joined there) and only for less than the best so far; after ten times the work of the first the best one counts.
    """
    best: Lap | None = None
    rest = set(members)
    work = 10 * len(rest)
    # Two nodes for each state: on the way, and with a lap that counts behind it.
    ways = {state: [(2 * arc.target, not growing or arc.growth > 0, arc) for arc in arcs[state] if arc.target in rest] for state in members}

    def follow(node: int) -> Iterator[tuple[int, Arc]]:
        counted = node % 2
        for target, counts, arc in ways[node // 2]:
            if target // 2 in rest:
                yield target + (counted or counts), arc

    for start in sorted(rest, key=lambda state: (costs[state], state)):
        limit = None if best is None else best.cost - costs[start]
        if work < 0 or (limit is not None and limit <= 1):
            break
        goal = 2 * start + 1
        tour = Reach(2 * start, follow, goal=goal, limit=limit)
        if goal in tour.costs:
            best = Lap(start, tour.find_way(goal), costs[start] + tour.costs[goal])
        work -= len(tour.costs)
        rest.discard(start)
    return best
