"""`septum replay`: what runs did, whether today's definition admits it, and, with a recording, the same again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click

from septum.cli._path import describe_moment, describe_steps, draw_moment, draw_run
from septum.cli._recordings import each, find_runs, read_runs
from septum.cli._runs import describe
from septum.cli._target import TARGET, find_definition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum.replay._model import Run

T = TypeVar("T")

_EXAMPLES = """\b
What did order 4711 do?
  septum replay spans.jsonl --run 01a20df6
Where was it at a span's septum.seq?
  septum replay spans.jsonl --run 01a20df6 --at 217
Would today's code let last week's runs through? (in CI: --format junit or sarif)
  septum replay recordings/ --level check --machine app.orders:Open
Does it go wrong again?
  septum replay crash.jsonl --level execute --machine app.orders:Open --pdb
What if the message had come first?
  septum replay crash.jsonl --machine app.orders:Open --edit "move message 5 before message 3"
Never again:
  septum replay crash.jsonl --machine app.orders:Open --emit-test tests/test_order_4711.py
"""

LEVELS: Final = ("path", "check", "execute", "what-if")


class Wish(NamedTuple):
    """What is asked for.

    Attributes:
        level: One of `LEVELS`.
        target: "module:State", "" if none was given.
        error_state: The error state as it was given.
        name: The name of the machines that are meant; None for those that may be.
        at: A moment.
        edits: Edits for what-if.
        emit_test: Where to write a test.
        pdb: Stop in a debugger.
        kind: The format.
    """

    level: str
    target: str
    error_state: str | None
    name: str | None
    at: int | None
    edits: tuple[str, ...]
    emit_test: str | None
    pdb: bool
    kind: str


@click.command(epilog=_EXAMPLES)
@click.argument("path", metavar="FILE|DIR|-")
@click.option("--run", "run_id", metavar="ID", help="Only this run; the beginning of its id will do.")
@click.option("--level", type=click.Choice(LEVELS), help="path: show what it did (the default). check: hold it against a definition. "
              "execute: run the handlers again. what-if: run them with --edit.")  # fmt: skip
@click.option("--machine", "target", metavar="MODULE:STATE", type=TARGET, help="The definition, as it is in the program today.")
@click.option("--error-state", metavar="STATE", help="The machine's error state: MODULE:STATE, or STATE of the same module.")
@click.option("--name", metavar="NAME", help="Only runs of machines of this name; by default those that may be of the definition.")
@click.option("--at", type=int, metavar="SEQ", help="Show one moment: the septum.seq of a span or record.")
@click.option(
    "--edit",
    "edits",
    multiple=True,
    metavar="EDIT",
    help="Change something, for what-if: 'drop message 3', 'timeout Open=10' and others; may be given several times.",
)
@click.option("--emit-test", metavar="FILE", help="Write a pytest that replays the run and asserts its path.")
@click.option("--pdb", is_flag=True, help="Stop in the handler where the replay and the recording part.")
@click.option(
    "--format", "kind", type=click.Choice(["text", "json", "junit", "sarif"]), default="text", show_default=True, help="How to say it."
)
def replay(*, path: str, run_id: str | None, level: str | None, target: str | None, **options: Any) -> None:
    """Read recorded runs back: step through them, check them, run them again.

    FILE is a recording, or spans or events in any format that OTLP is stored in, or what Jaeger or Tempo answer for a trace; for a folder
    every file in it is read, for - standard input. Spans and events are enough for path and check; execute and what-if need a recording.

    Ends with 0 if all is as it was, with 1 if a run is not admitted or goes another way, and with 2 if something could not be read.
    """
    edits, emit_test, pdb = tuple(options.pop("edits")), options.pop("emit_test"), options.pop("pdb")
    level = level or ("what-if" if edits else "execute" if pdb or emit_test else "path")
    wish = Wish(level=level, target=target or "", edits=edits, emit_test=emit_test, pdb=pdb, **options)
    _refuse(wish)
    runs = find_runs(read_runs([path]), run_id)
    if wish.name is not None:
        runs = [run for run in runs if run.machine_name == wish.name]
    act = {"path": _show_paths, "check": _check, "execute": _execute, "what-if": _execute}[level]
    raise SystemExit(act(runs, wish))


def _refuse(wish: Wish) -> None:
    """Refuse options that cannot be meant together."""
    if wish.level != "path" and not wish.target:
        raise click.UsageError(f"--level {wish.level} needs --machine MODULE:STATE: the definition, as it is in the program today.")
    if wish.at is not None and wish.level != "path":
        raise click.UsageError("--at shows a moment of what was recorded; it goes with --level path only.")
    if wish.edits and wish.level != "what-if":
        raise click.UsageError("--edit goes with --level what-if only.")
    if wish.level == "what-if" and not wish.edits:
        raise click.UsageError('--level what-if needs --edit, such as --edit "drop message 3".')
    if wish.pdb and wish.level != "execute":
        raise click.UsageError("--pdb goes with --level execute only.")
    if wish.emit_test and wish.level not in {"execute", "what-if"}:
        raise click.UsageError("--emit-test goes with --level execute and what-if only.")
    if wish.kind in {"junit", "sarif"} and wish.level not in {"check", "execute"}:
        raise click.UsageError(f"--format {wish.kind} goes with --level check and execute only.")


# ---- path


def _show_paths(runs: list[Run], wish: Wish) -> int:
    if wish.at is not None:
        return _show_moment(runs, wish)
    if wish.kind == "json":
        click.echo(json.dumps([{**describe(run), "steps": describe_steps(run)} for run in runs], indent=2))
        return 0
    for place, run in enumerate(runs):
        if place:
            click.echo("")
        for line in draw_run(run):
            click.echo(line)
    if not runs:
        click.echo("No runs.")
    if wish.target and runs:
        _draw_definition(runs, wish)
    return 0


def _draw_definition(runs: list[Run], wish: Wish) -> None:
    """Draw the definition with what the runs did in it."""
    from septum.cli._heat import count_heat  # noqa: PLC0415 - for this alone

    graph = find_definition(wish.target, error_state=wish.error_state).graph()
    last = next((node for node in graph.nodes if runs[-1].last_state in {node.name, node.qualname}), None)
    click.echo("")
    click.echo(graph.to_text(current=last and last.name, heat=count_heat(graph, runs, "count").as_mapping()))


def _show_moment(runs: list[Run], wish: Wish) -> int:
    if len(runs) != 1:
        raise click.UsageError(f"--at needs one run, and there are {len(runs)}: choose one with --run. `septum runs` lists them.")
    try:
        at = runs[0].at(wish.at)
    except LookupError as error:
        raise click.ClickException(str(error)) from None
    if wish.kind == "json":
        click.echo(json.dumps(describe_moment(at), indent=2))
    else:
        for line in draw_moment(at):
            click.echo(line)
    return 0


# ---- check


def _check(runs: list[Run], wish: Wish) -> int:
    from septum.replay._check import check  # noqa: PLC0415 - for this level alone

    definition = find_definition(wish.target, error_state=wish.error_state)
    graph = definition.graph()
    runs, others = choose_runs(runs, graph, wish)
    violations: list[Any] = []
    names: list[str] = []
    incomplete = 0

    def act(run: Run) -> None:
        nonlocal incomplete
        report = check([run], definition.initial, definition.error)
        names.extend(report.runs)
        violations.extend(report.violations)
        incomplete += report.incomplete

    each(runs, act, "Checking")
    from septum.replay._report import CheckReport  # noqa: PLC0415 - the same

    report = CheckReport(graph.initial.name, graph.hash, tuple(names), tuple(violations), incomplete)
    if wish.kind == "json":
        click.echo(json.dumps(report.to_dict(), indent=2))
    elif wish.kind == "junit":
        click.echo(report.to_junit(), nl=False)
    elif wish.kind == "sarif":
        click.echo(report.to_sarif(), nl=False)
    else:
        click.echo(str(report))
    _tell_others(others)
    return report.exit_code


def choose_runs(runs: list[Run], graph: Any, wish: Wish) -> tuple[list[Run], int]:
    """Return the runs that may be of the definition, and how many are not; with --name all are.

    Of it is a run of a machine that is called as its initial state is, the default, or in which any of its states was visited.
    """
    if wish.name is not None:
        return runs, 0
    names = {name for node in graph.nodes for name in (node.name, node.qualname)}
    found = [
        run
        for run in runs
        if run.machine_name == graph.initial.qualname or run.definition_hash == graph.hash or any(step.state in names for step in run.steps)
    ]
    return found, len(runs) - len(found)


def _tell_others(others: int) -> None:
    if others:
        what = "1 run is" if others == 1 else f"{others} runs are"
        click.echo(f"{what} of other machines and not looked at: none of the definition's states was visited.", err=True)


# ---- execute and what-if


def _execute(runs: list[Run], wish: Wish) -> int:
    from septum.cli._execution import execute_all  # noqa: PLC0415 - it brings in the engine

    definition = find_definition(wish.target, error_state=wish.error_state)
    runs, others = choose_runs(runs, definition.graph(), wish)
    recorded: Sequence[Run] = [run for run in runs if run.source == "recording"]
    if not recorded:
        raise click.ClickException(
            f"--level {wish.level} needs a recording, and there is none among these {len(runs)} runs. "
            "Record with septum.replay.Recorder; path and check work with spans and events, too."
        )
    if len(recorded) < len(runs):
        click.echo(f"{len(runs) - len(recorded)} of {len(runs)} runs have no recording and are not run again.", err=True)
    _tell_others(others)
    return execute_all(recorded, wish, definition)
