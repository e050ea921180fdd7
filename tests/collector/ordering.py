"""Run the orders example, and print its books as the last line: what its hook counted and what `fsm.stats()` says, as JSON.

python ordering.py FILE --orders 100
RECORD=FILE python ordering.py FILE --orders 100      the machines are recorded as well, through OTLP logs and into that file
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import orders
from septum.replay import FileSink, LogsSink, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

example: Any = orders
"""The example, of which three things are replaced."""


def main() -> int:
    """Run the example with the arguments after the first, which names the file for the books."""
    into, *arguments = sys.argv[1:]
    audit = example.audit

    def keep(books: Any) -> Any:
        watcher = books.watcher
        kept = {
            "edges": [[*edge, count] for edge, count in watcher.transitions.items()],
            "times": watcher.times,
            "retries": watcher.retries,
            "timeouts": watcher.timeouts,
            "errors": watcher.errors,
            "unhandled": watcher.unhandled,
            "stats": {order: _plain(stats) for order, stats in books.stats.items()},
            "walks": {order: dict(states) for order, states in watcher.entered.items()},
        }
        Path(into).write_text(json.dumps(kept), encoding="utf-8")
        return audit(books)

    example.audit = keep
    ask_again()
    if "RECORD" in os.environ:
        record(Path(os.environ["RECORD"]))
    return int(example.main(arguments))


def ask_again() -> None:
    """Have customers who answered ask one thing more when all is over: no machine takes that message any more."""
    deliver = example.Customers._deliver

    def talk(customers: Any, answer: Any, send: Callable[[object], object]) -> None:
        deliver(customers, answer, send)
        asyncio.get_running_loop().call_later(1.5, ask, customers, send)

    def ask(customers: Any, send: Callable[[object], object]) -> None:
        customers.sent += 1
        send("Is it here yet?")

    example.Customers._deliver = talk


def record(into: Path) -> None:
    """Have every machine recorded twice: through the global LoggerProvider, and into the file *into*."""
    recorders = [Recorder(LogsSink(), level="full"), Recorder(FileSink(into), level="full")]
    made = example.StateMachine

    def recorded(*arguments: Any, hooks: Any, **more: Any) -> Any:
        return made(*arguments, hooks=[*hooks, *recorders], **more)

    example.StateMachine = recorded


def _plain(stats: Any) -> dict[str, Any]:
    return {name: dict(value) if name == "dropped" else value for name, value in asdict(stats).items()}


if __name__ == "__main__":
    sys.exit(main())
