"""What a state is, once it is declared, and the registry of their names.

A `StateSpec` is equal to another of its name, and to the name itself. It remembers the graphs that begin with it in `graph_cache`:
always valid, because whatever could change one calls `forget_graphs`.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from septum._errors import duplicate_state, not_a_state, unknown_state
from septum._transitions import LabeledTransition, StateRef, StateTransition, TransitionType

if TYPE_CHECKING:
    from types import CodeType

    from septum._graph import Graph

Handler = Callable[[Any], Any]
"""A handler: called with the context, sync or async."""

_remembering: list[StateSpec] = []


def remember_graph(initial: StateSpec, error: StateSpec | None, graph: Graph) -> None:
    """Keep *graph* as the one of a machine that begins at *initial* and has *error* as its error state."""
    if not initial.graph_cache:
        _remembering.append(initial)
    initial.graph_cache[error] = graph


def forget_graphs() -> None:
    """Have every graph built again when the next machine is constructed; running machines keep theirs."""
    for state in _remembering:
        state.graph_cache.clear()
        object.__setattr__(state, "plan", None)
    _remembering.clear()


def forget_plans() -> None:
    """Have the engine think again about the next machine of every definition, because something changed for all machines."""
    for state in _remembering:
        object.__setattr__(state, "plan", None)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before each retry: `base * factor ** (k - 1)` seconds before the k-th, never more than `max_delay`.

    Attributes:
        max: How many retries are allowed where the state's `retries` is None; None for no limit.
        base: Seconds before the first retry.
        factor: By what each delay is longer than the one before.
        max_delay: Seconds; no delay is longer, save for the jitter.
        jitter: Share of the delay, 0 to 1, by which it varies at random either way.
    """

    max: int | None = None
    base: float = 0.1
    factor: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class StateConfiguration:
    """The limits of a state; they are checked when a machine is constructed.

    Attributes:
        timeout: Seconds from entering the state until `on_timeout` decides; None for no deadline.
        retries: How many `Retry` are allowed before `on_fail` decides; None leaves it to `retry`.
        terminal: The machine ends after this state's handler ran.
        can_dwell: The state may wait for a message without a deadline.
        retry: The delays between retries; None retries at once.
        expect: Seconds after which a visit counts as overdue, which hooks are told; changes nothing else.
    """

    timeout: float | None = None
    retries: int | None = None
    terminal: bool = False
    can_dwell: bool = False
    retry: RetryPolicy | None = field(default=None, kw_only=True)
    expect: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a state was declared; what tells a second declaration of one state from another state of its name.

    Attributes:
        module: The module's own name, also where the state's is another (`__main__`).
        file: The source file, or an empty string.
        line: The first line of its `on_state`; 0 if that is unknown.
        scope: The code that declared it: a module's or a function's.
        body: The class, in the class form.
    """

    module: str = ""
    file: str = ""
    line: int = 0
    scope: CodeType | None = None
    body: type | None = None


_UNKNOWN_ORIGIN = Origin()


class StateSpec(StateTransition):
    """A declared state; `@septum.state` makes one.

    In the class form every other attribute is that of the class: `Idle.Events`, `Idle.LIMIT`. Setting an attribute counts for machines
    that are constructed from then on.

    Attributes:
        name: Module and qualified name, unless `name=` was given; where the module is `__main__`, its file's name stands for it.
        Events: The class of its labels. None in the function form without `@septum.events`.
        definition_version: The version of the definition that begins here, for snapshots; None for none.
        graph_cache: The graphs that begin here, by error state; see `septum._graph.Graph.of`.
        plan: The engine's, for a machine that begins here and has no options; None while `graph_cache` does not have its graph.
    """

    __slots__ = (
        "Events",
        "_is_root",
        "_recheck",
        "config",
        "definition_version",
        "graph_cache",
        "group_name",
        "module",
        "name",
        "on_enter",
        "on_fail",
        "on_leave",
        "on_state",
        "on_timeout",
        "origin",
        "parent_state",
        "plan",
        "qualname",
        "repeated",
        "transitions",
    )

    name: str
    on_state: Handler | None
    on_enter: Handler | None
    on_leave: Handler | None
    on_timeout: Handler | None
    on_fail: Handler | None
    Events: Any

    def __init__(
        self,
        AWAITS: bool = False,  # noqa: FBT001, FBT002, N803 - the old name
        name: str = "",
        qualname: str = "",
        module: str = "",
        config: StateConfiguration = StateConfiguration(),
        on_state: Handler | None = None,
        on_enter: Handler | None = None,
        on_leave: Handler | None = None,
        on_timeout: Handler | None = None,
        on_fail: Handler | None = None,
        transitions: Callable[[], object] | None = None,
        Events: Any = None,  # noqa: N803 - the old name
        group_name: str = "",
        parent_state: StateSpec | None = None,
        _is_root: bool = False,  # noqa: FBT001, FBT002 - the old signature
        *,
        origin: Origin = _UNKNOWN_ORIGIN,
        _recheck: Callable[[], None] | None = None,
        repeated: tuple[str, ...] = (),
        definition_version: str | None = None,
    ) -> None:
        super().__init__(AWAITS)
        self.name = name  # pyright: ignore[reportIncompatibleMethodOverride] - a slot takes the place of the property
        self.qualname = qualname
        self.module = module
        self.config = config
        self.on_state = on_state
        self.on_enter = on_enter
        self.on_leave = on_leave
        self.on_timeout = on_timeout
        self.on_fail = on_fail
        self.transitions = transitions
        self.Events = Events
        self.group_name = group_name
        self.parent_state = parent_state
        self._is_root = _is_root
        self.origin = origin
        self._recheck = _recheck
        self.repeated = repeated
        self.definition_version = definition_version
        self.graph_cache: dict[StateSpec | None, Graph] = {}
        self.plan: Any = None

    def remember_plan(self, plan: object) -> None:
        """Keep *plan* until a state is declared or changed."""
        object.__setattr__(self, "plan", plan)

    @property
    def base_name(self) -> str:
        """The last part of the qualified name: `"Idle"`."""
        return self.qualname.rpartition(".")[2]

    @property
    def CONFIG(self) -> StateConfiguration:  # noqa: N802 - the old name
        """The same as `config`."""
        return self.config

    def get_transitions(self) -> list[LabeledTransition | TransitionType]:
        """Return what the transitions function lists, as it says it; an empty list without one.

        A machine reads its `Graph` instead, in which references are resolved and everything is checked.
        """
        listed: Any = () if self.transitions is None else self.transitions()
        if listed is None:
            return []
        return list(cast("list[Any]", listed)) if isinstance(listed, list | tuple) else [listed]

    def check_names(self) -> None:
        """Make sure that the bare names in a class form's handlers still mean the class's own.

        Raises:
            DefinitionError: A module global of such a name has come since the class was decorated.
        """
        if self._recheck is not None:
            self._recheck()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        forget_graphs()

    def __getattr__(self, name: str) -> Any:
        # Only for what is no attribute of its own; a dunder is a protocol's question to the spec, not to the class.
        body = None if name.startswith("__") or name == "origin" else self.origin.body
        if body is None:
            raise AttributeError(f"state {object.__repr__(self) if name == 'origin' else self.name!r} has no attribute {name!r}")
        return getattr(body, name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StateSpec):
            return self.name == other.name
        return self.name == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<state {self.name}>"

    def __copy__(self) -> StateSpec:
        return self

    def __deepcopy__(self, memo: object) -> StateSpec:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(_follow(self.origin.module, self.qualname), StateSpec):
            raise pickle.PicklingError(
                f"state {self.name!r} cannot be pickled: importing module {self.origin.module!r} does not declare it, "
                "so another process would not find it. Declare it at module level."
            )
        return _find_pickled, (self.name, self.origin.module)


def _follow(module: str, qualname: str) -> object:
    """Return the object that importing *module* binds for *qualname*: a state, or the state in whose function it is declared."""
    found: object = sys.modules.get(module)
    for part in qualname.partition(".<locals>")[0].split("."):
        found = getattr(found, part, None)
    return found


_states: dict[str, StateSpec] = {}


def register_state(state: StateSpec) -> None:
    """Make *state* known by its name, for `StateRef` and `get_state`; `@septum.state` does so.

    Declaring a state once more (a reloaded module, a function that is called again) replaces the first.

    Raises:
        DuplicateState: Another state has that name, and keeps it.
    """
    known = _states.get(state.name)
    if known is state:
        return
    if known is not None and not _is_redeclared(known, state):
        raise duplicate_state(state.name, describe_place(known), describe_place(state))
    _states[state.name] = state
    forget_graphs()


def get_state(name: str) -> StateSpec | None:
    """Return the state of that full name, or None."""
    return _states.get(name)


def get_all_states() -> dict[str, StateSpec]:
    """Return a copy of the registry: every declared state by its name."""
    return dict(_states)


def clear_state_registry() -> None:
    """Forget every name, for test fixtures; the states themselves and their machines go on."""
    _states.clear()
    forget_graphs()


def find_state(target: object) -> StateSpec:
    """Return the state that *target* means: itself, or the one that its name or `StateRef` leads to.

    Raises:
        UnknownState: No state of that name was declared.
        DefinitionError: It is nothing that means a state.
    """
    if isinstance(target, StateSpec):
        return target
    name = target.state if isinstance(target, StateRef) else target
    if not isinstance(name, str):
        raise not_a_state(target)
    try:
        return _states[name]
    except KeyError:
        raise unknown_state(name, _states) from None


def describe_place(state: StateSpec) -> str:
    """Return where *state* was declared, for people: `"app.py:12"`, or its module."""
    origin = state.origin
    return f"{origin.file}:{origin.line}" if origin.file else f"module {state.module!r}"


def _is_redeclared(known: StateSpec, state: StateSpec) -> bool:
    old, new = known.origin, state.origin
    if known.qualname != state.qualname or (known.module != state.module and old.file != new.file):
        return False
    # A module that is loaded again has another code object, so two places in one code object are two states;
    # one place that runs twice is a factory or a loop, and the graph refuses to mix what it made.
    return new.scope is None or old.scope is not new.scope or old.line == new.line


def _find_pickled(name: str, module: str) -> StateSpec:
    """Return the state that another process pickled."""
    if name not in _states:
        importlib.import_module(module)
    return find_state(name)
