"""Septum, running the shared handlers in states of the function form."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import septum
from septum import core
from tests.bench.metrics import Bench, Family, machine_bench
from tests.bench.programs import Program, forget_states, pad_states

if TYPE_CHECKING:
    from collections.abc import Callable

_kept: list[Any] = []


class OverridesNothing(septum.Hooks):
    """Overrides nothing, so it is never called."""


class WatchesTransitions(septum.Hooks):
    """Overrides one method, which does nothing with what it is told."""

    def transition_taken(self, fact: septum.facts.TransitionTaken, /) -> None:
        """Be told."""


def bench(variant: str = "") -> Bench:
    """Return what is measured of Septum.

    Args:
        variant: "states" has 1,000 states registered instead of 10, "forgotten" 10 in a process that holds 990 more which are not;
            "hook-nothing" and "hook-transitions" attach a hook to every machine; "unhooked" insists on the engine that `unhooked.py` made.
    """
    stripped = Path(os.environ.get("SEPTUM_UNHOOKED", os.devnull)) in Path(septum.__file__).parents
    if stripped is not (variant == "unhooked"):
        sys.exit(f"the wrong engine was imported for {variant or 'septum itself'}: {septum.__file__}")
    if variant == "forgotten":
        _kept.extend(forget_states(core, 990))
    program = Program(core)
    pad_states(core, 1000 if variant == "states" else 10)
    machine: Callable[..., Any] = core.StateMachine
    if variant == "hook-nothing":
        machine = partial(core.StateMachine, hooks=(OverridesNothing(),))
    elif variant == "hook-transitions":
        machine = partial(core.StateMachine, hooks=(WatchesTransitions(),))
    return machine_bench(
        Family(
            machine=machine,
            ticking=program.ticking,
            counting=program.counting,
            receiving=program.receiving,
            timed=program.timed,
            run=lambda fsm, count: fsm.run(max_iterations=count),
            drain=lambda fsm: fsm.run(timeout=0),
        )
    )
