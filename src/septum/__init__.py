"""State machines for asyncio services that must be seen in production.

A state is a few decorated functions; a `StateMachine` walks from state to state, waits for messages, times out, retries, pushes and pops.
`septum.septum` is this package itself, so that `from septum import septum` and `import septum` read the same.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import septum as septum
from septum import facts, hooks, logs
from septum._body import Stats
from septum._clock import Clock, LoopClock
from septum._context import SharedContext
from septum._declare import events, on_enter, on_fail, on_leave, on_state, on_timeout, root, state, transitions
from septum._detached import detached
from septum._errors import (
    AlreadyRunning,
    BadSnapshot,
    BlockedInUntimedState,
    CodecError,
    DefinitionChanged,
    DefinitionError,
    DrawingError,
    DuplicateState,
    GraphvizMissing,
    MachineError,
    MailboxFull,
    NoStateToTick,
    NotAcquired,
    NotCopyable,
    NotKept,
    PoolError,
    PopFromEmptyStack,
    RetriesExhausted,
    SeptumError,
    SnapshotError,
    StateMachineComplete,
    StepNotOver,
    UnhandledTimeout,
    UnknownState,
    UnknownTransition,
    WrongThread,
)
from septum._findings import Finding
from septum._fleet import FSMPool
from septum._graph import Graph
from septum._hooks import Hooks
from septum._machine import RunResult, StateMachine
from septum._migrations import migrate
from septum._snapshot import Snapshot
from septum._states import RetryPolicy, StateConfiguration, StateSpec, get_all_states, get_state, register_state
from septum._transitions import Again, LabeledTransition, Pop, Push, Repeat, Restart, Retry, StateRef, Unhandled

if TYPE_CHECKING:
    from septum._report import Report, check

ValidationError = DefinitionError
"""The old name of `DefinitionError`."""

__all__ = [
    "Again",
    "AlreadyRunning",
    "BadSnapshot",
    "BlockedInUntimedState",
    "Clock",
    "CodecError",
    "DefinitionChanged",
    "DefinitionError",
    "DrawingError",
    "DuplicateState",
    "FSMPool",
    "Finding",
    "Graph",
    "GraphvizMissing",
    "Hooks",
    "LabeledTransition",
    "LoopClock",
    "MachineError",
    "MailboxFull",
    "NoStateToTick",
    "NotAcquired",
    "NotCopyable",
    "NotKept",
    "PoolError",
    "Pop",
    "PopFromEmptyStack",
    "Push",
    "Repeat",
    "Report",
    "Restart",
    "RetriesExhausted",
    "Retry",
    "RetryPolicy",
    "RunResult",
    "SeptumError",
    "SharedContext",
    "Snapshot",
    "SnapshotError",
    "StateConfiguration",
    "StateMachine",
    "StateMachineComplete",
    "StateRef",
    "StateSpec",
    "Stats",
    "StepNotOver",
    "Unhandled",
    "UnhandledTimeout",
    "UnknownState",
    "UnknownTransition",
    "ValidationError",
    "WrongThread",
    "check",
    "detached",
    "events",
    "facts",
    "get_all_states",
    "get_state",
    "hooks",
    "logs",
    "migrate",
    "on_enter",
    "on_fail",
    "on_leave",
    "on_state",
    "on_timeout",
    "register_state",
    "root",
    "septum",
    "state",
    "transitions",
]

# So that users read septum.PopFromEmptyStack in a traceback, and import it from where they read.
for _public in [globals().get(_name) for _name in __all__]:
    if isinstance(_public, type):
        _public.__module__ = "septum"


def __getattr__(name: str) -> Any:
    """Import the proofs when somebody asks for them, or for a machine: a program that only declares states does without."""
    if name in {"Report", "check"}:
        found = getattr(import_module("septum._report"), name)
        if isinstance(found, type):
            found.__module__ = "septum"
        return found
    raise AttributeError(f"module 'septum' has no attribute {name!r}")
