"""What a machine is made of: its slots, its stage, and what it says of itself."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from septum._clock import new_id
from septum._context import SharedContext
from septum._mode import CLOSED, DONE, FRESH, OBSERVED, SLOW_MAIL, STAGE
from septum._queue import NO_MAILBOX

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from random import Random

    from septum._graph import Node
    from septum._hooks import Hooks, Watch
    from septum._pace import Pace
    from septum._plan import Plan
    from septum._queue import Mailbox
    from septum._step import Move

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts over a machine's life, as plain ints; reset() does not clear them.

    The ledger always balances: accepted = handled + unhandled + dropped + filtered + pending.

    Attributes:
        visits: Visits started.
        transitions: Transitions taken; `Again` and the end count, entering the initial state does not.
        accepted: Messages offered whose call did not raise.
        handled: Messages taken by a handler (or as an exception that was sent), but for the unhandled ones.
        unhandled: Messages whose handler answered `Unhandled`.
        dropped: Messages lost after acceptance, by reason: overflow_newest, overflow_oldest, closed.
        filtered: Messages that `filter_fn` kept out.
        pending: Messages in the mailbox.
        rejected: Messages refused with an exception; outside the ledger.
        retries: Retries scheduled.
        timeouts: Deadlines that fired.
        errors: Exceptions that were routed, wherever to.
        hook_errors: Exceptions that hooks raised.
    """

    visits: int
    transitions: int
    accepted: int
    handled: int
    unhandled: int
    dropped: Mapping[str, int]
    filtered: int
    pending: int
    rejected: int
    retries: int
    timeouts: int
    errors: int
    hook_errors: int


# Empty ones that all machines share, for most never have anything else; `_mover` makes a machine its own before it puts something in.
_NO_STACK: Final[list[Node]] = []
_NO_RETRIES: Final[dict[str, int]] = {}


class Aside:
    """What most machines never need, so that those do not pay for it in bytes; made when first used.

    Attributes:
        stack: States that `Pop` returns to, bottom first.
        retries: Retry counts by state name, only those above zero.
        pending: At stage LEAVE: the move that was decided, its outcome and exception.
        waiter: While BLOCKED: the future that a message or a timer resolves; its event loop beside it.
        run_id, seq: Of the run, once it was observed; kept while nobody observes.
        kept: What hooks kept with the snapshot that the run goes on from; None if it began here.
        watch: What is kept for observers, while anybody observes.
        undo: While the machine works: what takes back what `Hooks.working` set.
        consumed: A deadline fired, or a retry's delay ended, since run() looked last.
        released: Somebody waits for the running call to end.
        anchor, matched: The stack at which the current run() began, and how many of its states the stack still shares.
        counts: retries, timeouts, errors; `extra`, `entries`: see `Body._transitions`.
    """

    __slots__ = (
        "anchor",
        "before",
        "consumed",
        "entries",
        "errors",
        "extra",
        "hook_errors",
        "hooks",
        "kept",
        "machine_id",
        "matched",
        "pending",
        "random",
        "released",
        "retries",
        "retry_count",
        "run_id",
        "seq",
        "stack",
        "timeouts",
        "undo",
        "waiter",
        "waiter_loop",
        "watch",
    )  # fmt: skip

    def __init__(self) -> None:
        self.stack = _NO_STACK
        self.retries = _NO_RETRIES
        self.pending: tuple[Move, str, BaseException | None] | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.waiter_loop: asyncio.AbstractEventLoop | None = None
        self.anchor: tuple[Node, ...] = ()
        self.matched = 0
        self.hooks: tuple[Hooks, ...] = ()
        self.machine_id: str | None = None
        self.random: random.Random | None = None
        self.watch: Watch | None = None
        self.undo: list[Callable[[], None]] | None = None
        self.consumed = False
        self.run_id: str | None = None
        self.kept: Mapping[str, str] | None = None
        self.seq = 0
        self.released: asyncio.Future[None] | None = None
        self.retry_count = self.timeouts = self.errors = self.hook_errors = 0
        self.extra = self.entries = self.before = 0


class Body(SharedContext[T]):
    """The slots of a machine and everything about it that is not moving."""

    __slots__ = ("__weakref__", "_aside", "_deadline", "_mailbox", "_mode", "_node", "_pace", "_plan", "_visits")

    _aside: Aside | None
    _deadline: float | None
    _mailbox: Mailbox
    _mode: int
    _node: Node
    _pace: Pace
    _plan: Plan
    _visits: int

    def _side(self) -> Aside:
        """Return the rarely needed part, made when first used."""
        aside = self._aside
        if aside is None:
            aside = self._aside = Aside()
        return aside

    @property
    def _watch(self) -> Watch | None:
        """What is kept for observers; None while nobody observes."""
        aside = self._aside
        return None if aside is None else aside.watch

    def _hold_mail(self) -> None:
        """Let the mailbox know whether messages may go straight in and out; called whenever that may have changed."""
        box = self._mailbox
        if box is not NO_MAILBOX:
            box.held = bool(self._mode & SLOW_MAIL)
            box.settle()
            if self._mode & (DONE | CLOSED):
                box.wake_senders()

    def _set_stage(self, stage: int) -> None:
        self._mode = self._mode & ~STAGE | stage

    @property
    def machine_id(self) -> str:
        """Which machine this is: what the constructor was given, or a UUID of version 7 that sorts by time of first use."""
        aside = self._side()
        if aside.machine_id is None:
            aside.machine_id = new_id()
        return aside.machine_id

    @property
    def name(self) -> str:
        """What the machine is called in telemetry and errors: `name=`, or its initial state's name below the module."""
        return self._plan.name

    @property
    def state(self) -> str:
        """The full name of the current state; before the start that of the initial state."""
        return self._node.name

    @property
    def retry_count(self) -> int:
        """How often the current state was retried since it was last entered afresh."""
        aside = self._aside
        return 0 if aside is None else aside.retries.get(self._node.name, 0)

    @property
    def random(self) -> random.Random:
        """The machine's own source of chance, which a recording keeps; seed it to make a run repeatable."""
        aside = self._side()
        chance = aside.random
        if chance is None:
            chance = aside.random = random.Random()  # noqa: S311 - jitter and simulations, not secrets
        if self._mode & OBSERVED and type(chance) is random.Random:
            # From here on it tells its draws, which costs each of them a call; whoever holds it keeps it, and its sequence goes on.
            self._make_tell(chance)
        return chance

    def _make_tell(self, chance: Random) -> None:
        """Let *chance* tell observers of its draws."""
        raise NotImplementedError

    def _top(self) -> Node | None:
        aside = self._aside
        return aside.stack[-1] if aside is not None and aside.stack else None

    def _stack_names(self) -> tuple[str, ...]:
        aside = self._aside
        return () if aside is None else tuple([node.name for node in aside.stack])

    def _transitions(self) -> int:
        """Count the transitions: a visit each, but for entries of the initial state; `extra` are those without a visit (yet)."""
        entries = 0 if self._mode & FRESH else 1
        aside = self._aside
        return self._visits - entries + (aside.extra - aside.entries if aside else 0)

    def stats(self) -> Stats:
        """Return this moment's counts; they are exact between any two steps and inside every handler."""
        box, aside, watch = self._mailbox, self._aside, self._watch
        hook_errors = (aside.hook_errors if aside else 0) + (watch.errors if watch else 0)
        return Stats(
            visits=self._visits,
            transitions=self._transitions(),
            accepted=box.count("accepted"),
            handled=box.taken - box.unhandled,
            unhandled=box.count("unhandled"),
            dropped={
                "overflow_newest": box.count("overflow_newest"),
                "overflow_oldest": box.count("overflow_oldest"),
                "closed": box.count("closed"),
            },
            filtered=box.count("filtered"),
            pending=len(box),
            rejected=box.count("rejected"),
            retries=aside.retry_count if aside else 0,
            timeouts=aside.timeouts if aside else 0,
            errors=aside.errors if aside else 0,
            hook_errors=hook_errors,
        )
