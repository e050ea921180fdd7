"""The address that `mycorrhizal.septum.core` had: its names, so that moving a program here is one changed import."""

from __future__ import annotations

import septum
from septum._context import SharedContext
from septum._declare import events, on_enter, on_fail, on_leave, on_state, on_timeout, root, state, transitions
from septum._errors import BlockedInUntimedState, DefinitionError, NoStateToTick, PopFromEmptyStack, StateMachineComplete
from septum._machine import StateMachine
from septum._message import PrioritizedMessage, SeptumInternalMessage, TimeoutMessage
from septum._registry import StateRegistry, ValidationResult
from septum._states import StateConfiguration, StateSpec, get_all_states, get_state, register_state
from septum._states import clear_state_registry as _clear_state_registry
from septum._transitions import (
    Again,
    LabeledTransition,
    Pop,
    Push,
    Repeat,
    Restart,
    Retry,
    StateContinuation,
    StateRef,
    StateRenewal,
    StateTransition,
    TransitionType,
    Unhandled,
)

ValidationError = DefinitionError

__all__ = [
    "Again",
    "BlockedInUntimedState",
    "LabeledTransition",
    "NoStateToTick",
    "Pop",
    "PopFromEmptyStack",
    "PrioritizedMessage",
    "Push",
    "Repeat",
    "Restart",
    "Retry",
    "SeptumInternalMessage",
    "SharedContext",
    "StateConfiguration",
    "StateContinuation",
    "StateMachine",
    "StateMachineComplete",
    "StateRef",
    "StateRegistry",
    "StateRenewal",
    "StateSpec",
    "StateTransition",
    "TimeoutMessage",
    "TransitionType",
    "Unhandled",
    "ValidationError",
    "ValidationResult",
    "_clear_state_registry",
    "events",
    "get_all_states",
    "get_state",
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
