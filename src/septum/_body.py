"""What a machine is made of: its slots, its stage, what it says of itself and what it tells its observers. No user code is awaited here."""

from __future__ import annotations

import logging
import random
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from septum import _facts as facts
from septum import _hooks, logs
from septum._clock import new_id
from septum._context import SharedContext
from septum._fact import build
from septum._gate import ask_log
from septum._mode import CLOSED, DELAY, DONE, FRESH, NOT_RUNNING, OBSERVED, SLOW_SEND, STAGE
from septum._queue import NO_MAILBOX

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

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


class Aside:
    """What most machines never need, so that those do not pay for it in bytes; made when first used.

    Attributes:
        stack: States that `Pop` returns to, bottom first.
        retries: Retry counts by state name, only those above zero.
        pending: At stage LEAVE: the move that was decided, its outcome and exception.
        waiter: While BLOCKED: the future that a message or a timer resolves; its event loop beside it.
        run_id, seq: Of the run, once it was observed; kept while nobody observes.
        watch: What is kept for observers, while anybody observes.
        consumed: A deadline fired, or a retry's delay ended, since run() looked last.
        released: Somebody waits for the running call to end.
        anchor, matched: The stack at which the current run() began, and how many of its states the stack still shares.
        counts: retries, timeouts, errors; `extra`, `entries`: see `Body._transitions`.
    """

    __slots__ = (
        "anchor", "before",
        "consumed", "entries", "errors", "extra", "hook_errors", "hooks", "machine_id", "matched", "pending",
        "random", "released", "retries", "retry_count", "run_id", "seq", "stack", "timeouts", "waiter", "waiter_loop", "watch",
    )  # fmt: skip

    def __init__(self) -> None:
        self.stack: list[Node] = []
        self.retries: dict[str, int] = {}
        self.pending: tuple[Move, str, BaseException | None] | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.waiter_loop: asyncio.AbstractEventLoop | None = None
        self.anchor: tuple[Node, ...] = ()
        self.matched = 0
        self.hooks: tuple[Hooks, ...] = ()
        self.machine_id: str | None = None
        self.random: random.Random | None = None
        self.watch: Watch | None = None
        self.consumed = False
        self.run_id: str | None = None
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
        """Let the mailbox know whether messages may go straight in; called whenever that may have changed."""
        box = self._mailbox
        if box is not NO_MAILBOX:
            box.held = bool(self._mode & SLOW_SEND) or self._plan.filter is not None
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
        if aside.random is None:
            aside.random = random.Random()  # noqa: S311 - jitter and simulations, not secrets
        return aside.random

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

    def attach(self, hook: Hooks) -> None:
        """Let *hook* be told of this machine from now on, also in the middle of a run, which it then sees as a resumed one.

        Attaching it twice changes nothing.

        Raises:
            TypeError: *hook* is not a `Hooks` object.
        """
        _hooks.check_hook(hook)
        aside = self._side()
        if any(other is hook for other in aside.hooks):
            return
        aside.hooks = (*aside.hooks, hook)
        watch = self._watch
        if watch is None:
            self._look_for_observers()
        elif watch.in_handler:
            # Its first facts come after the handler's last, so that it misses nothing between them.
            watch.newcomers = (*watch.newcomers, hook)
        else:
            self._admit((hook,), watch)

    def detach(self, hook: Hooks) -> None:
        """Tell *hook* nothing more (but the end of a handler whose start it was told); unknown hooks are ignored."""
        aside = self._aside
        if aside is None:
            return
        aside.hooks = tuple(other for other in aside.hooks if other is not hook)
        self._look_for_observers()

    def _look_for_observers(self) -> None:
        """Find out who listens now: the machine's hooks, and the log if its level is on."""
        level = ask_log()
        hooks = self._aside.hooks if self._aside is not None else ()
        watch = self._watch
        if watch is not None and watch.level == level and watch.audience.hooks == hooks:
            if watch.ended and not self._mode & NOT_RUNNING:
                self._begin_watching(resumed=True)
            return
        who = _hooks.audience(hooks, level, logs.hook, logs.listens)
        # A state that is expected to be over in time is watched for whoever wants to know, if only the log.
        if not who.steady and not (self._plan.expects and who.overdue):
            if watch is not None:
                aside = self._side()
                aside.hook_errors += watch.errors
                aside.seq = watch.seq
                aside.watch = None
                self._mode &= ~OBSERVED
                self._hold_mail()
            return
        if watch is not None:
            watch.audience, watch.level = who, level
            watch.newcomers = tuple(hook for hook in watch.newcomers if hook in hooks)
            return
        self._side().watch = watch = _hooks.Watch(who, level, self._plan.clock)
        self._mode |= OBSERVED
        self._hold_mail()
        if not self._mode & NOT_RUNNING:
            self._begin_watching(resumed=True)

    def _admit(self, newcomers: tuple[Hooks, ...], watch: Watch) -> None:
        """Let *newcomers* listen too, and tell them where the machine is."""
        watch.newcomers = ()
        watch.audience = _hooks.audience(self._side().hooks, logs.level(), logs.hook, logs.listens)
        for hook in newcomers:
            self._catch_up(hook, watch)

    def _begin_watching(self, *, resumed: bool) -> None:
        """Tell that a run starts, or is seen for the first time; its initial visit is told by `_begin`, a resumed one's here."""
        watch = self._watch
        if watch is None:
            return
        plan, aside = self._plan, self._side()
        if aside.run_id is None:
            aside.run_id, aside.seq = new_id(), 0
        watch.origin = facts.Origin((self.machine_id, plan.name, aside.run_id))
        watch.origin.machine = weakref.ref(self)
        # A machine that was observed before in this run goes on counting.
        watch.seq = aside.seq
        watch.ended = False
        watch.before = aside.before
        watch.run_at = watch.visit_at = plan.now()
        self._tell(facts.RunStarted, plan.graph, self._node.name, resumed)
        if resumed and self._mode & STAGE != DELAY:
            self._tell(facts.VisitStarted, self._node.name, "initial", self._stack_names())

    def _catch_up(self, newcomer: Hooks, watch: Watch) -> None:
        """Tell one more observer where the machine is, under the numbers of the last facts, so that its stream has no gap either."""
        if self._mode & NOT_RUNNING or watch.ended:
            return
        now, wall, visit = self._plan.now(), self._plan.clock.wall_ns(), self._visits - watch.before
        in_visit = self._mode & STAGE != DELAY
        wants = _hooks.overridden(newcomer)
        if "run_started" in wants:
            header = (watch.origin, max(1, watch.seq - in_visit), visit, now, wall)
            watch.tell((newcomer.run_started,), build(facts.RunStarted, (*header, self._plan.graph, self._node.name, True)))
        if in_visit and "visit_started" in wants:
            header = (watch.origin, watch.seq, visit, now, wall)
            watch.tell((newcomer.visit_started,), build(facts.VisitStarted, (*header, self._node.name, "initial", self._stack_names())))

    def _end_run(self, outcome: str, error: BaseException | None) -> None:
        """Tell that the run is over (a completed one has told the end of its visit already); going on later is a resumed run."""
        watch, aside = self._watch, self._aside
        if aside is not None:
            aside.run_id = None
        if watch is None or watch.ended:
            return
        now = self._plan.now()
        name = self._node.name
        if outcome != "completed" and self._mode & STAGE != DELAY:
            self._tell(facts.VisitEnded, name, "error" if outcome == "failed" else outcome, now - watch.visit_at, error)
        self._tell(facts.RunEnded, name, outcome, now - watch.run_at, error)
        watch.ended = True

    def _tell(self, fact: type[facts.Fact], *own: Any) -> None:
        """Tell a fact with its own fields *own*, if anybody watches."""
        aside = self._aside
        watch = None if aside is None else aside.watch
        if watch is None:
            return
        watch.seq = seq = watch.seq + 1
        methods = getattr(watch.audience, fact.told_as)
        if methods:
            plan = self._plan
            watch.tell(methods, build(fact, (watch.origin, seq, self._visits - watch.before, plan.now(), plan.clock.wall_ns(), *own)))

    def _overdue_at(self) -> float | None:
        """Return when this visit will have lasted longer than expected; None if nobody wants to know, or knows already."""
        watch, expect = self._watch, self._node.expect
        if watch is None or expect is None or watch.overdue or not watch.audience.overdue or self._mode & STAGE == DELAY:
            return None
        return watch.visit_at + expect

    def _tell_overdue(self) -> None:
        """Tell, once a visit, that it lasts longer than expected, if it does."""
        watch, moment = self._watch, self._overdue_at()
        if watch is not None and moment is not None and self._plan.now() >= moment:
            watch.overdue = True
            self._tell(facts.Overdue, self._node.name, self._plan.now() - watch.visit_at, self._node.expect)

    def _alarm(self, fact: type[facts.Fact], *own: Any) -> None:
        """Tell a fact that the log shows at WARNING or ERROR: an unwatched machine tells the log."""
        if self._watch is not None:
            self._tell(fact, *own)
        elif logs.LOGGER.isEnabledFor(logging.ERROR) and fact.told_as in logs.listens():
            plan, aside = self._plan, self._side()
            header = ((self.machine_id, plan.name, ""), 0, self._visits - aside.before, plan.now(), plan.clock.wall_ns())
            getattr(logs.hook, fact.told_as)(build(fact, (*header, *own)))
