"""`septum runs`: what a file has of runs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from septum._clock import show_wall
from septum.cli._recordings import columns, read_moment, read_runs, show_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum.replay._model import Run

_EXAMPLES = """\b
What went wrong last night?
  septum runs spans.jsonl --outcome failed --since 12h
Which orders wait for their payment?
  septum runs /var/log/septum --machine Order --state AwaitingPayment --outcome open
All there is to know, for a program:
  septum runs recording.jsonl --format json
From a back end:
  curl -s http://tempo:3200/api/v2/traces/$TRACE | septum runs -
"""

_OPEN = "open"


@click.command(epilog=_EXAMPLES)
@click.argument("paths", metavar="FILE|DIR|-...", nargs=-1, required=True)
@click.option("--machine", metavar="NAME", help="Only runs of machines of this name.")
@click.option("--id", "machine_id", metavar="ID", help="Only runs of the machine with this id.")
@click.option("--outcome", metavar="OUTCOME", help="Only runs that ended so: completed, failed, cancelled, stopped, reset; or open.")
@click.option("--state", metavar="STATE", help="Only runs whose last state is this.")
@click.option("--visited", metavar="STATE", help="Only runs that were in this state at some time.")
@click.option("--error", metavar="TYPE", help="Only runs in which an exception of this type came out of a state; `any` for any.")
@click.option("--since", metavar="WHEN", help="Only runs that began then or later: 2026-11-24T14:30, or a time ago: 90m, 2h, 7d.")
@click.option("--until", metavar="WHEN", help="Only runs that began before.")
@click.option("--format", "kind", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to say it.")
def runs(*, paths: Sequence[str], since: str | None, until: str | None, kind: str, **wanted: str | None) -> None:
    """List the runs that recordings, spans or events tell of, the oldest first.

    Reads every format that OTLP is stored in, compressed or not, and what Jaeger and Tempo answer; for a folder every file in it.

    Ends with 0, or with 2 if something could not be read.
    """
    first, last = (None if moment is None else read_moment(moment) for moment in (since, until))
    found = [
        run
        for run in read_runs(paths)
        if (first is None or run.started >= first) and (last is None or run.started < last) and _is_wanted(run, **wanted)
    ]
    if kind == "json":
        click.echo(json.dumps([describe(run) for run in found], indent=2))
        return
    if not found:
        click.echo("No runs.")
        return
    head = ("RUN", "MACHINE", "BEGAN", "OUTCOME", "DURATION", "VISITS", "LAST STATE", "ERRORS")
    for line in columns([head, *map(_row, found)]):
        click.echo(line)


def _is_wanted(
    run: Run,
    *,
    machine: str | None,
    machine_id: str | None,
    outcome: str | None,
    state: str | None,
    visited: str | None,
    error: str | None,
) -> bool:
    return (
        machine in {None, run.machine_name}
        and machine_id in {None, run.machine_id}
        and outcome in {None, run.outcome or _OPEN}
        and state in {None, run.last_state}
        and (visited is None or any(step.state == visited for step in run.steps))
        and (error is None or any(error in {"any", each.type} for each in run.errors))
    )


def _row(run: Run) -> tuple[str, ...]:
    kinds = Counter(error.type for error in run.errors)
    errors = ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in kinds.items())
    return (
        run.run_id,
        run.machine_name,
        show_wall(run.started),
        run.outcome or _OPEN,
        show_span(run.duration),
        f"{len(run.steps)}{'' if not run.gaps else '+'}{' (cut off)' if run.truncated else ''}",
        run.last_state or "?",
        errors,
    )


def describe(run: Run) -> dict[str, Any]:
    """Return what is known of a run as a whole, as JSON can hold it."""
    return {
        "run_id": run.run_id,
        "machine_name": run.machine_name,
        "machine_id": run.machine_id,
        "definition_hash": run.definition_hash,
        "source": run.source,
        "outcome": run.outcome,
        "started_ns": run.started,
        "duration_ns": run.duration,
        "visits": len(run.steps),
        "last_state": run.last_state,
        "errors": [error._asdict() for error in run.errors],
        "gaps": [str(gap) for gap in run.gaps],
        "duplicates": run.duplicates,
        "truncated": run.truncated,
        "segments": run.segments,
        "files": list(run.files),
    }
