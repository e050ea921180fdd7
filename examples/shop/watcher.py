"""A hook that counts what machines do: what is printed in the end comes from here, and from nowhere else."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from septum import Hooks

if TYPE_CHECKING:
    from septum import facts


class Watcher(Hooks):
    """Counts visits, transitions and troubles by state; one object watches all machines of the example.

    States go by their names below the module, as in spans.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """Full name of a state to its name below the module, in the order of the definition."""
        self.initial: Counter[str] = Counter()
        self.started: Counter[str] = Counter()
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        """Seconds of each visit that ended, by state."""
        self.retries: Counter[str] = Counter()
        self.timeouts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.transitions: Counter[tuple[str, str | None, str, str]] = Counter()
        """(source, label, target, kind) to how often it was taken; the target of a last transition is the empty string."""
        self.entered: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """For each machine, how often it was in which state."""
        self.dropped: Counter[str] = Counter()
        self.unhandled: Counter[str] = Counter()
        """By type of the message."""

    def run_started(self, fact: facts.RunStarted, /) -> None:
        if not self.names:
            self.names = {node.name: node.qualname for node in fact.definition.nodes}
        self.initial[self.names[fact.state]] += 1

    def visit_started(self, fact: facts.VisitStarted, /) -> None:
        state = self.names[fact.state]
        self.started[state] += 1
        self.entered[fact.machine_id][state] += 1

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        self.times[self.names[fact.state]].append(fact.duration)

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        target = "" if fact.target is None else self.names[fact.target]
        self.transitions[self.names[fact.source], fact.label, target, fact.kind] += 1

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        self.retries[self.names[fact.state]] += 1

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        self.timeouts[self.names[fact.state]] += 1

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        self.errors[self.names[fact.state]] += 1

    def message_unhandled(self, fact: facts.MessageUnhandled, /) -> None:
        self.unhandled[type(fact.message).__name__] += 1

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        self.dropped[fact.reason] += 1
