"""Who is told: the `Hooks` that users subclass, the list installed for the process, and the `Watch` that one observed machine keeps."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from septum import _facts as facts
from septum._facts import FACTS
from septum._states import forget_plans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from septum._clock import Clock

_LOGGER = logging.getLogger("septum.hooks")


class Hooks:
    """Subclass it and override what you want to know; what you do not override is never called.

    Methods are called synchronously, in the machine's own task and context, and should be quick. What a method raises never reaches the
    machine: it is logged once for each hook and type of exception on `septum.hooks`, and counted in `StateMachine.stats()`; the hook stays.
    """

    strict: bool = False
    """True lets this hook's exceptions through to the caller of the machine; for tests."""

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

    def overdue(self, fact: facts.Overdue, /) -> None:
        """A state lasts longer than its `expect=` says."""

    def snapshot_taken(self, fact: facts.SnapshotTaken, /) -> None:
        """The machine was written down."""


METHODS: tuple[str, ...] = tuple(fact.told_as for fact in FACTS)
"""Names of the hook methods, in the order of `septum.facts.FACTS`."""


def overridden(hook: Hooks) -> list[str]:
    """Return the names of the methods that *hook* overrides, in its class or on the object itself."""
    plain = vars(Hooks)
    names: list[str] = []
    for name in METHODS:
        method = getattr(hook, name, None)
        if method is not None and getattr(method, "__func__", method) is not plain[name]:
            names.append(name)
    return names


class Audience:
    """For each kind of fact, the bound methods that want to know; one object serves all machines with the same hooks.

    Attributes:
        hooks: Whose methods these are.
        steady: Whether a machine must be watched for them: a hook overrides something, or the log shows more than warnings.
        light: Nobody wants to know of handlers.
    """

    __slots__ = ("hooks", "level", "light", "steady", *METHODS)

    if TYPE_CHECKING:

        def __getattr__(self, method: str, /) -> tuple[Callable[[Any], None], ...]:
            """Return the listeners of one method; METHODS names the attributes."""
            ...

    def __init__(self, hooks: tuple[Hooks, ...], level: int, log: Hooks, logged: Iterable[str]) -> None:
        """Collect the listeners of *hooks*, and the methods *logged* of the hook *log*, whose logger writes from *level* on."""
        self.hooks = hooks
        self.level = level
        found: dict[str, list[Callable[[Any], None]]] = {name: [] for name in METHODS}
        for hook in hooks:
            for name in overridden(hook):
                found[name].append(getattr(hook, name))
        self.steady = level <= logging.INFO or any(found.values())
        for name in logged:
            found[name].append(getattr(log, name))
        for name, methods in found.items():
            setattr(self, name, tuple(methods))
        self.light = not (self.handler_started or self.handler_finished)


_last_audience: Audience | None = None


def audience(hooks: tuple[Hooks, ...], level: int, log: Hooks, logged: Callable[[], Iterable[str]]) -> Audience:
    """Return the audience of *hooks* and of the log at *level*; the last one again when it is for the same."""
    global _last_audience  # noqa: PLW0603 - an inline cache of one: a fleet has one tuple of hooks
    last = _last_audience
    if last is not None and last.level == level and last.hooks == hooks:
        return last
    _last_audience = made = Audience(hooks, level, log, logged())
    return made


class Watch:
    """What an observed machine keeps for its observers: who listens, which run it is, how many facts there were.

    Attributes:
        now, wall_ns: The machine's clock.
        audience: Who listens.
        level: The log's level when it was last asked.
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
        "visit_at",
        "wall_ns",
    )

    def __init__(self, listeners: Audience, level: int, clock: Clock) -> None:
        self.now = clock.now
        self.wall_ns = clock.wall_ns
        self.audience = listeners
        self.level = level
        self.origin = facts.Origin(("", "", ""))
        self.seq = self.before = self.errors = self.number = self.taken = 0
        self.run_at = self.visit_at = 0.0
        self.in_handler = False
        self.overdue = False
        self.ended = True
        self.newcomers: tuple[Hooks, ...] = ()

    def tell(self, methods: Iterable[Callable[[Any], None]], fact: facts.Fact) -> None:
        """Call *methods* with *fact*; a method that raises is logged, counted and kept."""
        for method in methods:
            try:
                method(fact)
            except Exception as error:  # noqa: BLE001 - a hook may raise anything, and the machine must not notice
                self.failed(method, error)

    def failed(self, method: Callable[[Any], None], error: Exception) -> None:
        """Count and log what a hook's *method* raised, which the machine must not notice; that of a strict hook is raised again."""
        self.errors += 1
        hook = getattr(method, "__self__", None)
        if getattr(hook, "strict", False):
            raise error
        _log_once(hook, error)


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
