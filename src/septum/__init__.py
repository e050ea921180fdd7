"""State machines for asyncio services that must be seen in production.

A state is a few decorated functions; a `StateMachine` walks from state to state, waits for messages, times out, retries, pushes and pops.
`septum.septum` is this package itself, so that `from septum import septum` and `import septum` read the same.
"""

import septum as septum
from septum import facts, hooks, logs
from septum._body import Stats
from septum._clock import Clock, LoopClock
from septum._context import SharedContext
from septum._declare import events, on_enter, on_fail, on_leave, on_state, on_timeout, root, state, transitions
from septum._detached import detached
from septum._errors import (
    AlreadyRunning,
    BlockedInUntimedState,
    DefinitionError,
    DuplicateState,
    MachineError,
    MailboxFull,
    NoStateToTick,
    NotAcquired,
    NotCopyable,
    PoolError,
    PopFromEmptyStack,
    RetriesExhausted,
    SeptumError,
    StateMachineComplete,
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
from septum._states import RetryPolicy, StateConfiguration, StateSpec, get_all_states, get_state, register_state
from septum._transitions import Again, LabeledTransition, Pop, Push, Repeat, Restart, Retry, StateRef, Unhandled

ValidationError = DefinitionError
"""The old name of `DefinitionError`."""

__all__ = [
    "Again",
    "AlreadyRunning",
    "BlockedInUntimedState",
    "Clock",
    "DefinitionError",
    "DuplicateState",
    "FSMPool",
    "Finding",
    "Graph",
    "Hooks",
    "LabeledTransition",
    "LoopClock",
    "MachineError",
    "MailboxFull",
    "NoStateToTick",
    "NotAcquired",
    "NotCopyable",
    "PoolError",
    "Pop",
    "PopFromEmptyStack",
    "Push",
    "Repeat",
    "Restart",
    "RetriesExhausted",
    "Retry",
    "RetryPolicy",
    "RunResult",
    "SeptumError",
    "SharedContext",
    "StateConfiguration",
    "StateMachine",
    "StateMachineComplete",
    "StateRef",
    "StateSpec",
    "Stats",
    "Unhandled",
    "UnhandledTimeout",
    "UnknownState",
    "UnknownTransition",
    "ValidationError",
    "WrongThread",
    "detached",
    "events",
    "facts",
    "get_all_states",
    "get_state",
    "hooks",
    "logs",
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
for _public in [globals()[_name] for _name in __all__]:
    if isinstance(_public, type):
        _public.__module__ = "septum"
