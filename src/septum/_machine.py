"""The machine as its users see it: constructed, looked at, reset, closed."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar, cast

from septum import _errors, _hooks
from septum import _facts as facts
from septum._chance import Chance
from septum._clock import new_id
from septum._contents import read
from septum._driver import RunResult
from septum._fit import fit
from septum._graph import Graph
from septum._keeper import check_timers
from septum._log import STDLIB, Log, Place, find_sink
from septum._message import Priority
from septum._mode import BUSY, CLOSED, DONE, EQUIPPED, FRESH, OBSERVED
from septum._pace import NO_PACE
from septum._plan import find_plan
from septum._queue import NO_MAILBOX
from septum._states import StateSpec
from septum._window import Window

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from septum._clock import Clock
    from septum._codec import Decoder
    from septum._hooks import Hooks
    from septum._keeper import Timers
    from septum._migrations import Migration
    from septum._queue import OverflowPolicy
    from septum._snapshot import Snapshot
    from septum._transitions import Target

__all__ = ["RunResult", "StateMachine"]

T = TypeVar("T")

_DEFAULT_LIMIT: Final = 1000
_DEFAULT_POLICY: Final = "block"


class StateMachine(Window[T]):
    """A machine that walks from state to state; constructing it checks its definition.

    Args:
        initial_state: A state, a `StateRef` or a full name.
        max_queue_size: Most messages that wait; 0 for any number.
        queue_overflow_policy: "block", "fail", "drop_newest" or "drop_oldest"; see `send_message`.
        error_state: Where the machine goes when a handler raises and `on_error_fn` does not decide.
        filter_fn: Called as `filter_fn(ctx, message)` before queueing; true keeps the message out. Not asked for falsy messages.
        trap_fn: Called as `trap_fn(ctx)` when `on_state` answers None or `Unhandled`.
        on_error_fn: Called as `on_error_fn(ctx, exception)`, may be async; an answer other than None or False is taken as the transition.
        common_data: What handlers see as `ctx.common`; None for a fresh dict.
        hooks: Told what this machine does, besides those of `septum.hooks.install`.
        clock: Where time comes from; None for the system's.
        name: What telemetry and errors call it: names the definition, not the instance. None: the initial state's name.
        machine_id: Names the instance; None for a UUID, made when first asked for.
        strict: Warnings about the definition are errors.

    Raises:
        DefinitionError: The states do not make a machine; its `findings` say why.
        ValueError: An unknown overflow policy.
        TypeError: Something else than a hook among the hooks.
    """

    __slots__ = ()

    MessagePriorities = Priority

    def __init__(
        self,
        initial_state: Target,
        max_queue_size: int = _DEFAULT_LIMIT,
        queue_overflow_policy: OverflowPolicy = _DEFAULT_POLICY,
        error_state: Target | None = None,
        filter_fn: Callable[..., Any] | None = None,
        trap_fn: Callable[..., Any] | None = None,
        on_error_fn: Callable[..., Any] | None = None,
        common_data: T | None = None,
        *,
        hooks: Sequence[Hooks] = (),
        clock: Clock | None = None,
        name: str | None = None,
        machine_id: str | None = None,
        strict: bool = False,
    ) -> None:
        plan: Any
        self._aside = None
        if (
            error_state is None
            and filter_fn is None
            and trap_fn is None
            and on_error_fn is None
            and clock is None
            and name is None
            and max_queue_size is _DEFAULT_LIMIT
            and queue_overflow_policy is _DEFAULT_POLICY
            and machine_id is None
            and not hooks
            and not strict
            and type(initial_state) is StateSpec
            and (plan := initial_state.plan) is not None
        ):
            # A definition without options, not the first time. Equal ones that are not the defaults themselves take the other way.
            self._mode = plan.mode
        else:
            plan = find_plan(
                initial_state, error_state, max_queue_size, queue_overflow_policy, filter_fn, trap_fn, on_error_fn, clock, name, strict
            )
            self._mode = plan.mode
            if hooks or machine_id is not None or _hooks.installed:
                self._equip(hooks, machine_id)
        self._plan = plan
        self._node = plan.initial
        self.common = {} if common_data is None else common_data  # type: ignore[assignment]  # a machine without data has a dict
        self._mailbox = NO_MAILBOX
        self._pace = NO_PACE
        self.msg = self._deadline = None
        self._visits = 0

    def _equip(self, hooks: Sequence[Hooks], machine_id: str | None) -> None:
        """Take in what few machines have."""
        aside = self._side()
        aside.machine_id = machine_id
        for hook in (*hooks, *_hooks.installed):
            _hooks.check_hook(hook)
            if not any(other is hook for other in aside.hooks):
                aside.hooks = (*aside.hooks, hook)
                self._mode |= EQUIPPED

    @classmethod
    async def restore(
        cls,
        snapshot: Snapshot,
        initial_state: Target,
        *,
        timers: Timers = "resume",
        migrations: Iterable[Migration] = (),
        decode: Decoder | None = None,
        classes: Iterable[type[Any]] = (),
        common_data: T | None = None,
        error_state: Target | None = None,
        max_queue_size: int = _DEFAULT_LIMIT,
        queue_overflow_policy: OverflowPolicy = _DEFAULT_POLICY,
        filter_fn: Callable[..., Any] | None = None,
        trap_fn: Callable[..., Any] | None = None,
        on_error_fn: Callable[..., Any] | None = None,
        hooks: Sequence[Hooks] = (),
        clock: Clock | None = None,
        name: str | None = None,
        machine_id: str | None = None,
        strict: bool = False,
    ) -> Self:
        """Return the machine that *snapshot* was taken of, between the same two steps; no handler is called.

        This thread owns it. Hooks are told that its run goes on (`run_started`, resumed) and of the visit that it is in.

        Args:
            initial_state: Where the machine began; what follows it are the constructor's arguments, of which a snapshot holds only
                `common_data`, `name` and `machine_id`. Another id makes another machine of it, whose run is another one too.
            timers: What a deadline or a retry's delay has left: "resume" counts the time since the snapshot was taken, "remaining" does
                not, "restart" starts it anew.
            migrations: Lead from older definitions to this one; see `septum.migrate`.
            decode: Given the name and the value that `snapshot(encode=...)` returned, returns the object.
            classes: Whose objects may be in the snapshot, besides those of the packages of the definition's states.

        Raises:
            BadSnapshot: It is no snapshot of a machine, or cannot be read; `place` says where.
            DefinitionChanged: It is of another definition and no migration leads here; `differences` says what has changed.
            DefinitionError, TypeError, ValueError: As the constructor.
        """
        check_timers(snapshot, timers)
        graph = Graph.of(initial_state, error_state)
        kept = fit(snapshot, graph, migrations)
        contents = read(kept, graph, decode, classes, with_common=common_data is None)
        machine = cls(
            initial_state,
            max_queue_size,
            queue_overflow_policy,
            error_state,
            filter_fn,
            trap_fn,
            on_error_fn,
            common_data,
            hooks=hooks,
            clock=clock,
            name=name or (None if kept.name == graph.initial.qualname else kept.name),
            machine_id=machine_id,
            strict=strict,
        )
        if common_data is None:
            machine.common = contents.common
        machine._bring_back(kept, contents, timers)
        return machine

    async def reset(self) -> None:
        """Go back to the start: an empty mailbox and stack, no retry counts; `common` and the counts of `stats()` stay.

        No `on_leave` runs; pending messages are dropped ("closed"). It also brings a complete or closed machine back.

        Raises:
            AlreadyRunning, WrongThread: Nothing was touched.
            Exception: As `initialize`.
        """
        self._claim("reset()", again=True)
        try:
            self._drop_pending()
            self._end_run("reset", None)
            self.msg = self._deadline = None
            if not self._mode & FRESH or self._visits:
                aside = self._side()
                aside.stack.clear()
                aside.retries.clear()
                aside.pending = None
                if self._visits:
                    aside.entries += 1
                aside.before = self._visits
            self._mode = self._plan.mode | BUSY | self._mode & OBSERVED
            await self._start()
            self._hold_mail()
        finally:
            self._release()

    async def __aenter__(self) -> Self:
        """Initialize; the machine is stopped and closed at the end of the block."""
        await self.initialize()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close, telling how the block ended."""
        if error is None:
            await self._close("stopped", None)
        elif isinstance(error, asyncio.CancelledError):
            await self._close("cancelled", error)
        else:
            await self._close("failed", error)

    async def close(self) -> None:
        """Stop whatever runs, end the run and drop what waits; only `reset()` opens the machine again. A second call does nothing.

        A handler that is at work is waited for, however long it takes; cancel the task that drives the machine to end it. Cancel-safe: the
        machine then stops after its handler, but stays open.
        """
        await self._close("stopped", None)

    async def _close(self, outcome: str, error: BaseException | None) -> None:
        if self._mode & BUSY:
            self.stop()
            aside = self._side()
            if aside.released is None or aside.released.done():
                aside.released = asyncio.get_running_loop().create_future()
            await asyncio.shield(aside.released)
        if self._mode & CLOSED:
            return
        self._drop_pending()
        if not self._mode & DONE:
            self._end_run(outcome, error)
        self._mode |= CLOSED
        self._hold_mail()

    @property
    def log(self) -> Log:
        """Writes what handlers say, `ctx.log("text")` or `ctx.log.warning("text", left=3)`, to the stdlib logger `septum.app`."""
        return Log(self._say)

    def _say(self, level: int, text: str, fields: dict[str, object]) -> None:
        aside = self._aside
        sink = STDLIB if aside is None or not aside.hooks else find_sink(aside.hooks)
        sink.say(level, text, self._place, fields)

    def _place(self) -> Place:
        """Return where the machine is, for what is said there."""
        aside, watch, node = self._aside, self._watch, self._node
        run_id = None if watch is None else watch.origin[2] or None
        visit = self._visits - (0 if aside is None else aside.before)
        return Place(self._plan.name, self.machine_id, run_id, node.name, node.qualname, visit)

    def now(self) -> float:
        """Return seconds of the machine's clock, which a recording keeps; only differences mean anything."""
        now = self._plan.now()
        if self._mode & OBSERVED:
            self._tell_effect("now", "now", (), now, None)
        return now

    def uuid(self) -> str:
        """Return a fresh UUID as text, which a recording keeps."""
        made = new_id()
        if self._mode & OBSERVED:
            self._tell_effect("uuid", "uuid", (), made, None)
        return made

    async def call(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """Return what `fn(*args)` returns, awaited if need be; see `SharedContext.call`."""
        try:
            result = fn(*args)
            if inspect.isawaitable(result):
                result = await result
        except BaseException as error:
            if self._mode & OBSERVED:
                self._tell_effect("call", name, args, None, error)
            raise
        if self._mode & OBSERVED:
            self._tell_effect("call", name, args, result, None)
        return result

    def _make_tell(self, chance: random.Random) -> None:
        chance.__class__ = Chance
        cast("Chance", chance).teller = weakref.WeakMethod(self._tell_effect)

    def _tell_effect(self, *own: Any) -> None:
        """Tell what came in, if it came into a run."""
        watch = self._watch
        if watch is not None and not watch.ended:
            self._tell(facts.EffectReturned, *own)

    def __repr__(self) -> str:
        where = "not started" if self._mode & FRESH else f"in {self._node.name}"
        ending = ", complete" if self._mode & DONE else ", closed" if self._mode & CLOSED else ""
        return f"<StateMachine {self._plan.name} {where}{ending}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse pickling and copying: a live machine holds a thread, an event loop and hooks.

        Raises:
            NotCopyable: Always; says what to do instead.
        """
        raise _errors.not_copyable(self._plan.name)
