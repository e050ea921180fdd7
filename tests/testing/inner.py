"""Running pytest inside pytest: in this process where that will do, in another for pytest-xdist."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final

import pytest

PLUGIN: Final = [] if entry_points(group="pytest11", name="septum") else ["-p", "_septum_pytest"]
"""Loads the plugin where the installed Septum does not do so by itself."""

OPTIONS: Final = ["-p", "no:cacheprovider", "-W", "error", *PLUGIN]

SHOP: Final = """
from enum import Enum, auto
from septum import LabeledTransition, StateConfiguration, septum


class Words(Enum):
    START = auto()
    GOT = auto()
    SLOW = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Idle():
    @septum.on_state
    async def on_state(ctx):
        return ctx.msg

    @septum.transitions
    def transitions():
        return [LabeledTransition(Words.START, Fetching)]


@septum.state(config=StateConfiguration(timeout=5.0))
def Fetching():
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg == "boom":
            raise LookupError("gone")
        return ctx.msg

    @septum.on_timeout
    async def on_timeout(ctx):
        return Words.SLOW

    @septum.transitions
    def transitions():
        return [LabeledTransition(Words.GOT, Done), LabeledTransition(Words.SLOW, Idle)]


@septum.state(config=StateConfiguration(terminal=True))
def Done():
    @septum.on_state
    async def on_state(ctx):
        pass


@septum.state(config=StateConfiguration(terminal=True))
def Failed():
    @septum.on_state
    async def on_state(ctx):
        pass
"""

HEAD: Final = """
import asyncio
from septum import Hooks, StateMachine, StateMachineComplete, logs
from septum.testing import settle
from kiosk import Done, Failed, Fetching, Idle, Words


async def walk(machine, *messages):
    async with machine as fsm:
        for message in messages:
            fsm.send_message(message)
            try:
                await fsm.tick()
            except StateMachineComplete:
                pass
"""


def write(pytester: pytest.Pytester, **tests: str) -> None:
    """Put the kiosk and the files *tests* into the folder of the inner run."""
    pytester.makepyfile(kiosk=SHOP, **{name: HEAD + text for name, text in tests.items()})
    pytester.makeini("[pytest]\npythonpath = .\n")


def run_inside(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in this process, and forget the module of the kiosk, which the next run has its own of."""
    pytester.syspathinsert()
    return pytester.runpytest_inprocess(*OPTIONS, *arguments)


def run_outside(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own."""
    return pytester.runpytest_subprocess(*OPTIONS, *arguments)
