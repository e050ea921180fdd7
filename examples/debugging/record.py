"""Make recording.jsonl: a night of four orders, one of which goes wrong.

    python record.py recording.jsonl

The customers and the provider are played, and time passes as fast as it can; the machines and the recorder are the real ones.
"""

import asyncio
import sys
from pathlib import Path

import payments
from payments import PaymentConfirmed, Placed, Provider

from septum import StateMachine
from septum.replay import FileSink, Recorder
from septum.testing import ManualClock

CAPTURED = 4711
MIDNIGHT = 1_795_564_800_000_000_000  # 2026-11-25T00:00:00Z


class Played(Provider):
    """A provider that takes its time, as real ones do."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    async def request_payment(self, order: int, amount: float) -> str:  # noqa: ARG002 - as the real one
        await self.take(0.4)
        return f"pay-{order}"

    async def cancel_payment(self, payment: str) -> str:
        await self.take(0.5)
        return "captured" if payment == f"pay-{CAPTURED}" else "cancelled"

    async def ship(self, order: int) -> str:
        await self.take(0.2)
        return f"parcel-{order}"

    async def take(self, seconds: float) -> None:
        done = asyncio.get_running_loop().create_future()
        self.clock.call_at(self.clock.now() + seconds, lambda: done.set_result(None))
        await done


async def order(number: int, amount: float, paid_after: float | None, recorder: Recorder) -> None:
    """Let one order take its course."""
    clock = ManualClock(wall_ns=MIDNIGHT + (number - 4709) * 240 * 10**9)
    payments.provider = Played(clock)
    machine = StateMachine(
        Placed, name="Order", machine_id=f"order-{number}", clock=clock, hooks=[recorder], common_data={"order": number, "amount": amount}
    )
    serving = asyncio.create_task(machine.serve())
    if paid_after is not None:
        clock.call_at(paid_after, lambda: machine.send_message(PaymentConfirmed(number, amount)))
    await clock.run_for(120)
    await serving


async def main(path: Path) -> None:
    """Record the night."""
    with Recorder(FileSink(path), level="full") as recorder:
        await order(4709, 12.50, paid_after=3.2, recorder=recorder)
        await order(4710, 80.00, paid_after=None, recorder=recorder)
        await order(4711, 59.90, paid_after=30.6, recorder=recorder)
        await order(4712, 7.25, paid_after=29.1, recorder=recorder)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "recording.jsonl")
    target.unlink(missing_ok=True)
    asyncio.run(main(target))
