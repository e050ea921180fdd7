"""Level `what-if`: a recording with edits, as far as it leads; then the machine by itself. Shows where the path parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from septum import semconv
from septum.replay._casting import Setting, give_common, make_actor, options_of
from septum.replay._divergence import Halt
from septum.replay._edits import Edit, SetTimeout, parse_edit
from septum.replay._execute import apart, records_of
from septum.replay._free import Free, Walk
from septum.replay._judge import Judge
from septum.replay._moves import Move, recorded_path
from septum.replay._names import names_of
from septum.replay._payloads import Payloads, Unreadable
from septum.replay._player import Player
from septum.replay._revision import MOVED, answers_of, limits_of, refuse_unknown_calls, revise, with_limits
from septum.replay._script import Script
from septum.replay._virtual import VirtualClock, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from septum import StateMachine
    from septum._queue import OverflowPolicy
    from septum._transitions import Target
    from septum.replay._actor import Actor
    from septum.replay._divergence import Divergence
    from septum.replay._model import Run
    from septum.replay._record import Record

_BEFORE = 3
_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What would have come of a run with other messages, results or limits.

    Attributes:
        run_id, machine_name: Which run of which machine.
        edits: The edits, as text.
        recorded: The path that the machine took.
        replayed: The path that it would have taken.
        parts_at: The place in both from which on they differ, from 0; None if they are the same.
        ended: How it would have ended, in words.
        recorded_end: How it ended.
    """

    run_id: str
    machine_name: str
    edits: tuple[str, ...]
    recorded: tuple[Move, ...]
    replayed: tuple[Move, ...]
    parts_at: int | None
    ended: str
    recorded_end: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "run_id": self.run_id,
            "machine_name": self.machine_name,
            "edits": list(self.edits),
            "parts_at": self.parts_at,
            "recorded": [move._asdict() for move in self.recorded],
            "replayed": [move._asdict() for move in self.replayed],
            "recorded_end": self.recorded_end,
            "ended": self.ended,
        }

    def __str__(self) -> str:
        head = [f"run {self.run_id} of {self.machine_name}", *[f"what if: {edit}" for edit in self.edits]]
        if self.parts_at is None:
            head += [f"The path is the same: {len(self.recorded)} transitions.", f"ended: {self.ended}"]
            return "\n".join(head)
        first = max(0, self.parts_at - _BEFORE)
        rows = [("", "recorded", "with the edits")]
        if first:
            rows.append(("", f"... {first} transitions", "the same"))
        last = min(max(len(self.recorded), len(self.replayed)), first + _ROWS)
        for place in range(first, last):
            both = [path[place] if place < len(path) else None for path in (self.recorded, self.replayed)]
            if place < self.parts_at:
                rows.append((str(place + 1), _show(both[0]), "the same"))
            else:
                rows.append((f"{'>' if place == self.parts_at else ' '}{place + 1}", _show(both[0]), _show(both[1])))
        more = max(len(self.recorded), len(self.replayed)) - last
        if more:
            rows.append(("", f"... {max(0, len(self.recorded) - last)} more", f"... {max(0, len(self.replayed) - last)} more"))
        rows.append(("end", self.recorded_end, self.ended))
        width = max(len(left) for _, left, _ in rows)
        return "\n".join([*head, *[f"{number:>5}  {left:<{width}}  |  {right}".rstrip() for number, left, right in rows]])


def _show(move: Move | None) -> str:
    if move is None:
        return "-"
    return f"{move.at / 1e9:9.3f} s  {move}" + (f", by {move.cause}" if move.cause else "")


def what_if(
    run: Run | Iterable[Record],
    target: Target | StateMachine[Any] | Callable[[], StateMachine[Any]],
    edits: Sequence[Edit | str],
    *,
    error_state: Target | None = None,
    common: Callable[[], Any] | None = None,
    max_queue_size: int = 1000,
    queue_overflow_policy: OverflowPolicy = "block",
    filter_fn: Callable[..., Any] | None = None,
    trap_fn: Callable[..., Any] | None = None,
    on_error_fn: Callable[..., Any] | None = None,
    decode: Callable[[str, Any], Any] | None = None,
    allowed: Iterable[type[Any]] = (),
    redacted: Literal["refuse", "use"] = "refuse",
    patience: float = 2.0,
) -> WhatIf:
    """Run the real handlers again with something changed, and show where the path parts from the recorded one.

    Up to where the changes matter the machine is led by the recording. From there on it goes by time: messages come when they came, and
    calls give what the calls of that name gave, in their order, and take as long as they took.

    Args:
        run: As for `execute`; all of its records are held in memory.
        target: As for `execute`; where it is a machine or makes one, it may be asked for more than one.
        edits: What is changed, in this order: objects, or text as `parse_edit` reads it.
        error_state, common, max_queue_size, queue_overflow_policy, filter_fn, trap_fn, on_error_fn, decode, allowed, redacted, patience: As
            for `execute`.

    Raises:
        BadEdit: An edit cannot be read, or names something that is not there.
        ReplayError, DefinitionError: As for `execute`.
    """
    setting = Setting(
        target=target,
        error_state=error_state,
        common=common,
        max_queue_size=max_queue_size,
        queue_overflow_policy=queue_overflow_policy,
        filter_fn=filter_fn,
        trap_fn=trap_fn,
        on_error_fn=on_error_fn,
        decode=decode,
        allowed=tuple(allowed),
        redacted=redacted,
        patience=patience,
    )
    read = [parse_edit(edit) if isinstance(edit, str) else edit for edit in edits]
    return apart(lambda: _Rehearsal(records_of(run).all(), read, setting).find_out())


class _Rehearsal:
    """One question, what if."""

    def __init__(self, records: list[Record], edits: Sequence[Edit], setting: Setting) -> None:
        self._recorded = records
        self._edits = edits
        self._setting = setting
        self._payloads = Payloads(decode=setting.decode, allowed=setting.allowed, redacted=setting.redacted)
        self._revised: list[Record] = records
        self._asked: set[str] = set()
        self._cast()

    def _cast(self) -> Actor:
        """Return a machine that walks on the definition with the edited limits."""
        options = options_of(self._setting)
        clock = VirtualClock(self._recorded[0].wall - self._recorded[0].at)
        actor = make_actor(self._recorded[0], options, clock, ())
        graph = actor.plan.graph
        self._payloads.know(graph)
        limits = limits_of(self._edits, graph)
        if limits:
            actor.recast(with_limits(graph, limits))
        self._clock = clock
        self._given = "common_data" in options
        return actor

    def find_out(self) -> WhatIf:
        """Play twice: to see how far the recording leads, and then as far and beyond."""
        self._revised = revise(self._recorded, self._edits, self._payloads)
        began, divergence = self._play(None)
        walk, ended = self._go_free(began) if divergence is None or divergence.verdict == "diverged" else (None, "")
        refuse_unknown_calls(self._recorded, self._edits, self._asked)
        recorded = tuple(recorded_path(self._recorded))
        if walk is None:
            replayed: tuple[Move, ...] = recorded[: len(recorded_path(self._revised[:began]))]
            ended = f"cannot go on: {divergence.found if divergence else ''}. {divergence.advice if divergence else ''}".strip()
        else:
            replayed = tuple(walk.path)
        pairs = zip(recorded, replayed, strict=False)
        parts = next((place for place, (one, other) in enumerate(pairs) if not one.is_like(other)), None)
        if parts is None and len(recorded) != len(replayed):
            parts = min(len(recorded), len(replayed))
        first = self._recorded[0]
        return WhatIf(
            run_id=first.run_id,
            machine_name=first.machine_name,
            edits=tuple(map(str, self._edits)),
            recorded=recorded,
            replayed=replayed,
            parts_at=parts,
            ended=ended,
            recorded_end=_say_end(self._recorded[-1]),
        )

    def _play(self, until: int | None) -> tuple[int, Divergence | None]:
        """Play by the recording, up to record *until*; return where the last step began, and what ended it."""
        actor = self._cast()
        return self._lead(actor, VirtualLoop(self._clock), until)

    def _lead(self, actor: Actor, loop: VirtualLoop, until: int | None, walk: Walk | None = None) -> tuple[int, Divergence | None]:
        script = Script(self._revised, self._clock)
        judge = Judge(script, self._payloads)
        judge.is_edited = True
        actor.attach(judge)
        if walk is not None:
            actor.attach(walk)
        judge.take(actor)
        player = Player(script, judge, actor, patience=self._setting.patience, given=self._given)
        timed = {edit.state for edit in self._edits if isinstance(edit, SetTimeout)}
        player.pauses = lambda: (until is not None and script.passed >= until) or self._is_affected(script, actor, timed)
        try:
            give_common(self._revised[0], actor, self._payloads, given=self._given)
            loop.run(player.play(), player.idle, player.turn)
        except Unreadable as why:
            return 0, judge.describe("unreadable", f"the recorded ctx.common {why.what}", advice=why.advice)
        except Halt as halt:
            return player.step_began, halt.divergence
        finally:
            if walk is None:
                loop.close()
        return script.passed, None

    def _is_affected(self, script: Script, actor: Actor, timed: set[str]) -> bool:
        """Say whether a message comes now where none came, or another timeout than the recorded one makes a difference to this visit."""
        if MOVED in script.next.attributes:
            return True
        node = actor.node
        if not timed or not timed & {node.name, node.qualname}:
            return False
        begun = bool(script.passed)
        deadline = actor.deadline if begun else node.timeout
        for record in (script.next, *script.ahead()):
            if record.event == "timer" and record.attributes.get(semconv.TIMER_KIND) == semconv.TimerKind.TIMEOUT:
                return True
            if record.event in {"transition", "end"}:
                return deadline is not None and record.at / 1e9 >= deadline
        return deadline is not None

    def _go_free(self, began: int) -> tuple[Walk, str]:
        """Play up to record *began*, then let the machine go."""
        actor = self._cast()
        loop = VirtualLoop(self._clock)
        try:
            most = 2 * len(self._recorded) + 100
            walk = Walk(names_of(actor.plan.graph).states, most)
            if began:
                self._lead(actor, loop, began, walk)
                for hook in actor.hooks:
                    if hook is not walk:
                        actor.detach(hook)
            else:
                actor.attach(walk)
                give_common(self._revised[0], actor, self._payloads, given=self._given)
            if began >= len(self._revised):
                return walk, _say_end(self._revised[-1])
            free = Free(actor, self._revised, began, self._clock, self._payloads, self._setting.patience)
            free.more = answers_of(self._recorded, self._edits, self._payloads)
            self._asked = free.asked
            actor.use(free)
            loop.run(free.go(begin=not began), free.idle)
        finally:
            loop.close()
        return walk, free.ended


def _say_end(record: Record) -> str:
    if record.event != "end":
        return f"the recording ends after {record.at / 1e9:g} s"
    outcome = record.attributes.get(semconv.RUN_OUTCOME)
    return f"{outcome} in {record.attributes.get(semconv.STATE_NAME)}"
