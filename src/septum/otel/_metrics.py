"""Metrics: counts as plain ints, read by observable instruments, and what is asked of the machines themselves when somebody collects."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.metrics import Observation

from septum import Hooks, StateMachine, hooks, semconv
from septum.otel._durations import MOST_VALUES, Durations
from septum.otel._failures import Bounded, error_type
from septum.semconv import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter
    from opentelemetry.trace import Span

    from septum import facts
    from septum._graph import Graph
    from septum.hooks import Tally
    from septum.otel._run import Run, Runs
    from septum.semconv import Instrument

_CREATORS: Final = {
    "counter": "create_observable_counter",
    "updowncounter": "create_observable_up_down_counter",
    "gauge": "create_observable_gauge",
}
LEVELS: Final = ("counts", "states", "standard", "full")

Key = tuple[str, ...]
_Ended = tuple["facts.Origin", int, int, float, int, str, str, float, BaseException | None]


class _Counts:
    """Counts by attribute values.

    `x[0] += 1` on a list is one step for other threads; `d[key] += 1` would not be, and two threads of machines would lose counts.
    """

    def __init__(self, instrument: Instrument, *keys: str) -> None:
        self.instrument = instrument
        self.keys = keys
        self._cells: dict[Key, list[int]] = {}

    def add(self, *values: str) -> None:
        try:
            self._cells[values][0] += 1
        except KeyError:
            self._cells.setdefault(values, [0])[0] += 1

    def observe(self) -> list[Observation]:
        cells = list(self._cells.items())
        return [Observation(cell[0], {key: value for key, value in zip(self.keys, values, strict=True) if value}) for values, cell in cells]


class Instruments:
    """The instruments of one `OTelHooks`, and the counts behind them."""

    def __init__(self, meter: Meter, runs: Runs, level: str) -> None:
        self._runs = runs
        self._lock = threading.Lock()
        self._tallies: list[weakref.ref[Tally]] = []
        # What tallies counted whose definition is gone, until the reader adds it up: the collector may call in the middle of anything.
        self._gone: deque[Tally] = deque()
        self._past: dict[tuple[str, str, str, str, str], int] = {}
        self._definitions: dict[tuple[str, str], Graph] = {}
        self._names: dict[str, str] = {}
        self.error_types = Bounded()
        self.labels = Bounded()
        by_machine, by_state = (semconv.MACHINE_NAME,), (semconv.MACHINE_NAME, semconv.STATE_NAME)
        self.enqueued = _Counts(Metric.ENQUEUED_MESSAGES, *by_machine)
        self.consumed = _Counts(Metric.CONSUMED_MESSAGES, *by_machine)
        self.unhandled = _Counts(Metric.UNHANDLED_MESSAGES, *by_state)
        self.dropped = _Counts(Metric.DROPPED_MESSAGES, *by_machine, semconv.DROP_REASON)
        self.retries = _Counts(Metric.RETRIES, *by_state, semconv.ERROR_TYPE)
        self.timeouts = _Counts(Metric.TIMEOUTS, *by_state)
        self.errors = _Counts(Metric.ERRORS, *by_state, semconv.ERROR_TYPE)
        rank = LEVELS.index(level)
        self.durations: list[Durations] = []
        self.state = self._histogram(meter, Metric.STATE_DURATION) if rank >= 1 else None
        self.process = self._histogram(meter, Metric.PROCESS_DURATION) if rank >= 2 else None  # noqa: PLR2004 - places in LEVELS
        self.run = self._histogram(meter, Metric.RUN_DURATION) if rank >= 2 else None  # noqa: PLR2004 - as above
        self.wait = self._histogram(meter, Metric.MESSAGE_WAIT_DURATION) if rank >= 3 else None  # noqa: PLR2004 - as above
        # The first of them to be collected also hands the histograms over: the SDK asks observable instruments before it looks at others.
        self._observe(meter, Metric.TRANSITIONS, self._transitions)
        for counts in (self.enqueued, self.consumed, self.unhandled, self.dropped, self.retries, self.timeouts, self.errors):
            self._observe(meter, counts.instrument, counts.observe)
        self._observe(meter, Metric.MACHINE_ACTIVE, self._active)
        self._observe(meter, Metric.STATE_DWELL_MAX, self._dwell)
        self._observe(meter, Metric.STATE_DWELL_LIMIT, self._limits)
        self._observe(meter, Metric.MAILBOX_USAGE, lambda: self._mailboxes("queue_depth"))
        self._observe(meter, Metric.MAILBOX_LIMIT, lambda: self._mailboxes("max_queue_size"))
        self._observe(meter, Metric.HOOK_ERRORS, self._hook_errors)

    def _histogram(self, meter: Meter, instrument: Instrument) -> Durations:
        made = Durations(meter, instrument)
        self.durations.append(made)
        return made

    @staticmethod
    def _observe(meter: Meter, instrument: Instrument, read: Callable[[], Iterable[Observation]]) -> None:
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            return read()

        create: Any = getattr(meter, _CREATORS[instrument.kind.removeprefix("observable_")])
        create(instrument.name, [callback], instrument.unit, instrument.brief)

    # ---- what the hooks say

    def begin(self, run: Run) -> None:
        """Take note of a run's definition, whose states are reported from now on, zeros too."""
        for durations in self.durations:
            durations.look()
        key = (run.name, run.definition.initial.name)
        known = self._definitions.get(key)
        if known is None or known is not run.definition:
            self._definitions[key] = run.definition
            self._names.update({node.name: node.qualname for node in run.definition.nodes})

    def name(self, state: str) -> str:
        """Return what telemetry calls the state with this full name."""
        return self._names.get(state, state)

    def count(self, tally: Tally) -> None:
        """Read *tally* from now on, and keep what it counted when its definition is gone."""
        with self._lock:
            self._tallies.append(weakref.ref(tally))
        weakref.finalize(tally, self._keep, tally.machine_name, tally.edges, tally.plain, tally.others).atexit = False

    def _keep(self, name: str, edges: Any, plain: list[int], others: Any) -> None:
        gone = hooks.Tally(name, edges)
        gone.plain, gone.others = plain, others
        self._gone.append(gone)

    def _sum(self, tally: Tally, sums: dict[tuple[str, str, str, str, str], int]) -> None:
        for (source, target, label, kind), count in tally.transitions().items():
            key = (
                tally.machine_name,
                self.name(source),
                "" if target is None else self.name(target),
                "" if label is None else self.labels(label),
                kind,
            )
            sums[key] = sums.get(key, 0) + count

    # ---- what the reader's thread asks

    def _transitions(self) -> Iterable[Observation]:
        for durations in self.durations:
            durations.hand_over()
        with self._lock:
            found = [(reference, reference()) for reference in self._tallies]
            self._tallies = [reference for reference, tally in found if tally is not None]
            while self._gone:
                self._sum(self._gone.popleft(), self._past)
            sums = self._past.copy()
        for _, tally in found:
            if tally is not None:
                self._sum(tally, sums)
        del found
        for (name, source, target, label, kind), count in sums.items():
            attributes = {semconv.MACHINE_NAME: name, semconv.TRANSITION_FROM_STATE: source, semconv.TRANSITION_KIND: kind}
            if target:
                attributes[semconv.TRANSITION_TO_STATE] = target
            if label:
                attributes[semconv.TRANSITION_LABEL] = label
            yield Observation(count, attributes)

    def _states(self) -> dict[tuple[str, str], float]:
        return {(name, node.qualname): 0 for (name, _), definition in list(self._definitions.items()) for node in definition.nodes}

    def _machines(self) -> list[tuple[Run, StateMachine[Any]]]:
        found: list[tuple[Run, StateMachine[Any]]] = []
        for run in list(self._runs.values()):
            machine = None if run.machine is None else run.machine()
            if machine is not None:
                found.append((run, machine))
        return found

    def _active(self) -> Iterable[Observation]:
        counts = self._states()
        for run, machine in self._machines():
            key = (run.name, run.state(machine.state))
            counts[key] = counts.get(key, 0) + 1
        return _by_state(counts)

    def _dwell(self) -> Iterable[Observation]:
        ages = self._states()
        for run, machine in self._machines():
            age = machine.state_age
            if age is not None:
                key = (run.name, run.state(machine.state))
                ages[key] = max(ages.get(key, 0.0), age)
        return _by_state({key: float(age) for key, age in ages.items()})

    def _limits(self) -> Iterable[Observation]:
        limits = {
            (name, node.qualname): float(node.expect)
            for (name, _), definition in list(self._definitions.items())
            for node in definition.nodes
            if node.expect is not None
        }
        return _by_state(limits)

    def _mailboxes(self, what: str) -> Iterable[Observation]:
        sums: dict[str, int] = {name: 0 for name, _ in list(self._definitions)}
        for run, machine in self._machines():
            sums[run.name] = sums.get(run.name, 0) + getattr(machine, what)
        return [Observation(count, {semconv.MACHINE_NAME: name}) for name, count in sums.items()]

    @staticmethod
    def _hook_errors() -> Iterable[Observation]:
        return [Observation(count, {semconv.HOOK_NAME: name}) for name, count in hooks.errors().items()]


def _by_state(values: Mapping[tuple[str, str], float]) -> list[Observation]:
    return [Observation(value, {semconv.MACHINE_NAME: name, semconv.STATE_NAME: state}) for (name, state), value in values.items()]


ACCEPTED = frozenset({semconv.DropReason.FILTERED, semconv.DropReason.OVERFLOW_NEWEST, semconv.DropReason.CLOSED})
"""Why a message is dropped that never was in the mailbox, and whose sender goes on."""


class Counting(Hooks):
    """Counts; what it overrides decides what the engine has to tell, so that each level is a class."""

    def __init__(self, instruments: Instruments, runs: Runs, *, exemplars: bool) -> None:
        self._instruments = instruments
        self._runs = runs
        self._exemplars = exemplars

    def _example(self, fact: facts.Fact) -> Span | None:
        """Return the span that a measurement is an example of."""
        run = self._runs.get(fact.origin[2]) if self._exemplars else None
        return None if run is None else run.current

    def tallied(self, tally: Tally, /) -> None:
        """Let the engine count transitions."""
        self._instruments.count(tally)

    def message_queued(self, fact: facts.MessageQueued, /) -> None:
        """Count."""
        self._instruments.enqueued.add(fact.origin[1])

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """Count."""
        self._instruments.consumed.add(fact.origin[1])

    def message_unhandled(self, fact: facts.MessageUnhandled, /) -> None:
        """Count."""
        run = self._runs.get(fact.origin[2])
        machine = None if run is None or run.machine is None else run.machine()
        if run is not None and machine is not None:
            self._instruments.unhandled.add(run.name, run.state(machine.state))

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        """Count; what was dropped before it was queued was accepted all the same, unless its sender was told."""
        self._instruments.dropped.add(fact.origin[1], fact.reason)
        if not fact.number and fact.reason in ACCEPTED:
            self._instruments.enqueued.add(fact.origin[1])

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        """Count."""
        run = self._runs.get(fact.origin[2])
        answered = None if run is None else run.answered_in(fact.visit)
        kind = "" if answered is None else self._instruments.error_types(error_type(answered))
        self._instruments.retries.add(fact.origin[1], self._instruments.name(fact.state), kind)

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """Count."""
        self._instruments.timeouts.add(fact.origin[1], self._instruments.name(fact.state))

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Count."""
        run = self._runs.get(fact.origin[2])
        if run is not None and fact.to == "on_error_fn":
            run.answered = (fact.visit, fact.exception)
        kind = self._instruments.error_types(error_type(fact.exception))
        self._instruments.errors.add(fact.origin[1], self._instruments.name(fact.state), kind)


class TimingStates(Counting):
    """Also says how long states last."""

    def passed(self, step: facts.Passed, /) -> None:
        """Put the visit's duration into the histogram: nobody traces it, and nearly all visits end so."""
        origin, _, _, _, edge, seconds = step
        durations = self._instruments.state
        if durations is None:
            return
        values = durations.short.get((origin[1], edge[0]))
        if values is not None and len(values) < MOST_VALUES:
            values.append(seconds)
        else:
            self._time(origin, edge[0], "transition", seconds, None)

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        """Put the visit's duration into the histogram, with the visit's span as exemplar."""
        # Unpacked at once, which takes half as long as asking for each: this is told of every visit.
        origin, _, _, _, _, state, outcome, duration, exception = cast("_Ended", fact)
        self._time(origin, state, outcome, duration, exception)

    def _time(self, origin: facts.Origin, state: str, outcome: str, seconds: float, exception: BaseException | None) -> None:
        durations = self._instruments.state
        if durations is None:
            return
        run = self._runs.get(origin[2]) if self._exemplars else None
        span = None if run is None else run.visit
        key = (origin[1], state, outcome, None if exception is None else type(exception))
        if not durations.add(key, None, seconds, span):
            attributes = {
                semconv.MACHINE_NAME: origin[1],
                semconv.STATE_NAME: self._instruments.name(state),
                semconv.VISIT_OUTCOME: outcome,
            }
            if outcome == semconv.VisitOutcome.ERROR and exception is not None:
                attributes[semconv.ERROR_TYPE] = self._instruments.error_types(error_type(exception))
            durations.add(key, attributes, seconds, span)
            if outcome == "transition" and exception is None:
                durations.shorten((origin[1], state), key)


class TimingHandlers(TimingStates):
    """Also says how long handlers and runs take."""

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        """Put the call's duration into the histogram."""
        durations = self._instruments.process
        if durations is None:
            return
        span = self._example(fact)
        exception = fact.exception
        key = (fact.origin[1], fact.state, fact.handler, None if exception is None else type(exception))
        if not durations.add(key, None, fact.duration, span):
            attributes = {
                semconv.MACHINE_NAME: fact.origin[1],
                semconv.STATE_NAME: self._instruments.name(fact.state),
                semconv.HANDLER_NAME: fact.handler,
            }
            if isinstance(exception, Exception):
                attributes[semconv.ERROR_TYPE] = self._instruments.error_types(error_type(exception))
            durations.add(key, attributes, fact.duration, span)

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Put the run's duration into the histogram."""
        durations = self._instruments.run
        if durations is None:
            return
        attributes = {semconv.MACHINE_NAME: fact.origin[1], semconv.RUN_OUTCOME: fact.outcome}
        if fact.outcome == semconv.RunOutcome.FAILED and fact.exception is not None:
            attributes[semconv.ERROR_TYPE] = self._instruments.error_types(error_type(fact.exception))
        durations.add(tuple(attributes.values()), attributes, fact.duration, self._example(fact))


class TimingMessages(TimingHandlers):
    """Also says how long messages wait."""

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """Count, and put the time in the mailbox into the histogram."""
        super().message_taken(fact)
        durations = self._instruments.wait
        if durations is not None:
            durations.add(fact.origin[1], {semconv.MACHINE_NAME: fact.origin[1]}, fact.waited, self._example(fact))


HOOKS: Final[dict[str, type[Counting]]] = {
    "counts": Counting,
    "states": TimingStates,
    "standard": TimingHandlers,
    "full": TimingMessages,
}
"""The hook of each level of `metrics=`."""
