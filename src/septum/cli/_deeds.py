"""What a recorded run did: its transitions and deadlines, one by one, as coverage compares them and heat counts them."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum.replay._model import Run, Step

END: Final = "end"

_KINDS: Final = {"transition": "direct", "push": "push", "pop": "pop", "repeat": "repeat", "restart": "restart", "retry": "retry"}
"""The kind of a transition without a label, by the outcome of the visit that it ends, where that alone tells it."""


class Deed(NamedTuple):
    """Something that a machine did; states by their names below the module, as telemetry calls them.

    Attributes:
        source: The state that it was in.
        way: The label as text, the kind of a transition without one, or "timeout".
        target: The state that it went to; "end" for none, "" where that is not the point (a timeout).
    """

    source: str
    way: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} -{self.way.rpartition('.')[2]}-> {self.target}".rstrip()


def list_deeds(run: Run) -> Iterator[Deed]:
    """Yield what *run* did, in its order. `Again` and `Unhandled` end no visit, so that no run tells of them."""
    for step, after in zip_longest(run.steps, run.steps[1:]):
        if step.source is not None and step.kind not in {None, "initial"}:
            yield Deed(step.source, step.label or str(step.kind), step.state)
        # Spans of visits alone do not tell when a deadline fired, but most of them that it decided.
        if step.timed_out is not None or step.outcome == "timeout" or step.error == "timeout":
            yield Deed(step.state, "timeout", "")
        if after is None or after.visit != step.visit + 1 or after.source is None:
            yield from _leave(step)


def _leave(step: Step) -> Iterator[Deed]:
    """Yield by which way *step* was left, as far as it alone tells that."""
    way = step.exit or _KINDS.get(step.outcome or "")
    if step.target is not None and way is not None:
        yield Deed(step.state, way, step.target)
    elif step.target is None and step.exit is not None:
        yield Deed(step.state, step.exit, END)
