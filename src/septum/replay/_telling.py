"""Records and answers in words: how a person reads them, and how two of them are compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from septum import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from septum.replay._record import Record

_LONGEST: Final = 120
_DEEPEST: Final = 20

CANCELLED: Final = "asyncio.exceptions.CancelledError"
"""The `error.type` of what was cancelled."""


def in_words(record: Record) -> str:
    """Return what a record tells, in one line."""
    words = _WORDS.get(record.event)
    return record.event if words is None else words(record, record.attributes)


def shorten(text: str, most: int = _LONGEST) -> str:
    """Return *text* in one line of at most *most* characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _body(record: Record) -> str:
    encoding = record.attributes.get(semconv.RECORDING_ENCODING)
    if encoding is None:
        return "not recorded"
    if type(record.body).__name__ == "Given":
        return shorten(repr(record.body))
    return shorten(say_value(record.body)) if encoding == semconv.RecordingEncoding.JSON else f"<{encoding}>"


def say_value(data: Any, depth: int = 0) -> str:
    """Return encoded *data* much as Python writes the value."""
    if depth > _DEEPEST:
        return "..."
    if isinstance(data, list):
        return f"[{', '.join(say_value(inner, depth + 1) for inner in cast('list[object]', data))}]"
    if not isinstance(data, dict):
        return repr(cast("object", data))
    known = cast("dict[str, Any]", data)
    name, inner = str(known.get("t", "")).rpartition(":")[2], known.get("v")
    match known.get("$"):
        case None:
            return f"{{{', '.join(f'{key!r}: {say_value(value, depth + 1)}' for key, value in known.items())}}}"
        case "enum" if "n" in known:
            return f"{name}.{known['n']}"
        case "data" | "object" | "model" if isinstance(inner, dict):
            more: Any = known.get("s")
            fields = cast("dict[str, Any]", inner) | (cast("dict[str, Any]", more) if isinstance(more, dict) else {})
            return f"{name}({', '.join(f'{key}={say_value(value, depth + 1)}' for key, value in fields.items())})"
        case "error" | "named" if isinstance(inner, list):
            return f"{name}({', '.join(say_value(value, depth + 1) for value in cast('list[object]', inner))})"
        case "tuple" if isinstance(inner, list):
            return f"({', '.join(say_value(value, depth + 1) for value in cast('list[object]', inner))})"
        case _:
            return json.dumps(known, ensure_ascii=False)


def _error(attributes: Any) -> str:
    text = attributes.get(semconv.EXCEPTION_MESSAGE)
    return f"{attributes[semconv.ERROR_TYPE]}{f': {shorten(text)}' if text else ''}"


def _start(_: Record, attributes: Any) -> str:
    return f"the run {'was seen first' if attributes.get(semconv.RECORDING_RESUMED) else 'began'} in {attributes.get(semconv.STATE_NAME)}"


def name_message(number: object, kind: object) -> str:
    """Return what a message is called."""
    return f"message {number} ({kind})" if number else f"a message ({kind})"


def _message(record: Record, attributes: Any) -> str:
    name = name_message(attributes.get(semconv.MESSAGE_ID), attributes.get(semconv.MESSAGE_TYPE))
    return f"{name} was {'sent by a handler' if is_own(record) else 'received'}: {_body(record)}"


def _taken(_: Record, attributes: Any) -> str:
    return f"{name_message(attributes.get(semconv.MESSAGE_ID), attributes.get(semconv.MESSAGE_TYPE))} was taken"


def _dropped(_: Record, attributes: Any) -> str:
    name = name_message(attributes.get(semconv.MESSAGE_ID), attributes.get(semconv.MESSAGE_TYPE))
    return f"{name} was dropped ({attributes.get(semconv.DROP_REASON)})"


def _timer(_: Record, attributes: Any) -> str:
    duration = attributes.get(semconv.TIMER_DURATION)
    if attributes.get(semconv.TIMER_KIND) == semconv.TimerKind.TIMEOUT:
        return f"the timeout of {attributes.get(semconv.STATE_NAME)} fired ({duration:g} s)"
    return f"retry {attributes.get(semconv.RETRY_COUNT)} of {attributes.get(semconv.STATE_NAME)} was scheduled (in {duration:g} s)"


def _effect(record: Record, attributes: Any) -> str:
    kind, name = attributes[semconv.EFFECT_KIND], attributes.get(semconv.EFFECT_NAME)
    asked = f"ctx.call({name!r})" if kind == "call" else f"ctx.{kind}" if kind == "random" else f"ctx.{kind}()"
    return f"{asked} raised {_error(attributes)}" if semconv.ERROR_TYPE in attributes else f"{asked} gave {_body(record)}"


def say_answer(kind: object, name: object) -> str:
    """Return what a handler did that answered so."""
    return "answered None" if kind == semconv.AnswerKind.WAIT else f"answered {name}"


def _handler(_: Record, attributes: Any) -> str:
    who = f"{attributes.get(semconv.HANDLER_NAME)} of {attributes.get(semconv.STATE_NAME)}"
    if attributes.get(semconv.HANDLER_CUT):
        return f"{who} was cut at its deadline"
    if semconv.ERROR_TYPE in attributes:
        return f"{who} raised {_error(attributes)}"
    return f"{who} {say_answer(attributes.get(semconv.ANSWER_KIND), attributes.get(semconv.ANSWER_NAME))}"


def _transition(_: Record, attributes: Any) -> str:
    target = attributes.get(semconv.TRANSITION_TO_STATE)
    label, kind = attributes.get(semconv.TRANSITION_LABEL), attributes.get(semconv.TRANSITION_KIND)
    way = label if kind == "label" else kind if label is None else f"{label}, {kind}"
    return f"transition {attributes.get(semconv.TRANSITION_FROM_STATE)} -> {target or 'the end'} ({way})"


def _stack(_: Record, attributes: Any) -> str:
    states = ", ".join(map(str, cast("Sequence[object]", attributes.get(semconv.STACK_STATES, ()))))
    return f"{states} {attributes.get(semconv.STACK_CHANGE)} ({attributes.get(semconv.STACK_DEPTH)} on the stack)"


def _routed(_: Record, attributes: Any) -> str:
    return f"{_error(attributes)} of {attributes.get(semconv.STATE_NAME)} went to {attributes.get(semconv.ERROR_DESTINATION)}"


def _end(_: Record, attributes: Any) -> str:
    return f"the run ended in {attributes.get(semconv.STATE_NAME)}: {attributes.get(semconv.RUN_OUTCOME)}"


def number_of(record: Record) -> int:
    """Return the number of the message that *record* is about; 0 if it has none."""
    return int(cast("str", record.attributes.get(semconv.MESSAGE_ID, 0)))


def is_own(record: Record) -> bool | None:
    """Say whether a handler of the machine sent this message; None if the recording does not tell."""
    return cast("bool | None", record.attributes.get(semconv.RECORDING_OWN))


def _snapshot(_: Record, attributes: Any) -> str:
    return f"a snapshot was taken in {attributes.get(semconv.STATE_NAME)}"


def _gap(*_: object) -> str:
    return "records are missing here"


def _nothing(*_: object) -> str:
    return "nothing: the recording ends here"


_WORDS: Final[dict[str, Callable[[Record, Any], str]]] = {
    "start": _start,
    "message": _message,
    "taken": _taken,
    "dropped": _dropped,
    "timer": _timer,
    "effect": _effect,
    "handler": _handler,
    "transition": _transition,
    "stack": _stack,
    "error": _routed,
    "end": _end,
    "snapshot": _snapshot,
    "gap": _gap,
    "nothing": _nothing,
}
