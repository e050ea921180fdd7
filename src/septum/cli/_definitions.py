"""Which definitions there are in modules: what machines are made of there, and what else could be made one of.

Where a module makes machines, `StateMachine(Idle, error_state=Lost)` with names of the module, or has one as a global, that is what
counts. What no such machine reaches begins with a state that no other leads to. Of states that lead to each other in a circle, to which
nothing else leads, it begins with the one that is declared first.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from septum import Graph, StateMachine, StateRef, StateSpec
from septum._errors import DefinitionError
from septum._states import find_state, get_all_states
from septum.cli._target import Definition, TargetError, load_module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import ModuleType


def list_modules(name: str, *, recurse: bool) -> list[ModuleType]:
    """Return module *name*, and with *recurse* all below it that are not called `__main__`.

    Raises:
        TargetError: There is no such module, or it is no package and *recurse* is true.
        UserError: Importing one of them raised.
    """
    module = load_module(name)
    if not recurse:
        return [module]
    if not hasattr(module, "__path__"):
        raise TargetError(f"{name!r} is no package, so that there is nothing below it: leave out --all.")
    return list(_walk_package(module))


def _walk_package(package: ModuleType) -> Iterator[ModuleType]:
    """Yield *package* and all below it, each imported before what is below it is looked for."""
    yield package
    names = {part.name for part in iter_modules(package.__path__)} - {"__main__"}
    if package.__file__ is None:
        # What is below a namespace may be one, too, a folder without an __init__.py; in other packages such folders hold no modules.
        folders = (folder for place in package.__path__ for folder in Path(place).iterdir() if folder.is_dir())
        names |= {folder.name for folder in folders if folder.name.isidentifier() and any(folder.rglob("*.py"))}
    for name in sorted(names):
        module = load_module(f"{package.__name__}.{name}")
        if hasattr(module, "__path__"):
            yield from _walk_package(module)
        else:
            yield module


def find_definitions(modules: Sequence[ModuleType]) -> list[Definition]:
    """Return the definitions in *modules*, those that machines are made of there first, each once."""
    found = list(dict.fromkeys(used for module in modules for used in _list_used(module)))
    declared = _list_declared(modules)
    starts = [state for definition in found for state in definition if state is not None]
    targets = _list_targets([*starts, *declared])
    covered = {state for start in starts for state in _walk(start, targets)}
    rest = [state for state in declared if state not in covered]
    return [*found, *(Definition(state) for state in _find_heads(rest, targets))]


def _list_targets(states: Iterable[StateSpec]) -> dict[StateSpec, list[StateSpec]]:
    """Return where *states* and all that they reach lead; a state of which no graph can be made leads nowhere."""
    targets: dict[StateSpec, list[StateSpec]] = {}
    for state in states:
        if state in targets:
            continue
        try:
            nodes = Graph.of(state).nodes
        except DefinitionError:
            targets[state] = []
            continue
        for node in nodes:
            targets[node.spec] = [target.spec for edge in node.edges for target in edge.targets]
    return targets


def _list_declared(modules: Sequence[ModuleType]) -> list[StateSpec]:
    """Return the states that are declared in *modules*, in the order of modules and lines."""
    places = {module.__name__: place for place, module in enumerate(modules)}
    found = {state: None for state in get_all_states().values() if state.origin.module in places}
    for module in modules:
        # States that were made by hand are in no registry.
        found |= {value: None for value in vars(module).values() if isinstance(value, StateSpec) and not value.origin.module}
    return sorted(found, key=lambda state: (places.get(state.origin.module, len(places)), state.origin.line))


def _find_heads(states: Sequence[StateSpec], targets: Mapping[StateSpec, Iterable[StateSpec]]) -> list[StateSpec]:
    """Return the fewest of *states* from which all of them can be reached; of a circle the first.

    From the first state of a circle, a walk reaches the whole circle. So of walks that begin at each state in turn, every one that begins
    where none had been covers what follows it, and a later one that comes upon an earlier beginning makes that one needless.
    """
    heads: dict[StateSpec, None] = {}
    seen: set[StateSpec] = set()
    for state in states:
        if state in seen:
            continue
        reached = _walk(state, targets)
        for head in [head for head in heads if head in reached]:
            del heads[head]
        heads[state] = None
        seen |= reached
    return list(heads)


def _walk(start: StateSpec, targets: Mapping[StateSpec, Iterable[StateSpec]]) -> set[StateSpec]:
    reached, waiting = {start}, [start]
    while waiting:
        fresh = [target for target in targets.get(waiting.pop(), ()) if target not in reached]
        reached.update(fresh)
        waiting += fresh
    return reached


def _list_used(module: ModuleType) -> Iterator[Definition]:
    """Yield the definitions that *module* makes machines of, as far as its text and its globals show it."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        tree = ast.Module([], [])
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _is_machine(call.func):
            given: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in call.keywords}
            given |= dict(zip(("initial_state", "", "", "error_state"), call.args, strict=False))
            initial, error = _find(given.get("initial_state"), module), _find(given.get("error_state"), module)
            if initial is not None:
                yield Definition(initial, error)
    for value in list(vars(module).values()):
        if isinstance(value, StateMachine):
            machine: StateMachine[Any] = value  # pyright: ignore[reportUnknownVariableType] - of what data does not matter
            yield Definition(machine.initial_state, machine.error_state)


def _is_machine(called: ast.expr) -> bool:
    if isinstance(called, ast.Subscript):  # StateMachine[Job](...)
        called = called.value
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name == "StateMachine"


def _find(expression: ast.expr | None, module: ModuleType) -> StateSpec | None:
    """Return the state that *expression* means in *module*, if it is a name, a text or a `StateRef` of a text."""
    if expression is None:
        return None
    if isinstance(expression, ast.Call) and len(expression.args) == 1:
        expression = expression.args[0]
    found: object = expression.value if isinstance(expression, ast.Constant) else _look_up(ast.unparse(expression), module)
    try:
        return find_state(found) if isinstance(found, str | StateSpec | StateRef) else None
    except DefinitionError:
        return None


def _look_up(name: str, module: ModuleType) -> object:
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
