"""The hook on the stdlib logger `septum.machine`: every machine has it, and it costs nothing while its level is off.

Never in a record: what is the user's. Messages and exceptions are named by their type, answers and headers are not shown at all. One
thing is let through knowingly: an ERROR record carries the exception as `exc_info`, with its text and traceback, since that is what an
operator needs; a filter on the logger that sets `record.exc_info = None` keeps it out (docs/reference/logs.md).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from septum import _facts as facts
from septum._hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from septum._findings import Finding

LOGGER: Final = logging.getLogger("septum.machine")

# Without a handler of its own, a program that never set up logging would get warnings on stderr.
logging.getLogger("septum").addHandler(logging.NullHandler())

OFF: Final = logging.CRITICAL + 1
"""What `LogHooks.level` answers when no line of the table would be logged."""

RECORD_FIELDS: Final[Mapping[str, str]] = {
    "septum_fact": "name of the hook method, e.g. `transition_taken`; `finding` for a finding",
    "septum_machine": "name of the machine (`name=`, or its initial state)",
    "septum_machine_id": "which machine",
    "septum_run_id": "which run of it",
    "septum_visit": "number of the visit in the run",
    "septum_state": "full name of the state; None for facts that name none (messages, the stack)",
    "_septum_engine": "always True: tells the engine's records from those of handlers",
}
"""What each record carries besides its text (`extra`), and what that means."""


PREFIX: Final = "%s[%s]: "
"""What each text begins with: machine name and machine id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table: the level and text that a fact is logged with.

    Attributes:
        fact: The class of fact.
        level: A level of `logging`.
        text: A %-format for *fields*.
        fields: Attributes of the fact, or names from `SHOWN`.
        case: When this line is taken and not a later one of its fact, in words; empty for the fact's last line.
        applies: The same as a test of the fact; None for the last line.
    """

    fact: type[facts.Fact]
    level: int
    text: str
    fields: tuple[str, ...]
    case: str = ""
    applies: Callable[[Any], bool] | None = None

    @property
    def format(self) -> str:
        """What `logging` is given: the prefix and the text."""
        return PREFIX + self.text


LINES: Final[tuple[Line, ...]] = (
    Line(
        fact=facts.RunStarted,
        level=logging.INFO,
        text="run %s goes on in %s",
        fields=("run_id", "state"),
        case="resumed, or observed from the middle on",
        applies=lambda fact: bool(fact.resumed),
    ),
    Line(fact=facts.RunStarted, level=logging.INFO, text="run %s started in %s", fields=("run_id", "state")),
    Line(
        fact=facts.RunEnded,
        level=logging.INFO,
        text="run %s ended in %s after %.3f s: %s, with %s",
        fields=("run_id", "state", "duration", "outcome", "exception"),
        case="with an exception",
        applies=lambda fact: fact.exception is not None,
    ),
    Line(
        fact=facts.RunEnded,
        level=logging.INFO,
        text="run %s ended in %s after %.3f s: %s",
        fields=("run_id", "state", "duration", "outcome"),
    ),
    Line(fact=facts.MessageQueued, level=logging.DEBUG, text="message %s queued, %d waiting", fields=("message", "depth")),
    Line(
        fact=facts.MessageTaken,
        level=logging.DEBUG,
        text="message %s taken after %.3f s, %d waiting",
        fields=("message", "waited", "depth"),
    ),
    Line(fact=facts.MessageUnhandled, level=logging.DEBUG, text="message %s unhandled", fields=("message",)),
    Line(
        fact=facts.MessageDropped,
        level=logging.DEBUG,
        text="message %s filtered",
        fields=("message",),
        case="by the machine's own filter_fn",
        applies=lambda fact: bool(fact.reason == "filtered"),
    ),
    Line(
        fact=facts.MessageDropped,
        level=logging.DEBUG,
        text="message %s rejected",
        fields=("message",),
        case="the sender was told, by MailboxFull",
        applies=lambda fact: bool(fact.reason == "rejected"),
    ),
    Line(fact=facts.MessageDropped, level=logging.WARNING, text="message %s dropped: %s", fields=("message", "reason")),
    Line(fact=facts.VisitStarted, level=logging.DEBUG, text="visit %d started: %s (%s)", fields=("visit", "state", "kind")),
    Line(
        fact=facts.VisitEnded,
        level=logging.DEBUG,
        text="visit %d ended: %s after %.3f s (%s)",
        fields=("visit", "state", "duration", "outcome"),
    ),
    Line(
        fact=facts.HandlerStarted,
        level=logging.DEBUG,
        text="%s of %s called with message %s",
        fields=("handler", "state", "message"),
        case="with a message",
        applies=lambda fact: fact.message is not None,
    ),
    Line(fact=facts.HandlerStarted, level=logging.DEBUG, text="%s of %s called", fields=("handler", "state")),
    Line(
        fact=facts.HandlerFinished,
        level=logging.DEBUG,
        text="%s of %s raised %s after %.6f s",
        fields=("handler", "state", "exception", "duration"),
        case="it raised, or was cut or cancelled",
        applies=lambda fact: fact.exception is not None,
    ),
    Line(
        fact=facts.HandlerFinished,
        level=logging.DEBUG,
        text="%s of %s returned after %.6f s",
        fields=("handler", "state", "duration"),
    ),
    Line(fact=facts.TransitionTaken, level=logging.INFO, text="%s -%s-> %s", fields=("source", "edge", "target")),
    Line(
        fact=facts.RetryScheduled,
        level=logging.INFO,
        text="retry %d (no limit) of %s in %.3f s",
        fields=("count", "state", "delay"),
        case="without a limit",
        applies=lambda fact: fact.limit is None,
    ),
    Line(
        fact=facts.RetryScheduled,
        level=logging.INFO,
        text="retry %d (of %d) of %s in %.3f s",
        fields=("count", "limit", "state", "delay"),
    ),
    Line(
        fact=facts.RetriesExhausted,
        level=logging.WARNING,
        text="%s used up its %d retries",
        fields=("state", "limit"),
    ),
    Line(
        fact=facts.TimeoutFired,
        level=logging.INFO,
        text="%s timed out after %g s, noticed %.3f s late",
        fields=("state", "after", "lateness"),
    ),
    Line(fact=facts.StackPushed, level=logging.DEBUG, text="pushed %s, stack depth %d", fields=("states", "depth")),
    Line(fact=facts.StackPopped, level=logging.DEBUG, text="popped %s, stack depth %d", fields=("states", "depth")),
    Line(fact=facts.ErrorRouted, level=logging.ERROR, text="%s in %s, %s", fields=("exception", "state", "to")),
    Line(
        fact=facts.EffectReturned,
        level=logging.DEBUG,
        text="ctx.%s raised %s",
        fields=("effect", "exception"),
        case="it raised, or was cut or cancelled",
        applies=lambda fact: fact.exception is not None,
    ),
    Line(fact=facts.EffectReturned, level=logging.DEBUG, text="ctx.%s gave a result", fields=("effect",)),
    Line(
        fact=facts.Overdue,
        level=logging.WARNING,
        text="%s is overdue: %.3f s, expected at most %g s",
        fields=("state", "age", "limit"),
    ),
    Line(fact=facts.SnapshotTaken, level=logging.DEBUG, text="snapshot taken in %s", fields=("state",)),
)
"""Every level and text, in the order of the facts; of two lines for one fact the first that applies is logged."""

FINDING_TEXT: Final = "%s in %s: %s"
"""Text of a finding: code, state, message and hint."""

_ROUTES: Final = {
    "on_error_fn": "answered by on_error_fn",
    "error_state": "goes to the error state",
    "raised": "raised to the caller",
}


def type_name(thing: object) -> str:
    """Return what may be told of a user's object: its type, and of an Enum the member too, whose name stands in the program."""
    name = type(thing).__qualname__
    return f"{name}.{thing.name}" if isinstance(thing, Enum) else name


def _edge(fact: Any) -> str:
    if fact.label is None:
        return str(fact.kind)
    return str(fact.label) if fact.kind in ("label", "end") else f"{fact.label} {fact.kind}"


SHOWN: Final[Mapping[str, Callable[[Any], object]]] = {
    "message": lambda fact: type_name(fact.message),
    "exception": lambda fact: type_name(fact.exception),
    "states": lambda fact: ", ".join(fact.states),
    "edge": _edge,
    "target": lambda fact: "end" if fact.target is None else fact.target,
    "to": lambda fact: _ROUTES[fact.to],
}
"""How the fields that are not shown as they are become text."""


def _methods_from(level: int) -> frozenset[str]:
    return frozenset(line.fact.told_as for line in LINES if line.level >= level)


_METHODS: Final = {level: _methods_from(level) for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, OFF)}


class LogHooks(Hooks):
    """Writes facts to a stdlib logger, as the table `LINES` says.

    Every machine has one already (`septum.logs.hook`, on the logger `septum.machine`); attach another only to write elsewhere too.

    Args:
        logger: Where to write; its level and handlers are yours. Default: the logger `septum.machine`.
    """

    def __init__(self, logger: logging.Logger = LOGGER) -> None:
        self.logger = logger

    def level(self) -> int:
        """Return the lowest level of the table that the logger would write now: DEBUG, INFO, WARNING, ERROR or `OFF`.

        Costs two or three look-ups in the logger's own cache, about 100 ns; a change of any level is seen at the next call.
        """
        enabled = self.logger.isEnabledFor
        if enabled(logging.INFO):
            return logging.DEBUG if enabled(logging.DEBUG) else logging.INFO
        if enabled(logging.WARNING):
            return logging.WARNING
        return logging.ERROR if enabled(logging.ERROR) else OFF

    def listens(self) -> frozenset[str]:
        """Return the names of the hook methods that might log at the logger's present level; the other facts need not be built."""
        return _METHODS[self.level()]

    def write(self, line: Line, fact: facts.Fact) -> None:
        """Log *fact* as *line* says; builds nothing when the level is off."""
        if not self.logger.isEnabledFor(line.level):
            return
        arguments = [SHOWN[field](fact) if field in SHOWN else getattr(fact, field) for field in line.fields]
        self.logger.log(
            line.level,
            line.format,
            fact.machine_name,
            fact.machine_id,
            *arguments,
            exc_info=fact.exception if isinstance(fact, facts.ErrorRouted) else None,
            extra={
                "septum_fact": fact.told_as,
                "septum_machine": fact.machine_name,
                "septum_machine_id": fact.machine_id,
                "septum_run_id": fact.run_id,
                "septum_visit": fact.visit,
                "septum_state": fact.source if isinstance(fact, facts.TransitionTaken) else getattr(fact, "state", None),
                "_septum_engine": True,
            },
        )


def _teller(lines: tuple[Line, ...]) -> Callable[[LogHooks, facts.Fact], None]:
    """Make the hook method for the fact of *lines*."""

    def tell(self: LogHooks, fact: facts.Fact, /) -> None:
        self.write(next(line for line in lines if line.applies is None or line.applies(fact)), fact)

    return tell


for _fact in facts.FACTS:
    setattr(LogHooks, _fact.told_as, _teller(tuple(_line for _line in LINES if _line.fact is _fact)))


hook: Final = LogHooks()
"""The hook that every machine has, on the logger `septum.machine`."""

level: Final = hook.level
listens: Final = hook.listens


def log_findings(findings: Iterable[Finding]) -> None:
    """Log *findings* at WARNING, one record each."""
    for finding in findings:
        LOGGER.warning(
            FINDING_TEXT,
            finding.code,
            finding.state,
            f"{finding.message} {finding.hint}".rstrip(),
            extra={
                "septum_fact": "finding",
                "septum_machine": None,
                "septum_machine_id": None,
                "septum_run_id": None,
                "septum_visit": None,
                "septum_state": finding.state,
                "_septum_engine": True,
            },
        )
