"""A definition with all that paths and coverage know: labels, a deadline, retries, a push and its pop, an end, an error state."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from septum import (
    Again,
    LabeledTransition,
    Pop,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    septum,
)


class Words(Enum):
    """Labels."""

    START = auto()
    CHECK = auto()
    MORE = auto()
    GOT = auto()
    SLOW = auto()
    LOST = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Idle() -> None:
    @septum.on_state
    async def on_state(ctx: Any) -> object:
        return ctx.msg

    @septum.transitions
    def transitions() -> list[object]:
        return [
            LabeledTransition(Words.START, Fetching),
            LabeledTransition(Words.CHECK, Push(Checking, Idle)),
            LabeledTransition(Words.MORE, Again),
        ]

    _ = (on_state, transitions)


@septum.state(config=StateConfiguration(timeout=5.0, retries=2, retry=RetryPolicy(base=1.0)))
def Fetching() -> None:
    @septum.on_state
    async def on_state(ctx: Any) -> object:
        if ctx.msg == "boom":
            raise LookupError("nothing there")
        return ctx.msg

    @septum.on_timeout
    async def on_timeout(ctx: Any) -> object:
        return Words.SLOW

    @septum.on_fail
    async def on_fail(ctx: Any) -> object:
        return Words.LOST

    @septum.transitions
    def transitions() -> list[object]:
        return [
            LabeledTransition(Words.GOT, Done),
            LabeledTransition(Words.SLOW, Idle),
            LabeledTransition(Words.LOST, None),
            Retry,
        ]

    _ = (on_state, on_timeout, on_fail, transitions)


@septum.state(config=StateConfiguration(can_dwell=True))
def Checking() -> None:
    @septum.on_state
    async def on_state(ctx: Any) -> object:
        return ctx.msg

    @septum.transitions
    def transitions() -> list[object]:
        return [Pop, Repeat, Restart]

    _ = (on_state, transitions)


@septum.state(config=StateConfiguration(terminal=True))
def Done() -> None:
    @septum.on_state
    async def on_state(ctx: Any) -> None: ...

    _ = on_state


@septum.state(config=StateConfiguration(terminal=True))
def Failed() -> None:
    @septum.on_state
    async def on_state(ctx: Any) -> None: ...

    _ = on_state
