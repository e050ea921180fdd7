"""Names that Septum's telemetry is made of: attributes, their closed sets of values, instruments, events. Constants only.

Whoever reads exported telemetry (replay, dashboards, tests) takes the names from here and needs no OpenTelemetry for it.
Written by .ci/semconv.py from septum/otel/registry: edit the YAML there. docs/reference/telemetry.md is the same for people.
"""

from __future__ import annotations

from typing import Final

from septum._instruments import Instrument, Metric
from septum._values import (
    AnswerKind,
    DropReason,
    EffectKind,
    ErrorDestination,
    ErrorType,
    HandlerName,
    LinkType,
    Operation,
    PayloadEncoding,
    RecordingEncoding,
    RecordingLevel,
    RunOutcome,
    StackChange,
    TimerKind,
    TransitionKind,
    VisitOutcome,
)

__all__ = [
    "ANSWER_KIND",
    "ANSWER_NAME",
    "CODE_FILE_PATH",
    "CODE_FUNCTION_NAME",
    "CODE_LINE_NUMBER",
    "DROP_REASON",
    "DWELL",
    "DWELL_LIMIT",
    "EFFECT_ARGS_DIGEST",
    "EFFECT_KIND",
    "EFFECT_NAME",
    "ERROR_DESTINATION",
    "ERROR_TYPE",
    "EXCEPTION_MESSAGE",
    "EXCEPTION_STACKTRACE",
    "EXCEPTION_TYPE",
    "HANDLER_CUT",
    "HANDLER_DURATION",
    "HANDLER_NAME",
    "HOOK_NAME",
    "LINK_TYPE",
    "MACHINE_DEFINITION_HASH",
    "MACHINE_ID",
    "MACHINE_NAME",
    "MAILBOX_DEPTH",
    "MESSAGE_ID",
    "MESSAGE_PAYLOAD",
    "MESSAGE_PAYLOAD_DIGEST",
    "MESSAGE_PAYLOAD_ENCODING",
    "MESSAGE_PAYLOAD_SIZE",
    "MESSAGE_PAYLOAD_TRUNCATED",
    "MESSAGE_PRIORITY",
    "MESSAGE_TYPE",
    "MESSAGE_WAIT_TIME",
    "OPERATION_NAME",
    "OTHER",
    "PROCESS_RUNTIME_VERSION",
    "RECORDING_COMMON_DIGEST",
    "RECORDING_DEADLINE",
    "RECORDING_DIGEST",
    "RECORDING_ENCODING",
    "RECORDING_ERROR_STATE",
    "RECORDING_INDEX",
    "RECORDING_LEVEL",
    "RECORDING_MAILBOX",
    "RECORDING_OWN",
    "RECORDING_REDACTED",
    "RECORDING_RESUMED",
    "RECORDING_RETRIES",
    "RECORDING_SIZE",
    "RECORDING_STAGE",
    "RECORDING_TIME",
    "RECORDING_TIMEOUTS",
    "RECORDING_VERSION",
    "RETRY_COUNT",
    "RETRY_LIMIT",
    "RUN_ID",
    "RUN_OUTCOME",
    "RUN_SEGMENT",
    "SCHEMA_URL",
    "SCOPE",
    "SEQ",
    "SNAPSHOT_REASON",
    "STACK",
    "STACK_CHANGE",
    "STACK_DEPTH",
    "STACK_STATES",
    "STATE_NAME",
    "TIMEOUT_DURATION",
    "TIMER_DURATION",
    "TIMER_KIND",
    "TIMER_LATENESS",
    "TRANSITION_FROM_STATE",
    "TRANSITION_KIND",
    "TRANSITION_LABEL",
    "TRANSITION_TO_STATE",
    "VERSION",
    "VISIT_NUMBER",
    "VISIT_OUTCOME",
    "AnswerKind",
    "DropReason",
    "EffectKind",
    "ErrorDestination",
    "ErrorType",
    "Event",
    "HandlerName",
    "Instrument",
    "LinkType",
    "Metric",
    "Operation",
    "PayloadEncoding",
    "RecordingEncoding",
    "RecordingLevel",
    "RunOutcome",
    "StackChange",
    "TimerKind",
    "TransitionKind",
    "VisitOutcome",
]

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

RECORDING_TIMEOUTS: Final = "septum.recording.timeouts"
"""States with a timeout, each as its name, a space and the seconds."""

RECORDING_STAGE: Final = "septum.recording.stage"
"""Which call is due or at work, as `Snapshot.stage` names it."""

RECORDING_DEADLINE: Final = "septum.recording.deadline"
"""Seconds until the timeout, or the delay of a retry, is over; below zero if it is over."""

RECORDING_MAILBOX: Final = "septum.recording.mailbox"
"""Numbers of the messages that wait and have one, in the order in which they are taken."""

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
