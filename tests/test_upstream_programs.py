"""Programs as they are written for `mycorrhizal.septum` 0.2.2, with the import changed and nothing else.

Everything below but this sentence and the one import line was run there first, with the same result.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
from enum import Enum, auto
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from septum.core import (
    Again,
    BlockedInUntimedState,
    LabeledTransition,
    Pop,
    PopFromEmptyStack,
    Push,
    Repeat,
    Retry,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateRef,
    StateSpec,
    ValidationError,
    events,
    get_state,
    septum,
)

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = StateMachine.__module__.partition(".")[0]
ADDRESS = "septum.core" if PACKAGE == "septum" else "mycorrhizal.septum.core"


async def until_complete(fsm: StateMachine[Any]) -> None:
    """Tick until the machine says that it is complete."""
    try:
        while True:
            await fsm.tick()
    except StateMachineComplete:
        return


@septum.state(config=StateConfiguration(can_dwell=True))
def Idle():
    class Events(Enum):
        START = auto()
        STOP = auto()

    @septum.on_state
    async def on_state(ctx):
        if ctx.msg == "start":
            return Events.START
        if ctx.msg == "stop":
            return Events.STOP
        return None

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.START, Working), LabeledTransition(Events.STOP, Done)]


@septum.state()
def Working():
    @septum.events
    class Events(Enum):
        READY = auto()

    @septum.on_enter
    async def on_enter(ctx):
        ctx.common.setdefault("log", []).append("enter")

    @septum.on_leave
    async def on_leave(ctx):
        ctx.common["log"].append("leave")

    @septum.on_state
    async def on_state(ctx):
        ctx.common["log"].append("work")
        return Events.READY

    @septum.transitions
    def transitions():
        return LabeledTransition(Events.READY, StateRef(f"{__name__}.Idle"))


@septum.state(config=StateConfiguration(terminal=True), name="the.end", group="ends")
def Done():
    @septum.on_state
    async def on_state(ctx):
        ctx.common["done"] = True


def test_machine_walks_by_its_messages() -> None:
    """Events without decorator, a reference back, one transition instead of a list, a message sent before the first tick."""

    async def main() -> dict[str, Any]:
        fsm = StateMachine(initial_state=Idle, common_data={})
        await fsm.initialize()
        fsm.send_message("start")
        for _ in range(4):
            await fsm.tick()
        assert fsm.current_state == Idle
        fsm.send_message("stop")
        await until_complete(fsm)
        return fsm.context.common

    assert asyncio.run(main()) == {"log": ["enter", "work", "leave"], "done": True}


def test_states_are_what_they_were() -> None:
    """Names, labels, configuration, the list of transitions."""
    assert (Idle.name, Idle.base_name, Idle.qualname, Idle.module) == (f"{__name__}.Idle", "Idle", "Idle", __name__)
    assert (Idle.Events, [event.name for event in Working.Events]) == (None, ["READY"])
    assert (Done.name, Done.base_name, Done.group_name, Done.config) == ("the.end", "Done", "ends", StateConfiguration(terminal=True))
    assert (Done.get_transitions(), Done.transitions, isinstance(Done, StateSpec)) == ([], None, True)
    assert [(edge.label.name, edge.transition) for edge in Idle.get_transitions()] == [("START", Working), ("STOP", Done)]
    assert (get_state("the.end") is Done, get_state("nobody"), events(Working.Events) is Working.Events) == (True, None, True)


@pytest.mark.parametrize("initial", [Idle, f"{__name__}.Idle", StateRef(f"{__name__}.Idle")], ids=["state", "name", "reference"])
def test_machine_begins_where_it_is_told(initial: Any) -> None:
    """By the state, by its full name or by a reference; common_data may be left out."""

    async def main() -> StateMachine[Any]:
        fsm = StateMachine(initial)
        await fsm.initialize()
        await fsm.tick()
        return fsm

    fsm = asyncio.run(main())
    assert (fsm.current_state, fsm.initial_state, fsm.error_state, fsm.state_stack) == (Idle, Idle, None, [])
    assert fsm.context.common == {}


@pytest.mark.parametrize("marker", [Again, Again(), Repeat, Repeat(), Retry, Retry()], ids=repr)
def test_marker_may_be_listed_as_class_or_as_instance(marker: Any) -> None:
    """Behind a label, it runs the state again."""

    @septum.state(config=StateConfiguration(can_dwell=True))
    def Marked():
        class Events(Enum):
            MARKED = auto()
            END = auto()

        @septum.on_state
        async def on_state(ctx):
            ctx.common.append(ctx.msg)
            return Events.MARKED if len(ctx.common) < 3 else Events.END

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.MARKED, marker), LabeledTransition(Events.END, Over)]

    async def main() -> list[Any]:
        fsm = StateMachine(Marked, common_data=[])
        await fsm.initialize()
        await until_complete(fsm)
        return fsm.context.common

    assert asyncio.run(main()) == [None, None, None, "over"]


@pytest.mark.parametrize("form", ["label", "name", "value"])
def test_label_may_be_answered_by_its_name_or_value(form: str) -> None:
    """All three find the edge."""

    @septum.state()
    def Speaking():
        class Events(Enum):
            GO = "gone"

        @septum.on_state
        async def on_state(ctx):
            return {"label": Events.GO, "name": "GO", "value": "gone"}[form]

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.GO, Done)]

    async def main() -> dict[str, Any]:
        fsm = StateMachine(Speaking)
        await fsm.initialize()
        await until_complete(fsm)
        return fsm.context.common

    assert asyncio.run(main()) == {"done": True}


@septum.state()
def Caller():
    class Events(Enum):
        CALL = auto()
        OVER = auto()

    @septum.on_state
    async def on_state(ctx):
        ctx.common.append("caller")
        return Events.CALL if len(ctx.common) < 2 else Events.OVER

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.CALL, Push(Callee, Caller)), LabeledTransition(Events.OVER, Over)]


@septum.state()
def Callee():
    class Events(Enum):
        BACK = auto()

    @septum.on_state
    async def on_state(ctx):
        ctx.common.append("callee")
        return Events.BACK

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.BACK, Pop)]


@septum.state(config=StateConfiguration(terminal=True))
def Over():
    @septum.on_state
    async def on_state(ctx):
        ctx.common.append("over")


def test_pushed_state_pops_back() -> None:
    """The caller comes back because it is listed; the stack shows it meanwhile."""

    async def main() -> list[Any]:
        fsm = StateMachine(Caller, common_data=[])
        await fsm.initialize()
        await fsm.tick()
        assert (fsm.current_state, fsm.state_stack) == (Callee, [Caller])
        await until_complete(fsm)
        return fsm.context.common

    assert asyncio.run(main()) == ["caller", "callee", "caller", "over"]


def test_pop_without_push_is_raised() -> None:
    """To whoever ticks."""

    async def main() -> None:
        fsm = StateMachine(Callee, common_data=[])
        await fsm.initialize()
        with pytest.raises(PopFromEmptyStack):
            await fsm.tick()

    asyncio.run(main())


def test_waiting_where_one_may_not_is_raised() -> None:
    """A state that neither dwells nor has a timeout must answer."""

    @septum.state()
    def Stuck():
        class Events(Enum):
            GO = auto()

        @septum.on_state
        async def on_state(ctx):
            return None

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.GO, Done)]

    async def main() -> None:
        fsm = StateMachine(Stuck)
        await fsm.initialize()
        with pytest.raises(BlockedInUntimedState):
            await fsm.tick()

    asyncio.run(main())


def test_error_function_decides() -> None:
    """What a handler raises goes to on_error_fn with the context; what that answers is the transition."""
    asked: list[Any] = []

    @septum.state()
    def Failing():
        class Events(Enum):
            LOST = auto()

        @septum.on_state
        async def on_state(ctx):
            raise KeyError("gone")

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.LOST, Done)]

    def on_error(ctx, error):
        asked.append((ctx.common, repr(error)))
        return Failing.get_transitions()[0].label

    async def main() -> dict[str, Any]:
        fsm = StateMachine(Failing, on_error_fn=on_error, common_data={"n": 1})
        await fsm.initialize()
        await until_complete(fsm)
        return fsm.context.common

    assert asyncio.run(main()) == {"n": 1, "done": True}
    assert asked == [({"n": 1, "done": True}, "KeyError('gone')")]


def test_error_state_takes_over() -> None:
    """Without on_error_fn the machine goes there."""

    @septum.state()
    def Failing():
        class Events(Enum):
            GO = auto()

        @septum.on_state
        async def on_state(ctx):
            raise KeyError("gone")

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.GO, Done)]

    async def main() -> StateMachine[Any]:
        fsm = StateMachine(Failing, error_state=Idle)
        await fsm.initialize()
        await fsm.tick()
        return fsm

    fsm = asyncio.run(main())
    assert (fsm.current_state, fsm.error_state) == (Idle, Idle)


def test_filter_and_trap_are_asked() -> None:
    """A true answer of filter_fn keeps a message out; trap_fn is called when the handler does not know what to do."""
    filtered: list[Any] = []
    trapped: list[Any] = []

    def keep_out(ctx, message):
        filtered.append(message)
        return message == "spam"

    async def main() -> StateMachine[Any]:
        fsm = StateMachine(Idle, filter_fn=keep_out, trap_fn=lambda ctx: trapped.append(ctx.msg))
        await fsm.initialize()
        await fsm.tick()
        fsm.send_message("spam")
        fsm.send_message("what")
        assert fsm.queue_depth == 1
        await fsm.tick()
        return fsm

    fsm = asyncio.run(main())
    assert (fsm.current_state, filtered, trapped[-1]) == (Idle, ["spam", "what"], "what")


@septum.state(config=StateConfiguration(timeout=0.01))
def Patient():
    class Events(Enum):
        LATE = auto()

    @septum.on_state
    async def on_state(ctx):
        return None

    @septum.on_timeout
    async def on_timeout(ctx):
        return Events.LATE

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.LATE, Done)]


def test_timeout_decides() -> None:
    """A run waits for the deadline."""

    async def main() -> dict[str, Any]:
        fsm = StateMachine(Patient)
        await fsm.initialize()
        with pytest.raises(StateMachineComplete):
            await fsm.run(timeout=1)
        return fsm.context.common

    assert asyncio.run(main()) == {"done": True}


@septum.state(config=StateConfiguration(retries=2))
def Trying():
    class Events(Enum):
        AGAIN = auto()
        LOST = auto()

    @septum.on_state
    async def on_state(ctx):
        ctx.common["tries"] = ctx.common.get("tries", 0) + 1
        return Events.AGAIN

    @septum.on_fail
    async def on_fail(ctx):
        return Events.LOST

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.LOST, Done), LabeledTransition(Events.AGAIN, Retry)]


def test_retries_end_in_on_fail() -> None:
    """Two retries are three tries."""

    async def main() -> dict[str, Any]:
        fsm = StateMachine(Trying)
        await fsm.initialize()
        await until_complete(fsm)
        return fsm.context.common

    assert asyncio.run(main()) == {"tries": 3, "done": True}


def test_machine_lives_through_two_event_loops() -> None:
    """What one asyncio.run() began the next one ends."""
    fsm = StateMachine(Idle)

    async def begin() -> None:
        await fsm.initialize()
        await fsm.tick()

    async def end() -> None:
        fsm.send_message("stop")
        await until_complete(fsm)

    asyncio.run(begin())
    asyncio.run(end())
    assert fsm.context.common == {"done": True}


def test_reset_begins_anew() -> None:
    """In the initial state, with the same data."""

    async def main() -> StateMachine[Any]:
        fsm = StateMachine(Idle)
        await fsm.initialize()
        fsm.send_message("start")
        await fsm.tick()
        await fsm.tick()
        await fsm.reset()
        return fsm

    fsm = asyncio.run(main())
    assert (fsm.current_state, fsm.state_stack, fsm.retry_counters) == (Idle, [], {})


@pytest.mark.parametrize("bad", ["nobody", StateRef("nobody.at.all")], ids=["name", "reference"])
def test_unknown_state_is_a_validation_error(bad: Any) -> None:
    """Raised by the constructor, with the old words."""
    with pytest.raises(ValidationError, match="not found in registry"):
        StateMachine(bad)


def test_state_without_handler_is_a_value_error() -> None:
    """Raised by the decorator, with the old words."""
    with pytest.raises(ValueError, match="must have an @on_state decorated method"):

        @septum.state()
        def Empty():
            pass


SCRIPT = """
    import asyncio, multiprocessing, sys
    from enum import Enum, auto
    from ADDRESS import LabeledTransition, StateConfiguration, StateMachine, StateMachineComplete, septum

    @septum.state()
    def Counting():
        class Events(Enum):
            ON = auto()
            END = auto()

        @septum.on_state
        async def on_state(ctx):
            ctx.common["n"] += 1
            return Events.ON if ctx.common["n"] < 3 else Events.END

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.ON, Counting), LabeledTransition(Events.END, End)]

    @septum.state(config=StateConfiguration(terminal=True))
    def End():
        @septum.on_state
        async def on_state(ctx):
            pass

    async def go():
        fsm = StateMachine("script.Counting", common_data={"n": 0})
        await fsm.initialize()
        try:
            while True:
                await fsm.tick()
        except StateMachineComplete:
            return fsm.context.common["n"]

    def work(queue):
        queue.put(asyncio.run(go()))

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        queue = context.Queue()
        children = [context.Process(target=work, args=(queue,)) for _ in range(2)]
        for child in children:
            child.start()
        print("result", sorted(queue.get(timeout=60) for _ in children), asyncio.run(go()))
        for child in children:
            child.join()
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()])
def test_machines_run_in_other_processes(method: str, tmp_path: Path) -> None:
    """A script's states are there in each process that it starts, forked or spawned."""
    if (method, PACKAGE) == ("spawn", "mycorrhizal"):
        pytest.skip("a spawned process of the old package knows the script's states by another name")
    script = tmp_path / "script.py"
    script.write_text(dedent(SCRIPT).replace("ADDRESS", ADDRESS), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script), method], capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("result")]
    assert (told, done.returncode) == (["result [3, 3] 3"], 0), done.stderr
