"""Many records in one on the wire: a log record for each costs more than what it tells of.

The record "batch" has the index, number, visit and time of the first of them, and a table as its body: the shapes (an event and the names
of its attributes), and for each record the place of its shape, how much number, visit and time grew since the one before, the values of its
attributes, and its body if they say that it has one. Nearly all steps of nearly all machines go along plain edges; such a step is one line
of the table (its shape is "step", source, target and label), and a "handler" and a "transition" to readers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from operator import sub
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from septum import semconv
from septum.replay._note import Note
from septum.replay._record import EVENTS, NO_ATTRIBUTES, Record
from septum.replay._signals import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from septum.replay._note import Entry

Edge: TypeAlias = "tuple[str, str, str]"

_STEP: Final = "step"
_EDGE: Final = 3
_NOTHING: Final = object()

# A step stands for five facts, and `Passed` has the number of the last: handler_started, handler_finished, visit_ended, transition_taken,
# visit_started. Whatever the handler did stands between the first two.
FINISHED: Final = 3
_TAKEN: Final = 1

WITH_BODY: Final = (semconv.RecordingEncoding.JSON, semconv.RecordingEncoding.REPR)
"""What `septum.recording.encoding` says of a record that has a body."""

_ENCODING: Final = semconv.RECORDING_ENCODING
_MOST_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 1024  # characters

_write = json.JSONEncoder(separators=(",", ":")).encode


class Batch(NamedTuple):
    """Several records as one.

    Attributes:
        seq, visit, at: Of the first; the time in nanoseconds since the run began to be recorded.
        records: How many there are.
        text: The table, as JSON.
    """

    seq: int
    visit: int
    at: int
    records: int
    text: str


def pack(entries: Sequence[Entry], zero: float, edges: Mapping[Edge, Edge]) -> Batch:
    """Return *entries*, at least one, of one run, as one; *edges* has the names to write for those of the definition."""
    places: dict[tuple[str, ...], int] = {}
    shapes: list[int] = []
    seqs: list[int] = []
    values: list[object] = []
    bodies: list[str] = []
    for entry in entries:
        if isinstance(entry, Note):
            attributes = entry[6]
            shapes.append(places.setdefault((entry[5], *attributes), len(places)))
            seqs.append(entry[1])
            values += attributes.values()
            text = entry[7]
            if text is not None:
                bodies.append(text)
        else:
            shapes.append(places.setdefault((_STEP, *entry[4]), len(places)))
            seqs.append(entry[1] - FINISHED)
    visits = [entry[2] for entry in entries]
    times = [int((entry[3] - zero) * 1e9) for entry in entries]
    steps = sum(shape[0] == _STEP for shape in map(list(places).__getitem__, shapes))
    written = [[_STEP, *edges[cast("Edge", shape[1:])]] if shape[0] == _STEP else shape for shape in places]
    # `repr` writes a list of ints three times as fast as `json` does, and as JSON has it.
    columns = ",".join(
        f'"{name}":{column!r}'
        for name, column in (("shape", shapes), ("seq", _growth(seqs)), ("visit", _growth(visits)), ("at", _growth(times)))
    )
    text = f'{{"shapes":{_write(written)},{columns.replace(" ", "")},"values":{_write(values)},"bodies":[{",".join(bodies)}]}}'
    return Batch(seqs[0], visits[0], times[0], len(entries) + steps, text)


def _growth(numbers: list[int]) -> list[int]:
    return list(map(sub, numbers[1:], numbers))


def handler_attributes(edge: Edge) -> Mapping[str, object]:
    """Return the attributes of the "handler" of a step along *edge*."""
    return {
        semconv.HANDLER_NAME: semconv.HandlerName.ON_STATE,
        semconv.STATE_NAME: edge[0],
        semconv.ANSWER_KIND: semconv.AnswerKind.LABEL,
        semconv.ANSWER_NAME: edge[2],
    }


def transition_attributes(edge: Edge) -> Mapping[str, object]:
    """Return the attributes of its "transition"."""
    return {
        semconv.TRANSITION_FROM_STATE: edge[0],
        semconv.TRANSITION_KIND: semconv.TransitionKind.LABEL,
        semconv.TRANSITION_TO_STATE: edge[1],
        semconv.TRANSITION_LABEL: edge[2],
    }


@dataclass(slots=True)
class Table:
    """The body of a batch, of which each part has its type.

    Attributes:
        shapes: Of each the event, and the names of its attributes.
        shape: For each record the place of its shape.
        seq, visit, at: How much they grew from each record to the next.
        values: Of all attributes of all records, in their order.
        bodies: Of the records that have one, likewise.
    """

    shapes: list[tuple[str, ...]]
    shape: list[int]
    seq: list[int]
    visit: list[int]
    at: list[int]
    values: list[str | int | float | bool | tuple[object, ...] | None]
    bodies: list[object] = field(default_factory=list[object])


def read_table(body: object) -> Table:
    """Return the table that a parsed JSON text is.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(body, dict):
        raise TypeError(f"the table of a batch is a {type(body).__name__}")
    found = cast("dict[str, object]", body)
    shapes = [tuple(_list(shape)) for shape in _list(found.get("shapes"))]
    if not all(type(name) is str for shape in shapes for name in shape):
        raise TypeError("the table of a batch has a shape that is no list of names")
    values = [tuple(cast("list[object]", value)) if isinstance(value, list) else value for value in _list(found.get("values"))]
    if any(isinstance(value, dict) for value in values):
        raise TypeError("the table of a batch has a mapping for a value")
    shape, seq, visit, at = (_numbers(found.get(name)) for name in ("shape", "seq", "visit", "at"))
    return Table(cast("Any", shapes), shape, seq, visit, at, cast("Any", values), _list(found.get("bodies", [])))


def expand(record: Record) -> Iterator[Record]:
    """Yield the records that a "batch" is.

    Raises:
        TypeError, ValueError: Its body is no such table; the records before the place where it is wrong were yielded.
    """
    body = record.body
    table = body if isinstance(body, Table) else read_table(body)
    _, index, seq, visit, at, wall, run_id, machine_id, machine_name, _, _, digest = record
    wall -= at
    shapes = [_known.get(shape) or _read_shape(shape) for shape in table.shapes]
    places = table.shape
    if not len(places) == len(table.seq) + 1 == len(table.visit) + 1 == len(table.at) + 1:
        lengths = sorted({len(places), len(table.seq) + 1, len(table.visit) + 1, len(table.at) + 1})
        raise ValueError(f"the columns of a batch have the lengths {lengths}")
    if min(places) < 0 or max(places) >= len(shapes):
        raise ValueError("the table of a batch names a shape that it does not have")
    values, bodies = iter(table.values), iter(table.bodies)
    for place, more, further, later in zip(places, (0, *table.seq), (0, *table.visit), (0, *table.at), strict=True):
        seq += more
        visit += further
        at += later
        event, names, handler, transition = shapes[place]
        body = None
        if handler is not None:
            yield build(Record, ("handler", index, seq, visit, at, wall + at, run_id, machine_id, machine_name, handler, None, digest))
            index += 1
            event, seq_of, attributes = "transition", seq + FINISHED - _TAKEN, transition
        else:
            seq_of, attributes = seq, dict(zip(names, values, strict=False))
            if len(attributes) != len(names):
                raise ValueError("the table of a batch has too few values, or one name twice")
            if attributes.get(_ENCODING) in WITH_BODY:
                body = next(bodies, _NOTHING)
                if body is _NOTHING:
                    raise ValueError("the table of a batch has too few bodies")
        yield build(Record, (event, index, seq_of, visit, at, wall + at, run_id, machine_id, machine_name, attributes, body, digest))
        index += 1
    if next(values, _NOTHING) is not _NOTHING or next(bodies, _NOTHING) is not _NOTHING:
        raise ValueError("the table of a batch has values that belong to nothing")


class _Shape(NamedTuple):
    """An event and the names of its attributes; or a plain edge, as attributes of the two records that it is."""

    event: str
    names: tuple[str, ...] = ()
    handler: Mapping[str, object] | None = None
    transition: Mapping[str, object] = NO_ATTRIBUTES


_known: dict[tuple[str, ...], _Shape] = {}
"""What shapes say: those of a recording are few, and stand in each of its batches."""


def _read_shape(found: tuple[str, ...]) -> _Shape:
    if not found:
        raise TypeError("the table of a batch has a shape that is no list of names")
    event, *names = found
    if event == _STEP and len(names) == _EDGE:
        edge = (names[0], names[1], names[2])
        shape = _Shape(_STEP, (), handler_attributes(edge), transition_attributes(edge))
    elif event in EVENTS:
        shape = _Shape(event, tuple(names))
    else:
        raise ValueError(f"the table of a batch has a record {event[:20]!r}, which there is none of")
    if sum(map(len, found)) <= _LONGEST_KNOWN:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[found] = shape
    return shape


def _list(found: object) -> list[object]:
    if not isinstance(found, list):
        raise TypeError("the table of a batch has something else in place of a list")
    return cast("list[object]", found)


def _numbers(found: object) -> list[int]:
    if not all(type(value) is int for value in _list(found)):
        raise TypeError("the table of a batch has something else than whole numbers")
    return cast("list[int]", found)
