"""Many records in one on the wire: a log record for each costs more than what it tells of.

The record "batch" has the index, number, visit and time of the first of them, and a table as its body: the shapes (an event and the names
of its attributes), and for each record the place of its shape, how much number, visit and time grew since the one before, and the values of
its attributes. Nearly all steps of nearly all machines go along plain edges; such a step is one line of the table (its shape is "step",
source, target and label), and a "handler" and a "transition" to readers.
"""

from __future__ import annotations

import json
from operator import sub
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from septum import semconv
from septum.replay._note import Note
from septum.replay._record import EVENTS, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from septum.replay._note import Entry

Edge: TypeAlias = "tuple[str, str, str]"

_STEP: Final = "step"
_EDGE: Final = 3

# A step stands for five facts, and `Passed` has the number of the last: handler_started, handler_finished, visit_ended, transition_taken,
# visit_started. Whatever the handler did stands between the first two.
FINISHED: Final = 3
_TAKEN: Final = 1

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
    """Return *entries*, at least one, of one run and without bodies, as one; *edges* has the names to write for those of the definition."""
    places: dict[tuple[str, ...], int] = {}
    shapes: list[int] = []
    seqs: list[int] = []
    values: list[object] = []
    for entry in entries:
        if isinstance(entry, Note):
            attributes = entry[6]
            shapes.append(places.setdefault((entry[5], *attributes), len(places)))
            seqs.append(entry[1])
            values += attributes.values()
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
    text = f'{{"shapes":{_write(written)},{columns.replace(" ", "")},"values":{_write(values)}}}'
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


def expand(record: Record) -> Iterator[Record]:
    """Yield the records that a "batch" is.

    Raises:
        TypeError, ValueError: Its body is no such table; the records before the place where it is wrong were yielded.
    """
    table = _Table(record.body)
    index, seq, visit, at = record.index, record.seq, record.visit, record.at
    wall = record.wall - at
    who = record[6:9]
    digest = record.definition_hash
    values = iter(table.values)
    for place, more, further, later in zip(table.shape, (0, *table.seq), (0, *table.visit), (0, *table.at), strict=True):
        seq += more
        visit += further
        at += later
        shape = table.shapes[place]
        if isinstance(shape, _Step):
            yield Record("handler", index, seq, visit, at, wall + at, *who, shape.handler, None, digest)
            index += 1
            number = seq + FINISHED - _TAKEN
            yield Record("transition", index, number, visit, at, wall + at, *who, shape.transition, None, digest)
        else:
            event, *names = shape
            attributes = dict(zip(names, values, strict=False))
            if len(attributes) != len(names):
                raise ValueError("the table of a batch has too few values, or one name twice")
            yield Record(event, index, seq, visit, at, wall + at, *who, attributes, None, digest)
        index += 1
    if next(values, _STEP) is not _STEP:
        raise ValueError("the table of a batch has values that belong to nothing")


class _Step(NamedTuple):
    """A plain edge, as attributes of the two records that it is."""

    handler: Mapping[str, object]
    transition: Mapping[str, object]


class _Table:
    """The body of a batch, checked as far as can be done before it is read."""

    def __init__(self, body: object) -> None:
        if not isinstance(body, dict):
            raise TypeError(f"the table of a batch is a {type(body).__name__}")
        found = cast("dict[str, object]", body)
        self.shapes = [_shape(shape) for shape in _list(found.get("shapes"))]
        self.shape, self.seq, self.visit, self.at = (_numbers(found.get(name)) for name in ("shape", "seq", "visit", "at"))
        self.values = [tuple(cast("list[object]", value)) if isinstance(value, list) else value for value in _list(found.get("values"))]
        lengths = {len(self.shape), len(self.seq) + 1, len(self.visit) + 1, len(self.at) + 1}
        if len(lengths) > 1:
            raise ValueError(f"the columns of a batch have the lengths {sorted(lengths)}")
        if not all(0 <= place < len(self.shapes) for place in self.shape):
            raise ValueError("the table of a batch names a shape that it does not have")
        if any(isinstance(value, dict) for value in self.values):
            raise TypeError("the table of a batch has a mapping for a value")


def _shape(found: object) -> tuple[str, ...] | _Step:
    names = _list(found)
    if not names or not all(type(name) is str for name in names):
        raise TypeError("the table of a batch has a shape that is no list of names")
    event, *rest = cast("list[str]", names)
    if event == _STEP and len(rest) == _EDGE:
        edge = (rest[0], rest[1], rest[2])
        return _Step(handler_attributes(edge), transition_attributes(edge))
    if event not in EVENTS:
        raise ValueError(f"the table of a batch has a record {event[:20]!r}, which there is none of")
    return (event, *rest)


def _list(found: object) -> list[object]:
    if not isinstance(found, list):
        raise TypeError("the table of a batch has something else in place of a list")
    return cast("list[object]", found)


def _numbers(found: object) -> list[int]:
    if not all(type(value) is int for value in _list(found)):
        raise TypeError("the table of a batch has something else than whole numbers")
    return cast("list[int]", found)
