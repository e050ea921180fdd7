"""`ctx.log`: what handlers say, and where in which machine they say it, on the stdlib logger `septum.app` or wherever a hook takes it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container
    from types import TracebackType

    Say = Callable[[int, str, dict[str, object]], object]
    ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Log:
    """What `ctx.log` is: call it, or its methods, with a text and whatever else is to be known, by keyword.

        ctx.log("reserved")                          # INFO
        ctx.log.warning("stock is low", left=3)

    Each line carries the machine's name and id, the run's id, the state and the number of the visit. Keyword `exc_info` means what it means
    in `logging`; `stack_info` and `stacklevel` do where the line goes to `logging`. Below the logger's level nothing is made of it.

    Args:
        say: Called with level, text and the keywords of each line.
    """

    __slots__ = ("_say",)

    def __init__(self, say: Say) -> None:
        self._say = say

    # Every method calls _say itself: the line that is logged as the caller's is found by counting frames.

    def __call__(self, message: str, **fields: object) -> None:
        """Log *message* at INFO; the parameter has the name that it always had, so that no field can be called so here."""
        self._say(logging.INFO, message, fields)

    def debug(self, text: str, /, **fields: object) -> None:
        """Log *text* at DEBUG."""
        self._say(logging.DEBUG, text, fields)

    def info(self, text: str, /, **fields: object) -> None:
        """Log *text* at INFO."""
        self._say(logging.INFO, text, fields)

    def warning(self, text: str, /, **fields: object) -> None:
        """Log *text* at WARNING."""
        self._say(logging.WARNING, text, fields)

    def error(self, text: str, /, **fields: object) -> None:
        """Log *text* at ERROR."""
        self._say(logging.ERROR, text, fields)

    def critical(self, text: str, /, **fields: object) -> None:
        """Log *text* at CRITICAL."""
        self._say(logging.CRITICAL, text, fields)

    def exception(self, text: str, /, **fields: object) -> None:
        """Log *text* at ERROR with the exception that is being handled; call it in an `except` block."""
        fields.setdefault("exc_info", True)
        self._say(logging.ERROR, text, fields)


class Place(NamedTuple):
    """Where something was said.

    Attributes:
        machine: Name of the machine.
        machine_id: Which machine.
        run_id: Which run of it; None while nobody observes the machine, and before its first run.
        state: Full name of the state.
        qualname: The same below its module.
        visit: Number of the visit in the run; 0 before the first.
    """

    machine: str
    machine_id: str
    run_id: str | None
    state: str
    qualname: str
    visit: int


class LogSink:
    """Where `ctx.log` writes: a hook that is a `LogSink` too is asked in place of the stdlib logger by the machines it is attached to.

    So the engine knows no logging library but the standard one, and a machine's log goes where its hooks are, as its facts do: taken back
    by `detach`, and different for two machines if need be. Of two sinks the first that was attached is asked.
    """

    def say(self, level: int, text: str, place: Callable[[], Place], fields: dict[str, object], /) -> None:
        """Write *text*, or do nothing if nobody wants to know.

        Args:
            level: A level of `logging`.
            place: Returns where it was said; costs a microsecond, so call it only for what is written.
            fields: The caller's keywords; the sink's to change.
        """
        raise NotImplementedError


USERS_FRAME: Final = 4
"""Where the user's own frame is, counted from `LogSink.say` as 1: behind it are the machine's `_say` and the method of `Log`."""

TAKEN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""Attributes of a record that are `logging`'s own."""


def free_name(name: str, *taken: Container[str]) -> str:
    """Return *name* with as many underscores behind it as keep it apart from all that is *taken*."""
    while any(name in names for names in taken):
        name += "_"
    return name


class StdlibLog(LogSink):
    """Writes to the stdlib logger `septum.app`.

    What is given by keyword becomes an attribute of the record; a name that the record has already gets an underscore behind it.
    """

    def __init__(self) -> None:
        self._logger: logging.Logger | None = None

    def say(self, level: int, text: str, place: Callable[[], Place], fields: dict[str, object], /) -> None:
        """Log a record at *level* if the logger's level lets it through."""
        logger = self._logger
        if logger is None:
            # Made when first used: structlog gives a class of its own, which sees through its frames, to loggers that are made after it
            # was configured.
            logger = self._logger = logging.getLogger("septum.app")
        if not logger.isEnabledFor(level):
            return
        exc_info = as_exc_info(fields.pop("exc_info", None))
        stack_info = bool(fields.pop("stack_info", False))
        further = fields.pop("stacklevel", 1)
        depth = USERS_FRAME - 1 + (further if isinstance(further, int) else 1)
        path, line, function, stack = logger.findCaller(stack_info, depth)
        # Not through Logger.log(extra=...), which raises KeyError for a name that a record factory has put there already.
        record = logger.makeRecord(logger.name, level, path, line, text, (), exc_info, function, None, stack)
        where = place()
        attributes = vars(record)
        attributes["septum_machine"] = where.machine
        attributes["septum_machine_id"] = where.machine_id
        attributes["septum_run_id"] = where.run_id
        attributes["septum_state"] = where.state
        attributes["septum_visit"] = where.visit
        for name, value in fields.items():
            attributes[free_name(name, attributes, TAKEN)] = value
        logger.handle(record)


STDLIB: Final = StdlibLog()


def find_sink(hooks: Collection[object]) -> LogSink:
    """Return the first of *hooks* that is a sink; the stdlib's logger if none is."""
    for hook in hooks:
        if isinstance(hook, LogSink):
            return hook
    return STDLIB


def as_exc_info(given: object) -> ExcInfo | None:
    """Return what `exc_info=` means, as `logging` and structlog read it: an exception, a triple, or true for the one being handled."""
    if isinstance(given, BaseException):
        return (type(given), given, given.__traceback__)
    if isinstance(given, tuple):
        return cast("ExcInfo", given)
    return sys.exc_info() if given else None


def as_text(call: Callable[[str], object]) -> Log:
    """Return the log of a context without a machine: each line goes to *call* as one text, fields and all; a `Log` stays what it is."""
    if isinstance(call, Log):
        return call

    def say(_: int, text: str, fields: dict[str, object]) -> None:
        call(" ".join([text, *[f"{name}={value!r}" for name, value in fields.items() if name not in _NO_FIELDS]]))

    return Log(say)


_NO_FIELDS: Final = ("exc_info", "stack_info", "stacklevel")
