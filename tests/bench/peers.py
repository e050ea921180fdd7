"""Loops for machines that are driven by events from outside: one event is a tick, one with a payload that a handler counts is a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench.metrics import Bench, Loop, Metric, expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Counter:
    """What the handlers of these machines count in."""

    def __init__(self) -> None:
        self.count = 0


def sync_bench(make: Callable[[Counter], Any], fire: Callable[[Any], Callable[[], object]], send: Callable[[Any], Any]) -> Bench:
    """Return the benchmark of a library of plain functions.

    Args:
        make: Makes one machine in its initial state, which counts in what it is given.
        fire: Returns the call that lets one machine take its next transition, whose handler does nothing.
        send: Returns the call that does so with a payload, which the handler counts.
    """

    async def tick() -> Loop:
        step = fire(make(Counter()))

        async def loop(count: int) -> None:
            for _ in range(count):
                step()

        return loop

    async def message() -> Loop:
        counter = Counter()
        step = send(make(counter))

        async def loop(count: int) -> None:
            before = counter.count
            for number in range(count):
                step(number)
            expect(counter.count - before, count)

        return loop

    async def create() -> Loop:
        counter = Counter()

        async def loop(count: int) -> None:
            for _ in range(count):
                make(counter)

        return loop

    shared = Counter()

    async def idle() -> object:
        return make(shared)

    metrics = {"tick": Metric(prepare=tick), "message": Metric(prepare=message), "create": Metric(prepare=create)}
    return Bench(metrics=metrics, idle=idle)


def async_bench(
    make: Callable[[Counter], Awaitable[Any]],
    fire: Callable[[Any], Callable[[], Awaitable[object]]],
    send: Callable[[Any], Any],
    end: Callable[[Any], Awaitable[object]] | None = None,
) -> Bench:
    """Return the benchmark of a library of coroutines; the arguments are as those of `sync_bench`, *end* stops a machine that needs it."""

    async def tick() -> Loop:
        machine = await make(Counter())
        step = fire(machine)

        async def loop(count: int) -> None:
            for _ in range(count):
                await step()

        return loop

    async def message() -> Loop:
        counter = Counter()
        machine = await make(counter)
        step = send(machine)

        async def loop(count: int) -> None:
            before = counter.count
            for number in range(count):
                await step(number)
            expect(counter.count - before, count)

        return loop

    async def create() -> Loop:
        counter = Counter()

        async def loop(count: int) -> None:
            for _ in range(count):
                machine = await make(counter)
                if end is not None:
                    await end(machine)

        return loop

    shared = Counter()

    async def idle() -> object:
        return await make(shared)

    metrics = {"tick": Metric(prepare=tick), "message": Metric(prepare=message), "create": Metric(prepare=create)}
    return Bench(metrics=metrics, idle=idle)
