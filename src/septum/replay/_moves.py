"""The path of a run: its transitions, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from septum import semconv
from septum.replay._telling import name_message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum.replay._record import Record


class Move(NamedTuple):
    """One transition of a path.

    Attributes:
        at: Nanoseconds since the run began to be recorded.
        source: The state that was left, as telemetry calls it.
        target: The state that was entered; None at the end of the machine.
        label: The label of the edge; None if it has none.
        kind: The kind of the edge.
        cause: What it came of: a message, the timeout, an exception; "" if of nothing from outside.
    """

    at: int
    source: str
    target: str | None
    label: str | None
    kind: str
    cause: str = ""

    def is_like(self, other: Move) -> bool:
        """Say whether both lead along the same edge."""
        return self[1:5] == other[1:5]

    def __str__(self) -> str:
        way = self.label if self.kind == "label" else self.kind if self.label is None else f"{self.label}, {self.kind}"
        return f"{self.source} -> {self.target or 'the end'} ({way})"


def recorded_path(records: Iterable[Record]) -> list[Move]:
    """Return the transitions of a recording."""
    path: list[Move] = []
    cause = ""
    for record in records:
        found = record.attributes
        match record.event:
            case "taken":
                cause = name_message(found.get(semconv.MESSAGE_ID), found.get(semconv.MESSAGE_TYPE))
            case "timer" if found.get(semconv.TIMER_KIND) == semconv.TimerKind.TIMEOUT:
                cause = "timeout"
            case "error":
                cause = str(found.get(semconv.ERROR_TYPE))
            case "transition":
                source, target, label, kind = [cast("str | None", found.get(name)) for name in _PARTS]
                path.append(Move(record.at, source or "", target, label, kind or "", cause))
                cause = ""
            case _:
                pass
    return path


_PARTS: Final = (semconv.TRANSITION_FROM_STATE, semconv.TRANSITION_TO_STATE, semconv.TRANSITION_LABEL, semconv.TRANSITION_KIND)
