"""What a machine tells its observers: who they are, where a run begins and ends for them, and what is current while it works."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from septum import _facts as facts
from septum import _hooks, logs
from septum._body import Body
from septum._clock import new_id
from septum._fact import build
from septum._gate import ask_log
from septum._mode import BUSY, CHANGED, DELAY, NOT_RUNNING, OBSERVED, STAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum._hooks import Audience, Hooks, Watch

T = TypeVar("T")


class Teller(Body[T]):
    """A machine that can be observed."""

    __slots__ = ()

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
        if watch is not None and watch.level == level and watch.hooks == hooks:
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
            watch.hooks, watch.level = hooks, level
            self._seat(watch, who)
            watch.newcomers = tuple(hook for hook in watch.newcomers if hook in hooks)
            return
        aside = self._side()
        # The same object as all machines with the same hooks have.
        aside.hooks = who.hooks
        aside.watch = watch = _hooks.Watch(who, level, self._plan.clock)
        self._mode |= OBSERVED
        self._hold_mail()
        if not self._mode & NOT_RUNNING:
            self._begin_watching(resumed=True)

    def _admit(self, newcomers: tuple[Hooks, ...], watch: Watch) -> None:
        """Let *newcomers* listen too, and tell them where the machine is."""
        watch.newcomers = ()
        watch.hooks = self._side().hooks
        who = _hooks.audience(watch.hooks, watch.level, logs.hook, logs.listens)
        if self._mode & NOT_RUNNING or watch.ended:
            watch.audience = who
            return
        # Told under the numbers of the last facts, so that the newcomers' streams have no gap either.
        in_visit, resumed = self._mode & STAGE != DELAY, True
        self._retell(newcomers, watch, watch.seq - in_visit, facts.RunStarted, self._plan.graph, self._node.name, resumed)
        self._seat(watch, who)
        if in_visit:
            present = [delegate for hook in newcomers for delegate in self._delegates(hook, watch)]
            self._retell(present, watch, watch.seq, facts.VisitStarted, self._node.name, "initial", self._stack_names())

    def _retell(self, listeners: Iterable[Hooks], watch: Watch, seq: int, fact: type[facts.Fact], *own: Any) -> None:
        """Tell some *listeners* what the others know already."""
        methods = [getattr(hook, fact.told_as) for hook in listeners if fact.told_as in _hooks.overridden(hook)]
        if methods:
            header = (watch.origin, max(1, seq), self._visits - watch.before, self._plan.now(), self._plan.clock.wall_ns())
            watch.tell(methods, build(fact, (*header, *own)))

    @property
    def hooks(self) -> tuple[Hooks, ...]:
        """Who is told of this machine: its own hooks, then those that were installed for the process when it was made."""
        return () if self._aside is None else self._aside.hooks

    @property
    def state_age(self) -> float | None:
        """Seconds since the current visit began; None while nobody observes the machine, and where it is in no visit."""
        watch = self._watch
        if watch is None or watch.ended or self._mode & STAGE == DELAY:
            return None
        return self._plan.now() - watch.visit_at

    def ask_hooks(self) -> None:
        """Ask every hook anew who is told in its place (`Hooks.delegates`), for one that changed its mind in the middle of a run."""
        watch = self._watch
        if watch is not None and not watch.ended:
            self._seat(watch, _hooks.audience(watch.hooks, watch.level, logs.hook, logs.listens))

    def _seat(self, watch: Watch, who: Audience) -> None:
        """Let *who* listen, or those whom they send in their place."""
        if who.delegates and not watch.ended:
            sent = [delegate for hook in who.hooks for delegate in self._delegates(hook, watch)]
            who = _hooks.audience(tuple(sent), watch.level, logs.hook, logs.listens)
        watch.audience = who
        watch.tally = who.tally(self._plan.name, self._plan.graph)
        if self._mode & BUSY:
            # For the loops, which compare the mode at every step anyway.
            self._mode |= CHANGED

    def _delegates(self, hook: Hooks, watch: Watch) -> Iterable[Hooks]:
        try:
            return tuple(hook.delegates(watch.origin))
        except Exception as error:  # noqa: BLE001 - as for facts: a hook may raise anything
            watch.failed(hook.delegates, error)
            return (hook,)

    def _begin_watching(self, *, resumed: bool) -> None:
        """Tell that a run starts, or is seen for the first time; its initial visit is told by `_begin`, a resumed one's here."""
        watch = self._watch
        if watch is None:
            return
        plan, aside = self._plan, self._side()
        if aside.run_id is None:
            aside.run_id, aside.seq = new_id(), 0
        self._sign(watch, aside.run_id)
        # A machine that was observed before in this run goes on counting.
        watch.seq = aside.seq
        watch.ended = False
        watch.before = aside.before
        watch.run_at = watch.visit_at = plan.now()
        who = watch.audience = _hooks.audience(watch.hooks, watch.level, logs.hook, logs.listens)
        self._tell(facts.RunStarted, plan.graph, self._node.name, resumed)
        self._seat(watch, who)
        if resumed and self._mode & STAGE != DELAY:
            self._tell(facts.VisitStarted, self._node.name, "initial", self._stack_names())

    def _sign(self, watch: Watch, run_id: str) -> None:
        """Say in facts from here on which machine and which run they are of."""
        watch.origin = facts.Origin((self.machine_id, self._plan.name, run_id))
        watch.origin.machine = weakref.ref(self)
        watch.origin.wall_ns = watch.wall_ns
        kept = self._side().kept
        if kept:
            watch.origin.kept = kept

    def _start_work(self) -> None:
        """Let hooks set what should be current while the machine works; does nothing when that was done."""
        aside, watch = self._aside, self._watch
        if aside is None or watch is None or aside.undo is not None or watch.ended:
            return
        aside.undo = []
        for method in watch.audience.working:
            try:
                undo = method(watch.origin)
            except Exception as error:  # noqa: BLE001 - as for facts
                watch.failed(method, error)
            else:
                if undo is not None:
                    aside.undo.append(undo)

    def _end_work(self) -> None:
        """Take back what hooks set, also those that are detached by now."""
        aside = self._aside
        if aside is None or aside.undo is None:
            return
        pending, aside.undo = aside.undo, None
        for undo in reversed(pending):
            try:
                undo()
            except Exception as error:  # noqa: BLE001 - as for facts
                watch = self._watch
                if watch is not None:
                    watch.failed(undo, error)

    def _end_run(self, outcome: str, error: BaseException | None) -> None:
        """Tell that the run is over (a completed one has told the end of its visit already); going on later is a resumed run."""
        watch, aside = self._watch, self._aside
        if aside is not None:
            aside.run_id = aside.kept = None
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
