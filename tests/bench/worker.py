"""The worker process of one subject: reads requests from one pipe, answers on another, prints into the void.

Requests and answers are JSON, one a line: `{"do": "metrics"}`, `{"do": "size", "metric": m}`, `{"do": "sample", "metric": m, "count": n}`,
`{"do": "bytes", "machines": n}`, `{"do": "left", "machines": n}`. It ends when the pipe is closed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
from time import perf_counter_ns
from typing import Any

from tests.bench.metrics import Bench, Metric, bytes_per_machine, left_after_release
from tests.bench.subjects import SUBJECTS

SAMPLE_NS = 25_000_000
CALIBRATION_STEPS = 180_000
SCATTERED = 30_000


class Cell:
    """Something for the calibration loop to read and write."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


def _step(value: int) -> int:
    return value ^ 1


def calibrate() -> int:
    """Time a fixed loop of what interpreters do all day: calls, slots, small ints; the unit that samples are divided by."""
    cell = Cell()
    start = perf_counter_ns()
    for _ in range(CALIBRATION_STEPS):
        cell.value = _step(cell.value)
    return perf_counter_ns() - start


def scatter(seed: int) -> list[bytes]:
    """Leave the heap with holes in a pattern of its own; keep what is returned, or the holes join.

    Whether a machine's block lies in a pool that it alone keeps from being full is chance, always the same chance for the same program,
    and worth 5 % of making a machine.
    """
    lots = random.Random(seed)
    kept = [bytes(lots.randrange(480)) for _ in range(SCATTERED)]
    lots.shuffle(kept)
    del kept[SCATTERED // 2 :]
    return kept


async def _elapsed(metric: Metric, count: int) -> int:
    loop = await metric.prepare()
    gc.collect()
    start = perf_counter_ns()
    taken = await loop(count)
    return perf_counter_ns() - start if taken is None else taken


def count_for(elapsed: int, count: int, unit: int) -> int:
    """Return how many operations take a full sample, when *count* took *elapsed* ns: a multiple of *unit*, a fifth above the least."""
    wanted = SAMPLE_NS * 1.2 * count / max(elapsed, 1)
    return max(1, -(-int(wanted) // unit)) * unit


def size(runner: asyncio.Runner, metric: Metric) -> tuple[int, int]:
    """Warm the metric up; return the count of operations that fills a sample, and the ns that they took."""
    count = metric.unit
    while (elapsed := runner.run(_elapsed(metric, count))) < SAMPLE_NS:
        count = max(min(count * 10, count_for(elapsed, count, metric.unit)), count + metric.unit)
    return count, elapsed


def answer(runner: asyncio.Runner, bench: Bench, request: dict[str, Any]) -> dict[str, Any]:
    """Do what *request* asks."""
    match request:
        case {"do": "metrics"}:
            return {"metrics": list(bench.metrics), "idle": bench.idle is not None}
        case {"do": "size", "metric": str(name)}:
            count, elapsed = size(runner, bench.metrics[name])
            return {"count": count, "elapsed": elapsed}
        case {"do": "sample", "metric": str(name), "count": int(count)}:
            before = calibrate()
            elapsed = runner.run(_elapsed(bench.metrics[name], count))
            return {"elapsed": elapsed, "before": before, "after": calibrate()}
        case {"do": "bytes", "machines": int(machines)} if bench.idle is not None:
            return {"bytes": runner.run(bytes_per_machine(bench.idle, machines))}
        case {"do": "left", "machines": int(machines)} if bench.idle is not None:
            return {"left": runner.run(left_after_release(bench.idle, machines))}
        case _:
            sys.exit(f"a worker was asked for {request!r}")


def main(subject: str, requests: int, answers: int, cpu: str, seed: int) -> None:
    """Serve the pipes with these file descriptors until the first is closed, on one cpu if it is named, with a heap made from *seed*."""
    if cpu:
        os.sched_setaffinity(0, {int(cpu)})
    _holes = [scatter(seed)]
    bench = SUBJECTS[subject].bench()
    _holes.append(scatter(seed + 1))
    with asyncio.Runner() as runner, os.fdopen(requests) as lines, os.fdopen(answers, "w") as out:
        for line in lines:
            out.write(json.dumps(answer(runner, bench, json.loads(line))) + "\n")
            out.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
