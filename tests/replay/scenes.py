"""Machines that tests of recordings use."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from septum import LabeledTransition, StateConfiguration, StateMachine, septum


class Go(Enum):
    """Labels."""

    ON = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Ping() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None if ctx.msg is None else Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Ping)]


def pinging(**arguments: Any) -> StateMachine[Any]:
    """Return a machine that goes round at every message."""
    return StateMachine(Ping, name="pinging", **arguments)
