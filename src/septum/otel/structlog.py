"""Machines and structlog: what handlers log knows its machine and trace, and each line reaches OTLP once.

    import structlog
    from septum import hooks
    from septum.otel.structlog import StructlogHooks, add_trace_context, setup_logging

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, add_trace_context, structlog.processors.JSONRenderer()])
    setup_logging(otlp="structlog")
    hooks.install(StructlogHooks())

How it goes together is told in docs/howto/logs.md.
"""

from __future__ import annotations

import inspect
import weakref
from collections import defaultdict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

try:
    import structlog
except ImportError as error:
    raise ImportError('septum.otel.structlog needs structlog; install it with: pip install "septum[structlog]"', name=error.name) from error

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from septum import Hooks, facts, logs, semconv
from septum._log import USERS_FRAME, LogSink, free_name
from septum.otel._log_bridge import ENGINE, setup_logging, telling, without_bridges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from types import FrameType

    from structlog.typing import BindableLogger, EventDict

    from septum._log import Place

__all__ = ["StructlogHooks", "add_trace_context", "drop_engine_events", "setup_logging"]

_FACT: Final = "septum.fact"
_LEVELS: Final = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}

_LINES: Final[Mapping[type[facts.Fact], list[logs.Line]]] = defaultdict(list)
for _line in logs.LINES:
    _LINES[_line.fact].append(_line)

# What a logger's methods, and structlog's own processors, would take for something else.
_TAKEN: Final = frozenset({
    "self", "event", "method_name", "args", "level", "logger", "timestamp", "exception", "positional_args",
    "trace_id", "span_id", "trace_flags",
})  # fmt: skip


def add_trace_context(_: object, __: str, event_dict: EventDict) -> EventDict:
    """Add `trace_id`, `span_id` and `trace_flags` of the current span, as 32, 16 and 2 hex digits; nothing where there is none.

    A structlog processor, for wherever before the renderer. A span that is not recorded has them as well: others may record its trace.
    """
    context = get_current_span().get_span_context()
    if context.is_valid:
        event_dict["trace_id"] = format_trace_id(context.trace_id)
        event_dict["span_id"] = format_span_id(context.span_id)
        event_dict["trace_flags"] = f"{context.trace_flags:02x}"
    return event_dict


def drop_engine_events(_: object, __: str, event_dict: EventDict) -> EventDict:
    """Drop what the engine said, which `OTelHooks` exports already: events of `StructlogHooks` and records of `septum.logs`.

    A structlog processor, for just before a processor that exports to OTLP, in a chain that you set up yourself. What it drops reaches
    nobody further down the chain, so on a console it is for chains that do nothing but export. `setup_logging` needs no such processor.

    Raises:
        structlog.DropEvent: The event carries `_septum_engine`, or its stdlib record does.
    """
    if event_dict.get(ENGINE) or getattr(event_dict.get("_record"), ENGINE, False):
        raise structlog.DropEvent
    return event_dict


class _Run:
    """What is kept for a run of a machine while it is told of.

    Attributes:
        names: The definition's states by their full names.
        visit: State below its module, and number of the visit that is on; None between visits.
        machine: Weak reference that forgets the run when the machine is gone; None if it is not known.
    """

    __slots__ = ("machine", "names", "visit")

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self.visit: tuple[str, int] | None = None
        self.machine: weakref.ref[Any] | None = None


_working: ContextVar[_Run | None] = ContextVar("septum.otel.structlog.working", default=None)
"""The run for which structlog's variables are set in this context."""


class StructlogHooks(Hooks, LogSink):
    """Takes the log of its machines to structlog, and lets every structlog logger in a handler know where it is.

    * What `septum.logs` says of a machine, in the same texts and at the same levels, goes to the logger `septum.machine`, each event with
      `_septum_engine=True` and the fact's name as `septum.fact`. Where setup_logging exports structlog's events, these are left out, since
      `OTelHooks` exports them.
    * `ctx.log` goes to the logger `septum.app`.
    * While a machine works, structlog's context variables hold `septum.machine.name`, `septum.machine.id`, `septum.run.id`,
      `septum.state.name` and `septum.visit.number`, in handlers and in what they await or start, for chains that have
      `structlog.contextvars.merge_contextvars`.

    Loggers are asked for anew for every line: a later `structlog.configure`, and `cache_logger_on_first_use`, do no harm.

    Args:
        logger: Where the engine's events go instead of `structlog.get_logger("septum.machine")`; they pass all of its chain then, also what
            exports it, so put `drop_engine_events` before that.
    """

    replaces_log = True

    def __init__(self, logger: BindableLogger | None = None) -> None:
        self.logger = logger
        self._runs: dict[str, _Run] = {}

    def run_started(self, fact: facts.RunStarted, /) -> None:
        """Note where the machine's states are, and log."""
        self._runs[fact.run_id] = run = _Run(fact.definition.by_name)
        machine = fact.machine
        if machine is not None:
            runs, run_id = self._runs, fact.run_id
            run.machine = weakref.ref(machine, lambda _: runs.pop(run_id, None))
        self.tell(fact)

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Log, and forget the run."""
        self.tell(fact)
        self._runs.pop(fact.run_id, None)

    def visit_started(self, fact: facts.VisitStarted, /) -> None:
        """Bind the state and the number of the visit, if the machine is at work here, and log."""
        run = self._runs.get(fact.run_id)
        if run is not None:
            run.visit = state, number = self._state(fact.run_id, fact.state), fact.visit
            if _working.get() is run:
                structlog.contextvars.bind_contextvars(**{semconv.STATE_NAME: state, semconv.VISIT_NUMBER: number})
        self.tell(fact)

    def visit_ended(self, fact: facts.VisitEnded, /) -> None:
        """Log, and note that no visit is on; what is bound stays until the next begins or the machine pauses."""
        self.tell(fact)
        run = self._runs.get(fact.run_id)
        if run is not None:
            run.visit = None

    def working(self, origin: tuple[str, str, str], /) -> Callable[[], None] | None:
        """Bind machine, run, state and visit in this context; what is returned brings back what was bound before."""
        machine_id, machine, run_id = origin
        run = self._runs.get(run_id)
        if run is None:
            return None
        state, number = run.visit or ("", 0)
        bound = structlog.contextvars.bind_contextvars(
            **{
                semconv.MACHINE_NAME: machine,
                semconv.MACHINE_ID: machine_id,
                semconv.RUN_ID: run_id,
                semconv.STATE_NAME: state,
                semconv.VISIT_NUMBER: number,
            }
        )
        if run.visit is None:
            # Bound and unbound, so that undoing brings back what a machine around this one has bound.
            structlog.contextvars.unbind_contextvars(semconv.STATE_NAME, semconv.VISIT_NUMBER)
        token = _working.set(run)
        return lambda: _unbind(token, bound)

    def say(self, level: int, text: str, place: Callable[[], Place], fields: dict[str, object], /) -> None:
        """Write what a handler said to the logger `septum.app`; a keyword that structlog has a use for gets an underscore behind it."""
        logger = structlog.get_logger("septum.app").bind()
        if not _hears(logger, level):
            return
        further = fields.pop("stacklevel", 1)
        where = place()
        own: dict[str, object] = {
            semconv.MACHINE_NAME: where.machine,
            semconv.MACHINE_ID: where.machine_id,
            semconv.STATE_NAME: where.qualname,
            semconv.VISIT_NUMBER: where.visit,
        }
        if where.run_id is not None:
            own[semconv.RUN_ID] = where.run_id
        for name, value in fields.items():
            own[free_name(name, own, _TAKEN)] = value
        frame = inspect.currentframe()
        for _ in range(USERS_FRAME - 2 + (further if isinstance(further, int) else 1)):
            frame = None if frame is None else frame.f_back
        with _CalledFrom(frame):
            getattr(logger, _LEVELS.get(level, "info"))(text, **own)

    def tell(self, fact: facts.Fact, /) -> None:
        """Write the line of *fact*; builds nothing when its level is off."""
        line = next(line for line in _LINES[type(fact)] if line.applies is None or line.applies(fact))
        logger = self.logger
        if logger is None:
            chain = without_bridges(structlog.get_config()["processors"])
            logger = structlog.wrap_logger(None, processors=chain, cache_logger_on_first_use=False, logger_factory_args=("septum.machine",))
        logger = logger.bind()
        if not _hears(logger, line.level):
            return
        shown = [logs.SHOWN[field](fact) if field in logs.SHOWN else getattr(fact, field) for field in line.fields]
        own: dict[str, object] = {
            _FACT: fact.told_as,
            semconv.MACHINE_NAME: fact.machine_name,
            semconv.MACHINE_ID: fact.machine_id,
            semconv.RUN_ID: fact.run_id,
            semconv.VISIT_NUMBER: fact.visit,
            ENGINE: True,
        }
        state = fact.source if isinstance(fact, facts.TransitionTaken) else getattr(fact, "state", None)
        if state is not None:
            own[semconv.STATE_NAME] = self._state(fact.run_id, state)
        if isinstance(fact, facts.ErrorRouted):
            own["exc_info"] = fact.exception
        with telling():
            getattr(logger, _LEVELS[line.level])(line.text % tuple(shown), **own)

    def _state(self, run_id: str, name: str) -> str:
        """Return the part below its module of the state with that full *name*; the full one if the run is not known."""
        run = self._runs.get(run_id)
        node = None if run is None else run.names.get(name)
        return name if node is None else node.qualname


for _fact in facts.FACTS:
    if _fact.told_as not in vars(StructlogHooks):
        # Most facts need no more than their line.
        setattr(StructlogHooks, _fact.told_as, StructlogHooks.tell)


def _unbind(token: Token[_Run | None], bound: Mapping[str, Token[Any]]) -> None:
    """Undo what `working` bound."""
    try:
        _working.reset(token)
    except ValueError:
        return  # Another context: a task was abandoned and closed elsewhere, and the context that was changed is gone.
    structlog.contextvars.reset_contextvars(**bound)


def _hears(logger: object, level: int) -> bool:
    """Say whether *logger* writes at *level*, as far as it can be asked."""
    # Asked of the class: structlog's generic BoundLogger makes a log method of every attribute that it does not know.
    for name in ("is_enabled_for", "isEnabledFor"):
        if hasattr(type(logger), name):
            return bool(getattr(logger, name)(level))
    return True


# Where structlog begins to look for the caller. Without it (it is private) the line that is found would be one of this file.
_calling: ContextVar[FrameType] | None = getattr(structlog.contextvars, "_ASYNC_CALLING_STACK", None)


class _CalledFrom:
    """Lets structlog find *frame* for the caller."""

    def __init__(self, frame: FrameType | None) -> None:
        self._frame = frame
        self._token: Token[FrameType] | None = None

    def __enter__(self) -> None:
        if _calling is not None and self._frame is not None:
            self._token = _calling.set(self._frame)

    def __exit__(self, *_: object) -> None:
        self._frame = None
        if _calling is not None and self._token is not None:
            _calling.reset(self._token)
