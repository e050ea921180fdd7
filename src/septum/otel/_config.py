"""What telemetry is made of, as one value: from arguments, from `SEPTUM_OTEL_*` variables, or by default."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "SEPTUM_OTEL_"
_TRUE = ("true", "1", "yes")
_FALSE = ("false", "0", "no")

Detail = Literal["auto", "visits", "handlers"]
TraceScope = Literal["run", "visit", "message"]
Metrics = Literal["off", "counts", "states", "standard", "full"]
Parent = Literal["auto", "ambient", "root"]
Record = Literal["off", "metadata", "inline", "full"]


class Fields(TypedDict, total=False):
    """The fields of `SeptumConfig` as keyword arguments, for type checkers."""

    detail: Detail
    trace_scope: TraceScope
    metrics: Metrics
    events: bool
    send_spans: bool
    parent: Parent
    record: Record
    segment_max_visits: int
    segment_max_age: float
    code_attributes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeptumConfig:
    """The settings of telemetry; each field is also an argument of `instrument`, of `OTelHooks` and of `setup`.

    A field that is not given comes from its variable, `SEPTUM_OTEL_` and the field's name in capitals, and then from its default; the
    constructor itself reads no variable. `opentelemetry-configuration` builds it from the section `instrumentation/development`.

    Attributes:
        detail: Which spans: "visits" makes one for each run and each visit, "handlers" one for each message and each handler call as well;
            "auto" makes one for each message only in visits that wait.
        trace_scope: What a trace is: a "run" (a segment of it), a "visit", or whatever the sender of a "message" was tracing.
        metrics: Which instruments: "counts" has counters and gauges, "states" also `septum.state.duration`, "standard" also
            `septum.process.duration` and `septum.run.duration`, "full" also `septum.message.wait.duration`; "off" has none.
        events: Whether transitions, timeouts, retries and exceptions are log records with an event name.
        send_spans: Whether each `send_message` is a span of its own.
        parent: Where a run's first span hangs: below the "ambient" span, at the "root" of a new trace, or "auto": below the ambient span,
            but at the root, with a link, where a task was made for `serve()` itself.
        record: Whether what enters a run is recorded, as log records of the scope `septum.recording`: "metadata" without payloads, results
            and texts, "inline" with those of at most 1 KiB, messages also on their spans, "full" with all; see `septum.replay.Recorder`,
            which can do it with rules of your own.
        segment_max_visits: After how many visits a run goes on in a new trace; at least 1.
        segment_max_age: After how many seconds it does; above 0, `math.inf` means never.
        code_attributes: Whether a handler's span says in which file and line the handler stands.

    Raises:
        TypeError: A field is unknown or of another type; the text names the nearest one, and what is allowed.
        ValueError: A field has the right type and a value that is not allowed.
    """

    detail: Detail = "auto"
    trace_scope: TraceScope = "run"
    metrics: Metrics = "standard"
    events: bool = True
    send_spans: bool = False
    parent: Parent = "auto"
    record: Record = "off"
    segment_max_visits: int = 1000
    segment_max_age: float = 900.0
    code_attributes: bool = False

    def __new__(cls, **given: object) -> Self:
        """Refuse unknown fields, also those that a configuration file names, before `__init__` would with fewer words."""
        _check_names(given)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        """Refuse what no field may be."""
        kinds = _kinds()
        for field in fields(self):
            _check(field.name, kinds[field.name], getattr(self, field.name))
        object.__setattr__(self, "segment_max_age", float(self.segment_max_age))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return the settings that *environ* asks for, and the defaults of those that it does not mention.

        Args:
            environ: The variables; None means those of the process. Empty ones count as not set, others than Septum's are not looked at.

        Raises:
            ValueError: A variable has a value that its field does not allow; the text names all three.
        """
        return cls(**_from_env(os.environ if environ is None else environ))

    @classmethod
    def of(cls, config: Self | None, given: Mapping[str, object], environ: Mapping[str, str] | None = None) -> Self:
        """Return *config* with the fields of *given* in place of its own.

        Args:
            config: Settings that are complete, so that no variable is read; None means those of the environment.
            given: Fields by name; they win.
            environ: As in `from_env`.

        Raises:
            TypeError: *given* has an unknown field or one of a wrong type, or *config* is no SeptumConfig.
            ValueError: A field, or a variable, has a value that is not allowed.
        """
        known: dict[str, Any] = dict(given)
        _check_names(known)
        if config is None:
            return cls(**{**_from_env(os.environ if environ is None else environ), **known})
        if not isinstance(config, cls):
            raise TypeError(f"config must be a SeptumConfig or None, not {config!r}; SeptumConfig(detail='handlers') makes one")
        return replace(config, **known)


def variable(field: str) -> str:
    """Return the name of the variable that sets *field*."""
    return f"{PREFIX}{field.upper()}"


def variables() -> dict[str, str]:
    """Return for each variable in words what may stand in it."""
    return {variable(name): _allowed_text(kind) for name, kind in _kinds().items()}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the one of *known* that looks like *name*, or nothing if none does."""
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _kinds() -> dict[str, Any]:
    """Return the type of each field."""
    hints = get_type_hints(SeptumConfig)
    return {field.name: hints[field.name] for field in fields(SeptumConfig)}


def _check_names(given: Iterable[str]) -> None:
    """Raise TypeError if *given* has a name that is no field."""
    known = [field.name for field in fields(SeptumConfig)]
    for name in given:
        if name not in known:
            raise TypeError(f"SeptumConfig has no field {name!r}.{nearest(name, known)} Its fields are {', '.join(known)}.")


def _check(name: str, kind: Any, value: object) -> None:
    """Raise TypeError or ValueError if *value* may not stand in the field *name*."""
    choices = get_args(kind)
    if choices:
        if value in choices and isinstance(value, str):
            return
        hint = nearest(value, choices) if isinstance(value, str) else ""
        if value is False and "off" in choices:
            hint = ' YAML reads a bare off as false: write "off", with its quotes.'
        refused = ValueError if isinstance(value, str) else TypeError
        raise refused(f"SeptumConfig.{name} must be {_quoted(choices)}, not {value!r}.{hint}")
    # A bool is an int to Python, but segment_max_visits=True is a slip.
    right = type(value) is bool if kind is bool else not isinstance(value, bool) and isinstance(value, int if kind is int else (int, float))
    if not right:
        raise TypeError(f"SeptumConfig.{name} must be {_in_words(kind)}, not {value!r}, which is of type {type(value).__name__}.")
    if (kind is int and value < 1) or (kind is float and not value > 0):  # type: ignore[operator] # it is a number: checked above
        raise ValueError(f"SeptumConfig.{name} must be {_in_words(kind)}, not {value!r}.")


def _from_env(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields that *environ* sets."""
    found: dict[str, Any] = {}
    for name, kind in _kinds().items():
        text = environ.get(variable(name), "").strip()
        if text:
            found[name] = _parse(variable(name), kind, text)
    return found


def _parse(name: str, kind: Any, text: str) -> object:
    """Return what *text* means in the variable *name*."""
    word = text.lower()
    choices = get_args(kind)
    if choices or kind is bool:
        if word in (choices or _TRUE):
            return word if choices else True
        if kind is bool and word in _FALSE:
            return False
        hint = nearest(word, choices or (*_TRUE, *_FALSE))
        raise ValueError(f"{name} is {text!r}; allowed are {_allowed_text(kind)}.{hint}")
    try:
        number = kind(word)
    except ValueError:
        number = math.nan
    if not number >= (1 if kind is int else math.ulp(0.0)):
        raise ValueError(f"{name} is {text!r}; allowed is {_in_words(kind)}.")
    return number


def _allowed_text(kind: Any) -> str:
    """Return in words what a variable of *kind* may hold."""
    if kind is bool:
        return ", ".join((*_TRUE, *_FALSE))
    return ", ".join(get_args(kind)) or _in_words(kind)


def _in_words(kind: Any) -> str:
    """Return in words what a field of *kind* may be."""
    return {bool: "True or False", int: "an int of at least 1", float: "a number of seconds above 0"}[kind]


def _quoted(choices: tuple[str, ...]) -> str:
    """Return *choices* as a list in a sentence."""
    return f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}"
