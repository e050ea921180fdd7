"""The soak: ten thousand machines live for a minute on messages, timeouts and retries, and memory must not grow.

On its own: `python -m tests.bench.soak`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import septum
from septum import LabeledTransition, Retry, RetryPolicy, StateConfiguration, StateMachine
from tests.bench.handlers import Events

PAGE_BYTES = 4096
SETTLED_SECONDS = 10.0
MESSAGES_A_SECOND = 4_000
BEAT_SECONDS = 0.05


@septum.state(config=StateConfiguration(can_dwell=True, timeout=3.0))
def Waiting() -> None:
    """Wait for work; go round by timeout when there is none."""
    septum.events(Events)

    @septum.on_state
    async def on_state(ctx: Any) -> Events | None:
        if ctx.msg is None:
            return None
        ctx.common["messages"] += 1
        return Events.GO

    @septum.on_timeout
    async def on_timeout(ctx: Any) -> type[septum.Repeat]:
        ctx.common["timeouts"] += 1
        return septum.Repeat

    @septum.transitions
    def transitions() -> Any:
        return [LabeledTransition(Events.GO, Working), septum.Repeat]


@septum.state(config=StateConfiguration(timeout=5.0, retries=3, retry=RetryPolicy(base=0.05, max_delay=0.2, jitter=0.5)))
def Working() -> None:
    """Work, which fails one time in five, and go back to wait."""
    septum.events(Events)

    @septum.on_state
    async def on_state(ctx: Any) -> Events | type[Retry]:
        await asyncio.sleep(0)
        if ctx.random.random() < 0.2:
            ctx.common["retries"] += 1
            return Retry
        return Events.GO

    @septum.on_fail
    async def on_fail(ctx: Any) -> Events:
        ctx.common["failures"] += 1
        return Events.GO

    @septum.on_timeout
    async def on_timeout(ctx: Any) -> Events:
        return Events.GO

    @septum.transitions
    def transitions() -> Any:
        return [LabeledTransition(Events.GO, Waiting), Retry]


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


async def soak(machines: int, seconds: float) -> dict[str, Any]:
    """Let *machines* live for *seconds* and return what they did and what they weighed."""
    common: Counter[str] = Counter()
    fsms = [StateMachine(initial_state=Waiting, common_data=common) for _ in range(machines)]
    async with asyncio.TaskGroup() as group:
        for fsm in fsms:
            group.create_task(fsm.serve())
        weights = await _feed(fsms, common, seconds)
        for fsm in fsms:
            fsm.stop()
    settled = min(SETTLED_SECONDS, seconds / 2)
    start = [weight for at, weight in weights if settled <= at < settled + 1]
    end = [weight for at, weight in weights if at >= seconds - 1]
    return {
        "machines": machines,
        "seconds": seconds,
        "settled": settled,
        "start": sum(start) / len(start),
        "end": sum(end) / len(end),
        "did": dict(common),
        "pending": sum(fsm.stats().pending for fsm in fsms),
    }


async def _feed(fsms: list[StateMachine[Any]], common: Counter[str], seconds: float) -> list[tuple[float, int]]:
    """Send messages to machines drawn by lot, and weigh the process at each beat."""
    lots = random.Random(7)
    began = time.monotonic()
    weights = []
    sent = 0
    while (at := time.monotonic() - began) < seconds:
        # At most a second's worth is made up for, so that a busy machine is not buried.
        for _ in range(min(int(at * MESSAGES_A_SECOND) - sent, MESSAGES_A_SECOND)):
            sent += lots.choice(fsms).send_message(sent)
        weights.append((at, resident_bytes()))
        _tell(at, seconds, common)
        await asyncio.sleep(BEAT_SECONDS)
    return weights


def _tell(at: float, seconds: float, common: Counter[str]) -> None:
    if sys.stderr.isatty():
        did = ", ".join(f"{count:,} {what}" for what, count in sorted(common.items()))
        print(f"\rsoak {at:4.0f} of {seconds:.0f} s: {did}\x1b[K", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Run the soak and print what came out as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=10_000, help="how many live at once (default: 10,000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    chosen = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        sys.exit("the soak reads /proc/self/statm, which this system does not have; use --no-soak")
    found = asyncio.run(soak(chosen.machines, chosen.seconds))
    idle = [what for what in ("messages", "timeouts", "retries") if not found["did"].get(what)]
    if idle:
        sys.exit(f"the soak had no {', '.join(idle)}: it was too short to say anything")
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
