"""Random machines that are recorded and replayed: the programs of tests/model, with handlers that use all of `ctx`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from septum import Hooks, RetryPolicy
from septum.replay import Record
from septum.replay._recorder import Recorder
from septum.replay._sinks import MemorySink
from tests.model.machine import Boom, FilterBoom, Internal, Machine, TrapBoom
from tests.model.program import Call, Command, Definition, Doing, State, Tape
from tests.test_snapshot_model import Restored

CLASSES = (Boom, FilterBoom, Internal, TrapBoom)


class Marks(Hooks):
    """Notes, for each run, how many calls the handlers had made before it; and for each place on the tape which call it was.

    Attributes:
        positions: Place on the tape at which each run began.
        calls: By place on the tape: the run, which call of the run it was (from 1), the number of its state.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.positions: dict[str, int] = {}
        self.calls: dict[int, tuple[str, int, int]] = {}
        self.run_id = ""
        self.made = 0

    def run_started(self, fact: Any, /) -> None:
        self.run_id, self.made = fact.run_id, 0
        self.positions.setdefault(fact.run_id, self.tape.position)

    def begin(self) -> None:
        """A handler is called."""
        self.made += 1

    def play(self, number: int, handler: str) -> None:
        """The handler goes by the tape now."""
        if handler in {"on_state", "on_timeout", "on_fail"}:
            self.calls[self.tape.position] = (self.run_id, self.made, number)


class Player(Machine):
    """A machine with a program; its handlers look at everything that `ctx` has, and act on the machine that calls them.

    Attributes:
        is_replica: It is replayed: time is the event loop's.
    """

    is_replica = False

    def __init__(self, definition: Definition, tape: Tape, *, marks: Marks | None = None, hooks: tuple[Any, ...] = ()) -> None:
        self.marks = marks or Marks(tape)
        super().__init__(definition, tape, hooks=hooks)

    def _fill(self, number: int, state: State) -> None:
        super()._fill(number, state)
        spec = self.specs[number]
        policy = spec.config.retry
        if policy is not None and number % 2:
            spec.config = replace(spec.config, retry=RetryPolicy(policy.max, policy.base, policy.factor, policy.max_delay, 0.5))

    def _handler(self, number: int, handler: str, flavour: str) -> Any:
        inner = super()._handler(number, handler, flavour)

        async def later(ctx: Any) -> Any:
            self.fsm = ctx
            self.marks.begin()
            self._look_around(ctx)
            if self.tape.position % 3 == 0:
                ctx.common["called"] = await ctx.call("look", self._far_away, self.tape.position)
            self.marks.play(number, handler)
            return await inner(ctx)

        def at_once(ctx: Any) -> Any:
            self.fsm = ctx
            self.marks.begin()
            self._look_around(ctx)
            self.marks.play(number, handler)
            return inner(ctx)

        return later if flavour == "async" else at_once

    def _look_around(self, ctx: Any) -> None:
        place = self.tape.position
        if place % 4 == 0:
            ctx.common["drawn"] = ctx.random.randint(1, 1000) + ctx.random.random()
        if place % 5 == 0:
            ctx.common["now"] = ctx.now()
        if place % 7 == 0:
            ctx.common["id"] = ctx.uuid()

    async def _far_away(self, place: int) -> int:
        assert not self.is_replica, "a replay calls nobody"
        if place % 2:
            await self._suspend(0.125)
        if place % 9 == 0:
            raise Boom(place)
        return place

    async def _suspend(self, seconds: float) -> None:
        if not self.is_replica:
            await super()._suspend(seconds)
        else:
            await asyncio.sleep(seconds)

    def _act(self, doing: Any) -> None:
        if doing.kind == "send" or not self.is_replica:
            super()._act(doing)


class Traveller(Player, Restored):
    """A machine with the same program, that is written down and brought back."""


class Replica(Player):
    """A machine with the same program, to be replayed."""

    is_replica = True


Program = tuple[Definition, tuple[Call, ...], tuple[Command, ...]]


def honest(program: Program) -> Program:
    """Return *program* without what no replay can know.

    That is: whether a handler that lets a cancellation pass unheard was cut or cancelled, or where it was if it does not wait for anything;
    and how long a handler kept the event loop busy before it suspended.
    """
    definition, tape, orders = program
    cancels = any(order.cancel_at is not None for order in orders)
    naps = any(doing.kind == "nap" for call in tape for doing in call.doings)
    if cancels or naps:
        tape = tuple(replace(call, swallow=False) for call in tape)
    return definition, tuple(replace(call, doings=_without_blocking(call.doings)) for call in tape), orders


def _without_blocking(doings: tuple[Doing, ...]) -> tuple[Doing, ...]:
    last = max((place for place, doing in enumerate(doings) if doing.kind in {"nap", "hang"}), default=-1)
    return tuple(doing for place, doing in enumerate(doings) if doing.kind != "advance" or place > last)


def record(program: Program, level: Any = "full", *, moves_at: int | None = None, closes: bool = True) -> tuple[list[list[Record]], Marks]:
    """Run *program* and return what was recorded, a list for each run, and what was noted of it.

    Args:
        program: What to do.
        level: How much is recorded.
        moves_at: The order before which the machine is written down and brought back, with another recorder; None for never.
        closes: The machine that was written down is closed; else it is just left.
    """
    definition, tape, orders = program
    sink = MemorySink()
    recorder, following = Recorder(sink, level=level), Recorder(sink, level=level)
    strip = Tape(tape)
    marks = Marks(strip)

    async def run() -> None:
        machine = Traveller(definition, strip, marks=marks, hooks=(recorder, marks))
        for place, order in enumerate(orders):
            if place == moves_at:
                text = machine.fsm.snapshot("moves").to_json()
                if closes:
                    await machine.fsm.close()
                recorder.flush()
                machine.hooks = (following, marks)
                await machine.restore(text, machine.clock)
            await machine.do(order)

    asyncio.run(run())
    recorder.close()
    following.close()
    runs: dict[str, list[Record]] = {}
    for each in sink.records:
        runs.setdefault(each.run_id, []).append(each)
    return list(runs.values()), marks


def replica(program: Program, position: int) -> Replica:
    """Return a machine that plays *program* from *position* on the tape."""
    definition, tape, _ = program
    strip = Tape(tape)
    strip.position = position
    return Replica(definition, strip)
