"""Where a machine went, read from its facts: one step for each transition, with every name that a test may call it by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from septum import Graph, StateMachine, facts
from septum.testing._errors import no_facts, not_recorded, several_machines
from septum.testing._recorder import RecorderHooks

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Source: TypeAlias = "StateMachine[Any] | RecorderHooks | Iterable[facts.Fact]"


class WalkedStep(NamedTuple):
    """One transition that was taken.

    Attributes:
        source: Full name of the state that was left.
        target: Full name of the state that was entered; None at the end of the machine.
        way: The names worth showing, e.g. `("timeout", "SILENT")`.
        names: All names that it may be called by, in lower case where they are Septum's own words.
    """

    source: str
    target: str | None
    way: tuple[str, ...]
    names: frozenset[str]


class Walk(NamedTuple):
    """The last run of one machine.

    Attributes:
        machine: What the machine is called.
        start: Full name of the state in which it was seen first.
        steps: The transitions, in their order.
        graph: The definition, if the facts tell of it.
    """

    machine: str
    start: str
    steps: tuple[WalkedStep, ...]
    graph: Graph | None


def read_walk(source: Source) -> Walk:
    """Return the walk of the last run that *source* tells of.

    Raises:
        PathError: It tells of no run, or of more than one machine.
    """
    graph: Graph | None = None
    if isinstance(source, StateMachine):
        graph = source.graph
        told = [fact for fact in _recorder_of(source).facts if fact.machine_id == source.machine_id]
    else:
        given: Iterable[object] = source.facts if isinstance(source, RecorderHooks) else source
        told = [fact for fact in given if isinstance(fact, facts.Fact)] if isinstance(given, Iterable) else []
    machines = {fact.machine_id: fact.machine_name for fact in told}
    if len(machines) > 1:
        raise several_machines(f"{name} ({machine_id})" for machine_id, name in machines.items())
    told = [fact for fact in told if fact.run_id == told[-1].run_id]
    start = next((_place_of(fact) for fact in told if _place_of(fact)), None)
    if start is None:
        raise no_facts(source)
    for fact in told:
        if isinstance(fact, facts.RunStarted) and isinstance(fact.definition, Graph):
            graph = fact.definition
    return Walk(told[0].machine_name, start, tuple(read_steps(told)), graph)


def read_steps(told: Iterable[facts.Fact]) -> Iterable[WalkedStep]:
    """Yield a step for each transition among the facts of one run."""
    reader = _Reader()
    for fact in told:
        if isinstance(fact, facts.TransitionTaken):
            yield reader.take(fact)
        else:
            reader.note(fact)


def short_name(state: str | None, others: Iterable[str] = ()) -> str:
    """Return the last part of a state's name, or as much more as tells it from *others*; `end` for None."""
    if state is None:
        return "end"
    parts = state.split(".")
    rest = [other for other in others if other != state]
    for count in range(1, len(parts)):
        text = ".".join(parts[-count:])
        if parts[-count] != "<locals>" and not any(is_called(other, text) for other in rest):
            return text
    return state


def is_called(state: str, name: str) -> bool:
    """Say whether *name* is the state's full name or the last parts of it."""
    return state == name or state.endswith(f".{name}")


def _recorder_of(machine: StateMachine[Any]) -> RecorderHooks:
    for hook in machine.hooks:
        if isinstance(hook, RecorderHooks):
            return hook
    raise not_recorded(machine.name)


def _place_of(fact: facts.Fact) -> str | None:
    if isinstance(fact, facts.VisitStarted):
        return fact.state
    return fact.source if isinstance(fact, facts.TransitionTaken) else None


class _Reader:
    """Remembers what happened since the last transition, which says why the next one is taken."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.timed_out = self.exhausted = False
        self.error: BaseException | None = None

    def note(self, fact: facts.Fact) -> None:
        match fact:
            case facts.TimeoutFired():
                self.timed_out = True
            case facts.RetriesExhausted():
                self.exhausted = True
            case facts.ErrorRouted():
                # The first one is the reason; what on_leave raises on the way is not.
                self.error = None if fact.to == "raised" else self.error or fact.exception
            case facts.HandlerStarted(handler="on_state") | facts.VisitStarted():
                # What on_timeout and on_fail did not lead out of is over.
                self._forget()
            case _:
                pass

    def take(self, fact: facts.TransitionTaken) -> WalkedStep:
        way: list[str] = []
        names: set[str] = {fact.kind}
        if self.timed_out:
            way.append("timeout")
        if self.exhausted:
            way.append("fail")
        if self.error is not None:
            way += ["error", type(self.error).__name__]
            names |= {kind.__name__ for kind in type(self.error).__mro__ if issubclass(kind, Exception)}
        if fact.label is not None:
            way.append(fact.label.rpartition(".")[2])
            names.add(fact.label)
        elif not way:
            way.append(fact.kind)
        names.update(way)
        self._forget()
        return WalkedStep(fact.source, fact.target, tuple(way), frozenset(names))
