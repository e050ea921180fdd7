"""The levels execute and what-if of `septum replay`: the handlers run again, and what came of it is said."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from septum._errors import SeptumError
from septum.cli._recordings import UnreadableError, each
from septum.cli._target import find_state, load
from septum.replay._junit import as_junit
from septum.replay._report import Case, Problem
from septum.replay._sarif import as_sarif

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum.cli._replay import Wish
    from septum.cli._target import Definition
    from septum.replay._model import Run

_RULES: Final = {
    "diverged": "The handlers do not do what was recorded.",
    "refused": "The recording lacks a value that is needed to run it again.",
    "incomplete": "Records are missing.",
}


def execute_all(runs: Sequence[Run], wish: Wish, definition: Definition) -> int:
    """Replay *runs* as is wished, say how it went, and return how the process is to end."""
    target = load(wish.target)
    # A machine, or a function that makes one, brings its own error state.
    named = find_state(wish.error_state, beside=wish.target.rpartition(":")[0]) if wish.error_state else None
    options: dict[str, Any] = {"error_state": named}
    if wish.emit_test is not None:
        return _emit_test(runs, wish, options)
    if wish.level == "what-if":
        return _what_if(runs, wish, target, options)
    executions: list[Any] = []
    execute = _entry("execute")

    def act(run: Run) -> None:
        executions.append(_guard(execute, run, target, pdb=wish.pdb, **options))

    each(runs, act, "Replaying")
    if wish.kind == "json":
        click.echo(json.dumps([execution.to_dict() for execution in executions], indent=2))
    elif wish.kind == "junit":
        click.echo(as_junit(definition.name, list(map(_case, executions))), nl=False)
    elif wish.kind == "sarif":
        click.echo(as_sarif(_RULES, list(map(_case, executions))), nl=False)
    else:
        click.echo("\n\n".join(map(str, executions)))
    return 0 if all(execution.ok for execution in executions) else 1


def _case(execution: Any) -> Case:
    if execution.ok:
        return Case(execution.run_id, execution.machine_name, ())
    divergence = execution.divergence
    where, state = (divergence.where or "", divergence.state or "") if divergence is not None else ("", "")
    details = {"run": execution.run_id, "visit": divergence.visit, "seq": divergence.seq} if divergence is not None else {}
    key = divergence.kind if divergence is not None else ""
    # A place in the source may be followed by its line of text.
    problem = Problem(execution.verdict, str(execution), state, where.split()[0].rstrip(":") if where else "", key, details)
    return Case(execution.run_id, execution.machine_name, (problem,))


def _what_if(runs: Sequence[Run], wish: Wish, target: object, options: dict[str, Any]) -> int:
    what_if = _entry("what_if")
    answers: list[Any] = []

    def act(run: Run) -> None:
        answers.append(_guard(what_if, run, target, list(wish.edits), **options))

    each(runs, act, "Replaying")
    if wish.kind == "json":
        click.echo(json.dumps([answer.to_dict() for answer in answers], indent=2))
    else:
        click.echo("\n\n".join(map(str, answers)))
    return 0


def _emit_test(runs: Sequence[Run], wish: Wish, options: dict[str, Any]) -> int:
    if len(runs) != 1:
        raise click.UsageError(f"--emit-test needs one run, and there are {len(runs)}: choose one with --run. `septum runs` lists them.")
    _guard(_entry("emit_test"), runs[0], wish.target, wish.emit_test, edits=wish.edits, **options)
    click.echo(f"Wrote {wish.emit_test}. Run it with: pytest {wish.emit_test}")
    return 0


def _entry(name: str) -> Any:
    return getattr(import_module("septum.replay"), name)


def _guard(act: Any, *arguments: Any, **options: Any) -> Any:
    """Return what *act* returns; what is wrong with its arguments is said without a traceback."""
    try:
        return act(*arguments, **{name: value for name, value in options.items() if value is not None and value is not False})
    except (SeptumError, OSError) as error:
        raise UnreadableError(str(error)) from None
