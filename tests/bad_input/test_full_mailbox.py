"""A full mailbox under each policy, and messages to a machine that is not there any more: refused or dropped, always accounted for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from septum import MailboxFull, StateConfiguration, StateMachine, StateMachineComplete, StateSpec
from septum.core import SeptumInternalMessage
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import ledger, lines, run


class Note(SeptumInternalMessage):
    """An internal message."""

    def __repr__(self) -> str:
        return "Note()"


class Bang(Exception):
    """An exception that is sent."""


def machine(policy: Any, size: int = 2, **more: Any) -> StateMachine[Any]:
    """Return a machine whose one state dwells and keeps its messages; "end" ends it."""

    def on_state(ctx: Any) -> Any:
        ctx.common.append(ctx.msg)
        return End if ctx.msg == "end" else None

    End = StateSpec(name="full.End", qualname="End", on_state=lambda ctx: None, config=StateConfiguration(terminal=True))
    A = StateSpec(name="full.A", qualname="A", on_state=on_state, config=StateConfiguration(can_dwell=True), transitions=lambda: [End])
    return StateMachine(A, size, policy, common_data=[], clock=ManualClock(), **more)


async def empties(fsm: StateMachine[Any], *expected: Any) -> None:
    """What is in the mailbox arrives in this order, and nothing else."""
    await fsm.run(timeout=0)
    assert [message for message in fsm.context.common if message is not None] == list(expected)


@pytest.mark.parametrize("policy", ["block", "fail"])
def test_full_mailbox_refuses_and_keeps_its_messages(policy: str) -> None:
    """MailboxFull changes nothing but the count of rejected ones, and says what to do."""

    async def main() -> None:
        recorder = RecorderHooks()
        fsm = machine(policy, hooks=[recorder])
        await fsm.tick()
        assert (fsm.send_message("a"), fsm.send_message("b")) == (True, True)
        lines(recorder)
        fix = "send_message_async" if policy == "block" else "drop_oldest"
        for message in ("c", Note(), Bang()):
            with pytest.raises(MailboxFull, match=fix) as caught:
                fsm.send_message(message)
            assert (caught.value.limit, caught.value.policy) == (2, policy)
        assert lines(recorder) == [
            "message_dropped message=c reason=rejected number=0",
            "message_dropped message=Note() reason=rejected number=0",
            "message_dropped message=Bang reason=rejected number=0",
        ]
        assert ledger(fsm) == {"accepted": 2, "pending": 2, "rejected": 3}
        await empties(fsm, "a", "b")
        assert ledger(fsm) == {"accepted": 2, "handled": 2, "rejected": 3}

    run(main())


def test_full_mailbox_that_fails_refuses_the_async_sender_too() -> None:
    """Under "fail" send_message_async does not wait."""

    async def main() -> None:
        fsm = machine("fail", 1)
        await fsm.send_message_async("a")
        with pytest.raises(MailboxFull):
            await fsm.send_message_async("b")
        await empties(fsm, "a")
        assert ledger(fsm) == {"accepted": 1, "handled": 1, "rejected": 1}

    run(main())


def test_full_mailbox_that_blocks_lets_async_senders_in_in_order() -> None:
    """Senders wait for room and come in first come, first served; each is accepted once, when it is in."""

    async def main() -> None:
        fsm = machine("block", 1)
        senders = []
        for message in "abcd":
            senders.append(asyncio.create_task(fsm.send_message_async(message)))
            await settle()
        assert ([sender.done() for sender in senders], fsm.queue_depth) == ([True, False, False, False], 1)
        ledger(fsm)
        for _ in range(4):
            await fsm.tick()
            await settle()
            ledger(fsm)
        assert await asyncio.gather(*senders) == [True] * 4
        await empties(fsm, *"abcd")
        assert ledger(fsm) == {"accepted": 4, "handled": 4}

    run(main())


def test_full_mailbox_that_blocks_forgets_a_cancelled_sender() -> None:
    """A sender that was cancelled while it waited has sent nothing, also when it was about to come in; the next one gets its room."""

    async def main() -> None:
        fsm = machine("block", 1)
        await fsm.send_message_async("a")
        senders = []
        for message in "bcd":
            senders.append(asyncio.create_task(fsm.send_message_async(message)))
            await settle()
        senders[0].cancel()
        await settle()
        await fsm.tick()
        # The room was promised to "c"; cancelled before it runs, it passes the room on.
        senders[1].cancel()
        await settle()
        assert [sender.cancelled() for sender in senders] == [True, True, False]
        await fsm.run(timeout=0)
        await settle()
        assert await senders[2] is True
        await empties(fsm, "a", "d")
        assert ledger(fsm) == {"accepted": 2, "handled": 2}

    run(main())


def test_full_mailbox_drops_the_newest() -> None:
    """The message that finds no room is accepted and dropped, whatever it is; the call says False."""

    async def main() -> None:
        recorder = RecorderHooks()
        fsm = machine("drop_newest", hooks=[recorder])
        await fsm.tick()
        lines(recorder)
        assert [fsm.send_message(message) for message in ("a", "b", "c", Note(), Bang())] == [True, True, False, False, False]
        assert await fsm.send_message_async("d") is False
        assert lines(recorder)[2:] == [
            "message_dropped message=c reason=overflow_newest number=0",
            "message_dropped message=Note() reason=overflow_newest number=0",
            "message_dropped message=Bang reason=overflow_newest number=0",
            "message_dropped message=d reason=overflow_newest number=0",
        ]
        await empties(fsm, "a", "b")
        assert ledger(fsm) == {"accepted": 6, "handled": 2, "overflow_newest": 4}

    run(main())


def test_full_mailbox_drops_the_oldest_message_of_a_user() -> None:
    """Exceptions and internal messages are never dropped for another; with only those inside, the new one is dropped."""

    async def main() -> None:
        recorder = RecorderHooks()
        fsm = machine("drop_oldest", hooks=[recorder])
        await fsm.tick()
        note, second, bang = Note(), Note(), Bang()
        lines(recorder)
        assert [fsm.send_message(message) for message in ("a", "b", "c", note, second, "d", bang)] == [True] * 5 + [False, False]
        assert lines(recorder) == [
            "message_queued message=a priority=2 depth=1 number=1 headers=None",
            "message_queued message=b priority=2 depth=2 number=2 headers=None",
            "message_dropped message=a reason=overflow_oldest number=1",
            "message_queued message=c priority=2 depth=2 number=3 headers=None",
            "message_dropped message=b reason=overflow_oldest number=2",
            "message_queued message=Note() priority=1 depth=2 number=4 headers=None",
            "message_dropped message=c reason=overflow_oldest number=3",
            "message_queued message=Note() priority=1 depth=2 number=5 headers=None",
            "message_dropped message=d reason=overflow_newest number=0",
            "message_dropped message=Bang reason=overflow_newest number=0",
        ]
        await empties(fsm, note, second)
        assert ledger(fsm) == {"accepted": 7, "handled": 2, "overflow_oldest": 3, "overflow_newest": 2}

    run(main())


def test_priorities_go_before_age() -> None:
    """Exceptions before internal messages before the users', the oldest first within each."""

    async def main() -> None:
        fsm = machine("block", 100)
        await fsm.tick()
        note, other = Note(), Note()
        for message in ("a", note, "b", Bang("1"), other, Bang("2")):
            fsm.send_message(message)
        for text in "12":
            with pytest.raises(Bang, match=text):
                await fsm.tick()
        await empties(fsm, note, other, "a", "b")
        assert ledger(fsm) == {"accepted": 6, "handled": 6}

    run(main())


@pytest.mark.parametrize("policy", ["block", "fail", "drop_newest", "drop_oldest"])
def test_message_after_completion_is_dropped_and_said(policy: str) -> None:
    """Every way to send answers False, is told as closed and counted; what was pending stays until reset."""

    async def main() -> None:
        recorder = RecorderHooks()
        fsm = machine(policy, 3, hooks=[recorder])
        for message in ("end", "left"):
            fsm.send_message(message)
        with pytest.raises(StateMachineComplete):
            await fsm.run()
        lines(recorder)
        assert (fsm.send_message("a"), await fsm.send_message_async("b"), fsm.send_message(Bang())) == (False, False, False)
        fsm.send_message_threadsafe("c")
        await settle()
        assert lines(recorder) == [f"message_dropped message={message} reason=closed number=0" for message in ("a", "b", "Bang", "c")]
        assert ledger(fsm) == {"accepted": 6, "handled": 1, "pending": 1, "closed": 4}
        for call in (fsm.tick, fsm.run):
            with pytest.raises(StateMachineComplete):
                await call()
        await fsm.reset()
        assert ledger(fsm) == {"accepted": 6, "handled": 1, "closed": 5}
        assert fsm.send_message("again") is True
        await fsm.tick()
        assert fsm.context.common == [None, "end", None, "again"]
        assert ledger(fsm) == {"accepted": 7, "handled": 2, "closed": 5}

    run(main())


@pytest.mark.parametrize("end", ["completion", "close", "reset"])
def test_senders_that_wait_for_room_do_not_outlive_the_run(end: str) -> None:
    """Whoever waits for room when the machine ends is let go: dropped as closed, or, after a reset, let in."""

    async def main() -> None:
        fsm = machine("block", 1)
        async with fsm:
            fsm.send_message("end" if end == "completion" else "a")
            senders = [asyncio.create_task(fsm.send_message_async(message)) for message in "bcd"]
            await settle()
            if end == "completion":
                with pytest.raises(StateMachineComplete):
                    await fsm.run(timeout=0)
            elif end == "reset":
                await fsm.reset()
                await settle()
                for _ in range(5):
                    await fsm.tick()
                    await settle()
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*senders)
        books = ledger(fsm)
        assert books["accepted"] == 4
        if end == "reset":
            assert (answers, [m for m in fsm.context.common if m]) == ([True] * 3, ["b", "c", "d"])
        else:
            assert answers.count(False) >= 2

    run(main())


def test_messages_sent_before_the_first_tick_wait() -> None:
    """A machine takes messages before it is initialised and handles them in order."""

    async def main() -> None:
        fsm = machine("block", 2)
        assert (fsm.send_message("a"), fsm.send_message("b")) == (True, True)
        with pytest.raises(MailboxFull):
            fsm.send_message("c")
        assert ledger(fsm) == {"accepted": 2, "pending": 2, "rejected": 1}
        await empties(fsm, "a", "b")
        assert ledger(fsm) == {"accepted": 2, "handled": 2, "rejected": 1}

    run(main())
