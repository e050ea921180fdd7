"""What the proofs about a definition cost: time for definitions of growing size, next to building their graph and checking its structure.

Brief is what constructing the first machine does, full what `septum.check` does: with paths, and with cycles that never wait.

`python -m tests.bench.proofs [--rounds N]` prints a table. The goals are 20 ms for 100 states and 200 ms for 1,000 states with 5,000 edges,
pushes and pops among them, and linear growth; times are the least of all rounds, after one that does not count, and of this process
alone (`time.process_time`).
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
from enum import Enum
from time import process_time
from typing import TYPE_CHECKING

from septum import Graph, LabeledTransition, Pop, Push, StateConfiguration, StateSpec
from septum._checks import check
from septum._proofs import prove

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (100, 1_000, 2_000, 4_000)
EDGES = 5
"""Of each state."""
GOALS_MS = {100: 20.0, 1_000: 200.0}

Events = Enum("Events", [f"E{number}" for number in range(EDGES)])


def handle(ctx: object) -> None:
    """Stand for the handlers, which the proofs never call."""


def make(name: str, targets: Sequence[object], *, terminal: bool = False) -> StateSpec:
    """Return a state with these targets."""
    listed = [LabeledTransition(label, target) for label, target in zip(Events, targets, strict=False)]  # type: ignore[arg-type]
    config = StateConfiguration(terminal=terminal)
    return StateSpec(name=f"bench.{name}", qualname=name, on_state=handle, transitions=lambda: listed, config=config)


def build_mixed(size: int) -> StateSpec:
    """Return the start of a random definition: of twenty edges two push and one pops, of twenty states one is terminal."""
    chance = random.Random(size)
    specs: list[StateSpec] = []
    for number in range(size):
        targets: list[object] = []
        specs.append(make(f"S{number}", targets, terminal=number % 20 == 19))
    for number, spec in enumerate(specs):
        targets = []
        for place in range(EDGES):
            nearby = [specs[(number + 1 + chance.randrange(40)) % size] for _ in range(3)]
            draw = chance.random()
            if place == 0:
                targets.append(specs[(number + 1) % size])
            elif draw < 0.10:
                targets.append(Push(*nearby[: chance.randint(2, 3)]))
            elif draw < 0.15:
                targets.append(Pop)
            else:
                targets.append(nearby[0])
        listed = [LabeledTransition(label, target) for label, target in zip(Events, targets, strict=True)]  # type: ignore[arg-type]
        spec.transitions = lambda listed=listed: listed
    return specs[0]


def build_calls(size: int) -> StateSpec:
    """Return the start of subroutines that call one another, the last ones only return: what the stack is for."""
    specs = [make(f"S{number}", ()) for number in range(size)]
    for number, spec in enumerate(specs):
        targets: list[object] = [Pop]
        targets += [Push(specs[number + step], spec) for step in range(1, EDGES) if number + step < size]
        listed = [LabeledTransition(label, target) for label, target in zip(Events, targets, strict=False)]  # type: ignore[arg-type]
        spec.transitions = lambda listed=listed: listed
    return specs[0]


def build_ring(size: int) -> StateSpec:
    """Return the start of one long ring that pushes once a round: the longest laps that there are."""
    specs = [make(f"S{number}", ()) for number in range(size)]
    for number, spec in enumerate(specs):
        after = specs[(number + 1) % size]
        target: object = Push(after, after) if number == size - 1 else after
        listed = [LabeledTransition(Events.E0, target)]  # type: ignore[attr-defined, arg-type]
        spec.transitions = lambda listed=listed: listed
    return specs[0]


def build_flat(size: int) -> StateSpec:
    """Return the start of a definition without a stack, as most are."""
    chance = random.Random(size)
    specs = [make(f"S{number}", (), terminal=number == size - 1) for number in range(size)]
    for number, spec in enumerate(specs[:-1]):
        targets = [specs[number + 1], *(specs[chance.randrange(size)] for _ in range(EDGES - 1))]
        listed = [LabeledTransition(label, target) for label, target in zip(Events, targets, strict=True)]
        spec.transitions = lambda listed=listed: listed
    return specs[0]


KINDS: dict[str, Callable[[int], StateSpec]] = {"mixed": build_mixed, "calls": build_calls, "ring": build_ring, "flat": build_flat}


def least_ms(work: Callable[[], object], rounds: int) -> float:
    """Return the milliseconds of the quickest of *rounds* calls, without the garbage collector, as timeit does."""
    work()
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        start = process_time()
        work()
        best = min(best, process_time() - start)
        gc.enable()
    return best * 1e3


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args(arguments).rounds
    missed = False
    print(f"{'definition':12} {'states':>7} {'edges':>7} {'graph ms':>9} {'checks ms':>9} {'brief ms':>9} {'full ms':>9}  goal")
    for kind, build in KINDS.items():
        for size in (3, *SIZES):
            start = build(size)
            graph = Graph.of(start)
            fresh = least_ms(lambda start=start: (start.graph_cache.clear(), Graph.of(start)), rounds)
            checks = least_ms(lambda graph=graph: check(graph), rounds)
            brief = least_ms(lambda graph=graph: prove(graph, full=False), rounds)
            full = least_ms(lambda graph=graph: prove(graph), rounds)
            goal = GOALS_MS.get(size)
            verdict = "" if goal is None else f"<= {goal:g} ms {'PASS' if full <= goal else 'miss'}"
            missed = missed or verdict.endswith("miss")
            edges = sum(len(node.edges) for node in graph.nodes)
            print(f"{kind:12} {len(graph.nodes):7} {edges:7} {fresh:9.2f} {checks:9.2f} {brief:9.2f} {full:9.2f}  {verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
