"""Transition coverage: a hook that counts what machines do, and the counts, which can be written, read and added up."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from septum import Hooks
from septum.testing._errors import CoverageError

if TYPE_CHECKING:
    from pathlib import Path

    from septum import facts
    from septum._tally import Tally

FORMAT: Final = "septum-coverage"
VERSION: Final = 1

Taken: TypeAlias = "tuple[str, str | None, str | None, str]"
"""A transition as hooks are told it: source, target, label, kind; states by their full names."""


class Counts:
    """How often machines did what.

    Attributes:
        transitions: By source, target, label and kind.
        starts: Runs that began, by the state.
        timeouts: Deadlines that fired, by the state.
        exhausted: Retries asked for past the limit, by the state.
        names: For each state seen in a definition its name below the module, as telemetry calls it.
    """

    def __init__(self) -> None:
        self.transitions: Counter[Taken] = Counter()
        self.starts: Counter[str] = Counter()
        self.timeouts: Counter[str] = Counter()
        self.exhausted: Counter[str] = Counter()
        self.names: dict[str, str] = {}

    def add(self, other: Counts) -> None:
        """Count what *other* has counted as well."""
        self.transitions.update(other.transitions)
        self.starts.update(other.starts)
        self.timeouts.update(other.timeouts)
        self.exhausted.update(other.exhausted)
        self.names.update(other.names)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "transitions": [[*taken, count] for taken, count in sorted(self.transitions.items(), key=repr)],
            "starts": dict(sorted(self.starts.items())),
            "timeouts": dict(sorted(self.timeouts.items())),
            "exhausted": dict(sorted(self.exhausted.items())),
            "names": dict(sorted(self.names.items())),
        }

    @classmethod
    def from_dict(cls, data: object, origin: str = "what was given") -> Counts:
        """Return what `to_dict` made into *data*; *origin* says in errors where it came from.

        Raises:
            CoverageError: It is something else, or of a later version.
        """
        found = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        if found.get("format") != FORMAT:
            raise CoverageError(
                f"{origin} holds no transition coverage. Write it with pytest --septum-cov=MODULE:STATE --septum-cov-data=FILE."
            )
        if found.get("version") != VERSION:
            raise CoverageError(
                f"{origin} is of version {found.get('version')!r}, this Septum reads {VERSION}. Write it again with this one."
            )
        counts = cls()
        try:
            for source, target, label, kind, count in found["transitions"]:
                counts.transitions[source, target, label, kind] += int(count)
            for name in ("starts", "timeouts", "exhausted"):
                getattr(counts, name).update({str(state): int(count) for state, count in found[name].items()})
            counts.names.update(found["names"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CoverageError(f"{origin} is damaged: {error!r}. Write it again.") from error
        return counts

    def write(self, path: Path) -> None:
        """Write it to *path*, in place of what is there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Counts:
        """Return what was written to *path*.

        Raises:
            CoverageError: There is no such file, or it holds something else.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CoverageError(f"{path} cannot be read: {error}. Write it with pytest --septum-cov-data={path}.") from error
        try:
            data = json.loads(text)
        except ValueError as error:
            raise CoverageError(f"{path} is no JSON: {error}. Write it again with pytest --septum-cov-data={path}.") from error
        return cls.from_dict(data, str(path))


class TransitionCoverage(Hooks):
    """A hook that counts transitions, timeouts and exhausted retries of all machines that have it.

        coverage = TransitionCoverage()
        septum.hooks.install(coverage)

    It lets the engine count (`Hooks.tallied`), so that no fact is built for a transition. It belongs to one process.
    """

    def __init__(self) -> None:
        self._tallies: list[Tally] = []
        self._others = Counts()

    def tallied(self, tally: Tally, /) -> None:
        """Keep where the engine counts."""
        if not any(known is tally for known in self._tallies):
            self._tallies.append(tally)

    def run_started(self, fact: facts.RunStarted, /) -> None:
        """Count the state that a run begins in."""
        self._others.starts[fact.state] += 1
        if not self._others.names.keys() >= fact.definition.by_name.keys():
            self._others.names.update({node.name: node.qualname for node in fact.definition.nodes})

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """Count a deadline."""
        self._others.timeouts[fact.state] += 1

    def retries_exhausted(self, fact: facts.RetriesExhausted, /) -> None:
        """Count a retry too many."""
        self._others.exhausted[fact.state] += 1

    def counts(self) -> Counts:
        """Return what was counted so far."""
        found = Counts()
        found.add(self._others)
        for tally in self._tallies:
            found.transitions.update(tally.transitions())
        return found
