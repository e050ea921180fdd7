"""The mailbox's door: how messages come in, from this thread and from others, and how a machine takes and awaits them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from septum import _errors
from septum import _facts as facts
from septum._message import PLAIN, Envelope, Priority, priority_of
from septum._mode import BLOCKED, CLOSED, DONE, EQUIPPED, FRESH, OBSERVED, STOPPING
from septum._pace import is_mine
from septum._queue import NO_MAILBOX, NOTHING, Mailbox, foreign_lock
from septum._teller import Teller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum._hooks import Watch

T = TypeVar("T")


class Mail(Teller[T]):
    """A machine that can be sent messages."""

    __slots__ = ()

    def send_message(self, message: Any, *, headers: Mapping[str, str] | None = None) -> bool:
        """Put *message* into the mailbox, behind all others of its priority.

        Exceptions go before internal messages (`SeptumInternalMessage`), these before all others; each kind is first-in first-out.

        Args:
            headers: Text that travels with the message, for hooks (a trace context, say); not copied.

        Returns:
            True if it was queued; False if `filter_fn` kept it out, the overflow policy dropped it, or the machine is complete or closed.

        Raises:
            MailboxFull: At `max_queue_size` under the policy "block" or "fail"; nothing was changed.
            WrongThread: Called from a thread that does not own the machine; nothing was changed.
            Exception: What `filter_fn` raised; the message counts as rejected.
        """
        box = self._mailbox
        if (type(message) is box.kind or type(message) in box.plain) and headers is None and is_mine(self._pace.lock):
            # One turn of it, or none.
            for _ in box.credit:
                box.messages.append(message)
                return True
        return self._send(message, headers)

    async def send_message_async(self, message: Any, *, headers: Mapping[str, str] | None = None) -> bool:
        """Put *message* into the mailbox as `send_message` does; under the policy "block" wait for room as long as it takes.

        Cancel-safe: a call that is cancelled has queued nothing. Waiting senders are served in the order in which they came.
        """
        waited = False
        while True:
            if self._pace.is_foreign():
                raise _errors.wrong_thread(self._plan.name, "send_message_async()")
            box = self._box()
            if self._plan.policy != "block" or (len(box) < box.limit and (waited or not box.room_wanted)) or self._mode & (DONE | CLOSED):
                return self._send(message, headers)
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            # A sender that was woken, and found the room taken by a synchronous one, is still the one that has waited longest.
            box.want_room(room, first=waited)
            try:
                await room
            except asyncio.CancelledError:
                if room.cancelled():
                    box.forget_sender(room)
                else:
                    box.promised -= 1
                box.settle()
                raise
            box.promised -= 1
            waited = True

    def send_message_threadsafe(self, message: Any, *, headers: Mapping[str, str] | None = None) -> bool:
        """Put *message* into the mailbox, from any thread, and wake the machine if it waits.

        `filter_fn`, if there is one, runs in the calling thread. Order is kept among the messages of one thread. Hooks are told when the
        machine collects the message; of one that was filtered or dropped here they are not told, it is counted.

        Returns:
            As `send_message`; True also when the policy "drop_oldest" drops an older message for it.

        Raises:
            MailboxFull: As `send_message`.
        """
        if not self._pace.is_foreign():
            return self.send_message(message, headers=headers)
        box = self._box()
        plan = self._plan
        if self._mode & (DONE | CLOSED):
            with foreign_lock:
                box.count_foreign("accepted", "closed")
            return False
        if plan.filter is not None and message:
            try:
                kept_out = plan.filter(self, message)
            except BaseException:
                with foreign_lock:
                    box.count_foreign("rejected")
                raise
            if kept_out:
                with foreign_lock:
                    box.count_foreign("accepted", "filtered")
                return False
        item = message if headers is None else Envelope(message, headers, plan.now(), 0)
        queued = box.put_foreign(item, priority_of(message))
        aside = self._aside
        if queued and aside is not None:
            waiter, loop = aside.waiter, aside.waiter_loop
            if waiter is not None and loop is not None:
                try:
                    loop.call_soon_threadsafe(_wake, waiter)
                except RuntimeError:  # the loop was closed under the waiter; the next one will look into the mailbox itself
                    return True
        return queued

    def _box(self) -> Mailbox:
        """Return the mailbox, made when first used."""
        if self._mailbox is NO_MAILBOX:
            with foreign_lock:
                if self._mailbox is NO_MAILBOX:
                    plan = self._plan
                    self._mailbox = Mailbox(plan.limit, plan.policy, screened=plan.filter is not None)
            if self._mode & FRESH:
                # The start has more to do then than to enter a state.
                self._mode |= EQUIPPED
            self._hold_mail()
        return self._mailbox

    def _send_late(self, message: object, box: Mailbox) -> bool:
        """Drop what comes after the end."""
        box.accept()
        box.closed += 1
        self._alarm(facts.MessageDropped, message, "closed", 0)
        return False

    def _send(self, message: Any, headers: Mapping[str, str] | None) -> bool:
        """Do what `send_message` does, with everything that it may meet."""
        mode = self._mode
        plan = self._plan
        if self._pace.is_foreign():
            raise _errors.wrong_thread(plan.name, "send_message()")
        box = self._box()
        if mode & (DONE | CLOSED):
            return self._send_late(message, box)
        if plan.filter is not None and message:
            try:
                kept_out = plan.filter(self, message)
            except BaseException:
                box.rejected += 1
                raise
            if kept_out:
                box.accept()
                box.filtered += 1
                self._tell(facts.MessageDropped, message, "filtered", 0)
                return False
        watch = self._watch
        item = message
        number = 0
        if watch is not None:
            number = watch.number + 1
            now = watch.now
            item = Envelope(message, headers, now(), number)
            if message.__class__ in PLAIN and (depth := box.put_wrapped(item)):
                self._tell_queued(watch, message, Priority.MESSAGE, depth, headers)
                if mode & BLOCKED:
                    self._wake_up()
                return True
        elif headers is not None or message.__class__ is Envelope:
            item = Envelope(message, headers, plan.now(), 0)
        priority = priority_of(message)
        try:
            dropped = box.put(item, priority)
        except _errors.MailboxFull:
            self._tell(facts.MessageDropped, message, "rejected", 0)
            raise
        if dropped is item:
            self._alarm(facts.MessageDropped, message, "overflow_newest", 0)
            return False
        if dropped is not NOTHING:
            self._tell_shed(dropped)
        if watch is not None:
            self._tell_queued(watch, message, priority, len(box), headers)
        if mode & BLOCKED:
            self._wake_up()
        return True

    def _tell_queued(self, watch: Watch, message: object, priority: int, depth: int, headers: Mapping[str, str] | None) -> None:
        """Number a message that this thread sent, and tell of it."""
        watch.number += 1
        if watch.audience.message_queued:
            self._tell(facts.MessageQueued, message, int(priority), depth, watch.number, headers)
        else:
            watch.seq += 1

    def _tell_shed(self, item: object) -> None:
        """Tell that an older message went for a newer one."""
        old, number = (item.message, item.number) if isinstance(item, Envelope) else (item, 0)
        self._alarm(facts.MessageDropped, old, "overflow_oldest", number)

    def _take(self) -> Any:
        """Take the message that is next, told to observers; `NOTHING` if none waits."""
        box = self._mailbox
        watch = self._watch
        if box.has_foreign:
            self._collect()
        item = box.take()
        if item is NOTHING:
            return NOTHING
        headers = None
        at = None
        number = 0
        message = item
        if item.__class__ is Envelope:
            message, headers, at, number = item.message, item.headers, item.at, item.number
        if watch is not None:
            watch.taken = number
            if watch.audience.message_taken:
                waited = 0.0 if at is None else watch.now() - at
                self._tell(facts.MessageTaken, message, int(priority_of(message)), len(box), number, headers, waited)
            else:
                watch.seq += 1
        return message

    def _collect(self) -> None:
        """Take in what other threads sent, and tell of it."""
        box = self._mailbox
        arrived, shed = box.collect()
        for place, (item, priority) in enumerate(arrived, start=1):
            message, headers = (item.message, item.headers) if isinstance(item, Envelope) else (item, None)
            self._tell(facts.MessageQueued, message, priority, max(1, len(box) - len(arrived) + place), 0, headers)
        for item in shed:
            self._tell_shed(item)

    def _drop_pending(self) -> None:
        """Drop everything that waits, as "closed"."""
        if self._mailbox.has_foreign:
            self._collect()
        for item in self._mailbox.close():
            message, number = (item.message, item.number) if isinstance(item, Envelope) else (item, 0)
            self._alarm(facts.MessageDropped, message, "closed", number)

    def _last_number(self) -> int:
        watch = self._watch
        return 0 if watch is None else watch.taken

    def _wake_up(self) -> None:
        """End the wait of the machine, if it waits."""
        aside = self._aside
        if aside is not None and aside.waiter is not None:
            _wake(aside.waiter)

    async def _wait(self, until: float | None) -> None:
        """Wait for a message, for a call of `stop`, or for *until* on the machine's clock; None waits for ever. Cancel-safe."""
        overdue = self._overdue_at()
        if overdue is not None and (until is None or overdue < until):
            await self._block(overdue)
            if len(self._mailbox) or self._mode & STOPPING or self._plan.now() < overdue:
                return
            self._tell_overdue()
        await self._block(until)

    async def _block(self, until: float | None) -> None:
        """Wait, as `_wait` does, without a thought for what is overdue."""
        aside = self._side()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        aside.waiter, aside.waiter_loop = waiter, loop
        if aside.undo is not None:
            self._end_work()
        self._mode |= BLOCKED
        self._hold_mail()
        timer = None
        try:
            # Looked at after the waiter is published: a foreign thread leaves its message first and looks for the waiter then.
            if self._mailbox.has_foreign:
                return
            if until is not None:
                timer = self._plan.clock.call_at(until, lambda: _wake(waiter))
            await waiter
        finally:
            self._mode &= ~BLOCKED
            self._hold_mail()
            aside.waiter = aside.waiter_loop = None
            if timer is not None:
                timer.cancel()
            if self._mode & OBSERVED:
                self._start_work()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
