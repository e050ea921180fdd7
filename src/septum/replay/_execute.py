"""Level `execute`: the real handlers run again, and the replay stops where they do not do what was recorded."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from septum import semconv
from septum.replay._casting import Setting, give_common, make_actor, options_of
from septum.replay._debugger import Debugger
from septum.replay._divergence import Divergence, Halt, ReplayError, Verdict
from septum.replay._judge import Judge
from septum.replay._moves import Move
from septum.replay._payloads import Digests, Payloads, Unreadable
from septum.replay._player import Player
from septum.replay._script import Script
from septum.replay._sound import Sound
from septum.replay._telling import in_words
from septum.replay._virtual import VirtualClock, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from septum import StateMachine
    from septum._queue import OverflowPolicy
    from septum._transitions import Target
    from septum.replay._actor import Actor
    from septum.replay._model import Run
    from septum.replay._prompter import Step
    from septum.replay._record import Record
    from septum.replay._redaction import Redaction

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a replay went.

    Attributes:
        run_id, machine_id, machine_name: Which run of which machine.
        verdict: "same" to the end of the recording; "diverged"; "refused", because a value was not kept that is needed; "incomplete",
            because records are missing.
        divergence: Where and why it stopped; None if it is the same.
        records: How many records were followed.
        calls: How many handler calls were the same.
        transitions: How many transitions were the same.
        state: The last state, as telemetry calls it; None if there was none.
        notes: What else is to be known: another definition, a restart after a gap.
        path: The last 1,000 transitions, as "Open -> Paid (Events.PAID)".
        log: The last lines of `ctx.log`.
    """

    run_id: str
    machine_id: str
    machine_name: str
    verdict: Verdict
    divergence: Divergence | None
    records: int
    calls: int
    transitions: int
    state: str | None
    notes: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    log: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if the handlers did what was recorded, to the end."""
        return self.verdict == "same"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        head = f"run {self.run_id} of {self.machine_name}: {_VERDICTS[self.verdict]}"
        lines = [f"{head} ({self.records} records, {self.calls} handler calls, {self.transitions} transitions)"]
        if self.divergence is not None:
            lines += [f"  {line}" for line in str(self.divergence).splitlines()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


_VERDICTS = {
    "same": "the same to the end",
    "diverged": "not the same",
    "refused": "cannot be replayed to the end",
    "incomplete": "records are missing",
}


def execute(
    run: Run | Iterable[Record],
    target: Target | StateMachine[Any] | Callable[[], StateMachine[Any]],
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
    redaction: Redaction | None = None,
    pdb: bool = False,
    patience: float = 2.0,
) -> Execution:
    """Run the real handlers again with what was recorded, and stop where they do something else.

    Time stands still but for what the recording says, `ctx.call`, `ctx.now`, `ctx.random` and `ctx.uuid` give what they gave then, and no
    hook, log or provider of the program hears of it. It happens in an event loop of its own; where one runs in this thread already, in a
    thread of its own, and the caller waits.

    Args:
        run: A run that was read from a recording, or the records of one run in their order, which are read once.
        target: The initial state; or a machine that was not started, or a function without arguments that returns one, whose options and
            `common` are taken, so that the next arguments need not be given.
        error_state, max_queue_size, queue_overflow_policy, filter_fn, trap_fn, on_error_fn: As the recorded machine had them.
        common: Called for the data that the states share; None for what was recorded of it, else a fresh dict.
        decode: Makes objects of what the recorder's `encode=` wrote.
        allowed: Classes that the recording may name though they stand in no package of the definition.
        redacted: "use" replays with values in which something was redacted; "refuse" stops there.
        redaction: The recorder's, to compare the arguments of calls by; None for the default.
        pdb: Stop in the debugger, in the handler, before the replay ends at a divergence.
        patience: Real seconds that a handler may wait for something that is not in the recording.

    Raises:
        ReplayError: There is nothing to replay, a record is none that a recorder wrote, or *target* is no state and no machine to begin
            with.
        DefinitionError: As for `StateMachine`.
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
        redaction=redaction,
        patience=patience,
    )
    return apart(lambda: perform(records_of(run), setting, debug=pdb))


def records_of(run: Run | Iterable[Record]) -> Sound:
    """Return the records of *run*.

    Raises:
        ReplayError: It has none, or the first one is none that a recorder wrote.
    """
    source = getattr(run, "source", "recording")
    if source != "recording":
        raise ReplayError(
            f"run {getattr(run, 'run_id', '')} was read from {source}, which tell where the machine went but not what it was given. "
            'Record it: septum.replay.Recorder(sink, level="full").'
        )
    records = iter(cast("Iterable[Record]", getattr(run, "records", run)))
    first = next(records, None)
    if first is None:
        raise ReplayError("there are no records to replay: the recording is empty, or was read to its end before. Load it again.")
    return Sound(first, records)


def apart(call: Callable[[], R]) -> R:
    """Return what *call* returns, called where no event loop runs: in a thread of its own if one runs here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    with ThreadPoolExecutor(1, "septum-replay") as pool:
        return pool.submit(contextvars.copy_context().run, call).result()


def perform(records: Sound, setting: Setting, *, debug: bool = False) -> Execution:
    """Do what `execute` does."""
    clock = VirtualClock()
    script = Script(iter(records), clock)
    first = script.next
    clock.wall = first.wall - first.at
    options = options_of(setting)
    payloads = Payloads(decode=setting.decode, allowed=setting.allowed, redacted=setting.redacted)
    judge = Judge(script, payloads)
    divergence: Divergence | None = None
    loop = VirtualLoop(clock)
    try:
        actor = make_actor(first, options, clock, (judge,))
        graph = actor.plan.graph
        payloads.know(graph)
        judge.take(actor)
        given = "common_data" in options
        player = Player(script, judge, actor, patience=setting.patience, given=given)
        if first.definition_hash not in {"", graph.hash}:
            player.notes.append(f"the definition is another than the recorded one: {graph.hash}, then {first.definition_hash}")
        try:
            _dress(first, actor, judge, player, setting, given=given)
            with Debugger(graph, judge) if debug else nullcontext():
                loop.run(player.play(), player.idle, player.turn)
        except Halt as halt:
            divergence = halt.divergence
    finally:
        loop.close()
    if records.error is not None:
        raise records.error
    return Execution(
        run_id=first.run_id,
        machine_id=first.machine_id,
        machine_name=first.machine_name,
        verdict="same" if divergence is None else divergence.verdict,
        divergence=divergence,
        records=script.passed,
        calls=judge.calls,
        transitions=judge.transitions,
        state=judge.name(actor.state) if script.passed else None,
        notes=tuple(player.notes),
        path=tuple(_say_move(judge, move) for move in judge.path),
        log=tuple(actor.lines),
    )


def _say_move(judge: Judge, step: Step) -> str:
    kind = step[3] if len(step) == 4 else "label"  # noqa: PLR2004 - a step along a plain edge has three parts
    return str(Move(0, judge.name(step[0]), None if step[1] is None else judge.name(step[1]), step[2], kind))


def _dress(first: Record, actor: Actor, judge: Judge, player: Player, setting: Setting, *, given: bool) -> None:
    """Give the machine its `common`, and decide whether it is compared."""
    try:
        same = give_common(first, actor, judge.payloads, given=given)
    except Unreadable as why:
        judge.diverge(
            "unreadable",
            f"the recorded ctx.common {why.what}",
            expected=in_words(first),
            advice="Give `common=`: a function that returns the data that the states share.",
        )
    if same:
        judge.compare_values(Digests(first.run_id, setting.redaction), common=True)
    else:
        judge.compare_values(Digests(first.run_id, setting.redaction), common=False)
        if semconv.RECORDING_ENCODING in first.attributes:
            player.notes.append("ctx.common is another than the recorded one, and was not compared")
