"""A machine whose handler does what a test says, and a chain of structlog that keeps its events."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import structlog

from septum import Hooks, LabeledTransition, Retry, RetryPolicy, StateConfiguration, StateMachine, septum
from tests.scenes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from structlog.typing import EventDict, WrappedLogger


class Go(Enum):
    ON = auto()
    OUT = auto()


@septum.state(config=StateConfiguration(can_dwell=True, retry=RetryPolicy(base=30.0)), name="till.Waiting")
def Waiting() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is None:
            return None
        answer = ctx.common(ctx)
        return await answer if asyncio.iscoroutine(answer) else answer

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Waiting), LabeledTransition(Go.OUT, None), Retry]


class Chain:
    """A chain of structlog that ends here; `events` are what came through it."""

    def __init__(self, *processors: Any, level: int = 0, **config: Any) -> None:
        self.events: list[EventDict] = []
        structlog.configure([*processors, self._keep], wrapper_class=structlog.make_filtering_bound_logger(level), **config)

    def _keep(self, _: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        self.events.append({"method": method, **event_dict})
        raise structlog.DropEvent


def machine(do: Callable[[Any], object], *hooks: Hooks, **arguments: Any) -> StateMachine[Any]:
    return StateMachine(Waiting, name="order", machine_id="7", common_data=do, hooks=hooks, **arguments)


def handle(do: Callable[[Any], object], *hooks: Hooks) -> None:
    """Let a machine's handler do that, in its first visit."""

    async def scene() -> None:
        async with machine(do, *hooks) as fsm:
            fsm.send_message("work")
            await fsm.tick()

    run(scene())


def without_run(attributes: Mapping[str, object]) -> dict[str, object]:
    """Return *attributes* with the run's id, which is another each time, shown to be one by its length."""
    return {name: len(str(value)) if name == "septum.run.id" else value for name, value in attributes.items()}


PLACE = {
    "septum.machine.name": "order",
    "septum.machine.id": "7",
    "septum.run.id": 36,
    "septum.state.name": "Waiting",
    "septum.visit.number": 1,
}


def in_fresh_python(code: str) -> str:
    """Run *code* in a new interpreter and return what it printed."""
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True).stdout.strip()
