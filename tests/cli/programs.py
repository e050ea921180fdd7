"""User programs for the tests of the command, and ways to run it: in this process, in one of its own, in a terminal."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from septum.cli._commands import septum

if TYPE_CHECKING:
    from click.testing import Result

_numbers = itertools.count(1)

DOOR = '''
"""A door that a porter looks after."""
from enum import Enum, auto
from septum import Again, LabeledTransition, Pop, Push, Retry, StateConfiguration, StateMachine, septum


class Order(Enum):
    OPEN = auto()
    CLOSE = auto()
    ASK = auto()
    WALL = auto()
    BREAK = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
class Closed:
    class Events(Enum):
        OPENED = auto()
        ASKED = auto()
        WALLED = auto()

    @septum.on_state
    async def on_state(ctx):
        match ctx.msg:
            case Order.OPEN:
                return Events.OPENED
            case Order.ASK:
                return Events.ASKED
            case Order.WALL:
                return Events.WALLED
            case Order.BREAK:
                raise ValueError("broken")
        if ctx.msg is not None:
            ctx.log("what is that?", msg=ctx.msg)

    @septum.transitions
    def transitions():
        return [
            LabeledTransition(Events.OPENED, Open),
            LabeledTransition(Events.ASKED, Push(Porter, Closed)),
            LabeledTransition(Events.WALLED, Walled),
        ]


@septum.state(config=StateConfiguration(timeout=30))
class Open:
    class Events(Enum):
        CLOSED = auto()

    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is Order.CLOSE:
            return Events.CLOSED

    @septum.on_timeout
    async def on_timeout(ctx):
        return Events.CLOSED

    @septum.transitions
    def transitions():
        return LabeledTransition(Events.CLOSED, Closed)


@septum.state
class Porter:
    class Events(Enum):
        DONE = auto()
        AGAIN = auto()

    @septum.on_state
    async def on_state(ctx):
        return Events.DONE

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.DONE, Pop), LabeledTransition(Events.AGAIN, Again)]


@septum.state(config=StateConfiguration(terminal=True))
class Walled:
    @septum.on_state
    async def on_state(ctx):
        pass


@septum.state
class Lost:
    class Events(Enum):
        WALLED = auto()

    @septum.on_state
    async def on_state(ctx):
        return Events.WALLED

    @septum.transitions
    def transitions():
        return LabeledTransition(Events.WALLED, Walled)


def make_machine():
    return StateMachine(Closed, error_state=Lost, name="door")
'''


class Program:
    """A package of a user, in a folder of its own; its name is new in this process.

    Attributes:
        folder: Where the package is; the command is run there.
        name: The package's name.
    """

    def __init__(self, folder: Path, **modules: str) -> None:
        self.folder = folder
        self.name = f"program{next(_numbers)}"
        (folder / self.name).mkdir()
        self.write("__init__", "")
        for name, text in modules.items():
            self.write(name, text)

    def write(self, module: str, text: str) -> Path:
        """Write *module* of the package, "sub.module" of a package in it; `PACKAGE` in *text* is the package's name."""
        *packages, last = module.split(".")
        folder = self.folder / self.name
        for package in packages:
            folder /= package
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
        file = folder / f"{last}.py"
        file.write_text(dedent(text).replace("PACKAGE", self.name).lstrip(), encoding="utf-8")
        return file

    def run(self, *arguments: str, **environ: str | None) -> Result:
        """Run the command in this process; `PACKAGE` in *arguments* is the package's name."""
        before, path = Path.cwd(), list(sys.path)
        os.chdir(self.folder)
        try:
            unset = {"NO_COLOR": None, "FORCE_COLOR": None}
            return CliRunner().invoke(septum, self._replace(arguments), env={**unset, **environ}, catch_exceptions=False)
        finally:
            os.chdir(before)
            sys.path[:] = path

    def process(self, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "septum.cli", *self._replace(arguments)],
            cwd=self.folder,
            env=self.environ(**environ),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def environ(self, **changed: str) -> dict[str, str]:
        """Return the variables of a process that runs the command."""
        kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "PYTHONPATH"}}
        return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **changed}

    def text(self, found: Any) -> str:
        """Return *found* with `PACKAGE` and `FOLDER` for what they are, so that it can be compared."""
        return str(found).replace(str(self.folder), "FOLDER").replace(self.name, "PACKAGE")

    def _replace(self, arguments: tuple[str, ...]) -> list[str]:
        return [argument.replace("PACKAGE", self.name) for argument in arguments]
