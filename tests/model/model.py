"""A reference model of the whole engine: plain, synchronous, and as literal a reading of the contract as can be had.

Operations are generators. They yield a `Wait` where the machine would wait; whoever drives one (`run_through` here, the rules of
test_interleavings.py there) moves `now` and resumes it. Nothing in here knows the engine's source.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.model.ledger import Failure, Ledger
from tests.model.program import Answer, Command, Definition, Doing, Edge, Message, Policy, State, Tape, find, reachable, said

if TYPE_CHECKING:
    from collections.abc import Generator

OUTCOMES = {"label": "transition", "direct": "transition", "end": "completed"}
What = tuple[str, int | None]
"""An exception: the name of its class, and its number if user code raised it."""
FORGETS_RETRIES = ("label", "direct", "error", "repeat", "restart")


class Cancelled(Exception):
    """The calling task was cancelled."""


class Cut(Exception):
    """The deadline cut the handler."""


@dataclass(frozen=True)
class Wait:
    """The machine waits: until a moment (None: no moment will do), and perhaps for a message."""

    until: float | None
    for_message: bool = False


@dataclass(frozen=True)
class Move:
    """A decided transition, on its way through on_leave."""

    edge: Edge
    outcome: str
    exception: What | None = None


class Model(Ledger):
    """One machine; the facts it tells are dictionaries in `facts`."""

    def __init__(self, definition: Definition, tape: Tape) -> None:
        super().__init__(definition)
        self.tape = tape
        self.cancel_at: int | None = None
        self.stage = "START"
        self.state: int | None = None
        self.stack: list[int] = []
        self.retries: Counter[int | None] = Counter()
        self.deadline: float | None = None
        self.kind = "initial"
        self.move: Move | None = None
        self.delay_end = 0.0
        self.visit_began = self.run_began = 0.0
        self.entered = self.consumed = False
        self.asks = True
        """on_error_fn may be asked: what fails in a transition that it chose itself is not asked of it again."""

    # -- looking

    @property
    def here(self) -> State:
        """The current state."""
        assert self.state is not None
        return self.definition.states[self.state]

    def look(self) -> dict[str, Any]:
        """Return what can be seen from outside."""
        return {
            "state": self.state,
            "stack": tuple(self.stack),
            "retries": {state: count for state, count in self.retries.items() if count},
            "stats": self.stats(),
            "calls": self.tape.position,
            "now": self.now,
        }

    # -- operations

    def initialize(self):
        """Enter the initial state, once; "moved" when that took a step, because on_enter was cut or raised and led elsewhere."""
        if self.stage == "START":
            return (yield from self._begin())
        return "entered"

    def reset(self):
        """Start again with an empty mailbox."""
        self.drop_pending()
        if self.stage != "START" and not self.complete:
            if self.stage != "DELAY":
                self.tell("VisitEnded", state=self.state, outcome="reset", duration=self.now - self.visit_began, exception=None)
            self.tell("RunEnded", state=self.state, outcome="reset", duration=self.now - self.run_began, exception=None)
        self.complete = False
        self.stack.clear()
        self.retries.clear()
        yield from self._begin()

    def tick(self, timeout: float | None = 0):
        """Make one step, with at most one message."""
        self._check_alive()
        if (yield from self.initialize()) == "moved":
            return
        first = self.stage not in {"WAIT", "TIMEOUT", "FAIL", "LEAVE"}
        # A tick that waits for a retry's delay has begun to wait: what comes after has what is left of the time.
        end = self.now + timeout if timeout and self.stage == "DELAY" and self.delay_end > self.now else None
        taken = sum(fact["fact"] == "MessageTaken" for fact in self.facts)
        did = yield from self._step(timeout)
        # An on_enter that is made again after a Restart is followed by a message at once: then that was this tick's.
        first = first and taken == sum(fact["fact"] == "MessageTaken" for fact in self.facts)
        if did == "waits" and first:
            yield from self._step(timeout if end is None else max(0.0, end - self.now))

    def run(self, max_iterations: int | None = None, timeout: float | None = 1):
        """Make steps until the machine comes to rest."""
        self._check_alive()
        made = 1 if (yield from self.initialize()) == "moved" else 0
        began = self._configuration()
        self.consumed = False
        while max_iterations is None or made < max_iterations:
            self.entered = False
            comes_by_itself = self.deadline is not None or self.stage == "DELAY"
            if (yield from self._step(None if comes_by_itself and timeout != 0 else timeout)) == "idle":
                return
            made += 1
            if self.entered and max_iterations is None and self._configuration() == began:
                if not self.consumed:
                    return
                self.consumed = False

    def _configuration(self) -> tuple[Any, ...]:
        return (self.state, tuple(self.stack), self.retries[self.state or 0])

    def _check_alive(self) -> None:
        if self.complete:
            raise Failure("StateMachineComplete")

    def _begin(self):
        self.run_number += 1
        self.seq = self.visit = 0
        self.run_began = self.now
        self.tell("RunStarted", state=0, resumed=False)
        return (yield from self._routed(self._enter(0, "initial")))

    # -- one step

    def _step(self, patience: float | None):
        """Make the call that is due: "moved", "waits" (it answered so), or "idle" (none was, though it waited *patience* seconds)."""
        if self.stage == "ENTER" and (yield from self._routed(self._on_enter())) != "entered":
            return "moved"
        if self.stage == "DELAY":
            if self.delay_end > self.now and patience != 0:
                yield Wait(self.delay_end if patience is None else min(self.delay_end, self.now + patience))
            if self.now < self.delay_end:
                return "idle"
            self.consumed = True
            if (yield from self._routed(self._enter(self.state, "retry"))) != "entered":
                return "moved"
        if self.stage == "WAIT":
            due = self.deadline is not None and self.deadline <= self.now
            if not due and not self.pending and patience != 0:
                ends = [moment for moment in (patience and self.now + patience, self.deadline) if moment is not None]
                yield Wait(min(ends) if ends else None, for_message=True)
            if self.deadline is not None and self.deadline <= self.now:
                return (yield from self._routed(self._fire()))
            if not self.pending:
                return "idle"
            return (yield from self._routed(self._message()))
        what = {"FIRST": self._first, "TIMEOUT": self._timeout, "FAIL": self._fail, "LEAVE": self._leave}[self.stage]
        return (yield from self._routed(what()))

    def _message(self):
        message = self.take()
        self.consumed = True
        if message.kind == "error":
            raise Failure("Boom", message.number)
        return (yield from self._on_state(message))

    def _first(self):
        return (yield from self._on_state(None))

    def _on_state(self, message: Message | None):
        try:
            answer = yield from self._call("on_state", message)
        except Cut:
            return (yield from self._fire())
        if self.here.terminal:
            return (yield from self._depart(Move(Edge(None, "complete"), "completed")))
        return (yield from self._decide(answer, "on_state", message))

    def _fire(self):
        assert self.deadline is not None
        lateness = self.now - self.deadline
        self.deadline = None
        self.consumed = True
        self.counts["timeouts"] += 1
        self.stage = "TIMEOUT"
        self.tell("TimeoutFired", state=self.state, after=self.here.timeout, lateness=lateness)
        return (yield from self._timeout())

    def _timeout(self):
        if "on_timeout" not in self.here.handlers:
            self.stage = "WAIT"
            raise Failure("UnhandledTimeout")
        answer = yield from self._call("on_timeout", None)
        edge = find(answer, self.here)
        if self.here.terminal and edge is not None and edge.kind in {"nothing", "unhandled"}:
            return (yield from self._depart(Move(Edge(None, "complete"), "timeout")))
        return (yield from self._decide(answer, "on_timeout", None))

    def _fail(self):
        answer = yield from self._call("on_fail", None)
        return (yield from self._decide(answer, "on_fail", None))

    # -- what an answer does

    def _said(self, answer: Answer) -> tuple[str, Any] | None:
        return said(answer, self.here, len(self.definition.states))

    def _decide(self, answer: tuple[str, Any] | None, by: str, message: Message | None):
        edge = find(answer, self.here)
        if edge is None:
            raise Failure("UnknownTransition")
        if by == "on_fail" and edge.kind == "retry":
            raise Failure("RetriesExhausted")
        return (yield from self._take(edge, by, message))

    def _take(self, edge: Edge, by: str, message: Message | None = None, why: What | None = None, *, leave: bool = True):
        if edge.kind in {"nothing", "unhandled"}:
            return (yield from self._wait(edge, by, message))
        if edge.kind == "again":
            self.counts["transitions"] += 1
            self.tell("TransitionTaken", source=self.state, target=self.state, label=edge.label, kind="again")
            self.stage = "FIRST"
            return "moved"
        if edge.kind == "pop" and not self.stack:
            raise Failure("PopFromEmptyStack")
        if edge.kind == "retry":
            limit = self._retry_limit()
            if limit is not None and self.retries[self.state] >= limit:
                self.tell("RetriesExhausted", state=self.state, count=self.retries[self.state] + 1, limit=limit)
                if "on_fail" not in self.here.handlers:
                    raise Failure("RetriesExhausted")
                self.stage = "FAIL"
                return (yield from self._fail())
        outcome = {"on_timeout": "timeout", "on_error_fn": "error"}.get(by) or OUTCOMES.get(edge.kind, edge.kind)
        return (yield from self._depart(Move(edge, outcome, why), leave=leave))

    def _retry_limit(self) -> int | None:
        policy = self.here.policy
        return self.here.retries if self.here.retries is not None else policy.max if policy else None

    def _wait(self, edge: Edge, by: str, message: Message | None):
        if edge.kind == "unhandled" and message is not None:
            self.counts["handled"] -= 1
            self.counts["unhandled"] += 1
            self.tell("MessageUnhandled", message=message, number=self.taken)
        if by == "on_state" and self.definition.has_trap and self.tape.next().boom is not None:
            raise Failure("TrapBoom")
        if not self.here.can_dwell and self.here.timeout is None:
            raise Failure("BlockedInUntimedState")
        self.stage = "WAIT"
        yield from ()
        return "waits" if by == "on_state" else "moved"

    # -- moving

    def _depart(self, move: Move, *, leave: bool = True):
        self.move = move
        self.stage = "LEAVE"
        if leave:
            yield from self._call_on_leave()
        return (yield from self._go())

    def _leave(self):
        yield from self._call_on_leave()
        return (yield from self._go())

    def _call_on_leave(self):
        move = self.move
        assert move is not None
        try:
            yield from self._call("on_leave", None)
        except Failure as second:
            # An error on its way is not held up by another.
            if move.exception is None:
                raise
            self.counts["errors"] += 1
            # on_error_fn, too, may choose a state that is not listed here.
            to = "error_state" if move.edge == Edge(None, "error", (self.definition.error,)) else "on_error_fn"
            self.tell("ErrorRouted", exception=second.what, state=self.state, to=to)

    def _go(self):
        move, source = self.move, self.state
        assert move is not None
        edge = move.edge
        took = self.now - self.visit_began
        self.tell("VisitEnded", state=source, outcome=move.outcome, duration=took, exception=move.exception)
        if edge.kind in FORGETS_RETRIES:
            self.retries[source] = 0
        target = self._target(edge)
        if edge.kind != "complete":
            self.counts["transitions"] += 1
            self.tell("TransitionTaken", source=source, target=target, label=edge.label, kind=edge.kind)
        if edge.kind in {"complete", "end"}:
            self.complete = True
            self.stage = "DONE"
            self.tell("RunEnded", state=source, outcome="completed", duration=self.now - self.run_began, exception=None)
            raise Failure("StateMachineComplete")
        if edge.kind == "push":
            self.stack += reversed(edge.targets[1:])
            self.tell("StackPushed", states=tuple(reversed(edge.targets[1:])), depth=len(self.stack))
        if edge.kind == "pop":
            self.stack.pop()
            self.tell("StackPopped", states=(target,), depth=len(self.stack))
        if edge.kind == "retry":
            self.retries[source] += 1
            count = self.retries[source]
            delay = (self.here.policy or Policy(base=0.0)).delay(count)
            self.counts["retries"] += 1
            self.tell("RetryScheduled", state=source, count=count, limit=self._retry_limit(), delay=delay)
            if delay > 0:
                self.stage, self.delay_end, self.deadline = "DELAY", self.now + delay, None
                return "moved"
        yield from self._routed(self._enter(target, edge.kind))
        return "moved"

    def _target(self, edge: Edge) -> int | None:
        if edge.kind == "pop":
            return self.stack[-1]
        if edge.targets:
            return edge.targets[0]
        return None if edge.kind in {"complete", "end"} else self.state

    def _enter(self, target: int | None, kind: str):
        self.state, self.kind = target, kind
        self.visit += 1
        self.counts["visits"] += 1
        self.visit_began = self.now
        self.deadline = None if self.here.timeout is None else self.now + self.here.timeout
        self.stage = "ENTER"
        self.entered = True
        self.tell("VisitStarted", state=target, kind=kind, stack=tuple(self.stack))
        return (yield from self._on_enter())

    def _on_enter(self):
        try:
            yield from self._call("on_enter", None)
        except Cut:
            return (yield from self._fire())
        self.stage = "WAIT" if self.kind == "restart" else "FIRST"
        return "entered"

    # -- errors

    def _routed(self, action):
        try:
            return (yield from action)
        except Failure as failure:
            if failure.final:
                raise
            return (yield from self._route(failure))

    def _route(self, failure: Failure):
        self.counts["errors"] += 1
        if self.state != self.definition.error:
            if self.definition.on_error is not None and self.asks:
                try:
                    edge = yield from self._ask()
                except Failure as second:
                    failure = second
                else:
                    if edge is not None:
                        self.tell("ErrorRouted", exception=failure.what, state=self.state, to="on_error_fn")
                        leave = self.stage not in {"LEAVE", "ENTER"}
                        self.asks = False
                        try:
                            return (yield from self._routed(self._take(edge, "on_error_fn", why=failure.what, leave=leave)))
                        finally:
                            self.asks = True
            if self.definition.error is not None:
                self.tell("ErrorRouted", exception=failure.what, state=self.state, to="error_state")
                return (yield from self._escape(failure))
        self.tell("ErrorRouted", exception=failure.what, state=self.state, to="raised")
        failure.final = True
        raise failure

    def _ask(self):
        call = self.tape.next()
        yield from self._do(call.doings, self.definition.on_error == "async", None)
        if call.boom is not None:
            raise Failure("Boom", call.boom)
        if self._said(call.answer) is None:
            return None
        answer = self._said(call.answer)
        edge = find(answer, self.here)
        if edge is None and answer is not None and answer[0] == "state" and answer[1] in reachable(self.definition):
            edge = Edge(None, "error", (answer[1],))
        if edge is None:
            raise Failure("UnknownTransition")
        if edge.kind == "pop" and not self.stack:
            raise Failure("PopFromEmptyStack")
        return edge

    def _escape(self, failure: Failure):
        assert self.definition.error is not None
        move = Move(Edge(None, "error", (self.definition.error,)), "error", failure.what)
        return (yield from self._depart(move, leave=self.stage not in {"LEAVE", "ENTER"}))

    # -- calling a handler

    def _call(self, handler: str, message: Message | None):
        """Call a handler as the tape says; its answer, or what it raised. The clock goes on where it suspends."""
        flavour = self.here.handlers.get(handler)
        if flavour is None:
            return None
        state = self.state
        if handler == "on_state" and message is not None:
            self.stage = "WAIT"
        self.tell("HandlerStarted", handler=handler, state=state, message=message)
        began = self.now
        call = self.tape.next()
        answer: tuple[str, Any] | None = None
        what: What | None = None
        try:
            try:
                yield from self._do(call.doings, flavour == "async", self.deadline if handler in {"on_enter", "on_state"} else None)
            except Cut:
                if not call.swallow:
                    raise
            if call.boom is not None:
                raise Failure("Boom", call.boom)
            answer = self._said(call.answer) if handler in {"on_state", "on_timeout", "on_fail"} else None
        except Failure as failure:
            what = failure.what
            raise
        except Cut:
            what = ("TimeoutError", None)
            raise
        except Cancelled:
            what = ("CancelledError", None)
            raise
        finally:
            took = self.now - began
            self.tell("HandlerFinished", handler=handler, state=state, message=message, answer=answer, duration=took, exception=what)
        return answer

    def _do(self, doings: tuple[Doing, ...], suspends: bool, deadline: float | None):
        for doing in doings:
            if doing.kind == "send":
                assert doing.message is not None
                self.send(doing.message)
            elif doing.kind == "advance":
                self.now += doing.amount
            elif suspends:
                if self.cancel_at is not None:
                    self.cancel_at -= 1
                    if self.cancel_at < 0:
                        self.cancel_at = None
                        raise Cancelled
                end = self.now + doing.amount
                if deadline is not None and deadline <= end:
                    yield Wait(max(deadline, self.now))
                    raise Cut
                yield Wait(end)

    # -- driving

    def do(self, command: Command) -> tuple[Any, ...]:
        """Carry out *command* to its end, time passing as it will, and return what came out of it."""
        self.cancel_at = command.cancel_at
        try:
            if command.kind == "send":
                assert command.message is not None
                return ("returned", self.send(command.message))
            if command.kind == "advance":
                self.now += command.amount or 0.0
                return ("returned", None)
            return run_through(self, self.operation(command))
        except Failure as failure:
            return ("raised", *failure.what)
        finally:
            self.cancel_at = None

    def operation(self, command: Command):
        """Return the generator of a command that takes time."""
        if command.kind == "tick":
            return self.tick(command.amount)
        if command.kind == "run":
            return self.run(command.limit, command.amount)
        return self._entering(self.reset() if command.kind == "reset" else self.initialize())

    def _entering(self, action):
        # Neither initialize nor reset is asked to go on, so that neither signals that there is nothing to go on with.
        try:
            yield from action
        except Failure as failure:
            if failure.what[0] != "StateMachineComplete":
                raise


def run_through(model: Model, operation: Generator[Wait, None, Any]) -> tuple[Any, ...]:
    """Drive *operation* to its end, moving the clock to each moment that it waits for; what never comes is given up."""
    try:
        while True:
            wait = next(operation)
            if wait.until is None:
                operation.throw(Cancelled())
            else:
                model.now = max(model.now, wait.until)
    except StopIteration:
        return ("returned", None)
    except Cancelled:
        return ("cancelled",)
