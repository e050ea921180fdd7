"""Names that Septum's telemetry is made of: attributes, their closed sets of values, instruments, events. Constants only.

Whoever reads exported telemetry (replay, dashboards, tests) takes the names from here and needs no OpenTelemetry for it.
Written by .ci/semconv.py from septum/otel/registry: edit the YAML there. docs/reference/telemetry.md is the same for people.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SCOPE: Final = "septum"
"""Name of the instrumentation scope of every span, metric and event."""

SCHEMA_URL: Final = "https://septum.dev/schemas/septum/0.1.0"
"""Version of the names in this file; stands on every exported scope."""

OTHER: Final = "_OTHER"
"""What an attribute of a metric says in place of a value that is too many, or that the definition does not know."""

OPERATION_NAME: Final = "septum.operation.name"
"""What a span is; the first word of its name, but for calls of handlers. One of `Operation`."""

MACHINE_NAME: Final = "septum.machine.name"
"""Which definition. It is `name=` of the machine, or the name of its initial state."""

MACHINE_ID: Final = "septum.machine.id"
"""Which machine. Unbounded, so never on a metric."""

MACHINE_DEFINITION_HASH: Final = "septum.machine.definition.hash"
"""Twelve hex digits of the definition's canonical JSON."""

RUN_ID: Final = "septum.run.id"
"""Which execution, from entering the initial state to its end. Unbounded."""

RUN_SEGMENT: Final = "septum.run.segment"
"""Which segment of the run, from 0. A long run is cut into several spans."""

RUN_OUTCOME: Final = "septum.run.outcome"
"""How the run ended. One of `RunOutcome`."""

STATE_NAME: Final = "septum.state.name"
"""The state's name below its module, e.g. `AwaitingPayment`."""

VISIT_NUMBER: Final = "septum.visit.number"
"""Which visit of the run, from 1."""

VISIT_OUTCOME: Final = "septum.visit.outcome"
"""How the visit ended. One of `VisitOutcome`."""

TRANSITION_FROM_STATE: Final = "septum.transition.from_state"
"""Name of the state that was left."""

TRANSITION_TO_STATE: Final = "septum.transition.to_state"
"""Name of the state that is entered."""

TRANSITION_LABEL: Final = "septum.transition.label"
"""Label of the edge, as it is written. `_OTHER` if the definition has no such label."""

TRANSITION_KIND: Final = "septum.transition.kind"
"""Kind of the edge, whoever answered it; on a visit, the way it was entered. One of `TransitionKind`."""

HANDLER_NAME: Final = "septum.handler.name"
"""Which handler of the state was called. One of `HandlerName`."""

HOOK_NAME: Final = "septum.hook.name"
"""Class name of a hook that raised."""

MESSAGE_TYPE: Final = "septum.message.type"
"""Class name of the message, or `Enum.MEMBER`; never its content. `timeout` for a deadline."""

MESSAGE_ID: Final = "septum.message.id"
"""Which message, within its machine."""

MESSAGE_PRIORITY: Final = "septum.message.priority"
"""0 for exceptions, 1 for the machine's own messages, 2 for all others."""

MESSAGE_WAIT_TIME: Final = "septum.message.wait_time"
"""Seconds that the message waited in the mailbox."""

MESSAGE_PAYLOAD: Final = "septum.message.payload"
"""The message as redacted JSON text of at most 1 KiB, as it is recorded."""

MESSAGE_PAYLOAD_ENCODING: Final = "septum.message.payload.encoding"
"""How the payload is written. One of `PayloadEncoding`."""

MESSAGE_PAYLOAD_SIZE: Final = "septum.message.payload.size"
"""Bytes of the payload as JSON text, where that was too long to be kept."""

MESSAGE_PAYLOAD_TRUNCATED: Final = "septum.message.payload.truncated"
"""True if the payload is not there, being too long or refused."""

MESSAGE_PAYLOAD_DIGEST: Final = "septum.message.payload.digest"
"""BLAKE2b of 16 bytes, in hex digits, of a payload that was too long to be kept."""

MAILBOX_DEPTH: Final = "septum.mailbox.depth"
"""Messages in the mailbox, after this one was put in or taken out."""

DROP_REASON: Final = "septum.drop.reason"
"""Why a message will never reach a handler. One of `DropReason`."""

RETRY_COUNT: Final = "septum.retry.count"
"""Which retry of the state this is, from 1."""

RETRY_LIMIT: Final = "septum.retry.limit"
"""How many retries the state has."""

TIMEOUT_DURATION: Final = "septum.timeout.duration"
"""Seconds after entering the state at which its deadline passes."""

DWELL: Final = "septum.dwell"
"""Seconds that the machine has been in the state, or was in the state that it left."""

DWELL_LIMIT: Final = "septum.dwell.limit"
"""Seconds that a visit was expected to last at most, the state's `expect=`."""

STACK: Final = "septum.stack"
"""Names of the states that `Pop` returns to, bottom first."""

SEQ: Final = "septum.seq"
"""Place of the fact that opened the span in the total order of the run's facts."""

LINK_TYPE: Final = "septum.link.type"
"""What the linked span is to this one. One of `LinkType`."""

RECORDING_VERSION: Final = "septum.recording.version"
"""Version of the format that the record is written in."""

RECORDING_INDEX: Final = "septum.recording.index"
"""Place of the record among those of its run, from 1 without a gap. A gap means that records were lost."""

RECORDING_TIME: Final = "septum.recording.time"
"""Nanoseconds of the machine's clock since the run began to be recorded."""

RECORDING_LEVEL: Final = "septum.recording.level"
"""How much is recorded. One of `RecordingLevel`."""

RECORDING_ENCODING: Final = "septum.recording.encoding"
"""How the body is written. Absent if nothing was kept of a value; the record has no body then. One of `RecordingEncoding`."""

RECORDING_REDACTED: Final = "septum.recording.redacted"
"""True if something in the body or in a text was replaced by redaction."""

RECORDING_SIZE: Final = "septum.recording.size"
"""Bytes of the body as JSON text, where the text itself was too long to be kept."""

RECORDING_DIGEST: Final = "septum.recording.digest"
"""BLAKE2b of 16 bytes, in hex digits, of the redacted body as JSON text, where that was too long to be kept."""

RECORDING_COMMON_DIGEST: Final = "septum.recording.common_digest"
"""The same of `common` after the handler."""

RECORDING_RESUMED: Final = "septum.recording.resumed"
"""True if the run began before it was recorded."""

RECORDING_OWN: Final = "septum.recording.own"
"""True if the machine's own handler did it, so that a replay does it again. False if it came from outside."""

RECORDING_ERROR_STATE: Final = "septum.recording.error_state"
"""Name of the state that unhandled exceptions lead to."""

RECORDING_RETRIES: Final = "septum.recording.retries"
"""States with retry counts above zero at the start, each as its name, a space and the count."""

VERSION: Final = "septum.version"
"""Version of Septum."""

TIMER_KIND: Final = "septum.timer.kind"
"""What a timer is for. One of `TimerKind`."""

TIMER_DURATION: Final = "septum.timer.duration"
"""Seconds that the timer is set to."""

TIMER_LATENESS: Final = "septum.timer.lateness"
"""Seconds between the deadline and the moment at which it was noticed."""

EFFECT_KIND: Final = "septum.effect.kind"
"""Where something came in that no definition decides. One of `EffectKind`."""

EFFECT_NAME: Final = "septum.effect.name"
"""The name given to `ctx.call`; `random` or `getrandbits` for a draw; else the kind."""

EFFECT_ARGS_DIGEST: Final = "septum.effect.args_digest"
"""BLAKE2b of 16 bytes, in hex digits, of the redacted arguments of `ctx.call` as JSON text."""

ANSWER_KIND: Final = "septum.answer.kind"
"""What a handler answered. One of `AnswerKind`."""

ANSWER_NAME: Final = "septum.answer.name"
"""The label as it is written, the marker, the state's name or the type."""

HANDLER_CUT: Final = "septum.handler.cut"
"""True if the deadline cut the call."""

HANDLER_DURATION: Final = "septum.handler.duration"
"""Seconds that a call took that was cut, cancelled or raised."""

STACK_CHANGE: Final = "septum.stack.change"
"""What happened to the stack. One of `StackChange`."""

STACK_STATES: Final = "septum.stack.states"
"""Names of the states that were put onto the stack, the lowest first, or taken from it."""

STACK_DEPTH: Final = "septum.stack.depth"
"""States on the stack after the change."""

ERROR_DESTINATION: Final = "septum.error.destination"
"""Where an exception went. One of `ErrorDestination`."""

SNAPSHOT_REASON: Final = "septum.snapshot.reason"
"""Why the machine was written down, in the caller's words."""

ERROR_TYPE: Final = "error.type"
"""What a failed operation failed with: one of `ErrorType`, or the exception's qualified class name."""

CODE_FUNCTION_NAME: Final = "code.function.name"
"""Full name of the handler's function."""

CODE_FILE_PATH: Final = "code.file.path"
"""File in which the handler is defined."""

CODE_LINE_NUMBER: Final = "code.line.number"
"""Line at which the handler is defined."""

PROCESS_RUNTIME_VERSION: Final = "process.runtime.version"
"""Version of Python."""

EXCEPTION_TYPE: Final = "exception.type"
"""Full class name of the exception."""

EXCEPTION_MESSAGE: Final = "exception.message"
"""Text of the exception, whatever it says."""

EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
"""Traceback of the exception."""


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


class Event:
    """Names of events (`event_name` of a log record)."""

    MACHINE_DEFINITION: Final = "septum.machine.definition"
    RUN_START: Final = "septum.run.start"
    RUN_END: Final = "septum.run.end"
    TRANSITION: Final = "septum.transition"
    TIMEOUT: Final = "septum.timeout"
    RETRY: Final = "septum.retry"
    MESSAGE_DROPPED: Final = "septum.message.dropped"
    MESSAGE_UNHANDLED: Final = "septum.message.unhandled"
    HANDLER_EXCEPTION: Final = "septum.handler.exception"
    STATE_OVERDUE: Final = "septum.state.overdue"
    RECORDING_START: Final = "septum.recording.start"
    RECORDING_MESSAGE: Final = "septum.recording.message"
    RECORDING_TAKEN: Final = "septum.recording.taken"
    RECORDING_DROPPED: Final = "septum.recording.dropped"
    RECORDING_TIMER: Final = "septum.recording.timer"
    RECORDING_EFFECT: Final = "septum.recording.effect"
    RECORDING_HANDLER: Final = "septum.recording.handler"
    RECORDING_BATCH: Final = "septum.recording.batch"
    RECORDING_TRANSITION: Final = "septum.recording.transition"
    RECORDING_STACK: Final = "septum.recording.stack"
    RECORDING_ERROR: Final = "septum.recording.error"
    RECORDING_SNAPSHOT: Final = "septum.recording.snapshot"
    RECORDING_END: Final = "septum.recording.end"


class Instrument(NamedTuple):
    """What an instrument is made with; `buckets` are the advisory boundaries of a histogram."""

    name: str
    kind: str
    unit: str
    brief: str
    buckets: tuple[float, ...] = ()


class Metric:
    """Instruments; histograms are recorded, all others are observed."""

    TRANSITIONS: Final = Instrument("septum.transitions", "counter", "{transition}", "Transitions taken.")
    MACHINE_ACTIVE: Final = Instrument(
        "septum.machine.active",
        "updowncounter",
        "{machine}",
        "Machines in each state; every state of the definition is reported, also with 0.",
    )
    STATE_DWELL_MAX: Final = Instrument(
        "septum.state.dwell.max",
        "gauge",
        "s",
        "How long the machine that has been in the state longest has been there until now.",
    )
    STATE_DWELL_LIMIT: Final = Instrument(
        "septum.state.dwell.limit",
        "gauge",
        "s",
        "How long a visit is expected to last at most, for states with `expect=`.",
    )
    STATE_DURATION: Final = Instrument(
        "septum.state.duration",
        "histogram",
        "s",
        "How long visits lasted.",
        (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0),
    )
    PROCESS_DURATION: Final = Instrument(
        "septum.process.duration",
        "histogram",
        "s",
        "How long calls of handlers lasted.",
        (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    )
    RUN_DURATION: Final = Instrument(
        "septum.run.duration",
        "histogram",
        "s",
        "How long runs lasted, all their segments together.",
        (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0),
    )
    MESSAGE_WAIT_DURATION: Final = Instrument(
        "septum.message.wait.duration",
        "histogram",
        "s",
        "How long messages waited in the mailbox until they were taken.",
        (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    )
    ENQUEUED_MESSAGES: Final = Instrument(
        "septum.enqueued.messages",
        "counter",
        "{message}",
        "Messages that were accepted, the filtered and dropped ones included.",
    )
    CONSUMED_MESSAGES: Final = Instrument(
        "septum.consumed.messages",
        "counter",
        "{message}",
        "Messages that a handler took, the unhandled ones included.",
    )
    UNHANDLED_MESSAGES: Final = Instrument(
        "septum.unhandled.messages",
        "counter",
        "{message}",
        "Messages whose handler answered `Unhandled`.",
    )
    DROPPED_MESSAGES: Final = Instrument("septum.dropped.messages", "counter", "{message}", "Messages that will never reach a handler.")
    MAILBOX_USAGE: Final = Instrument(
        "septum.mailbox.usage",
        "updowncounter",
        "{message}",
        "Messages that wait now, in all mailboxes together.",
    )
    MAILBOX_LIMIT: Final = Instrument(
        "septum.mailbox.limit",
        "updowncounter",
        "{message}",
        "Messages that have room, in all mailboxes together.",
    )
    RETRIES: Final = Instrument("septum.retries", "counter", "{retry}", "Retries that were scheduled.")
    TIMEOUTS: Final = Instrument("septum.timeouts", "counter", "{timeout}", "Deadlines that passed, handled or not.")
    ERRORS: Final = Instrument("septum.errors", "counter", "{error}", "Exceptions that came out of a state, wherever they were routed.")
    HOOK_ERRORS: Final = Instrument(
        "septum.hook.errors",
        "counter",
        "{error}",
        "Exceptions that hooks raised, telemetry's own included; the machines did not notice.",
    )
