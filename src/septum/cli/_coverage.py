"""`septum coverage`: what production does that no test does, and the reverse."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from septum.cli._deeds import END, Deed, list_deeds
from septum.testing._coverage import Counts
from septum.testing._errors import CoverageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXAMPLES = """\b
Let the tests write down what they do, then compare:
  pytest --septum-cov=shop.states:Idle --septum-cov-data=tests.json
  septum coverage --production spans.jsonl --tests tests.json
Fail in CI if production does something that no test does:
  septum coverage --production spans.jsonl --tests tests.json --strict
"""

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_FILES: Final = click.Path(exists=True, path_type=Path)


class Unreadable(click.ClickException):
    """A file is not what it should be."""

    exit_code = 2


@dataclass(slots=True)
class Practice:
    """What was done, and how often.

    Attributes:
        deeds: How often each was done.
        runs: Runs that were read; 0 for tests, of which that is not known.
        torn: Runs of which something is missing.
    """

    deeds: Counter[Deed] = field(default_factory=Counter[Deed])
    runs: int = 0
    torn: int = 0


@click.command(epilog=_EXAMPLES)
@click.option("--production", required=True, multiple=True, type=_FILES, metavar="FILE|DIR", help="Recordings, spans or transition events.")
@click.option("--tests", required=True, multiple=True, type=_FILE, metavar="FILE", help="What pytest --septum-cov-data wrote.")
@click.option("--machine", metavar="NAME", help="Look only at production's machines of this name.")
@click.option("--format", "kind", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it.")
@click.option("--strict", is_flag=True, help="End with 1 if production does something that no test does.")
def coverage(*, production: tuple[Path, ...], tests: tuple[Path, ...], machine: str | None, kind: str, strict: bool) -> None:
    """List what production does that no test does, and what only tests do.

    Transitions, retries, error routes and timeouts are compared by the names of states, labels and kinds. `Again` is left out: telemetry
    does not tell of it. Files may be given several times.

    Ends with 0, with 1 if --strict finds something, and with 2 if a file cannot be read.
    """
    practice = read_production(production, machine)
    tested = read_tests(tests)
    untested = _only(practice, tested)
    unused = _only(tested, practice)
    if kind == "json":
        click.echo(json.dumps(_as_data(practice, untested, unused), indent=2))
    else:
        click.echo("\n".join(_as_lines(practice, untested, unused)))
    if strict and untested:
        raise SystemExit(1)


def read_production(paths: Iterable[Path], machine: str | None = None) -> Practice:
    """Return what the machines did whose telemetry is in the files and folders *paths*; of those called *machine*, if given.

    Raises:
        Unreadable: A file cannot be read, or `septum.replay` is not there.
    """
    try:
        load: Any = import_module("septum.replay").load
    except (ImportError, AttributeError) as error:
        raise Unreadable(f"--production needs septum.replay, which reads recordings and spans: {error}") from None
    practice = Practice()
    for path in paths:
        try:
            runs: Iterable[Any] = load(path)
            for run in runs:
                if machine is None or run.machine_name == machine:
                    _count_run(practice, run)
        except (OSError, ValueError) as error:
            raise Unreadable(f"{path} cannot be read: {error}") from None
    return practice


def read_tests(paths: Iterable[Path]) -> Practice:
    """Return what the tests did that wrote the files *paths*.

    Raises:
        Unreadable: A file is not what `--septum-cov-data` writes.
    """
    counts = Counts()
    for path in paths:
        try:
            counts.add(Counts.read(path))
        except CoverageError as error:
            raise Unreadable(str(error)) from None
    names = counts.names
    practice = Practice()
    for (source, target, label, kind), count in counts.transitions.items():
        if kind != "again":
            to = END if target is None else names.get(target, target)
            practice.deeds[Deed(names.get(source, source), label or kind, to)] += count
    for state, count in counts.timeouts.items():
        practice.deeds[Deed(names.get(state, state), "timeout", "")] += count
    return practice


def _count_run(practice: Practice, run: Any) -> None:
    """Count what one `septum.replay.Run` tells."""
    practice.runs += 1
    practice.torn += bool(run.gaps or run.truncated)
    practice.deeds.update(list_deeds(run))


def _only(here: Practice, there: Practice) -> list[tuple[Deed, int]]:
    """Return what is done *here* and not *there*, the most frequent first."""
    found = [(deed, count) for deed, count in here.deeds.items() if deed not in there.deeds]
    return sorted(found, key=lambda item: (-item[1], item[0]))


def _as_lines(practice: Practice, untested: list[tuple[Deed, int]], unused: list[tuple[Deed, int]]) -> list[str]:
    shared = len(practice.deeds) - len(untested)
    torn = f"; of {practice.torn} something is missing" if practice.torn else ""
    runs = "1 run" if practice.runs == 1 else f"{practice.runs} runs"
    lines = [f"production: {runs}{torn}; tests do {shared} of the {len(practice.deeds)} things that it does"]
    for title, found in (("production does, no test does:", untested), ("tests do, production does not:", unused)):
        lines += ["", title]
        width = max((len(str(deed)) for deed, _ in found), default=0)
        lines += [f"  {str(deed).ljust(width)}  {count}x" for deed, count in found] or ["  nothing"]
    return lines


def _as_data(practice: Practice, untested: list[tuple[Deed, int]], unused: list[tuple[Deed, int]]) -> dict[str, Any]:
    return {
        "production": {"runs": practice.runs, "incomplete": practice.torn, "does": len(practice.deeds)},
        "untested": [deed._asdict() | {"count": count} for deed, count in untested],
        "unused": [deed._asdict() | {"count": count} for deed, count in unused],
    }
