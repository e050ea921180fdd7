"""The floor: the least code that runs the shared handlers, without errors, features or checks.

A slot object that is machine and context at once, states that remember one edge, labels compared by identity. Its calls take the
arguments that Septum's take and ignore them: binding an argument is a cost of the interface, not of what is behind it.
"""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import Any

from tests.bench import handlers
from tests.bench.metrics import Bench, Family, machine_bench


class FloorState:
    """One state: its handler and its only edge."""

    __slots__ = ("label", "on_state", "target")

    def __init__(self, on_state: Any) -> None:
        self.on_state = on_state
        self.label: Any = handlers.Events.GO
        self.target = self


class FloorMachine:
    """The least machine; handlers get it as their context."""

    __slots__ = ("common", "msg", "queue", "state")

    queue: Any

    def __init__(
        self,
        initial_state: FloorState,
        max_queue_size: int = 1000,
        queue_overflow_policy: str = "block",
        error_state: Any = None,
        filter_fn: Any = None,
        trap_fn: Any = None,
        on_error_fn: Any = None,
        common_data: Any = None,
        *,
        hooks: Any = (),
        clock: Any = None,
        name: Any = None,
        machine_id: Any = None,
        strict: bool = False,
    ) -> None:
        self.state = initial_state
        self.common = common_data
        self.queue = ()

    async def initialize(self) -> None:
        """Enter the initial state, which has no on_enter."""
        self.msg = None

    def send_message(self, message: Any, *, headers: Any = None) -> None:
        """Queue *message*; the first one makes the queue, so that a machine without messages has none."""
        try:
            self.queue.append(message)
        except AttributeError:
            self.queue = deque((message,))

    async def tick(self, timeout: float = 0) -> None:
        """Call the state once, and once more with the oldest message if it waits."""
        state = self.state
        if await state.on_state(self) is state.label:
            self.state = state.target
        elif queue := self.queue:
            self.msg = queue.popleft()
            if await state.on_state(self) is state.label:
                self.state = state.target
            self.msg = None

    async def run(self, max_iterations: int | None = None, timeout: float = 1) -> None:
        """Tick without the frame of a tick, until a state waits in vain."""
        for _ in repeat(None) if max_iterations is None else range(max_iterations):
            state = self.state
            if await state.on_state(self) is state.label:
                self.state = state.target
            elif queue := self.queue:
                self.msg = queue.popleft()
                if await state.on_state(self) is state.label:
                    self.state = state.target
                self.msg = None
            else:
                return


def pair(first: Any, second: Any) -> FloorState:
    """Make two states that lead to each other; the first is returned."""
    one, two = FloorState(first), FloorState(second)
    one.target, two.target = two, one
    return one


def bench(variant: str = "") -> Bench:
    """Return what is measured of the floor, which has no variants."""
    del variant
    return machine_bench(
        Family(
            machine=FloorMachine,
            ticking=pair(handlers.ping, handlers.pong),
            counting=pair(handlers.count_ping, handlers.count_pong),
            receiving=pair(handlers.receive_ping, handlers.receive_pong),
            run=FloorMachine.run,
            drain=FloorMachine.run,
        )
    )
