"""`septum run`: a machine in a terminal, or in a pipe."""

from __future__ import annotations

import asyncio
import errno
import json
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from septum import StateMachine
from septum._errors import DefinitionError
from septum.cli._live import LiveLog, Watch
from septum.cli._messages import Vocabulary
from septum.cli._piped import feed
from septum.cli._target import TARGET, TargetError, define, load, make

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    Converse: TypeAlias = Callable[[StateMachine[Any], Watch, Vocabulary], Awaitable[None]]

_EXAMPLES = """\b
With a prompt, at which you type messages:
  septum run app.states:Idle
With an error state, data, and every step of the machine told:
  septum run app.states:Idle --error-state Lost --common '{"limit": 3}' -v
A machine that a function of yours makes:
  septum run app.main:make_machine
From a pipe, a message a line:
  printf 'START\\n{"id": 7}\\n' | septum run app.states:Idle
"""


@click.command(epilog=_EXAMPLES)
@click.argument("target", metavar="MODULE:NAME", type=TARGET)
@click.option("--error-state", metavar="STATE", help="The machine's error state: MODULE:STATE, or STATE of the same module.")
@click.option("--common", metavar="JSON", help="What handlers find in ctx.common; an empty dict without it.")
@click.option("-v", "--verbose", is_flag=True, help="Tell every visit, handler and message, not only what is taken of the edges.")
def run(*, target: str, error_state: str | None, common: str | None, verbose: bool) -> None:
    """Run a machine: a state's, or one that a function makes.

    In a terminal there is a prompt, and below it state, time in it, stack and mailbox. Elsewhere each line of stdin is a message, and the
    machine runs until it completes, or rests after the last line.

    A line is a member of an Enum (GO, Order.PAID), an object of a class (Order {"id": 7}), JSON, or else a text.

    Ends with 0, or with 1 if an exception came out of the machine.
    """
    fsm = _make_machine(target, error_state, common)
    modules = dict.fromkeys(
        sys.modules[name] for name in (target.rpartition(":")[0], *(node.spec.module for node in fsm.graph.nodes)) if name in sys.modules
    )
    converse = _find_prompt() if sys.stdin.isatty() and sys.stdout.isatty() else None
    log = LiveLog()
    log.install(verbose=verbose)
    try:
        end = asyncio.run(_run(fsm, Vocabulary(modules), converse, log))
    except asyncio.CancelledError:
        if log.is_cut_off:
            raise BrokenPipeError(errno.EPIPE, "stdout") from None  # click ends without a word then
        raise
    except Exception as error:  # noqa: BLE001 - what comes out of user code; the log has its traceback
        state = fsm.current_state
        raise click.ClickException(f"{type(error).__name__} came out of the machine in {state and state.name}: {error}") from None
    finally:
        log.remove()
    click.echo(end)


async def _run(fsm: StateMachine[Any], vocabulary: Vocabulary, converse: Converse | None, log: LiveLog) -> str:
    """Run *fsm* and return the line that says where it is then."""
    running = asyncio.current_task()
    if running is not None:
        log.when_cut_off = running.cancel
    watch = Watch(asyncio.get_running_loop())
    fsm.attach(watch)
    async with fsm:
        if converse is None:
            await feed(fsm, vocabulary, sys.stdin.fileno())
        else:
            await converse(fsm, watch, vocabulary)
        return watch.describe(fsm)


def _find_prompt() -> Converse:
    """Return what talks with the user; only a terminal needs prompt_toolkit.

    Raises:
        click.ClickException: It is not installed.
    """
    try:
        converse: Converse = import_module("septum.cli._terminal").converse
    except ModuleNotFoundError as error:
        raise click.ClickException(f'septum run needs {error.name} in a terminal; install it with: pip install "septum[cli]"') from None
    return converse


def _make_machine(target: str, error_state: str | None, common: str | None) -> StateMachine[Any]:
    """Return the machine that *target* is or makes, or one that begins in it.

    Raises:
        click.ClickException: There is none, or an option does not go with it.
    """
    found = make(target, load(target))
    if isinstance(found, StateMachine):
        if error_state or common:
            raise TargetError(f"{target!r} is a machine already: --error-state and --common are for states.")
        machine: StateMachine[Any] = found  # pyright: ignore[reportUnknownVariableType] - of what data does not matter
        return machine
    try:
        data = None if common is None else json.loads(common)
    except ValueError as error:
        raise click.BadParameter(f"is no JSON: {error}", param_hint="--common") from None
    definition = define(target, found, error_state=error_state)
    try:
        return StateMachine(definition.initial, error_state=definition.error, common_data=data)
    except DefinitionError as error:
        raise TargetError(str(error)) from None
