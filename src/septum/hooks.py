"""Hooks for the whole process: `install` tells a hook of every machine made later, `uninstall` takes that back."""

from __future__ import annotations

from septum._hooks import Hooks, install, uninstall

__all__ = ["Hooks", "install", "uninstall"]
