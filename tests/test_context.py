"""The context that handlers are given, constructed without a machine to test them with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from septum import LoopClock, SharedContext


def make(**parts: Any) -> tuple[SharedContext[Any], list[Any]]:
    """Return a context and the list of what was sent and logged through it."""
    told: list[Any] = []

    def send(message: Any, **more: Any) -> str:
        told.append(("sent", message, more))
        return "queued"

    return SharedContext(**({"send_message": send, "log": told.append, "common": {"n": 1}} | parts)), told


def test_detached_context_calls_what_it_was_given() -> None:
    """Messages and texts reach the functions of the constructor; headers only if there are any."""
    ctx, told = make()
    assert [ctx.send_message("a"), ctx.send_message("b", headers={"k": "v"}), ctx.log("hello")] == ["queued", "queued", None]
    assert told == [("sent", "a", {}), ("sent", "b", {"headers": {"k": "v"}}), "hello"]


def test_detached_context_logs_one_text() -> None:
    """Each of the log's methods calls the function with the text and its fields, also in a class of a user."""
    ctx, told = make()
    ctx.log.warning("low", left=3)

    class Richer(SharedContext[Any]):
        pass

    Richer(print, told.append, None).log.debug("lower", left=2)
    assert told == ["low left=3", "lower left=2"]


def test_detached_context_takes_its_parts_by_position() -> None:
    """The order is send_message, log, common, msg; msg is None unless given."""
    ctx = SharedContext(print, print, [1], "m")
    assert (ctx.common, ctx.msg, SharedContext(print, print, 2).msg) == ([1], "m", None)


def test_detached_context_can_be_changed() -> None:
    """A test may set the next message and other shared data; the functions stay."""
    ctx, told = make()
    ctx.common = "new"
    ctx.msg = 5
    ctx.log("still")
    assert (ctx.common, ctx.msg, told, repr(ctx)) == ("new", 5, ["still"], "SharedContext(common='new', msg=5)")


def test_detached_context_is_a_shared_context() -> None:
    """It is one by isinstance, and takes no more attributes than a machine would."""
    ctx, _ = make()
    assert isinstance(ctx, SharedContext)
    with pytest.raises(AttributeError):
        ctx.extra = 1  # type: ignore[attr-defined]
    assert SharedContext.__slots__ == ("common", "msg")


def test_detached_context_is_in_no_machine() -> None:
    """No retries, no state, no machine; time and ids are real."""
    ctx, _ = make()
    before = LoopClock().now()
    assert (ctx.retry_count, ctx.state, ctx.machine_id) == (0, "", "")
    assert before <= ctx.now() <= LoopClock().now()
    assert (len(ctx.uuid()), ctx.uuid() == ctx.uuid()) == (36, False)
    assert ctx.random.randrange(1) == 0


def test_call_gives_back_what_the_function_returns() -> None:
    """A plain function's result and an async one's are the same to the handler; what it raises comes out."""
    ctx, _ = make()

    async def double(number: int) -> int:
        return number * 2

    def fail() -> None:
        raise KeyError("gone")

    assert asyncio.run(ctx.call("add", lambda a, b: a + b, 1, 2)) == 3
    assert asyncio.run(ctx.call("double", double, 4)) == 8
    with pytest.raises(KeyError, match="gone"):
        asyncio.run(ctx.call("fail", fail))


def test_subclass_of_a_user_is_constructed_alike() -> None:
    """A class of one's own keeps its type and its attributes."""

    class Richer(SharedContext[Any]):
        colour = "red"

    sent: list[Any] = []
    ctx = Richer(sent.append, print, {"n": 1}, "m")
    ctx.send_message("a")
    assert (type(ctx), ctx.colour, ctx.common, ctx.msg, sent) == (Richer, "red", {"n": 1}, "m", ["a"])


def test_bare_context_has_no_mailbox_and_no_log() -> None:
    """What only a machine or the constructor can give is refused, not ignored."""
    ctx = object.__new__(SharedContext)
    with pytest.raises(NotImplementedError):
        ctx.send_message("a")
    with pytest.raises(NotImplementedError):
        ctx.log("a")
