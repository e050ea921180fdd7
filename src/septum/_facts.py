"""What can happen to a machine: one small frozen class a fact, each with the name of the hook method that is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from septum._fact import Fact, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum._graph import Graph

__all__ = ["FACTS", "Fact", "Origin", "Passed"]

Kind = Literal["label", "direct", "push", "pop", "again", "unhandled", "repeat", "restart", "retry", "error", "initial", "end"]
VisitOutcome = Literal[
    "transition", "timeout", "push", "pop", "repeat", "restart", "retry", "error", "completed", "cancelled", "stopped", "reset"
]
RunOutcome = Literal["completed", "failed", "cancelled", "stopped", "reset"]
HandlerName = Literal["on_state", "on_enter", "on_leave", "on_timeout", "on_fail"]
DropReason = Literal["filtered", "overflow_newest", "overflow_oldest", "rejected", "closed"]
Destination = Literal["on_error_fn", "error_state", "raised"]
EffectKind = Literal["now", "random", "uuid", "call"]
Passed: TypeAlias = tuple[Origin, int, int, float, tuple[str, str, str], float]
"""A step along a plain edge, as `Hooks.passed` is told of it.

Origin of the run; the number of the last fact that it stands for; the number of the visit that ended; when, in seconds of the machine's
clock; source, target and label of the edge; how many seconds the visit was.
"""


class RunStarted(Fact, told_as="run_started"):
    """The machine entered its initial state, or is seen for the first time in the middle of a run.

    Attributes:
        definition: The `Graph` that the machine walks on, with its hash.
        state: Full name of the state that the machine is in.
        resumed: True when the run began before it was observed, or before it was restored.
    """

    definition: Graph
    state: str
    resumed: bool


class RunEnded(Fact, told_as="run_ended"):
    """The run is over.

    Attributes:
        state: Full name of the last state.
        outcome: completed, failed, cancelled, stopped or reset.
        duration: Seconds since the run started, or since it was first observed.
        exception: What it failed with, else None.
    """

    state: str
    outcome: RunOutcome
    duration: float
    exception: BaseException | None


class MessageQueued(Fact, told_as="message_queued"):
    """A message was put into the mailbox.

    Attributes:
        message: The object that was sent.
        priority: 0 exceptions, 1 internal, 2 messages.
        depth: Messages in the mailbox, this one included.
        number: Its place among all messages that this machine queued while observed; `message_taken` says the same number.
        headers: What the sender gave along, the same mapping that `message_taken` carries; None if nothing.
    """

    message: object
    priority: int
    depth: int
    number: int
    headers: Mapping[str, str] | None


class MessageTaken(Fact, told_as="message_taken"):
    """A message left the mailbox and goes to the handler (an exception that was sent goes to error routing).

    Attributes:
        message: The object that was sent.
        priority: 0 exceptions, 1 internal, 2 messages.
        depth: Messages left in the mailbox.
        number: As in `message_queued`; 0 if it was queued while nobody observed.
        headers: As in `message_queued`.
        waited: Seconds in the mailbox; 0.0 if it was queued while nobody observed.
    """

    message: object
    priority: int
    depth: int
    number: int
    headers: Mapping[str, str] | None
    waited: float


class MessageUnhandled(Fact, told_as="message_unhandled"):
    """The handler that saw the message answered `Unhandled`.

    Attributes:
        message: The object that was sent.
        number: As in `message_queued`.
    """

    message: object
    number: int


class MessageDropped(Fact, told_as="message_dropped"):
    """A message will never reach a handler.

    Attributes:
        message: The object that was sent.
        reason: filtered, overflow_newest, overflow_oldest, rejected or closed.
        number: As in `message_queued`; 0 if it never was queued.
    """

    message: object
    reason: DropReason
    number: int


class VisitStarted(Fact, told_as="visit_started"):
    """The machine is in a state now; `on_enter` has not run yet.

    Attributes:
        state: Full name of the state.
        kind: How it was entered: the kind of the transition, or initial.
        stack: Full names of the states below, bottom first.
    """

    state: str
    kind: Kind
    stack: tuple[str, ...]


class VisitEnded(Fact, told_as="visit_ended"):
    """The machine has left a state; `on_leave` has run.

    Attributes:
        state: Full name of the state.
        outcome: What ended it: transition, timeout, push, pop, repeat, restart, retry, error, completed, stopped, reset or cancelled.
        duration: Seconds since the visit started, or since it was first observed.
        exception: The exception that ended it, else None.
    """

    state: str
    outcome: VisitOutcome
    duration: float
    exception: BaseException | None


class HandlerStarted(Fact, told_as="handler_started"):
    """A handler is about to be called, in this task and context.

    Attributes:
        handler: on_state, on_enter, on_leave, on_timeout or on_fail.
        state: Full name of the state.
        message: What the handler sees as `ctx.msg`.
    """

    handler: HandlerName
    state: str
    message: object


class HandlerFinished(Fact, told_as="handler_finished"):
    """The handler is through: it answered, raised, was cut by its deadline or cancelled.

    Attributes:
        handler: on_state, on_enter, on_leave, on_timeout or on_fail.
        state: Full name of the state.
        message: What the handler saw as `ctx.msg`.
        answer: What it returned; None if it did not return.
        duration: Seconds that the call took.
        exception: What it raised, else None.
    """

    handler: HandlerName
    state: str
    message: object
    answer: object
    duration: float
    exception: BaseException | None


class TransitionTaken(Fact, told_as="transition_taken"):
    """An edge was taken; the source was left, the target is entered next.

    Attributes:
        source: Full name of the state that was left.
        target: Full name of the state that is entered; the source itself for markers that stay; None at the end of the machine.
        label: The label as text ("Events.START"), None for an answer without one.
        kind: The edge's kind.
    """

    source: str
    target: str | None
    label: str | None
    kind: Kind


class RetryScheduled(Fact, told_as="retry_scheduled"):
    """The state will be entered again after a delay.

    Attributes:
        state: Full name of the state.
        count: Which retry this is, from 1.
        limit: How many are allowed; None if any number.
        delay: Seconds until it is entered again.
    """

    state: str
    count: int  # type: ignore[assignment]  # takes the place of tuple.count, which facts do not offer
    limit: int | None
    delay: float


class RetriesExhausted(Fact, told_as="retries_exhausted"):
    """A state asked for more retries than it has; `on_fail` decides next.

    Attributes:
        state: Full name of the state.
        count: The retry that was asked for.
        limit: How many are allowed.
    """

    state: str
    count: int  # type: ignore[assignment]  # as above
    limit: int


class TimeoutFired(Fact, told_as="timeout_fired"):
    """The visit's deadline has passed; `on_timeout` decides next.

    Attributes:
        state: Full name of the state.
        after: Its timeout in seconds.
        lateness: Seconds between the deadline and this moment.
    """

    state: str
    after: float
    lateness: float


class StackPushed(Fact, told_as="stack_pushed"):
    """States were put onto the stack.

    Attributes:
        states: Their full names, the lowest first.
        depth: States on the stack now.
    """

    states: tuple[str, ...]
    depth: int


class StackPopped(Fact, told_as="stack_popped"):
    """The top of the stack was taken.

    Attributes:
        states: Full name of the state that was on top, as a tuple of one.
        depth: States on the stack now.
    """

    states: tuple[str, ...]
    depth: int


class ErrorRouted(Fact, told_as="error_routed"):
    """An exception came out of a state, and this is where it goes.

    Attributes:
        exception: The exception itself.
        state: Full name of the state that it came from.
        to: on_error_fn (which answered a transition), error_state, or raised (to the caller).
    """

    exception: BaseException
    state: str
    to: Destination


class EffectReturned(Fact, told_as="effect_returned"):
    """Something came in that no definition decides: a time, a draw, an id, or the result of `ctx.call`.

    Attributes:
        effect: now, random, uuid or call.
        name: The name given to `ctx.call`; "random" or "getrandbits" for a draw, which all methods of `ctx.random` are made of; else
            as effect.
        args: What the called function was given, or the number of bits for "getrandbits"; else empty.
        result: What came in; None if it raised.
        exception: What the called function raised, or what cut the call off, else None.
    """

    effect: EffectKind
    name: str
    args: tuple[object, ...]
    result: object
    exception: BaseException | None


class Overdue(Fact, told_as="overdue"):
    """A state lasts longer than its `expect=` says.

    Attributes:
        state: Full name of the state.
        age: Seconds since the visit started.
        limit: Seconds that were expected.
    """

    state: str
    age: float
    limit: float


class SnapshotTaken(Fact, told_as="snapshot_taken"):
    """The machine was written down.

    Attributes:
        state: Full name of the state.
        reason: Why: what the caller said.
    """

    state: str
    reason: str


FACTS: tuple[type[Fact], ...] = (
    RunStarted,
    RunEnded,
    MessageQueued,
    MessageTaken,
    MessageUnhandled,
    MessageDropped,
    VisitStarted,
    VisitEnded,
    HandlerStarted,
    HandlerFinished,
    TransitionTaken,
    RetryScheduled,
    RetriesExhausted,
    TimeoutFired,
    StackPushed,
    StackPopped,
    ErrorRouted,
    EffectReturned,
    Overdue,
    SnapshotTaken,
)
"""Every class of fact, in the order in which the reference lists them."""
