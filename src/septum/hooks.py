"""Hooks for the whole process: `install` tells a hook of every machine made later, `uninstall` takes that back."""

from __future__ import annotations

from septum._hooks import Hooks, errors, install, uninstall
from septum._log import LogSink, Place
from septum._tally import Tally

__all__ = ["Hooks", "LogSink", "Place", "Tally", "errors", "install", "uninstall"]
