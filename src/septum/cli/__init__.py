"""The command `septum`; it needs the extra `cli`."""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["main"]

_NEEDED = ("click", "packaging")


def main() -> None:
    """Run the command `septum` with the process's arguments, and end the process.

    Raises:
        SystemExit: Always; with 0 for success, with 1 where a command found something wrong, and with 2 for a mistake in the arguments or
            if the extra `cli` is not installed, which is said on stderr.
    """
    try:
        commands = import_module("septum.cli._commands")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write(f'The command septum needs {error.name}; install it with: pip install "septum[cli]"\n')
        raise SystemExit(2) from None
    commands.septum(prog_name="septum")
