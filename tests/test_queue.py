"""The mailbox: order, bounds, what each policy drops, and a ledger that adds up."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from septum import MailboxFull
from septum._message import PLAIN, Envelope, PrioritizedMessage, Priority, TimeoutMessage
from septum._queue import NO_MAILBOX, NOTHING, POLICIES, Mailbox

EXCEPTION, INTERNAL, MESSAGE = Priority.ERROR, Priority.INTERNAL_MESSAGE, Priority.MESSAGE
COUNTS = ("accepted", "taken", "unhandled", "filtered", "rejected", "overflow_newest", "overflow_oldest", "closed")


def filled(policy: Any, limit: int, *items: tuple[object, int]) -> Mailbox:
    """Return a mailbox into which *items* were put."""
    box = Mailbox(limit, policy)
    for item, priority in items:
        box.put(item, priority)
    return box


def drained(box: Mailbox) -> list[Any]:
    """Take everything out."""
    return list(iter(box.take, NOTHING))


def bare(item: Any) -> Any:
    """Return the message itself."""
    return item.message if isinstance(item, Envelope) else item


def counts(box: Mailbox) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {name: box.count(name) for name in COUNTS if box.count(name)}


def is_quick(box: Mailbox) -> bool:
    """Say whether the machine may take from `messages` and append to it by itself; the two go together."""
    assert (box.ready is box.messages) == (box.plain is PLAIN)
    assert box.ready is box.messages or (box.ready, box.plain) == ((), frozenset())
    return box.ready is box.messages


def test_an_empty_mailbox_has_nothing() -> None:
    """Taking from it gives `NOTHING`, and nothing is counted."""
    box = Mailbox(3, "block")

    assert (box.take(), len(box), list(box), box.close(), is_quick(box), box.has_foreign) == (NOTHING, 0, [], [], True, False)
    assert counts(box) == {}


def test_exceptions_go_first_and_each_priority_keeps_its_order() -> None:
    """Priority decides between lines, arrival within a line; looking at the waiting ones shows that order too."""
    box = filled("block", 10, ("m1", MESSAGE), ("i1", INTERNAL), ("e1", EXCEPTION), ("m2", MESSAGE), ("e2", EXCEPTION), ("i2", INTERNAL))

    assert list(box) == ["e1", "e2", "i1", "i2", "m1", "m2"]
    assert len(box) == 6
    assert drained(box) == ["e1", "e2", "i1", "i2", "m1", "m2"]
    assert counts(box) == {"accepted": 6, "taken": 6}


def test_none_is_a_message_like_any_other() -> None:
    """`NOTHING` tells an empty mailbox from a message that is None."""
    assert drained(filled("block", 10, (None, MESSAGE), (0, MESSAGE))) == [None, 0]


@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.booleans()), max_size=60))
def test_any_sequence_of_puts_and_takes_is_fifo_per_priority(steps: list[tuple[Priority, bool]]) -> None:
    """Each take gives the oldest of the most urgent priority that is there."""
    box = Mailbox(0, "fail")
    waiting: dict[Priority, list[int]] = {priority: [] for priority in Priority}

    for number, (priority, taking) in enumerate(steps):
        if taking:
            line = next((line for line in waiting.values() if line), None)
            assert box.take() == (line.pop(0) if line else NOTHING)
        else:
            assert box.put(number, priority) is NOTHING
            waiting[priority].append(number)
        assert list(box) == [item for line in waiting.values() for item in line]


@pytest.mark.parametrize("policy", ["block", "fail"])
def test_a_full_mailbox_refuses_and_keeps_its_messages(policy: Any) -> None:
    """The refused message is counted as rejected, whatever its priority, and the mailbox is as before."""
    box = filled(policy, 2, ("a", MESSAGE), ("b", MESSAGE))

    for priority in Priority:
        with pytest.raises(MailboxFull) as caught:
            box.put("c", priority)
        assert (caught.value.limit, caught.value.policy) == (2, policy)

    assert counts(box) == {"accepted": 2, "rejected": 3}
    assert drained(box) == ["a", "b"]


def test_drop_newest_drops_what_comes() -> None:
    """A full mailbox keeps what it has and gives the new one back; it was accepted, and dropped."""
    box = filled("drop_newest", 2, ("a", MESSAGE), ("b", MESSAGE))

    assert [box.put(item, priority) for item, priority in [("c", MESSAGE), ("e", EXCEPTION)]] == ["c", "e"]

    assert counts(box) == {"accepted": 4, "overflow_newest": 2}
    assert drained(box) == ["a", "b"]


def test_drop_oldest_drops_the_oldest_message() -> None:
    """The new one finds room, the oldest user message is given back."""
    box = filled("drop_oldest", 2, ("a", MESSAGE), ("b", MESSAGE))

    assert [box.put(item, priority) for item, priority in [("c", MESSAGE), ("e", EXCEPTION)]] == ["a", "b"]

    assert counts(box) == {"accepted": 4, "overflow_oldest": 2}
    assert drained(box) == ["e", "c"]


def test_drop_oldest_never_drops_an_exception_or_an_internal_message() -> None:
    """Where only these wait, the new one is dropped instead, be it what it may."""
    box = filled("drop_oldest", 2, ("e", EXCEPTION), ("i", INTERNAL))

    assert [box.put(f"new{priority}", priority) for priority in Priority] == ["new0", "new1", "new2"]

    assert counts(box) == {"accepted": 5, "overflow_newest": 3}
    assert drained(box) == ["e", "i"]


def test_a_limit_below_one_is_none() -> None:
    """0 means any number."""
    box = filled("fail", 0, *[(number, MESSAGE) for number in range(5000)])

    assert len(box) == 5000


@pytest.mark.parametrize("policy", POLICIES)
def test_closing_empties_the_mailbox_and_counts_it(policy: Any) -> None:
    """What waited is given back in its order, counted as closed; the mailbox can be used again."""
    box = filled(policy, 5, ("m", MESSAGE), ("e", EXCEPTION), ("i", INTERNAL))
    box.put_foreign("f", EXCEPTION)

    assert box.close() == ["e", "f", "i", "m"]
    assert (len(box), is_quick(box), counts(box)) == (0, True, {"accepted": 4, "closed": 4})
    box.put("again", MESSAGE)
    assert drained(box) == ["again"]


def test_only_plain_messages_leave_the_shortcuts_open() -> None:
    """While `messages` tells the whole story the machine may use it directly; anything else closes that way until it is taken."""
    box = filled("block", 10, ("a", MESSAGE))
    seen = [is_quick(box)]
    for put in (
        lambda: box.put("i", INTERNAL),
        lambda: box.put("e", EXCEPTION),
        lambda: box.put_foreign("f", MESSAGE),
        lambda: box.want_room(Future(), first=True),
    ):
        put()
        seen.append(is_quick(box))
        drained(box)
        seen.append(is_quick(box))

    assert seen == [True, False, True, False, True, False, True, False, True]


def test_a_held_mailbox_has_no_shortcuts() -> None:
    """While the machine has more to do for each message both ways are closed, whatever happens to the mailbox."""
    box = filled("block", 10, ("a", MESSAGE), ("b", MESSAGE))
    seen = []

    for held in (True, False):
        box.held = held
        box.settle()
        seen.append(is_quick(box))
        box.take()
        seen.append(is_quick(box))

    assert seen == [False, False, True, True]


def test_a_screened_mailbox_lets_nothing_in_by_the_shortcut() -> None:
    """Taking stays quick while each message is looked at before it is put in."""
    box = Mailbox(10, "block", screened=True)

    for _ in range(2):
        box.put("a", MESSAGE)
        box.settle()

        assert (box.ready is box.messages, box.plain, box.kind) == (True, frozenset(), None)


def test_another_threads_message_arrives_in_its_priority() -> None:
    """The owner finds it with the next take, behind what was there before it."""
    box = filled("block", 10, ("m1", MESSAGE), ("e1", EXCEPTION))
    sent = []

    thread = threading.Thread(target=lambda: sent.extend(box.put_foreign(*item) for item in [("m2", MESSAGE), ("e2", EXCEPTION)]))
    thread.start()
    thread.join()

    assert (sent, len(box), box.has_foreign, counts(box)) == ([True, True], 4, True, {"accepted": 4})
    assert list(box) == ["e1", "e2", "m1", "m2"]
    assert box.collect() == ([("m2", MESSAGE), ("e2", EXCEPTION)], [])
    assert (box.has_foreign, list(box)) == (False, ["e1", "e2", "m1", "m2"])


@pytest.mark.parametrize("policy", ["block", "fail"])
def test_a_full_mailbox_refuses_other_threads_too(policy: Any) -> None:
    """The refusal is raised in the thread that sends."""
    box = filled(policy, 1, ("a", MESSAGE))

    with pytest.raises(MailboxFull):
        box.put_foreign("b", MESSAGE)

    assert (counts(box), drained(box)) == ({"accepted": 1, "rejected": 1}, ["a"])


def test_drop_newest_drops_other_threads_messages_too() -> None:
    """The sender is told that it was not queued."""
    box = filled("drop_newest", 1, ("a", MESSAGE))

    assert box.put_foreign("b", MESSAGE) is False
    assert (counts(box), drained(box)) == ({"accepted": 2, "overflow_newest": 1}, ["a"])


def test_an_envelope_holds_what_travels_along() -> None:
    """Headers, time and number are kept beside the message."""
    envelope = Envelope("m", {"k": "v"}, 1.5, 7)

    assert (envelope.message, envelope.headers, envelope.at, envelope.number) == ("m", {"k": "v"}, 1.5, 7)


def test_drop_oldest_drops_the_owners_oldest_for_another_threads_message() -> None:
    """It goes when the owner collects; the sender is told that its message was queued."""
    box = filled("drop_oldest", 2, ("a", MESSAGE), ("b", MESSAGE))

    assert [box.put_foreign("c", MESSAGE), box.put_foreign("e", EXCEPTION)] == [True, True]

    assert box.collect() == ([("c", MESSAGE), ("e", EXCEPTION)], ["a", "b"])
    assert (counts(box), drained(box)) == ({"accepted": 4, "overflow_oldest": 2}, ["e", "c"])


def test_drop_oldest_drops_other_threads_oldest_where_the_owner_has_none() -> None:
    """The oldest user message goes, exceptions stay; where none can go the new one is dropped."""
    box: Mailbox = Mailbox(2, "drop_oldest")

    sent = [box.put_foreign(*item) for item in [("e", EXCEPTION), ("m1", MESSAGE), ("m2", MESSAGE), ("i", INTERNAL), ("m3", MESSAGE)]]

    assert sent == [True, True, True, True, False]
    assert counts(box) == {"accepted": 5, "overflow_oldest": 2, "overflow_newest": 1}
    assert drained(box) == ["e", "i"]


def test_what_other_threads_send_is_bounded_while_the_owner_is_away() -> None:
    """However much arrives, no more waits than twice the limit, and when the owner looks the newest are there."""
    box = filled("drop_oldest", 3, *[(f"own{number}", MESSAGE) for number in range(3)])

    assert [box.put_foreign(number, MESSAGE) for number in range(1000)] == [True] * 1000

    assert len(box) == 6
    assert drained(box) == [997, 998, 999]
    assert counts(box) == {"accepted": 1003, "overflow_oldest": 1000, "taken": 3}


def test_room_wakes_those_that_waited_longest() -> None:
    """As many senders as there is room for are woken, in order of waiting; one that gave up is passed over."""
    box = filled("block", 3, *[(number, MESSAGE) for number in range(3)])
    gone, first, second, third, urgent = (Future() for _ in range(5))
    for future in (gone, first, second, third):
        box.want_room(future, first=False)
    box.want_room(urgent, first=True)
    gone.cancel()
    seen = []

    box.settle()
    seen.append([future.done() for future in (urgent, first, second, third)])
    box.take()
    seen.append([future.done() for future in (urgent, first, second, third)])
    box.close()
    seen.append([future.done() for future in (urgent, first, second, third)])

    # Room for three, and one of them has not come yet to take the room that it was promised.
    assert seen == [[False] * 4, [True, False, False, False], [True, True, True, False]]
    assert not is_quick(box)


def test_when_nobody_will_make_room_all_are_woken() -> None:
    """`wake_senders` needs no room: it sends everybody to look for themselves."""
    box = filled("block", 1, ("a", MESSAGE))
    waiting, gone = Future(), Future()
    box.want_room(waiting, first=False)
    box.want_room(gone, first=False)
    gone.cancel()

    box.wake_senders()
    box.wake_senders()

    assert (waiting.done(), len(box), len(box.room_wanted or ())) == (True, 1, 0)


def test_the_mailbox_of_nobody_takes_nothing() -> None:
    """It stands for all machines that were never sent a message: always empty, never changed, and no shortcut leads into it."""
    NO_MAILBOX.settle()

    assert (len(NO_MAILBOX), list(NO_MAILBOX), NO_MAILBOX.take(), NO_MAILBOX.close()) == (0, [], NOTHING, [])
    assert (NO_MAILBOX.ready, NO_MAILBOX.plain, counts(NO_MAILBOX)) == ((), frozenset(), {})
    assert not hasattr(NO_MAILBOX.messages, "append")


def test_old_message_classes_are_values() -> None:
    """The classes that upstream sends through its queue can be made and compared."""
    timeout = TimeoutMessage("m.A", 3, 5.0)

    assert timeout == TimeoutMessage(state_name="m.A", timeout_id=3, timeout_duration=5.0)
    assert PrioritizedMessage(0, "x") < PrioritizedMessage(1, "a")


@pytest.mark.parametrize("waiting", [0, 1])
def test_what_other_threads_sent_takes_of_the_owners_room(waiting: int) -> None:
    """After the owner has looked, it may append only as many messages as there is room for beside theirs."""
    box = filled("block", 10, *[(f"own{number}", MESSAGE) for number in range(waiting + 1)])
    for number in range(8 - waiting):
        box.put_foreign(number, MESSAGE)

    assert (box.take(), len(box), is_quick(box)) == ("own0", 8, True)
    assert len(list(box.credit)) == 2


def test_wrapped_message_is_put_only_where_nothing_is_special() -> None:
    """A held mailbox with user messages alone and room takes it and says how many wait; any other says 0 and is as it was."""
    held, full, urgent, visited, free = (Mailbox(2, "block") for _ in range(5))
    for box in (held, full, urgent, visited):
        box.held = True
        box.settle()
    full.put("a", MESSAGE)
    full.put("b", MESSAGE)
    urgent.put("e", EXCEPTION)
    visited.put_foreign("f", MESSAGE)
    wrapped = Envelope("m", None, 0.0, 1)

    assert [box.put_wrapped(wrapped) for box in (held, held, held, full, urgent, visited, free)] == [1, 2, 0, 0, 0, 0, 0]
    assert [counts(box)["accepted"] for box in (held, full, urgent, visited)] == [2, 2, 1, 1]
    assert (list(held), held.envelopes, counts(free)) == ([wrapped, wrapped], 2, {})


class LedgerMachine(RuleBasedStateMachine):
    """A mailbox against three lists, under any policy, with messages of its owner and of other threads."""

    @initialize(limit=st.integers(1, 4), policy=st.sampled_from(POLICIES))
    def make(self, limit: int, policy: Any) -> None:
        """Start empty."""
        self.box = Mailbox(limit, policy)
        self.lines: dict[int, list[int]] = {priority: [] for priority in Priority}
        self.foreign: list[tuple[int, int]] = []
        self.number = 0
        self.expected = dict.fromkeys(COUNTS, 0)

    @property
    def waiting(self) -> list[int]:
        """Everything in the order in which it is to be taken."""
        return [item for line in self.lines.values() for item in line]

    def collect(self) -> None:
        """The owner looks at what other threads left."""
        for item, priority in self.foreign:
            self.lines[priority].append(item)
        self.foreign = []

    def full(self) -> bool:
        """Say whether no further message fits."""
        return len(self.waiting) + len(self.foreign) >= self.box.limit

    @rule(priority=st.sampled_from(list(Priority)))
    def put(self, priority: Priority) -> None:
        """The owner sends."""
        self.number += 1
        if not self.full():
            assert self.box.put(self.number, priority) is NOTHING
            self.lines[priority].append(self.number)
        elif self.box.policy in {"block", "fail"}:
            with pytest.raises(MailboxFull):
                self.box.put(self.number, priority)
            self.expected["rejected"] += 1
            return
        elif self.box.policy == "drop_oldest" and self.lines[MESSAGE]:
            assert bare(self.box.put(self.number, priority)) == self.lines[MESSAGE].pop(0)
            self.expected["overflow_oldest"] += 1
            self.lines[priority].append(self.number)
        else:
            assert self.box.put(self.number, priority) == self.number
            self.expected["overflow_newest"] += 1
        self.expected["accepted"] += 1

    @rule()
    def append(self) -> None:
        """The owner sends as a machine may while it has credit."""
        if is_quick(self.box):
            for _ in self.box.credit:
                self.number += 1
                self.box.messages.append(self.number)
                self.lines[MESSAGE].append(self.number)
                self.expected["accepted"] += 1
                break

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        """The machine has more to do than to put in and take out, or no longer."""
        self.box.held = held
        self.box.settle()

    @rule()
    def put_wrapped(self) -> None:
        """The owner sends as a machine does that is observed."""
        self.number += 1
        if self.box.put_wrapped(Envelope(self.number, None, 0.0, 1)):
            self.lines[MESSAGE].append(self.number)
            self.expected["accepted"] += 1

    @rule()
    def pop(self) -> None:
        """The owner takes as a machine may while plain messages are all there is."""
        if self.box.ready:
            assert self.box.ready.popleft() == self.lines[MESSAGE].pop(0)
            self.box.taken += 1
            self.expected["taken"] += 1

    @rule()
    def take(self) -> None:
        """The owner takes."""
        self.collect()
        waiting = self.waiting
        assert bare(self.box.take()) == (waiting[0] if waiting else NOTHING)
        for line in self.lines.values():
            if line:
                line.pop(0)
                self.expected["taken"] += 1
                break

    @rule()
    def close(self) -> None:
        """The owner closes, and goes on."""
        self.collect()
        assert [bare(item) for item in self.box.close()] == self.waiting
        self.expected["closed"] += len(self.waiting)
        self.lines = {priority: [] for priority in Priority}

    @rule(priority=st.sampled_from(list(Priority)))
    def put_foreign(self, priority: Priority) -> None:
        """Another thread sends while there is room, or is refused."""
        self.number += 1
        if not self.full():
            assert self.box.put_foreign(self.number, priority) is True
            self.foreign.append((self.number, priority))
        elif self.box.policy in {"block", "fail"}:
            with pytest.raises(MailboxFull):
                self.box.put_foreign(self.number, priority)
            self.expected["rejected"] += 1
            return
        elif self.box.policy == "drop_newest":
            assert self.box.put_foreign(self.number, priority) is False
            self.expected["overflow_newest"] += 1
        else:
            return
        self.expected["accepted"] += 1

    @invariant()
    def adds_up(self) -> None:
        """Counts and depth are the model's, and what was offered is somewhere."""
        if not hasattr(self, "box"):
            return
        assert {name: self.box.count(name) for name in COUNTS} == self.expected
        assert len(self.box) == len(self.waiting) + len(self.foreign) <= self.box.limit
        gone = sum(self.box.count(name) for name in ("taken", "overflow_newest", "overflow_oldest", "closed"))
        assert self.box.count("accepted") == gone + len(self.box)
        assert not is_quick(self.box) or list(self.box) == self.lines[MESSAGE]


test_any_history_adds_up = pytest.mark.slow(LedgerMachine.TestCase)
