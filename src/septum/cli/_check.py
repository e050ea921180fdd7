"""`septum check`: what is wrong with definitions, before a machine runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from septum._report import check as examine
from septum.cli._definitions import find_definitions, list_modules
from septum.cli._findings import Checked, Findings, as_github, as_json, as_text
from septum.cli._sarif import as_sarif
from septum.cli._target import TARGET, TargetError, find_definition, is_named, speaking_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from septum.cli._target import Definition

_EXAMPLES = """\b
Everything that is declared in a module:
  septum check app.states
In a package and all that is below it:
  septum check app --all
A machine with an error state:
  septum check app.states:Idle --error-state Lost
On GitHub, as annotations of the pull request:
  septum check app --all --format github
For a code scanner:
  septum check app --all --format sarif > septum.sarif
"""

_FORMATS: Final[Mapping[str, Callable[[Findings], str]]] = {"text": as_text, "json": as_json, "sarif": as_sarif, "github": as_github}


@click.command(epilog=_EXAMPLES)
@click.argument("targets", metavar="MODULE[:STATE]...", nargs=-1, required=True, type=TARGET)
@click.option("--all", "recurse", is_flag=True, help="Look at everything below the packages, too.")
@click.option("--error-state", metavar="STATE", help="The error state of the machines that MODULE:STATE begins: MODULE:STATE or STATE.")
@click.option("--format", "kind", type=click.Choice(list(_FORMATS)), default="text", show_default=True, help="How to say it.")
@click.option("--strict", is_flag=True, help="End with 1 for a warning, too.")
def check(*, targets: Sequence[str], recurse: bool, error_state: str | None, kind: str, strict: bool) -> None:
    """Find what is wrong with definitions; nothing of them is run.

    A module, a package with --all, or a file is imported and looked through for definitions: those that it makes machines of,
    StateMachine(Idle, error_state=Lost), and for states that none of these reaches, those that no other state leads to.

    Ends with 0 if there are no errors, with 1 if there are, and with 2 if something could not be looked at.
    """
    definitions: dict[Definition, None] = {}
    for target in targets:
        found = [find_definition(target, error_state=error_state)] if is_named(target) else _look_through(target, recurse=recurse)
        definitions |= dict.fromkeys(found)
    with speaking_aside():
        checked = [Checked(definition, examine(definition.initial, definition.error)) for definition in definitions]
    findings = Findings(checked)
    click.echo(_FORMATS[kind](findings))
    if findings.count("error") or (strict and findings.count("warning")):
        raise SystemExit(1)


def _look_through(target: str, *, recurse: bool) -> Sequence[Definition]:
    """Return the definitions in module *target*, with *recurse* in all below it.

    Raises:
        TargetError: There is no such module, or no definition in it.
        UserError: Importing it raised.
    """
    modules = list_modules(target, recurse=recurse)
    with speaking_aside():
        found = find_definitions(modules)
    if not found:
        hint = " States that a function makes are found through it: MODULE:FUNCTION."
        if hasattr(modules[0], "__path__") and not recurse:
            hint = " To look below a package, say --all."
        raise TargetError(f"{target!r} declares no state.{hint}")
    return found
