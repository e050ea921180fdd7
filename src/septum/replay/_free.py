"""A machine that has left its recording: it goes on by itself, with what is left of what came from outside."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final, cast

from septum import Hooks, semconv
from septum._errors import MailboxFull
from septum.logs import type_name
from septum.replay._divergence import Halt
from septum.replay._moves import Move
from septum.replay._payloads import Unreadable
from septum.replay._telling import CANCELLED, is_own, name_message, number_of
from septum.replay._values import class_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from septum import facts
    from septum.replay._actor import Actor
    from septum.replay._payloads import Payloads
    from septum.replay._record import Record
    from septum.replay._virtual import VirtualClock

_PIECE: Final = 0.05


class Walk(Hooks):
    """Notes the path of a machine.

    Attributes:
        path: Its transitions.
        most: How many there may be; one more ends the run.
    """

    strict = True
    replaces_log = True

    def __init__(self, names: Mapping[str, str], most: int) -> None:
        self.path: list[Move] = []
        self.most = most
        self._names = names
        self._cause = ""
        self._zero = 0.0

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """Note what comes next as its effect."""
        self._cause = name_message(fact.number, type_name(fact.message))

    def timeout_fired(self, _: facts.TimeoutFired, /) -> None:
        """Note what comes next as its effect."""
        self._cause = "timeout"

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Note what comes next as its effect."""
        self._cause = class_name(type(fact.exception))

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """Note a transition."""
        target = None if fact.target is None else self._names[fact.target]
        self.path.append(Move(round(fact.at * 1e9), self._names[fact.source], target, fact.label, fact.kind, self._cause))
        self._cause = ""
        if len(self.path) > self.most:
            raise Halt(None)


class Free:
    """Leads a machine by time alone; the source of what it takes from outside.

    Messages come at the moments at which they came, calls give what the calls of that name gave, in their order, and take as long.

    Attributes:
        ended: How it ended, in words.
        asked: Names of the calls that it made.
        more: What calls of a name give beyond those that were recorded.
    """

    def __init__(
        self, actor: Actor, records: Sequence[Record], start: int, clock: VirtualClock, payloads: Payloads, patience: float
    ) -> None:
        self.ended = ""
        self.asked: set[str] = set()
        self.more: Mapping[str, Record] = {}
        self._actor = actor
        self._rest = records[start:]
        self._clock = clock
        self._payloads = payloads
        self._patience = patience
        self._task: asyncio.Task[Any] | None = None
        self._answers: dict[tuple[str, str], deque[tuple[Record, float]]] = defaultdict(deque)
        self._chance = random.Random(records[0].run_id)  # noqa: S311 - the same in every replay
        self._origin = next((float(cast("float", r.body)) - r.at / 1e9 for r in records if _is_now(r)), 0.0)
        self._raised = 0
        before = records[start - 1].at if start else 0
        for record in self._rest:
            if record.event == "effect":
                key = (str(record.attributes[semconv.EFFECT_KIND]), str(record.attributes[semconv.EFFECT_NAME]))
                self._answers[key].append((record, max(0.0, (record.at - before) / 1e9)))
            elif record.event == "error" and record.attributes.get(semconv.ERROR_DESTINATION) == "raised":
                self._raised += 1
            if record.event != "message":
                before = record.at

    async def go(self, *, begin: bool) -> None:
        """Let the machine run to where nothing more comes."""
        actor, clock = self._actor, self._clock
        loop = asyncio.get_running_loop()
        self._task = actor.task = asyncio.current_task()
        here = {number_of(record) for record in self._rest if record.event == "message"} | actor.numbers()
        for record in self._rest:
            known = record.event == "taken" and semconv.RECORDING_ENCODING in record.attributes and number_of(record) not in here
            if known or (record.event == "message" and not is_own(record)):
                # What waited before the recording is known where it was taken.
                loop.call_at(record.at / 1e9, self._send, record)
        last = self._rest[-1] if self._rest else None
        if last is not None and (last.event != "end" or last.attributes.get(semconv.RUN_OUTCOME) != semconv.RunOutcome.COMPLETED):
            # Somebody ended it then, or nobody knows more.
            loop.call_at(max(clock.time, last.at / 1e9), self._stop, f"was in {{}} when the recording ended, after {last.at / 1e9:g} s")
        try:
            await self._run(begin=begin)
        except asyncio.CancelledError:
            if not self.ended:
                raise
        except Halt:
            self.ended = self.ended or "goes on and on"
        if not self.ended:
            self.ended = f"completed in {self.name()}" if actor.is_done else f"stopped in {self.name()}"

    async def _run(self, *, begin: bool) -> None:
        actor = self._actor
        begins = begin
        for _ in range(self._raised + 1):
            # As often as it raised then, its caller went on.
            self.ended = ""
            try:
                if begins:
                    begins = False
                    await actor.begin(self._rest[0].run_id)
                await actor.drive()
            except Exception as error:  # noqa: BLE001 - whatever a handler raises
                self.ended = f"raised {class_name(type(error))} in {self.name()}: {error}"
            else:
                return

    def name(self) -> str:
        """Return what the current state is called."""
        return self._actor.node.qualname

    def _send(self, record: Record) -> None:
        try:
            self._actor.let_in(self._payloads.read(record), number_of(record))
        except MailboxFull:
            pass
        except Unreadable as why:
            self._stop(f"cannot go on in {{}}: message {number_of(record)} {why.what}. {why.advice}")

    def _stop(self, ended: str) -> None:
        if not self.ended and self._task is not None:
            self.ended = ended.format(self.name())
            self._task.cancel()

    def idle(self, seconds: float | None) -> float:
        """Go to the next timer; end where there is none."""
        if seconds is not None:
            self._clock.time += seconds
            return 0.0
        if not self._actor.is_waiting and self._patience > 0:
            self._patience -= _PIECE
            return _PIECE
        if self._actor.is_waiting:
            self._stop("waits in {} for a message")
        else:
            self._stop("hangs in {}: a handler waits for something that is not in the recording")
        return 0.0

    # -- the source

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock.time

    def ask(self, kind: str, name: str, bits: int = 0) -> Any:
        """Return what the next question of that kind was answered; then something that is as good."""
        if kind == "now":
            return self._origin + self._clock.time
        answers = self._answers[(kind, name)]
        if answers:
            try:
                return self._payloads.read(answers.popleft()[0])
            except Unreadable:
                pass
        if kind == "uuid":
            return f"{self._chance.getrandbits(128):032x}"
        return self._chance.random() if name == "random" else self._chance.getrandbits(bits)

    def expect(self, message: object) -> int | None:  # noqa: ARG002 - as Source has it
        """Mind nothing."""
        return None

    async def call(self, name: str, args: tuple[Any, ...]) -> Any:  # noqa: ARG002 - as Source has it
        """Return or raise what the next call of that name did, after as long as it took then."""
        self.asked.add(name)
        answers = self._answers[("call", name)]
        if not answers and name in self.more:
            answers = deque([(self.more[name], 0.0)])
        if not answers:
            self.ended = f'cannot go on in {self.name()}: ctx.call({name!r}) has no recorded result left; give one: "result {name}=..."'
            raise Halt(None)
        record, seconds = answers.popleft()
        if record.attributes.get(semconv.ERROR_TYPE) == CANCELLED and record.body is None:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(seconds)
        try:
            answer = self._payloads.read(record)
        except Unreadable as why:
            self.ended = f"cannot go on in {self.name()}: the result of ctx.call({name!r}) {why.what}. {why.advice}"
            raise Halt(None) from None
        if semconv.ERROR_TYPE in record.attributes:
            raise answer
        return answer


def _is_now(record: Record) -> bool:
    return record.event == "effect" and record.attributes.get(semconv.EFFECT_KIND) == "now" and isinstance(record.body, int | float)
