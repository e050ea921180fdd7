"""What is measured, as loops: one set of loops for every subject whose machines have Septum's calls, so that only the engine differs."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

BURST = 500
GATHERED_TICKS = 10

METRICS = {
    "tick": "`await tick()`: one handler answers at once, two states alternate",
    "run": "one transition of a machine that drives itself, in one `run(max_iterations=n)`; the handler counts",
    "message": "send one message and tick: one handler call with `ctx.msg` None, one with the message, which it counts",
    "burst": "one of 500 messages that are queued first and handled in one run",
    "burst-poll": "the same in mycorrhizal with `run(timeout=0)`, which does not wait for messages",
    "create": "construct a machine with two keywords and `await initialize()`",
    "tick-timed": "tick between two states with timeout=10, left long before",
    "gather-100": "a tick of 100 machines, each in a task that ticks ten times, gathered",
    "gather-10000": "the same of 10,000 machines",
    "visit": "one transition of a machine, with the span of the state that was left",
    "record": "one measurement into a histogram of the SDK",
    "collect": "one collection of 500 series",
    "emit": "one log record of the SDK",
    "pause": "the longest step of a machine while a thread collects 2,000 series",
}
"""What each metric's operation is."""

Loop = Callable[[int], Coroutine[Any, Any, int | None]]
"""Does so many operations; the sample is the ns that it returns, or the time of the whole call if it returns None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing to time: `prepare` is not timed and gives the loop; a sample's count is a multiple of `unit`."""

    prepare: Callable[[], Coroutine[Any, Any, Loop]]
    unit: int = 1


Idle = Callable[[], Coroutine[Any, Any, object]]
"""Makes one idle machine: initialised, and waiting for a message if it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """All that a subject can be measured at: loops to time, and how to make an idle machine to weigh."""

    metrics: dict[str, Metric]
    idle: Idle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """An engine with Septum's calls, and two states that lead to each other for each kind of handler (the first is given)."""

    machine: Callable[..., Any]
    ticking: Any
    counting: Any
    receiving: Any
    run: Callable[[Any, int], Awaitable[object]]
    drain: Callable[[Any], Awaitable[object]]
    timed: Any = None


def machine_bench(family: Family) -> Bench:
    """Return the loops over *family*'s machines, by the name of the metric."""
    found = {
        "tick": Metric(prepare=lambda: _tick(family, family.ticking)),
        "run": Metric(prepare=lambda: _run(family)),
        "message": Metric(prepare=lambda: _message(family)),
        "burst": Metric(prepare=lambda: _burst(family), unit=BURST),
        "create": Metric(prepare=lambda: _create(family)),
        "gather-100": Metric(prepare=lambda: _gather(family, 100), unit=100 * GATHERED_TICKS),
        "gather-10000": Metric(prepare=lambda: _gather(family, 10_000), unit=10_000 * GATHERED_TICKS),
    }
    if family.timed is not None:
        found["tick-timed"] = Metric(prepare=lambda: _tick(family, family.timed))
    common = {"count": 0}
    return Bench(metrics=found, idle=lambda: _idle(family, common))


async def _started(family: Family, state: Any, common: Any) -> Any:
    fsm = family.machine(initial_state=state, common_data=common)
    await fsm.initialize()
    return fsm


async def _tick(family: Family, state: Any) -> Loop:
    fsm = await _started(family, state, {})

    async def loop(count: int) -> None:
        for _ in range(count):
            await fsm.tick()

    return loop


async def _run(family: Family) -> Loop:
    common = {"count": 0}
    fsm = await _started(family, family.counting, common)
    run = family.run

    async def loop(count: int) -> None:
        before = common["count"]
        await run(fsm, count)
        expect(common["count"] - before, count)

    return loop


async def _message(family: Family) -> Loop:
    common = {"count": 0}
    fsm = await _started(family, family.receiving, common)

    async def loop(count: int) -> None:
        before = common["count"]
        for number in range(count):
            fsm.send_message(number)
            await fsm.tick()
        expect(common["count"] - before, count)

    return loop


async def _burst(family: Family) -> Loop:
    common = {"count": 0}
    fsm = await _started(family, family.receiving, common)
    drain = family.drain

    async def loop(count: int) -> None:
        before = common["count"]
        for _ in range(count // BURST):
            for number in range(BURST):
                fsm.send_message(number)
            await drain(fsm)
        expect(common["count"] - before, count)

    return loop


async def _create(family: Family) -> Loop:
    machine, state = family.machine, family.ticking
    common: dict[str, int] = {}

    async def loop(count: int) -> None:
        for _ in range(count):
            fsm = machine(initial_state=state, common_data=common)
            await fsm.initialize()

    return loop


async def _gather(family: Family, machines: int) -> Loop:
    fsms = [await _started(family, family.ticking, {}) for _ in range(machines)]

    async def live(fsm: Any) -> None:
        for _ in range(GATHERED_TICKS):
            await fsm.tick()

    async def loop(count: int) -> None:
        for _ in range(count // (machines * GATHERED_TICKS)):
            await asyncio.gather(*map(live, fsms))

    return loop


async def _idle(family: Family, common: Any) -> Any:
    fsm = await _started(family, family.receiving, common)
    await fsm.tick()
    return fsm


async def bytes_per_machine(idle: Idle, count: int) -> float:
    """Return how many bytes each of *count* idle machines holds: initialised, called once, waiting for a message.

    The user's data is one object that all of them share, and the list they stand in is made before, so neither is counted.
    """
    await idle()
    machines: list[object] = [None] * count
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for index in range(count):
        machines[index] = await idle()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count


async def left_after_release(idle: Idle, count: int) -> int:
    """Return how many of *count* machines outlive their last reference while the cyclic collector is off."""
    gc.collect()
    gc.disable()
    try:
        machines: list[object] = [await idle() for _ in range(count)]
        kind = type(machines[0])
        before = _alive(kind)
        machines.clear()
        return count - (before - _alive(kind))
    finally:
        gc.enable()


def _alive(kind: type) -> int:
    return sum(type(found) is kind for found in gc.get_objects())


def expect(found: int, wanted: int) -> None:
    """Stop the benchmark if a subject did other work than it was given."""
    if found != wanted:
        sys.exit(f"the subject did {found} operations, {wanted} were asked for")
