"""The one way from logs to OTLP: which bridge there is, putting one in, and keeping from it what goes to OTLP by another way.

A bridge is a processor in structlog's chain or a handler on the stdlib's root logger. Each sees one of the two worlds, so whichever is
asked for is also fed from the other. Twice would be: two bridges; events that structlog hands on to the stdlib, which both worlds see; and
what the engine says, which `OTelHooks` exports as events.
"""

from __future__ import annotations

import inspect
import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard, cast

import structlog

from septum import SeptumError
from septum._log import TAKEN, as_exc_info, free_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from opentelemetry._logs import LoggerProvider
    from structlog.typing import EventDict, Processor

Otlp = Literal["structlog", "stdlib", "none"]

ENGINE: Final = "_septum_engine"
"""What marks events and records as the engine's."""

_BRIDGES: Final = ("StructlogProcessor", "StructlogInstrumentor", "LoggingHandler")
_PACKAGES: Final = {"structlog": "opentelemetry.instrumentation.structlog", "stdlib": "opentelemetry.instrumentation.logging.handler"}
_NEEDED: Final = {
    "structlog": "opentelemetry-instrumentation-structlog>=0.65b0",  # the first release
    "stdlib": "opentelemetry-instrumentation-logging>=0.61b0",  # the first with the handler; before, the SDK had it
}
_WAYS_OUT: Final = {
    "structlog": (
        "StructlogInstrumentor().uninstrument(), or the variable OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=structlog, "
        "or structlog.configure() without the processor"
    ),
    "stdlib": (
        "LoggingInstrumentor().uninstrument(), or the variable OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false, "
        "or logging.getLogger().removeHandler(...)"
    ),
}
"""How to be rid of a bridge that this module did not put in."""

_telling: ContextVar[bool] = ContextVar("septum.otel.telling", default=False)
_feeding: ContextVar[bool] = ContextVar("septum.otel.feeding", default=False)
_lock = threading.Lock()
_ours: list[object] = []
"""The bridge that the last `setup_logging` put in; none if it found one, or was never called."""
_undo: list[Callable[[], object]] = []
"""What takes back the last `setup_logging`."""


@contextmanager
def telling() -> Generator[None]:
    """Mark whatever is logged inside as the engine's, also where structlog hands on a text that shows no mark."""
    token = _telling.set(True)
    try:
        yield
    finally:
        _telling.reset(token)


def setup_logging(otlp: Otlp = "structlog", logger_provider: LoggerProvider | None = None) -> None:
    """Let every log line go to OTLP exactly once, whether structlog or the stdlib logged it; call it after `structlog.configure`.

    Levels stay as they are: what structlog or the stdlib's loggers filter out is not exported. What the engine says is left to `OTelHooks`.
    Calling it again takes back what the last call did. A bridge of the asked kind that is there already is kept, and no second put in.

    Args:
        otlp: "structlog": a processor before structlog's last exports events with all their keys, and other records of the root logger.
            "stdlib": a handler on the root logger exports records, and events that structlog writes without the stdlib.
            "none": nothing is exported.
        logger_provider: Where to; None for the global provider, also one that is set later.

    Raises:
        ValueError: No such value of *otlp*.
        TypeError: *logger_provider* is not a logger provider.
        ImportError: The package that has the bridge is not installed; it is no part of septum[structlog], since it needs a younger
            OpenTelemetry than the rest.
        SeptumError: Another bridge is there, which this function did not put in; the text names both, and how to be rid of one. Nothing was
            changed, after this error as after the others.
    """
    if otlp not in ("structlog", "stdlib", "none"):
        raise ValueError(f'otlp must be "structlog", "stdlib" or "none", not {otlp!r}')
    if logger_provider is not None and not callable(getattr(logger_provider, "get_logger", None)):
        raise TypeError(
            f"logger_provider must be an OpenTelemetry LoggerProvider or None, not {logger_provider!r}; "
            "opentelemetry.sdk._logs.LoggerProvider() makes one"
        )
    if otlp != "none":
        _bridge_class(otlp)
    with _lock:
        found = {
            "structlog": [processor for processor in _processors() if _is_bridge(processor) and processor not in _ours],
            "stdlib": [handler for handler in logging.getLogger().handlers if _is_bridge(handler) and handler not in _ours],
        }
        if otlp != "structlog" and not (found["structlog"] or _ours) and _is_instrumented():
            # Its processor is not there now, but would be after the next structlog.configure().
            found["structlog"].append(_bridge_class("structlog", "StructlogInstrumentor")())
        _refuse(otlp, found, logger_provider)
        while _undo:
            _undo.pop()()
        _ours.clear()
        if otlp == "structlog":
            _bridge_structlog(found["structlog"], logger_provider)
        elif otlp == "stdlib":
            _bridge_stdlib(found["stdlib"], logger_provider)


def bridges() -> list[str]:
    """Return the names of what takes logs to OTLP now, as far as it can be found: in structlog's chain and on the root logger."""
    with _lock:
        return [_named(thing) for thing in (*_processors(), *logging.getLogger().handlers) if _is_bridge(thing)]


def without_bridges(chain: Iterable[Processor]) -> list[Processor]:
    """Return structlog's *chain* without what takes its events to OTLP."""
    return [processor for processor in chain if not _is_bridge(processor)]


def _bridge_structlog(found: list[Any], logger_provider: LoggerProvider | None) -> None:
    """Export structlog's events, and feed the stdlib's records to the same processor."""
    if found:
        bridge = found[0]
    else:
        before: object = structlog.get_config()["processors"]
        instrumentor = _bridge_class("structlog", "StructlogInstrumentor")()
        if instrumentor.is_instrumented_by_opentelemetry:
            # Somebody's structlog.reset_defaults() took the processor out; configuring anything puts it in again.
            structlog.configure(processors=_processors())
        else:
            instrumentor.instrument(logger_provider=logger_provider)
            _undo.append(instrumentor.uninstrument)
        bridge = next(processor for processor in _processors() if _is_bridge(processor))
        _ours.append(bridge)
        if _is_list(before):
            # Loggers that were used before, with cache_logger_on_first_use, have kept this very list.
            before[:] = _processors()
            _undo.append(lambda: _take_out(bridge, before))
    feed = _RecordFeed(bridge)
    logging.getLogger().addHandler(feed)
    _undo.append(lambda: logging.getLogger().removeHandler(feed))


def _bridge_stdlib(found: list[Any], logger_provider: LoggerProvider | None) -> None:
    """Export the root logger's records, and feed structlog's events to the same handler where they do not become records anyway."""
    root = logging.getLogger()
    if found:
        handler: logging.Handler = found[0]
    else:
        known = _bridge_class("stdlib", "LoggingHandler")

        def emit(self: logging.Handler, record: logging.LogRecord) -> None:
            known.emit(self, _unwrap(record))

        # Made here, since the package of the class that it extends need not be there when this file is imported.
        handler = cast("logging.Handler", type("LoggingBridge", (known,), {"emit": emit})(logger_provider=logger_provider))
        root.addHandler(handler)
        _ours.append(handler)
        _undo.append(lambda: root.removeHandler(handler))
    handler.addFilter(_is_not_engines)
    _undo.append(lambda: handler.removeFilter(_is_not_engines))
    feed = _EventFeed(handler)
    before: object = structlog.get_config()["processors"]
    chain = _processors()
    chain.insert(max(len(chain) - 1, 0), feed)
    if _is_list(before):
        before[:] = chain
    else:
        structlog.configure(processors=chain)
    _undo.append(lambda: _take_out(feed, before))


def _take_out(processor: object, before: object) -> None:
    """Take *processor* out of structlog's chain, and out of the one that it was put into."""
    for chain in (before, structlog.get_config()["processors"]):
        if _is_list(chain):
            chain[:] = [other for other in chain if other is not processor]


def _is_list(chain: object) -> TypeGuard[list[Any]]:
    """Say whether a *chain* of processors can be changed in place, for the loggers that have it already."""
    return isinstance(chain, list)


class _RecordFeed(logging.Handler):
    """Hands records that did not come from structlog to structlog's bridge, the processor *bridge*."""

    def __init__(self, bridge: Callable[[object, str, EventDict], object]) -> None:
        super().__init__()
        self._bridge = bridge

    def emit(self, record: logging.LogRecord) -> None:
        # What the exporter itself has to say while it exports would be exported, for ever.
        if _feeding.get() or not _is_not_engines(record) or _is_structlogs():
            return
        level = next((name for number, name in _LEVELS.items() if record.levelno >= number), "debug")
        event: EventDict = {"event": record.getMessage(), "level": level, "timestamp": record.created, "exc_info": record.exc_info}
        for name, value in vars(record).items():
            if name not in TAKEN:
                event[free_name(name, event)] = value
        structlog.contextvars.merge_contextvars(record, level, event)
        token = _feeding.set(True)
        try:
            self._bridge(record, level, event)
        finally:
            _feeding.reset(token)


class _EventFeed:
    """Hands events that structlog writes without the stdlib to the stdlib's bridge, *handler*; a structlog processor."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler

    def __call__(self, logger: object, method: str, event_dict: EventDict) -> EventDict:
        if isinstance(logger, logging.Logger | logging.LoggerAdapter):
            return event_dict
        level = str(event_dict.get("level", method)).upper()
        number = logging.getLevelNamesMapping().get(level, logging.INFO)
        record = logging.makeLogRecord({"name": getattr(logger, "name", "structlog"), "levelname": level, "levelno": number})
        if number >= self._handler.level:
            self._handler.handle(_fill(record, event_dict))
        return event_dict


def _fill(record: logging.LogRecord, event_dict: EventDict) -> logging.LogRecord:
    """Let *record* say what *event_dict* says."""
    record.msg, record.args = str(event_dict.get("event")), ()
    record.exc_info = as_exc_info(event_dict.get("exc_info")) or record.exc_info
    attributes = vars(record)
    for key, value in event_dict.items():
        if key not in _WRITTEN:
            attributes[free_name(_RENAMED.get(key, key), attributes, TAKEN)] = value
    return record


def _unwrap(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record that structlog has packed for its ProcessorFormatter as one that says what is in it; another one as it is."""
    event_dict: object = record.msg
    if not isinstance(event_dict, dict) or not hasattr(record, "_logger"):
        return record
    plain = copy(record)
    for name in ("_logger", "_name"):
        vars(plain).pop(name, None)
    return _fill(plain, cast("EventDict", event_dict))


_LEVELS: Final = {logging.CRITICAL: "critical", logging.ERROR: "error", logging.WARNING: "warning", logging.INFO: "info"}
_WRITTEN: Final = frozenset({"event", "level", "timestamp", "exc_info", "stack_info"})
_RENAMED: Final = {"exception": "exception.stacktrace"}


def _is_not_engines(record: logging.LogRecord) -> bool:
    """Say whether *record* is to be exported: not what the engine tells of its machines, but findings, which nobody else exports."""
    if _telling.get():
        return False
    return not getattr(record, ENGINE, False) or getattr(record, "septum_fact", "") == "finding"


def _is_structlogs() -> bool:
    """Say whether the record that is being handled comes from structlog, which leaves no mark that is on all of them."""
    frame = inspect.currentframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] == "structlog":
            return True
        frame = frame.f_back
    return False


def _processors() -> list[Any]:
    return list(structlog.get_config()["processors"])


def _is_bridge(thing: object) -> bool:
    """Say whether *thing* takes logs to OTLP."""
    return bool(_kind_of(thing))


def _kind_of(thing: object) -> str:
    """Return the full name of the bridge that *thing* is; by name, since neither package nor the SDK may be there to compare with."""
    for cls in type(thing).__mro__:
        if cls.__name__ in _BRIDGES and cls.__module__.startswith("opentelemetry."):
            return f"{cls.__module__}.{cls.__name__}"
    return ""


def _is_instrumented() -> bool:
    """Say whether structlog's instrumentor is on, without importing it."""
    package = sys.modules.get(_PACKAGES["structlog"])
    return package is not None and bool(package.StructlogInstrumentor().is_instrumented_by_opentelemetry)


def _named(thing: object) -> str:
    """Return words for a bridge."""
    where = "on the root logger" if isinstance(thing, logging.Handler) else "in structlog's processors"
    return f"{_kind_of(thing)} {where}"


def _bridge_class(otlp: str, name: str = "") -> Any:
    """Return a class of the package that has the bridge for *otlp*."""
    try:
        return getattr(import_module(_PACKAGES[otlp]), name, None)
    except ImportError as error:
        raise ImportError(
            f'setup_logging(otlp="{otlp}") needs a package; install it with: pip install "{_NEEDED[otlp]}"', name=error.name
        ) from error


def _refuse(otlp: Otlp, found: dict[str, list[Any]], logger_provider: LoggerProvider | None) -> None:
    """Refuse a second bridge beside those *found*, and another provider for the one that is kept."""
    kept = found.get(otlp, [])
    others = [thing for kind, things in found.items() if kind != otlp for thing in things]
    if others or len(kept) > 1:
        asked = {"structlog": "structlog's processor", "stdlib": "the root logger's handler", "none": "no export at all"}[otlp]
        there = " and ".join(map(_named, [*kept, *others]))
        ways = "; ".join(_WAYS_OUT[kind] for kind, things in found.items() if things and (kind != otlp or len(things) > 1))
        other = next((kind for kind in found if found[kind] and kind != otlp), "")
        instead = f'; or keep what is there: setup_logging(otlp="{other}")' if len(others) == 1 and not kept else ""
        raise SeptumError(f'setup_logging(otlp="{otlp}") asks for {asked}, but there is {there}. Take it out: {ways}{instead}')
    if kept and logger_provider is not None and getattr(kept[0], "_logger_provider", None) is not logger_provider:
        raise SeptumError(
            f"{_named(kept[0])} exports already, and to another logger provider than {logger_provider!r}. "
            f"Leave out logger_provider to keep it, or remove it: {_WAYS_OUT[otlp]}"
        )
