"""transitions: a model of its own for every machine, all in one `Machine`, which is the cheapest way that it documents."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from transitions import Machine
from transitions.extensions.asyncio import AsyncMachine

from tests.bench.peers import Counter, async_bench, sync_bench

if TYPE_CHECKING:
    from tests.bench.metrics import Bench

_EDGES = [
    {"trigger": "go", "source": "one", "dest": "two", "after": "handle"},
    {"trigger": "go", "source": "two", "dest": "one", "after": "handle"},
    {"trigger": "take", "source": "one", "dest": "two", "after": "receive"},
    {"trigger": "take", "source": "two", "dest": "one", "after": "receive"},
]


class Model:
    """What goes through the states."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def handle(self) -> None:
        """Do nothing."""

    def receive(self, _payload: object) -> None:
        """Count a payload."""
        self.counter.count += 1


class AsyncModel(Model):
    """The same with coroutines."""

    async def handle(self) -> None:  # type: ignore[override]
        """Do nothing."""

    async def receive(self, _payload: object) -> None:  # type: ignore[override]
        """Count a payload."""
        self.counter.count += 1


def bench(variant: str = "") -> Bench:
    """Return what is measured of transitions: `Machine`, or `AsyncMachine` for "async"."""
    if variant == "async":
        everyone = AsyncMachine(model=None, states=["one", "two"], transitions=_EDGES, initial="one")

        async def make_async(counter: Counter) -> Any:
            return _join(everyone, AsyncModel(counter))

        return async_bench(make_async, fire=lambda model: model.go, send=lambda model: model.take)
    return sync_bench(
        partial(_make, Machine(model=None, states=["one", "two"], transitions=_EDGES, initial="one")),
        fire=lambda model: model.go,
        send=lambda model: model.take,
    )


def _make(everyone: Machine, counter: Counter) -> Any:
    return _join(everyone, Model(counter))


def _join(everyone: Machine, model: Model) -> Any:
    everyone.add_model(model)
    # The machine need not keep it: a list of a million finished models would be measured otherwise.
    everyone.models.clear()
    return model
