"""The names of a state's class, seen by the functions written in it without the class's name in front.

In Python a function does not see the scope of the class that it is written in: `Events.START` in a handler asks the
module for `Events`, which is not there. For the class form of a state Septum changes that in the compiled code: each
instruction that loads such a name as a global becomes one that loads the class's attribute as a constant. The code
keeps its length, so lines, columns, exception tables, coverage and `inspect.getsource` hold, all other globals stay
live, and the name costs what a global costs.

Tried and left: a mapping in the place of the function's builtins does not reach nested functions, which take theirs
from the module; one in the place of its globals freezes the module; compiling the source once more needs the source.

The bytecode is that of CPython 3.11, 3.12 and 3.13. Elsewhere a state says `Idle.Events`, and a `DefinitionError`
tells so.
"""

from __future__ import annotations

import builtins
import dis
import functools
import sys
from dataclasses import dataclass
from opcode import opmap, opname
from types import CellType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from septum._errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_UNDERSTOOD: Final = sys.implementation.name == "cpython" and sys.version_info[:2] in {(3, 11), (3, 12), (3, 13)}
# A call needs a NULL beside the callable: below it until 3.12, above it since 3.13.
_NULL_BELOW: Final = sys.version_info < (3, 13)

_CACHE: Final = opmap.get("CACHE", 0)
_EXTENDED_ARG: Final = opmap.get("EXTENDED_ARG", 0)
_LOAD_CONST: Final = opmap.get("LOAD_CONST", 0)
_JUMP_FORWARD: Final = opmap.get("JUMP_FORWARD", 0)
_NOP: Final = bytes((opmap.get("NOP", 0), 0))
_PUSH_NULL: Final = bytes((opmap.get("PUSH_NULL", 0), 0))

_BODY_READS: Final = frozenset({"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_GLOBAL_WRITES: Final = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_BODY_WRITES: Final = frozenset({"STORE_NAME", "DELETE_NAME"})
_ACCESSES: Final = frozenset({"LOAD_GLOBAL"}) | _BODY_READS | _GLOBAL_WRITES | _BODY_WRITES

_WRAPPERS: Final[tuple[type, ...]] = (FunctionType, MethodType, staticmethod, classmethod, functools.partial)


@dataclass(frozen=True, slots=True, eq=False)
class OwnNames:
    """What `see_own_names` made of the functions of one class, and which names they read.

    Attributes:
        functions: The function to call for each one given, in their order: the same object, or this class's copy of
            an inherited one.
    """

    functions: dict[str, Callable[..., Any]]
    _uses: tuple[_Use, ...]

    def check(self) -> None:
        """Make sure that each name read bare means nothing but the class's attribute.

        `see_own_names` has done so at decoration. Do it again when a machine is constructed, because a global of the
        same name may have come since. It costs about two dict lookups per name and function.

        Raises:
            DefinitionError: Some names are also other objects of the module, of an enclosing function or of the
                builtins; its `names` lists them, sorted. Nothing was changed.
        """
        faults = {(use.where, use.name): fault for use in self._uses if (fault := use.fault())}
        if faults:
            raise DefinitionError("\n".join(faults.values()), names=tuple(sorted({name for _, name in faults})))


def see_own_names(cls: type, functions: Mapping[str, Callable[..., Any]]) -> OwnNames:
    """Return *functions* made so that they see the attributes of *cls* by their bare names.

    Their nested functions, lambdas, comprehensions and classes do, too. An own name is any attribute of *cls* and its
    bases that is no `__dunder__`; it means what `cls.name` is now, so a static method is a plain function. What the
    code binds itself (a local, or a `global` that it assigns) is not touched.

    A function written in the body of *cls* is changed in place, by assigning its `__code__`: it keeps its identity,
    marks, defaults and closure, and whatever was wrapped around it goes on calling it. It is found inside a wrapper by
    `__wrapped__`, `__func__`, `functools.partial.func` and the wrapper's closure. A function written in a base class
    belongs to other subclasses as well, so *cls* gets a copy. A function written elsewhere is left alone: the names of
    *cls* are not in its sight. What a function reads lives as long as its code, and for ever where it leads back to
    that function, because Python's garbage collector does not look into code; a state lives as long anyhow.

    Args:
        cls: The class as Python made it, before its name comes to mean the state.
        functions: Handlers by name, and every other function of the class that shall see the names.

    Raises:
        DefinitionError: A name read bare is ambiguous (see `OwnNames.check`; here also when another function assigns
            it as a global), or code cannot be changed: an unknown Python, a decorated function of a base class. The
            functions are as before.
    """
    scope = _Scope(cls)
    mine = {name: scope.adopt(function) for name, function in functions.items()}
    bindings = [_Binding(function, scope, home) for function in _written_functions(mine.values()) if (home := scope.home(function))]
    stored = frozenset[str]().union(*(binding.stored for binding in bindings))
    own = OwnNames(mine, tuple(use for binding in bindings for use in binding.uses(stored)))
    own.check()
    for binding in bindings:
        binding.function.__code__ = binding.code
    return own


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Use:
    """One own name that one function reads, and where else it could come from."""

    state: str
    where: str
    name: str
    value: object
    module: Mapping[str, object]
    cell: CellType | None = None
    stored: bool = False

    def fault(self) -> str:
        """Return what is ambiguous about the name and what to do, or nothing."""
        rival = self._rival()
        if not rival:
            return ""
        return (
            f"{self.where} reads {self.name!r}, which is an attribute of its class and also {rival}. "
            f"Write {self.state}.{self.name} if the state's own is meant, or give one of the two another name."
        )

    def _rival(self) -> str:
        if self.stored:
            return f"a global that a function of {self.state} assigns"
        if self.cell is not None:
            return "a variable of the enclosing function" if self._is_other(_contents(self.cell, self.value)) else ""
        if self.name in self.module:
            return f"a global of module {self.module.get('__name__')!r}" if self._is_other(self.module[self.name]) else ""
        return "a builtin" if self._is_other(vars(builtins).get(self.name, self.value)) else ""

    def _is_other(self, found: object) -> bool:
        return found is not self.value


class _Scope:
    """The own names of one class, and which functions were written in sight of them."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        attributes = {name for owner in cls.__mro__ if owner is not object for name in vars(owner)}
        self.names = frozenset(name for name in attributes if not (name.startswith("__") and name.endswith("__")))
        self._copies: dict[object, FunctionType] = {}

    def home(self, function: FunctionType) -> type | None:
        """Return the class whose body *function* was written in, if that is this class or a base of it."""
        # The code's own qualname: functools.wraps gives a wrapper the handler's, but cannot change where its code is from.
        where, module = function.__code__.co_qualname, function.__globals__.get("__name__", "builtins")
        owners = (owner for owner in self.cls.__mro__ if where.startswith(f"{owner.__qualname__}."))
        return next((owner for owner in owners if owner.__module__ == module), None)

    def adopt(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return *function*, or this class's copy of it if it was written in a base class."""
        if not isinstance(function, FunctionType) or self.home(function) in {None, self.cls}:
            return function
        return self._copies.setdefault(function, _copy_of(function))

    def is_copy(self, function: FunctionType) -> bool:
        """Tell whether *function* was made by `adopt` and so belongs to this class alone."""
        return function in self._copies.values()

    def value(self, name: str) -> object:
        """Return what *name* means, the very object that `cls.name` is."""
        found: object = getattr(self.cls, name)
        return self._copies.get(found, found) if isinstance(found, FunctionType) else found


class _Binding:
    """One function and the code with which it sees its class's names; nothing is changed before that code is assigned.

    Attributes:
        stored: The own names that its code assigns or deletes as globals.
    """

    def __init__(self, function: FunctionType, scope: _Scope, home: type) -> None:
        self.function = function
        self.stored: set[str] = set()
        self._scope, self._home = scope, home
        self._read: dict[str, object] = {}
        self.code = self._bind(function.__code__, frozenset())
        if self._read and home is not scope.cls and not scope.is_copy(function):
            raise self._refusal(next(iter(self._read)), "it is decorated and shared with a base class")

    def uses(self, stored: frozenset[str]) -> Iterator[_Use]:
        """Yield what must not be ambiguous; *stored* are the names that any function of the class has as globals."""
        function, scope = self.function, self._scope
        where, module = function.__code__.co_qualname, function.__globals__
        use = functools.partial(_Use, state=scope.cls.__name__, where=where, module=module)
        for name, value in self._read.items():
            yield use(name=name, value=value, stored=name in stored)
        # The free variables of a function right in the class body are those of the functions around the class.
        if "<locals>" in function.__code__.co_qualname.removeprefix(self._home.__qualname__):
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name in scope.names:
                yield use(name=name, value=scope.value(name), cell=cell)

    def _bind(self, code: CodeType, declared: frozenset[str]) -> CodeType:
        """Return *code* with its own names as constants; *declared* are those that the code around it has as globals."""
        accesses = [] if self._scope.names.isdisjoint(code.co_names) else list(_accesses(code))
        accesses = [access for access in accesses if access.name in self._scope.names]
        declared |= {access.name for access in accesses if access.kind in _GLOBAL_WRITES}
        self.stored |= declared
        consts = [self._bind(const, declared) if isinstance(const, CodeType) else const for const in code.co_consts]
        text, places = bytearray(code.co_code), dict[str, int]()
        for access in _reads(accesses, declared):
            place = places.setdefault(access.name, len(consts))
            if place == len(consts):
                consts.append(self._value(access.name))
            text[access.start : access.stop] = self._load(access, place)
        if not places and all(new is old for new, old in zip(consts, code.co_consts, strict=True)):
            return code
        return code.replace(co_code=bytes(text), co_consts=_Consts(consts))

    def _value(self, name: str) -> object:
        if name not in self._read:
            self._read[name] = self._scope.value(name)
        return self._read[name]

    def _load(self, access: _Access, place: int) -> bytes:
        """Return the instructions that load constant *place* in exactly the room of *access*."""
        if not _UNDERSTOOD:
            version = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
            raise self._refusal(access.name, f"Septum does not know the bytecode of {version}")
        load = b"".join(bytes((_EXTENDED_ARG, place >> shift & 255)) for shift in (24, 16, 8) if place >> shift)
        load += bytes((_LOAD_CONST, place & 255))
        if access.null:
            load = _PUSH_NULL + load if _NULL_BELOW else load + _PUSH_NULL
        room = (access.stop - access.start - len(load)) // 2
        if room < 0 or access.kind == "LOAD_FROM_DICT_OR_GLOBALS" or access.early:
            raise self._refusal(access.name, "a class nested in it reads the name in a way that Septum cannot redirect")
        if not room:
            return load
        # One jump over the rest is faster than four NOPs (measured: 2.8 against 5.4 ns a name on 3.11).
        return load + bytes((_JUMP_FORWARD, room - 1)) + _NOP * (room - 1)

    def _refusal(self, name: str, why: str) -> DefinitionError:
        cls, where = self._scope.cls.__name__, self.function.__code__.co_qualname
        return DefinitionError(
            f"{where} reads {name!r}, an attribute of its class, by its bare name, and cannot be made to see it: {why}. "
            f"Write {cls}.{name}.",
            names=(name,),
        )


class _Consts(tuple[object, ...]):
    """The constants of a code with own names, hashed by identity: a dict is an own name too, and code is hashed by debuggers."""

    __slots__ = ()
    __hash__ = object.__hash__


class _Access(NamedTuple):
    """One instruction that reads or writes a name by name: its opcode, and its room with prefixes and inline cache."""

    kind: str
    name: str
    start: int
    stop: int
    null: bool = False
    early: bool = False


def _accesses(code: CodeType) -> Iterator[_Access]:
    if not _UNDERSTOOD:
        for found in dis.get_instructions(code):
            if found.opname in _ACCESSES:
                yield _Access(found.opname, str(found.argval), found.offset, found.offset)
        return
    # dis would do for all versions, at 2-3 microseconds an instruction: a second for the import of a thousand states.
    text, start, at, argument = code.co_code, 0, 0, 0
    while at < len(text):
        kind, argument = opname[text[at]], argument << 8 | text[at + 1]
        at += 2
        if kind == "EXTENDED_ARG":
            continue
        while at < len(text) and text[at] == _CACHE:
            at += 2
        if kind in _ACCESSES:
            is_shifted = kind == "LOAD_GLOBAL"  # its lowest bit asks for the NULL of a call
            yield _Access(kind, code.co_names[argument >> is_shifted], start, at, null=is_shifted and bool(argument & 1))
        start, argument = at, 0


def _reads(accesses: Iterable[_Access], declared: frozenset[str]) -> Iterator[_Access]:
    """Yield what is read from outside the code: neither a declared global, nor bound before by the body of a nested class."""
    written = {access.name for access in accesses if access.kind in _BODY_WRITES}
    bound: set[str] = set()
    for access in accesses:
        if access.kind in _BODY_WRITES:
            bound.add(access.name)
        elif access.kind == "LOAD_GLOBAL" and access.name not in declared:
            yield access  # in a class body too: a comprehension in it does not see what the body bound
        elif access.kind in _BODY_READS and access.name not in declared | bound:
            yield access._replace(early=access.name in written)


def _written_functions(roots: Iterable[object]) -> Iterator[FunctionType]:
    """Yield each Python function that *roots* are or are wrapped around, once."""
    waiting, seen = list(roots), set[int]()
    for found in waiting:  # which grows meanwhile, and keeps what the ids belong to
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, FunctionType):
            yield found
            held: list[object] = [_contents(cell, None) for cell in found.__closure__ or ()]
            waiting.extend(filter(lambda each: isinstance(each, _WRAPPERS), held))
        waiting.extend(getattr(found, link) for link in ("__wrapped__", "__func__") if hasattr(found, link))
        if isinstance(found, functools.partial):
            waiting.append(found.func)


def _contents(cell: CellType, default: object) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return default


def _copy_of(function: FunctionType) -> FunctionType:
    copy = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    functools.update_wrapper(copy, function)
    copy.__kwdefaults__ = dict(function.__kwdefaults__) if function.__kwdefaults__ else None
    vars(copy).clear()  # update_wrapper adds __wrapped__, but this is no wrapper
    vars(copy).update(vars(function))
    return copy
