"""What a replay at `execute` costs, beside the run itself without telemetry.

    python -m tests.bench.replaying [steps]            only shows it
    python -m tests.bench.replaying --write            writes the table of docs/performance.md

Each program is run with no hook attached, recorded into a file, and replayed from that file and from memory, all in this process, taking
turns; the least processor time of each counts. Memory is what Python had allocated at most while a recording was replayed from its file,
for half of the steps and for all of them: bounded by a window means that the two are about the same.

A replay must take at most three times as long as the run itself (issue 5). That holds for a machine that something happens to: a message,
a call, a deadline. It cannot hold for handlers that do nothing: such a step takes a quarter of a microsecond, less than it takes to look at
a single record, let alone to read one from JSON; what is measured of it says what a record costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
import tracemalloc
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from septum import LabeledTransition, StateConfiguration, StateMachine, septum
from septum.replay import FileSink, Recorder, execute, records
from tests.bench.table import Row, row, show

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

STEPS = 100_000
ROUNDS = 3
MUST, AIM = 3.0, 2.5
"""Times the run that a replay may take."""

GROWTH = 1.25
"""Times the memory that twice the steps may take."""


def bare() -> Any:
    """Return a machine of two states that lead to each other: handlers that do nothing, the least that a step can be."""

    @septum.state
    def Ping() -> None:
        @septum.events
        class Events(Enum):
            ON = 1

        @septum.on_state
        async def on_state(ctx: Any) -> Any:
            return Events.ON

        @septum.transitions
        def transitions() -> Any:
            return [LabeledTransition(Events.ON, Pong)]

    @septum.state
    def Pong() -> None:
        @septum.events
        class Events(Enum):
            ON = 1

        @septum.on_state
        async def on_state(ctx: Any) -> Any:
            return Events.ON

        @septum.transitions
        def transitions() -> Any:
            return [LabeledTransition(Events.ON, Ping)]

    return Ping


def served() -> Any:
    """Return a machine that takes a message for each step, as a service does that is fed by another task."""

    @septum.state(config=StateConfiguration(timeout=60.0))
    def Waiting() -> None:
        @septum.events
        class Events(Enum):
            NEXT = 1

        @septum.on_state
        async def on_state(ctx: Any) -> Any:
            return None if ctx.msg is None else Events.NEXT

        @septum.transitions
        def transitions() -> Any:
            return [LabeledTransition(Events.NEXT, Waiting)]

    return Waiting


def calling() -> Any:
    """Return a machine that awaits something for each message: a call that gives the event loop two turns, the least that one takes."""

    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return number

    @septum.state(config=StateConfiguration(timeout=60.0))
    def Working() -> None:
        @septum.events
        class Events(Enum):
            NEXT = 1

        @septum.on_state
        async def on_state(ctx: Any) -> Any:
            if ctx.msg is None:
                return None
            ctx.common["last"] = await ctx.call("fetch", fetch, ctx.msg)
            return Events.NEXT

        @septum.transitions
        def transitions() -> Any:
            return [LabeledTransition(Events.NEXT, Working)]

    return Working


async def lap(machine: StateMachine[Any], steps: int) -> None:
    """Let a machine run by itself."""
    await machine.run(max_iterations=steps, timeout=0)


async def feed(machine: StateMachine[Any], steps: int) -> None:
    """Serve a machine that another task sends a message whenever it has taken the last; a step is a visit, of two calls."""

    async def send() -> None:
        for number in range(steps):
            machine.send_message(number)
            while machine.queue_depth:  # noqa: ASYNC110 - the turns of the loop are what is measured
                await asyncio.sleep(0)
        machine.stop()

    task = asyncio.ensure_future(send())
    await machine.serve()
    await task


class Program(NamedTuple):
    """What is measured."""

    name: str
    make: Callable[[], Any]
    drive: Callable[[StateMachine[Any], int], Awaitable[None]]


PROGRAMS = [
    Program("handlers that do nothing", bare, lap),
    Program("a message a step", served, feed),
    Program("a message and a call", calling, feed),
]


def time_run(program: Program, steps: int) -> float:
    """Return the seconds of a run that nobody observes."""

    async def run() -> float:
        machine: StateMachine[Any] = StateMachine(state)
        began = time.process_time()
        await program.drive(machine, steps)
        return time.process_time() - began

    state = program.make()
    gc.collect()
    return asyncio.run(run())


def record(program: Program, steps: int, path: Path) -> None:
    """Record a run."""

    async def run() -> None:
        with Recorder(FileSink(path, most_bytes=1 << 40), level="inline") as recorder:
            await program.drive(StateMachine(program.make(), hooks=[recorder]), steps)

    asyncio.run(run())


def time_replay(program: Program, source: Any) -> float:
    """Return the seconds of a replay."""
    state = program.make()
    gc.collect()
    began = time.process_time()
    execution = execute(source, state)
    seconds = time.process_time() - began
    assert execution.ok, str(execution)
    return seconds


def peak(program: Program, path: Path) -> float:
    """Return the most megabytes that a replay from a file had allocated."""
    tracemalloc.start()
    try:
        assert execute(records(path), program.make()).ok
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def measure(program: Program, steps: int, folder: Path) -> Iterator[Row]:
    """Run, record and replay a program."""
    path, short = folder / "all.jsonl", folder / "short.jsonl"
    record(program, steps, path)
    record(program, steps // 2, short)
    held = list(records(path))
    runs, memory, file = [], [], []
    for _ in range(ROUNDS):
        runs.append(time_run(program, steps))
        memory.append(time_replay(program, held))
        file.append(time_replay(program, records(path)))
    del held
    against = f"the run, {min(runs) / steps * 1e6:.2f} us a step"
    for source, times in (("memory", memory), ("the file", file)):
        yield row(f"{program.name}, from {source}", against, min(times) / min(runs), "x", must=MUST, aim=AIM)
    few, many = peak(program, short), peak(program, path)
    yield row(f"{program.name}, memory from the file", f"half of the steps, {few:.1f} MB", many / few, "x", must=GROWTH)
    path.unlink()
    short.unlink()


def main(words: Sequence[str] | None = None) -> int:
    """Measure as *words* say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", type=int, nargs="?", default=STEPS)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        found = [line for program in PROGRAMS for line in measure(program, options.steps, Path(folder))]
    show(found, f"Replays of {options.steps:,} steps. Minima of {ROUNDS} rounds, processor time.", "replay", write=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
