"""FSMPool: machines are lent one by one, come back clean, and never twice."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import pytest

from septum import (
    DefinitionError,
    FSMPool,
    LabeledTransition,
    NotAcquired,
    PoolError,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    septum,
)
from septum.testing import settle
from tests.scenes import run


class Say(Enum):
    """Labels."""

    WORK = auto()
    END = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Ready():
    @septum.on_enter
    async def on_enter(ctx):
        entering = ctx.common.get("entering")
        if entering is not None:
            await entering(ctx)

    @septum.on_state
    async def on_state(ctx):
        if isinstance(ctx.msg, Exception) or ctx.msg == "fail":
            raise ValueError(ctx.msg)
        return ctx.msg

    @septum.transitions
    def transitions():
        return [LabeledTransition(Say.WORK, Working), LabeledTransition(Say.END, None)]


@septum.state(config=StateConfiguration(can_dwell=True))
def Working():
    @septum.on_state
    async def on_state(ctx):
        pass

    @septum.transitions
    def transitions():
        return [LabeledTransition(Say.END, None)]


async def told(fsm: StateMachine[Any], message: object) -> None:
    """Let *fsm* see *message*."""
    fsm.send_message(message)
    await fsm.tick()


def test_a_pool_lends_its_machines_in_turn() -> None:
    """All are initialised, each is lent once, the one that was free longest first."""

    async def scene() -> None:
        pool: FSMPool[Any] = FSMPool(Ready, pool_size=3, name="worker")
        assert (pool.pool_size, pool.available) == (3, 0)
        await pool.initialize()
        await pool.initialize()
        assert pool.available == 3
        lent = [await pool.acquire() for _ in range(3)]
        assert len(set(lent)) == 3
        assert {(fsm.name, fsm.state) for fsm in lent} == {("worker", Ready.name)}
        for fsm in reversed(lent):
            await pool.release(fsm)
        assert [await pool.acquire() for _ in range(3)] == lent[::-1]

    run(scene())


def test_machines_have_their_own_data_unless_it_is_given() -> None:
    """Without `common_data` each has a fresh dict; what is given is shared."""
    data = {"shared": True}

    async def scene() -> None:
        async with FSMPool(Ready, 2) as separate, FSMPool(Ready, 2, common_data=data) as shared:
            one, other = await separate.acquire(), await separate.acquire()
            assert one.common == other.common == {}
            assert one.common is not other.common
            assert [(await shared.acquire()).common is data for _ in range(2)] == [True, True]

    run(scene())


def test_acquire_waits_while_all_are_lent() -> None:
    """Users are served in the order in which they came, each as soon as a machine comes back."""

    async def scene() -> None:
        log: list[str] = []

        async def user(name: str) -> None:
            async with pool.machine():
                log.append(f"{name} has one")
                await turns[name].wait()

        turns = {name: asyncio.Event() for name in "abc"}
        async with FSMPool(Ready, pool_size=1) as pool:
            tasks = [asyncio.create_task(user(name)) for name in "abc"]
            await settle()
            assert log == ["a has one"]
            turns["c"].set()
            turns["a"].set()
            await settle()
            assert log == ["a has one", "b has one"]
            turns["b"].set()
            await asyncio.gather(*tasks)
        assert log == ["a has one", "b has one", "c has one"]

    run(scene())


def test_a_waiting_user_that_gives_up_is_passed_over() -> None:
    """Cancelled before its turn or at the very moment of it, it takes no machine along."""

    async def scene() -> None:
        async with FSMPool(Ready, pool_size=1) as pool:
            fsm = await pool.acquire()
            early, late, last = (asyncio.create_task(pool.acquire()) for _ in range(3))
            await settle()
            early.cancel()
            await pool.release(fsm)
            late.cancel()
            await settle()
            assert (early.cancelled(), late.cancelled(), last.done()) == (True, True, True)
            assert last.result() is fsm

    run(scene())


def test_a_newcomer_does_not_overtake_who_waits() -> None:
    """Between a machine's coming back and the waiting user's turn, another `acquire` has to queue up."""

    async def scene() -> None:
        async with FSMPool(Ready, pool_size=1) as pool:
            fsm = await pool.acquire()
            waiting, behind = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
            await settle()
            await pool.release(fsm)
            newcomer = asyncio.create_task(pool.acquire())
            await settle()
            assert [task.done() for task in (waiting, behind, newcomer)] == [True, False, False]
            await pool.release(await waiting)
            await settle()
            assert [task.done() for task in (behind, newcomer)] == [True, False]
            newcomer.cancel()
            await settle()

    run(scene())


def test_release_puts_a_machine_back_to_its_start() -> None:
    """By default state and mailbox are as new; with `reset=False` the next user finds what the last one left."""

    async def scene() -> list[tuple[str, int]]:
        found = []
        async with FSMPool(Ready, pool_size=1) as pool:
            for reset in (False, True, True):
                fsm = await pool.acquire()
                found.append((fsm.state, fsm.queue_depth))
                if fsm.state == Ready.name:
                    await told(fsm, Say.WORK)
                fsm.send_message("more")
                await pool.release(fsm, reset=reset)
        return found

    assert run(scene()) == [(Ready.name, 0), (Working.name, 1), (Ready.name, 0)]


def test_a_block_may_keep_the_state_too() -> None:
    """`machine(reset=False)` is `release(reset=False)`."""

    async def scene() -> str:
        async with FSMPool(Ready, pool_size=1) as pool:
            async with pool.machine(reset=False) as fsm:
                await told(fsm, Say.WORK)
            async with pool.machine() as fsm:
                return fsm.state

    assert run(scene()) == Working.name


@pytest.mark.parametrize("reset", [True, False])
def test_a_completed_machine_is_replaced(reset: bool) -> None:
    """It is never handed out again; the pool keeps its size."""

    async def scene() -> None:
        async with FSMPool(Ready, pool_size=1) as pool:
            fsm = await pool.acquire()
            with pytest.raises(StateMachineComplete):
                await told(fsm, Say.END)
            await pool.release(fsm, reset=reset)
            assert pool.available == 1
            another = await pool.acquire()
            assert another is not fsm
            assert another.state == Ready.name

    run(scene())


@pytest.mark.parametrize("reset", [True, False])
def test_a_machine_that_failed_is_replaced(reset: bool) -> None:
    """One whose last call raised is not handed out again, with and without a block around it."""

    async def scene() -> None:
        async with FSMPool(Ready, pool_size=1) as pool:
            by_hand = await pool.acquire()
            with pytest.raises(ValueError, match="fail"):
                await told(by_hand, "fail")
            await pool.release(by_hand, reset=reset)
            with pytest.raises(ValueError, match="fail"):
                async with pool.machine(reset=reset) as in_block:
                    await told(in_block, "fail")
            third = await pool.acquire()
            assert len({by_hand, in_block, third}) == 3
            assert (pool.available, third.state) == (0, Ready.name)

    run(scene())


def test_a_machine_that_the_user_closed_is_replaced() -> None:
    """Leaving `async with fsm` closes a machine for good."""

    async def scene() -> None:
        async with FSMPool(Ready, pool_size=1) as pool:
            fsm = await pool.acquire()
            async with fsm:
                pass
            await pool.release(fsm, reset=False)
            another = await pool.acquire()
            assert another is not fsm
            await told(another, Say.WORK)

    run(scene())


def test_only_what_is_lent_can_be_released() -> None:
    """A stranger, and a machine that is back already, are refused by name; the pool is unchanged."""

    async def scene() -> None:
        async with FSMPool(Ready, pool_size=2) as pool:
            fsm = await pool.acquire()
            await pool.release(fsm)
            for wrong in (fsm, StateMachine(Ready)):
                with pytest.raises(NotAcquired, match=r"was released, but this pool has not lent it"):
                    await pool.release(wrong)
            assert pool.available == 2

    run(scene())


def test_a_pool_lends_nothing_before_it_is_initialised_nor_after_it_is_closed() -> None:
    """Both are `PoolError`, also for those who wait when it closes; what is lent can still be brought back and is closed then."""

    async def scene() -> None:
        pool: FSMPool[Any] = FSMPool(Ready, pool_size=1)
        with pytest.raises(PoolError, match="initialize"):
            await pool.acquire()
        await pool.initialize()
        fsm = await pool.acquire()
        waiting = [asyncio.create_task(pool.acquire()) for _ in range(2)]
        await settle()
        await pool.close()
        await pool.close()
        for result in await asyncio.gather(*waiting, pool.acquire(), return_exceptions=True):
            assert isinstance(result, PoolError)
        await told(fsm, Say.WORK)
        await pool.release(fsm)
        assert pool.available == 0
        assert fsm.send_message("late") is False

    run(scene())


def test_closing_closes_the_free_machines() -> None:
    """A machine of a closed pool takes no message."""

    async def scene() -> None:
        async with FSMPool(Ready, pool_size=1) as pool:
            fsm = await pool.acquire()
            await pool.release(fsm)
        assert fsm.send_message("late") is False

    run(scene())


def test_a_pool_closed_during_a_release_closes_that_machine_too() -> None:
    """Nothing is left open when entering the initial state takes its time."""

    async def scene() -> None:
        gate = asyncio.Event()
        data: dict[str, Any] = {}
        pool: FSMPool[Any] = FSMPool(Ready, pool_size=1, common_data=data)
        await pool.initialize()
        fsm = await pool.acquire()
        data["entering"] = lambda ctx: gate.wait()
        releasing = asyncio.create_task(pool.release(fsm))
        await settle()
        await pool.close()
        gate.set()
        await releasing
        assert pool.available == 0
        assert fsm.send_message("late") is False

    run(scene())


def test_a_release_whose_reset_fails_keeps_the_pool_whole() -> None:
    """The error reaches who releases; the next user gets a working machine."""

    async def scene() -> None:
        data: dict[str, Any] = {}

        async def failing(ctx: Any) -> None:
            raise ValueError("cannot enter")

        async with FSMPool(Ready, pool_size=1, common_data=data) as pool:
            fsm = await pool.acquire()
            data["entering"] = failing
            with pytest.raises(ValueError, match="cannot enter"):
                await pool.release(fsm)
            del data["entering"]
            another = await pool.acquire()
            assert another is not fsm
            await told(another, Say.WORK)
            assert another.state == Working.name

    run(scene())


def test_a_pool_that_cannot_start_has_no_machines() -> None:
    """What the initial state raised reaches who initialises, and a second try may succeed."""

    async def scene() -> None:
        data: dict[str, Any] = {}

        async def failing(ctx: Any) -> None:
            raise ValueError("cannot enter")

        data["entering"] = failing
        pool: FSMPool[Any] = FSMPool(Ready, pool_size=2, common_data=data)
        with pytest.raises(ValueError, match="cannot enter"):
            await pool.initialize()
        with pytest.raises(PoolError):
            await pool.acquire()
        del data["entering"]
        await pool.initialize()
        assert pool.available == 2
        await pool.close()

    run(scene())


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "3"])
def test_a_pool_of_no_size_is_refused(size: Any) -> None:
    """The error names what was given."""
    with pytest.raises(ValueError, match="pool_size must be an int of at least 1, not"):
        FSMPool(Ready, size)


def test_a_wrong_definition_is_refused_when_the_pool_is_made() -> None:
    """The first machine is constructed at once, so nothing waits for `initialize` to find out."""
    with pytest.raises(DefinitionError):
        FSMPool("nowhere.Nothing")
