"""Builds real states and a real machine from a program, drives it under a `ManualClock`, and says what can be seen in the model's words."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from septum import (
    Again,
    LabeledTransition,
    Pop,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateSpec,
    Unhandled,
)
from septum.core import SeptumInternalMessage
from septum.testing import ManualClock, RecorderHooks, settle
from tests.model.program import Answer, Command, Definition, Doing, Edge, Message, State, Tape, said

MARKERS = {"again": Again, "unhandled": Unhandled, "repeat": Repeat, "restart": Restart, "retry": Retry, "pop": Pop}
RUBBISH: list[Any] = [object(), "no such label", 4711, True, ["unhashable"], 1.5, Exception, b"E0"]
HEADER = ("machine_id", "machine_name", "run_id", "wall", "definition")


class Boom(Exception):
    """What a handler raises, or what is sent as a message; two of one number are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Boom) and self.args == other.args

    __hash__ = Exception.__hash__


class FilterBoom(Boom):
    """What a filter raises."""


class TrapBoom(Exception):
    """What a trap raises."""


class Internal(SeptumInternalMessage):
    """An internal message with a number."""

    def __init__(self, number: int) -> None:
        self.number = number


class Machine:
    """The real engine with a program in it."""

    def __init__(self, definition: Definition, tape: Tape, *, hooks: tuple[Any, ...] = ()) -> None:
        self.definition = definition
        self.tape = tape
        self.clock = ManualClock()
        self.hooks = hooks
        self.cancel_at: int | None = None
        self.was_cancelled = False
        self.specs = [StateSpec(name=f"m.S{number}") for number in range(len(definition.states))]
        self.labels = [self._events(state) for state in definition.states]
        for number, state in enumerate(definition.states):
            self._fill(number, state)
        self.fsm: StateMachine[Any] = StateMachine(
            self.specs[0],
            definition.max_queue_size,
            definition.policy,  # type: ignore[arg-type] - one of the four
            error_state=None if definition.error is None else self.specs[definition.error],
            filter_fn=self._filter if definition.filtered or definition.filter_raises else None,
            trap_fn=self._trap if definition.has_trap else None,
            on_error_fn={None: None, "sync": self._on_error, "async": self._on_error_later}[definition.on_error],
            hooks=hooks,
            clock=self.clock,
            name="m",
        )

    # -- building

    def _events(self, state: State) -> type[Enum] | None:
        labels = sorted(edge.label for edge in state.edges if edge.label is not None)
        return Enum("Events", {f"E{label}": label + 1 for label in labels}) if labels else None  # type: ignore[return-value] - an Enum class

    def _fill(self, number: int, state: State) -> None:
        spec, policy = self.specs[number], state.policy
        spec.qualname, spec.module, spec.Events = f"S{number}", "m", self.labels[number]
        spec.config = StateConfiguration(
            timeout=state.timeout,
            retries=state.retries,
            terminal=state.terminal,
            can_dwell=state.can_dwell,
            retry=policy and RetryPolicy(max=policy.max, base=policy.base, factor=policy.factor, max_delay=policy.max_delay),
        )
        for handler, flavour in state.handlers.items():
            setattr(spec, handler, self._handler(number, handler, flavour))
        edges = [self._transition(number, edge) for edge in state.edges]
        spec.transitions = lambda: edges

    def _transition(self, number: int, edge: Edge) -> Any:
        target: Any
        if edge.kind in {"label", "direct"}:
            target = self.specs[edge.targets[0]]
        elif edge.kind == "push":
            target = Push(*[self.specs[target] for target in edge.targets])
        else:
            target = None if edge.kind == "end" else MARKERS[edge.kind]
        return target if edge.label is None else LabeledTransition(self.labels[number][f"E{edge.label}"], target)  # type: ignore[index] - it has labels

    def _handler(self, number: int, handler: str, flavour: str) -> Any:
        decides = handler in {"on_state", "on_timeout", "on_fail"}

        async def later(ctx: Any) -> Any:
            answer = await self._play()
            return self.object(number, answer) if decides else None

        def at_once(ctx: Any) -> Any:
            answer = self._play_at_once()
            return self.object(number, answer) if decides else None

        return later if flavour == "async" else at_once

    def object(self, number: int, answer: Answer) -> Any:
        """Return the object that state *number* answers with."""
        what = said(answer, self.definition.states[number], len(self.specs))
        if what is None:
            return None
        sort, which = what
        if sort == "rubbish":
            return RUBBISH[which % len(RUBBISH)]
        if sort == "marker":
            return MARKERS[which] if answer.pick % 2 else MARKERS[which]()
        if sort == "state":
            return self.specs[which]
        if sort == "push":
            return Push(*[self.specs[target] for target in which])
        label = self.labels[number][f"E{which}"]  # type: ignore[index] - an answer is a label only where there are labels
        return {"label": label, "name": label.name, "value": label.value}[sort]

    # -- what user code does

    async def _play(self) -> Answer:
        self.check_law()
        call = self.tape.next()
        try:
            for doing in call.doings:
                if doing.kind in {"nap", "hang"}:
                    await self._suspend(doing.amount)
                else:
                    self._act(doing)
        except asyncio.CancelledError:
            if not call.swallow or self.was_cancelled:
                raise
        if call.boom is not None:
            raise Boom(call.boom)
        return call.answer

    def _play_at_once(self) -> Answer:
        self.check_law()
        call = self.tape.next()
        for doing in call.doings:
            if doing.kind not in {"nap", "hang"}:
                self._act(doing)
        if call.boom is not None:
            raise Boom(call.boom)
        return call.answer

    def _act(self, doing: Doing) -> None:
        if doing.kind == "send":
            assert doing.message is not None
            self.fsm.send_message(self.message(doing.message))
        else:
            self.clock.advance(doing.amount)

    async def _suspend(self, seconds: float) -> None:
        if self.cancel_at is not None:
            self.cancel_at -= 1
            if self.cancel_at < 0:
                self.cancel_at = None
                self.was_cancelled = True
                task = asyncio.current_task()
                assert task is not None
                # As from outside: in the loop's next turn, before whatever else that brings.
                asyncio.get_running_loop().call_soon(task.cancel)
        if not seconds:
            await asyncio.sleep(0)
            return
        done = asyncio.get_running_loop().create_future()
        timer = self.clock.call_at(self.clock.now() + seconds, lambda: done.done() or done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    def _on_error(self, ctx: Any, error: Exception) -> Any:
        return self.object(self.place(self.fsm.current_state), self._play_at_once())

    async def _on_error_later(self, ctx: Any, error: Exception) -> Any:
        return self.object(self.place(self.fsm.current_state), await self._play())

    def _filter(self, ctx: Any, message: Any) -> bool:
        number = self.plain(message).number
        if number in self.definition.filter_raises:
            raise FilterBoom(number)
        return number in self.definition.filtered

    def _trap(self, ctx: Any) -> None:
        if self.tape.next().boom is not None:
            raise TrapBoom

    def message(self, message: Message) -> Any:
        """Return the object that is sent."""
        return {"error": Boom, "internal": Internal, "user": str}[message.kind](message.number)

    # -- driving

    async def do(self, command: Command) -> tuple[Any, ...]:
        """Carry out *command* to its end, moving the clock from timer to timer, and return what came out of it."""
        self.cancel_at, self.was_cancelled = command.cancel_at, False
        try:
            if command.kind == "send":
                assert command.message is not None
                return ("returned", self.fsm.send_message(self.message(command.message)))
            if command.kind == "advance":
                await self.clock.advance(command.amount or 0.0)
                return ("returned", None)
            await self._run_through(asyncio.create_task(self.operation(command)))
        except asyncio.CancelledError:
            return ("cancelled",)
        except Exception as error:  # noqa: BLE001 - the model says which ones may come
            return ("raised", *self.exception(error))
        else:
            return ("returned", None)

    async def operation(self, command: Command) -> None:
        """Call the machine."""
        if command.kind == "tick":
            await self.fsm.tick(command.amount)
        elif command.kind == "run":
            await self.fsm.run(command.limit, command.amount)
        elif command.kind == "reset":
            await self.fsm.reset()
        else:
            await self.fsm.initialize()

    async def _run_through(self, task: asyncio.Task[None]) -> None:
        for _ in range(10_000):
            await settle()
            if task.done():
                return await task
            if self.clock.next_timer is None:
                task.cancel()
            else:
                self.clock.set(self.clock.next_timer)
        raise AssertionError("the machine does not come to an end")

    # -- looking

    def look(self) -> dict[str, Any]:
        """Return what can be seen from outside, as `Model.look` does."""
        stats = self.check_law()
        names = (
            "visits",
            "transitions",
            "accepted",
            "handled",
            "unhandled",
            "filtered",
            "rejected",
            "retries",
            "timeouts",
            "errors",
            "pending",
        )
        counts = {name: getattr(stats, name) for name in names} | {"dropped": {why: n for why, n in stats.dropped.items() if n}}
        assert (stats.hook_errors, self.fsm.queue_depth) == (0, stats.pending)
        return {
            "state": None if self.fsm.current_state is None else self.place(self.fsm.current_state),
            "stack": tuple(self.place(spec) for spec in self.fsm.state_stack),
            "retries": {self.place(name): count for name, count in self.fsm.retry_counters.items() if count},
            "stats": counts,
            "calls": self.tape.position,
            "now": self.clock.now(),
        }

    def check_law(self) -> Any:
        """Assert the conservation law and return the ledger."""
        stats = self.fsm.stats()
        assert stats.accepted == stats.handled + stats.unhandled + sum(stats.dropped.values()) + stats.filtered + stats.pending
        return stats

    def facts(self, recorder: RecorderHooks) -> list[dict[str, Any]]:
        """Return what *recorder* was told, in the model's words, the header checked."""
        runs: list[str] = []
        told = []
        for fact in recorder.facts:
            fields = dict(fact.fields())
            assert (fields["machine_id"], fields["machine_name"]) == (self.fsm.machine_id, "m")
            assert fields["wall"] == ManualClock().wall_ns() + round(fields["at"] * 1e9)
            if fields["run_id"] not in runs:
                runs.append(fields["run_id"])
            own = {name: self._field(name, value) for name, value in fields.items() if name not in HEADER}
            told.append({"fact": type(fact).__name__, "run": runs.index(fields["run_id"]) + 1} | own)
        return told

    def _field(self, name: str, value: Any) -> Any:
        if name == "answer":
            return self._said(value)
        if name == "exception":
            return None if value is None else self.exception(value)
        if name == "message":
            return None if value is None else self.plain(value)
        if name in {"state", "source", "target"}:
            return None if value is None else self.place(value)
        if name in {"stack", "states"}:
            return tuple(self.place(state) for state in value)
        return int(value.removeprefix("Events.E")) if name == "label" and value is not None else value

    def _said(self, answer: Any) -> Any:
        for number, rubbish in enumerate(RUBBISH):
            if answer is rubbish:
                return ("rubbish", number)
        if isinstance(answer, Enum):
            return ("label", answer.value - 1)
        if isinstance(answer, StateSpec):
            return ("state", self.place(answer))
        if isinstance(answer, Push):
            return ("push", tuple(self.place(state) for state in answer.push_states))
        if isinstance(answer, str):
            return ("name", int(answer[1:]))
        if isinstance(answer, int):
            return ("value", answer - 1)
        marker = next((name for name, cls in MARKERS.items() if answer is cls or type(answer) is cls), None)
        return None if answer is None else ("marker", marker)

    def exception(self, error: BaseException) -> tuple[str, int | None]:
        """Return the name of an exception's class, and its number if user code raised it."""
        return (type(error).__name__, error.args[0] if isinstance(error, Boom) else None)

    def plain(self, message: Any) -> Message:
        """Return a message as the model knows it."""
        if isinstance(message, Boom):
            return Message("error", message.args[0])
        if isinstance(message, Internal):
            return Message("internal", message.number)
        return Message("user", int(message))

    def place(self, state: Any) -> int:
        """Return the number of a state, given it or its name."""
        return int(str(getattr(state, "name", state)).removeprefix("m.S"))
