"""What the testing kit raises, but for failed assertions, which are plain `AssertionError`s."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from septum import SeptumError

if TYPE_CHECKING:
    from collections.abc import Iterable


class PathError(SeptumError, ValueError):
    """A path cannot be read, or what was given in its place has no walk to compare it with; nothing was compared or driven."""


class CoverageError(SeptumError, ValueError):
    """What was to be measured, or a file of what was measured, cannot be found or read; nothing was changed."""


def unreadable(path: str, column: int, expected: str) -> PathError:
    """Build the error for a text that is no path from *column* (counted from 0) on."""
    return PathError(f"cannot read the path at column {column + 1}: expected {expected}.\n  {path}\n  {' ' * column}^")


def unknown_name(path: str, column: int, name: str, known: Iterable[str]) -> PathError:
    """Build the error for a state of a path that the definition does not have."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return PathError(f"no state {name!r} in the definition.{hint} Its states: {', '.join(names)}.\n  {path}\n  {' ' * column}^")


def ambiguous_name(path: str, column: int, name: str, found: Iterable[str]) -> PathError:
    """Build the error for a name that several states have."""
    return PathError(f"{name!r} means several states: {', '.join(found)}. Write more of the name.\n  {path}\n  {' ' * column}^")


def not_recorded(machine: str) -> PathError:
    """Build the error for a machine that nobody recorded."""
    return PathError(
        f"machine {machine!r} has no RecorderHooks among its hooks, so nobody knows where it went. "
        "Make it with the fixture machine_factory, or with StateMachine(..., hooks=[RecorderHooks()])."
    )


def no_facts(given: object) -> PathError:
    """Build the error for something that has no walk in it."""
    return PathError(
        f"{given!r} tells of no visit and no transition. Give a machine that has a RecorderHooks, the RecorderHooks itself, or its facts, "
        "after the machine has started."
    )


def several_machines(names: Iterable[str]) -> PathError:
    """Build the error for facts of more than one machine."""
    return PathError(f"these facts are of several machines: {', '.join(names)}. Give the machine itself, or the facts of one machine_id.")
