"""Automat: a machine class built with `TypeMachineBuilder`, whose inputs are plain methods; it has no coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from automat import TypeMachineBuilder

from tests.bench.peers import Counter, sync_bench

if TYPE_CHECKING:
    from tests.bench.metrics import Bench


class Inputs(Protocol):
    """What can happen to the machine."""

    def go(self) -> None:
        """Take the next transition."""

    def take(self, payload: object) -> None:
        """Take it with a payload."""


def _build() -> Any:
    builder = TypeMachineBuilder(Inputs, Counter)
    one, two = builder.state("one"), builder.state("two")
    for source, target in ((one, two), (two, one)):
        source.upon(Inputs.go).to(target).returns(None)

        def handle(inputs: Inputs, core: Counter, payload: object) -> None:
            core.count += 1

        source.upon(Inputs.take).to(target)(handle)
    return builder.build()


def bench(variant: str = "") -> Bench:
    """Return what is measured of Automat."""
    del variant
    return sync_bench(_build(), fire=lambda machine: machine.go, send=lambda machine: machine.take)
