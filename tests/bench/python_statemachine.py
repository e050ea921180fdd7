"""python-statemachine: its class with two states, plain or with coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statemachine import State, StateMachine

from tests.bench.peers import Counter, async_bench, sync_bench

if TYPE_CHECKING:
    from tests.bench.metrics import Bench


class Toggle(StateMachine):
    """Two states that lead to each other."""

    one = State(initial=True)
    two = State()
    go = one.to(two) | two.to(one)
    take = one.to(two) | two.to(one)

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        super().__init__()

    def on_go(self) -> None:
        """Do nothing."""

    def on_take(self, _payload: object) -> None:
        """Count a payload."""
        self.counter.count += 1


class AsyncToggle(StateMachine):
    """The same with coroutines."""

    one = State(initial=True)
    two = State()
    go = one.to(two) | two.to(one)
    take = one.to(two) | two.to(one)

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        super().__init__()

    async def on_go(self) -> None:
        """Do nothing."""

    async def on_take(self, _payload: object) -> None:
        """Count a payload."""
        self.counter.count += 1


async def _make_async(counter: Counter) -> Any:
    machine: Any = AsyncToggle(counter)
    await machine.activate_initial_state()
    return machine


def bench(variant: str = "") -> Bench:
    """Return what is measured of python-statemachine: plain, or with coroutines for "async"."""
    if variant == "async":
        return async_bench(_make_async, fire=lambda machine: machine.go, send=lambda machine: machine.take)
    return sync_bench(Toggle, fire=lambda machine: machine.go, send=lambda machine: machine.take)
