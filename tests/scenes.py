"""What scenario tests share: running them, the ledger's law, and facts as lines that are easy to compare whole."""

from __future__ import annotations

import asyncio
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from septum import StateMachine, StateSpec, facts
from septum.core import TransitionType
from septum.testing import RecorderHooks

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run(scene: Coroutine[Any, Any, T]) -> T:
    """Run *scene* in an event loop of its own and make sure that it leaves no task behind."""

    async def main() -> T:
        result = await scene
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(main())


def name_case(value: object) -> str:
    """Return a test's id for *value*: its repr without addresses, so that it is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def check_law(fsm: StateMachine[Any]) -> None:
    """Assert that every accepted message is accounted for exactly once."""
    stats = fsm.stats()
    assert stats.accepted == stats.handled + stats.unhandled + sum(stats.dropped.values()) + stats.filtered + stats.pending
    assert stats.pending == fsm.queue_depth


def ledger(fsm: StateMachine[Any]) -> dict[str, int]:
    """Return what became of the machine's messages, without the zeros, the law checked."""
    check_law(fsm)
    stats = fsm.stats()
    counts = {name: getattr(stats, name) for name in ("accepted", "handled", "unhandled", "filtered", "pending", "rejected")}
    return {name: count for name, count in (counts | dict(stats.dropped)).items() if count}


def short(value: Any) -> str:
    """Return *value* as it stands in a line: states without their module and scope, exceptions by class and text."""
    if isinstance(value, tuple):
        return f"({' '.join(short(part) for part in value)})"
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, StateSpec):
        return value.base_name
    if isinstance(value, TransitionType):
        return type(value).__name__
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, str):
        # Names of states begin with their module's; labels ("Events.GO") with a capital.
        return value.rpartition(".")[2] if value[:1].islower() else value
    return repr(value)


def line(fact: facts.Fact) -> str:
    """Return a fact as its hook method's name and all its own fields, but for the definition."""
    own = [f"{field}={short(getattr(fact, field))}" for field in fact.own_fields if field != "definition"]
    return " ".join([fact.told_as, *own])


def lines(recorder: RecorderHooks) -> list[str]:
    """Return everything that was told as lines, and forget it; the numbers of each run must follow one another."""
    runs: dict[str, list[int]] = {}
    for fact in recorder.facts:
        runs.setdefault(fact.run_id, []).append(fact.seq)
    for numbers in runs.values():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    told = [line(fact) for fact in recorder.facts]
    recorder.clear()
    return told
