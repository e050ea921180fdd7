"""The half of the model that keeps books: the mailbox, the counts, the list of facts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.model.program import Definition, Message

PRIORITIES = {"error": 0, "internal": 1, "user": 2}


class Failure(Exception):
    """An exception of the machine or of a handler: its class by name, and its number if a handler raised it."""

    def __init__(self, name: str, number: int | None = None) -> None:
        super().__init__(name, number)
        self.what = (name, number)
        self.final = name == "StateMachineComplete"
        """It goes to the caller, whatever it passes on its way."""


class Ledger:
    """A mailbox with three lanes, and what was counted and told."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.now = 0.0
        self.facts: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.queued = self.taken = 0
        self.run_number = self.seq = self.visit = 0
        self.box: dict[str, list[tuple[int, Message, float | None]]] = {"error": [], "internal": [], "user": []}
        self.complete = False

    @property
    def pending(self) -> int:
        """How many messages wait."""
        return sum(map(len, self.box.values()))

    def stats(self) -> dict[str, Any]:
        """Return the ledger."""
        names = ("visits", "transitions", "accepted", "handled", "unhandled", "filtered", "rejected", "retries", "timeouts", "errors")
        dropped = {reason: count for reason, count in self.dropped.items() if count}
        return {name: self.counts[name] for name in names} | {"dropped": dropped, "pending": self.pending}

    def tell(self, fact: str, **fields: Any) -> None:
        """Keep a fact; there is none before the first run."""
        if not self.run_number:
            return
        self.seq += 1
        self.facts.append({"fact": fact, "run": self.run_number, "seq": self.seq, "visit": self.visit, "at": self.now} | fields)

    def send(self, message: Message) -> bool:
        """Offer *message*; True if it was queued."""
        if self.complete:
            return self._refuse(message, "closed")
        if message.number in self.definition.filter_raises:
            self.counts["rejected"] += 1
            raise Failure("FilterBoom", message.number)
        if message.number in self.definition.filtered:
            self.counts["accepted"] += 1
            self.counts["filtered"] += 1
            self.tell("MessageDropped", message=message, reason="filtered", number=0)
            return False
        if self.pending >= self.definition.max_queue_size:
            if self.definition.policy in {"block", "fail"}:
                self.counts["rejected"] += 1
                self.tell("MessageDropped", message=message, reason="rejected", number=0)
                raise Failure("MailboxFull")
            if self.definition.policy == "drop_newest" or not self.box["user"]:
                return self._refuse(message, "overflow_newest")
            number, oldest, _ = self.box["user"].pop(0)
            self.dropped["overflow_oldest"] += 1
            self.tell("MessageDropped", message=oldest, reason="overflow_oldest", number=number)
        self.counts["accepted"] += 1
        if self.run_number:
            self.queued += 1
        self.box[message.kind].append((self.queued, message, self.now if self.run_number else None))
        priority = PRIORITIES[message.kind]
        self.tell("MessageQueued", message=message, priority=priority, depth=self.pending, number=self.queued, headers=None)
        return True

    def _refuse(self, message: Message, reason: str) -> bool:
        self.counts["accepted"] += 1
        self.dropped[reason] += 1
        self.tell("MessageDropped", message=message, reason=reason, number=0)
        return False

    def take(self) -> Message:
        """Take the next message out: exceptions first, then internal ones, then the users', the oldest of its kind."""
        lane = next(lane for lane in self.box.values() if lane)
        self.taken, message, queued_at = lane.pop(0)
        self.counts["handled"] += 1
        self.tell(
            "MessageTaken",
            message=message,
            priority=PRIORITIES[message.kind],
            depth=self.pending,
            number=self.taken,
            headers=None,
            waited=0.0 if queued_at is None else self.now - queued_at,
        )
        return message

    def drop_pending(self) -> None:
        """Drop what waits, in the order in which it would have been taken."""
        for lane in self.box.values():
            while lane:
                number, message, _ = lane.pop(0)
                self.dropped["closed"] += 1
                self.tell("MessageDropped", message=message, reason="closed", number=number)
