"""What a recording is made of: one record for each thing that entered a run or was decided in it; version 1 of the format.

docs/reference/recording.md says the same for people.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from septum import semconv

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
"""Version of the format that is written; every version up to it is read."""

SCOPE: Final = "septum.recording"
"""Name of the instrumentation scope of every record."""

PREFIX: Final = "septum.recording."
"""What the name of an event begins with on the wire: "septum.recording.message" is the record "message"."""

BATCH: Final = "batch"
"""On the wire only: many records in one; see `_batch`."""

EventName = Literal["start", "message", "taken", "dropped", "timer", "effect", "handler", "transition", "stack", "error", "snapshot", "end"]
EVENTS: Final[tuple[str, ...]] = get_args(EventName)

NO_ATTRIBUTES: Final[Mapping[str, object]] = MappingProxyType({})


class Record(NamedTuple):
    """One record of a run.

    Attributes:
        event: What it is: start, message, taken, dropped, timer, effect, handler, transition, stack, error, snapshot or end.
        index: 1, 2, 3 ... over the records of the run, without a gap as they were made: a gap means that records were lost.
        seq: The number of the fact that it was made from, the same as `septum.seq` of spans.
        visit: Number of the visit in the run; 0 before the first.
        at: Nanoseconds of the machine's clock since the run began to be recorded.
        wall: Nanoseconds since the Unix epoch.
        run_id, machine_id, machine_name: Which run of which machine.
        attributes: What else is known, by names of `septum.semconv`. States are called as in telemetry (below their module); where two
            states of the definition share that name, both are written in full.
        body: The payload of a message, the result of an effect, `common` at the start: what `septum._codec.encode` makes of it, for
            `decode` to read. None also stands for no body; `attributes` have `septum.recording.encoding` if there is one.
        definition_hash: `Graph.hash` of the definition that the run walks on.
    """

    event: str
    index: int  # type: ignore[assignment]  # takes the place of tuple.index, which a record has no use for
    seq: int
    visit: int
    at: int
    wall: int
    run_id: str
    machine_id: str
    machine_name: str
    attributes: Mapping[str, object] = NO_ATTRIBUTES
    body: object = None
    definition_hash: str = ""


FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        semconv.RECORDING_INDEX: "index",
        semconv.RECORDING_TIME: "at",
        semconv.SEQ: "seq",
        semconv.VISIT_NUMBER: "visit",
        semconv.RUN_ID: "run_id",
        semconv.MACHINE_ID: "machine_id",
        semconv.MACHINE_NAME: "machine_name",
        semconv.MACHINE_DEFINITION_HASH: "definition_hash",
    }
)
"""The attributes that every record has on the wire, and the fields of `Record` that they are; with them `septum.recording.version`."""
