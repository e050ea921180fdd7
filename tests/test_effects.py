"""What comes in through `ctx` is told: times, draws, ids and results of calls; and costs nothing while nobody listens."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from typing import Any

import pytest

from septum import LabeledTransition, StateConfiguration, StateMachine, facts, septum
from septum._chance import Chance
from septum.testing import ManualClock, RecorderHooks, settle
from tests.replay.scenes import Go


@septum.state(config=StateConfiguration(can_dwell=True, timeout=5.0))
def Doing() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            answer = ctx.msg(ctx)
            ctx.common.append(await answer if asyncio.iscoroutine(answer) else answer)

    @septum.on_timeout
    async def on_timeout(ctx):
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Doing)]


def machine(*hooks: Any, clock: ManualClock | None = None) -> StateMachine[list[Any]]:
    """Return a machine that does what it is sent."""
    return StateMachine(Doing, hooks=hooks, common_data=[], clock=clock or ManualClock())


async def do(fsm: StateMachine[list[Any]], what: Any) -> Any:
    """Let the machine do *what* in a handler, and return what came of it."""
    fsm.send_message(what)
    await fsm.run(timeout=0)
    return fsm.common[-1]


def effects(told: RecorderHooks) -> list[tuple[Any, ...]]:
    """Return the effects that were told: kind, name, arguments, result, exception."""
    return [(fact.effect, fact.name, fact.args, fact.result, fact.exception) for fact in told.of(facts.EffectReturned)]


def test_time_and_ids_are_told_with_what_they_were() -> None:
    """`now` and `uuid` tell what the handler got, between the facts of its call."""
    told = RecorderHooks()
    clock = ManualClock()

    async def main() -> tuple[Any, Any]:
        fsm = machine(told, clock=clock)
        await fsm.initialize()
        clock.advance(2.5)
        return await do(fsm, lambda ctx: ctx.now()), await do(fsm, lambda ctx: ctx.uuid())

    now, uuid = asyncio.run(main())
    assert effects(told) == [("now", "now", (), now, None), ("uuid", "uuid", (), uuid, None)]
    assert told.names()[-8:] == [
        "message_taken", "handler_started", "effect_returned", "handler_finished",
        "message_queued", "message_taken", "handler_started", "effect_returned", "handler_finished",
    ][1:]  # fmt: skip
    assert [fact.seq for fact in told.facts] == list(range(1, len(told.facts) + 1))


def test_calls_are_told_with_arguments_and_result_or_exception() -> None:
    """Sync and async; the exception goes on to the handler."""
    told = RecorderHooks()
    error = ValueError("no")

    async def fails(*_: object) -> None:
        raise error

    async def both(ctx: Any) -> Any:
        found = [await ctx.call("add", lambda a, b: a + b, 1, 2), await ctx.call("sleep", asyncio.sleep, 0, "slept")]
        with pytest.raises(ValueError, match="no"):
            await ctx.call("fail", fails, 3)
        return found

    async def main() -> Any:
        fsm = machine(told)
        return await do(fsm, both)

    assert asyncio.run(main()) == [3, "slept"]
    assert effects(told) == [
        ("call", "add", (1, 2), 3, None),
        ("call", "sleep", (0, "slept"), "slept", None),
        ("call", "fail", (3,), None, error),
    ]


def test_a_call_that_the_deadline_cuts_is_told_as_cancelled() -> None:
    """It never gave a result."""
    told = RecorderHooks()
    clock = ManualClock()

    async def main() -> None:
        fsm = machine(told, clock=clock)
        serving = asyncio.create_task(fsm.serve())
        await settle()
        fsm.send_message(lambda ctx: ctx.call("hang", asyncio.Event().wait))
        await settle()
        await clock.run_for(6.0)
        fsm.stop()
        await serving

    asyncio.run(main())
    ((kind, name, _, result, error),) = effects(told)
    assert (kind, name, result, type(error)) == ("call", "hang", None, asyncio.CancelledError)


def test_every_method_of_chance_is_made_of_draws_that_are_told() -> None:
    """Another Random that is fed what was told gives the same."""
    told = RecorderHooks()

    def draw(chance: random.Random) -> list[Any]:
        deck = list(range(5))
        chance.shuffle(deck)
        return [
            chance.random(),
            chance.uniform(1, 2),
            chance.randint(1, 6),
            chance.randrange(3),
            chance.choice("ab"),
            chance.choices("abc", k=3),
            chance.sample(range(9), 3),
            deck,
            chance.gauss(0, 1),
            chance.gauss(0, 1),
            chance.expovariate(2.0),
            chance.betavariate(1, 2),
            chance.randbytes(3),
            chance.getrandbits(40),
            chance.normalvariate(),
            chance.triangular(),
        ]

    async def main() -> Any:
        fsm = machine(told)
        fsm.random.seed(4711)
        return await do(fsm, lambda ctx: draw(ctx.random))

    found = asyncio.run(main())
    feed = iter(effects(told))

    class Fed(random.Random):
        def random(self) -> float:
            kind, name, args, result, _ = next(feed)
            assert (kind, name, args) == ("random", "random", ())
            return float(result)

        def getrandbits(self, k: int, /) -> int:
            kind, name, args, result, _ = next(feed)
            assert (kind, name, args) == ("random", "getrandbits", (k,))
            return int(result)

        def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
            self.gauss_next = None
            return super().gauss(mu, sigma)

    assert draw(Fed()) == found
    assert next(feed, None) is None


def test_chance_is_the_same_object_and_sequence_before_and_after_somebody_listens() -> None:
    """A seed counts whether it is observed or not, and an unobserved machine has a plain Random."""

    async def main() -> tuple[list[float], list[float]]:
        sequences = []
        for hooks in ((), (RecorderHooks(),)):
            fsm = machine()
            chance = fsm.random
            assert type(chance) is random.Random
            chance.seed(7)
            first = await do(fsm, lambda ctx: ctx.random.random())
            for hook in hooks:
                fsm.attach(hook)
            second = await do(fsm, lambda ctx: ctx.random.random())
            assert fsm.random is chance
            assert type(chance) is (Chance if hooks else random.Random)
            sequences.append([first, second])
        return sequences[0], sequences[1]

    unobserved, observed = asyncio.run(main())
    assert unobserved == observed


def test_what_comes_in_outside_of_a_run_is_told_to_nobody() -> None:
    """Before the start, after the end, and once nobody listens, there is no run that it could be told of."""
    told = RecorderHooks()

    async def main() -> None:
        fsm = machine(told)
        fsm.now()
        fsm.random.random()
        await fsm.initialize()
        chance = fsm.random
        await fsm.close()
        fsm.now()
        fsm.uuid()
        chance.random()
        await fsm.call("late", lambda: None)
        fsm.detach(told)
        chance.random()

    asyncio.run(main())
    assert effects(told) == []


def test_chance_does_not_keep_a_machine_alive() -> None:
    """Whoever holds it after the machine is gone may draw on."""

    async def main() -> tuple[random.Random, weakref.ref[Any]]:
        fsm = machine(RecorderHooks())
        await fsm.initialize()
        return fsm.random, weakref.ref(fsm)

    chance, reference = asyncio.run(main())
    gc.collect()
    assert reference() is None
    assert 0.0 <= chance.random() < 1.0
