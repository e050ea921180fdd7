"""`execute`: what was recorded happens again, and the first thing that is different is found."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from septum import (
    Again,
    Hooks,
    LabeledTransition,
    Pop,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateSpec,
    hooks,
)
from septum.replay import Limits, ReplayError, execute
from tests.replay.plays import Boom, E, Ping, record, replay, serve, state, two, waiting


async def answer_first(ctx: Any) -> Any:
    """Go on with the first message."""
    return None if ctx.msg is None else E.ON


def same(records: list[Any], target: Any, **options: Any) -> Any:
    """Assert that *records* happen again, all of them, and return the execution."""
    execution = replay(records, target, **options)
    assert execution.ok, str(execution)
    assert (execution.verdict, execution.divergence, execution.records) == ("same", None, len(records))
    return execution


def test_recorded_run_happens_again():
    """The handlers give the same answers, and the execution says where the machine went."""
    initial = two(answer_first)
    records = record(initial, lambda m: serve(m, (1, "a"), (2, "b")))

    execution = same(records, initial)

    assert (execution.calls, execution.transitions, execution.state) == (4, 1, "Last")
    assert execution.path == ("First -> Last (E.ON)",)
    assert str(execution).startswith(f"run {records[0].run_id} of First: the same to the end (11 records, 4 handler calls, 1 transitions)")


def test_other_answer_is_named_with_both_sides_and_the_line():
    """A handler that answers something else is found at its record, with what was recorded and where it stands."""
    records = record(two(answer_first), lambda m: serve(m, (1, "a")))

    async def changed(ctx: Any) -> Any:
        return None if ctx.msg is None else E.BACK

    execution = replay(records, two(changed))

    found = execution.divergence
    assert (execution.verdict, found.kind, found.state, found.handler) == ("diverged", "answer", "First", "on_state")
    assert (found.expected, found.found) == ("on_state of First answered E.ON", "on_state of First answered E.BACK")
    assert (found.index, found.at) == (5, 1_000_000_000)
    assert found.where.endswith("return None if ctx.msg is None else E.BACK")
    assert found.before == ("message 1 (str) was taken",)
    assert records[found.index - 1].event == "handler"
    assert execution.to_dict()["divergence"]["kind"] == "answer"


def test_what_comes_from_outside_comes_from_the_recording():
    """Calls, clock, chance and ids give what they gave, and nothing is called."""
    calls: list[str] = []

    async def fetch(key: str) -> int:
        calls.append(key)
        await asyncio.sleep(2)
        return len(calls)

    async def on_state(ctx: Any) -> Any:
        if ctx.msg is None:
            return None
        ctx.common["all"] = [await ctx.call("fetch", fetch, "k"), ctx.now(), ctx.random.randint(1, 10**9), ctx.random.gauss(), ctx.uuid()]
        return E.ON

    records = record(two(on_state), lambda m: serve(m, (1, "a")))
    same(records, two(on_state))

    assert calls == ["k"]


def test_exception_of_a_call_is_raised_again():
    """A call that raised raises an equal exception."""

    def fail() -> None:
        raise Boom(3)

    async def on_state(ctx: Any) -> Any:
        if ctx.msg is None:
            return None
        try:
            await ctx.call("fail", fail)
        except Boom as error:
            ctx.common["args"] = error.args
        return E.ON

    records = record(two(on_state), lambda m: serve(m, (1, "a")))
    same(records, two(on_state))


@pytest.mark.parametrize(
    ("name", "args", "found"),
    [
        ("fetch", (2,), "ctx.call('fetch') was given other arguments: (2,)"),
        ("load", (1,), "ctx.call('load') was made"),
    ],
)
def test_other_call_is_found_at_its_line(name: str, args: tuple[int, ...], found: str):
    """A call by another name or with other arguments ends the replay where it is made."""

    def make(name: str, *args: int) -> StateSpec:
        async def on_state(ctx: Any) -> Any:
            if ctx.msg is None:
                return None
            await ctx.call(name, lambda *_: 1, *args)
            return E.ON

        return two(on_state)

    records = record(make("fetch", 1), lambda m: serve(m, (1, "a")))
    execution = replay(records, make(name, *args))

    assert (execution.divergence.kind, execution.divergence.found) == ("call", found)
    assert execution.divergence.where.endswith("await ctx.call(name, lambda *_: 1, *args)")


def test_call_that_is_not_made_any_more_is_found():
    """A handler that answers without asking is found there."""

    def make(asks: bool) -> StateSpec:
        async def on_state(ctx: Any) -> Any:
            if ctx.msg is not None and asks:
                ctx.now()
            return None if ctx.msg is None else E.ON

        return two(on_state)

    records = record(make(True), lambda m: serve(m, (1, "a")))
    execution = replay(records, make(False))

    assert (execution.divergence.kind, execution.divergence.found) == ("call", "on_state of First answered E.ON, without asking for it")


def test_calls_at_the_same_time_end_in_their_recorded_order():
    """Calls of child tasks get their own results, whichever ended first."""

    async def after(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async def on_state(ctx: Any) -> Any:
        if ctx.msg is None:
            return None
        ctx.common["all"] = await asyncio.gather(ctx.call("slow", after, 3.0), ctx.call("quick", after, 1.0), ctx.call("mid", after, 2.0))
        return E.ON

    records = record(two(on_state), lambda m: serve(m, (1, "a")))
    same(records, two(on_state))


def test_messages_that_come_while_a_handler_waits():
    """Messages that arrive during a call, a sleep and between are where they were in the mailbox."""

    async def on_state(ctx: Any) -> Any:
        if ctx.msg == "a":
            await ctx.call("look", asyncio.sleep, 2)
            await asyncio.sleep(2)
            ctx.common["depth"] = ctx.queue_depth
        return None

    records = record(two(on_state), lambda m: serve(m, (1, "a"), (2, "b"), (4, "c"), (5.5, "d")))
    same(records, two(on_state))


def test_what_a_handler_sends_is_compared():
    """A handler's own message is sent again; another one, or none, is found."""

    def make(message: Any) -> StateSpec:
        async def on_state(ctx: Any) -> Any:
            if ctx.msg == "a" and message is not None:
                ctx.send_message(message)
            return None

        return two(on_state)

    records = record(make(Ping(1)), lambda m: serve(m, (1, "a"), (1, "b")))
    same(records, make(Ping(1)))
    other, none = replay(records, make(Ping(2))), replay(records, make(None))

    assert (other.divergence.kind, other.divergence.where.rpartition("  ")[2]) == ("message", "ctx.send_message(message)")
    assert (none.divergence.kind, none.divergence.found) == ("message", "on_state of First answered None, and did not send it")


def test_what_a_task_of_a_handler_sends_comes_from_the_recording():
    """A message of a task that a handler started is not there twice."""

    def make() -> StateSpec:
        async def later(ctx: Any) -> None:
            await asyncio.sleep(1)
            ctx.send_message("late")

        async def on_state(ctx: Any) -> Any:
            if ctx.msg == "a":
                ctx.common.setdefault("seen", []).append(ctx.msg)
                tasks.append(asyncio.create_task(later(ctx)))
            return None

        return two(on_state)

    tasks: list[Any] = []
    records = record(make(), lambda m: serve(m, (1, "a")))
    replayed = make()
    assert [r.event for r in records].count("message") == 2
    execution = replay(records, replayed, common=dict)
    assert execution.ok, str(execution)


def test_handlers_that_their_deadline_cut():
    """A handler that hung is cut again, in a sleep, in a call and in a future that never comes; a late answer stands again."""

    def make(hang: Any) -> StateSpec:
        async def on_state(ctx: Any) -> Any:
            if ctx.msg is not None:
                return await hang(ctx)
            return None

        async def on_timeout(ctx: Any) -> Any:
            return E.LATE

        return two(on_state, on_timeout=on_timeout, timeout=3.0)

    async def sleep(ctx: Any) -> Any:
        await asyncio.sleep(100)

    async def call(ctx: Any) -> Any:
        await ctx.call("hang", asyncio.sleep, 100)

    async def never(ctx: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    async def late(ctx: Any) -> Any:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return E.ON

    for hang in (sleep, call, never, late):
        records = record(make(hang), lambda m: serve(m, (1, "a")))
        same(records, make(hang))


def test_handler_that_waits_for_what_is_not_recorded_is_named():
    """A replay does not hang where a handler waits for somebody who is not there."""
    answers: list[asyncio.Future[Any]] = []

    async def on_state(ctx: Any) -> Any:
        if ctx.msg is None:
            return None
        future = asyncio.get_running_loop().create_future()
        answers.append(future)
        await future
        return E.ON

    async def drive(machine: Any) -> None:
        asyncio.get_running_loop().call_later(2, lambda: answers[0].set_result(None))
        await serve(machine, (1, "a"))

    records = record(two(on_state), drive)
    found = replay(records, two(on_state)).divergence

    assert (found.kind, found.found) == ("waits", "a handler of First waits for something that is not in the recording")
    assert found.where.endswith("await future")
    assert "ctx.call" in found.advice


def test_cancelled_calls_and_callers_that_tick_on():
    """Ticks that were cancelled in a handler and in on_error_fn are again, and the machine goes on."""

    async def on_state(ctx: Any) -> Any:
        if ctx.common.setdefault("calls", 0) < 2:
            ctx.common["calls"] += 1
            await asyncio.sleep(5 if ctx.common["calls"] == 1 else 0)
            raise Boom
        return E.ON

    async def on_error(ctx: Any, error: Exception) -> Any:
        ctx.common["asked"] = ctx.common.get("asked", 0) + 1
        if ctx.common["asked"] == 1:
            await asyncio.sleep(5)
        return None

    async def drive(machine: Any) -> None:
        for seconds in (1, 6, None, None):
            task = asyncio.ensure_future(machine.tick())
            await asyncio.wait([task], timeout=seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    records = record(two(on_state), drive, on_error_fn=on_error)
    same(records, two(on_state), on_error_fn=on_error)


def test_on_error_fn_that_sends_after_the_last_retry_is_not_taken_for_cancelled():
    """Between the handler and what on_error_fn does first, one more fact was told: that no retry is left."""

    async def on_state(ctx: Any) -> Any:
        return Retry if ctx.msg == "go" else None

    async def on_error_fn(ctx: Any, _: Exception) -> Any:
        await asyncio.sleep(0)
        ctx.send_message("from on_error_fn")
        await asyncio.sleep(0.5)
        return E.ON

    options: dict[str, Any] = {"on_error_fn": on_error_fn}
    records = record(two(on_state, retries=0), lambda m: serve(m, (1, "go"), end=3), **options)
    execution = replay(records, two(on_state, retries=0), **options)

    assert execution.ok, str(execution)
    assert execution.path == ("First -> Last (E.ON)",)


def test_errors_go_where_they_went():
    """Raised to a caller who goes on, answered by on_error_fn, to the error state, and sent as messages."""

    async def on_state(ctx: Any) -> Any:
        if isinstance(ctx.msg, int):
            raise Boom(ctx.msg)
        return None

    def on_error(ctx: Any, error: Exception) -> Any:
        return E.BACK if error.args == (1,) else None

    async def drive(machine: Any) -> None:
        for message in (1, 2, Boom(1), Boom(3), "x"):
            machine.send_message(message)
            for _ in range(3):
                await asyncio.gather(machine.tick(), return_exceptions=True)

    records = record(two(on_state), drive, on_error_fn=on_error)
    same(records, two(on_state), on_error_fn=on_error)
    to_error_state = record(two(on_state), drive, error_state=waiting("Broken"))
    execution = same(to_error_state, two(on_state), error_state=waiting("Broken"))
    assert execution.state == "Broken"


def test_each_run_of_a_machine_that_was_reset():
    """A run after a reset, with messages numbered on and `common` kept, is replayed by itself."""

    async def on_state(ctx: Any) -> Any:
        if ctx.msg is not None:
            ctx.common["seen"] = ctx.common.get("seen", 0) + 1
            ctx.send_message("own") if ctx.msg == "a" else None
        return E.OUT if ctx.msg == "b" else None

    async def drive(machine: Any) -> None:
        await machine.initialize()
        for message in ("a", "c", "d"):
            machine.send_message(message)
        await machine.run(max_iterations=3, timeout=0)
        await machine.reset()
        machine.send_message("a")
        machine.send_message("b")
        await asyncio.gather(machine.run(timeout=0), return_exceptions=True)

    records = record(two(on_state), drive)
    runs = [[r for r in records if r.run_id == run_id] for run_id in dict.fromkeys(r.run_id for r in records)]

    assert len(runs) == 2
    for run in runs:
        same(run, two(on_state))


def test_messages_that_were_filtered_dropped_and_refused():
    """What never reached a handler is not missed, from outside and from handlers."""

    async def on_state(ctx: Any) -> Any:
        if ctx.msg == "fill":
            for number in range(4):
                ctx.send_message(f"own {number}")
        return None

    def keep_out(ctx: Any, message: Any) -> bool:
        return message in {"no", "own 1"}

    async def drive(machine: Any) -> None:
        await machine.initialize()
        for message in ("no", "x", "fill", "y", "z"):
            machine.send_message(message)
        await machine.run(timeout=0)

    for policy in ("drop_oldest", "drop_newest"):
        options: dict[str, Any] = {"filter_fn": keep_out, "max_queue_size": 3, "queue_overflow_policy": policy}
        same(record(two(on_state), drive, **options), two(on_state), **options)


def test_retries_with_chance_again_push_and_pop():
    """Delays that chance had a part in, loops of Again, and the stack, are the same."""

    async def on_state(ctx: Any) -> Any:
        if ctx.retry_count < 3:
            return Retry
        ctx.common["laps"] = ctx.common.get("laps", 0) + 1
        return Again if ctx.common["laps"] < 4 else Push(inner, first)

    async def inside(ctx: Any) -> Any:
        return Pop if ctx.msg is not None else None

    inner = state("Inner", inside, lambda: [Pop])
    first = state("Outer", on_state, lambda: [Push(inner, first)], retries=3, retry=RetryPolicy(base=1.0, factor=2.0, jitter=0.5))
    records = record(first, lambda m: serve(m, (20, "a"), end=25))

    execution = same(records, first)

    assert execution.path[-4:] == ("Outer -> Outer (again)", "Outer -> Inner (push)", "Inner -> Outer (pop)", "Outer -> Inner (push)")


@pytest.mark.parametrize("moment", [0.5, 1.5, 4.5, 6.0, 8.5])
def test_run_that_was_recorded_from_its_middle(moment: float):
    """A recorder that came late, while the machine waits, in a retry's delay, on a stack and inside a handler."""

    async def on_state(ctx: Any) -> Any:
        if ctx.msg == "retry":
            return Retry
        if ctx.msg == "slow":
            await asyncio.sleep(3)
        return E.ON if ctx.msg == "on" else None

    async def on_leave(ctx: Any) -> None:
        ctx.common["left"] = True

    async def below(ctx: Any) -> Any:
        return None if ctx.msg is None else Pop

    def make() -> StateSpec:
        last = state("Top", below, lambda: [Pop])
        first: StateSpec = state(
            "Bottom",
            on_state,
            lambda: [LabeledTransition(E.ON, Push(last, first))],
            on_leave=on_leave,
            retries=5,
            retry=RetryPolicy(base=2.0),
        )
        return first

    async def drive(machine: Any, recorder: Any) -> None:
        asyncio.get_running_loop().call_later(moment, machine.attach, recorder)
        await serve(machine, (1, "retry"), (4, "slow"), (7.5, "on"), (9, "pop"), (9.5, "on"), end=11)

    records = record(make(), drive, attach=False)
    execution = replay(records, make())

    assert records[0].attributes["septum.recording.resumed"] is True
    assert execution.ok, str(execution)
    assert execution.notes == ("the run began before it was recorded: ctx.common and the retry counts are as the first record has them",)


def _marker(name: str) -> Any:
    return {"again": Again, "retry": Retry, "repeat": Repeat, "restart": Restart, "pop": Pop, "none": None}.get(name)


@pytest.mark.parametrize("answer", ["on", "none", "push", "pop", "retry", "again", "repeat", "restart", "end", "raise", "hang"])
@pytest.mark.parametrize("leaves", [False, True], ids=["", "on_leave"])
def test_run_that_was_recorded_from_inside_a_handler(answer: str, leaves: bool):
    """Of the step that goes on when a recorder is attached only the rest is recorded; from the next call on all is replayed."""

    def make(attach: Any = None) -> StateSpec:
        async def on_state(ctx: Any) -> Any:
            if ctx.msg == "start":
                attach()
                if answer == "raise":
                    raise Boom
                if answer == "hang":
                    await asyncio.sleep(100)
                return {"on": E.ON, "end": E.OUT, "push": Push(other, first)}.get(answer, _marker(answer))
            return {"on": E.ON, "below": Push(other, first)}.get(ctx.msg)

        async def on_timeout(ctx: Any) -> Any:
            return E.LATE

        async def on_enter(ctx: Any) -> None:
            ctx.common["entered"] = ctx.common.get("entered", 0) + 1

        async def elsewhere(ctx: Any) -> Any:
            return E.BACK if ctx.msg == "on" else Pop if ctx.msg == "pop" else await on_state(ctx) if ctx.msg == "start" else None

        parts: dict[str, Any] = {"on_leave": on_enter, "on_enter": on_enter} if leaves else {}
        other = state("Other", elsewhere, lambda: [LabeledTransition(E.BACK, first), LabeledTransition(E.OUT, None), Pop], **parts)
        first: StateSpec = state(
            "First",
            on_state,
            lambda: [LabeledTransition(E.ON, other), LabeledTransition(E.LATE, other), LabeledTransition(E.OUT, None), Push(other, first)],
            on_timeout=on_timeout,
            timeout=20.0,
            retries=5,
            retry=RetryPolicy(base=2.0, jitter=0.5),
            **parts,
        )
        return first

    async def drive(machine: Any, recorder: Any) -> None:
        machines.append((machine, recorder))
        await machine.initialize()
        for message in ("below" if answer == "pop" else "x", "start"):
            machine.send_message(message)
        await asyncio.gather(machine.run(timeout=0), return_exceptions=True)
        for seconds in (1, 1, 20, 30):
            await asyncio.sleep(seconds)
            machine.send_message("on")
            await asyncio.gather(machine.run(timeout=0), return_exceptions=True)

    machines: list[Any] = []
    records = record(make(lambda: machines[0][0].attach(machines[0][1])), drive, attach=False)
    execution = replay(records, make())

    assert execution.ok, str(execution)
    assert (execution.calls > 0) == (answer != "end")


def test_gap_without_a_snapshot_stops_the_replay():
    """Missing records are named, with what was replayed before them."""
    initial = two(answer_first)
    records = record(initial, lambda m: serve(m, (1, "a"), (2, "b")))

    execution = replay([r for r in records if r.index not in {5, 6}], initial)

    assert (execution.verdict, execution.divergence.kind, execution.records) == ("incomplete", "gap", 4)
    assert execution.divergence.found == "records 5 to 6 are missing, and no snapshot comes after them"


def test_gap_is_passed_at_a_snapshot():
    """After a gap the replay goes on where a snapshot says where the machine is."""

    async def on_state(ctx: Any) -> Any:
        return None if ctx.msg is None else E.BACK

    async def drive(machine: Any) -> None:
        task = asyncio.ensure_future(serve(machine, (1, "a"), (2, "b"), (3, "c"), (4, "d")))
        await asyncio.sleep(2.5)
        machine.snapshot()
        await task

    records = record(two(on_state), drive)
    snapshot = next(r.index for r in records if r.event == "snapshot")
    execution = replay([r for r in records if not 4 <= r.index < snapshot - 1], two(on_state))

    assert execution.ok, str(execution)
    assert execution.notes == (f"records 4 to {snapshot - 2} are missing: went on at the snapshot in record {snapshot}",)
    assert execution.transitions == 2


@pytest.mark.parametrize(
    ("recorder", "message", "why", "advice"),
    [
        ({"level": "metadata"}, "a", "was not recorded", 'level="full"'),
        ({}, {"password": "s"}, "was redacted in part", 'redacted="use"'),
        ({}, object(), "cannot be made again", "encode="),
        ({"limits": Limits(payload=4)}, "a long text", "was too long to be recorded (13 bytes)", "limits="),
        ({"redact": lambda *_: __import__("septum.replay").replay.DROP}, "a", "was redacted as a whole", "redact="),
    ],
)
def test_value_that_was_not_kept_is_refused(recorder: dict[str, Any], message: Any, why: str, advice: str):
    """A replay that needs it stops, names the record and says what to do."""
    records = record(two(answer_first), lambda m: serve(m, (1, message)), recorder=recorder)
    execution = replay(records, two(answer_first), common=dict)

    place = next(r.index for r in records if r.event == "message")
    assert (execution.verdict, execution.divergence.kind, execution.divergence.index) == ("refused", "unreadable", place)
    assert execution.divergence.found.startswith(f"record {place}: its value {why}")
    assert advice in execution.divergence.advice


def test_redacted_values_are_used_if_that_is_wanted():
    """What no handler looks at need not be there."""
    records = record(two(answer_first), lambda m: serve(m, (1, {"password": "s"})))
    same(records, two(answer_first), redacted="use")


def test_other_definition_is_noted_and_replayed():
    """Another hash is no divergence by itself."""
    records = record(two(answer_first), lambda m: serve(m, (1, "a")))
    other = two(answer_first)
    other.config = replace(other.config, timeout=100.0)
    assert isinstance(other.config, StateConfiguration)

    execution = same(records, other)

    assert execution.notes[0].startswith("the definition is another than the recorded one")


def test_data_that_changed_otherwise_is_found():
    """What a handler leaves in `common` is compared, where it began with what was recorded."""

    def make(number: int) -> StateSpec:
        async def on_state(ctx: Any) -> Any:
            ctx.common["n"] = number
            return None if ctx.msg is None else E.ON

        return two(on_state)

    records = record(make(1), lambda m: serve(m, (1, "a")), common_data={"n": 0})
    same(records, make(1))
    same(records, make(1), common=lambda: {"n": 0})
    assert replay(records, make(2)).divergence.kind == "common"
    other = replay(records, make(2), common=lambda: {"m": 0})
    assert (other.ok, other.notes) == (True, ("ctx.common is another than the recorded one, and was not compared",))


def test_nobody_outside_hears_of_a_replay(caplog: pytest.LogCaptureFixture):
    """Installed hooks, the log and the program's logger are told nothing; the last lines of ctx.log are in the result."""

    class Spy(Hooks):
        def run_started(self, fact: Any, /) -> None:
            seen.append(fact)

    async def on_state(ctx: Any) -> Any:
        ctx.log("seen", what=ctx.msg)
        return None if ctx.msg is None else E.ON

    seen: list[Any] = []
    records = record(two(on_state), lambda m: serve(m, (1, "a")))
    spy = Spy()
    hooks.install(spy)
    caplog.set_level(logging.DEBUG, "septum")
    caplog.clear()
    try:
        execution = same(records, two(on_state))
    finally:
        hooks.uninstall(spy)

    assert (seen, caplog.records) == ([], [])
    assert execution.log == ("plays.First: seen what=None", "plays.First: seen what='a'")


def test_replay_where_an_event_loop_runs():
    """It is done in a thread of its own, and gives the same."""
    initial = two(answer_first)
    records = record(initial, lambda m: serve(m, (1, "a")))

    async def main() -> Any:
        return same(records, initial)

    assert asyncio.run(main()).transitions == 1


def test_target_may_be_a_machine_or_make_one():
    """A machine's options are taken, so that they need not be said again."""

    async def on_state(ctx: Any) -> Any:
        raise Boom

    def make() -> StateMachine[Any]:
        return StateMachine(two(on_state), error_state=waiting("Broken"))

    records = record(two(on_state), lambda m: serve(m, (1, "a")), error_state=waiting("Broken"))
    same(records, make)
    same(records, make())


def test_what_cannot_be_replayed_is_refused():
    """No records, runs from spans, machines that were started and things that are no state are errors that say what to give."""
    initial = two(answer_first)
    records = record(initial, lambda m: serve(m, (1, "a")))

    async def started() -> StateMachine[Any]:
        machine: StateMachine[Any] = StateMachine(initial)
        await machine.initialize()
        return machine

    class FromSpans:
        run_id, source = "r", "spans"

    for run, target, text in (
        ([], initial, "there are no records to replay"),
        (FromSpans(), initial, "run r was read from spans"),
        (records, asyncio.run(started()), "was started already"),
        (records, lambda: 3, "returned 3; it must return a septum.StateMachine"),
        (records, 3, "3 is no state, no machine and no function that makes one"),
    ):
        with pytest.raises(ReplayError) as caught:
            execute(run, target)  # type: ignore[arg-type]  # what is wrong is the point
        assert text in str(caught.value)


def test_recording_that_breaks_off_is_the_same_as_far_as_it_goes():
    """After the last record nobody knows more, and no handler is called any more than needed."""
    initial = two(answer_first)
    records = record(initial, lambda m: serve(m, (1, "a"), (2, "b")))
    for length in range(1, len(records)):
        assert replay(records[:length], initial).ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "line", "value"),
    [
        ("    seen = ctx.msg\n    return E.BACK if seen else None", "return E.BACK if seen else None", "'a'"),
        ("    seen = ctx.msg\n    return None if seen is None else E.ON if ctx.now() else E.OUT", "E.ON if ctx.now() else E.OUT", "'a'"),
        ("    seen = ctx.msg\n    if seen:\n        raise ValueError(seen)\n    return None", "raise ValueError(seen)", "'a'"),
    ],
)
def test_debugger_stops_in_the_handler(tmp_path: Path, changed: str, line: str, value: str):
    """--pdb opens where the handler answers, asks or raises otherwise, with its names at hand."""
    program = (
        "import sys\nfrom tests.replay.plays import E, record, serve, two\nfrom septum.replay import execute\n"
        "async def recorded(ctx):\n    return None if ctx.msg is None else E.ON\n"
        f"async def changed(ctx):\n{changed}\n"
        "records = record(two(recorded), lambda m: serve(m, (1, 'a')))\n"
        "print(execute(records, two(changed), pdb=True))\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        input="p 'looking at', seen\nw\nq\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )

    assert done.returncode == 0, done.stderr
    assert f"('looking at', {value})" in done.stdout
    assert line in done.stdout.partition("looking at")[0]
    assert "not the same" in done.stdout.rpartition("(Pdb)")[2]
