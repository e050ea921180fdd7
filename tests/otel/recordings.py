"""A workload in which everything happens that a recording has a name for, told to `OTelHooks` that record, and to a `LogsSink` alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from septum import (
    Again,
    LabeledTransition,
    MailboxFull,
    Pop,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    septum,
)
from septum.replay import LogsSink, Recorder
from septum.testing import ManualClock, settle
from tests.otel.conformance import Conformance
from tests.otel.workload import SECRET, Export

LONG = "x" * 2_000
LONGER = "x" * 70_000
LONGEST = "x" * 2_000_000


class Ask(Enum):
    """What the clerk can be asked for."""

    EFFECTS = auto()
    HANG = auto()
    LABEL = auto()
    DIRECT = auto()
    PUSH = auto()
    AGAIN = auto()
    REPEAT = auto()
    RESTART = auto()
    RETRY = auto()
    WRONG = auto()
    LOSE = auto()
    FAIL = auto()
    END = auto()


class Go(Enum):
    """Labels of the edges."""

    ON = auto()
    CHECK = auto()
    BACK = auto()
    END = auto()
    NOWHERE = auto()


async def refuse(secret: str) -> None:
    """Raise what quotes its argument."""
    raise ConnectionError(f"password={secret}")


@septum.state(config=StateConfiguration(can_dwell=True, timeout=100.0, retries=2, retry=RetryPolicy(base=1.0)))
def Clerk() -> None:
    @septum.on_state
    async def on_state(ctx):
        match ctx.msg:
            case Ask.EFFECTS:
                ctx.now()
                ctx.random.random()
                ctx.random.randrange(3)
                ctx.uuid()
                await ctx.call("add", lambda a, b: a + b, 1, 2)
                await ctx.call("fetch", lambda: LONG * 50)
                with suppress(ConnectionError):
                    await ctx.call("refuse", refuse, SECRET)
            case Ask.HANG:
                await asyncio.Event().wait()
            case Ask.LOSE:
                raise LookupError(f"password={SECRET}")
            case Ask.FAIL:
                raise ConnectionError
            case asked:
                return ANSWERS.get(asked) if isinstance(asked, Ask) else None

    @septum.on_timeout
    async def on_timeout(ctx):
        return Go.ON

    @septum.transitions
    def transitions():
        return [
            LabeledTransition(Go.ON, Back),
            LabeledTransition(Go.CHECK, Push(Helper, Clerk)),
            LabeledTransition(Go.END, None),
            Back,
            Push(Helper, Clerk),
            Retry,
            Repeat,
            Restart,
            Again,
        ]


@septum.state
def Back() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Go.BACK

    @septum.on_leave
    async def on_leave(ctx):
        pass

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.BACK, Clerk)]


@septum.state(config=StateConfiguration(can_dwell=True))
def Helper() -> None:
    @septum.on_enter
    async def on_enter(ctx):
        pass

    @septum.on_state
    async def on_state(ctx):
        return None if ctx.msg is None else Pop

    @septum.transitions
    def transitions():
        return [Pop]


@septum.state(config=StateConfiguration(terminal=True))
def Lost() -> None:
    @septum.on_state
    async def on_state(ctx):
        pass


@septum.state
def Ping() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Pong)]


@septum.state
def Pong() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Go.BACK

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.BACK, Ping)]


ANSWERS: dict[Any, Any] = {
    Ask.LABEL: Go.ON,
    Ask.DIRECT: Back,
    Ask.PUSH: Go.CHECK,
    Ask.AGAIN: Again,
    Ask.REPEAT: Repeat,
    Ask.RESTART: Restart,
    Ask.RETRY: Retry,
    Ask.WRONG: Go.NOWHERE,
    Ask.END: Go.END,
}


def _forgive(ctx: Any, error: BaseException) -> Any:
    return Retry if isinstance(error, ConnectionError) else None


async def _play(export: Export) -> None:
    clock = ManualClock()

    def machine(state: Any, **arguments: Any) -> StateMachine[Any]:
        given = {"hooks": (export.hooks,), "common_data": {"password": SECRET}, **arguments}
        return StateMachine(state, clock=clock, **given)

    async def tell(fsm: StateMachine[Any], *messages: object, within: float = 0.0) -> None:
        for message in messages:
            fsm.send_message(message)
            await settle()
            await clock.run_for(within)

    fsm = machine(Clerk, on_error_fn=_forgive)
    fsm.send_message({"password": SECRET})
    serving = asyncio.create_task(fsm.serve())
    await settle()
    await tell(fsm, {"password": SECRET}, Ask.EFFECTS, Ask.AGAIN, Ask.REPEAT, Ask.RESTART, LONG, LONGER)
    await tell(fsm, Ask.PUSH)
    fsm.snapshot("deploy")
    await tell(fsm, "pop", Ask.LABEL, Ask.DIRECT)
    await tell(fsm, Ask.FAIL, Ask.RETRY, within=8.0)
    await tell(fsm, lambda: None, Ask.HANG, within=101.0)
    # What is too long to be looked into makes every later text suspect.
    await tell(fsm, LONGEST, Ask.EFFECTS, ConnectionError("the text of this"), within=5.0)
    await tell(fsm, Ask.END)
    await serving

    fsm = machine(Clerk, error_state=Lost, common_data={"long": LONGER})
    fsm.send_message(LONGER)
    serving = asyncio.create_task(fsm.serve())
    await settle()
    await tell(fsm, Ask.LOSE)
    await serving

    for bad in (Ask.LOSE, Ask.WRONG):
        fsm = machine(Clerk)
        await fsm.tick()
        fsm.send_message(bad)
        with suppress(LookupError, ValueError):
            await fsm.serve()

    for policy in ("fail", "drop_newest", "drop_oldest"):
        fsm = machine(Clerk, max_queue_size=1, queue_overflow_policy=policy, filter_fn=lambda ctx, message: message == "filtered")
        await fsm.tick()
        for message in ("filtered", "first", "second"):
            with suppress(MailboxFull):
                fsm.send_message(message)
        await fsm.reset()
        await fsm.close()

    # Seen for the first time in the middle of a run, with a stack and a retry count.
    fsm = machine(Clerk, hooks=())
    await fsm.tick()
    for asked in (Ask.RETRY, Ask.PUSH):
        fsm.send_message(asked)
        await fsm.tick()
        clock.advance(2.0)
        await fsm.tick()
    fsm.attach(export.hooks)
    serving = asyncio.create_task(fsm.serve())
    await settle()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving

    # Written down after a retry and before its timeout, and seen anew there; its data are too long.
    fsm = machine(Clerk, common_data={"long": LONGER})
    await fsm.tick()
    fsm.send_message(Ask.RETRY)
    await fsm.tick()
    clock.advance(2.0)
    await fsm.tick()
    fsm.snapshot("retried")
    fsm.detach(export.hooks)
    fsm.attach(export.hooks)
    await fsm.close()

    # Steps are told together only where nobody wants to know of each.
    with Recorder(LogsSink(export.loggers)) as recorder:
        await machine(Ping, hooks=(recorder,)).run(max_iterations=10)


def play_recordings(conformance: Conformance) -> None:
    """Play the workload at each level of recording, and show *conformance* everything that is exported."""
    for level in ("metadata", "inline", "full"):

        async def main(level: str = level) -> None:
            export = Export(record=level, metrics="off")
            await _play(export)
            export.close(conformance)

        asyncio.run(main())
