"""Recordings that no recorder wrote: a replay of one ends with a named error, or with a divergence, and does end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from septum import LabeledTransition, Pop, Push, Retry, RetryPolicy, SeptumError, StateSpec
from septum.replay import Record, ReplayError, emit_test, execute, what_if
from tests.replay.plays import Boom, E, record, replay, serve, state, two
from tests.replay.test_execute_segments import count, in_two_parts

WRONG = [None, 5, -1, "x", (), ("a",), 1e300, float("nan"), float("inf"), True, {"a": 1}, 1 << 70]


async def _answer(ctx: Any) -> Any:
    ctx.common["drawn"] = ctx.random.random()
    match ctx.msg:
        case "call":
            await ctx.call("charge", _charge)
        case "send":
            ctx.send_message("x")
        case "retry":
            return Retry
        case "push":
            return E.ON
        case "boom":
            raise Boom("b")
        case _:
            return None


async def _charge() -> int:
    return 1


def busy() -> StateSpec:
    """Return a machine that makes a record of each kind."""

    async def inside(ctx: Any) -> Any:
        return Pop if ctx.msg is not None else None

    async def late(ctx: Any) -> Any:
        return E.BACK

    inner = state("Inner", inside, lambda: [Pop])
    first: StateSpec = state(
        "First",
        _answer,
        lambda: [LabeledTransition(E.ON, Push(inner, first)), LabeledTransition(E.BACK, first)],
        timeout=10.0,
        on_timeout=late,
        retries=3,
        retry=RetryPolicy(base=1.0),
    )
    return first


def recorded() -> list[Record]:
    """Return what is recorded of it."""
    words = ("call", "send", "retry", "push", "pop", "boom")

    async def drive(machine: Any) -> None:
        try:
            await serve(machine, *[(1.0 + 2 * place, word) for place, word in enumerate(words)], end=30.0)
        except Boom:
            await serve(machine, end=15.0)

    return record(busy(), drive)


RUNS = [(recorded(), busy), (in_two_parts(), lambda: two(count, timeout=100.0))]
PLACES = [
    (run, place, key) for run, (records, _) in enumerate(RUNS) for place, each in enumerate(records) for key in sorted(each.attributes)
]


def broken(run: int, place: int, key: str, value: Any) -> list[Record]:
    """Return a run with one attribute changed; without it for "gone"."""
    records = list(RUNS[run][0])
    attributes = {name: known for name, known in records[place].attributes.items() if name != key}
    records[place] = records[place]._replace(attributes=attributes if value == "gone" else {**attributes, key: value})
    return records


def test_every_kind_of_record_is_there():
    """What is broken below is whole before."""
    assert {each.event for records, _ in RUNS for each in records} == {
        "start", "message", "taken", "dropped", "timer", "effect", "handler", "transition", "stack", "error", "snapshot", "end",
    }  # fmt: skip
    for records, make in RUNS:
        assert replay(records, make()).ok


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PLACES), st.sampled_from([*WRONG, "gone"]))
def test_wrong_attribute_ends_the_replay_with_an_error_or_a_divergence(where: tuple[int, int, str], value: Any):
    """Whatever stands in its place, or nothing: no other exception comes out, and it ends."""
    records = broken(*where, value)
    with suppress(SeptumError):
        assert replay(records, RUNS[where[0]][1]()).verdict in {"same", "diverged", "refused", "incomplete"}


@pytest.mark.parametrize(
    ("event", "key", "value", "why"),
    [
        ("effect", "septum.effect.kind", "gone", "has no septum.effect.kind: no recorder wrote it like that"),
        ("handler", "septum.handler.name", 5, "septum.handler.name is 5: no recorder wrote it like that"),
        ("message", "septum.message.id", "x", "septum.message.id is 'x': no recorder wrote it like that"),
        ("timer", "septum.timer.duration", float("nan"), "septum.timer.duration is nan: no recorder wrote it like that"),
        ("stack", "septum.stack.states", 3, "septum.stack.states is 3: no recorder wrote it like that"),
        (
            "start",
            "septum.recording.retries",
            ("First x",),
            "septum.recording.retries is a value of type tuple: no recorder wrote it like that",
        ),
    ],
)
def test_wrong_record_is_named_with_its_place(event: str, key: str, value: Any, why: str):
    """By execute, what_if and emit_test alike."""
    records, make = RUNS[0]
    place = next(place for place, each in enumerate(records) if each.event == event)
    wrong = broken(0, place, key, value)
    text = f"record {records[place].index} ({event})"
    for call in (
        lambda: execute(wrong, make(), allowed=[Boom, E], patience=0.0),
        lambda: what_if(wrong, make(), ["drop message 1"], allowed=[Boom, E], patience=0.0),
        lambda: emit_test(wrong, make(), None),
    ):
        with pytest.raises(ReplayError) as caught:
            call()
        assert text in str(caught.value)
        assert why in str(caught.value)
