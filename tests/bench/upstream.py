"""mycorrhizal 0.2.2, running the shared handlers: as it is, or with the prints of its log patched out."""

from __future__ import annotations

import asyncio
from typing import Any

from mycorrhizal.septum import core  # type: ignore[import-untyped]  # it has no types

from tests.bench.metrics import BURST, Bench, Family, Loop, Metric, machine_bench
from tests.bench.programs import Program, pad_states

CLEAN_UP_EVERY = 100
"""Ticks between two turns of the event loop, so that the timeout tasks it cancels can end; a turn is 1 % of what they cost."""


class Signal(dict[str, int]):
    """Common data that says when the last message of a burst was counted; costs a message 0.1 us of its 12."""

    last = -1
    seen: asyncio.Future[None]

    def __setitem__(self, key: str, value: int) -> None:
        super().__setitem__(key, value)
        if value == self.last:
            self.seen.set_result(None)


def bench(variant: str = "") -> Bench:
    """Return what is measured of mycorrhizal; "quiet" has no prints, "states" has 1,000 states registered instead of 10."""
    if variant == "quiet":
        core.StateMachine.log = lambda self, message: None
    program = Program(core)
    pad_states(core, 1000 if variant == "states" else 10)
    found = machine_bench(
        Family(
            machine=core.StateMachine,
            ticking=program.ticking,
            counting=program.counting,
            receiving=program.receiving,
            # With a timeout above 0, each tick would go on for ever among states that answer at once.
            run=lambda fsm, count: fsm.run(max_iterations=count, timeout=0),
            drain=lambda fsm: fsm.run(max_iterations=BURST, timeout=0),
        )
    )
    metrics = {
        **found.metrics,
        "burst": Metric(prepare=lambda: _burst(program.receiving), unit=BURST),
        "burst-poll": found.metrics["burst"],
        "tick-timed": Metric(prepare=lambda: _tick_timed(program.timed)),
    }
    return Bench(metrics=metrics, idle=found.idle)


async def _burst(state: Any) -> Loop:
    """Run as its documentation does, `run()` with the default timeout, which it never leaves by itself while it waits."""
    common = Signal(count=0)
    fsm = core.StateMachine(initial_state=state, common_data=common)
    await fsm.initialize()

    async def loop(count: int) -> None:
        for _ in range(count // BURST):
            common.seen = asyncio.get_running_loop().create_future()
            common.last = common["count"] + BURST
            for number in range(BURST):
                fsm.send_message(number)
            running = asyncio.ensure_future(fsm.run())
            await common.seen
            running.cancel()
            await asyncio.wait([running])

    return loop


async def _tick_timed(state: Any) -> Loop:
    fsm = core.StateMachine(initial_state=state, common_data={})
    await fsm.initialize()

    async def loop(count: int) -> None:
        for number in range(count):
            await fsm.tick()
            if number % CLEAN_UP_EVERY == 0:
                await asyncio.sleep(0)

    return loop
