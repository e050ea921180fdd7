"""What a sink is handed: the records of a run, in the form in which they cost least to write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from septum import semconv
from septum.replay._batch import expand
from septum.replay._record import BATCH, NO_ATTRIBUTES, PREFIX, VERSION, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Identity(NamedTuple):
    """Which run of which machine, as each of its records says."""

    run_id: str
    machine_id: str
    machine_name: str
    definition_hash: str


class Item(NamedTuple):
    """One log record of a run; fields as in `Record`, the body still as text.

    Attributes:
        text: The body as JSON text; None if there is none.
        context: What the sink's `context()` answered where it happened.
    """

    event: str
    index: int  # type: ignore[assignment]  # as in `Record`
    seq: int
    visit: int
    at: int
    wall: int
    attributes: Mapping[str, object] = NO_ATTRIBUTES
    text: str | None = None
    context: object = None


class Part(NamedTuple):
    """Items of one run, in their order."""

    identity: Identity
    items: Sequence[Item]

    def records(self) -> Iterator[Record]:
        """Yield the records that the items are."""
        who = self.identity
        for item in self.items:
            body = None if item.text is None else json.loads(item.text)
            record = Record(*item[:6], *who[:3], item.attributes, body, who.definition_hash)
            if item.event == BATCH:
                yield from expand(record)
            else:
                yield record

    def log_records(self) -> Iterator[tuple[str, int, dict[str, Any], str | None, object]]:
        """Yield for each item what a log record of OpenTelemetry has: event name, time, attributes, body, and the context that was kept."""
        who = self.identity
        for item in self.items:
            attributes = {
                semconv.RECORDING_VERSION: VERSION,
                semconv.RECORDING_INDEX: item.index,
                semconv.RECORDING_TIME: item.at,
                semconv.SEQ: item.seq,
                semconv.VISIT_NUMBER: item.visit,
                semconv.RUN_ID: who.run_id,
                semconv.MACHINE_ID: who.machine_id,
                semconv.MACHINE_NAME: who.machine_name,
                semconv.MACHINE_DEFINITION_HASH: who.definition_hash,
                **item.attributes,
            }
            yield PREFIX + item.event, item.wall, attributes, item.text, item.context


class Sink(Protocol):
    """Where a recording goes. Whatever its methods raise is logged and counted by the recorder, and the machine does not notice."""

    def write(self, parts: Sequence[Part]) -> None:
        """Take records, of any number of runs; `Part.records` has them one by one. Called in the thread of a machine or of a timer."""
        ...

    def flush(self) -> None:
        """Bring what was taken to where it outlives the process."""
        ...

    def close(self) -> None:
        """Flush, and take no more; a second call does nothing."""
        ...
