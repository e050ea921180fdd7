"""What `module:State` on a command line means: the user's module is imported, and the name is looked up in it.

A failure in the user's code shows the user's traceback, without Septum's frames and the import system's.
"""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import sys
import traceback
from contextlib import redirect_stdout
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from click.shell_completion import CompletionItem

import septum
from septum import Graph, StateMachine, StateSpec
from septum._errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

_INTERRUPTS: Final = (KeyboardInterrupt, click.Abort, click.exceptions.Exit)
"""What ends the command, whoever raises it."""

HELP: Final = (
    "MODULE:STATE, such as app.states:Idle or src/app/states.py:Idle; or MODULE:NAME of a machine, or of a function that makes one."
)


if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:
    _Text = click.ParamType  # takes no type before click 8.4


class _TargetType(_Text):
    """`MODULE:STATE`; completed from what the current directory holds, which is read and not run."""

    name = "target"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's
        """Return the modules, or after a colon the states, that begin with *incomplete*."""
        module, colon, _ = incomplete.rpartition(":")
        if not colon and "/" in incomplete:
            return [CompletionItem(incomplete, type="file")]
        found = [f"{module}:{name}" for name in _read_states(module)] if colon else _read_modules(incomplete.rpartition(".")[0])
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]


TARGET: Final = _TargetType()


class TargetError(click.ClickException):
    """A target on the command line leads nowhere; its text names what is near."""

    exit_code = 2

    def __init__(self, text: str, near: Iterable[str] = (), there: Iterable[str] = ()) -> None:
        close, known = list(near), list(there)
        if close:
            text += f" Did you mean {' or '.join(close)}?"
        elif known:
            text += f" There {'is' if len(known) == 1 else 'are'} {', '.join(known)}."
        super().__init__(text)


class UserError(click.ClickException):
    """The user's code raised; shown as the user's traceback and a sentence."""

    exit_code = 2

    def __init__(self, text: str, error: BaseException) -> None:
        super().__init__(text)
        self.shown = format_user_traceback(error)

    def show(self, file: Any = None) -> None:
        """Write the traceback and the sentence to stderr."""
        click.echo(self.shown, file=file, err=True, nl=False)
        super().show(file)


class Definition(NamedTuple):
    """What a machine can be made from."""

    initial: StateSpec
    error: StateSpec | None = None

    @property
    def name(self) -> str:
        """The initial state's full name."""
        return self.initial.name

    def graph(self) -> Graph:
        """Return the graph.

        Raises:
            TargetError: The states make no graph; the text says why.
        """
        try:
            with speaking_aside():
                return Graph.of(self.initial, self.error)
        except DefinitionError as error:
            raise TargetError(str(error)) from None


def is_named(target: str) -> bool:
    """Say whether *target* is `"module:name"`, and not a module alone."""
    return bool(_partition(target)[1])


def load_module(name: str) -> ModuleType:
    """Return the module *name*, or that of the file of this path, imported as the user's program would.

    The current directory is put at the head of `sys.path`, as `python -m` does; for a file, the folder that holds its package.

    Raises:
        TargetError: There is no such module.
        UserError: Importing it raised.
    """
    folder, name = _split_path(name)
    if folder not in sys.path:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
    try:
        with speaking_aside():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Another one's absence, deeper in the user's code, is the user's to see.
        if not error.name or not f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"Module {name!r} could not be imported.", error) from None
        raise _no_module(name, error.name) from None
    except SystemExit as error:
        raise UserError(
            f'Importing module {name!r} ended the process. Put what it runs under `if __name__ == "__main__":`.', error
        ) from None
    except _INTERRUPTS:
        raise
    except BaseException as error:  # noqa: BLE001 - user code; whatever it raises is shown, pytest's skips and exits too
        raise UserError(f"Module {name!r} could not be imported.", error) from None


def load(target: str) -> object:
    """Return the object that *target*, `"module:name"` or `"module:outer.name"`, means.

    Raises:
        TargetError: It has no colon, or there is no such module or name.
        UserError: The user's module raised.
    """
    module_name, colon, path = _partition(target)
    if not colon or not path:
        module = load_module(module_name)
        raise TargetError(
            f"{target!r} names no state; write MODULE:STATE.", there=[f"{target}:{name}" for name in _list_states(module)][:8]
        )
    found: object = load_module(module_name)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise _no_name(module_name, path, part, found) from None
    return found


def find_state(target: str, *, beside: str = "") -> StateSpec:
    """Return the state that *target* means: `"module:State"`; `"State"` alone is looked for in module *beside*.

    Raises:
        TargetError: It means no state.
        UserError: The user's module raised.
    """
    if beside and not _partition(target)[1]:
        target = f"{beside}:{target}"
    found = load(target)
    if not isinstance(found, StateSpec):
        raise _no_state(target, found)
    return found


def find_definition(target: str, *, error_state: str | None = None) -> Definition:
    """Return the definition that *target* means: a state, a machine, or a function without arguments that returns one of these.

    Args:
        target: `"module:name"`.
        error_state: `"module:State"`, or `"State"` of the same module; None for the machine's own, or none.

    Raises:
        TargetError: It means no definition.
        UserError: The user's code raised.
    """
    return define(target, make(target, load(target)), error_state=error_state)


def define(target: str, found: object, *, error_state: str | None = None) -> Definition:
    """Return the definition of *found*, which *target* led to; see `find_definition`.

    Raises:
        TargetError: It is no state or machine.
        UserError: The user's code raised.
    """
    if isinstance(found, StateMachine):
        machine: StateMachine[Any] = found  # pyright: ignore[reportUnknownVariableType] - of what data does not matter
        definition = Definition(machine.initial_state, machine.error_state)
    elif isinstance(found, StateSpec):
        definition = Definition(found)
    else:
        raise _no_state(target, found)
    return definition if error_state is None else Definition(definition.initial, find_state(error_state, beside=_partition(target)[0]))


def make(target: str, found: object) -> object:
    """Return what *found* makes if it is a function, else itself.

    Raises:
        UserError: The function raised.
    """
    if callable(found) and not isinstance(found, type | StateSpec | StateMachine):
        return guard(f"Calling {target!r}", found)
    return found  # pyright: ignore[reportUnknownVariableType] - the same


def guard(what: str, act: Callable[[], object]) -> object:
    """Return what *act*, which is the user's, returns.

    Raises:
        UserError: It raised; the sentence below the traceback begins with *what*.
    """
    try:
        with speaking_aside():
            return act()
    except SystemExit as error:
        raise UserError(f"{what} ended the process.", error) from None
    except _INTERRUPTS:
        raise
    except BaseException as error:  # noqa: BLE001 - user code; whatever it raises is shown
        raise UserError(f"{what} failed.", error) from None


def speaking_aside() -> redirect_stdout[Any]:
    """Return a context in which what user code prints goes to stderr: stdout is for what was asked for, which programs may read."""
    return redirect_stdout(sys.stderr)


def format_user_traceback(error: BaseException) -> str:
    """Return the traceback of *error* as Python prints it, without the frames of Septum, click and the import system."""
    shown = traceback.TracebackException.from_exception(error)
    seen: list[traceback.TracebackException] = []
    waiting: list[traceback.TracebackException | None] = [shown]
    while waiting:
        each = waiting.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        each.stack = traceback.StackSummary.from_list([frame for frame in each.stack if not _is_ours(frame.filename)])
        waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]
    return "".join(shown.format())


_OURS: Final = tuple(f"{Path(str(module.__file__)).parent}{os.sep}" for module in (septum, click, importlib))


def _is_ours(filename: str) -> bool:
    return filename.startswith(("<frozen ", *_OURS))


def _partition(target: str) -> tuple[str, str, str]:
    """Split at the colon before the name; one after a drive's letter belongs to the path."""
    module, colon, name = target.rpartition(":")
    return (module, colon, name) if colon and os.path.splitdrive(target)[0] != f"{module}:" else (target, "", "")


def _split_path(name: str) -> tuple[str, str]:
    """Return the folder to look in and the module's name; *name* may be the path of a Python file or a package's folder."""
    if not (name.endswith(".py") or os.sep in name or "/" in name):
        return str(Path.cwd()), name
    path = Path(name).resolve()
    if not path.exists():
        raise TargetError(
            f"There is no file {name!r}.", near=[f"{path.parent / close}" for close in _closest(path.name, _list_folder(path.parent))]
        )
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return str(folder), ".".join(parts)


def _list_folder(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _closest(name: str, names: Iterable[str]) -> list[str]:
    return get_close_matches(name, list(names), n=3)


def _no_module(name: str, missing: str) -> TargetError:
    """Return the error for module *name*, of which the part *missing* is not there."""
    parent, _, last = missing.rpartition(".")
    package = sys.modules.get(parent)
    if parent and not hasattr(package, "__path__"):
        return TargetError(f"There is no module {missing!r}: {parent!r} is no package.")
    paths = list(package.__path__) if package is not None and parent else [str(Path.cwd())]
    names = [found.name for found in pkgutil.iter_modules(paths)]
    rest = name.removeprefix(missing)
    near = [f"{parent}.{close}{rest}".lstrip(".") for close in _closest(last, names)]
    text = f"There is no module {missing!r}."
    if not parent and not near:
        text = f"There is no module {missing!r} in {Path.cwd()} or where Python looks otherwise."
        if any((Path("src") / missing).glob("*.py")):
            text += f" It is in src: give its path, src/{name.replace('.', '/')}.py, or set PYTHONPATH=src."
    return TargetError(text, near=near)


def _no_name(module: str, path: str, part: str, found: object) -> TargetError:
    """Return the error for *path* in *module*, of which *part* is not there, in *found*."""
    before = path.partition(part)[0]
    near = [f"{module}:{before}{close}" for close in _closest(part, (name for name in dir(found) if not name.startswith("__")))]
    states = [f"{module}:{name}" for name in _list_states(found)][:8]
    return TargetError(f"There is no {part!r} in {f'{module}:{before}'.rstrip('.:')!r}.", near=near, there=states)


def _no_state(target: str, found: object) -> TargetError:
    """Return the error for *target*, which is *found*."""
    module = sys.modules.get(_split_path(_partition(target)[0])[1])
    states = [f"{_partition(target)[0]}:{name}" for name in _list_states(module)][:8]
    if isinstance(found, type) and (near := [f"{target}.{name}" for name in _list_states(found)][:8]):
        states = near
    return TargetError(f"{target!r} is {_describe(found)}, not a state or a machine.", there=states)


def _describe(found: object) -> str:
    kind = "class" if isinstance(found, type) else "module" if type(found).__name__ == "module" else type(found).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def _read_modules(package: str) -> list[str]:
    """Return the modules in *package*, "" for the current directory, without importing one."""
    folder = Path.cwd().joinpath(*package.split("."))
    return [f"{package}.{found.name}".lstrip(".") for found in pkgutil.iter_modules([str(folder)])]


def _read_states(module: str) -> list[str]:
    """Return the names of what is decorated with `state` in *module* of the current directory, without importing it."""
    file = Path(module) if module.endswith(".py") else Path.cwd().joinpath(*module.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_name(f"{file.name.removesuffix('.py')}.py")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return []
    declared = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [
        node.name for node in declared if any("state" in ast.unparse(each).partition("(")[0].split(".") for each in node.decorator_list)
    ]


def _list_states(holder: object) -> Iterator[str]:
    """Yield the names of the states in a module or class."""
    for name, value in vars(holder).items() if hasattr(holder, "__dict__") else ():
        if isinstance(value, StateSpec):
            yield name
