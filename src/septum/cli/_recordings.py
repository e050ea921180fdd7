"""What the commands share that read recordings: loading with errors for people, and words for runs."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import click

from septum._clock import LOOP_CLOCK, read_wall
from septum.replay._load import load
from septum.replay._refusal import BadRecording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from septum.replay._model import Run

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")
_MANY: Final = 2


class UnreadableError(click.ClickException):
    """Something cannot be read, or is not there; it ends the command with 2."""

    exit_code = 2


def read_runs(paths: Sequence[str]) -> list[Run]:
    """Return the runs in *paths*.

    Raises:
        UnreadableError: A file cannot be read, or is no recording.
    """
    try:
        return load(paths)
    except BadRecording as error:
        raise UnreadableError(str(error)) from None
    except OSError as error:
        raise UnreadableError(f"{error.filename}: {error.strerror}") from None


def find_runs(runs: Sequence[Run], wanted: str | None) -> list[Run]:
    """Return the runs whose id begins with *wanted*; all for None.

    Raises:
        UnreadableError: There is none.
    """
    if wanted is None:
        return list(runs)
    found = [run for run in runs if run.run_id.startswith(wanted)]
    if not found:
        known = ", ".join(run.run_id for run in runs[:_SHOWN]) or "none"
        more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
        raise UnreadableError(f"There is no run {wanted!r}. There are: {known}{more}. `septum runs` lists them.")
    return found


_SHOWN: Final = 5


def read_moment(text: str) -> int:
    """Return the Unix nanoseconds that *text* means: ISO 8601, or a time ago such as `90m` or `2d`.

    Raises:
        click.BadParameter: It means none.
    """
    ago = _SPAN.fullmatch(text)
    if ago is not None:
        return LOOP_CLOCK.wall_ns() - round(float(ago[1]) * _UNITS[ago[2]] * 1e9)
    try:
        return read_wall(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no moment. Write 2026-11-24T14:30, or a time ago: 30s, 90m, 2h, 7d.") from None


def show_span(nanoseconds: int) -> str:
    """Return a duration in three digits and a unit: `250 µs`, `12.3 ms`, `4.56 s`, `3 h 25 min`."""
    for most, divisor, unit in ((1e6, 1e3, "µs"), (1e9, 1e6, "ms"), (60e9, 1e9, "s")):
        if nanoseconds < most * 0.9995:
            return f"{nanoseconds / divisor:.3g} {unit}"
    minutes, seconds = divmod(round(nanoseconds / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def plain(text: str) -> str:
    """Return *text* from a file as a terminal may be given it: without control characters."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield *rows* as lines with their cells below each other."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def each(runs: Sequence[Run], act: Callable[[Run], object], doing: str) -> None:
    """Call *act* for each of *runs*, with a progress bar on stderr if that is a terminal and there are several."""
    if len(runs) < _MANY or not sys.stderr.isatty():
        for run in runs:
            act(run)
        return
    from rich.console import Console  # noqa: PLC0415 - for terminals only
    from rich.progress import track  # noqa: PLC0415 - the same

    for run in track(runs, description=doing, console=Console(stderr=True), transient=True):
        act(run)
