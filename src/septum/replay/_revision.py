"""Puts edits into a recording: the records as they would have been, and the definition with other limits."""

from __future__ import annotations

import builtins
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from septum import semconv
from septum._errors import CodecError
from septum._graph import ASYNC, ASYNC_TIMED, Edge, Graph, Node
from septum._node import ASYNC_DWELLS
from septum.logs import type_name
from septum.replay._edits import (
    BadEdit,
    ChangeMessage,
    DropMessage,
    Edit,
    InsertMessage,
    MoveMessage,
    Payload,
    Place,
    SetError,
    SetResult,
    SetRetries,
    SetTimeout,
)
from septum.replay._payloads import Given
from septum.replay._telling import is_own, number_of
from septum.replay._values import class_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from septum.replay._payloads import Payloads
    from septum.replay._record import Record

MOVED: Final = "moved"
"""Stands among the attributes of a message that comes where none came."""

_GIVEN: Final = {semconv.RECORDING_ENCODING: semconv.RecordingEncoding.JSON}
_OF_VALUE: Final = (
    semconv.RECORDING_ENCODING,
    semconv.RECORDING_REDACTED,
    semconv.RECORDING_SIZE,
    semconv.RECORDING_DIGEST,
    semconv.ERROR_TYPE,
    semconv.EXCEPTION_MESSAGE,
)


def revise(records: Sequence[Record], edits: Sequence[Edit], payloads: Payloads) -> list[Record]:
    """Return *records* with *edits* in them, numbered anew; limits of states are not their business.

    Raises:
        BadEdit: An edit names a message or a call that is not there, or that a handler makes.
    """
    revised = list(records)
    for edit in edits:
        match edit:
            case DropMessage(number):
                for place in _find_payloads(revised, number, edit):
                    record = revised[place]
                    revised[place : place + 1] = [] if record.event == "message" else [_without_value(record)]
            case ChangeMessage(number, payload):
                for place in _find_payloads(revised, number, edit):
                    revised[place] = _with_value(revised[place], _change(revised[place], payload, payloads))
            case InsertMessage(payload, where):
                value = _make(payload, payloads)
                _put(revised, _new_message(revised, value), where, edit)
            case MoveMessage(number, where):
                record = revised.pop(_find_message(revised, number, edit))
                _put(revised, record, where, edit)
            case SetResult(name, payload, 0) if not _calls(revised, name):
                pass  # for calls that were never made
            case SetResult(name, payload, occurrence):
                for place in _find_calls(revised, name, occurrence, edit):
                    revised[place] = _with_value(revised[place], _change(revised[place], payload, payloads))
            case SetError(name, error, text, 0) if not _calls(revised, name):
                pass
            case SetError(name, error, text, occurrence):
                for place in _find_calls(revised, name, occurrence, edit):
                    revised[place] = _with_error(revised[place], _make_error(error, text, payloads))
            case _:
                pass
    return [record._replace(index=index) for index, record in enumerate(revised, start=1)]


def _find_message(records: list[Record], number: int, edit: Edit) -> int:
    """Return where the message of that number is received."""
    known: list[int] = []
    for place, record in enumerate(records):
        if record.event == "message":
            if number_of(record) == number:
                if is_own(record):
                    raise BadEdit(
                        f"{edit}: message {number} was sent by a handler of the machine, called again here. Edit what it acts on."
                    )
                return place
            if not is_own(record):
                known.append(number_of(record))
    shown = ", ".join(map(str, known[:20])) or "none"
    raise BadEdit(f"{edit}: there is no message {number} from outside in this run; there are: {shown}.")


def _find_payloads(records: list[Record], number: int, edit: Edit) -> list[int]:
    """Return where that message stands, last first: where it is received, and where it is taken from what waited before a recording."""
    taken = [
        place for place, record in enumerate(records) if record.event == "taken" and _has_value(record) and number_of(record) == number
    ]
    try:
        received = [_find_message(records, number, edit)]
    except BadEdit:
        if not taken:
            raise
        received = []
    return sorted([*received, *taken], reverse=True)


def _has_value(record: Record) -> bool:
    return semconv.RECORDING_ENCODING in record.attributes


def _without_value(record: Record) -> Record:
    return record._replace(attributes={key: known for key, known in record.attributes.items() if key not in _OF_VALUE}, body=None)


def _find_calls(records: list[Record], name: str, occurrence: int, edit: Edit) -> list[int]:
    calls = [(place, record.attributes.get(semconv.EFFECT_NAME)) for place, record in enumerate(records) if record.event == "effect"]
    found = [place for place, called in calls if called == name]
    if not found or occurrence > len(found):
        names = sorted({str(called) for place, called in calls if records[place].attributes.get(semconv.EFFECT_KIND) == "call"})
        what = f"{len(found)} calls" if found else "no call"
        raise BadEdit(f"{edit}: there is {what} of {name!r} in this run; calls: {', '.join(names) or 'none'}.")
    return found if not occurrence else [found[occurrence - 1]]


def _put(records: list[Record], message: Record, where: Place, edit: Edit) -> None:
    """Put *message* where it is to come, with the time of there."""
    if where.at is not None:
        at = round(where.at * 1e9)
        place = next((place for place, record in enumerate(records) if place and record.at > at), len(records))
    else:
        place = _find_message(records, where.beside, edit) + where.after
        at = records[place - where.after].at
    attributes = {**message.attributes, MOVED: True}
    records.insert(place, message._replace(at=at, visit=records[place - 1].visit, seq=records[place - 1].seq, attributes=attributes))


def _with_value(record: Record, value: object, attributes: Mapping[str, object] | None = None) -> Record:
    kept = {key: known for key, known in record.attributes.items() if key not in _OF_VALUE}
    if record.event in {"message", "taken"}:
        kept[semconv.MESSAGE_TYPE] = type_name(value)
    return record._replace(attributes={**kept, **_GIVEN, **(attributes or {})}, body=Given(value))


def _with_error(record: Record, error: BaseException) -> Record:
    return _with_value(record, error, {semconv.ERROR_TYPE: class_name(type(error))})


def answers_of(records: Sequence[Record], edits: Sequence[Edit], payloads: Payloads) -> dict[str, Record]:
    """Return what *edits* say that every call of a name gives, as records: for calls beyond those that were recorded."""
    found: dict[str, Record] = {}
    for edit in edits:
        if isinstance(edit, SetResult | SetError) and not edit.occurrence:
            attributes = {semconv.EFFECT_KIND: semconv.EffectKind.CALL, semconv.EFFECT_NAME: edit.name}
            record = records[0]._replace(event="effect", attributes=attributes, body=None)
            if isinstance(edit, SetResult):
                found[edit.name] = _with_value(record, _make(edit.payload, payloads))
            else:
                found[edit.name] = _with_error(record, _make_error(edit.error, edit.text, payloads))
    return found


def _calls(records: Sequence[Record], name: str) -> list[int]:
    """Return where calls of that name are."""
    return [
        place for place, record in enumerate(records) if record.event == "effect" and record.attributes.get(semconv.EFFECT_NAME) == name
    ]


def refuse_unknown_calls(records: Sequence[Record], edits: Sequence[Edit], asked: set[str]) -> None:
    """Refuse edits of calls that neither the recording has nor the replay made.

    Raises:
        BadEdit: There is such an edit.
    """
    for edit in edits:
        if isinstance(edit, SetResult | SetError) and edit.name not in asked and not _calls(records, edit.name):
            _find_calls(list(records), edit.name, edit.occurrence, edit)


def _new_message(records: list[Record], value: object) -> Record:
    # A number of its own, beyond all others.
    number = 1 + max((number_of(record) for record in records if record.event == "message"), default=0)
    attributes = {
        semconv.MESSAGE_ID: str(number),
        semconv.MESSAGE_TYPE: type_name(value),
        semconv.RECORDING_OWN: False,
        **_GIVEN,
    }
    return records[0]._replace(event="message", attributes=attributes, body=Given(value))


def _change(record: Record, payload: object, payloads: Payloads) -> object:
    """Return the value in place of what *record* holds."""
    if isinstance(payload, Payload) and not payload.kind:
        changed = _with_fields(record.body, payload.data)
        if changed is not None:
            return payloads.decode(changed)
    return _make(payload, payloads)


def _with_fields(body: Any, given: Any) -> dict[str, Any] | None:
    """Return an encoded object with the fields that are *given*, all others as they were; None if it is none that has them."""
    if not isinstance(given, dict) or not isinstance(body, dict):
        return None
    known, fields = cast("dict[str, Any]", body), cast("dict[str, Any]", given)
    if known.get("$") not in {"data", "object", "model"}:
        return None
    for part in ("v", "s"):
        own: Any = known.get(part)
        if isinstance(own, dict) and own.keys() >= fields.keys():
            return {**known, part: {**cast("dict[str, Any]", own), **fields}}
    return None


def _make(payload: object, payloads: Payloads) -> object:
    """Return the object that *payload* stands for."""
    if not isinstance(payload, Payload):
        return payload
    if not payload.kind:
        try:
            return payloads.decode(payload.data)
        except CodecError as error:
            raise BadEdit(f"{payload}: {error}") from error
    kind = _find_class(payload.kind, payloads)
    data = payload.data
    try:
        if issubclass(kind, Enum):
            return kind[data] if data in kind.__members__ else kind(data)
        if isinstance(data, dict):
            return kind(**cast("dict[str, Any]", data))
        return kind(*data) if isinstance(data, list) else kind(data)
    except Exception as error:
        raise BadEdit(f"{payload}: no {payload.kind} can be made of it: {type(error).__name__}: {error}") from error


def _make_error(name: BaseException | str, text: str, payloads: Payloads) -> BaseException:
    if isinstance(name, BaseException):
        return name
    kind = _find_class(name, payloads)
    if not issubclass(kind, BaseException):
        raise BadEdit(f"{name} is no exception.")
    return kind(text) if text else kind()


def _find_class(name: str, payloads: Payloads) -> type[Any]:
    module, _, path = name.rpartition(":") if ":" in name else name.rpartition(".")
    if not module:
        found: object = getattr(builtins, name, None)
        if isinstance(found, type):
            return found
    try:
        return payloads.find(f"{module}:{path or name}")
    except CodecError as error:
        raise BadEdit(f"{name}: {error}. Name it module:Class, or give it as `allowed=`.") from error


# -- limits


def limits_of(edits: Sequence[Edit], graph: Graph) -> dict[str, dict[str, float | None]]:
    """Return the limits that *edits* set, by the full names of the states: "timeout" and "retries".

    Raises:
        BadEdit: There is no such state.
    """
    found: dict[str, dict[str, float | None]] = {}
    for edit in edits:
        if isinstance(edit, SetRetries | SetTimeout):
            matching = [node for node in graph.nodes if edit.state in {node.name, node.qualname}]
            if len(matching) != 1:
                known = ", ".join(node.qualname for node in graph.nodes)
                raise BadEdit(f"{edit}: there is no state {edit.state!r}, or more than one; the definition has {known}.")
            limits = found.setdefault(matching[0].name, {})
            if isinstance(edit, SetRetries):
                limits["retries"] = edit.limit
            else:
                limits["timeout"] = edit.seconds
    return found


def with_limits(graph: Graph, limits: dict[str, dict[str, float | None]]) -> Graph:
    """Return a copy of *graph* with other limits; states of machines that run are not touched."""
    nodes = {node.name: Node(node.spec, node.on_state, node.index) for node in graph.nodes}
    for name, changed in limits.items():
        node = nodes[name]
        if "retries" in changed:
            node.retries = cast("int | None", changed["retries"])
        if "timeout" in changed:
            node.timeout = changed["timeout"]
            node.may_wait = node.can_dwell or node.timeout is not None
            if node.is_async and not node.terminal:
                node.speed = ASYNC_TIMED if node.timeout is not None else ASYNC_DWELLS if node.can_dwell else ASYNC
    place = 0
    for node in graph.nodes:
        edges = tuple(Edge(edge.label, edge.kind, tuple(nodes[target.name] for target in edge.targets)) for edge in node.edges)
        copy = nodes[node.name]
        copy.connect(edges, place)
        place += len(copy.plain)
    return Graph(nodes[graph.initial.name], None if graph.error is None else nodes[graph.error.name], tuple(nodes.values()))
