"""Names that Septum's telemetry is made of: attributes, their closed sets of values, span operations. Constants only.

Whoever reads exported telemetry (replay, dashboards, tests) takes the names from here and needs no OpenTelemetry for it.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "septum"
"""Name of the instrumentation scope of every span."""

SCHEMA_URL: Final = "https://septum.dev/schemas/septum/0.1.0"
"""Version of the names in this file; stands on every exported scope."""

OPERATION_NAME: Final = "septum.operation.name"
"""What a span is: one of `Operation`, the first word of the span's name."""

MACHINE_NAME: Final = "septum.machine.name"
"""Which definition: `name=` of the machine, or the name of its initial state. Few values."""

MACHINE_ID: Final = "septum.machine.id"
"""Which machine. Unbounded: never on a metric."""

MACHINE_DEFINITION_HASH: Final = "septum.machine.definition.hash"
"""Twelve hex digits of the definition's canonical JSON."""

RUN_ID: Final = "septum.run.id"
"""Which execution, from entering the initial state to its end. Unbounded."""

RUN_OUTCOME: Final = "septum.run.outcome"
"""How the run ended: one of `RunOutcome`."""

STATE_NAME: Final = "septum.state.name"
"""The state's name below its module, e.g. `AwaitingPayment`."""

VISIT_NUMBER: Final = "septum.visit.number"
"""Which visit of the run, from 1."""

VISIT_OUTCOME: Final = "septum.visit.outcome"
"""How the visit ended: one of `VisitOutcome`."""

SEQ: Final = "septum.seq"
"""Place of the fact that opened the span in the total order of the run's facts."""

ERROR_TYPE: Final = "error.type"
"""What a failed operation failed with: one of `ErrorType`, or the exception's qualified class name."""


class Operation:
    """Values of `septum.operation.name`."""

    RUN: Final = "run"
    VISIT: Final = "visit"


class RunOutcome:
    """Values of `septum.run.outcome`."""

    COMPLETED: Final = "completed"
    FAILED: Final = "failed"
    CANCELLED: Final = "cancelled"
    STOPPED: Final = "stopped"
    RESET: Final = "reset"
    CONTINUED: Final = "continued"


class VisitOutcome:
    """Values of `septum.visit.outcome`."""

    TRANSITION: Final = "transition"
    TIMEOUT: Final = "timeout"
    PUSH: Final = "push"
    POP: Final = "pop"
    REPEAT: Final = "repeat"
    RESTART: Final = "restart"
    RETRY: Final = "retry"
    ERROR: Final = "error"
    COMPLETED: Final = "completed"
    CANCELLED: Final = "cancelled"
    STOPPED: Final = "stopped"
    RESET: Final = "reset"
    CONTINUED: Final = "continued"


class ErrorType:
    """Values of `error.type` for Septum's own errors; any other exception goes by its class name."""

    TIMEOUT: Final = "timeout"
    RETRIES_EXHAUSTED: Final = "retries_exhausted"
    BLOCKED_IN_UNTIMED_STATE: Final = "blocked_in_untimed_state"
    UNKNOWN_TRANSITION: Final = "unknown_transition"
    MAILBOX_FULL: Final = "mailbox_full"
