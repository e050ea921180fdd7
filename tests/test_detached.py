"""`septum.detached()` by itself: who is asked to leave, and when they come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from septum import _detached

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what `way` objects were asked, from an empty list of ways that is put back afterwards."""
    monkeypatch.setattr(_detached, "_ways", ())
    return []


def way(name: str, told: list[str]) -> Callable[[], Callable[[], None]]:
    def leave() -> Callable[[], None]:
        told.append(f"{name} leaves")
        return lambda: told.append(f"{name} returns")

    return leave


def test_without_telemetry_it_does_nothing(told: list[str]) -> None:
    """Nobody has anything to leave, and the block runs as if it were not there."""
    with _detached.detached():
        told.append("block")

    assert told == ["block"]


def test_everyone_leaves_and_returns_in_reverse_order(told: list[str]) -> None:
    """What was made current last is undone first; installing the same way again changes nothing."""
    one, two = way("one", told), way("two", told)
    for each in (one, two, one):
        _detached.install(each)

    with _detached.detached():
        told.append("block")

    assert told == ["one leaves", "two leaves", "block", "two returns", "one returns"]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
def test_whatever_ends_the_block_it_is_undone(error: type[BaseException], told: list[str]) -> None:
    """An exception, a cancellation too, passes through unchanged."""
    _detached.install(way("one", told))
    raised = error()

    with pytest.raises(error) as caught, _detached.detached():
        raise raised

    assert caught.value is raised
    assert told == ["one leaves", "one returns"]
