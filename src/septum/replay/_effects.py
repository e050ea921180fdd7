"""What handlers ask of `ctx` under replay: the results, moments and draws that were recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from septum import semconv
from septum.replay._prompter import Prompter
from septum.replay._telling import CANCELLED

if TYPE_CHECKING:
    from septum.replay._actor import Actor
    from septum.replay._payloads import Payloads
    from septum.replay._record import Record
    from septum.replay._script import Script

_ERROR: Final = semconv.ERROR_TYPE


class Effects(Prompter):
    """Leads one machine through one recording; also the source of what `ctx` gives."""

    def __init__(self, script: Script, payloads: Payloads) -> None:
        super().__init__(script, payloads)
        self._hanging: list[tuple[str, asyncio.Future[None]]] = []

    def take(self, actor: Actor) -> None:
        """Hold *actor* to the recording, and let it take everything from there."""
        super().take(actor)
        actor.use(self)

    def now(self) -> float:
        """Return the moment of the next record if that tells of a handler, whose call is over then; else the clock's."""
        record = self.script.next
        return record.at / 1e9 if record.event == "handler" else self.script.clock.time

    def ask(self, kind: str, name: str, bits: int = 0) -> Any:  # noqa: ARG002 - as Source has it
        """Return what the recording has for a question of a handler."""
        record = self.script.next
        if record.event != "effect":
            record = self._reach("effect")
        attributes = record.attributes
        if record.event != "effect" or attributes[semconv.EFFECT_KIND] != kind or attributes[semconv.EFFECT_NAME] != name:
            self._diverge_at_frame("call", f"ctx.{name if kind == 'random' else kind} was asked for")
        answer = self.read(record)
        self.script.advance()
        return answer

    async def call(self, name: str, args: tuple[Any, ...]) -> Any:
        """Return or raise what the recording has for a call."""
        script = self.script
        record = script.next
        if record.event != "effect" or record.attributes[semconv.EFFECT_NAME] != name or record.attributes[semconv.EFFECT_KIND] != "call":
            record = await self._wait_for_call(name)
        attributes = record.attributes
        digest = attributes.get(semconv.EFFECT_ARGS_DIGEST)
        if digest is not None and self._digests is not None and self._digests.of_arguments(args, name) not in {None, digest}:
            self._diverge_at_frame("call", f"ctx.call({name!r}) was given other arguments: {args!r}")
        if _ERROR not in attributes:
            answer = self.read(record)
            script.advance()
            self._wake()
            return answer
        if attributes[_ERROR] == CANCELLED:
            # Cancelled, or cut at the deadline: it hangs until that comes again.
            script.advance()
            await self._hang()
        error = self.read(record)
        script.advance()
        self._wake()
        raise error

    async def _wait_for_call(self, name: str) -> Record:
        """Return the record of a call that is not next: others of the same handler may end before it."""
        script = self.script
        while True:
            record = script.next
            # What the called function sent is the machine's own, but it is not called now.
            while record.event == "message":
                self.let_in(record)
                record = script.next
            if _is_call(record, name):
                return record
            if not self._comes_later(name):
                if record.event == "handler" and (record.attributes.get(semconv.HANDLER_CUT) or record.attributes.get(_ERROR) == CANCELLED):
                    await self._hang()
                self._diverge_at_frame("call", f"ctx.call({name!r}) was made")
            await self._hang(name)

    def _comes_later(self, name: str) -> bool:
        """Say whether the handler that is at work made a call of that name, as recorded."""
        for record in (self.script.next, *_until_handler(self.script)):
            if record.event == "handler":
                return False
            if _is_call(record, name):
                return True
        return False

    async def _hang(self, name: str = "") -> None:
        """Wait until the recording has gone on; without a *name* for ever."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hanging.append((name, future))
        try:
            await future
        finally:
            self._hanging = [entry for entry in self._hanging if entry[1] is not future]

    def _wake(self) -> None:
        """Let calls look again that wait for their turn."""
        for name, future in self._hanging:
            if name and not future.done():
                future.set_result(None)

    def wake_callers(self) -> bool:
        """Let a call go on whose record is next; says whether there was one."""
        record = self.script.next
        for name, future in self._hanging:
            if _is_call(record, name) and not future.done():
                future.set_result(None)
                return True
        return False


def _is_call(record: Record, name: str) -> bool:
    """Say whether *record* has the result of a call of that *name*."""
    attributes = record.attributes
    return record.event == "effect" and attributes[semconv.EFFECT_NAME] == name and attributes[semconv.EFFECT_KIND] == "call"


def _until_handler(script: Script) -> list[Record]:
    """Return what comes before the handler that is at work ends, and that."""
    found: list[Record] = []
    for record in script.ahead():
        found.append(record)
        if record.event == "handler":
            break
    return found
