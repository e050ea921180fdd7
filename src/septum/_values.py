"""The closed sets of what an attribute of telemetry may say; `septum.semconv` is where they are imported from.

Written by .ci/semconv.py from septum/otel/registry: edit the YAML there.
"""

from __future__ import annotations

from typing import Final


class Operation:
    """Values of `septum.operation.name`."""

    RUN: Final = "run"
    VISIT: Final = "visit"
    PROCESS: Final = "process"
    HANDLE: Final = "handle"
    SEND: Final = "send"
    REPLAY: Final = "replay"


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


class TransitionKind:
    """Values of `septum.transition.kind`."""

    LABEL: Final = "label"
    DIRECT: Final = "direct"
    PUSH: Final = "push"
    POP: Final = "pop"
    AGAIN: Final = "again"
    REPEAT: Final = "repeat"
    RESTART: Final = "restart"
    RETRY: Final = "retry"
    ERROR: Final = "error"
    INITIAL: Final = "initial"
    END: Final = "end"


class HandlerName:
    """Values of `septum.handler.name`."""

    ON_ENTER: Final = "on_enter"
    ON_STATE: Final = "on_state"
    ON_LEAVE: Final = "on_leave"
    ON_TIMEOUT: Final = "on_timeout"
    ON_FAIL: Final = "on_fail"


class PayloadEncoding:
    """Values of `septum.message.payload.encoding`."""

    JSON: Final = "json"
    REPR: Final = "repr"
    DIGEST: Final = "digest"
    DROPPED: Final = "dropped"


class DropReason:
    """Values of `septum.drop.reason`."""

    FILTERED: Final = "filtered"
    OVERFLOW_NEWEST: Final = "overflow_newest"
    OVERFLOW_OLDEST: Final = "overflow_oldest"
    REJECTED: Final = "rejected"
    CLOSED: Final = "closed"


class LinkType:
    """Values of `septum.link.type`."""

    MESSAGE: Final = "message"
    PREVIOUS_SEGMENT: Final = "previous_segment"
    FIRST_SEGMENT: Final = "first_segment"
    SPAWNED_BY: Final = "spawned_by"
    RESUMED_FROM: Final = "resumed_from"
    CALLER: Final = "caller"
    CAUSE: Final = "cause"
    SEGMENT: Final = "segment"


class RecordingLevel:
    """Values of `septum.recording.level`."""

    METADATA: Final = "metadata"
    INLINE: Final = "inline"
    FULL: Final = "full"


class RecordingEncoding:
    """Values of `septum.recording.encoding`."""

    JSON: Final = "json"
    REPR: Final = "repr"
    DIGEST: Final = "digest"
    DROPPED: Final = "dropped"


class TimerKind:
    """Values of `septum.timer.kind`."""

    TIMEOUT: Final = "timeout"
    RETRY_BACKOFF: Final = "retry_backoff"


class EffectKind:
    """Values of `septum.effect.kind`."""

    NOW: Final = "now"
    RANDOM: Final = "random"
    UUID: Final = "uuid"
    CALL: Final = "call"


class AnswerKind:
    """Values of `septum.answer.kind`."""

    WAIT: Final = "wait"
    LABEL: Final = "label"
    MARKER: Final = "marker"
    STATE: Final = "state"
    OTHER: Final = "other"


class StackChange:
    """Values of `septum.stack.change`."""

    PUSHED: Final = "pushed"
    POPPED: Final = "popped"


class ErrorDestination:
    """Values of `septum.error.destination`."""

    ON_ERROR_FN: Final = "on_error_fn"
    ERROR_STATE: Final = "error_state"
    RAISED: Final = "raised"


class ErrorType:
    """Septum's own values of `error.type`."""

    TIMEOUT: Final = "timeout"
    RETRIES_EXHAUSTED: Final = "retries_exhausted"
    BLOCKED_IN_UNTIMED_STATE: Final = "blocked_in_untimed_state"
    UNKNOWN_TRANSITION: Final = "unknown_transition"
    MAILBOX_FULL: Final = "mailbox_full"
