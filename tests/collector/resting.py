"""Machines at rest: so many open gates, so many closed ones, until a line comes on standard input."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import septum.otel
from septum import StateMachine

sys.path.insert(0, str(Path(__file__).resolve().parent))

import depot


async def main() -> None:
    """Put machines into the states that the argument names, and wait."""
    async with AsyncExitStack() as stack:
        for state, count in json.loads(sys.argv[1]).items():
            for _ in range(count):
                await stack.enter_async_context(StateMachine(getattr(depot, state), name="Gate"))
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    with septum.otel.setup("resting"):
        asyncio.run(main())
