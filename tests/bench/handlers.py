"""The handlers that every async subject runs: the floor, Septum and mycorrhizal await these very functions.

Labels are stock Enum members found through a module global, and whatever counts, counts in `ctx.common`: what a program does.
Each kind has two functions, because a benchmark alternates between two states and two states have two handlers.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any


class Events(Enum):
    """The one label of every benchmarked state."""

    GO = auto()


async def ping(ctx: Any) -> Events:
    """Answer at once."""
    return Events.GO


async def pong(ctx: Any) -> Events:
    """Answer at once, from the other state."""
    return Events.GO


async def count_ping(ctx: Any) -> Events:
    """Count in the machine's common data and go on."""
    ctx.common["count"] += 1
    return Events.GO


async def count_pong(ctx: Any) -> Events:
    """Count in the machine's common data and go back."""
    ctx.common["count"] += 1
    return Events.GO


async def receive_ping(ctx: Any) -> Events | None:
    """Wait for a message, then count it and go on."""
    if ctx.msg is None:
        return None
    ctx.common["count"] += 1
    return Events.GO


async def receive_pong(ctx: Any) -> Events | None:
    """Wait for a message, then count it and go back."""
    if ctx.msg is None:
        return None
    ctx.common["count"] += 1
    return Events.GO
