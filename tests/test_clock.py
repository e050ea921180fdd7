"""The real clock, ids and turns."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from uuid import UUID

import pytest

from septum import Clock
from septum._clock import LOOP_CLOCK, LoopClock, new_id, pass_turn
from septum.testing import settle


def test_real_time_is_that_of_the_system() -> None:
    """`now` is monotonic time and `wall_ns` the time of day, each read between two readings of the system's."""
    before = time.monotonic(), time.time_ns()
    read = LOOP_CLOCK.now(), LOOP_CLOCK.wall_ns()
    after = time.monotonic(), time.time_ns()

    assert before[0] <= read[0] <= after[0]
    assert before[1] <= read[1] <= after[1]
    assert isinstance(LOOP_CLOCK, Clock)


def test_a_past_moment_is_due_in_the_next_turn() -> None:
    """A timer for the past fires as soon as the loop turns, without waiting."""
    fired = []

    async def main() -> None:
        LOOP_CLOCK.call_at(LOOP_CLOCK.now() - 60, lambda: fired.append("late"))
        assert fired == []
        await settle()

    asyncio.run(main())
    assert fired == ["late"]


def test_a_future_moment_becomes_a_timer_of_the_loop() -> None:
    """The loop's own time of the timer is as far away as the moment is, whatever the loop counts from; cancelling takes it back."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        earliest = loop.time() + 59.999
        timer = LoopClock().call_at(LOOP_CLOCK.now() + 60, list)
        assert earliest <= timer.when() <= loop.time() + 60
        timer.cancel()
        assert timer.cancelled()

    asyncio.run(main())


def test_without_a_running_loop_there_are_no_timers() -> None:
    """Real timers need an event loop, and asyncio says so."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        LOOP_CLOCK.call_at(0, list)


def test_an_id_is_the_uuid_that_the_standard_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the time and chance of RFC 9562, appendix A.6, comes the UUID printed there."""
    monkeypatch.setattr("septum._clock.time", SimpleNamespace(time_ns=lambda: 0x017F22E279B0 * 1_000_000 + 999_999))
    monkeypatch.setattr("septum._clock.os", SimpleNamespace(urandom=lambda size: bytes.fromhex("0cc318c4dc0c0c07398f")[:size]))

    assert new_id() == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize("chance", [b"\x00" * 10, b"\xff" * 10])
def test_an_id_is_of_version_7_whatever_chance_says(chance: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version and variant stand in their places for the lowest and the highest random bits."""
    monkeypatch.setattr("septum._clock.os", SimpleNamespace(urandom=lambda size: chance[:size]))

    made = UUID(new_id())

    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_ids_sort_by_the_millisecond_they_were_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later id is greater as text."""
    ids = []
    for now in (0, 1, 1_700_000_000_000, 1_700_000_000_001, (1 << 48) - 1):
        monkeypatch.setattr("septum._clock.time", SimpleNamespace(time_ns=lambda now=now: now * 1_000_000))
        ids.append(new_id())

    assert ids == sorted(ids)


def test_passing_a_turn_lets_each_other_run_once() -> None:
    """Two tasks that pass their turns alternate, and a callback that is ready runs in between."""
    log = []

    async def taker(name: str) -> None:
        for number in range(3):
            log.append(f"{name}{number}")
            await pass_turn()

    async def main() -> None:
        asyncio.get_running_loop().call_soon(log.append, "callback")
        await asyncio.gather(taker("a"), taker("b"))

    asyncio.run(main())
    assert log == ["callback", "a0", "b0", "a1", "b1", "a2", "b2"]
