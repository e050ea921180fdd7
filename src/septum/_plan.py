"""The arguments of a machine that are alike for many machines: checked once, kept in a form that the engine reads quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from septum import _hooks, logs
from septum._clock import LOOP_CLOCK
from septum._graph import Graph
from septum._mode import ENTER, FRESH, TRAPPED
from septum._queue import POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from septum._clock import Clock
    from septum._queue import OverflowPolicy
    from septum._transitions import Target


_DEFAULTS: Final = (1000, "block", None, None, None, None, None, False)


class Plan:
    """One definition with one set of options; a graph keeps the last one made for it, which usually serves all machines.

    Attributes:
        options: What the constructor was given, in the order of `find_plan`.
        mode: What a machine's mode is before it starts.
        expects: Some state has an `expect`.
        quick_start: Entering the initial state calls nobody and sets no deadline.
        room: As `Mailbox.room`.
        now: The clock's.
    """

    __slots__ = (
        "clock", "error", "expects", "filter", "graph", "initial", "limit", "mode", "name", "now", "on_error", "options", "policy",
        "quick_start", "trap",
    )  # fmt: skip

    def __init__(self, graph: Graph, options: tuple[Any, ...]) -> None:
        limit, policy, filter_fn, trap_fn, on_error_fn, clock, name, _ = options
        self.options = options
        self.graph = graph
        self.initial = graph.initial
        self.error = graph.error
        self.limit: int = limit
        self.policy: OverflowPolicy = policy
        self.filter: Callable[..., Any] | None = filter_fn
        self.trap: Callable[..., Any] | None = trap_fn
        self.on_error: Callable[..., Any] | None = on_error_fn
        self.clock: Clock = LOOP_CLOCK if clock is None else clock
        self.now: Callable[[], float] = self.clock.now
        self.name: str = name or graph.initial.qualname
        self.mode = FRESH | ENTER | (0 if trap_fn is None else TRAPPED)
        self.expects = any(node.expect is not None for node in graph.nodes)
        self.quick_start = self.initial.on_enter is None and self.initial.timeout is None and not self.expects


def find_plan(
    initial: Target,
    error_state: Target | None = None,
    limit: int = 1000,
    policy: str = "block",
    filter_fn: Callable[..., Any] | None = None,
    trap_fn: Callable[..., Any] | None = None,
    on_error_fn: Callable[..., Any] | None = None,
    clock: Clock | None = None,
    name: str | None = None,
    strict: bool = False,  # noqa: FBT001, FBT002 - the constructor's arguments in their order
) -> Plan:
    """Return the plan for a machine's arguments, checked: the last one made for its graph, or a new one.

    Raises:
        DefinitionError: A finding is an error, or a warning under *strict*.
        ValueError: An unknown policy, or a limit that is no number.
    """
    graph = Graph.of(initial, error_state)
    options = (limit, policy, filter_fn, trap_fn, on_error_fn, clock, name, strict)
    known = cast("Plan | None", graph.plan)
    if known is not None and known.options == options:
        _offer(known, error_state)
        return known
    if policy not in POLICIES:
        raise ValueError(f"queue_overflow_policy must be one of {', '.join(map(repr, POLICIES))}, not {policy!r}")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ValueError(f"max_queue_size must be an int of at least 1, or 0 for no limit, not {limit!r}")
    if known is None or (strict and not known.options[-1]):
        from septum._report import require_sound  # noqa: PLC0415 - so that importing septum does not wait for it

        logs.log_findings(require_sound(graph, strict=strict))
    graph.plan = plan = Plan(graph, options)
    _offer(plan, error_state)
    return plan


def _offer(plan: Plan, error_state: Target | None) -> None:
    """Let the next machines of the definition take *plan* without asking, if that is right for machines without options.

    While hooks are installed every machine has to take them in, and none is made the quick way.
    """
    if plan.options == _DEFAULTS and error_state is None and not _hooks.installed:
        plan.initial.spec.remember_plan(plan)
