"""RecorderHooks: keeps what a machine told."""

from __future__ import annotations

from typing import TypeVar

from septum import Hooks, facts

F = TypeVar("F", bound=facts.Fact)


class RecorderHooks(Hooks):
    """A hook that keeps every fact, for tests to compare.

        recorder = RecorderHooks()
        machine = StateMachine(Idle, hooks=[recorder])
        ...
        assert recorder.of(TransitionTaken) == [...]

    Attributes:
        facts: Every fact that was told, oldest first; of several machines in the order of telling. Yours to read and to empty.
    """

    def __init__(self) -> None:
        self.facts: list[facts.Fact] = []

    def __repr__(self) -> str:
        return f"<RecorderHooks facts={len(self.facts)}>"

    def of(self, *classes: type[F]) -> list[F]:
        """Return the facts of these classes, in the order in which they were told."""
        return [fact for fact in self.facts if isinstance(fact, classes)]

    def names(self) -> list[str]:
        """Return for each fact the name of the hook method that was told of it, e.g. `["run_started", "visit_started"]`."""
        return [fact.told_as for fact in self.facts]

    def clear(self) -> None:
        """Forget what was told so far."""
        self.facts.clear()


def _keep(recorder: RecorderHooks, fact: facts.Fact, /) -> None:
    recorder.facts.append(fact)


for _class in facts.FACTS:
    setattr(RecorderHooks, _class.told_as, _keep)
