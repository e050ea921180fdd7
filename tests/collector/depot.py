"""A depot that is well for a while and then, if told so, is not: everything goes wrong at once that an alert is for.

    python depot.py --seconds 100                   a healthy run
    python depot.py --seconds 100 --trouble-at 45   trouble from the 45th second on

It is a process of its own that sends OTLP as a service does; times are real, and small.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from enum import Enum, auto
from typing import Any

import septum.otel
from septum import (
    Hooks,
    LabeledTransition,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    Unhandled,
    facts,
)
from septum import (
    septum as define,
)


class Trouble:
    """Whether there is trouble now."""

    now = False


class Busy(Exception):
    """The carrier has no van."""


class Lost(Exception):
    """The parcel cannot be found."""


@define.state(config=StateConfiguration(timeout=0.2, retries=5, retry=RetryPolicy(base=0.05, factor=1.0)))
def Loading() -> None:
    """The carrier is asked for a van: mostly well, slow or busy in times of trouble."""

    @define.events
    class Events(Enum):
        LOADED = auto()
        GAVE_UP = auto()

    @define.on_state
    async def on_state(ctx):
        draw = ctx.common.random()
        if draw < (0.7 if Trouble.now else 0.03):
            return Retry
        if Trouble.now:
            await asyncio.sleep(1.0)  # past the deadline
        await asyncio.sleep(0.01)
        return Events.LOADED

    @define.on_timeout
    async def on_timeout(ctx):
        return Retry

    @define.on_fail
    async def on_fail(ctx):
        return Events.GAVE_UP

    @define.transitions
    def transitions():
        return [LabeledTransition(Events.LOADED, Sorting), LabeledTransition(Events.GAVE_UP, Returned)]


@define.state
def Sorting() -> None:
    """Fails for one parcel in a hundred, and for every third in times of trouble."""

    @define.events
    class Events(Enum):
        SORTED = auto()

    @define.on_state
    async def on_state(ctx):
        if ctx.common.random() < (0.35 if Trouble.now else 0.01):
            raise Lost("not on its shelf")
        return Events.SORTED

    @define.transitions
    def transitions():
        return [LabeledTransition(Events.SORTED, Waiting)]


@define.state(config=StateConfiguration(timeout=1.0, expect=2.0))
def Waiting() -> None:
    """Waits for somebody to fetch it; one in ten is not fetched in time."""

    @define.events
    class Events(Enum):
        FETCHED = auto()
        LEFT = auto()

    @define.on_enter
    async def on_enter(ctx):
        if ctx.common.random() < 0.9:
            asyncio.get_running_loop().call_later(0.2, ctx.send_message, "fetched")

    @define.on_state
    async def on_state(ctx):
        return Events.FETCHED if ctx.msg == "fetched" else None

    @define.on_timeout
    async def on_timeout(ctx):
        return Events.LEFT

    @define.transitions
    def transitions():
        return [LabeledTransition(Events.FETCHED, Delivered), LabeledTransition(Events.LEFT, Returned)]


@define.state(config=StateConfiguration(terminal=True))
def Delivered() -> None:
    @define.on_state
    async def on_state(ctx):
        pass


@define.state(config=StateConfiguration(terminal=True))
def Returned() -> None:
    @define.on_state
    async def on_state(ctx):
        pass


@define.state(config=StateConfiguration(can_dwell=True, expect=2.0))
def Open() -> None:
    """The gate; in times of trouble nobody comes to close it, and it is overdue."""

    @define.events
    class Events(Enum):
        CLOSE = auto()

    @define.on_state
    async def on_state(ctx):
        return Events.CLOSE if ctx.msg == "close" else None

    @define.transitions
    def transitions():
        return [LabeledTransition(Events.CLOSE, Closed)]


@define.state(config=StateConfiguration(can_dwell=True, expect=2.0))
def Closed() -> None:
    @define.events
    class Events(Enum):
        OPEN = auto()

    @define.on_state
    async def on_state(ctx):
        return Events.OPEN if ctx.msg == "open" else None

    @define.transitions
    def transitions():
        return [LabeledTransition(Events.OPEN, Open)]


@define.state(config=StateConfiguration(can_dwell=True))
def Answering() -> None:
    """The desk; in times of trouble its clerk never comes back from the first question, and its mailbox fills and overflows.

    Every fifth question is not for the desk.
    """

    @define.on_state
    async def on_state(ctx):
        if ctx.msg is not None and Trouble.now:
            await asyncio.Event().wait()
        return Unhandled if ctx.msg is not None and ctx.msg % 5 == 0 else None


@define.state(config=StateConfiguration(can_dwell=True))
def Reading() -> None:
    """The scanner; in times of trouble it raises classes of exceptions without end."""

    @define.on_state
    async def on_state(ctx):
        if ctx.msg is not None and Trouble.now:
            raise type(f"Smudge{ctx.msg}", (Exception,), {})("cannot be read")

    @define.transitions
    def transitions():
        return []


class Broken(Hooks):
    """A hook that fails in times of trouble."""

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """Fail, perhaps."""
        if Trouble.now:
            raise ValueError("a hook of the depot's own")


class Ledger(Hooks):
    """Keeps the depot's own books, to be compared with what arrives: a count for each kind of thing, in the words of telemetry."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """Count by edge."""
        target = "" if fact.target is None else short(fact.target)
        self.counts[f"edge {fact.machine_name} {short(fact.source)} {target} {fact.label or ''} {fact.kind}"] += 1

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        """Count by state and outcome."""
        self.counts[f"visit {fact.machine_name} {short(fact.state)} {fact.outcome}"] += 1

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Count by outcome."""
        self.counts[f"run {fact.machine_name} {fact.outcome}"] += 1

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        """Count by state and handler."""
        self.counts[f"handler {fact.machine_name} {short(fact.state)} {fact.handler}"] += 1

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        """Count by state."""
        self.counts[f"retry {fact.machine_name} {short(fact.state)}"] += 1

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """Count by state."""
        self.counts[f"timeout {fact.machine_name} {short(fact.state)}"] += 1

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Count by state."""
        self.counts[f"error {fact.machine_name} {short(fact.state)}"] += 1

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """Count."""
        self.counts[f"taken {fact.machine_name}"] += 1

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        """Count by reason."""
        self.counts[f"dropped {fact.machine_name} {fact.reason}"] += 1


def short(state: str) -> str:
    """Return the state's name below its module."""
    return state.rpartition(".")[2]


LEDGER = Ledger()


async def parcels(rate: float, seed: int) -> None:
    """Send parcels on their way, *rate* a second, for ever."""
    chance = random.Random(seed)

    async def one(number: int) -> None:
        common = random.Random(chance.random())
        hooks = [LEDGER, Broken()]
        async with StateMachine(
            Loading, error_state=Returned, name="Parcel", machine_id=f"parcel-{number}", common_data=common, hooks=hooks
        ) as fsm:
            await fsm.serve()

    async with asyncio.TaskGroup() as machines:
        for number in itertools.count(1):
            machines.create_task(one(number))
            await asyncio.sleep(1 / rate)


async def gate() -> None:
    """Open and close the gate every half second; in times of trouble nobody comes."""
    async with StateMachine(Open, name="Gate", hooks=[LEDGER]) as fsm, served(fsm):
        for word in itertools.cycle(["close", "open"]):
            await asyncio.sleep(0.5)
            if not Trouble.now:
                fsm.send_message(word)


async def desk() -> None:
    """Ask the desk ten questions a second; it has room for eight."""
    async with (
        StateMachine(Answering, name="Desk", max_queue_size=8, queue_overflow_policy="drop_newest", hooks=[LEDGER]) as fsm,
        served(fsm),
    ):
        for number in itertools.count():
            await asyncio.sleep(0.1)
            fsm.send_message(number)


async def scanner() -> None:
    """Show the scanner a parcel fifty times a second."""

    def answer(ctx, error):
        return Restart  # wait for the next one

    async with StateMachine(Reading, name="Scanner", on_error_fn=answer, hooks=[LEDGER]) as fsm, served(fsm):
        for number in itertools.count():
            await asyncio.sleep(0.02)
            fsm.send_message(number)


@contextlib.asynccontextmanager
async def served(fsm: StateMachine[Any]) -> AsyncIterator[None]:
    """Drive *fsm* while the block runs."""

    async def serve() -> None:
        await fsm.serve()

    serving = asyncio.create_task(serve())
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def pulse() -> None:
    """Keep the longest time that nothing else could run, and the most memory: telemetry must harm neither."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        late = time.monotonic() - began - 0.01
        LEDGER.counts["longest standstill, ms"] = max(LEDGER.counts["longest standstill, ms"], int(late * 1000))
        LEDGER.counts["most memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def run(seconds: float, trouble_at: float | None, rate: float, seed: int) -> None:
    """Run the depot until the time is over, or SIGTERM comes."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    work = [asyncio.create_task(coroutine) for coroutine in (parcels(rate, seed), gate(), desk(), scanner(), pulse(), told.wait())]
    if trouble_at is not None:
        loop.call_later(trouble_at, setattr, Trouble, "now", True)
    done, _ = await asyncio.wait(work, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


def main() -> int:
    """Run the depot as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--trouble-at", type=float)
    parser.add_argument("--rate", type=float, default=8.0, help="parcels a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default="depot")
    options = parser.parse_args()
    with septum.otel.setup(options.name, metrics="full"):
        asyncio.run(run(options.seconds, options.trouble_at, options.rate, options.seed))
    print(json.dumps(LEDGER.counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
