"""ManualClock: time moves when told, timers fire in order, nothing depends on the real clock."""

from __future__ import annotations

import asyncio
import doctest
import math
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septum import Clock, StateConfiguration, StateMachine, StateSpec, facts
from septum.testing import ManualClock, RecorderHooks, _clock

if TYPE_CHECKING:
    from collections.abc import Callable

DAY_NS = 86_400 * 10**9


def noting(clock: ManualClock, log: list[tuple[str, float]], name: str) -> Callable[[], None]:
    """Return a callback that notes its name and the time at which it fired."""
    return lambda: log.append((name, clock.now()))


def test_a_new_clock_stands_at_its_start() -> None:
    """Time stands at the start that was given, by default at 0 and in the first second of 2026, and nothing is due."""
    plain, given_ = ManualClock(), ManualClock(100.5, wall_ns=7)

    assert (plain.now(), plain.wall_ns(), plain.next_timer) == (0.0, 1_767_225_600 * 10**9, None)
    assert (given_.now(), given_.wall_ns(), given_.next_timer) == (100.5, 7, None)
    assert isinstance(plain, Clock)


def test_advance_moves_both_clocks_by_the_same() -> None:
    """Monotonic and wall time pass together, to the nanosecond."""
    clock = ManualClock(10.0, wall_ns=1_000)

    clock.advance(86_400)
    clock.advance(0.000_000_001)

    assert (clock.now(), clock.wall_ns()) == (86_410.000_000_001, 1_000 + DAY_NS + 1)


def test_timers_fire_in_due_order_then_in_the_order_made() -> None:
    """Each timer sees its own moment; of one moment the first made fires first."""
    clock, log = ManualClock(), []
    for name, when in [("c", 3), ("a", 1), ("b1", 2), ("b2", 2), ("late", 9)]:
        clock.call_at(when, noting(clock, log, name))

    clock.advance(5)

    assert log == [("a", 1), ("b1", 2), ("b2", 2), ("c", 3)]
    assert (clock.now(), clock.next_timer) == (5, 9)


def test_a_timer_set_by_a_timer_fires_within_the_same_advance() -> None:
    """What a callback arms in the time that passes is not left behind."""
    clock, log = ManualClock(), []

    def again() -> None:
        log.append(clock.now())
        clock.call_at(clock.now() + 2, again)

    clock.call_at(1, again)
    clock.advance(6)

    assert log == [1, 3, 5]
    assert clock.next_timer == 7


def test_a_cancelled_timer_never_fires() -> None:
    """Cancelling takes a timer back at once, and again or after firing does nothing."""
    clock, log = ManualClock(), []
    kept = clock.call_at(1, noting(clock, log, "kept"))
    gone = clock.call_at(1, noting(clock, log, "gone"))

    gone.cancel()
    gone.cancel()
    assert repr(clock) == "<ManualClock now=0.0 timers=1>"
    clock.advance(1)
    kept.cancel()

    assert log == [("kept", 1)]
    assert repr(clock) == "<ManualClock now=1.0 timers=0>"
    assert repr(kept) == "<ManualTimer when=1.0>"


def test_a_timer_cancelled_by_an_earlier_one_of_the_same_moment_does_not_fire() -> None:
    """The decision is made when the timer's turn comes, not before."""
    clock, log = ManualClock(), []
    cancel_all = ExitStack()
    clock.call_at(1, cancel_all.close)
    cancel_all.callback(clock.call_at(1, noting(clock, log, "second")).cancel)

    clock.advance(1)

    assert log == []


def test_a_callback_that_moves_the_clock_leaves_it_where_it_moved_it() -> None:
    """Time that passes inside a callback has passed; the outer advance does not turn it back."""
    clock, log = ManualClock(), []
    clock.call_at(1, lambda: clock.advance(10))
    clock.call_at(5, noting(clock, log, "inner"))
    clock.call_at(12, noting(clock, log, "after"))

    clock.advance(2)

    assert (clock.now(), log, clock.next_timer) == (11, [("inner", 5)], 12)


def test_a_callback_that_raises_stops_the_advance_at_its_moment() -> None:
    """The error reaches the test, that timer is spent, and the rest of the time can still pass."""
    clock, log = ManualClock(), []
    clock.call_at(1, partial(int, "no number"))
    clock.call_at(2, noting(clock, log, "next"))

    with pytest.raises(ValueError, match="no number"):
        clock.advance(5)
    assert (clock.now(), log) == (1, [])
    clock.advance(4)

    assert (clock.now(), log) == (5, [("next", 2)])


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, -math.inf])
def test_a_span_that_cannot_pass_is_refused_and_time_stands(seconds: float) -> None:
    """Negative, infinite and NaN spans raise ValueError before anything fires."""
    clock, log = ManualClock(), []
    clock.call_at(0, noting(clock, log, "due"))

    with pytest.raises(ValueError, match="seconds must be"):
        clock.advance(seconds)
    with pytest.raises(ValueError, match="seconds must be"):
        asyncio.run(clock.run_for(seconds))

    assert (clock.now(), log, clock.next_timer) == (0.0, [], 0)


def test_a_moment_that_is_no_number_is_refused() -> None:
    """NaN and infinity are no time to set, NaN is no time to wait for; infinity is, and never comes."""
    clock = ManualClock()

    with pytest.raises(ValueError, match=r"set\(moment\) must be a finite number of seconds, not nan"):
        clock.set(math.nan)
    with pytest.raises(ValueError, match="not NaN"):
        clock.call_at(math.nan, list)
    with pytest.raises(ValueError, match="start must be a finite number"):
        ManualClock(math.inf)
    clock.call_at(math.inf, list)
    clock.advance(1e9)

    assert (clock.now(), clock.next_timer) == (1e9, math.inf)


def test_set_forward_fires_what_is_due_late() -> None:
    """A clock that is set shows nobody the time between, so every timer fires at the new moment."""
    clock, log = ManualClock(), []
    clock.call_at(2, noting(clock, log, "two"))
    clock.call_at(1, noting(clock, log, "one"))

    clock.set(50)

    assert (clock.now(), log) == (50, [("one", 50), ("two", 50)])


def test_set_back_fires_nothing_and_keeps_the_timers() -> None:
    """Time runs backwards with its wall clock; timers wait for their moment to come again."""
    clock, log = ManualClock(100.0, wall_ns=DAY_NS), []
    clock.call_at(101, noting(clock, log, "later"))

    clock.set(40)
    assert (clock.now(), clock.wall_ns(), log) == (40, DAY_NS - 60 * 10**9, [])
    clock.advance(61)

    assert log == [("later", 101)]


def test_a_timer_that_is_due_when_made_fires_in_the_next_turn_of_the_loop() -> None:
    """Under a running loop time need not move for it; without one the next advance fires it, even by 0."""
    clock, log = ManualClock(10.0), []

    async def main() -> None:
        clock.call_at(9, noting(clock, log, "in the loop"))
        assert log == []
        await asyncio.sleep(0)
        assert log == [("in the loop", 10.0)]

    asyncio.run(main())
    clock.call_at(10, noting(clock, log, "outside"))
    clock.advance(0)

    assert log == [("in the loop", 10.0), ("outside", 10.0)]


def test_awaiting_an_advance_lets_those_it_woke_run() -> None:
    """Timers fire during the call, tasks run during the await and see the end of the time."""
    clock, log = ManualClock(), []

    async def sleeper(name: str, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        clock.call_at(clock.now() + seconds, lambda: woken.set_result(None))
        await woken
        log.append((name, clock.now()))

    async def main() -> None:
        tasks = [asyncio.create_task(sleeper("b", 2)), asyncio.create_task(sleeper("a", 1))]
        await clock.advance(0)
        moved = clock.advance(3)
        assert log == []
        await moved
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert log == [("a", 3), ("b", 3)]


def test_run_for_lets_tasks_run_at_each_timer() -> None:
    """A task that sleeps again after waking sees each moment, as it would in real time."""
    clock, log = ManualClock(), []

    async def ticker() -> None:
        while True:
            woken = asyncio.get_running_loop().create_future()
            clock.call_at(clock.now() + 1.5, partial(woken.set_result, None))
            await woken
            log.append(clock.now())

    async def main() -> None:
        task = asyncio.create_task(ticker())
        await clock.run_for(5)
        task.cancel()

    asyncio.run(main())
    assert (log, clock.now(), clock.next_timer) == ([1.5, 3.0, 4.5], 5, 6.0)


def waking(clock: ManualClock, log: list[float], *pauses: float) -> Callable[[], object]:
    """Return an async function that sleeps for each of *pauses* seconds on *clock* and logs when it woke."""

    async def sleeper() -> None:
        for pause in pauses:
            woken = asyncio.get_running_loop().create_future()
            clock.call_at(clock.now() + pause, partial(woken.set_result, None))
            await woken
            log.append(clock.now())

    return sleeper


def test_advance_to_next_goes_to_the_next_moment_and_no_further() -> None:
    """Every timer of that moment fires, those after it wait; awaiting lets those that were woken run."""
    clock, log = ManualClock(), []
    for name, when in [("a", 2), ("late", 9), ("b", 2)]:
        clock.call_at(when, noting(clock, log, name))

    async def main() -> None:
        await clock.advance_to_next()
        assert (clock.now(), log) == (2, [("a", 2), ("b", 2)])
        clock.advance_to_next()

    asyncio.run(main())
    assert (clock.now(), log[2:], clock.next_timer) == (9, [("late", 9)], None)


@pytest.mark.parametrize("when", [None, math.inf])
def test_advance_to_next_without_a_next_moment_is_refused(when: float | None) -> None:
    """Without a timer, or with one that never comes, there is nowhere to go; time stands."""
    clock = ManualClock(3.0)
    if when is not None:
        clock.call_at(when, list)

    with pytest.raises(LookupError, match="no timer waits, so there is no next moment to go to"):
        clock.advance_to_next()

    assert clock.now() == 3.0


def test_run_until_idle_stops_when_no_timer_waits() -> None:
    """Everybody runs at each moment, in order, until nobody waits for time; a timer at infinity does not count."""
    clock, log = ManualClock(), []

    async def main() -> None:
        clock.call_at(math.inf, list)
        tasks = [asyncio.create_task(waking(clock, log, *pauses)()) for pauses in ([3600.0, 3600.0], [1800.0, 5400.0])]
        await clock.run_until_idle()
        assert all(task.done() for task in tasks)

    asyncio.run(main())
    assert (log, clock.now()) == ([1800.0, 3600.0, 7200.0, 7200.0], 7200.0)


def test_run_until_idle_gives_up_on_what_never_ends() -> None:
    """A ticker is named as such, with the moment at which time stands and the one it waits for."""
    clock = ManualClock()

    def again() -> None:
        clock.call_at(clock.now() + 1, again)

    async def main() -> None:
        clock.call_at(1, again)
        with pytest.raises(RuntimeError, match=r"not idle after 5 moments: at 5\.0 s a timer still waits for 6\.0 s"):
            await clock.run_until_idle(limit=5)

    asyncio.run(main())
    assert clock.now() == 5


def test_run_until_idle_may_need_exactly_its_limit() -> None:
    """The last moment allowed is enough if nothing waits after it."""
    clock = ManualClock()
    for when in (1, 2, 3):
        clock.call_at(when, list)

    asyncio.run(clock.run_until_idle(limit=3))

    assert (clock.now(), clock.next_timer) == (3, None)


def test_a_machine_is_run_through_its_deadlines_until_it_is_idle() -> None:
    """Hours of a served machine pass at once, each deadline at its moment."""

    async def scene() -> list[tuple[float, str]]:
        clock, recorder = ManualClock(), RecorderHooks()

        async def go_on(ctx: object) -> object:
            return last

        last = StateSpec(name="Last", on_state=lambda ctx: None, config=StateConfiguration(can_dwell=True))
        first = StateSpec(
            name="First",
            on_state=lambda ctx: None,
            on_timeout=go_on,
            config=StateConfiguration(timeout=3600.0),
            transitions=lambda: [last],
        )
        machine: StateMachine[object] = StateMachine(first, clock=clock, hooks=[recorder])
        serving = asyncio.create_task(machine.serve())
        await clock.run_until_idle()
        machine.stop()
        await serving
        return [(fact.at, fact.state) for fact in recorder.of(facts.VisitStarted)]

    assert asyncio.run(scene()) == [(0.0, "First"), (3600.0, "Last")]


def test_a_year_passes_without_real_time() -> None:
    """An hourly timer over a year fires 8,760 times, in well under the real time of one."""
    clock, log = ManualClock(), []

    def hourly() -> None:
        log.append(clock.now())
        clock.call_at(clock.now() + 3600, hourly)

    clock.call_at(3600, hourly)
    clock.advance(365 * 24 * 3600)

    assert log == [3600 * hour for hour in range(1, 8761)]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=30),
    st.lists(st.integers(0, 6), max_size=8),
)
def test_any_timers_and_any_steps_give_the_sorted_order(timers: list[tuple[int, bool]], steps: list[int]) -> None:
    """However the time is cut up, the timers that are not cancelled fire sorted by moment and making, each at its moment."""
    clock = ManualClock()
    log: list[tuple[float, int]] = []
    handles = [clock.call_at(when, lambda n=number: log.append((clock.now(), n))) for number, (when, _) in enumerate(timers)]
    for handle, (_, cancelled) in zip(handles, timers, strict=True):
        if cancelled:
            handle.cancel()

    for step in steps:
        clock.advance(step)

    left = sorted((when, number) for number, (when, cancelled) in enumerate(timers) if not cancelled)
    # With no advance at all, what is due at 0 has not fired: there was no loop to do it.
    fired = [item for item in left if steps and item[0] <= sum(steps)]
    assert log == fired
    assert clock.next_timer == (left[len(fired)][0] if len(left) > len(fired) else None)


def test_the_example_in_the_docstring_is_true() -> None:
    """What the class shows about itself runs and prints what it says."""
    assert doctest.testmod(_clock) == doctest.TestResults(failed=0, attempted=4)
