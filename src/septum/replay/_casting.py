"""Who plays: the machine for a replay, made of a definition and the options that the recorded one had."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from septum import StateMachine, StateSpec, semconv
from septum._graph import Graph
from septum._mode import FRESH
from septum._transitions import StateRef
from septum.logs import LOGGER
from septum.replay._actor import Actor
from septum.replay._divergence import ReplayError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from septum._hooks import Hooks
    from septum._queue import OverflowPolicy
    from septum.replay._payloads import Payloads
    from septum.replay._record import Record
    from septum.replay._redaction import Redaction
    from septum.replay._virtual import VirtualClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a machine is made of for a replay; `execute` says what its parts are."""

    target: Any
    error_state: Any = None
    common: Callable[[], Any] | None = None
    max_queue_size: int = 1000
    queue_overflow_policy: OverflowPolicy = "block"
    filter_fn: Callable[..., Any] | None = None
    trap_fn: Callable[..., Any] | None = None
    on_error_fn: Callable[..., Any] | None = None
    decode: Callable[[str, Any], Any] | None = None
    allowed: tuple[type[Any], ...] = ()
    redacted: Literal["refuse", "use"] = "refuse"
    redaction: Redaction | None = None
    patience: float = 2.0


class _Template(StateMachine[Any]):
    """Gives access to what a machine was constructed with."""

    __slots__ = ()

    @classmethod
    def options(cls, machine: StateMachine[Any]) -> dict[str, Any]:
        """Return what *machine* was constructed with."""
        if not machine._mode & FRESH:  # noqa: SLF001 - of its own kind
            raise ReplayError(f"{machine!r} was started already. Give a machine that was not, or a function that makes one.")
        plan = machine._plan  # noqa: SLF001 - as above
        return {
            "initial_state": plan.initial.spec,
            "error_state": None if plan.error is None else plan.error.spec,
            "max_queue_size": plan.limit if plan.limit < 1 << 62 else 0,
            "queue_overflow_policy": plan.policy,
            "filter_fn": plan.filter,
            "trap_fn": plan.trap,
            "on_error_fn": plan.on_error,
            "common_data": machine.common,
        }


def options_of(setting: Setting) -> dict[str, Any]:
    """Return the arguments for a machine; `common_data` only where it is given.

    Raises:
        ReplayError: The target is no state and gives no machine to begin with.
    """
    target = setting.target
    if not isinstance(target, StateSpec | StateRef | str | StateMachine) and callable(target):
        target = target()
        if not isinstance(target, StateMachine | StateSpec):
            raise ReplayError(f"{setting.target!r} returned {target!r}; it must return a septum.StateMachine that was not started.")
    if isinstance(target, StateMachine):
        template: Any = target  # pyright: ignore[reportUnknownVariableType] - of what, nobody knows
        options = _Template.options(template)
        if options["common_data"] == {}:
            del options["common_data"]
    elif isinstance(target, StateSpec | StateRef | str):
        options = {
            "initial_state": target,
            "error_state": setting.error_state,
            "max_queue_size": setting.max_queue_size,
            "queue_overflow_policy": setting.queue_overflow_policy,
            "filter_fn": setting.filter_fn,
            "trap_fn": setting.trap_fn,
            "on_error_fn": setting.on_error_fn,
        }
    else:
        raise ReplayError(f"{target!r} is no state, no machine and no function that makes one.")
    if setting.common is not None:
        options["common_data"] = setting.common()
    return options


def make_actor(first: Record, options: dict[str, Any], clock: VirtualClock, hooks: tuple[Hooks, ...]) -> Actor:
    """Return a machine for the run whose first record is *first*; nothing of it is noted for machines made later, and nothing logged."""
    here = threading.get_ident()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != here

    LOGGER.addFilter(is_of_others)
    try:
        graph = Graph.of(options["initial_state"], options.get("error_state"))
        plan = graph.plan
        try:
            return Actor(**options, clock=clock, name=first.machine_name or None, machine_id=first.machine_id or None, hooks=hooks)
        finally:
            # What is checked and told of a definition belongs to the first machine that really runs.
            graph.plan = plan
    finally:
        LOGGER.removeFilter(is_of_others)


def give_common(first: Record, actor: Actor, payloads: Payloads, *, given: bool) -> bool:
    """Give *actor* the `common` that was recorded, unless it has one already; says whether it is the recorded one.

    Raises:
        Unreadable: It was recorded, but not so that it can be made again.
    """
    recorded = semconv.RECORDING_ENCODING in first.attributes
    if not given and recorded:
        actor.common = payloads.read(first)
        return True
    return given and recorded and payloads.is_same(first, actor.common)
