"""The mailbox of one machine: three priorities, first-in first-out in each, bounded, and a ledger of what became of every message."""

from __future__ import annotations

import threading
from collections import deque
from itertools import repeat
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from septum import _errors
from septum._message import PLAIN, Envelope, Priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

OverflowPolicy = Literal["block", "fail", "drop_newest", "drop_oldest"]
POLICIES: Final[tuple[str, ...]] = get_args(OverflowPolicy)

NOTHING: Final[Any] = object()
"""Stands where there is no message; None is a message that a user may send."""


_NONE: Final[frozenset[type]] = frozenset()

# One lock for all mailboxes: threads that do not own the machine take it, and the owner while it collects what they left.
foreign_lock: Final = threading.Lock()


class Mailbox:
    """Messages that wait, and counts of those that came and went.

    Attributes:
        limit: Most messages it holds, over all priorities.
        messages: User messages, oldest first.
        ready: `messages` while these are all there is to think of, so that the machine's fast loops may take from them; else empty.
        plain: Types of message that the machine may append to `messages` for a credit each; empty while there is more to do.
        kind: The one of these types that was sent last, None with an empty `plain`.
        credit: An iterator with an item for each message that it may append before it has to ask again (`put`), because there is room
            for so many. An item taken counts as a message accepted: one count, kept by the iterator without making an int for each
            message, bounds the mailbox and keeps its books.
        envelopes: How many of the messages are wrapped, which the fast loops do not expect.
        screened: The machine looks at each message before it is put in: it has a filter.
        held: The machine has more to do than to put messages in and take them out: it is observed, waits, is stopping or has ended.
        taken, unhandled, filtered, rejected: How many of each came from the owner's thread (rejected ones were not accepted).
        overflow_newest, overflow_oldest, closed: How many of the owner's were dropped, by reason.
        foreign_counts: The same counts for other threads, changed under `foreign_lock` only; None without any.
        room_wanted: Futures of senders that wait for room, longest wait first.
        promised: How many of them were woken and have not taken the room yet.
    """

    __slots__ = (
        "_exceptions",
        "_foreign",
        "_granted",
        "_internal",
        "_put",
        "closed",
        "credit",
        "envelopes",
        "filtered",
        "foreign_counts",
        "held",
        "kind",
        "limit",
        "messages",
        "overflow_newest",
        "overflow_oldest",
        "plain",
        "policy",
        "promised",
        "ready",
        "rejected",
        "room_wanted",
        "screened",
        "taken",
        "unhandled",
    )  # fmt: skip

    def __init__(self, limit: int, policy: OverflowPolicy, *, screened: bool = False) -> None:
        """Make an empty mailbox; a *limit* of 0 or less means any number of messages."""
        self.limit = limit if limit > 0 else (1 << 62)
        self.policy = policy
        self.messages: deque[Any] = deque()
        self.ready: deque[Any] | tuple[()] = self.messages
        self.plain: AbstractSet[type] = _NONE if screened else PLAIN
        self.kind: type | None = None
        self.screened = screened
        self.held = False
        self._internal: deque[Any] | None = None
        self._exceptions: deque[Any] | None = None
        self._foreign: deque[tuple[Any, int]] | None = None
        self.foreign_counts: dict[str, int] | None = None
        self.taken = self.unhandled = self.filtered = self.rejected = 0
        self._granted = self._put = self.envelopes = 0
        self.credit: Iterator[None] = repeat(None, 0)
        self.overflow_newest = self.overflow_oldest = self.closed = 0
        self.room_wanted: deque[Any] | None = None
        self.promised = 0

    def __len__(self) -> int:
        """Return how many messages wait."""
        depth = len(self.messages)
        for others in (self._internal, self._exceptions, self._foreign):
            if others:
                depth += len(others)
        return depth

    @property
    def accepted(self) -> int:
        """How many messages the owner's thread offered without an exception."""
        return self._put + self._granted - length_hint(self.credit)

    def accept(self) -> None:
        """Count one message as accepted that is not put in."""
        self._put += 1

    def count(self, what: str) -> int:
        """Return one of the counts by its name, over all threads."""
        own: int = getattr(self, what)
        return own + (self.foreign_counts or {}).get(what, 0)

    @property
    def has_foreign(self) -> bool:
        """Say whether other threads left messages that were not collected yet."""
        return bool(self._foreign)

    def put(self, item: object, priority: int) -> object:
        """Queue *item* behind all others of its priority, and return what the overflow policy dropped for it: usually `NOTHING`.

        Returns:
            `NOTHING`, or the dropped message: *item* itself under "drop_newest" (and under "drop_oldest" when no user message can go).

        Raises:
            MailboxFull: At `limit`, policy "block" or "fail"; counted as rejected, nothing else changed.
        """
        dropped: object = NOTHING
        if len(self) >= self.limit:
            if self.policy in {"block", "fail"}:
                self.rejected += 1
                raise _errors.mailbox_full(self.limit, self.policy)
            self._put += 1
            if self.policy == "drop_newest" or not self.messages:
                self.overflow_newest += 1
                return item
            dropped = self.messages.popleft()
            self.overflow_oldest += 1
            self.envelopes -= type(dropped) is Envelope
        else:
            self._put += 1
        self._line(priority).append(item)
        if type(item) is Envelope:
            self.envelopes += 1
            self._close_shortcuts()
        if self.plain:
            self._grant_credit()
            if type(item) in self.plain:
                self.kind = type(item)
        return dropped

    def put_wrapped(self, item: Envelope) -> int:
        """Queue a user message where there is nothing but user messages, and room; returns how many wait then, 0 if `put` has to do it."""
        depth = len(self.messages) + 1
        if depth > self.limit or not self.held or self._internal or self._exceptions or self._foreign:
            return 0
        self.messages.append(item)
        self._put += 1
        self.envelopes += 1
        return depth

    def _grant_credit(self) -> None:
        """Let the machine append as many messages as there is room for."""
        credit = max(0, self.limit - len(self))
        self._granted += credit - length_hint(self.credit)
        self.credit = repeat(None, credit)

    def put_foreign(self, item: object, priority: int) -> bool:
        """Leave *item* for the owner, from any thread; False when the policy drops it.

        The bound is exact for each thread alone; a message of the owner's that arrives in the same instant may come on top, and under
        "drop_oldest" as many messages again as `limit` while the owner does not look.

        Raises:
            MailboxFull: As `put`.
        """
        with foreign_lock:
            if self._foreign is None:
                self._foreign = deque()
            if len(self) >= self.limit:
                if self.policy in {"block", "fail"}:
                    self.count_foreign("rejected")
                    raise _errors.mailbox_full(self.limit, self.policy)
                if self.policy == "drop_newest" or not self._make_foreign_room():
                    self.count_foreign("accepted", "overflow_newest")
                    return False
            self.count_foreign("accepted")
            self._foreign.append((item, priority))
            self._close_shortcuts()
            return True

    def count_foreign(self, *what: str) -> None:
        """Add one to each of the counts named; the caller holds `foreign_lock`."""
        if self.foreign_counts is None:
            self.foreign_counts = {}
        for name in what:
            self.foreign_counts[name] = self.foreign_counts.get(name, 0) + 1

    def _make_foreign_room(self) -> bool:
        """Let an older user message go for a foreign one: the owner's when it collects, or one of those that wait for that."""
        foreign = self._foreign or deque()
        if self.messages and len(foreign) < self.limit:
            return True
        for place, (_, priority) in enumerate(foreign):
            if priority == Priority.MESSAGE:
                del foreign[place]
                self.count_foreign("overflow_oldest")
                return True
        return False

    def collect(self) -> tuple[list[tuple[Any, int]], list[Any]]:
        """Sort what other threads left into the queues.

        Returns:
            What arrived, as (message, priority), and which user messages had to go for it (policy "drop_oldest" only), oldest first.
        """
        with foreign_lock:
            arrived = list(self._foreign or ())
            self._foreign = None
            for item, priority in arrived:
                self._line(priority).append(item)
                self.envelopes += type(item) is Envelope
        shed: list[Any] = []
        while self.policy == "drop_oldest" and len(self) > self.limit and self.messages:
            shed.append(self.messages.popleft())
            self.overflow_oldest += 1
            self.envelopes -= type(shed[-1]) is Envelope
        return arrived, shed

    def take(self) -> Any:
        """Remove and return the message that is next, counted as taken; `NOTHING` when none waits."""
        if self._foreign:
            self.collect()
        item = NOTHING
        for line in (self._exceptions, self._internal, self.messages):
            if line:
                item = line.popleft()
                self.taken += 1
                self.envelopes -= type(item) is Envelope
                break
        # Held, the shortcuts are closed and stay so.
        if not self.held or self.room_wanted:
            self.settle()
        return item

    def settle(self) -> None:
        """Find out anew whether the shortcuts may be taken, and wake as many of the senders that wait as there is room for."""
        wanted = self.room_wanted
        if wanted:
            while wanted and self.promised < self.limit - len(self):
                future = wanted.popleft()
                if not future.done():
                    future.set_result(None)
                    self.promised += 1
        was_open = self.ready is self.messages
        self.ready = self.messages
        if not self.screened:
            self.plain = PLAIN
        # Looked at after the stores: a foreign thread leaves its message first and closes the shortcuts then.
        if self.held or self._exceptions or self._internal or self._foreign or self.room_wanted or self.envelopes:
            self._close_shortcuts()
        elif not was_open:
            # What came in meanwhile has taken of the room.
            self._grant_credit()

    def refill(self, items: Iterable[tuple[Any, int]], counts: Mapping[str, int]) -> None:
        """Take over another mailbox, while this is a new one: its *items*, as (message, priority), and its *counts* by name."""
        for item, priority in items:
            self._line(priority).append(item)
            self.envelopes += type(item) is Envelope
        self._put = counts["accepted"]
        for name in ("taken", "unhandled", "filtered", "rejected", "overflow_newest", "overflow_oldest", "closed"):
            setattr(self, name, counts[name])
        self.settle()

    def wake_senders(self) -> None:
        """Wake every sender that waits for room, because nobody will make any."""
        while self.room_wanted:
            future = self.room_wanted.popleft()
            if not future.done():
                future.set_result(None)
                self.promised += 1

    def forget_sender(self, future: Any) -> None:
        """Let a sender wait no longer."""
        if self.room_wanted and future in self.room_wanted:
            self.room_wanted.remove(future)

    def want_room(self, future: Any, *, first: bool) -> None:
        """Let a sender wait for room: at the end of the line, or *first*."""
        if self.room_wanted is None:
            self.room_wanted = deque()
        if first:
            self.room_wanted.appendleft(future)
        else:
            self.room_wanted.append(future)
        self._close_shortcuts()

    def close(self) -> list[Any]:
        """Empty the mailbox, counting what waited as dropped ("closed"), and return it in the order in which it would have been taken."""
        if self._foreign:
            self.collect()
        gone = list(self)
        for line in (self._exceptions, self._internal, self.messages):
            if line:
                line.clear()
        self.closed += len(gone)
        self.envelopes = 0
        self.settle()
        return gone

    def __iter__(self) -> Iterator[Any]:
        """Go through what waits, in the order in which it would be taken."""
        lines = ((self._exceptions, Priority.ERROR), (self._internal, Priority.INTERNAL_MESSAGE), (self.messages, Priority.MESSAGE))
        for line, priority in lines:
            yield from line or ()
            yield from [item for item, urgency in self._foreign or () if urgency == priority]

    def _close_shortcuts(self) -> None:
        self.ready = ()
        self.plain = _NONE
        self.kind = None

    def _line(self, priority: int) -> deque[Any]:
        """Return the queue of *priority*, made when first used."""
        if priority == Priority.MESSAGE:
            return self.messages
        self._close_shortcuts()
        if priority == Priority.INTERNAL_MESSAGE:
            if self._internal is None:
                self._internal = deque()
            return self._internal
        if self._exceptions is None:
            self._exceptions = deque()
        return self._exceptions


class _NoMailbox(Mailbox):
    """Stands for the mailbox of a machine that was never sent a message; always empty, takes nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0, "fail")
        self.messages = ()  # type: ignore[assignment]  # whoever appends here has forgotten to make a mailbox
        self.held = True
        self._close_shortcuts()

    def settle(self) -> None:
        """Do nothing: it is shared by all machines."""


NO_MAILBOX: Final = _NoMailbox()
