"""What a handler, or a task beside it, may do to the machine that is at work: stop it, close it, observe it, write to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from septum import Hooks, StateConfiguration, StateMachine, StateSpec
from septum.testing import RecorderHooks
from tests.scenes import ledger, run

Act = Callable[[StateMachine[Any]], object]


def dwelling(acts: dict[Any, Act]) -> StateSpec:
    """Return a state that waits for messages, appends each call's to `common`, and acts as *acts* says for it."""
    spec = StateSpec(name="under.Way", qualname="Way", config=StateConfiguration(can_dwell=True))

    async def on_state(ctx: Any) -> None:
        ctx.common.append(ctx.msg)
        if ctx.msg in acts:
            acts[ctx.msg](ctx)

    spec.on_state = on_state
    return spec


async def waiting(acts: dict[Any, Act], *messages: str, hooks: tuple[Hooks, ...] = ()) -> StateMachine[list[Any]]:
    """Return a machine that has entered such a state and has *messages* to take."""
    fsm = StateMachine(dwelling(acts), common_data=list[Any](), hooks=hooks)
    await fsm.initialize()
    for message in messages:
        fsm.send_message(message)
    return fsm


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("call", ["run", "serve"])
@pytest.mark.parametrize(("when", "seen"), [(None, [None]), ("a", [None, "a"])])
def test_stop_from_a_handler_leaves_what_waits(observed: bool, call: str, when: Any, seen: list[Any]) -> None:
    """The call returns after that step, a state's first call or a message's; the next call goes on from there."""

    async def scene() -> None:
        hooks = (RecorderHooks(),) if observed else ()
        fsm = await waiting({when: lambda fsm: fsm.stop()}, "a", "b", "c", hooks=hooks)
        await getattr(fsm, call)()
        assert (fsm.common, fsm.queue_depth) == (seen, 4 - len(seen))
        for _ in range(2):
            await fsm.run(timeout=0)
        assert (fsm.common, ledger(fsm)) == ([None, "a", "b", "c"], {"accepted": 3, "handled": 3})

    run(scene())


def test_stop_holds_though_the_handler_writes_to_its_machine() -> None:
    """What the handler sends after it has stopped its machine waits with the others."""

    async def scene() -> None:
        def act(fsm: StateMachine[Any]) -> None:
            fsm.stop()
            fsm.send_message("b")
            fsm.send_message(ValueError("first"))

        fsm = await waiting({"a": act}, "a", "c")
        await fsm.run(timeout=0)
        assert (fsm.common, fsm.queue_depth) == ([None, "a"], 3)
        with pytest.raises(ValueError, match="first"):
            await fsm.run(timeout=0)
        await fsm.run(timeout=0)
        assert (fsm.common, ledger(fsm)) == ([None, "a", "c", "b"], {"accepted": 4, "handled": 4})

    run(scene())


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("when", [None, "a"])
def test_stop_from_a_ticked_handler_ends_with_the_tick(observed: bool, when: Any) -> None:
    """A tick is one step anyway, and the call after it is not stopped."""

    async def scene() -> None:
        hooks = (RecorderHooks(),) if observed else ()
        fsm = await waiting({when: lambda fsm: fsm.stop()}, "a", "b", hooks=hooks)
        await fsm.tick()
        assert (fsm.common, fsm.queue_depth) == ([None, "a"], 1)
        await fsm.run(timeout=0)
        assert fsm.common == [None, "a", "b"]

    run(scene())


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("call", ["tick", "run", "serve"])
def test_close_waits_for_the_step_that_is_under_way(observed: bool, call: str) -> None:
    """Whoever closes a machine at work goes on as soon as its call has ended."""

    async def scene() -> None:
        suspended, done = asyncio.Event(), asyncio.Event()

        async def on_state(ctx: Any) -> None:
            suspended.set()
            await done.wait()

        spec = StateSpec(name="under.Long", qualname="Long", config=StateConfiguration(can_dwell=True), on_state=on_state)
        fsm = StateMachine(spec, hooks=(RecorderHooks(),) if observed else ())
        await fsm.initialize()
        working = asyncio.ensure_future(getattr(fsm, call)())
        await suspended.wait()
        closing = asyncio.ensure_future(fsm.close())
        await asyncio.sleep(0)
        assert not closing.done()
        done.set()
        async with asyncio.timeout(10):
            await asyncio.gather(working, closing)
        assert fsm.has_ended

    run(scene())


@pytest.mark.parametrize("call", ["tick", "run"])
@pytest.mark.parametrize(("when", "told"), [(None, ["a", "b", "c"]), ("a", ["b", "c"])])
def test_who_is_attached_by_a_handler_is_told_of_the_next_message(call: str, when: Any, told: list[str]) -> None:
    """From a state's first call, or from one with a message, also while others wait; nothing is told twice or left out."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = await waiting({when: lambda fsm: fsm.attach(recorder)}, "a", "b", "c")
        for _ in range(4):
            await (fsm.run(timeout=0) if call == "run" else fsm.tick())
        taken = [fact.message for fact in recorder.facts if fact.told_as == "message_taken"]
        assert (fsm.common, taken, ledger(fsm)) == ([None, "a", "b", "c"], told, {"accepted": 3, "handled": 3})

    run(scene())


@pytest.mark.parametrize("call", ["tick", "run"])
def test_who_is_detached_by_a_handler_is_told_no_more(call: str) -> None:
    """The rest of the messages is taken without it."""

    async def scene() -> None:
        recorder = RecorderHooks()
        fsm = await waiting({"a": lambda fsm: fsm.detach(recorder)}, "a", "b", "c", hooks=(recorder,))
        for _ in range(4):
            await (fsm.run(timeout=0) if call == "run" else fsm.tick())
        taken = [fact.message for fact in recorder.facts if fact.told_as == "message_taken"]
        assert (fsm.common, taken, ledger(fsm)) == ([None, "a", "b", "c"], ["a"], {"accepted": 3, "handled": 3})

    run(scene())


@pytest.mark.parametrize("call", ["tick", "run"])
def test_a_first_message_from_the_first_call_is_taken(call: str) -> None:
    """A machine that never had a message, and so no mailbox, sends itself one while it works."""

    async def scene() -> None:
        fsm = await waiting({None: lambda fsm: fsm.send_message("a")})
        await (fsm.run(timeout=0) if call == "run" else fsm.tick())
        assert (fsm.common, ledger(fsm)) == ([None, "a"], {"accepted": 1, "handled": 1})

    run(scene())
