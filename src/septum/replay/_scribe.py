"""The hook that notes what enters a run and what is decided in it; what becomes of the notes is its subclasses' business."""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from septum import Hooks, semconv
from septum.replay._ledger import Run, Runs
from septum.replay._limits import Limits
from septum.replay._names import name_of
from septum.replay._note import Note, make_note
from septum.replay._redaction import Redaction
from septum.replay._values import LEVELS, NOTHING_KEPT, Keeper, class_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from septum import StateMachine, facts
    from septum._codec import Encoder
    from septum.replay._redaction import Redact
    from septum.replay._values import Kept, Level

Attributes = dict[str, object]

_MOST_WAITING = 1_000
"""Messages in a mailbox whose numbers are told."""


class Scribe(Hooks):
    """Notes facts, redacted and within the limits, before anything of them is kept.

    Attributes:
        level: How much is recorded.
        limits: What is kept at most.
    """

    def __init__(self, *, level: Level, redact: Redaction | Redact | None, encode: Encoder | None, limits: Limits | None) -> None:
        if level not in LEVELS:
            raise ValueError(f"level must be 'metadata', 'inline' or 'full', not {level!r}")
        if redact is not None and not isinstance(redact, Redaction) and not callable(redact):
            raise TypeError(f"redact must be a Redaction, a function (kind, meta, value), or None for the default, not {redact!r}")
        self.level: Level = level
        self.limits = Limits() if limits is None else limits
        self._rules = redact if isinstance(redact, Redaction) else Redaction(redact=redact)
        self._encode = encode
        self._runs = Runs()
        self._context: Callable[[], object] | None = None

    def _count(self, run: Run) -> int:
        """Return how many records of *run* there are; subclasses know what waits."""
        raise NotImplementedError

    def _going(self, fact: facts.Fact) -> Run | None:
        """Return the run that *fact* is of, if it is recorded and goes on."""
        run = self._runs.get(fact.origin[2])
        return None if run is None or run.ended else run

    def keeps(self, run: facts.Origin, /) -> Mapping[str, str]:
        """Return the number that the recording of a machine restored from this snapshot goes on from, and the time."""
        known = self._runs.get(run[2])
        machine = None if known is None or known.machine is None else known.machine()
        if known is None or machine is None:
            return {}
        # After this come the snapshot's own record and, where the machine is closed then, those of what waits and the end.
        number = self._count(known) + 1 + machine.queue_depth + 1
        now = run.wall_ns() - known.offset
        return {semconv.RECORDING_INDEX: str(number), semconv.RECORDING_TIME: str(now - int(known.zero * 1e9))}

    def is_recording(self, run_id: str) -> bool:
        """Say whether the run with this id is recorded now."""
        return run_id in self._runs

    def look_at(self, run_id: str, message: object) -> Kept | None:
        """Return what would be kept of a *message*; None if the run is not recorded."""
        run = self._runs.get(run_id)
        return None if run is None else self._keep_message(run, message)

    def _take(self, note: Note) -> None:
        """Take a note; subclasses say where to."""
        raise NotImplementedError

    def _note(self, event: str, fact: facts.Fact, attributes: Mapping[str, object], kept: Kept = NOTHING_KEPT) -> None:
        context = None if self._context is None else self._context()
        if kept is not NOTHING_KEPT:
            attributes = {**attributes, **kept.attributes}
        self._take(make_note(Note, (*fact[:5], event, attributes, kept.text, context)))

    def run_started(self, fact: facts.RunStarted, /) -> None:
        """Note where the run begins, and what its handlers share."""
        run = self._runs.get(fact.run_id)
        machine = fact.machine
        if run is not None:
            # It was away for a while, or the machine was restored in the process in which it had ended.
            run.ended = False
        else:
            run = self._runs[fact.run_id] = Run(fact, Keeper(self._rules, self.level, self.limits, self._encode, fact.machine_name))
            self._runs.watch(run, machine)
        states = run.names.states
        attributes: Attributes = {
            semconv.STATE_NAME: states[fact.state],
            semconv.RECORDING_LEVEL: self.level,
            semconv.RECORDING_RESUMED: fact.resumed,
            semconv.PROCESS_RUNTIME_VERSION: _python(),
        }
        ours = septum_version()
        if ours is not None:
            attributes[semconv.VERSION] = ours
        if fact.definition.error is not None:
            attributes[semconv.RECORDING_ERROR_STATE] = states[fact.definition.error.name]
        if run.names.timeouts:
            attributes[semconv.RECORDING_TIMEOUTS] = run.names.timeouts
        if machine is not None:
            attributes |= _standing(machine, states, between=fact.resumed)
        kept = NOTHING_KEPT if machine is None or self.level == "metadata" else run.keeper.value("common", machine.common)
        self._note("start", fact, attributes, kept)

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Note how the run ended."""
        run = self._going(fact)
        if run is not None:
            attributes = {
                semconv.RUN_OUTCOME: fact.outcome,
                semconv.STATE_NAME: run.names.states[fact.state],
                **run.keeper.error(fact.exception),
            }
            self._note("end", fact, attributes)
            run.ended = True

    def working(self, run: facts.Origin, /) -> Callable[[], None] | None:
        """Note which task works, to tell what the machine's own handlers send from what others do."""
        known = self._runs.get(run[2])
        if known is None:
            return None
        try:
            known.task = asyncio.current_task()
        except RuntimeError:  # somebody drives coroutines without an event loop
            return None
        return known.rest

    def message_queued(self, fact: facts.MessageQueued, /) -> None:
        """Note the message."""
        run = self._going(fact)
        if run is None:
            return
        # In one go: a property for each field takes longer than all the rest.
        message, priority, depth, number = fact[5:9]
        attributes: Attributes = {
            semconv.MESSAGE_TYPE: name_of(message),
            semconv.MESSAGE_PRIORITY: priority,
            semconv.MAILBOX_DEPTH: depth,
            # What other threads sent has no number, and is collected by the machine's own task.
            semconv.RECORDING_OWN: number > 0 and run.is_at_work(),
        }
        if number:
            attributes[semconv.MESSAGE_ID] = str(number)
            run.waiting.add(number)
        self._note("message", fact, attributes, self._keep_message(run, message))

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """Note which message is dealt with now, and the message itself if that is the first that is seen of it."""
        run = self._going(fact)
        if run is None:
            return
        message, _, depth, number, _, waited = fact[5:]
        attributes: Attributes = {
            semconv.MESSAGE_TYPE: name_of(message),
            semconv.MESSAGE_WAIT_TIME: waited,
            semconv.MAILBOX_DEPTH: depth,
        }
        kept = NOTHING_KEPT
        if number:
            attributes[semconv.MESSAGE_ID] = str(number)
        if number in run.waiting:
            run.waiting.discard(number)
        else:
            kept = self._keep_message(run, message)
        self._note("taken", fact, attributes, kept)

    def _keep_message(self, run: Run, message: object) -> Kept:
        return NOTHING_KEPT if self.level == "metadata" else run.keeper.value("message", message, name_of(message))

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        """Note that a message will reach no handler."""
        run = self._going(fact)
        if run is not None:
            attributes: Attributes = {
                semconv.MESSAGE_TYPE: name_of(fact.message),
                semconv.DROP_REASON: fact.reason,
                semconv.RECORDING_OWN: run.is_at_work(),
            }
            if fact.number:
                attributes[semconv.MESSAGE_ID] = str(fact.number)
                run.waiting.discard(fact.number)
            self._note("dropped", fact, attributes)

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        """Note what the handler answered or raised."""
        run = self._going(fact)
        if run is None:
            return
        handler, state, _, answer, duration, error = fact[5:]
        if error is None:
            attributes = run.names.call(handler, state, answer)
        else:
            # When it began decides what it was at when it was cut or cancelled.
            attributes = {semconv.HANDLER_NAME: handler, semconv.STATE_NAME: run.names.states[state], semconv.HANDLER_DURATION: duration}
            if type(error) is TimeoutError and error.__traceback__ is None:
                # Never raised: it stands for the cut.
                attributes[semconv.HANDLER_CUT] = True
            else:
                attributes.update(run.keeper.error(error))
        if self.level == "full":
            machine = fact.machine
            digest = None if machine is None else run.keeper.fingerprint(machine.common)
            if digest is not None:
                attributes = {**attributes, semconv.RECORDING_COMMON_DIGEST: digest}
        self._note("handler", fact, attributes)

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """Note the edge."""
        run = self._going(fact)
        if run is None:
            return
        states = run.names.states
        attributes: Attributes = {semconv.TRANSITION_FROM_STATE: states[fact.source], semconv.TRANSITION_KIND: fact.kind}
        if fact.target is not None:
            attributes[semconv.TRANSITION_TO_STATE] = states[fact.target]
        if fact.label is not None:
            attributes[semconv.TRANSITION_LABEL] = fact.label
        self._note("transition", fact, attributes)

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """Note the deadline."""
        run = self._going(fact)
        if run is not None:
            attributes: Attributes = {
                semconv.STATE_NAME: run.names.states[fact.state],
                semconv.TIMER_KIND: semconv.TimerKind.TIMEOUT,
                semconv.TIMER_DURATION: float(fact.after),
                semconv.TIMER_LATENESS: fact.lateness,
            }
            self._note("timer", fact, attributes)

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        """Note the delay, which chance may have had a part in."""
        run = self._going(fact)
        if run is not None:
            attributes: Attributes = {
                semconv.STATE_NAME: run.names.states[fact.state],
                semconv.TIMER_KIND: semconv.TimerKind.RETRY_BACKOFF,
                semconv.TIMER_DURATION: float(fact.delay),
                semconv.RETRY_COUNT: fact.count,
            }
            if fact.limit is not None:
                attributes[semconv.RETRY_LIMIT] = fact.limit
            self._note("timer", fact, attributes)

    def stack_pushed(self, fact: facts.StackPushed, /) -> None:
        """Note the states that were put onto the stack."""
        self._note_stack(fact, semconv.StackChange.PUSHED)

    def stack_popped(self, fact: facts.StackPopped, /) -> None:
        """Note the state that was taken from it."""
        self._note_stack(fact, semconv.StackChange.POPPED)

    def _note_stack(self, fact: facts.StackPushed | facts.StackPopped, change: str) -> None:
        run = self._going(fact)
        if run is not None:
            states = run.names.states
            attributes: Attributes = {
                semconv.STACK_CHANGE: change,
                semconv.STACK_STATES: tuple([states[name] for name in fact.states]),
                semconv.STACK_DEPTH: fact.depth,
            }
            self._note("stack", fact, attributes)

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Note where an exception went."""
        run = self._going(fact)
        if run is not None:
            attributes: Attributes = {
                semconv.STATE_NAME: run.names.states[fact.state],
                semconv.ERROR_DESTINATION: fact.to,
                **run.keeper.error(fact.exception),
            }
            self._note("error", fact, attributes)

    def effect_returned(self, fact: facts.EffectReturned, /) -> None:
        """Note what came in."""
        run = self._going(fact)
        if run is None:
            return
        attributes: Attributes = {semconv.EFFECT_KIND: fact.effect, semconv.EFFECT_NAME: fact.name}
        kept = NOTHING_KEPT
        if self.level != "metadata":
            digest = run.keeper.arguments(fact.args, fact.run_id, fact.name) if fact.effect == "call" else None
            if digest is not None:
                attributes[semconv.EFFECT_ARGS_DIGEST] = digest
            kept = run.keeper.value("result", fact.result if fact.exception is None else fact.exception, fact.name)
        if fact.exception is not None:
            attributes[semconv.ERROR_TYPE] = class_name(type(fact.exception))
        self._note("effect", fact, attributes, kept)

    def snapshot_taken(self, fact: facts.SnapshotTaken, /) -> None:
        """Note that the machine was written down."""
        run = self._going(fact)
        if run is None:
            return
        states, machine = run.names.states, fact.machine
        reason = run.keeper.text(fact.reason)
        attributes: Attributes = {semconv.STATE_NAME: states[fact.state]}
        if reason is not None:
            attributes[semconv.SNAPSHOT_REASON] = reason
        if machine is not None:
            attributes |= _standing(machine, states, between=True)
        kept = NOTHING_KEPT if machine is None or self.level == "metadata" else run.keeper.value("common", machine.common, again=True)
        self._note("snapshot", fact, attributes, kept)


def _standing(machine: StateMachine[Any], states: Mapping[str, str], *, between: bool) -> Attributes:
    """Return the attributes that tell where *machine* stands; *between*: it is not at its beginning."""
    found: Attributes = {}
    stack = tuple([states[spec.name] for spec in machine.state_stack])
    retries = tuple([f"{states[name]} {count}" for name, count in machine.retry_counters.items()])
    stage, left, waiting = machine._standing()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a snapshot would need all to be written
    if stack:
        found[semconv.STACK] = stack
    if retries:
        found[semconv.RECORDING_RETRIES] = retries
    if between:
        found[semconv.RECORDING_STAGE] = stage
        if left is not None:
            found[semconv.RECORDING_DEADLINE] = left
        if len(waiting) <= _MOST_WAITING:
            found[semconv.RECORDING_MAILBOX] = tuple([str(number) for number in waiting if number])
    return found


@cache
def septum_version() -> str | None:
    """Return Septum's version; None when it runs from a directory that was never installed."""
    try:
        return version("septum")
    except PackageNotFoundError:
        return None


@cache
def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))
