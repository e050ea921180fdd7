"""The machine that a replay moves: the engine itself, with everything that it would take from outside taken from a recording."""

from __future__ import annotations

import asyncio
import inspect
import random
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar, cast

from septum import StateMachine
from septum._message import Envelope, priority_of
from septum._mode import BLOCKED, BUSY, CHANGED, DELAY, DONE, EQUIPPED, FAILED, FRESH, RETRIED, STAGE, WAIT, WATCHED
from septum._pace import paces
from septum._plan import Plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Mapping, Sequence

    from septum._graph import Graph, Node
    from septum._hooks import Hooks
    from septum._log import Log

T = TypeVar("T")
R = TypeVar("R")

MOST_LINES: Final = 1_000
DROPPED: Final = -1
"""What `Source.expect` says of a message that found no room."""
_MANY: Final = 1 << 30


class Source(Protocol):
    """Where an actor gets what a machine would take from outside."""

    def now(self) -> float:
        """Return when the call ends that is over now, in seconds of the machine's clock."""
        ...

    def ask(self, kind: str, name: str, bits: int = 0) -> Any:
        """Return what `ctx.now`, `ctx.uuid` or a draw of `ctx.random` gave; *bits* for `getrandbits`."""
        ...

    async def call(self, name: str, args: tuple[Any, ...]) -> Any:
        """Return or raise what `ctx.call` did."""
        ...

    def expect(self, message: object) -> int | None:
        """Return the number that a message of a handler will have, which it is about to send; None if nobody minds."""
        ...


class Chance(random.Random):
    """A source of chance whose draws come from a recording; everything that `random.Random` offers is made of these two."""

    def __new__(cls, source: Source) -> Self:  # noqa: ARG004 - Random would take it for a seed
        return super().__new__(cls)

    def __init__(self, source: Source) -> None:
        super().__init__(0)
        self._source = source

    def random(self) -> float:
        """Return the draw that was recorded."""
        return cast("float", self._source.ask("random", "random"))

    def getrandbits(self, k: int, /) -> int:
        """Return the draw that was recorded."""
        return cast("int", self._source.ask("random", "getrandbits", k))

    def seed(self, *_: object, **__: object) -> None:
        """Do nothing: the draws are known."""


class Actor(StateMachine[Any]):
    """A machine under replay.

    Attributes:
        source: Where time, chance, ids and results come from.
        task: The task that moves it; what other tasks send is in the recording, and is not sent a second time.
        in_error_fn: `on_error_fn` is being awaited.
        lines: The last that handlers logged.
    """

    __slots__ = ("_chance", "in_error_fn", "lines", "source", "task")

    source: Source
    task: asyncio.Task[Any] | None

    def __init__(self, *args: Any, **options: Any) -> None:
        self.in_error_fn = False
        self.task = None
        self.lines: list[str] = []
        answer = options.get("on_error_fn")
        if answer is not None:
            options["on_error_fn"] = self._watched(answer)
        super().__init__(*args, **options)

    def _equip(self, hooks: Sequence[Hooks], machine_id: str | None) -> None:
        # Not what is installed for the process: nobody there must hear of what happened long ago.
        aside = self._side()
        aside.machine_id = machine_id
        aside.hooks = tuple(hooks)
        self._mode |= EQUIPPED

    def _watched(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """Return *answer*, an `on_error_fn`, with a note while it is awaited."""

        async def wait(waiting: Awaitable[Any]) -> Any:
            self.in_error_fn = True
            try:
                return await waiting
            finally:
                self.in_error_fn = False

        def ask(ctx: Any, error: Exception) -> Any:
            said = answer(ctx, error)
            return wait(said) if inspect.isawaitable(said) else said

        return ask

    # -- what comes from the recording

    def use(self, source: Source) -> None:
        """Take everything from *source* from now on."""
        self.source = source
        self._chance = Chance(source)
        self._look_at(source)

    def _look_at(self, source: Source) -> None:
        """Let plain steps, which are told only once they are over, be over when they were."""
        watch = self._watch
        if watch is not None:
            watch.now = source.now

    @property
    def random(self) -> random.Random:
        """Chance, as it was recorded."""
        return self._chance

    def now(self) -> float:
        """Return what was recorded."""
        return cast("float", self.source.ask("now", "now"))

    def uuid(self) -> str:
        """Return what was recorded."""
        return cast("str", self.source.ask("uuid", "uuid"))

    async def call(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002 - *fn* is what must not be called again
        """Return or raise what was recorded; *fn* is not called."""
        return await self.source.call(name, args)

    @property
    def log(self) -> Log:
        """Keeps the last lines for the report; writes nowhere."""
        from septum._log import Log  # noqa: PLC0415 - handlers that do not log do not pay

        return Log(self._keep)

    def _keep(self, level: int, text: str, fields: dict[str, object]) -> None:  # noqa: ARG002 - as Log calls it
        if len(self.lines) >= MOST_LINES:
            del self.lines[: MOST_LINES // 2]
        self.lines.append(f"{self.state}: " + " ".join([text, *[f"{name}={value!r}" for name, value in fields.items()]]))

    # -- messages

    def _is_outside(self) -> bool:
        """Say whether somebody else than this machine's own handlers sends."""
        if self._pace.is_foreign():
            return True
        try:
            return asyncio.current_task() is not self.task
        except RuntimeError:
            return True

    def send_message(self, message: Any, *, headers: Mapping[str, str] | None = None) -> bool:
        """Put what a handler sends into the mailbox; what others send comes from the recording."""
        if self._is_outside():
            return True
        number = self.source.expect(message)
        if number == DROPPED:
            return False
        watch = self._watch
        if number and watch is not None:
            watch.number = number - 1
        return self._send(message, headers)

    async def send_message_async(self, message: Any, *, headers: Mapping[str, str] | None = None) -> bool:
        """Do the same."""
        return self.send_message(message, headers=headers)

    def send_message_threadsafe(self, message: Any, *, headers: Mapping[str, str] | None = None) -> bool:
        """Do the same."""
        return self.send_message(message, headers=headers)

    def let_in(self, message: object, number: int) -> bool:
        """Put a recorded message into the mailbox, under the number that it had."""
        watch = self._watch
        if watch is None:
            return self._send(message, None)
        before = watch.number
        watch.number = number - 1
        try:
            return self._send(message, None)
        finally:
            watch.number = max(before, number)

    def put_first(self, message: object, number: int) -> None:
        """Put a message that was queued before the recording began where it is taken next."""
        if number:
            self.remove(number)
        box = self._box()
        box._line(priority_of(message)).appendleft(Envelope(message, None, None, number))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - nothing that a mailbox offers goes to the front
        box.accept()
        box.envelopes += 1
        box.settle()

    def numbers(self) -> set[int]:
        """Return the numbers of the messages that wait."""
        return {item.number for item in self._mailbox if isinstance(item, Envelope)}

    def keep_only(self, numbers: Container[str]) -> None:
        """Take all messages out of the mailbox but those with these *numbers*."""
        for item in list(self._mailbox):
            if isinstance(item, Envelope) and str(item.number) not in numbers:
                self.remove(item.number)

    def is_full(self) -> bool:
        """Say whether the mailbox has no room."""
        limit = self._plan.limit
        return 0 < limit <= len(self._mailbox)

    def remove(self, number: int) -> None:
        """Take the message of that number out of the mailbox, if it is there."""
        box = self._mailbox
        for item in box:
            if isinstance(item, Envelope) and item.number == number:
                box._line(priority_of(item.message)).remove(item)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as in put_first
                box.envelopes -= 1
                box.overflow_oldest += 1
                box.settle()
                return

    # -- how it is led

    @property
    def plan(self) -> Plan:
        """The definition with its options."""
        return self._plan

    @property
    def node(self) -> Node:
        """The current state."""
        return self._node

    @property
    def stage(self) -> int:
        """Which call is due."""
        return self._mode & STAGE

    @property
    def is_done(self) -> bool:
        """Whether it has reached its end."""
        return bool(self._mode & DONE)

    @property
    def deadline(self) -> float | None:
        """When the visit, or the delay of a retry, is over."""
        return self._deadline if self._node.timeout is not None or self.stage == DELAY else None

    @deadline.setter
    def deadline(self, moment: float | None) -> None:
        self._deadline = moment

    async def begin(self, run_id: str) -> None:
        """Enter the initial state, as `initialize` does."""
        self._side().run_id = run_id
        self._claim("replay")
        try:
            await self._start()
        finally:
            self._look_at(self.source)

    def place(self, run_id: str, node: Node, stack: tuple[Node, ...], retries: Mapping[str, int], visit: int) -> None:
        """Put it into the middle of a run: in *node*, where it waits."""
        aside = self._side()
        aside.run_id = run_id
        self._pace = paces.mine
        self._mode &= ~(FRESH | EQUIPPED | STAGE | DONE | RETRIED | FAILED | BLOCKED)
        self._mode |= WAIT
        self._node = node
        self._visits = max(1, visit)
        aside.stack = list(stack)
        aside.retries = dict(retries)
        if retries:
            self._mode |= RETRIED
        self._deadline = None if node.timeout is None else self._plan.now() + node.timeout
        aside.pending = None
        self._look_for_observers()
        self._look_at(self.source)
        self._mode |= BUSY
        self._hold_mail()

    def stack(self) -> tuple[Node, ...]:
        """Return what `Pop` returns to, bottom first."""
        return tuple(self._side().stack)

    def bring(self, number: int) -> bool:
        """See to it that the message of this number is taken next: those before it are gone already. False if it is not there."""
        box = self._mailbox
        waiting = [item for item in box if isinstance(item, Envelope)]
        if not any(item.number == number for item in waiting):
            return False
        for item in waiting:
            if item.number == number:
                break
            box.take()
            box.taken -= 1
            box.closed += 1
        return True

    def count_retry(self, count: int) -> None:
        """Say which retry of the current state comes."""
        aside = self._side()
        aside.retries = {**aside.retries, self._node.name: count}
        aside.extra += 1
        self._mode |= RETRIED

    def set_stage(self, stage: int) -> None:
        """Say which call is due."""
        self._set_stage(stage)

    def cross(self, node: Node, stack: Sequence[str], stage: int) -> None:
        """Go to *node* without a call, as the recording says that it did."""
        self._node = node
        aside = self._side()
        aside.stack = [self._plan.graph.by_name[name] for name in stack]
        if node.timeout is not None:
            self._deadline = self._plan.now() + node.timeout
        self._set_stage(stage)

    def recast(self, graph: Graph) -> None:
        """Walk on another definition of the same states; before it begins."""
        self._plan = Plan(graph, self._plan.options)
        self._node = self._plan.initial

    async def drive(self) -> None:
        """Make steps until it completes or nothing more comes; for a machine that no recording leads."""
        await self._drive(None, None, laps=False)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a message or a moment."""
        return bool(self._mode & BLOCKED)

    async def step(self) -> int:
        """Do what is due; see `Stepper._step`."""
        return await self._step()

    async def steps(self) -> bool:
        """Make steps along plain edges, as many as come, if that is what is due; False if it is not, and nothing was done."""
        self._mode &= ~CHANGED
        watch = self._watch
        if watch is None or self._mode != WATCHED or not watch.audience.passed or self._plan.expects:
            return False
        await self._take_passed_steps(watch, _MANY, None)
        return True
