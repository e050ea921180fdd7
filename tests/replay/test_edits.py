"""`what_if`: the same run with something changed, and where its path parts from the recorded one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from septum import LabeledTransition, Retry, StateSpec
from septum.replay import (
    BadEdit,
    ChangeMessage,
    DropMessage,
    InsertMessage,
    Move,
    MoveMessage,
    Payload,
    Place,
    SetError,
    SetResult,
    SetRetries,
    SetTimeout,
    parse_edit,
    what_if,
)
from tests.replay.plays import Boom, E, Ping, record, serve, state, two, waiting


def test_handler_that_raises_beyond_the_recording_ends_the_answer():
    """Nobody knows whether its caller would have gone on, where none did then."""

    async def on_state(ctx: Any) -> Any:
        if ctx.msg == "bad":
            raise Boom("no good")
        return E.ON if ctx.msg == "on" else None

    records = record(two(on_state), lambda m: serve(m, (1, "a"), (2, "on"), end=4))
    answer = what_if(records, two(on_state), ['change message 1 to "bad"'])

    assert answer.replayed == ()
    assert answer.ended == "raised tests.replay.plays.Boom in First: no good"


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("drop message 3", DropMessage(3)),
        ("  drop   message 12 ", DropMessage(12)),
        ('change message 3 to {"n": [1, 2]}', ChangeMessage(3, Payload({"n": [1, 2]}))),
        ('change message 3 to "GO" as app.words:Go', ChangeMessage(3, Payload("GO", "app.words:Go"))),
        ("insert message 1.5 before message 3", InsertMessage(Payload(1.5), Place(3))),
        ("insert message [1] after 3", InsertMessage(Payload([1]), Place(3, after=True))),
        ('insert message {"a": "b as c"} as m:C at 2.5s', InsertMessage(Payload({"a": "b as c"}, "m:C"), Place(at=2.5))),
        ("move message 5 before message 3", MoveMessage(5, Place(3))),
        ("move message 5 to 0.25 s", MoveMessage(5, Place(at=0.25))),
        ("retries Fetching=5", SetRetries("Fetching", 5)),
        ("retries app.states.Fetching = none", SetRetries("app.states.Fetching", None)),
        ("timeout Waiting=10", SetTimeout("Waiting", 10.0)),
        ("timeout Waiting=1.5s", SetTimeout("Waiting", 1.5)),
        ("timeout Waiting=none", SetTimeout("Waiting", None)),
        ('result charge={"id": 1}', SetResult("charge", Payload({"id": 1}))),
        ("result charge#2=null", SetResult("charge", Payload(None), 2)),
        ("raise charge=TimeoutError", SetError("charge", "TimeoutError")),
        ("raise charge#1=app.errors:Declined: no money: none", SetError("charge", "app.errors:Declined", "no money: none", 1)),
    ],
)
def test_edit_is_read_and_written_back(text: str, edit: Any):
    """Each form of the text gives the edit, and the edit's own text gives it again."""
    assert parse_edit(text) == edit
    assert parse_edit(str(edit)) == edit


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("drop it", "cannot read the edit 'drop it'. Write one of:\n  drop message 3"),
        ("change message 3 to paid", "'paid' is no JSON"),
        ("retries A=many", "retries must be a whole number or none, not 'many'"),
        ("timeout A=soon", "a timeout must be a number of seconds or none, not 'soon'"),
    ],
)
def test_edit_that_means_nothing_is_refused(text: str, why: str):
    """The error says what is wrong, or how edits are written."""
    with pytest.raises(BadEdit) as caught:
        parse_edit(text)
    assert why in str(caught.value)


def order(calls: list[str] | None = None) -> StateSpec:
    """Return a machine that asks for a price, waits 5 s to be paid, and is retried."""

    async def price(what: str) -> int:
        await asyncio.sleep(1)
        if calls is not None:
            calls.append(what)
        return 10

    async def open_(ctx: Any) -> Any:
        if ctx.msg is None:
            return None
        if ctx.msg == "hurry" and ctx.retry_count < 9:
            return Retry
        return E.ON if await ctx.call("price", price, "tea") < 20 else E.OUT

    async def pay(ctx: Any) -> Any:
        return E.ON if isinstance(ctx.msg, Ping) and ctx.msg.number == 10 else None

    async def late(ctx: Any) -> Any:
        return E.LATE

    async def fail(ctx: Any) -> Any:
        return E.OUT

    paid, gone = waiting("Paid"), waiting("Gone")
    paying = state("Paying", pay, lambda: [LabeledTransition(E.ON, paid), LabeledTransition(E.LATE, gone)], timeout=5.0, on_timeout=late)
    return state(
        "Open",
        open_,
        lambda: [LabeledTransition(E.ON, paying), LabeledTransition(E.OUT, None), Retry],
        retries=2,
        on_fail=fail,
    )


ASK = Move(2_000_000_000, "Open", "Paying", "E.ON", "label", "message 1 (str)")
GONE = Move(7_000_000_000, "Paying", "Gone", "E.LATE", "label", "timeout")
IN_PAID = "was in Paid when the recording ended, after 9 s"
PAID = ("Paying", "Paid", "E.ON", "label")
OUT = ("Open", None, "E.OUT", "end")


def late_payment() -> list[Any]:
    """Return the recording of an order whose payment came half a second after the timeout."""
    return record(order(), lambda m: serve(m, (1, "order"), (3, Ping(1)), (7.5, Ping(10)), end=9))


def ask(edits: list[Any], **options: Any) -> Any:
    calls: list[str] = []
    answer = what_if(late_payment(), order(calls), edits, **{"allowed": [Boom, E, Ping], "patience": 0.0, **options})
    assert calls == [], "nothing is called in a replay"
    assert answer.recorded == (ASK, GONE)
    return answer


def test_without_edits_the_path_is_the_same():
    """Nothing changed is nothing parted."""
    answer = ask([])

    assert (answer.replayed, answer.parts_at, answer.ended) == ((ASK, GONE), None, "stopped in Gone")
    assert str(answer).splitlines()[-2:] == ["The path is the same: 2 transitions.", "ended: stopped in Gone"]


@pytest.mark.parametrize(
    ("edit", "moves", "parts_at", "ended"),
    [
        ("timeout Paying=10", [ASK, (7.5, *PAID, "message 3 (Ping)")], 1, IN_PAID),
        (SetTimeout("Paying", None), [ASK, (7.5, *PAID, "message 3 (Ping)")], 1, IN_PAID),
        ("timeout Paying=1", [ASK, (3.0, *GONE[1:])], None, "was in Gone when the recording ended, after 9 s"),
        ("move message 3 before message 2", [ASK, (3.0, *PAID, "message 3 (Ping)")], 1, IN_PAID),
        ("move message 3 to 4s", [ASK, (4.0, *PAID, "message 3 (Ping)")], 1, IN_PAID),
        (
            'change message 2 to {"number": 10}',
            [ASK, (3.0, *PAID, "message 2 (Ping)")],
            1,
            IN_PAID,
        ),
        (ChangeMessage(2, Ping(10)), [ASK, (3.0, *PAID, "message 2 (Ping)")], 1, IN_PAID),
        (
            'insert message {"number": 10} as tests.replay.plays:Ping after message 1',
            [ASK, (2.0, *PAID, "message 4 (Ping)")],
            1,
            IN_PAID,
        ),
        (
            InsertMessage(Ping(10), Place(at=6.0)),
            [ASK, (6.0, *PAID, "message 4 (Ping)")],
            1,
            IN_PAID,
        ),
        (
            "drop message 1",
            [(4.0, "Open", "Paying", "E.ON", "label", "message 2 (Ping)"), (7.5, *PAID, "message 3 (Ping)")],
            1,
            IN_PAID,
        ),
        ("drop message 2", [ASK, GONE], None, "was in Gone when the recording ended, after 9 s"),
        ("result price=30", [(2.0, *OUT, "message 1 (str)")], 0, "completed in Open"),
        ("result price#1=30", [(2.0, *OUT, "message 1 (str)")], 0, "completed in Open"),
    ],
)
def test_edit_changes_the_path(edit: Any, moves: list[Any], parts_at: int | None, ended: str):
    """Each edit leads where it must; times go on from where the recording no longer leads."""
    answer = ask([edit])

    expected = tuple(move if isinstance(move, Move) else _move(*move) for move in moves)
    assert (answer.replayed, answer.parts_at, answer.ended) == (expected, parts_at, ended)
    assert answer.recorded_end == "stopped in Gone"


def _move(seconds: float, *rest: Any) -> Move:
    at = seconds if isinstance(seconds, int) else round(seconds * 1e9)
    return Move(at, *rest)


def test_call_that_raises_instead():
    """An exception in place of a result goes where exceptions go, and the caller is told."""
    answer = ask(["raise price=TimeoutError: no answer"])
    assert (answer.replayed, answer.parts_at) == ((), 0)
    assert answer.ended == "raised TimeoutError in Open: no answer"
    mine = ask([SetError("price", Boom(1)), "drop message 2"])
    assert mine.edits == ("raise price=Boom(1)", "drop message 2")


def test_path_that_asks_what_was_never_asked_ends_there():
    """It says so, and how to give an answer; with the answer it goes on."""

    async def on_state(ctx: Any) -> Any:
        if ctx.msg == "ask":
            await ctx.call("price", asyncio.sleep, 0.5)
        return E.BACK if ctx.msg == "ask" else None

    records = record(two(on_state), lambda m: serve(m, (1, "ask"), end=3))
    unpriced = what_if(records, two(on_state), ['insert message "ask" at 2 s'], patience=0.0)

    assert unpriced.ended.startswith("cannot go on in First: ctx.call('price') has no recorded result left")
    priced = ask(["result price=5", 'insert message "again" before message 1'])
    assert priced.replayed[0] == _move(2.0, "Open", "Paying", "E.ON", "label", "message 4 (str)")


def test_other_limit_of_retries():
    """With fewer retries on_fail decides earlier, with more it does not."""
    records = record(order(), lambda m: serve(m, (1, "hurry"), (2, "hurry"), (3, "hurry"), end=5))
    fewer = what_if(records, order(), ["retries Open=1"], patience=0.0)
    more = what_if(records, order(), [SetRetries("Open", 5)], patience=0.0)

    assert [move.kind for move in fewer.recorded] == ["retry", "retry", "end"]
    assert ([move.kind for move in fewer.replayed], fewer.parts_at, fewer.ended) == (["retry", "end"], 1, "completed in Open")
    assert ([move.kind for move in more.replayed], more.parts_at) == (["retry", "retry", "retry"], 2)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ("drop message 9", "there is no message 9 from outside in this run; there are: 1, 2, 3"),
        ("move message 1 before message 9", "there is no message 9 from outside"),
        ("result cost=1", "there is no call of 'cost' in this run; calls: price"),
        ("result price#2=1", "there is 1 calls of 'price'"),
        ("retries Closed=1", "there is no state 'Closed'"),
        ('change message 2 to {"number": 1} as tests.replay.plays:Pong', "no class 'tests.replay.plays:Pong'"),
        ('change message 2 to {"size": 1} as tests.replay.plays:Ping', "no tests.replay.plays:Ping can be made of it: TypeError"),
        ("raise price=tests.replay.plays:Ping", "is no exception"),
    ],
)
def test_edit_that_fits_nothing_is_refused(edit: str, why: str):
    """What is not in the run, or cannot be made, is named with what there is."""
    with pytest.raises(BadEdit) as caught:
        ask([edit])
    assert why in str(caught.value)


def test_message_of_a_handler_is_not_edited():
    """What a handler sends comes from the handler."""

    async def on_state(ctx: Any) -> Any:
        ctx.send_message("own") if ctx.msg == "a" else None
        return None

    records = record(two(on_state), lambda m: serve(m, (1, "a")))
    with pytest.raises(BadEdit) as caught:
        what_if(records, two(on_state), ["drop message 2"])
    assert "was sent by a handler of the machine" in str(caught.value)


def test_states_of_other_machines_keep_their_limits():
    """Edited limits are those of the replay alone."""
    initial = order()
    records = record(initial, lambda m: serve(m, (1, "order"), end=9))
    what_if(records, initial, ["timeout Paying=1", "retries Open=7"], patience=0.0)

    paths = [what_if(record(initial, lambda m: serve(m, (1, "order"), end=9)), initial, [], patience=0.0).recorded for _ in range(2)]
    assert paths[0] == paths[1] == (ASK, GONE)


def test_paths_side_by_side():
    """The text shows what is the same, marks where both part, and how each ended."""
    text = str(ask(["timeout Paying=10"]))

    assert text.splitlines()[1:] == [
        "what if: timeout Paying=10",
        "       recorded                                                |  with the edits",
        "    1      2.000 s  Open -> Paying (E.ON), by message 1 (str)  |  the same",
        "   >2      7.000 s  Paying -> Gone (E.LATE), by timeout        |      7.500 s  Paying -> Paid (E.ON), by message 3 (Ping)",
        "  end  stopped in Gone                                         |  was in Paid when the recording ended, after 9 s",
    ]


def test_answer_as_json():
    """Everything in it is plain data."""
    answer = ask(["timeout Paying=10"]).to_dict()

    assert (answer["parts_at"], answer["edits"]) == (1, ["timeout Paying=10"])
    assert answer["replayed"][1] == {
        "at": 7_500_000_000,
        "source": "Paying",
        "target": "Paid",
        "label": "E.ON",
        "kind": "label",
        "cause": "message 3 (Ping)",
    }
