"""Who is told: the `Hooks` that users subclass, the list installed for the process, and the `Watch` that one observed machine keeps."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from septum import _facts as facts
from septum._facts import FACTS
from septum._states import forget_plans
from septum._tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from septum._clock import Clock
    from septum._graph import Graph

_LOGGER = logging.getLogger("septum.hooks")


class Hooks:
    """Subclass it and override what you want to know; what you do not override is never called.

    Methods are called synchronously, in the machine's own task and context, and should be quick. What a method raises never reaches the
    machine: it is logged once for each hook and type of exception on `septum.hooks`, and counted in `StateMachine.stats()`; the hook stays.
    """

    strict: bool = False
    """True lets this hook's exceptions through to the caller of the machine; for tests."""

    replaces_log: bool = False
    """True says that this hook writes the log of its machines: `septum.logs` is not told of them, but for findings."""

    def delegates(self, run: facts.Origin, /) -> Iterable[Hooks]:  # noqa: ARG002 - whoever overrides it looks at the run
        """Return who is told of *run* from here on in this hook's place: `[self]` unless it is overridden.

        Asked after `run_started` was told, so that a hook can leave a run alone, or see only some of it, and the machine need not build the
        facts that nobody wants; asked again on `StateMachine.ask_hooks`. Delegates are not asked for theirs.
        """
        return (self,)

    def working(self, run: facts.Origin, /) -> Callable[[], None] | None:
        """Set what should be current while the machine works; return what takes it back, or None.

        Called when a machine begins to work in a task: in a call of `tick`, `run`, `serve`, `initialize` or `reset`, after the facts that
        the run started, and again after each wait for a message or a moment. What it returns is called in the same task and context when
        the machine waits or the call ends, on whatever way. What it puts into `contextvars` is seen by all handlers, by `on_error_fn` and
        by `trap_fn`, and by everything that they await or start.
        """

    def tallied(self, tally: Tally, /) -> None:
        """A `Tally` counts transitions from now on, and lives as long as the definition; overriding this makes the engine count."""

    def keeps(self, run: facts.Origin, /) -> Mapping[str, str]:  # noqa: ARG002 - whoever overrides it looks at the run
        """Return text to keep with a snapshot of *run*, by names of this hook's own; nothing unless it is overridden.

        A run that is restored has what all hooks kept in `run.kept`.
        """
        return {}

    def passed(self, step: facts.Passed, /) -> None:
        """A visit ended along a plain edge: all that there is to say of it in one tuple.

        A plain edge has a label, and nobody to call on the way: no `on_leave` here, no `on_enter` there. Most steps of most machines take
        one, and building a fact for each thing that happens on it costs more than the step. A hook that overrides this is told of those
        steps here, and not by `handler_finished`, `visit_ended`, `transition_taken` and `visit_started`, as long as no other hook (nor the
        log) wants to know of handlers, visits or transitions; where one does, it gets the facts. Of each step it hears in one of the two
        ways, never in both. It may be a function of C, such as the `append` of a deque.
        """

    def run_started(self, fact: facts.RunStarted, /) -> None:
        """The machine entered its initial state, or is seen for the first time in the middle of a run."""

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """The run is over."""

    def message_queued(self, fact: facts.MessageQueued, /) -> None:
        """A message was put into the mailbox; called in the sender's context."""

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """A message left the mailbox and goes to the handler."""

    def message_unhandled(self, fact: facts.MessageUnhandled, /) -> None:
        """The handler that saw the message answered `Unhandled`."""

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        """A message will never reach a handler."""

    def visit_started(self, fact: facts.VisitStarted, /) -> None:
        """The machine is in a state now; `on_enter` has not run yet."""

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        """The machine has left a state; `on_leave` has run."""

    def handler_started(self, fact: facts.HandlerStarted, /) -> None:
        """A handler is about to be called in this very task and context."""

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        """The handler is through, on whatever way; told to everyone who was told that it started."""

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """An edge was taken."""

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        """The state will be entered again after a delay."""

    def retries_exhausted(self, fact: facts.RetriesExhausted, /) -> None:
        """A state asked for more retries than it has."""

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """The visit's deadline has passed."""

    def stack_pushed(self, fact: facts.StackPushed, /) -> None:
        """States were put onto the stack."""

    def stack_popped(self, fact: facts.StackPopped, /) -> None:
        """The top of the stack was taken."""

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """An exception came out of a state."""

    def effect_returned(self, fact: facts.EffectReturned, /) -> None:
        """`ctx.now`, `ctx.random`, `ctx.uuid` or `ctx.call` gave a result; called where it was asked for."""

    def overdue(self, fact: facts.Overdue, /) -> None:
        """A state lasts longer than its `expect=` says."""

    def snapshot_taken(self, fact: facts.SnapshotTaken, /) -> None:
        """The machine was written down."""


METHODS: tuple[str, ...] = tuple(fact.told_as for fact in FACTS)
"""Names of the hook methods that are told facts, in the order of `septum.facts.FACTS`."""

_ASKED = ("delegates", "working", "tallied", "keeps", "passed")

_STEPS = frozenset({"handler_started", "handler_finished", "visit_started", "visit_ended", "transition_taken"})
"""What `passed` stands for."""


def overridden(hook: Hooks) -> list[str]:
    """Return the names of the methods that *hook* overrides, in its class or on the object itself."""
    plain = vars(Hooks)
    names: list[str] = []
    for name in (*METHODS, *_ASKED):
        method = getattr(hook, name, None)
        if method is not None and getattr(method, "__func__", method) is not plain[name]:
            names.append(name)
    return names


class Audience:
    """For each kind of fact, the bound methods that want to know; one object serves all machines with the same hooks.

    Attributes:
        hooks: Whose methods these are.
        steady: Whether a machine must be watched for them: a hook overrides something, or the log shows more than warnings.
        light: Nobody wants to know of handlers, or only in one tuple with the rest (`Hooks.passed`).
        silent: Nor of visits and transitions.
        delegates, working, tallied, keeps: As METHODS, the methods of that name.
        passed: The same, but empty where somebody else wants the facts.
    """

    __slots__ = ("hooks", "level", "light", "silent", "steady", *METHODS, *_ASKED)

    if TYPE_CHECKING:

        def __getattr__(self, method: str, /) -> tuple[Callable[[Any], Any], ...]:
            """Return the listeners of one method; METHODS and _ASKED name the attributes."""
            ...

    def __init__(self, hooks: tuple[Hooks, ...], level: int, log: Hooks, logged: Iterable[str]) -> None:
        """Collect the listeners of *hooks*, and the methods *logged* of the hook *log*, whose logger writes from *level* on."""
        self.hooks = hooks
        self.level = level
        found: dict[str, list[Callable[[Any], Any]]] = {name: [] for name in (*METHODS, *_ASKED)}
        wanted: set[str] = set()
        for hook in hooks:
            names = overridden(hook)
            for name in names:
                found[name].append(getattr(hook, name))
            if "passed" not in names:
                wanted.update(names)
        self.steady = level <= logging.INFO or any(found.values())
        for name in () if any(hook.replaces_log for hook in hooks) else logged:
            found[name].append(getattr(log, name))
            wanted.add(name)
        self.silent = wanted.isdisjoint(_STEPS)
        if not self.silent:
            found["passed"] = []
        for name, methods in found.items():
            setattr(self, name, tuple(methods))
        self.light = self.silent or not (self.handler_started or self.handler_finished)

    def tally(self, machine_name: str, graph: Graph) -> Tally | None:
        """Return what counts the transitions of machines of that name and definition; None if nobody counts."""
        if not self.tallied:
            return None
        # The graph keeps it: counts live as long as the definition.
        key = (machine_name, self.tallied)
        known = graph.tallies.get(key)
        if not isinstance(known, Tally):
            if len(graph.tallies) >= _MOST_TALLIES:
                # Machines named one by one must not fill our memory; those that live keep theirs.
                graph.tallies.clear()
            graph.tallies[key] = known = Tally(machine_name, graph.plain)
            for method in self.tallied:
                method(known)
        return known


_MOST_TALLIES = 256
_MOST_AUDIENCES = 16
_audiences: dict[tuple[tuple[Hooks, ...], int], Audience] = {}


def audience(hooks: tuple[Hooks, ...], level: int, log: Hooks, logged: Callable[[], Iterable[str]]) -> Audience:
    """Return the audience of *hooks* and of the log at *level*; one object serves all machines that have the same."""
    key = (hooks, level)
    known = _audiences.get(key)
    if known is None:
        if len(_audiences) >= _MOST_AUDIENCES:
            # Hooks made for each machine must not fill our memory; machines keep the audiences that they have.
            _audiences.clear()
        known = _audiences[key] = Audience(hooks, level, log, logged())
    return known


class Watch:
    """What an observed machine keeps for its observers: who listens, which run it is, how many facts there were.

    Attributes:
        now, wall_ns: The machine's clock.
        hooks: The machine's hooks when they were last looked at.
        audience: Who listens: they, or their delegates.
        level: The log's level when it was last asked.
        tally: Where transitions are counted; None if nobody counts.
        origin: Machine id, machine name, run id, shared by all facts of the run.
        in_handler, newcomers: Whether a handler's end is still to be told, and which hooks wait for that to be admitted.
        seq: Facts of this run so far.
        ended: No run is being told of.
        before: Visits of the machine before this run.
        errors: What hooks raised.
        overdue: It was told that this visit lasts too long.
        run_at, visit_at: When the run and the visit started, in seconds of the machine's clock.
        number, taken: Messages queued while observed; the number of the one taken last.
    """

    __slots__ = (
        "audience",
        "before",
        "ended",
        "errors",
        "hooks",
        "in_handler",
        "level",
        "newcomers",
        "now",
        "number",
        "origin",
        "overdue",
        "run_at",
        "seq",
        "taken",
        "tally",
        "visit_at",
        "wall_ns",
    )

    def __init__(self, listeners: Audience, level: int, clock: Clock) -> None:
        self.now = clock.now
        self.wall_ns = clock.wall_ns
        self.hooks = listeners.hooks
        self.audience = listeners
        self.tally: Tally | None = None
        self.level = level
        self.origin = facts.Origin(("", "", ""))
        self.seq = self.before = self.errors = self.number = self.taken = 0
        self.run_at = self.visit_at = 0.0
        self.in_handler = False
        self.overdue = False
        self.ended = True
        self.newcomers: tuple[Hooks, ...] = ()

    def tell(self, methods: Iterable[Callable[[Any], None]], fact: facts.Fact | facts.Passed) -> None:
        """Call *methods* with *fact*; a method that raises is logged, counted and kept."""
        for method in methods:
            try:
                method(fact)
            except Exception as error:  # noqa: BLE001 - a hook may raise anything, and the machine must not notice
                self.failed(method, error)

    def failed(self, method: Callable[..., Any], error: Exception) -> None:
        """Count and log what a hook's *method* raised, which the machine must not notice; that of a strict hook is raised again."""
        self.errors += 1
        hook = getattr(method, "__self__", None)
        name = type(hook).__qualname__
        _errors[name] = _errors.get(name, 0) + 1
        if getattr(hook, "strict", False):
            raise error
        _log_once(hook, error)


_errors: dict[str, int] = {}


def errors() -> dict[str, int]:
    """Return how many exceptions hooks have raised in this process so far, by the name of the hook's class."""
    return _errors.copy()


_logged: dict[tuple[int, type[BaseException]], object] = {}
_MOST_LOGGED = 1000


def _log_once(hook: object, error: Exception) -> None:
    """Log what *hook* raised, the first time that it raises this type."""
    key = (id(hook), type(error))
    if _logged.get(key) is hook:
        return
    if len(_logged) >= _MOST_LOGGED:
        _logged.clear()
    # The hook is kept alive, so that its id cannot come back as another's.
    _logged[key] = hook
    _LOGGER.error(
        "hook %s raised %s; the machine goes on and the hook stays, further errors of this type are only counted (stats().hook_errors)",
        type(hook).__qualname__,
        type(error).__qualname__,
        exc_info=error,
    )


installed: tuple[Hooks, ...] = ()
"""Hooks for machines made from now on; changed by `install` and `uninstall` only."""


def install(hook: Hooks) -> None:
    """Let *hook* be told of every machine that is made from now on; installing it again changes nothing.

    Raises:
        TypeError: *hook* is not a `Hooks` object (a class was given, perhaps).
    """
    global installed  # noqa: PLW0603 - the process's list of hooks is what this module holds
    check_hook(hook)
    if hook not in installed:
        installed = (*installed, hook)
        forget_plans()


def uninstall(hook: Hooks) -> None:
    """Take back `install`: machines made from now on do without; machines that have it keep it until `detach`."""
    global installed  # noqa: PLW0603 - as above
    installed = tuple(other for other in installed if other is not hook)
    forget_plans()


def check_hook(hook: object) -> None:
    """Refuse what is not a hook.

    Raises:
        TypeError: Says what was given and what to give.
    """
    if not isinstance(hook, Hooks):
        hint = f"; construct it: {hook.__name__}()" if isinstance(hook, type) and issubclass(hook, Hooks) else ""
        raise TypeError(f"a hook must be an object of a subclass of septum.Hooks, not {hook!r}{hint}")
