"""Moves, in full: the calls of handlers, leaving and entering, deadlines, retries and the stack, with every fact told on the way."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from septum import _errors
from septum import _facts as facts
from septum._deadline import CUT, within
from septum._fact import build
from septum._mail import Mail
from septum._mode import DELAY, DONE, ENTER, ENTER_WAIT, FAIL, FIRST, LEAVE, RETRIED, STAGE, TIMEOUT, WAIT
from septum._step import COMPLETE, RESETS, Move, decide, retry_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from septum._hooks import Audience, Watch
    from septum._node import Node, PlainEdge

T = TypeVar("T")

OUTCOMES: Final = {"label": "transition", "direct": "transition", "end": "completed", "complete": "completed"}
"""How a visit ended, by the kind of the move, where the two differ."""


async def _awaited(answer: Any) -> Any:
    return await answer


class Mover(Mail[T]):
    """A machine that can carry out a move."""

    __slots__ = ()

    async def _call_on_state(self, node: Node) -> Any:
        """Call `on_state`, told to observers, cut at the deadline; `CUT` if it was."""
        aside = self._aside
        watch = None if aside is None else aside.watch
        audience = None if watch is None else watch.audience
        if watch is None or audience is None or audience.light:
            # The common case of an observed machine, without a frame more than it needs.
            if watch is not None and audience is not None:
                if audience.passed:
                    return await self._call_to_pass(watch, node)
                watch.seq += 2
            # A call of what a slot holds is looked up as a method first; a local one is not.
            on_state = node.on_state
            if node.is_async and node.timeout is None:
                return await on_state(self)
            return await self._limited(on_state(self), limited=True)
        return await self._call("on_state", node, node.on_state, limited=True)

    async def _call_to_pass(self, watch: Watch, node: Node) -> Any:
        """Call `on_state` for observers who hear of plain steps in one tuple, which `_pass` tells them, and of this call otherwise."""
        audience = watch.audience
        watch.seq += 1
        now, on_state = watch.now, node.on_state
        began = now()
        try:
            if node.is_async and node.timeout is None:
                answer = await on_state(self)
            else:
                answer = await self._limited(on_state(self), limited=True)
        except BaseException as error:
            self._tell_finished(watch, audience, node, began, None, error)
            raise
        if (answer is node.quick[0] or node.look_up(answer) is not None) and watch.audience is audience:
            watch.seq += 1
        else:
            self._tell_finished(watch, audience, node, began, answer)
        return answer

    def _tell_finished(
        self, watch: Watch, audience: Audience, node: Node, began: float, answer: Any, failure: BaseException | None = None
    ) -> None:
        """Tell *audience* how a call of `on_state` ended whose start nobody wanted to know."""
        watch.seq += 1
        if audience.handler_finished:
            if answer is CUT:
                answer, failure = None, TimeoutError(f"on_state of {node.name} was cut at its deadline")
            now = watch.now()
            header = (watch.origin, watch.seq, self._visits - watch.before, now, watch.wall_ns())
            own = ("on_state", node.name, self.msg, answer, now - began, failure)
            watch.tell(audience.handler_finished, build(facts.HandlerFinished, (*header, *own)))

    async def _call(self, name: str, node: Node, handler: Callable[[Any], Any], *, limited: bool = False) -> Any:
        """Call a handler and tell when it started and finished, on whatever way it ended; *limited*: the deadline cuts it."""
        aside = self._aside
        watch = None if aside is None else aside.watch
        if watch is None:
            return await self._limited(handler(self), limited=limited)
        # Whoever was told of the start is told of the end, even if it is detached meanwhile, and nobody else is.
        audience = watch.audience
        watch.in_handler = True
        plan, message = self._plan, self.msg
        started = plan.now()
        self._tell(facts.HandlerStarted, name, node.name, message)
        answer: Any = None
        failure: BaseException | None = None
        try:
            answer = await self._limited(handler(self), limited=limited)
            if answer is CUT:
                failure = TimeoutError(f"{name} of {node.name} was cut at its deadline")
        except BaseException as error:
            failure = error
            raise
        finally:
            watch.seq += 1
            if audience.handler_finished:
                now = plan.now()
                header = (watch.origin, watch.seq, self._visits - watch.before, now, plan.clock.wall_ns())
                own = (name, node.name, message, None if answer is CUT else answer, now - started, failure)
                watch.tell(audience.handler_finished, build(facts.HandlerFinished, (*header, *own)))
            watch.in_handler = False
            if watch.newcomers:
                self._admit(watch.newcomers, watch)
        return answer

    async def _limited(self, answer: Any, *, limited: bool) -> Any:
        """Return a handler's answer, awaited if it is awaitable, cut at the deadline of this visit if it has one and is *limited*."""
        if not inspect.isawaitable(answer):
            return answer
        if not limited or self._node.timeout is None or self._deadline is None:
            return await answer
        call: Coroutine[Any, Any, Any] = answer if inspect.iscoroutine(answer) else _awaited(answer)
        try:
            waiting = call.send(None)
        except StopIteration as stop:
            return stop.value
        return await within(call, waiting, self._deadline, self._plan.clock)

    def _decide(self, node: Node, answer: Any) -> Move:
        return decide(node, self._top(), self.retry_count, answer, self._plan.name)

    async def _obey(self, node: Node, move: Move, outcome: str, error: Exception | None = None, *, leave: bool = True) -> None:
        """Carry out a move other than a wait in which a message matters; *error* is what it answers to, if anything."""
        kind = move.kind
        if kind in {"wait", "unhandled"}:
            if not node.may_wait:
                raise _errors.blocked(self._plan.name, node.name)
            self._set_stage(WAIT)
            return
        if kind == "again":
            self._side().extra += 1
            watch = self._watch
            if watch is not None and watch.tally is not None:
                watch.tally.count(node.name, node.name, move.label, kind)
            self._tell(facts.TransitionTaken, node.name, node.name, move.label, kind)
            self._set_stage(FIRST)
            return
        if kind == "exhausted":
            limit = node.retries
            self._alarm(facts.RetriesExhausted, node.name, self.retry_count + 1, limit)
            if node.on_fail is None:
                raise _errors.retries_exhausted(self._plan.name, node.name, cast("int", limit), failed=False)
            self._set_stage(FAIL)
            await self._fail(node)
            return
        await self._go(move, outcome, error, leave=leave)

    async def _fail(self, node: Node) -> None:
        """Let `on_fail` decide."""
        move = self._decide(node, await self._call("on_fail", node, cast("Callable[[Any], Any]", node.on_fail)))
        if move.kind in {"exhausted", "retry"}:
            raise _errors.retries_exhausted(self._plan.name, node.name, cast("int", node.retries), failed=True)
        await self._obey(node, move, OUTCOMES.get(move.kind, move.kind))

    async def _time_out(self, node: Node) -> None:
        """The deadline has passed: it fires, once, and `on_timeout` decides."""
        aside = self._side()
        aside.timeouts += 1
        aside.consumed = True
        lateness = self._plan.now() - cast("float", self._deadline)
        self._deadline = None
        self._tell(facts.TimeoutFired, node.name, node.timeout, lateness)
        if node.on_timeout is None:
            self._set_stage(WAIT)
            raise _errors.unhandled_timeout(self._plan.name, node.name, cast("float", node.timeout))
        self._set_stage(TIMEOUT)
        await self._follow_timeout(node)

    async def _follow_timeout(self, node: Node) -> None:
        answer = await self._call("on_timeout", node, cast("Callable[[Any], Any]", node.on_timeout))
        move = self._decide(node, answer)
        # A terminal state whose on_timeout does not lead out of it is through.
        await self._obey(node, COMPLETE if node.terminal and move.kind in {"wait", "unhandled"} else move, "timeout")

    async def _go(self, move: Move, outcome: str, error: BaseException | None = None, *, leave: bool = True) -> None:
        """Leave the state as *move* says and enter the next, if there is one."""
        node = self._node
        if node.on_leave is not None and leave:
            self._side().pending = (move, outcome, error)
            self._set_stage(LEAVE)
            try:
                await self._call("on_leave", node, node.on_leave)
            except Exception as second:
                # On the way to the error state nothing may hold it up; else the caller hears of it and this on_leave is due again.
                if error is None:
                    raise
                second.__context__ = error
                self._side().errors += 1
                to = "error_state" if move.kind == "error" and move.target is self._plan.error else "on_error_fn"
                self._alarm(facts.ErrorRouted, second, node.name, to)
        if self._aside is not None:
            self._aside.pending = None
        self._cross(node, move, outcome, error)
        mode = self._mode
        if mode & STAGE in {ENTER, ENTER_WAIT} and not mode & DONE:
            await self._enter(self._node)

    def _cross(self, node: Node, move: Move, outcome: str, error: BaseException | None) -> None:
        """Tell that *node* was left, change the stack and the counts, and begin the next visit: the one place where a visit ends."""
        kind, label, target, below = move
        aside = self._aside
        watch = None if aside is None else aside.watch
        told = kind != "complete"
        if watch is not None:
            audience, plan = watch.audience, self._plan
            if node.expect is not None:
                self._tell_overdue()
            seq = watch.seq
            watch.seq = seq + 2 if told else seq + 1
            if told and watch.tally is not None:
                watch.tally.count(node.name, None if target is None else target.name, label, kind)
            if audience.visit_ended or audience.transition_taken:
                now = plan.now()
                visit, wall = self._visits - watch.before, plan.clock.wall_ns()
                if audience.visit_ended:
                    own = (node.name, outcome, now - watch.visit_at, error)
                    fact: facts.Fact = build(facts.VisitEnded, (watch.origin, seq + 1, visit, now, wall, *own))
                    watch.tell(audience.visit_ended, fact)
                if told and audience.transition_taken:
                    taken = (watch.origin, seq + 2, visit, now, wall, node.name, target and target.name, label, kind)
                    watch.tell(audience.transition_taken, build(facts.TransitionTaken, taken))
        if kind in RESETS and self._mode & RETRIED:
            self._forget_retries(node)
        if target is None:
            if kind == "end":
                self._side().extra += 1
            self._end_run("completed", None)
            self._mode = self._mode & ~STAGE | DONE | WAIT
            self._hold_mail()
            return
        if kind == "retry":
            self._schedule_retry(node)
            return
        if kind == "push":
            self._push(below)
        elif kind == "pop":
            self._pop()
        self._begin(target, kind)

    def _pass(self, watch: Watch, node: Node, quick: PlainEdge) -> None:
        """Do what `_cross` and `_begin` do for a plain edge of an observed machine, in one go; the caller changes the state.

        Nearly all moves of nearly all machines are these, so they have a way of their own; tests/model holds the two to the same facts.
        """
        audience = watch.audience
        if node.expect is not None:
            self._tell_overdue()
            watch.overdue = False
        _, target, seconds, label, place = quick
        seq = watch.seq
        watch.seq = seq + 3
        # Read first and called then: what a slot holds is not looked for among the methods so.
        read = watch.now
        now = read()
        visits = self._visits
        visit = visits - watch.before
        wall = 0
        if audience.passed:
            step = (watch.origin, seq + 3, visit, now, self._plan.graph.plain[place], now - watch.visit_at)
            watch.tell(audience.passed, step)
        else:
            read_wall = watch.wall_ns
            wall = read_wall()
            if audience.visit_ended:
                ended = (watch.origin, seq + 1, visit, now, wall, node.name, "transition", now - watch.visit_at, None)
                over = build(facts.VisitEnded, ended)
                # Watch.tell without its call: these are the facts that most observers of most machines want.
                for method in audience.visit_ended:
                    try:
                        method(over)
                    except Exception as error:  # noqa: BLE001 - as there
                        watch.failed(method, error)
            if audience.transition_taken:
                taken = (watch.origin, seq + 2, visit, now, wall, node.name, target.name, label, "label")
                fact = build(facts.TransitionTaken, taken)
                for method in audience.transition_taken:
                    try:
                        method(fact)
                    except Exception as error:  # noqa: BLE001 - as there
                        watch.failed(method, error)
        if watch.tally is not None:
            watch.tally.plain[place] += 1
        self._visits = visits + 1
        watch.visit_at = now
        if seconds is not None:
            self._deadline = now + seconds
        if audience.visit_started and not audience.passed:
            started = (watch.origin, seq + 3, visit + 1, now, wall, target.name, "label", self._stack_names())
            watch.tell(audience.visit_started, build(facts.VisitStarted, started))

    def _begin(self, node: Node, kind: str) -> None:
        """Begin a visit to *node*: `on_enter` is due."""
        self._node = node
        self._visits += 1
        self._mode = self._mode & ~STAGE | (ENTER_WAIT if kind == "restart" else ENTER)
        aside = self._aside
        watch = None if aside is None else aside.watch
        if node.timeout is not None:
            self._deadline = self._plan.now() + node.timeout
        if watch is not None:
            audience = watch.audience
            watch.seq += 1
            watch.visit_at = self._plan.now()
            watch.overdue = False
            if audience.visit_started:
                plan = self._plan
                header = (watch.origin, watch.seq, self._visits - watch.before, plan.now(), plan.clock.wall_ns())
                watch.tell(audience.visit_started, build(facts.VisitStarted, (*header, node.name, kind, self._stack_names())))

    async def _enter(self, node: Node) -> bool:
        """Finish entering *node*; True when its deadline cut `on_enter` and `on_timeout` has decided instead."""
        if node.on_enter is not None and await self._call("on_enter", node, node.on_enter, limited=True) is CUT:
            await self._time_out(node)
            return True
        self._set_stage(WAIT if self._mode & STAGE == ENTER_WAIT else FIRST)
        return False

    def _schedule_retry(self, node: Node) -> None:
        """Count a retry and begin its delay, or the next visit at once."""
        aside = self._side()
        retries = aside.retries = aside.retries or {}
        count = retries[node.name] = retries.get(node.name, 0) + 1
        self._mode |= RETRIED
        aside.retry_count += 1
        policy = node.retry
        delay = retry_delay(node, count, self.random.random() if policy is not None and policy.jitter else 0.5)
        self._tell(facts.RetryScheduled, node.name, count, node.retries, delay)
        if delay > 0:
            aside.extra += 1
            self._deadline = self._plan.now() + delay
            self._set_stage(DELAY)
        else:
            self._begin(node, "retry")

    def _forget_retries(self, node: Node) -> None:
        aside = self._side()
        aside.retries.pop(node.name, None)
        if not aside.retries:
            self._mode &= ~RETRIED

    def _push(self, below: tuple[Node, ...]) -> None:
        aside = self._side()
        stack = aside.stack = aside.stack or []
        for node in below:
            place = len(stack)
            if aside.matched == place < len(aside.anchor) and aside.anchor[place] is node:
                aside.matched = place + 1
            stack.append(node)
        self._tell(facts.StackPushed, tuple(node.name for node in below), len(stack))

    def _pop(self) -> None:
        aside = self._side()
        top = aside.stack.pop()
        aside.matched = min(aside.matched, len(aside.stack))
        self._tell(facts.StackPopped, (top.name,), len(aside.stack))
