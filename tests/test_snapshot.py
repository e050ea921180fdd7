"""Snapshots as values and as text: what is written is read, and whatever is anything else is refused with its place."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import septum
from septum import Pop, Push, Retry, RetryPolicy, StateConfiguration, StateMachine
from septum._errors import BadSnapshot, SnapshotError
from septum._sealed import MOST_LEVELS, seal, unseal
from septum._snapshot import Snapshot
from septum.core import SeptumInternalMessage
from septum.testing import ManualClock, RecorderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = len('{"septum_snapshot":1,"sha256":"",') + 64


class Urgent(SeptumInternalMessage):
    """A message that goes before others."""


@septum.state(config=StateConfiguration(can_dwell=True, timeout=60.0))
def Desk() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Push(Work, Desk) if ctx.msg == "work" else None

    @septum.transitions
    def transitions():
        return [Push(Work, Desk)]


@septum.state(config=StateConfiguration(can_dwell=True, timeout=30.0, retries=3, retry=RetryPolicy(base=5.0, jitter=0.5)))
def Work() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Retry if ctx.msg == "again" else Pop if ctx.msg == "back" else None

    @septum.transitions
    def transitions():
        return [Pop, Retry, Away]


@septum.state(config=StateConfiguration(can_dwell=True))
def Away() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None

    @septum.transitions
    def transitions():
        return [Desk]


async def written() -> Snapshot:
    """Return the snapshot of a machine that has something of everything."""
    clock = ManualClock()
    fsm: StateMachine[Any] = StateMachine(Desk, common_data={"né": [1, 2.5, None]}, hooks=[RecorderHooks()], clock=clock, machine_id="m-1")
    fsm.random.seed(4)
    for message in ("work", "again"):
        fsm.send_message(message)
    await fsm.run(max_iterations=4, timeout=0)
    await clock.advance(1.25)
    fsm.send_message("back", headers={"traceparent": "00-1"})
    fsm.send_message(Urgent())
    fsm.send_message(ValueError("no", 3))
    return fsm.snapshot("deploy")


KEPT = asyncio.run(written())
TEXT = KEPT.to_json()
PLAIN = KEPT.to_plain()


def refused(text: str | bytes) -> str:
    """Return where *text* is refused."""
    with pytest.raises(BadSnapshot) as caught:
        Snapshot.from_json(text)
    assert str(caught.value).startswith("this is no snapshot that can be restored: ")
    assert caught.value.place in str(caught.value)
    return caught.value.place


# -- what is written is read


def test_snapshot_says_where_the_machine_is() -> None:
    """State, stage, stack, retry counts, deadline and mailbox are those of the machine, in order and in words."""
    fields = ("name", "machine_id", "state", "stage", "failed", "stack", "retries", "fired", "decided", "reason")
    assert {name: getattr(KEPT, name) for name in fields} == {
        "name": "Desk",
        "machine_id": "m-1",
        "state": Work.name,
        "stage": "delay",
        "failed": False,
        "stack": (Desk.name,),
        "retries": {Work.name: 1},
        "fired": False,
        "decided": None,
        "reason": "deploy",
    }
    assert [(message.priority, message.number, message.waited, message.headers) for message in KEPT.messages] == [
        (0, 3, 0.0, None),
        (1, 2, 0.0, None),
        (2, 1, 0.0, {"traceparent": "00-1"}),
    ]
    assert KEPT.deadline is not None
    assert 1.25 <= KEPT.deadline <= 6.25
    assert KEPT.taken_at == ManualClock().wall_ns() + 1_250_000_000


def test_text_is_read_as_what_was_written() -> None:
    """A snapshot is equal to what its text says, as text and as bytes."""
    assert (Snapshot.from_json(TEXT), Snapshot.from_json(TEXT.encode())) == (KEPT, KEPT)
    assert Snapshot.from_json(TEXT).to_json() == TEXT


def test_text_is_one_line_of_ascii_json() -> None:
    """The text is an object of JSON that begins with its format and its checksum, whatever characters the data has."""
    found = json.loads(TEXT)
    assert (list(found)[:2], found["septum_snapshot"], found["common"]) == (["septum_snapshot", "sha256"], 1, {"né": [1, 2.5, None]})
    assert TEXT.isascii()
    assert TEXT.isprintable()


plains = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), plains, min_size=1, max_size=4))
def test_unsealing_gives_what_was_sealed(value: dict[str, Any]) -> None:
    """Whatever JSON can hold comes back equal, lone surrogates and the largest floats too."""
    assert unseal(seal(value)) == value


def test_snapshot_is_frozen_and_shows_no_data() -> None:
    """Nothing can be set, and its repr, which may end in a log, does not tell what it holds."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        KEPT.state = "other"  # type: ignore[misc]
    assert repr(KEPT) == f"<snapshot of Desk in {Work.name}, delay, 3 messages>"


# -- what is anything else


def test_every_flipped_byte_is_found() -> None:
    """One bit of any byte: in a text, a number, a name or the checksum itself, the snapshot is refused."""
    chance = random.Random(7)
    data = bytearray(TEXT.encode())
    for place in range(len(data)):
        bit = 1 << chance.randrange(8)
        data[place] ^= bit
        refused(bytes(data))
        data[place] ^= bit
    assert bytes(data) == TEXT.encode()


@pytest.mark.slow
def test_every_bit_of_every_byte_is_watched() -> None:
    """So is each single bit of each byte, and a byte that became a quote, a space, a zero or all ones."""
    data = bytearray(TEXT.encode())
    for place, right in enumerate(data):
        for wrong in {right ^ 1 << bit for bit in range(8)} | {0, 255, *b'" '}:
            if wrong != right:
                data[place] = wrong
                with pytest.raises(BadSnapshot):
                    Snapshot.from_json(bytes(data))
        data[place] = right


@pytest.mark.slow
def test_every_truncation_doubling_and_insertion_is_found() -> None:
    """A text that lacks its end or one character, or has one twice or one more, is refused."""
    for place in range(len(TEXT)):
        for damaged in (
            TEXT[:place],
            TEXT[:place] + TEXT[place + 1 :],
            TEXT[:place] + " " + TEXT[place:],
            TEXT[: place + 1] + TEXT[place:],
        ):
            if damaged != TEXT:
                refused(damaged)
    for more in (" ", "\n", "}", "x"):
        refused(TEXT + more)
        refused(more + TEXT)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "byte 0"),
        ("{}", "byte 1"),
        ("null", "byte 0"),
        ('{"septum_snapshot":', "byte 19"),
        ('{"septum_snapshot":01,"sha256":"', "byte 19"),
        ('{"septum_snapshot":1,"sha257":"', "byte 27"),
        ('{"septum_snapshot":1,"sha256":"' + "a" * 63 + "A", "byte 94"),
        ('{"septum_snapshot":1,"sha256":"' + "a" * 64, "byte 95"),
        (TEXT.replace('"septum_snapshot":1', '"septum_snapshot":2'), "septum_snapshot"),
        (TEXT.replace('"deploy"', '"Deploy"'), "sha256"),
        (TEXT[:-1], f"byte {len(TEXT) - 1}"),
        (TEXT[: HEAD + 2] + "é" + TEXT[HEAD + 3 :], f"byte {HEAD + 2}"),
        ((TEXT[: HEAD + 2] + "é" + TEXT[HEAD + 3 :]).encode(), f"byte {HEAD + 2}"),
    ],
)
def test_place_of_the_damage_is_named(text: str | bytes, place: str) -> None:
    """The error says from which byte on the text is no snapshot, or that only the checksum tells."""
    assert refused(text) == place


@pytest.mark.parametrize("nothing", [None, 7, ["x"], {"septum_snapshot": 1}])
def test_what_is_no_text_is_refused(nothing: Any) -> None:
    """A value of another type is refused by name."""
    assert refused(nothing) == "the whole"


# -- what has a good checksum and is wrong all the same


def sealed(rest: str) -> str:
    """Return JSON text under a checksum that fits."""
    from septum._sealed import _digest

    return f'{{"septum_snapshot":1,"sha256":"{_digest(rest)}",{rest}'


@pytest.mark.parametrize(
    "rest",
    [
        '"a":NaN}',
        '"a":-Infinity}',
        '"a":1e999}',
        '"a":' + "9" * 5000 + "}",
        '"a":1,"a":2}',
        '"a":{"b":1,"c":2,"b":3}}',
        '"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        '"a":' + '{"a":' * 100_000 + "1" + "}" * 100_001,
        '"a":1}{}',
        "}",
        "",
    ],
    ids=lambda rest: rest[:12],
)
def test_json_that_no_machine_writes_is_refused(rest: str) -> None:
    """Numbers that are none, endless digits, twins and endless depth end in the named error, not in the parser's."""
    assert refused(sealed(rest)).startswith(("byte", "from byte", "snapshot"))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside *value*, and to itself."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from leaves(item, (*path, key))


def changed(path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of the plain snapshot with another value at the end of *path*."""
    copy: Any = json.loads(json.dumps(PLAIN))
    if not path:
        return new
    *way, last = path
    inner = copy
    for key in way:
        inner = inner[key]
    inner[last] = new
    return copy


HOSTILE: list[Any] = [None, True, -1, 0, 1, 2**63, 10**40, 1e308, -0.5, "", "x" * 1000, [], {}, [[]], {"$": "error"}, {"$": "data"}]
PLACES = list(leaves(PLAIN))


async def use(plain: Any) -> None:
    """Restore what *plain* says and drive the machine that comes of it."""
    text = seal(plain)
    kept = Snapshot.from_json(text)
    fsm = await StateMachine[Any].restore(kept, Desk, clock=ManualClock(), classes=[Urgent])
    for _ in range(2):
        # The exception that was sent comes out again.
        with suppress(ValueError, septum.StateMachineComplete):
            await fsm.run(max_iterations=3, timeout=0)
        stats = fsm.stats()
        assert stats.accepted == stats.handled + stats.unhandled + sum(stats.dropped.values()) + stats.filtered + stats.pending


@pytest.mark.slow
def test_wrong_values_are_refused_or_make_a_whole_machine() -> None:
    """Each value in turn is made something hostile: the snapshot is refused by a named error, or the machine works and its law holds."""
    refusals = 0
    for path in PLACES:
        for value in HOSTILE:
            plain = changed(path, value)
            if type(plain) is not dict or not plain:
                continue
            try:
                asyncio.run(use(plain))
            except SnapshotError:
                refusals += 1
    assert refusals > len(PLACES) * len(HOSTILE) // 2


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(PLACES[1:]), plains)
def test_random_values_are_refused_or_make_a_whole_machine(path: tuple[Any, ...], value: Any) -> None:
    """So is each value made anything that JSON can hold."""
    with suppress(SnapshotError):
        asyncio.run(use(changed(path, value)))


@pytest.mark.parametrize("path", [path for path in PLACES if path and path[0] != "common" and isinstance(path[-1], str)], ids=str)
def test_each_field_is_needed_and_no_other_is_known(path: tuple[Any, ...]) -> None:
    """A snapshot without one of its fields, or with one more, is refused with the field's name."""
    if path[:-1] == ("trace", "kept") or path[:1] == ("retries",) or "headers" in path[:-1] or "message" in path[:-1]:
        return
    copy: Any = json.loads(json.dumps(PLAIN))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    value = inner.pop(path[-1])
    assert refused(seal(copy)).endswith(f".{path[-1]}")
    inner[path[-1]] = value
    inner["surplus"] = 1
    assert refused(seal(copy)).endswith(".surplus")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda plain: plain.update(stage="leave"), "snapshot.decided"),
        (lambda plain: plain.update(deadline=None), "snapshot.deadline"),
        (lambda plain: plain.update(fired=True), "snapshot.fired"),
        (lambda plain: plain.update(stage="fresh"), "snapshot.counts.visits"),
        (lambda plain: plain.update(stage="nowhere"), "snapshot.stage"),
        (lambda plain: plain["retries"].update({Work.name: 0}), "snapshot.retries"),
        (lambda plain: plain["counts"].update(visits=0), "snapshot.counts.visits"),
        (lambda plain: plain["counts"].update(before=99), "snapshot.counts.before"),
        (lambda plain: plain["counts"].update(entries=99), "snapshot.counts.entries"),
        (lambda plain: plain["counts"].update(unhandled=99), "snapshot.counts.unhandled"),
        (lambda plain: plain["counts"].update(accepted=4), "snapshot.counts.accepted"),
        (lambda plain: plain["messages"].reverse(), "snapshot.messages"),
        (lambda plain: plain["messages"][0].update(waited="long"), "snapshot.messages[0].waited"),
        (lambda plain: plain["trace"]["kept"].update(a=1), "snapshot.trace.kept['a']"),
        (lambda plain: plain.update(trace=[]), "snapshot.trace"),
        (lambda plain: plain.update(retries=[]), "snapshot.retries"),
        (lambda plain: plain.update(stack={}), "snapshot.stack"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(change: Callable[[Any], Any], place: str) -> None:
    """What no machine can be is refused, though each field by itself might be so."""
    copy = json.loads(json.dumps(PLAIN))
    change(copy)
    assert refused(seal(copy)) == place


@pytest.mark.parametrize(
    ("decided", "place"),
    [
        ({"kind": "end", "target": "x"}, "snapshot.decided.target"),
        ({"kind": "pop", "target": "x"}, "snapshot.decided.target"),
        ({"kind": "retry", "target": "x"}, "snapshot.decided.target"),
        ({"kind": "label", "target": None}, "snapshot.decided.target"),
        ({"kind": "wait", "target": None}, "snapshot.decided.kind"),
    ],
)
def test_decision_that_leads_nowhere_is_refused(decided: dict[str, Any], place: str) -> None:
    """What was decided before on_leave must be a move that can be made."""
    plain = changed(("stage",), "leave")
    plain["decided"] = {"label": None, "below": [], "outcome": "transition", "exception": None, **decided}
    assert refused(seal(plain)) == place


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("chance",), "", "snapshot.chance"),
        (("chance",), "?", "snapshot.chance"),
        (("chance",), "A" * 3344, "snapshot.chance"),
        (("messages", 0, "message"), "text", "snapshot.messages[0].priority"),
        (("messages", 2, "message"), None, "snapshot.messages[2].priority"),
        (("messages", 2, "priority"), 3, "snapshot.messages[2].priority"),
        (("messages", 2, "headers"), {"$": "nothing"}, "snapshot.messages[2].headers"),
        (("common",), {"$": "data", "t": "os:system", "v": {}}, "snapshot.common"),
    ],
)
def test_contents_that_cannot_be_made_are_refused(path: tuple[Any, ...], value: Any, place: str) -> None:
    """What is plain, but stands for nothing that a machine has there, is refused before there is a machine."""
    with pytest.raises(BadSnapshot) as caught:
        asyncio.run(use(changed(path, value)))
    assert caught.value.place == place


def test_depth_beyond_every_machine_is_refused_wherever_it_is_asked() -> None:
    """Values too deep for JSON, or for the stack that is left, are refused by the named error."""
    deep: Any = 1
    for _ in range(MOST_LEVELS + 1):
        deep = [deep]
    with pytest.raises(BadSnapshot, match="levels of lists"):
        KEPT.replace(common=deep)

    def dive(levels: int) -> Any:
        return dive(levels - 1) if levels else KEPT.replace(common=deep[0])

    with pytest.raises(BadSnapshot, match="too deep"):
        dive(700)


@pytest.mark.parametrize("value", [object(), float("nan"), 10**5000, {1: 2}, b"", (1,)], ids=lambda value: type(value).__name__)
def test_a_replaced_value_must_be_plain(value: Any) -> None:
    """What a migration puts into `common` is what JSON can hold, and nothing else."""
    with pytest.raises(BadSnapshot) as caught:
        KEPT.replace(common=[value])
    assert caught.value.place.startswith("snapshot.common")
