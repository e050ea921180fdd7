"""Small machines that are recorded in virtual time, for tests that replay them."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any

from septum import LabeledTransition, StateConfiguration, StateMachine, StateSpec
from septum.replay import MemorySink, Record, Recorder, execute
from septum.replay._virtual import VirtualClock, VirtualLoop, step_through

if TYPE_CHECKING:
    from collections.abc import Callable


class E(Enum):
    """Labels that all states here use."""

    ON = 1
    BACK = 2
    LATE = 3
    OUT = 4


class Boom(Exception):
    """What handlers raise."""


class Ping:
    """A message that only JSON of its attributes knows."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ping) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)


def state(name: str, on_state: Any, edges: Callable[[], list[Any]], **parts: Any) -> StateSpec:
    """Return a state; *parts* are other handlers and the limits."""
    handlers = {key: parts.pop(key) for key in list(parts) if key.startswith("on_")}
    spec = StateSpec(name=f"plays.{name}")
    spec.qualname, spec.module, spec.Events = name, "plays", E
    spec.config = StateConfiguration(**{"can_dwell": True, **parts})
    spec.on_state = on_state
    spec.transitions = edges
    for key, handler in handlers.items():
        setattr(spec, key, handler)
    return spec


def waiting(name: str = "Last") -> StateSpec:
    """Return a state that waits for ever."""

    async def on_state(ctx: Any) -> Any:
        return None

    return state(name, on_state, list)


def two(on_state: Any, **parts: Any) -> StateSpec:
    """Return a state "First" that goes ON to a state that waits, or BACK to itself, or OUT."""
    last = waiting()
    first = state(
        "First",
        on_state,
        lambda: [LabeledTransition(label, target) for label, target in ((E.ON, last), (E.BACK, first), (E.LATE, last), (E.OUT, None))],
        **parts,
    )
    return first


def record(initial: StateSpec, drive: Any, *, recorder: dict[str, Any] | None = None, attach: bool = True, **options: Any) -> list[Record]:
    """Run a machine in virtual time, moved by *drive*, and return what was recorded.

    Args:
        initial: The initial state.
        drive: Called with the machine; with the recorder as well if that is not attached at once.
        recorder: Options of the recorder.
        attach: Whether it is there from the beginning.
        options: The machine's.
    """
    clock = VirtualClock()
    loop = VirtualLoop(clock)
    sink = MemorySink()
    recording = Recorder(sink, **{"level": "full", **(recorder or {})})

    async def main() -> None:
        machine: StateMachine[Any] = StateMachine(initial, clock=clock, hooks=[recording] if attach else [], **options)
        await (drive(machine) if attach else drive(machine, recording))

    try:
        loop.run(main(), step_through(clock))
    finally:
        loop.close()
        recording.close()
    return list(sink.records)


async def serve(machine: StateMachine[Any], *steps: tuple[float, Any], end: float = 10.0) -> None:
    """Serve *machine*, send it messages at their seconds, and stop it at *end*."""
    loop = asyncio.get_running_loop()
    for moment, message in steps:
        loop.call_later(moment, machine.send_message, message)
    loop.call_later(end, machine.stop)
    await machine.serve()


def replay(records: list[Record], target: Any, **options: Any) -> Any:
    """Execute *records* without patience."""
    return execute(records, target, **{"patience": 0.0, "allowed": [Boom, E, Ping], **options})
