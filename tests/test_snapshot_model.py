"""A machine that is written down and brought back goes on as if nothing had been, over the random programs of tests/model."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from septum import StateMachine
from septum._snapshot import Snapshot
from septum.testing import ManualClock, RecorderHooks
from tests.model.generate import programs
from tests.model.machine import Boom, FilterBoom, Internal, Machine, TrapBoom
from tests.model.program import Call, Command, Definition, Tape

if TYPE_CHECKING:
    from collections.abc import Iterator

Program = tuple[Definition, tuple[Call, ...], tuple[Command, ...]]
CLASSES = (Boom, FilterBoom, Internal, TrapBoom)
EXAMPLES = int(os.environ.get("SEPTUM_MODEL_EXAMPLES", "200"))
thorough = settings(
    max_examples=max(1, EXAMPLES // 2),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="SEPTUM_MODEL_EXAMPLES" not in os.environ,
)


class Restored(Machine):
    """A machine with a program in it that begins with the text of a snapshot."""

    async def restore(self, text: str, clock: ManualClock, **options: Any) -> None:
        """Put the restored machine in the place of the new one."""
        definition, fresh = self.definition, self.fsm
        self.clock = clock
        self.fsm = await StateMachine[Any].restore(
            Snapshot.from_json(text),
            self.specs[0],
            classes=CLASSES,
            error_state=fresh.error_state,
            max_queue_size=definition.max_queue_size,
            queue_overflow_policy=fresh.queue_overflow_policy,
            filter_fn=self._filter if definition.filtered or definition.filter_raises else None,
            trap_fn=self._trap if definition.has_trap else None,
            on_error_fn={None: None, "sync": self._on_error, "async": self._on_error_later}[definition.on_error],
            hooks=self.hooks,
            clock=clock,
            **options,
        )


async def go_on(machine: Machine, orders: tuple[Command, ...]) -> list[Any]:
    """Carry out *orders*, and return what came of each, and what could be seen then."""
    return [plain({"outcome": await machine.do(order)} | machine.look()) for order in orders]


def told(machine: Machine) -> list[dict[str, Any]]:
    """Return the facts that *machine* told its recorder, ids and seq aside."""
    return [
        plain({name: value for name, value in fact.items() if name not in {"run", "seq"}})
        for hook in machine.hooks
        for fact in machine.facts(hook)
    ]


def plain(value: Any) -> Any:
    """Return *value* with its numbers rounded: a difference of moments and a sum of it are not always exact."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(plain(item) for item in value)
    return round(value, 9) if isinstance(value, float) else value


def forget(machine: Machine) -> None:
    """Empty the recorders of *machine*."""
    for hook in machine.hooks:
        hook.clear()


def expected_preamble(kept: Snapshot) -> list[str]:
    """Return the facts that hooks are told while a machine is brought back."""
    if kept.stage in {"fresh", "complete"}:
        return []
    return ["run_started", *([] if kept.stage == "delay" else ["visit_started"])]


async def begin(program: Program, place: int, hooks: tuple[Any, ...]) -> Machine:
    """Return a machine after the first *place* orders, its recorders empty."""
    definition, tape, orders = program
    machine = Machine(definition, Tape(tape), hooks=hooks)
    for order in orders[:place]:
        await machine.do(order)
    forget(machine)
    return machine


async def go_on_restored(program: Program, place: int, text: str, moment: float, calls: int, *, observed: bool) -> tuple[Any, Any, Any]:
    """Bring the machine back at *moment* of its clock, after so many *calls* of handlers, and let it do the other orders."""
    definition, tape, orders = program
    rest = Tape(tape)
    rest.position = calls
    machine = Restored(definition, rest, hooks=(RecorderHooks(),) if observed else ())
    before = machine.clock
    clock = ManualClock(moment, wall_ns=before.wall_ns() + round(moment * 1e9))
    await machine.restore(text, clock)
    preamble = [fact.told_as for hook in machine.hooks for fact in hook.facts]
    forget(machine)
    seen = await go_on(machine, orders[place:])
    return preamble, seen, told(machine)


async def same(program: Program, place: int, *, observed: bool, pool: ProcessPoolExecutor | None = None) -> None:
    """Compare a machine that goes on with one that is written down after *place* orders and goes on elsewhere."""
    place = min(place, len(program[2]))
    hooks = (RecorderHooks(),) if observed else ()
    machine = await begin(program, place, hooks)
    kept = machine.fsm.snapshot("test")
    assert Snapshot.from_json(kept.to_json()) == kept
    moment, calls = machine.clock.now(), machine.tape.position
    arguments = (program, place, kept.to_json(), moment, calls)
    # Taking a snapshot changes nothing: the machine that goes on is the one that was written down.
    forget(machine)
    seen = await go_on(machine, program[2][place:])
    if pool is None:
        preamble, seen_there, told_there = await go_on_restored(*arguments, observed=observed)
    else:
        preamble, seen_there, told_there = pool.submit(elsewhere, arguments, observed=observed).result(timeout=60)
    assert preamble == (expected_preamble(kept) if observed else [])
    assert seen_there == seen
    assert told_there == told(machine)


def elsewhere(arguments: tuple[Any, ...], *, observed: bool) -> tuple[Any, Any, Any]:
    """Do in another process what `go_on_restored` does."""
    return asyncio.run(go_on_restored(*arguments, observed=observed))


places = st.integers(0, 14)


@thorough
@given(programs(), places)
def test_restored_machine_goes_on_with_the_same_facts(program: Program, place: int) -> None:
    """Written down after any command and read back, a machine tells the same facts and comes to the same states, books and exceptions."""
    asyncio.run(same(program, place, observed=True))


@thorough
@given(programs(), places)
def test_restored_machine_that_nobody_observes_goes_on_in_the_same_way(program: Program, place: int) -> None:
    """So does one without hooks, on its fast ways."""
    asyncio.run(same(program, place, observed=False))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """One other process, which has imported everything for itself."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        yield executor


@pytest.mark.slow
def test_machine_restored_in_a_new_process_goes_on_with_the_same_facts(pool: ProcessPoolExecutor) -> None:
    """The property holds where nothing is shared but the text."""

    @settings(thorough, max_examples=max(1, EXAMPLES // 8))
    @given(programs(), places)
    def check(program: Program, place: int) -> None:
        asyncio.run(same(program, place, observed=True, pool=pool))

    check()
