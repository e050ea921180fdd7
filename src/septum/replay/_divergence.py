"""Where a replay left its recording: what was expected, what was found, and what ends a replay."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from septum._errors import SeptumError

Verdict = Literal["same", "diverged", "refused", "incomplete"]

Kind = Literal[
    "answer",  # a handler answered differently, or ended on another way
    "handler",  # another handler was called
    "call",  # ctx.call, ctx.now, ctx.random or ctx.uuid was asked for something else
    "message",  # a handler sent something else
    "common",  # the data that the states share differs after a handler
    "waits",  # a handler waits for something that is not in the recording
    "machine",  # the machine itself moved differently: transition, stack, timer, error, end
    "unreadable",  # refused: something was not kept, or cannot be made again
    "gap",  # incomplete: records are missing
]

_VERDICTS: Final[dict[str, Verdict]] = {"unreadable": "refused", "gap": "incomplete"}


class ReplayError(SeptumError):
    """A replay was asked for that cannot be: no records, a machine that was started already, an edit that means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where a replay stopped, and why.

    Attributes:
        kind: What differs: answer, handler, call, message, common, waits, machine; or unreadable, gap, where the recording ends the replay.
        index: Of the record that was expected, from 1; where the recording was at its end, of the one that would follow.
        seq: The number of the fact that the record was made from, the same as `septum.seq` of spans.
        visit: Number of the visit in the run.
        at: Nanoseconds since the run began to be recorded.
        state: The state, as telemetry calls it; None before the first.
        handler: The handler that was at work; None between two.
        expected: What was recorded, in words.
        found: What happened in the replay, in words.
        where: The line of the program, as "path:line"; None where there is none to point at.
        advice: What to do about it; "" where that is plain.
        before: The last records before it, in words, oldest first.
    """

    kind: Kind
    index: int
    seq: int
    visit: int
    at: int
    state: str | None
    handler: str | None
    expected: str
    found: str
    where: str | None = None
    advice: str = ""
    before: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What this makes of the whole replay."""
        return _VERDICTS.get(self.kind, "diverged")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        place = "" if self.state is None else f" in {self.state}"
        lines = [f"record {self.index} (seq {self.seq}, visit {self.visit}{place}, {self.at / 1e9:.6f} s)"]
        lines += [f"  before:   {text}" for text in self.before[-1:]]
        lines += [f"  recorded: {self.expected}", f"  replayed: {self.found}"]
        if self.where is not None:
            lines.append(f"  where:    {self.where}")
        if self.advice:
            lines.append(f"  {self.advice}")
        return "\n".join(lines)


class Halt(BaseException):
    """Ends a replay from wherever it is noticed; no BaseException of the user's, and no `except Exception` of theirs stops it."""

    def __init__(self, divergence: Divergence | None) -> None:
        super().__init__(divergence)
        self.divergence = divergence
