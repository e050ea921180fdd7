"""explore: paths through a definition that do everything that there is to do in it, found by walking its configurations breadth first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

from septum import Graph, Retry
from septum.testing._goals import Goal, answer_for, describe_goal, list_goals
from septum.testing._trail import TIMEOUT, Call, Deed, ExplorationPath, Injected, PathStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from septum._node import Edge, Node
    from septum._transitions import Target

MOST_CONFIGURATIONS: Final = 50_000
"""States with a stack that are looked at before the search gives up: on a stack that grows, there is no end of them."""


_ORDER: Final = {"exhausted": 0, "state": 2}
"""Which goals of one depth come first: those whose paths do others as well; that of a state is done by all others."""


class Exploration(Sequence[ExplorationPath]):
    """The paths that `explore` found, as a sequence, the short ones first.

    Attributes:
        graph: The definition.
        paths: At least one; each begins at the initial state.
        missing: What no path does within `max_depth`, as lines such as `Idle -START-> Fetching`; empty if they do everything.
    """

    def __init__(self, graph: Graph, paths: tuple[ExplorationPath, ...], missing: tuple[str, ...]) -> None:
        self.graph = graph
        self.paths = paths
        self.missing = missing

    @overload
    def __getitem__(self, place: int, /) -> ExplorationPath: ...

    @overload
    def __getitem__(self, place: slice, /) -> tuple[ExplorationPath, ...]: ...

    def __getitem__(self, place: int | slice, /) -> ExplorationPath | tuple[ExplorationPath, ...]:
        return self.paths[place]

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<exploration of {self.graph.initial.name}: {len(self.paths)} paths, {len(self.missing)} missing>"


def explore(
    initial: Target,
    *,
    max_depth: int = 50,
    error_state: Target | None = None,
    messages: Mapping[Any, Any] | None = None,
) -> Exploration:
    """Return paths that together take every edge of a definition, pops included, and see every timeout, retry and error route.

        @pytest.mark.parametrize("path", explore(Idle, messages={Idle.Events.START: "start"}), ids=str)
        async def test_every_way(path, machine_factory, manual_clock):
            await path.drive(machine_factory(Idle), manual_clock)

    A definition does not say what makes a handler answer a label; *messages* does. `drive` does it to a machine with the real handlers,
    `walk` walks the path with stubs that answer what it says.

    Args:
        initial: Where the machine begins.
        max_depth: Most transitions of one path; what needs more is `missing`.
        error_state: The machine's error state: then each state's way there is among the paths.
        messages: What to do to have a step taken: a message to send, `TIMEOUT` to let the deadline pass, or a function of the machine
            (which may be async). Its keys: a label; `Retry`, another marker or a state where there is no label; `TIMEOUT` for a deadline;
            `Exception` for an error; or a tuple of a state and one of these, which goes first. Where it has no entry nothing is sent, save
            that deadlines pass and errors are sent as exceptions. None: each message is the answer itself, for handlers that
            `return ctx.msg`.

    Raises:
        DefinitionError: The states make no graph.
        ValueError: *max_depth* is less than 1.
    """
    if max_depth < 1:
        raise ValueError(f"max_depth must be at least 1, not {max_depth!r}")
    graph = Graph.of(initial, error_state)
    search = _Search(graph, max_depth)
    trails = search.find()
    writer = _Writer(graph, messages)
    paths: dict[tuple[PathStep, ...], ExplorationPath] = {}
    done: set[Goal] = set()
    # The deepest first: on their way they do what the others would have been for.
    for goal in sorted(trails, key=lambda goal: (-trails[goal].depth, _ORDER.get(goal.kind, 1))):
        trail = trails[goal]
        if goal in done or (trail.depth == 0 and goal.kind == "state" and len(trails) > 1):
            continue
        steps = writer.write(search.way_to(trail.place), goal)
        if len(steps) <= max_depth:
            done.update(writer.goals_on(search.way_to(trail.place), goal))
            paths[steps] = ExplorationPath(graph, steps)
    done.add(Goal("state", graph.initial.name))
    missing = tuple(describe_goal(goal, graph) for goal in list_goals(graph) if goal not in done and can_be_done(goal, graph))
    return Exploration(graph, tuple(sorted(paths.values(), key=lambda path: (len(path.steps), str(path)))), missing)


def can_be_done(goal: Goal, graph: Graph) -> bool:
    """Say whether *goal* ends in a transition; a deadline or a retry too many that nobody decides is raised to the caller instead."""
    node = graph.by_name[goal.state]
    if goal.kind == "timeout":
        return node.on_timeout is not None or (graph.error is not None and node is not graph.error)
    if goal.kind == "exhausted":
        return node.on_fail is not None or (graph.error is not None and node is not graph.error)
    return True


class _Place(NamedTuple):
    """A configuration: a state, and the states below it, bottom first; by their numbers."""

    state: int
    stack: tuple[int, ...]


class _Trail(NamedTuple):
    """Where a goal can be reached first: a configuration, and how many edges away it is."""

    place: _Place
    depth: int


class _Search:
    """Walks from configuration to configuration, and notes where each goal is seen first."""

    def __init__(self, graph: Graph, max_depth: int) -> None:
        self._graph = graph
        self._max_depth = max_depth
        self._start = _Place(graph.initial.index, ())
        self._came_from: dict[_Place, tuple[_Place, int] | None] = {self._start: None}
        self._wanted = {goal for goal in list_goals(graph) if can_be_done(goal, graph)}
        widest = max((len(edge.targets) for node in graph.nodes for edge in node.edges), default=1)
        # A shortest way to any state never stacks higher: it would pass one state twice with more below it, for nothing.
        self._most_stacked = 2 * len(graph.nodes) * max(1, widest)

    def find(self) -> dict[Goal, _Trail]:
        """Return the first trail to each goal that is within reach."""
        trails: dict[Goal, _Trail] = {}
        waiting = deque([(self._start, 0)])
        while waiting and len(trails) < len(self._wanted):
            place, depth = waiting.popleft()
            node = self._graph.nodes[place.state]
            for goal in self._goals_at(node, place):
                trails.setdefault(goal, _Trail(place, depth))
            if depth == self._max_depth or node.terminal:
                continue
            for number, following in self._follow(node, place):
                if following not in self._came_from and len(self._came_from) < MOST_CONFIGURATIONS:
                    self._came_from[following] = (place, number)
                    waiting.append((following, depth + 1))
        return trails

    def way_to(self, place: _Place) -> list[tuple[_Place, int]]:
        """Return the edges to *place*: the configuration that each is taken in, and its number there."""
        way: list[tuple[_Place, int]] = []
        came = self._came_from[place]
        while came is not None:
            way.append(came)
            came = self._came_from[came[0]]
        return way[::-1]

    def _goals_at(self, node: Node, place: _Place) -> Iterator[Goal]:
        others = [Goal("state", node.name), *(Goal(kind, node.name) for kind in ("timeout", "retry", "error"))]
        # Where on_fail has no way out it must wait, and here it could not.
        if node.on_fail is None or node.may_wait or _find_way_out(node, place.stack) is not None:
            others.append(Goal("exhausted", node.name))
        edges = (Goal("edge", node.name, number) for number, edge in enumerate(node.edges) if edge.kind != "pop" or place.stack)
        yield from (goal for goal in (*others, *edges) if goal in self._wanted)

    def _follow(self, node: Node, place: _Place) -> Iterator[tuple[int, _Place]]:
        for number, edge in enumerate(node.edges):
            following = _enter(edge, place)
            if following is not None and len(following.stack) <= self._most_stacked and answer_for(node, edge) is not None:
                yield number, following
        error = self._graph.error
        if error is not None and node is not error:
            yield -1, _Place(error.index, place.stack)


def _enter(edge: Edge, place: _Place) -> _Place | None:
    """Return the configuration that *edge* leads to; None if it leads to no other state."""
    if edge.kind in {"label", "direct"}:
        return _Place(edge.targets[0].index, place.stack)
    if edge.kind == "push":
        return _Place(edge.targets[0].index, place.stack + tuple(target.index for target in edge.targets[:0:-1]))
    if edge.kind == "pop" and place.stack:
        return _Place(place.stack[-1], place.stack[:-1])
    return None


def _find_way_out(node: Node, stack: tuple[int, ...]) -> Edge | None:
    """Return the first edge of *node* that on_timeout or on_fail may take with *stack* below; None if it lists none."""
    for edge in node.edges:
        if answer_for(node, edge) is not None and edge.kind not in {"again", "retry"} and (edge.kind != "pop" or stack):
            return edge
    return None


def _listed_retry(node: Node) -> list[Edge]:
    """Return the first edge by which a handler of *node* may ask for a retry, if it lists one."""
    return [edge for edge in node.edges if edge.kind == "retry" and answer_for(node, edge) is not None][:1]


class _Writer:
    """Writes down what a trail and its goal mean step by step."""

    def __init__(self, graph: Graph, messages: Mapping[Any, Any] | None) -> None:
        self._graph = graph
        self._messages = messages

    def goals_on(self, way: list[tuple[_Place, int]], goal: Goal) -> Iterator[Goal]:
        """Yield what is done on the way to *goal*, itself included."""
        for place, number in way:
            name = self._graph.nodes[place.state].name
            yield Goal("state", name)
            yield Goal("error", name) if number < 0 else Goal("edge", name, number)
        yield Goal("state", goal.state)
        yield goal
        node = self._graph.by_name[goal.state]
        if goal.kind == "edge" and node.edges[goal.edge].targets:
            yield Goal("state", node.edges[goal.edge].targets[0].name)
        if (goal.kind == "edge" and node.edges[goal.edge].kind == "retry") or (goal.kind == "exhausted" and node.retries):
            yield Goal("retry", goal.state)
        if goal.kind == "retry" or (goal.kind == "exhausted" and node.retries):
            yield from (Goal("edge", goal.state, node.edges.index(edge)) for edge in _listed_retry(node))

    def write(self, way: list[tuple[_Place, int]], goal: Goal) -> tuple[PathStep, ...]:
        """Return the steps of a path that does *goal* at the end of *way*."""
        steps = [self._step(self._graph.nodes[place.state], number, place.stack) for place, number in way]
        node = self._graph.by_name[goal.state]
        stack = self._stack_after(way)
        match goal.kind:
            case "edge":
                steps.append(self._step(node, goal.edge, stack))
            case "timeout":
                steps.append(self._timeout(node, stack))
            case "retry":
                steps.append(self._retry(node))
            case "exhausted":
                steps += [*[self._retry(node)] * (node.retries or 0), self._exhausted(node, stack)]
            case "error":
                steps.append(self._error(node))
            case "state":
                pass
        return tuple(steps)

    def _stack_after(self, way: list[tuple[_Place, int]]) -> tuple[int, ...]:
        if not way:
            return ()
        place, number = way[-1]
        following = None if number < 0 else _enter(self._graph.nodes[place.state].edges[number], place)
        return place.stack if following is None else following.stack

    def _step(self, node: Node, number: int, stack: tuple[int, ...]) -> PathStep:
        if number < 0:
            return self._error(node)
        edge = node.edges[number]
        answer = answer_for(node, edge)
        return PathStep(
            state=node.name,
            target=self._target(node, edge, stack),
            way=edge.kind if edge.label is None else edge.label.name,
            message=self._message(node, answer, answer),
            calls=(Call("on_state", answer),),
        )

    def _retry(self, node: Node) -> PathStep:
        listed = _listed_retry(node)
        answer = answer_for(node, listed[0]) if listed else Retry
        message = self._message(node, answer, answer)
        return PathStep(state=node.name, target=node.name, way="retry", message=message, calls=(Call("on_state", answer),))

    def _exhausted(self, node: Node, stack: tuple[int, ...]) -> PathStep:
        retry = self._retry(node)
        return self._decided_by("on_fail", node, stack, "fail", message=retry.message, first=retry.calls)

    def _timeout(self, node: Node, stack: tuple[int, ...]) -> PathStep:
        return self._decided_by("on_timeout", node, stack, "timeout", message=self._message(node, TIMEOUT, TIMEOUT))

    def _decided_by(
        self, handler: str, node: Node, stack: tuple[int, ...], way: str, *, message: object, first: tuple[Call, ...] = ()
    ) -> PathStep:
        """Return a step that *handler* decides: with the real one wherever it leads to, with a stub along the state's first way out."""
        if getattr(node, handler) is None:
            target = None if self._graph.error is None else self._graph.error.name
            return PathStep(state=node.name, target=target, way=way, message=message, calls=first)
        edge = _find_way_out(node, stack)
        answer = None if edge is None else answer_for(node, edge)
        target = node.name if edge is None else self._target(node, edge, stack)
        calls = (*first, Call(handler, answer))
        return PathStep(state=node.name, target=target, way=way, message=message, calls=calls, is_open=True, moves=edge is not None)

    def _error(self, node: Node) -> PathStep:
        error = Injected(f"injected into {node.name} by septum.testing.explore")
        message = self._message(node, Exception, error)
        target = None if self._graph.error is None else self._graph.error.name
        return PathStep(state=node.name, target=target, way="error", message=message, calls=(Call("on_state", error),))

    def _target(self, node: Node, edge: Edge, stack: tuple[int, ...]) -> str | None:
        if edge.kind == "pop":
            return self._graph.nodes[stack[-1]].name
        if edge.targets:
            return edge.targets[0].name
        return None if edge.kind == "end" else node.name

    def _message(self, node: Node, key: object, usual: object) -> Any:
        """Return what has *key* happen in *node*: as the user says, else what is *usual* for it."""
        if self._messages is None:
            return usual
        for known in ((node.spec, key), key):
            if known in self._messages:
                return self._messages[known]
        return usual if isinstance(usual, Deed | Exception) else None
