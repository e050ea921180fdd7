"""Small definitions at random, everything that their runs can do by brute force, and real machines that are led along a path.

The brute force knows nothing of the proofs: it follows every edge by the engine's own rule (`septum._step.follow`), one configuration after
the other, nearest first.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from septum import (
    Again,
    Graph,
    LabeledTransition,
    Pop,
    PopFromEmptyStack,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateSpec,
)
from septum._step import follow
from septum.testing import ManualClock, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from septum._node import Edge, Node

E = Enum("E", ["A", "B", "C", "D"])
"""Labels."""

Configuration: TypeAlias = "tuple[Node, tuple[Node, ...]]"
"""The current state, and the stack, the top last."""

STAY: Final = {"again", "repeat", "restart", "retry", "unhandled"}


class Led:
    """Handlers that answer what a script says: along a path, as soon as the state can."""

    def __init__(self) -> None:
        self.answers: deque[Any] = deque()

    def answer(self) -> Any:
        """Return the next answer, or raise it."""
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


def make_system(chance: random.Random) -> tuple[Graph, Led]:
    """Return a random definition of at most five states, and who leads its handlers."""
    led = Led()
    # Each definition has its own habits, so that some are all stack and some have none.
    weights = [chance.random() ** 2 for _ in _KINDS]
    terminal_share = chance.choice([0.0, 0.1, 0.3])
    specs = [_make_state(chance, number, led, terminal_share) for number in range(chance.choice([1, 2, 3, 4, 4, 5, 5, 5]))]
    for spec in specs:
        targets = [_draw_target(chance, specs, weights) for _ in range(chance.choice([0, 1, 1, 2, 2, 3]))]
        listed = [LabeledTransition(label, target) for label, target in zip(E, targets, strict=False)]
        spec.transitions = lambda listed=listed: listed
    error = chance.choice(specs) if chance.random() < 0.25 else None
    return Graph.of(specs[0], error), led


def _make_state(chance: random.Random, number: int, led: Led, terminal_share: float) -> StateSpec:
    terminal = chance.random() < terminal_share
    timeout = 5.0 if chance.random() < 0.2 else None
    can_dwell = chance.random() < 0.4
    policy = chance.choice([None, None, RetryPolicy(base=1.0), RetryPolicy(base=0.0)])
    retries = chance.choice([None, None, 2])

    async def on_state(ctx: Any) -> Any:
        if terminal and isinstance(led.answers[0], Exception):
            return led.answer()
        if timeout is not None:
            if terminal:
                await asyncio.Event().wait()
            return None
        return led.answer() if ctx.msg is not None or not can_dwell else None

    def on_timeout(ctx: Any) -> Any:
        return led.answer()

    return StateSpec(
        name=f"s.S{number}",
        qualname=f"S{number}",
        config=StateConfiguration(timeout, retries, terminal, can_dwell, retry=policy),
        on_state=on_state,
        on_timeout=on_timeout if chance.random() < 0.9 or not terminal else None,
    )


_KINDS: Final = ("push", "pop", "end", "stay", "state")


def _draw_target(chance: random.Random, specs: Sequence[StateSpec], weights: Sequence[float]) -> Any:
    kind = chance.choices(_KINDS, weights)[0]
    if kind == "push":
        return Push(*chance.choices(specs, k=chance.randint(1, 3)))
    if kind == "stay":
        return chance.choice([Again, Repeat, Restart, Retry])
    return {"pop": Pop, "end": None, "state": chance.choice(specs)}[kind]


def find_edges(node: Node) -> tuple[Edge, ...]:
    """Return the edges that may be taken."""
    return () if node.terminal and (node.timeout is None or node.on_timeout is None) else node.edges


def step(graph: Graph, here: Configuration) -> Iterator[tuple[str, Configuration | None, str]]:
    """Yield the label, what follows, and its kind for everything that may happen in *here*; nothing follows an end or an empty pop."""
    node, stack = here
    for edge in find_edges(node):
        if edge.kind == "pop" and not stack:
            yield edge.name, None, "empty pop"
            continue
        move = follow(edge, node, stack[-1] if stack else None, 0)
        if move.kind in STAY or move.kind == "exhausted":
            yield edge.name, here, move.kind
        elif move.kind == "end":
            yield edge.name, None, "end"
        else:
            assert move.target is not None
            left = stack[:-1] if move.kind == "pop" else stack + move.below
            yield edge.name, (move.target, left), move.kind
    if graph.error is not None and node is not graph.error:
        yield "error", (graph.error, stack), "error"


@dataclass
class Explored:
    """What was found from one configuration on, nearest first.

    Attributes:
        distances: Steps to each configuration that was reached.
        empty_pops: Steps to the nearest pop on an empty stack, itself included, by state.
        edges: What follows each configuration that was looked at.
        ending: Where the machine may end.
    """

    distances: dict[Configuration, int] = field(default_factory=dict)
    empty_pops: dict[Node, int] = field(default_factory=dict)
    edges: dict[Configuration, list[Configuration]] = field(default_factory=dict)
    ending: set[Configuration] = field(default_factory=set)

    @property
    def left_out(self) -> set[Configuration]:
        """Those that were reached and not looked at."""
        return self.distances.keys() - self.edges.keys()

    @property
    def radius(self) -> float:
        """Everything that is nearer than this was found."""
        return min((self.distances[here] for here in self.left_out), default=float("inf"))

    def find_those_that_lead_to(self, goals: set[Configuration]) -> set[Configuration]:
        """Return *goals* and everything from which one of them was seen."""
        before: dict[Configuration, list[Configuration]] = {}
        for source, targets in self.edges.items():
            for target in targets:
                before.setdefault(target, []).append(source)
        found, waiting = set(goals), list(goals)
        while waiting:
            for source in before.get(waiting.pop(), ()):
                if source not in found:
                    found.add(source)
                    waiting.append(source)
        return found


def explore(graph: Graph, start: Configuration, most: int, *, only: Callable[[Node], bool] = lambda _: True) -> Explored:
    """Return what can be reached from *start*, looking at no more than *most* configurations, on from those of *only*."""
    found = Explored({start: 0})
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        if len(found.edges) >= most:
            break
        node = here[0]
        distance = found.distances[here]
        follows = found.edges[here] = []
        if node.terminal:
            found.ending.add(here)
        for _, after, kind in step(graph, here) if only(node) else ():
            if kind == "empty pop":
                found.empty_pops.setdefault(node, distance + 1)
            elif kind == "end":
                found.ending.add(here)
            elif after is not None and after != here:
                follows.append(after)
                if after not in found.distances:
                    found.distances[after] = distance + 1
                    waiting.append(after)
    return found


def walk(graph: Graph, path: Sequence[tuple[str, str]]) -> list[Configuration | None]:
    """Return the configurations along *path*, the first included; None where nothing follows. It must be a path."""
    here: Configuration | None = (graph.initial, ())
    seen = [here]
    for state, label in path:
        assert here is not None
        assert here[0].name == state
        here = next(after for name, after, _ in step(graph, here) if name == label)
        seen.append(here)
    return seen


class Stuck(Exception):
    """A machine did not do what its script says."""


async def lead(graph: Graph, led: Led, path: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, tuple[str, ...]]], Exception | None]:
    """Run a real machine along *path*; return state and stack after each step, and what the last one raised."""
    clock = ManualClock()
    fsm: StateMachine[Any] = StateMachine(graph.initial.spec, error_state=graph.error and graph.error.spec, clock=clock)
    await fsm.initialize()
    seen: list[tuple[str, tuple[str, ...]]] = []
    raised: Exception | None = None
    led.answers.clear()
    for state, label in path:
        if raised is not None or fsm.current_state != state:
            raise Stuck(state, fsm.current_state, raised)
        node = graph.by_name[state]
        led.answers.append(Failed(state) if label == "error" else _find_answer(node, label))
        if node.timeout is not None:
            task = asyncio.ensure_future(fsm.tick())
            await settle()
            await clock.advance(node.timeout)
            raised = await _outcome(task)
            if led.answers:
                raised = await _outcome(asyncio.ensure_future(fsm.tick()))
        else:
            if node.can_dwell:
                fsm.send_message("go")
            raised = await _outcome(asyncio.ensure_future(fsm.tick()))
        if led.answers:
            raise Stuck(state, label, "was not asked")
        now = fsm.current_state
        assert now is not None
        seen.append((now.name, tuple(spec.name for spec in fsm.state_stack)))
    return seen, raised


class Failed(Exception):
    """What a handler raises where a path says "error"."""


async def _outcome(task: asyncio.Future[Any]) -> Exception | None:
    try:
        await task
    except (PopFromEmptyStack, StateMachineComplete, Failed) as error:
        return error
    return None


def _find_answer(node: Node, label: str) -> Any:
    return next(edge.label for edge in node.edges if edge.name == label)
