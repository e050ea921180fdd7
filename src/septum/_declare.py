"""How states are written: the decorators, in the function form and the class form.

A handler's decorator marks the function and hands it back. `state` then collects the marks: in the function form those that were made
while its body ran, in the class form those on the attributes of the class.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, overload

from septum._errors import DefinitionError
from septum._scope import see_own_names
from septum._states import Origin, StateConfiguration, StateSpec, register_state

if TYPE_CHECKING:
    from types import CodeType

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
Body: TypeAlias = "Callable[[], object] | type[Any]"
Marks: TypeAlias = "list[tuple[str, Any]]"

_MARK: Final = "__septum_marks__"
_HANDLERS: Final = ("on_state", "on_enter", "on_leave", "on_timeout", "on_fail")


class _Open(threading.local):
    """The function-form bodies that run in this thread, the innermost last, each with the marks made so far."""

    def __init__(self) -> None:
        self.bodies: list[Marks] = []


_open = _Open()


@overload
def state(config: Body, /) -> StateSpec: ...


@overload
def state(
    config: StateConfiguration | None = None, name: str | None = None, group: str | None = None, *, version: str | None = None
) -> Callable[[Body], StateSpec]: ...


def state(config: Any = None, name: str | None = None, group: str | None = None, *, version: str | None = None) -> Any:
    """Declare a state: `@septum.state` or `@septum.state(config=...)` on a function or a class; the name then is the `StateSpec`.

    The function form is called once, here and now. In the class form handlers take `ctx` alone and see the class's own names; the
    class may hold `config = StateConfiguration(...)` and its `Events`.

    Args:
        config: The limits; those of the class's own `config`, or none.
        name: The full name, for `StateRef`, telemetry and errors; by default `module.QualifiedName`.
        group: A word that states can share; for drawings.
        version: At an initial state: the version of the definition that begins here, any text. Snapshots keep it, and `septum.migrate`
            leads from one to the next.

    Raises:
        DefinitionError: The body is not what a state is written as; it says what to change. Nothing was declared.
        DuplicateState: Another state has the name, and keeps it.
    """
    if config is None or isinstance(config, StateConfiguration):

        def decorate(body: Body) -> StateSpec:
            return _declare(body, config, name, group, version)

        return decorate
    return _declare(config, None, name, group, version)


@overload
def on_state(func: F) -> F: ...
@overload
def on_state() -> Callable[[F], F]: ...
def on_state(func: Any = None) -> Any:
    """Have the state call `func(ctx)` first with `ctx.msg` None, then for each message; its answer is the transition."""
    return _mark("on_state", func)


@overload
def on_enter(func: F) -> F: ...
@overload
def on_enter() -> Callable[[F], F]: ...
def on_enter(func: Any = None) -> Any:
    """Have the state call `func(ctx)` when it is entered, before `on_state`; its answer means nothing."""
    return _mark("on_enter", func)


@overload
def on_leave(func: F) -> F: ...
@overload
def on_leave() -> Callable[[F], F]: ...
def on_leave(func: Any = None) -> Any:
    """Have the state call `func(ctx)` when it is left; its answer means nothing."""
    return _mark("on_leave", func)


@overload
def on_timeout(func: F) -> F: ...
@overload
def on_timeout() -> Callable[[F], F]: ...
def on_timeout(func: Any = None) -> Any:
    """Have the state call `func(ctx)` when its timeout has passed; its answer is the transition."""
    return _mark("on_timeout", func)


@overload
def on_fail(func: F) -> F: ...
@overload
def on_fail() -> Callable[[F], F]: ...
def on_fail(func: Any = None) -> Any:
    """Have the state call `func(ctx)` when its retries are used up; its answer is the transition."""
    return _mark("on_fail", func)


@overload
def transitions(func: F) -> F: ...
@overload
def transitions() -> Callable[[F], F]: ...
def transitions(func: Any = None) -> Any:
    """Have `func()` list the state's transitions; it is called when a machine is constructed, so it may name states declared later."""
    return _mark("transitions", func)


@overload
def events(events_class: C) -> C: ...
@overload
def events() -> Callable[[C], C]: ...
def events(events_class: Any = None) -> Any:
    """Make *events_class*, an Enum, the labels of the state: `spec.Events`."""
    return _mark("events", events_class)


@overload
def root(func: F) -> F: ...
@overload
def root() -> Callable[[F], F]: ...
def root(func: Any = None) -> Any:
    """Mark *func* as where its group begins; kept for old programs, it changes nothing."""
    return root if func is None else func


def _mark(kind: str, target: Any) -> Any:
    if target is None:
        return functools.partial(_mark, kind)
    function = _unwrap_method(target)
    if not callable(function) or isinstance(target, StateSpec | classmethod):
        raise DefinitionError(f"@septum.{kind} decorates a {_WHAT[kind]}, not {target!r}.")
    if kind == "events" and not (isinstance(function, type) and issubclass(function, Enum)):
        raise DefinitionError(f"@septum.events decorates an Enum class, not {function!r}. Write: class Events(Enum): ...")
    if _open.bodies:
        _open.bodies[-1].append((kind, function))
    try:
        setattr(function, _MARK, (*_read_marks(function), kind))
    except (AttributeError, TypeError):
        if not _open.bodies:
            raise DefinitionError(f"@septum.{kind} cannot mark {function!r}. Wrap it in a function of its own.") from None
    return target


def _unwrap_method(value: Any) -> Any:
    method: Any = value
    return method.__func__ if isinstance(value, staticmethod | classmethod) else value


def _read_marks(function: object) -> tuple[str, ...]:
    # Not getattr: an object that makes up its attributes would make up marks.
    marks: tuple[str, ...] = getattr(function, "__dict__", {}).get(_MARK, ())
    return marks


def _declare(body: Any, config: StateConfiguration | None, name: str | None, group: str | None, version: str | None) -> StateSpec:
    if isinstance(body, StateSpec):
        raise DefinitionError(f"{body!r} is a state already. Decorate it once with @septum.state.")
    if name is not None and not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - not everybody checks types
        raise DefinitionError(f"The name of a state is a text, not {name!r}.")
    if version is not None and (not isinstance(version, str) or not version):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
        raise DefinitionError(f"The version of a definition is a text, not {version!r}.")
    is_class = isinstance(body, type)
    if not is_class and not hasattr(body, "__qualname__"):
        raise DefinitionError(
            "@septum.state decorates a function or a class, and takes config=StateConfiguration(...), name=, group= and version=; "
            f"found {body!r}."
        )
    module = _public_module(body.__module__)
    full_name = name or f"{module}.{body.__qualname__}"
    parts = _collect_class(body, full_name, config) if is_class else _collect_function(body, full_name, config)
    functions = dict(parts.marks)
    if "on_state" not in functions:
        raise DefinitionError(
            f"State {full_name!r} must have an @on_state decorated method. Decorate one function in its body with @septum.on_state; "
            "it takes ctx and answers a transition."
        )
    for kind, function in functions.items():
        _check_call(full_name, kind, function)
    spec = StateSpec(
        name=full_name,
        qualname=body.__qualname__,
        module=module,
        config=parts.config,
        Events=functions.pop("events", parts.events),
        group_name=group or "",
        origin=_find_origin(body, functions["on_state"]),
        _recheck=parts.recheck,
        repeated=_find_repeated(parts.marks),
        definition_version=version,
        **functions,
    )
    register_state(spec)
    return spec


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a body declares: its marks in their order, so that of two of a kind the last counts, and the rest."""

    marks: Marks
    config: StateConfiguration
    events: type[Enum] | None = None
    recheck: Callable[[], None] | None = None


def _collect_function(body: Any, name: str, config: StateConfiguration | None) -> _Parts:
    if inspect.iscoroutinefunction(body) or inspect.isgeneratorfunction(body) or not _accepts(body, 0):
        raise DefinitionError(
            f"State {name!r} is written as a plain function without arguments, whose body declares the handlers. "
            "For a handler use @septum.on_state inside of it."
        )
    marks: Marks = []
    _open.bodies.append(marks)
    try:
        body()
    finally:
        _open.bodies.pop()
    return _Parts(marks, config or StateConfiguration())


def _collect_class(body: type, name: str, config: StateConfiguration | None) -> _Parts:
    own = vars(body).get("config")
    if config is not None and own is not None:
        raise DefinitionError(f"State {name!r} has two configurations. Keep either @septum.state(config=...) or the attribute `config`.")
    config = config or getattr(body, "config", None) or StateConfiguration()
    if not isinstance(config, StateConfiguration):
        raise DefinitionError(f"The attribute `config` of state {name!r} is a StateConfiguration, not {config!r}.")
    attributes: dict[str, Any] = {}
    for base in reversed(body.__mro__[:-1]):
        attributes.update(vars(base))
    functions = {key: function for key, value in attributes.items() if (function := _find_function(name, value)) is not None}
    names = see_own_names(body, functions)
    marks = [(kind, function) for key, function in names.functions.items() for kind in _read_marks(functions[key])]
    labels = [value for value in attributes.values() if isinstance(value, type) and "events" in _read_marks(value)]
    usual = attributes.get("Events")
    events = labels[-1] if labels else usual if isinstance(usual, type) and issubclass(usual, Enum) else None
    if _open.bodies:
        # The class stands in the body of a function-form state, whose handlers these are not.
        within = f"{body.__qualname__}."
        _open.bodies[-1][:] = [mark for mark in _open.bodies[-1] if not mark[1].__qualname__.startswith(within)]
    return _Parts(marks, config, events, names.check)


def _find_function(name: str, value: Any) -> Any:
    """Return the function behind an attribute of a class, if it is one that the class's names are made visible to."""
    function = _unwrap_method(value)
    if isinstance(value, classmethod) and _read_marks(function):
        raise DefinitionError(f"Handler {function.__qualname__} of state {name!r} is a class method. Make it a @staticmethod of ctx.")
    is_handler = bool(_read_marks(function)) and not isinstance(function, type)
    return function if is_handler or isinstance(function, FunctionType) else None


def _check_call(name: str, kind: str, function: Any) -> None:
    if kind == "events":
        return
    arguments = 0 if kind == "transitions" else 1
    if not _accepts(function, arguments):
        raise DefinitionError(
            f"{kind} of state {name!r} is a {_WHAT[kind]}, but {function!r} takes {inspect.signature(function)}. "
            "In the class form, too, there is no self."
        )
    if kind == "transitions" and inspect.iscoroutinefunction(function):
        raise DefinitionError(f"transitions of state {name!r} is a plain function: no machine runs when it is called. Remove `async`.")


def _accepts(function: Any, arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*(None,) * arguments)
    except ValueError:
        return True  # a builtin that does not tell
    except TypeError:
        return False
    return True


def _find_repeated(marks: Marks) -> tuple[str, ...]:
    """Return the kinds that more than one function is marked as, sorted."""
    distinct = {(kind, id(function)) for kind, function in marks}
    kinds = [kind for kind, _ in distinct]
    return tuple(sorted({kind for kind in kinds if kinds.count(kind) > 1}))


def _public_module(module: str) -> str:
    """Return the name of a module for the names of states; a script's is its file's, in processes that it spawns as well."""
    if module not in {"__main__", "__mp_main__"}:
        return module
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).stem if file else module


def _find_origin(body: Any, on_state: Any) -> Origin:
    is_class = isinstance(body, type)
    code = getattr(inspect.unwrap(on_state if is_class else body), "__code__", None)
    file, line = ("", 0) if code is None else (code.co_filename, code.co_firstlineno)
    return Origin(body.__module__, file, line, _find_scope(body.__module__), body if is_class else None)


def _find_scope(module: str) -> CodeType | None:
    """Return the code that declares a state of *module* just now: the nearest that is of that module."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") != module:
        frame = frame.f_back
    return None if frame is None else frame.f_code


_WHAT: Final = dict.fromkeys(_HANDLERS, "function of ctx") | {"transitions": "function without arguments", "events": "class"}
