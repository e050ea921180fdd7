"""Fairness: the event loop gets its turn when the slice is used up, and looking at the clock is rare where steps are quick."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from septum import _pace
from septum._clock import pass_turn
from septum._pace import NO_PACE, SLICE, STRIDE, Pace, is_mine, paces


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the hand of the clock that paces read: the test moves `hand[0]`."""
    hand = [100.0]
    monkeypatch.setattr(_pace, "_now", lambda: hand[0])
    return hand


def looks_after(pace: Pace, hand: list[float], *moves: float) -> list[tuple[bool, int]]:
    """Let time pass and look, once per move; return for each look whether others are due, and the steps until the next."""
    seen = []
    for move in moves:
        hand[0] += move
        due = pace.is_due()
        seen.append((due, pace.left))
        if due:
            asyncio.run(pace.give_way())
    return seen


def test_quick_steps_are_looked_at_less_and_less(hand: list[float]) -> None:
    """Each look that finds quick steps doubles the way to the next, up to the stride; nobody else is due meanwhile."""
    steps = [2**power for power in range(1, 10) if 2**power < STRIDE]

    assert looks_after(Pace(), hand, *[1e-6] * (len(steps) + 2)) == [(False, left) for left in (*steps, STRIDE, STRIDE)]


def test_slow_steps_are_looked_at_one_by_one(hand: list[float]) -> None:
    """One slow look is enough to look at every step again."""
    assert looks_after(Pace(), hand, 1e-6, 1e-6, SLICE / 4, SLICE / 4) == [(False, 2), (False, 4), (False, 1), (False, 1)]


def test_others_are_due_when_the_slice_is_used_up(hand: list[float]) -> None:
    """After 4 ms of steps others are due, and once they had their turn the next slice begins."""
    quarter = SLICE / 4

    assert [due for due, _ in looks_after(Pace(), hand, *[quarter] * 9)] == [False, False, False, True] * 2 + [False]


def test_a_step_that_takes_long_is_one_slice(hand: list[float]) -> None:
    """However long it took, others are due once for it."""
    assert looks_after(Pace(), hand, 10.0, 1e-6) == [(True, 1), (False, 2)]


def test_giving_way_lets_each_other_run_once() -> None:
    """A task that is ready has one turn, not several."""
    turns = []

    async def other() -> None:
        while True:
            turns.append(None)
            await pass_turn()

    async def main() -> None:
        task = asyncio.create_task(other())
        await Pace().give_way()
        task.cancel()

    asyncio.run(main())
    assert turns == [None]


def test_each_thread_has_one_pace() -> None:
    """All machines of a thread share its account; another thread has its own."""
    other: list[Pace] = []

    thread = threading.Thread(target=lambda: other.extend([paces.mine, paces.mine]))
    thread.start()
    thread.join()

    assert paces.mine is paces.mine
    assert other[0] is other[1]
    assert other[0] is not paces.mine


@pytest.mark.parametrize("ask", [is_mine, _pace._is_of_this_pace])
def test_a_thread_knows_its_own_pace(ask: Any) -> None:
    """Each thread knows its own pace from another's and from nobody's, with the method that is private to threading and without it."""
    mine = paces.mine
    answers: list[bool] = []

    def look() -> None:
        answers.extend(ask(pace.lock) for pace in (mine, paces.mine, NO_PACE))

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert answers == [True, True, False, False, True, False]


def test_only_another_threads_pace_is_foreign() -> None:
    """What is nobody's yet is not foreign to anybody."""
    mine = paces.mine
    answers: list[bool] = []

    def look() -> None:
        answers.extend(pace.is_foreign() for pace in (mine, paces.mine, NO_PACE))

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert answers == [False, False, False, True, False, False]
