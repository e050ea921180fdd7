"""Everything that Septum raises, and the words it says it with.

The tree::

    Exception
    ├── StateMachineComplete        a signal, not an error: the machine reached its end
    └── SeptumError
        ├── DefinitionError         (a ValueError; old name: ValidationError) .findings
        │   ├── UnknownState
        │   └── DuplicateState
        ├── MachineError            .machine .state
        │   ├── UnknownTransition   (a ValueError) .answer
        │   ├── BlockedInUntimedState
        │   ├── PopFromEmptyStack
        │   ├── RetriesExhausted    .limit
        │   ├── UnhandledTimeout    (a ValueError) .after
        │   ├── NoStateToTick
        │   ├── WrongThread         (a RuntimeError)
        │   ├── AlreadyRunning      (a RuntimeError)
        │   └── NotCopyable         (a TypeError)
        ├── MailboxFull             (a RuntimeError) .limit .policy
        ├── SnapshotError
        │   ├── StepNotOver         (a RuntimeError) .machine .state
        │   ├── NotKept             (a TypeError) .place
        │   ├── BadSnapshot         (a ValueError) .place
        │   └── DefinitionChanged   .found .expected .differences
        ├── CodecError              (a ValueError) .where
        ├── DrawingError            (a RuntimeError)
        │   └── GraphvizMissing
        └── PoolError               (a RuntimeError)
            └── NotAcquired

A second base (`ValueError`, ...) is what `mycorrhizal.septum` raised in that place, so that its users' `except` goes on working.
Texts are built here, from facts, by the functions below the classes: what happened, where, and what to do.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class StateMachineComplete(Exception):  # the old name; it is a signal, so `except SeptumError` must not swallow it
    """The machine reached its end: a terminal state's handler ran, or an edge to None was taken."""


class SeptumError(Exception):
    """The root of everything that can go wrong in Septum; its facts are attributes, its text says what to do."""

    def __init__(self, *args: object, **facts: object) -> None:
        super().__init__(*args)
        self.__dict__.update(facts)


class DefinitionError(SeptumError, ValueError):
    """States do not make a machine; `findings` lists what is wrong, nothing was constructed."""

    findings: Sequence[Any] = ()


class UnknownState(DefinitionError):
    """A name or a `StateRef` leads to no state; `name` is what was asked for."""

    name: str = ""


class DuplicateState(DefinitionError):
    """Two different states claim one name; the first keeps it."""

    name: str = ""


class MachineError(SeptumError):
    """A machine could not do what it was told; it stays in a named state with its stack whole."""

    machine: str = ""
    state: str = ""


class UnknownTransition(MachineError, ValueError):
    """A handler answered something that is no edge of its state; `answer` is what it said."""

    answer: object = None


class BlockedInUntimedState(MachineError):
    """A state that may not wait answered "wait": it has neither `can_dwell` nor a timeout."""


class PopFromEmptyStack(MachineError):
    """A state answered `Pop` and nothing was pushed."""


class RetriesExhausted(MachineError):
    """A state answered `Retry` more often than `retries` allows and has no `on_fail` that decides otherwise."""

    limit: int = 0


class UnhandledTimeout(MachineError, ValueError):
    """A state's deadline passed and it has no `on_timeout`; `after` is its timeout in seconds."""

    after: float = 0.0


class NoStateToTick(MachineError):
    """The machine has no state to run: it was closed."""


class WrongThread(MachineError, RuntimeError):
    """A machine was called from a thread that does not own it; nothing was touched."""


class AlreadyRunning(MachineError, RuntimeError):
    """`tick`, `run`, `serve` or `reset` was called while another such call is at work; nothing was touched."""


class NotCopyable(MachineError, TypeError):
    """A live machine was pickled or copied; it is as before."""


class MailboxFull(SeptumError, RuntimeError):
    """The mailbox holds `limit` messages and its policy does not drop; nothing was changed."""

    limit: int = 0
    policy: str = ""


class SnapshotError(SeptumError):
    """A machine could not be written down or brought back; nothing was changed and no machine was made."""


class StepNotOver(SnapshotError, RuntimeError):
    """A snapshot was asked for while the machine is in the middle of a step; there is none of half a step."""

    machine: str = ""
    state: str = ""


class NotKept(SnapshotError, TypeError):
    """Something in the machine cannot be written as text; `place` says where it is: `common['job'].lock`."""

    place: str = ""


class BadSnapshot(SnapshotError, ValueError):
    """A text or a value is no snapshot, or one that was damaged; `place` names the field, or the byte from 0."""

    place: str = ""


class DefinitionChanged(SnapshotError):
    """A snapshot is of another definition than the one that it is to go on with, and no migration leads from the one to the other.

    `found` and `expected` are the hashes of its definition and of today's, `differences` says what has changed since, a line each.
    """

    found: str = ""
    expected: str = ""
    differences: Sequence[str] = ()


class CodecError(SeptumError, ValueError):
    """What was written of a value cannot be read: `where` names the place in it; nothing of it was made."""

    where: str = ""


class DrawingError(SeptumError, RuntimeError):
    """Graphviz could not draw a graph; the text has what it said."""


class GraphvizMissing(DrawingError):
    """There is no Graphviz to draw with; the text says what to install."""


class PoolError(SeptumError, RuntimeError):
    """A pool was used in a way that it cannot serve: closed, or not initialised."""


class NotAcquired(PoolError):
    """A machine was released that the pool has not lent: it is a stranger, or it was released before."""


def unknown_transition(machine: str, state: str, answer: object, known: Iterable[str]) -> UnknownTransition:
    """Build the error for an answer that is no edge of *state*; *known* are the names of its edges."""
    names = list(known)
    text = f"state {state!r} answered {answer!r}, which is no transition of it. Known: {', '.join(names) or 'none'}."
    asked = getattr(answer, "name", answer)
    close = get_close_matches(str(asked), [name.rpartition(".")[2] for name in names], n=1)
    if close:
        text += f" Did you mean {close[0]}?"
    else:
        text += " Return one of these, or add a LabeledTransition for it to the state's transitions()."
    return UnknownTransition(f"Unknown transition: {text}", machine=machine, state=state, answer=answer)


def blocked(machine: str, state: str) -> BlockedInUntimedState:
    """Build the error for a wait in a state that may not wait."""
    return BlockedInUntimedState(
        f"{state} cannot dwell and does not have a timeout, but its handler answered 'wait' (None or Unhandled). "
        "Give it StateConfiguration(can_dwell=True) or a timeout, or let its handler answer a transition.",
        machine=machine,
        state=state,
    )


def pop_from_empty(machine: str, state: str) -> PopFromEmptyStack:
    """Build the error for a `Pop` with nothing below."""
    return PopFromEmptyStack(
        f"state {state!r} answered Pop, but the stack is empty. Push(next, ..., {state.rpartition('.')[2]}) first: "
        "a pushing state comes back only if it is listed.",
        machine=machine,
        state=state,
    )


def retries_exhausted(machine: str, state: str, limit: int, *, failed: bool) -> RetriesExhausted:
    """Build the error for a retry past *limit*; *failed* says that `on_fail` itself answered `Retry`."""
    what = "its on_fail answered Retry again" if failed else "it has no on_fail handler"
    return RetriesExhausted(
        f"state {state!r} used up its {limit} retries and {what}. "
        "Let an @septum.on_fail handler answer where to go, raise `retries`, or give the machine an error_state.",
        machine=machine,
        state=state,
        limit=limit,
    )


def unhandled_timeout(machine: str, state: str, after: float) -> UnhandledTimeout:
    """Build the error for a deadline that nobody decides."""
    return UnhandledTimeout(
        f"state {state!r} has no on_timeout handler, and its timeout of {after} s passed. "
        "Add an @septum.on_timeout handler, or drop the timeout from its StateConfiguration.",
        machine=machine,
        state=state,
        after=after,
    )


def wrong_thread(machine: str, called: str) -> WrongThread:
    """Build the error for a call from a foreign thread."""
    return WrongThread(
        f"{called} of machine {machine!r} was called from another thread than the one that initialised it. "
        "From another thread use send_message_threadsafe(), or hand the call over with loop.call_soon_threadsafe().",
        machine=machine,
    )


def already_running(machine: str, called: str) -> AlreadyRunning:
    """Build the error for two overlapping calls on one machine."""
    return AlreadyRunning(
        f"{called} was called while another tick, run, serve or reset of machine {machine!r} is at work. "
        "Await that one first; a handler moves its own machine by what it answers, or by send_message().",
        machine=machine,
    )


def complete(machine: str) -> StateMachineComplete:
    """Build the signal that *machine* has reached its end."""
    return StateMachineComplete(f"machine {machine!r} is complete; reset() starts it again")


def not_copyable(machine: str) -> NotCopyable:
    """Build the error for pickling or copying a live machine."""
    return NotCopyable(
        f"machine {machine!r} is live (event loop, hooks, thread) and cannot be pickled or copied. "
        "Keep it with fsm.snapshot() and bring it back with StateMachine.restore(), or construct a second machine.",
        machine=machine,
    )


def mailbox_full(limit: int, policy: str) -> MailboxFull:
    """Build the error for a message that found no room."""
    fix = (
        "await send_message_async() waits for room"
        if policy == "block"
        else 'queue_overflow_policy="drop_oldest" or "drop_newest" drops instead'
    )
    return MailboxFull(
        f"Queue full: the mailbox holds {limit} messages (max_queue_size) and its policy is {policy!r}; "
        f"this message was not queued. {fix}.",
        limit=limit,
        policy=policy,
    )


def step_not_over(machine: str, state: str) -> StepNotOver:
    """Build the error for a snapshot in the middle of a step."""
    return StepNotOver(
        f"snapshot() of machine {machine!r} was called in the middle of a step, in state {state!r}. Call it between two steps: after "
        "tick() or run() has returned, or while run() or serve() waits for a message; `fsm.stop()` ends them after the step.",
        machine=machine,
        state=state,
    )


def not_kept(place: str, why: str) -> NotKept:
    """Build the error for a value that cannot be written down."""
    return NotKept(f"{place} cannot be kept in a snapshot: {why}. Nothing was written; the machine is as before.", place=place)


def bad_snapshot(place: str, why: str) -> BadSnapshot:
    """Build the error for what is no snapshot."""
    return BadSnapshot(f"this is no snapshot that can be restored: {place}: {why}. No machine was made.", place=place)


def unknown_state(name: str, known: Iterable[str]) -> UnknownState:
    """Build the error for a name that leads to no state."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownState(
        f"State {name!r} not found in registry.{hint} A StateRef is 'module.Name' of a state whose module was imported.",
        name=name,
    )


def duplicate_state(name: str, first: str, second: str) -> DuplicateState:
    """Build the error for two states of one name, declared at *first* and *second*."""
    return DuplicateState(
        f"State name {name!r} is taken: the state declared at {first} has it, so the one at {second} cannot. "
        'Rename one, or give it a name of its own: @septum.state(name="...").',
        name=name,
    )


def not_a_state(found: object) -> DefinitionError:
    """Build the error for something in the place of a state."""
    return DefinitionError(
        f"{found!r} is not a state. Give a function or class decorated with @septum.state, a StateRef, or the full name of a state."
    )


def graphviz_missing() -> GraphvizMissing:
    """Build the error for a drawing that needs Graphviz, where there is none."""
    return GraphvizMissing(
        'There is no Graphviz to draw with. Install it as a wheel: pip install "septum[draw]", or as a program of the system: '
        "apt-get install graphviz (brew install graphviz). Mermaid, DOT and text need none."
    )


def drawing_failed(program: str, said: str) -> DrawingError:
    """Build the error for a Graphviz that did not draw."""
    return DrawingError(f"Graphviz ({program}) could not draw the graph: {said}")
