"""Every name that `mycorrhizal.septum.core` and `.util` 0.2.2 had stands where it stood, with the parameters and members that it had."""

from __future__ import annotations

import inspect
from dataclasses import fields
from enum import IntEnum
from typing import Any

import pytest

import septum
import septum.core
import septum.util
from septum.core import (
    BlockedInUntimedState,
    NoStateToTick,
    PopFromEmptyStack,
    PrioritizedMessage,
    SeptumInternalMessage,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateRegistry,
    StateSpec,
    TimeoutMessage,
    ValidationError,
    ValidationResult,
)

DECORATORS = ["state", "on_state", "on_enter", "on_leave", "on_timeout", "on_fail", "transitions", "root", "events"]

# Name -> (bases of its own, parameters with their defaults), as inspect told of 0.2.2.
TYPES: dict[str, tuple[str, str]] = {
    "StateConfiguration": ("object", "timeout=None, retries=None, terminal=False, can_dwell=False"),
    "SharedContext": ("Generic", "send_message, log, common, msg=None"),
    "TransitionType": ("object", "AWAITS=False"),
    "StateTransition": ("TransitionType", "AWAITS=False"),
    "StateContinuation": ("TransitionType", "AWAITS=False"),
    "StateRenewal": ("TransitionType", "AWAITS=False"),
    "Again": ("StateContinuation", "AWAITS=False"),
    "Unhandled": ("StateContinuation", "AWAITS=True"),
    "Retry": ("StateContinuation", "AWAITS=False"),
    "Restart": ("StateRenewal", "AWAITS=True"),
    "Repeat": ("StateRenewal", "AWAITS=False"),
    "StateRef": ("StateTransition", "state"),
    "LabeledTransition": ("object", "label, transition"),
    "Push": ("StateTransition", "*states"),
    "Pop": ("StateTransition", "AWAITS=False"),
    "StateSpec": (
        "StateTransition",
        (
            "AWAITS=False, name='', qualname='', module='', "
            "config=StateConfiguration(timeout=None, retries=None, terminal=False, can_dwell=False, retry=None, expect=None), "
            "on_state=None, on_enter=None, on_leave=None, on_timeout=None, on_fail=None, transitions=None, Events=None, "
            "group_name='', parent_state=None, _is_root=False"
        ),
    ),
    "StateRegistry": ("object", ""),
    "ValidationResult": ("object", "valid, errors, warnings, discovered_states"),
    "PrioritizedMessage": ("object", "priority, item"),
    "SeptumInternalMessage": ("object", ""),
    "TimeoutMessage": ("SeptumInternalMessage", "state_name, timeout_id, timeout_duration"),
}
FUNCTIONS = {
    "register_state": "state",
    "get_state": "name",
    "get_all_states": "",
    "_clear_state_registry": "",
    "state": "config=None, name=None, group=None",
}
METHODS = {
    "__init__": (
        "self, initial_state, max_queue_size=1000, queue_overflow_policy='block', error_state=None, filter_fn=None, trap_fn=None, "
        "on_error_fn=None, common_data=None"
    ),
    "initialize": "self",
    "tick": "self, timeout=0",
    "run": "self, max_iterations=None, timeout=1",
    "reset": "self",
    "send_message": "self, message",
}
EXCEPTIONS = [ValidationError, StateMachineComplete, BlockedInUntimedState, PopFromEmptyStack, NoStateToTick]


def parameters(function: Any) -> str:
    """Return the parameters that can be given by position, with their defaults."""
    given = inspect.signature(function).parameters.values()
    plain = [parameter for parameter in given if parameter.kind is not parameter.KEYWORD_ONLY]
    return ", ".join(str(parameter.replace(annotation=parameter.empty)) for parameter in plain)


@pytest.mark.parametrize("name", [*TYPES, *FUNCTIONS, *DECORATORS, "septum", "StateMachine", *[kind.__name__ for kind in EXCEPTIONS]])
def test_old_name_can_be_imported(name: str) -> None:
    """`from septum.core import name` works, and `import *` brings it."""
    name = {"DefinitionError": "ValidationError"}.get(name, name)
    assert hasattr(septum.core, name)
    assert name in septum.core.__all__


def test_old_core_has_nothing_else() -> None:
    """40 names in its __all__ and `events`."""
    assert len(septum.core.__all__) == len(set(septum.core.__all__)) == 41


@pytest.mark.parametrize("name", TYPES)
def test_old_type_takes_what_it_took(name: str) -> None:
    """The same base, and by position the same parameters in the same order; what is new is by keyword only."""
    kind = getattr(septum.core, name)
    assert (kind.__bases__[0].__name__, parameters(kind)) == TYPES[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_old_function_takes_what_it_took(name: str) -> None:
    """The same parameters in the same order."""
    assert parameters(getattr(septum.core, name)) == FUNCTIONS[name]


@pytest.mark.parametrize("name", DECORATORS)
def test_decorator_is_one_object_under_three_names(name: str) -> None:
    """`septum.state`, `septum.core.state` and that of `from septum.core import septum`."""
    decorator = getattr(septum, name)
    assert (getattr(septum.core, name) is decorator, getattr(septum.core.septum, name) is decorator) == (True, True)


def test_septum_is_the_package_under_every_name() -> None:
    """So that `from septum import septum` and `import septum` go together, and extras are found after either."""
    assert (septum.septum is septum, septum.core.septum is septum) == (True, True)


def test_name_of_both_addresses_is_one_object() -> None:
    """What the package and its old address both have is the same thing."""
    both = set(septum.__all__) & set(septum.core.__all__)
    assert [name for name in both if getattr(septum, name) is not getattr(septum.core, name)] == []
    assert set(septum.core.__all__) - both == {
        "PrioritizedMessage",
        "SeptumInternalMessage",
        "StateContinuation",
        "StateRegistry",
        "StateRenewal",
        "StateTransition",
        "TimeoutMessage",
        "TransitionType",
        "ValidationResult",
        "_clear_state_registry",
    }


def test_public_class_calls_itself_by_its_public_address() -> None:
    """A traceback says septum.PopFromEmptyStack."""
    classes = [getattr(septum, name) for name in septum.__all__]
    assert {kind.__module__ for kind in classes if isinstance(kind, type)} == {"septum"}


@pytest.mark.parametrize("name", METHODS)
def test_old_method_takes_what_it_took(name: str) -> None:
    """By position; what is new is by keyword only."""
    assert parameters(getattr(StateMachine, name)) == METHODS[name]


@septum.state(config=StateConfiguration(can_dwell=True))
def Waiting():
    @septum.on_state
    def on_state(ctx):
        pass


@septum.state
def Lost():
    @septum.on_state
    def on_state(ctx):
        pass


def test_machine_shows_what_it_showed() -> None:
    """Its states, its stack, its settings, its registry, its counters."""
    fsm: StateMachine[Any] = StateMachine(Waiting, 7, "fail", Lost, common_data={"n": 1})
    assert (fsm.initial_state, fsm.error_state, fsm.state_stack, fsm.queue_depth) == (Waiting, Lost, [], 0)
    assert (fsm.max_queue_size, fsm.queue_overflow_policy) == (7, "fail")
    assert (fsm.context.common, fsm.context.msg) == ({"n": 1}, None)
    assert (fsm.retry_counters, fsm.state_enter_times) == ({}, {})
    assert isinstance(fsm.registry, StateRegistry)
    assert fsm.registry.resolve_state(Waiting.name) is Waiting


def test_message_priorities_keep_their_numbers() -> None:
    """A nested IntEnum of three."""
    priorities = StateMachine.MessagePriorities
    assert issubclass(priorities, IntEnum)
    assert {name: member.value for name, member in priorities.__members__.items()} == {"ERROR": 0, "INTERNAL_MESSAGE": 1, "MESSAGE": 2}


def test_old_messages_are_what_they_were() -> None:
    """Dataclasses; one is ordered by its priority."""
    low, high = PrioritizedMessage(2, "a"), PrioritizedMessage(1, "b")
    assert (high < low, low < high, min(low, high)) == (True, False, high)
    assert TimeoutMessage("A", 1, 2.5) == TimeoutMessage(state_name="A", timeout_id=1, timeout_duration=2.5)
    assert [field.name for field in fields(SeptumInternalMessage)] == []
    assert ValidationResult(True, [], ["w"], {"A"}).warnings == ["w"]


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_old_exception_is_raised_with_any_arguments(kind: type[Exception]) -> None:
    """They are plain exceptions; the validation error is still a ValueError."""
    assert kind("a", 1).args == ("a", 1)
    assert issubclass(kind, ValueError) is (kind is ValidationError)


def test_old_drawing_is_a_flowchart() -> None:
    """`to_mermaid` takes a machine."""
    assert septum.util.__all__ == ["to_mermaid"]
    assert septum.util.to_mermaid(StateMachine(Waiting, error_state=Lost)).splitlines() == [
        "flowchart TD",
        '    start(("start"))',
        '    S1["Waiting"]',
        '    S2["Lost"]',
        '    anywhere(["any state"])',
        "    start --> S1",
        '    anywhere -.->|"error"| S2',
        "    style S2 stroke:#cf222e",
        "    style anywhere stroke:#cf222e,stroke-dasharray:4 3",
        "    linkStyle 1 stroke:#cf222e",
    ]


def test_state_spec_has_its_old_members() -> None:
    """Its fields, two names for the configuration, the list of its transitions."""
    names = TYPES["StateSpec"][1].replace("(timeout=None, retries=None, terminal=False, can_dwell=False, retry=None, expect=None)", "")
    spec = StateSpec()
    assert [part.partition("=")[0] for part in names.split(", ") if not hasattr(spec, part.partition("=")[0])] == []
    assert (spec.base_name, spec.CONFIG, spec.get_transitions()) == ("", StateConfiguration(), [])
