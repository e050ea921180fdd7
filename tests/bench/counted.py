"""The program whose machine instructions the gate counts: one subject, one metric, so many operations (`python -m tests.bench.counted`)."""

from __future__ import annotations

import asyncio
import math
import sys

from tests.bench.metrics import Metric
from tests.bench.subjects import SUBJECTS


async def work(metric: Metric, count: int) -> None:
    """Do *count* operations."""
    loop = await metric.prepare()
    await loop(count)


def stop_the_clock() -> None:
    """Keep Septum from giving way to the event loop, which it does by time: under valgrind that is fifty times as often."""
    pace = sys.modules.get("septum._pace")
    if pace is not None:
        if not hasattr(pace, "SLICE"):
            sys.exit("septum._pace has no SLICE any more: tests/bench/counted.py must learn how to switch fairness off")
        pace.SLICE = math.inf  # type: ignore[attr-defined]  # nobody knows the attributes of a module by its name


def main(subject: str, metric: str, count: int) -> None:
    """Do *count* operations of the metric."""
    metrics = SUBJECTS[subject].bench().metrics
    stop_the_clock()
    asyncio.run(work(metrics[metric], count))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
