"""One step, in full: what is due, what its answer means, where its errors go.

The fast loops of `_driver` do the same for plain edges of unobserved machines, and come here for everything else.
"""

from __future__ import annotations

import inspect
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from septum import _errors
from septum import _facts as facts
from septum._deadline import CUT
from septum._mode import DELAY, ENTER, ENTER_WAIT, FAIL, FAILED, FIRST, LEAVE, RETRIED, STAGE, TIMEOUT, WAIT, WATCHED
from septum._mover import OUTCOMES, Mover
from septum._node import ASYNC, NO_EDGE
from septum._queue import NOTHING
from septum._step import COMPLETE, Move

if TYPE_CHECKING:
    from septum._hooks import Watch
    from septum._node import Node

T = TypeVar("T")

# What a step says it did.
IDLE: Final = 0  # nothing was due
STEPPED: Final = 1  # a handler decided
CONSUMED: Final = 2  # the same, and a message, a deadline or a retry's delay went into it
WAITING: Final = 3  # the first call of a visit answered "wait"


class Stepper(Mover[T]):
    """A machine that can do one step."""

    __slots__ = ()

    async def _step(self) -> int:
        """Do what is due, at most one message or deadline of it; errors are routed or raised.

        Cancellation leaves the call that it hit to be made again, but for a message that the handler had seen.
        """
        try:
            return await self._do_what_is_due()
        except Exception as error:
            if not await self._route(error):
                raise
            return STEPPED
        finally:
            self.msg = None

    async def _do_what_is_due(self) -> int:
        node = self._node
        stage = self._mode & STAGE
        did = STEPPED
        if stage == DELAY:
            due = cast("float", self._deadline)
            if self._plan.now() < due:
                return IDLE
            did = CONSUMED
            aside = self._side()
            aside.extra -= 1
            aside.consumed = True
            self._begin(node, "retry")
            stage = ENTER
        elif stage == LEAVE:
            move, outcome, error = cast("tuple[Move, str, BaseException | None]", self._side().pending)
            await self._go(move, outcome, error)
            return STEPPED
        if stage in {ENTER, ENTER_WAIT}:
            if await self._enter(node):
                return did
            stage = self._mode & STAGE
        if stage == FIRST:
            answer = await self._call_on_state(node)
            if answer is None and not node.terminal:
                self._answered_wait(node)
                return WAITING
            waits = await self._answered(node, answer)
            return WAITING if waits else did
        if stage == TIMEOUT:
            await self._follow_timeout(node)
            return did
        if stage == FAIL:
            await self._fail(node)
            return did
        return await self._attend(node)

    async def _attend(self, node: Node) -> int:
        """Do what is due in a state that waits: the deadline if it has passed, else the message that is next."""
        deadline = self._deadline
        if node.timeout is not None and deadline is not None and self._plan.now() >= deadline:
            await self._time_out(node)
            return CONSUMED
        message = self._take()
        if message is NOTHING:
            return IDLE
        if isinstance(message, Exception):
            raise message
        self.msg = message
        answer = await self._call_on_state(node)
        watch = self._watch
        if watch is not None and answer is node.quick[0] and self._mode == WATCHED | WAIT:
            # `_answered` would come to the same; most messages of observed machines end here.
            self.msg = None
            self._pass(watch, node, node.quick)
            self._node = node.quick[1]
            self._mode = WATCHED
        elif answer is None and not node.terminal:
            self._answered_wait(node)
        else:
            await self._answered(node, answer, message)
        return CONSUMED

    async def _answered(self, node: Node, answer: Any, message: object = NOTHING) -> bool:
        """Take up what `on_state` answered (not None, unless the state is terminal); returns whether it means to wait."""
        if answer is CUT:
            self.msg = None
            await self._time_out(node)
            return False
        if node.terminal:
            self.msg = None
            await self._go(COMPLETE, "completed")
            return False
        quick = node.quick if answer is node.quick[0] else node.look_up(answer)
        if quick is not None:
            # A plain edge: nobody to call on the way.
            self.msg = None
            watch = self._watch
            if watch is not None:
                self._pass(watch, node, quick)
            else:
                self._visits += 1
                if quick[2] is not None:
                    self._deadline = self._plan.now() + quick[2]
            self._node = quick[1]
            if self._mode & RETRIED:
                self._forget_retries(node)
            self._mode &= ~STAGE
            return False
        move = self._decide(node, answer)
        if move.kind == "unhandled":
            if message is not NOTHING:
                self._mailbox.unhandled += 1
                self._tell(facts.MessageUnhandled, message, self._last_number())
            self._answered_wait(node)
            return True
        self.msg = None
        await self._obey(node, move, OUTCOMES.get(move.kind, move.kind))
        return False

    def _answered_wait(self, node: Node) -> None:
        """Go to WAIT, if the state may; the trap still sees the message."""
        plan = self._plan
        if plan.trap is not None:
            plan.trap(self)
        self.msg = None
        if not node.may_wait:
            raise _errors.blocked(plan.name, node.name)
        self._mode = self._mode & ~STAGE | WAIT

    async def _finish(self, node: Node, answer: Any, message: object = NOTHING) -> bool:
        """Take up the answer of an `on_state` that a fast loop called; returns whether it means to wait. Errors are not routed yet."""
        if inspect.isawaitable(answer):
            self.msg = None if message is NOTHING else message
            answer = await self._limited(answer, limited=True)
        if answer is None and not node.terminal:
            self._answered_wait(node)
            return True
        return await self._answered(node, answer, message)

    async def _take_light_steps(self, watch: Watch, most: int, until: Node | None) -> int:
        """Make steps along plain edges while nobody wants to know of handlers; returns how many.

        Ends with a step that is something else, done in full, after *most* steps, or when *until* is entered.
        """
        steps = 0
        node = self._node
        try:
            for steps in range(1, most + 1):  # noqa: B007 - returned
                watch.seq += 2
                on_state = node.on_state
                if node.speed <= ASYNC:
                    answer = await on_state(self)
                else:
                    answer = await self._limited(on_state(self), limited=True)
                quick = node.quick
                if answer is not quick[0] or node.terminal or self._mode != WATCHED:
                    await self._finish(node, answer)
                    break
                self._pass(watch, node, quick)
                self._node = node = quick[1]
                if node is until or not watch.audience.light:
                    break
        except Exception as error:
            if not await self._route(error):
                raise
        finally:
            self.msg = None
        return steps

    async def _take_silent_steps(self, watch: Watch, most: int, until: Node | None) -> int:
        """Do what `_take_light_steps` does while nobody wants to know of visits either: they are only counted."""
        counts = None if watch.tally is None else watch.tally.plain
        now = self._plan.now
        began = self._visits
        steps = 0
        node = self._node
        try:
            for steps in range(1, most + 1):  # noqa: B007 - returned
                on_state = node.on_state
                if node.speed <= ASYNC:
                    answer = await on_state(self)
                    label, target, seconds, _, place = node.quick
                else:
                    answer = await self._limited(on_state(self), limited=True)
                    label, target, seconds, _, place = NO_EDGE if node.terminal else node.quick
                if answer is not label or self._mode != WATCHED:
                    began = self._skip_facts(watch, began)
                    await self._finish(node, answer)
                    began = self._visits
                    break
                self._visits += 1
                if counts is not None:
                    counts[place] += 1
                if seconds is not None:
                    self._deadline = now() + seconds
                self._node = node = target
                if node is until:
                    break
        except Exception as error:
            if self._visits != began:
                self._skip_facts(watch, began)
            routed = await self._route(error)
            began = self._visits
            if not routed:
                raise
        finally:
            self.msg = None
            if self._visits != began:
                self._skip_facts(watch, began, calls=0)
        return steps

    async def _take_passed_steps(self, watch: Watch, most: int, until: Node | None) -> int:
        """Do what `_take_silent_steps` does, with a tuple for each step to those who want it."""
        counts = None if watch.tally is None else watch.tally.plain
        audience, origin, before = watch.audience, watch.origin, watch.before
        edges, now = self._plan.graph.plain, watch.now
        told = audience.passed
        steps = 0
        node = self._node
        began = now()
        try:
            for steps in range(1, most + 1):  # noqa: B007 - returned
                # The number of the fact that the handler started; handlers may tell more of their own.
                watch.seq += 1
                try:
                    on_state = node.on_state
                    if node.speed <= ASYNC:
                        answer = await on_state(self)
                    else:
                        answer = await self._limited(on_state(self), limited=True)
                except BaseException as error:
                    self._tell_finished(watch, audience, node, began, None, error)
                    raise
                quick = node.quick
                if answer is not quick[0] or self._mode != WATCHED:
                    if node.look_up(answer) is not None and watch.audience is audience:
                        watch.seq += 1
                    else:
                        self._tell_finished(watch, audience, node, began, answer)
                    await self._finish(node, answer)
                    break
                visits = self._visits
                watch.seq = seq = watch.seq + 4
                since = now()
                step = (origin, seq, visits - before, since, edges[quick[4]], since - watch.visit_at)
                for tell in told:
                    try:
                        tell(step)
                    except Exception as error:  # noqa: BLE001 - as for facts
                        watch.failed(tell, error)
                if counts is not None:
                    counts[quick[4]] += 1
                self._visits = visits + 1
                watch.visit_at = began = since
                if quick[2] is not None:
                    self._deadline = since + quick[2]
                self._node = node = quick[1]
                if node is until:
                    break
        except Exception as error:
            if not await self._route(error):
                raise
        finally:
            self.msg = None
        return steps

    def _skip_facts(self, watch: Watch, began: int, *, calls: int = 1) -> int:
        """Number what nobody was told: five facts of each visit since there were *began*, and two of each handler call after them."""
        passed = self._visits - began
        watch.seq += 5 * passed + 2 * calls
        if passed:
            # The last of them began about now, which is as exact as a state that the machine is stuck in needs.
            watch.visit_at = watch.now()
        return self._visits

    async def _route(self, error: Exception, *, again: bool = False) -> bool:
        """Decide where *error* goes: True if it was answered or went to the error state, False if the caller must raise it.

        Args:
            again: It came out of a transition that `on_error_fn` chose, which is then not asked a second time.
        """
        plan, node, stage = self._plan, self._node, self._mode & STAGE
        self.msg = None
        self._side().errors += 1
        # Who never came in, or is on the way out already, is not asked to leave.
        leave = stage not in {LEAVE, ENTER, ENTER_WAIT}
        original = error
        if plan.on_error is not None and not again and node is not plan.error:
            try:
                answer = plan.on_error(self, error)
                move = self._chosen(node, await answer if inspect.isawaitable(answer) else answer)
            except Exception as second:  # noqa: BLE001 - what on_error_fn raised goes the way of the error that it was asked about
                second.__context__ = error
                error = second
            else:
                if move is not None:
                    self._alarm(facts.ErrorRouted, error, node.name, "on_error_fn")
                    try:
                        await self._obey(node, move, "error", error, leave=leave)
                    except Exception as second:
                        if not await self._route(second, again=True):
                            raise
                    return True
        if plan.error is None or node is plan.error:
            self._mode |= FAILED
            self._alarm(facts.ErrorRouted, error, node.name, "raised")
            if error is not original:
                raise error
            return False
        self._alarm(facts.ErrorRouted, error, node.name, "error_state")
        try:
            await self._go(Move("error", None, plan.error), "error", error, leave=leave)
        except Exception as second:
            self._side().errors += 1
            self._mode |= FAILED
            self._alarm(facts.ErrorRouted, second, self._node.name, "raised")
            raise
        return True

    def _chosen(self, node: Node, answer: Any) -> Move | None:
        """Return the move that `on_error_fn` asks for: an answer of the state, or any state of the graph; None if it asks for nothing."""
        if not answer and not isinstance(answer, Enum):
            return None
        if node.resolve(answer) is None:
            target = self._plan.graph.find(answer)
            if target is not None:
                return Move("error", None, target)
        return self._decide(node, answer)
