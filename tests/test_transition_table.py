"""Each row of the table of transitions: what a machine does at each answer, and the whole list of facts that it tells."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import pytest

from septum import (
    Again,
    BlockedInUntimedState,
    LabeledTransition,
    Pop,
    PopFromEmptyStack,
    Push,
    Repeat,
    Restart,
    RetriesExhausted,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    Unhandled,
    UnhandledTimeout,
    septum,
)
from septum.testing import ManualClock, RecorderHooks
from tests.scenes import check_law, lines, run


class Say(Enum):
    """Labels of the state under test."""

    GO = auto()
    ASK = auto()
    BACK = auto()
    STOP = auto()


def nothing(ctx: Any) -> None:
    """A handler that does nothing."""


@septum.state(config=StateConfiguration(can_dwell=True))
def There():
    @septum.on_state
    async def on_state(ctx):
        return ctx.common.get("there")

    @septum.on_enter
    async def on_enter(ctx):
        pass

    @septum.on_leave
    async def on_leave(ctx):
        pass

    @septum.transitions
    def transitions():
        return [Pop]


def here(**limits: Any) -> Any:
    """Return a state that answers what stands in `common["say"]`, one answer a call, and has every handler but on_fail."""
    fails = limits.pop("fails", False)
    times_out = limits.pop("times_out", True)
    direct = limits.pop("direct", False)

    @septum.state(config=StateConfiguration(**limits))
    def Here():
        @septum.events
        class Events(Enum):
            GO = auto()
            ASK = auto()
            BACK = auto()
            STOP = auto()
            MORE = auto()

        @septum.on_enter
        async def on_enter(ctx):
            pass

        @septum.on_state
        async def on_state(ctx):
            answer = ctx.common["say"].pop(0)
            return getattr(Events, answer) if isinstance(answer, str) else answer

        @septum.on_leave
        async def on_leave(ctx):
            pass

        if times_out:

            @septum.on_timeout
            async def on_timeout(ctx):
                return ctx.common.get("late")

        if fails:

            @septum.on_fail
            async def on_fail(ctx):
                return ctx.common.get("failed")

        @septum.transitions
        def transitions():
            return [
                LabeledTransition(Events.GO, There),
                LabeledTransition(Events.ASK, Push(There, Here, There)),
                LabeledTransition(Events.BACK, Pop),
                LabeledTransition(Events.STOP, None),
                LabeledTransition(Events.MORE, Again),
                *([There] if direct else []),
            ]

    return Here


class Scene:
    """A machine that stands in `Here`, entered and told; `tell` is what it told since."""

    def __init__(self, *say: Any, late: Any = None, failed: Any = None, **limits: Any) -> None:
        self.clock = ManualClock()
        self.recorder = RecorderHooks()
        self.Here = here(**limits)
        self.common = {"say": list(say), "late": late, "failed": failed}
        self.fsm = StateMachine(self.Here, common_data=self.common, hooks=[self.recorder], clock=self.clock)

    async def entered(self) -> Scene:
        await self.fsm.initialize()
        assert lines(self.recorder) == [
            "run_started state=Here resumed=False",
            "visit_started state=Here kind=initial stack=()",
            *call("on_enter", "Here"),
        ]
        return self

    def told(self) -> list[str]:
        check_law(self.fsm)
        return lines(self.recorder)

    def place(self) -> tuple[str, list[str]]:
        assert self.fsm.current_state is not None
        return self.fsm.current_state.base_name, [state.base_name for state in self.fsm.state_stack]


def call(
    handler: str, state: str, *, message: Any = None, answer: str = "None", exception: str = "None", duration: float = 0.0
) -> list[str]:
    """Return the two lines of one handler call."""
    return [
        f"handler_started handler={handler} state={state} message={message}",
        f"handler_finished handler={handler} state={state} message={message} answer={answer} duration={duration} exception={exception}",
    ]


def left(outcome: str, *, exception: str = "None", duration: float = 0.0) -> list[str]:
    """Return the lines of leaving `Here`."""
    return [*call("on_leave", "Here"), f"visit_ended state=Here outcome={outcome} duration={duration} exception={exception}"]


def entered(state: str, kind: str, stack: str = "()") -> list[str]:
    """Return the lines of entering *state*."""
    return [f"visit_started state={state} kind={kind} stack={stack}", *call("on_enter", state)]


def test_label_leaves_and_enters() -> None:
    """A label takes its edge: on_leave, then on_enter of the target, told with the label."""

    async def scene() -> None:
        at = await Scene("GO").entered()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Events.GO"),
            *left("transition"),
            "transition_taken source=Here target=There label=Events.GO kind=label",
            *entered("There", "label"),
        ]
        assert at.place() == ("There", [])

    run(scene())


@pytest.mark.parametrize(("direct", "taken"), [(False, "label=Events.GO kind=label"), (True, "label=None kind=direct")])
def test_state_as_answer_takes_an_edge_that_leads_there(direct: bool, taken: str) -> None:
    """Answering a state takes the unlabelled edge to it, else a labelled one."""

    async def scene() -> None:
        at = await Scene(There, direct=direct).entered()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="There"),
            *left("transition"),
            f"transition_taken source=Here target=There {taken}",
            *entered("There", "direct" if direct else "label"),
        ]

    run(scene())


def test_leaving_forgets_the_retry_count() -> None:
    """An edge to a state clears the count of the state that is left."""

    async def scene() -> None:
        at = await Scene(Retry, "GO").entered()
        await at.fsm.tick()
        assert dict(at.fsm.retry_counters) == {at.Here.name: 1}
        await at.fsm.tick()
        assert not any(at.fsm.retry_counters.values())

    run(scene())


@pytest.mark.parametrize("answer", [Again, Again(), "MORE"])
def test_again_calls_on_state_once_more_in_the_next_tick(answer: Any) -> None:
    """Again leaves nothing and enters nothing; one tick makes one call. A marker that is listed has its edge's label."""

    async def scene() -> None:
        at = await Scene(answer, "GO").entered()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Events.MORE" if answer == "MORE" else "Again"),
            "transition_taken source=Here target=Here label=Events.MORE kind=again",
        ]
        await at.fsm.tick()
        assert at.told()[:2] == call("on_state", "Here", answer="Events.GO")

    run(scene())


def test_none_waits_in_a_state_that_may_dwell() -> None:
    """None tells no transition, keeps the visit, and a later tick with an empty mailbox calls nobody."""

    async def scene() -> None:
        at = await Scene(None, can_dwell=True).entered()
        await at.fsm.tick()
        await at.fsm.tick()
        assert at.told() == call("on_state", "Here")

    run(scene())


def test_none_means_seen_for_a_message() -> None:
    """A message that is answered with None counts as handled and the state stays."""

    async def scene() -> None:
        at = await Scene(None, None, can_dwell=True).entered()
        at.fsm.send_message("hello")
        await at.fsm.tick()
        assert at.told() == [
            "message_queued message=hello priority=2 depth=1 number=1 headers=None",
            *call("on_state", "Here"),
            "message_taken message=hello priority=2 depth=0 number=1 headers=None waited=0.0",
            *call("on_state", "Here", message="hello"),
        ]
        assert (at.fsm.stats().handled, at.fsm.stats().unhandled) == (1, 0)

    run(scene())


@pytest.mark.parametrize("answer", [Unhandled, Unhandled()])
def test_unhandled_is_told_with_its_message(answer: Any) -> None:
    """Unhandled waits like None, but the message counts as unhandled."""

    async def scene() -> None:
        at = await Scene(None, answer, can_dwell=True).entered()
        await at.fsm.tick()
        at.fsm.send_message("hello")
        at.told()
        await at.fsm.tick()
        assert at.told() == [
            "message_taken message=hello priority=2 depth=0 number=1 headers=None waited=0.0",
            *call("on_state", "Here", message="hello", answer="Unhandled"),
            "message_unhandled message=hello number=1",
        ]
        assert (at.fsm.stats().handled, at.fsm.stats().unhandled) == (0, 1)

    run(scene())


@pytest.mark.parametrize("answer", [None, Unhandled])
def test_waiting_where_nothing_can_come_is_refused(answer: Any) -> None:
    """A state with neither can_dwell nor timeout may not wait, even with a message in the mailbox."""

    async def scene() -> None:
        at = await Scene(answer, answer).entered()
        at.fsm.send_message("hello")
        at.told()
        with pytest.raises(BlockedInUntimedState, match="cannot dwell and does not have a timeout"):
            await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="None" if answer is None else "Unhandled"),
            "error_routed exception=BlockedInUntimedState state=Here to=raised",
        ]
        assert (at.place(), at.fsm.queue_depth) == (("Here", []), 1)

    run(scene())


def test_repeat_leaves_and_enters_the_same_state() -> None:
    """Repeat begins a new visit with a call without message, its retry count forgotten."""

    async def scene() -> None:
        at = await Scene(Retry, Repeat, "GO").entered()
        await at.fsm.tick()
        at.told()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Repeat"),
            *left("repeat"),
            "transition_taken source=Here target=Here label=None kind=repeat",
            *entered("Here", "repeat"),
        ]
        assert not any(at.fsm.retry_counters.values())
        await at.fsm.tick()
        assert at.place() == ("There", [])

    run(scene())


def test_restart_waits_for_a_message_first() -> None:
    """Restart begins a visit that waits, even where the state may not dwell, and its first call has the message."""

    async def scene() -> None:
        at = await Scene(Restart, "GO").entered()
        await at.fsm.tick()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Restart"),
            *left("restart"),
            "transition_taken source=Here target=Here label=None kind=restart",
            *entered("Here", "restart"),
        ]
        at.fsm.send_message("hello")
        await at.fsm.tick()
        assert at.told()[1:4] == [
            "message_taken message=hello priority=2 depth=0 number=1 headers=None waited=0.0",
            *call("on_state", "Here", message="hello", answer="Events.GO"),
        ]
        assert at.place() == ("There", [])

    run(scene())


def test_retry_without_a_policy_is_at_once() -> None:
    """Retry leaves and enters in one tick and counts."""

    async def scene() -> None:
        at = await Scene(Retry, retries=2).entered()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Retry"),
            *left("retry"),
            "transition_taken source=Here target=Here label=None kind=retry",
            "retry_scheduled state=Here count=1 limit=2 delay=0.0",
            *entered("Here", "retry"),
        ]
        assert (dict(at.fsm.retry_counters), at.fsm.stats().retries) == ({at.Here.name: 1}, 1)

    run(scene())


def test_retry_with_a_policy_waits_between_the_visits() -> None:
    """During the delay there is no visit; the state keeps its name, messages stay queued, and the clock decides."""

    async def scene() -> None:
        at = await Scene(Retry, Retry, None, retry=RetryPolicy(base=2.0, factor=3.0), timeout=1.0, can_dwell=True).entered()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Retry"),
            *left("retry"),
            "transition_taken source=Here target=Here label=None kind=retry",
            "retry_scheduled state=Here count=1 limit=None delay=2.0",
        ]
        at.fsm.send_message("hello")
        await at.clock.advance(1.5)
        await at.fsm.tick()
        assert (at.told(), at.place()) == (["message_queued message=hello priority=2 depth=1 number=1 headers=None"], ("Here", []))
        await at.clock.advance(0.5)
        await at.fsm.tick()
        assert at.told() == [
            *entered("Here", "retry"),
            *call("on_state", "Here", answer="Retry"),
            *left("retry"),
            "transition_taken source=Here target=Here label=None kind=retry",
            "retry_scheduled state=Here count=2 limit=None delay=6.0",
        ]
        assert at.fsm.queue_depth == 1

    run(scene())


def test_retry_past_its_limit_asks_on_fail() -> None:
    """The retry after the last one goes to on_fail, whose answer is a transition like any other."""

    async def scene() -> None:
        at = await Scene(Retry, Retry, fails=True, failed=There, retries=1).entered()
        await at.fsm.tick()
        at.told()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Retry"),
            "retries_exhausted state=Here count=2 limit=1",
            *call("on_fail", "Here", answer="There"),
            *left("transition"),
            "transition_taken source=Here target=There label=Events.GO kind=label",
            *entered("There", "label"),
        ]
        assert not any(at.fsm.retry_counters.values())

    run(scene())


def test_retry_past_its_limit_without_on_fail_is_an_error() -> None:
    """RetriesExhausted names the limit, and the machine stays where it is."""

    async def scene() -> None:
        at = await Scene(Retry, retries=0).entered()
        with pytest.raises(RetriesExhausted) as caught:
            await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Retry"),
            "retries_exhausted state=Here count=1 limit=0",
            "error_routed exception=RetriesExhausted state=Here to=raised",
        ]
        assert (caught.value.limit, caught.value.state, at.place()) == (0, at.Here.name, ("Here", []))

    run(scene())


def test_retry_answered_by_on_fail_is_an_error() -> None:
    """on_fail cannot ask for one more retry."""

    async def scene() -> None:
        at = await Scene(Retry, fails=True, failed=Retry, retries=0).entered()
        with pytest.raises(RetriesExhausted):
            await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Retry"),
            "retries_exhausted state=Here count=1 limit=0",
            *call("on_fail", "Here", answer="Retry"),
            "error_routed exception=RetriesExhausted state=Here to=raised",
        ]

    run(scene())


def test_push_enters_the_first_and_keeps_the_rest_below() -> None:
    """Push(There, Here, There) enters There; Here is next, the other There lowest; the retry count is kept."""

    async def scene() -> None:
        at = await Scene(Retry, "ASK").entered()
        await at.fsm.tick()
        at.told()
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Events.ASK"),
            *left("push"),
            "transition_taken source=Here target=There label=Events.ASK kind=push",
            "stack_pushed states=(There Here) depth=2",
            *entered("There", "push", "(There Here)"),
        ]
        assert (at.place(), dict(at.fsm.retry_counters)) == (("There", ["There", "Here"]), {at.Here.name: 1})

    run(scene())


def test_pop_enters_the_top_of_the_stack() -> None:
    """Pop goes back to what was pushed last, its retry count as it was."""

    async def scene() -> None:
        at = await Scene(Retry, "ASK", Retry, retries=2).entered()
        await at.fsm.run(2, 0)
        at.told()
        at.common["there"] = Pop
        await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "There", answer="Pop"),
            *call("on_leave", "There"),
            "visit_ended state=There outcome=pop duration=0.0 exception=None",
            "transition_taken source=There target=Here label=None kind=pop",
            "stack_popped states=(Here) depth=1",
            *entered("Here", "pop", "(There)"),
        ]
        assert (at.place(), dict(at.fsm.retry_counters)) == (("Here", ["There"]), {at.Here.name: 1})

    run(scene())


def test_pop_of_an_empty_stack_is_an_error() -> None:
    """PopFromEmptyStack is raised before anything is left."""

    async def scene() -> None:
        at = await Scene("BACK").entered()
        with pytest.raises(PopFromEmptyStack):
            await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Events.BACK"),
            "error_routed exception=PopFromEmptyStack state=Here to=raised",
        ]
        assert at.place() == ("Here", [])

    run(scene())


def test_edge_to_none_ends_the_machine() -> None:
    """LabeledTransition(label, None) runs on_leave, completes, and the tick raises the signal."""

    async def scene() -> None:
        at = await Scene("STOP").entered()
        with pytest.raises(StateMachineComplete):
            await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="Events.STOP"),
            *left("completed"),
            "transition_taken source=Here target=None label=Events.STOP kind=end",
            "run_ended state=Here outcome=completed duration=0.0 exception=None",
        ]
        with pytest.raises(StateMachineComplete):
            await at.fsm.tick()
        assert at.told() == []

    run(scene())


def test_terminal_state_ends_the_machine_whatever_it_answers() -> None:
    """A terminal state's first call runs, its answer is not looked at, on_leave runs, and what lies on the stack does not matter."""

    async def scene() -> None:
        at = await Scene("no such label", terminal=True).entered()
        at.common["say"] = [42]
        with pytest.raises(StateMachineComplete):
            await at.fsm.tick()
        assert at.told() == [
            *call("on_state", "Here", answer="42"),
            *left("completed"),
            "run_ended state=Here outcome=completed duration=0.0 exception=None",
        ]

    run(scene())


def test_deadline_that_passed_is_noticed_by_the_next_tick() -> None:
    """An expired deadline goes before a queued message; on_timeout decides, and the visit's outcome says so."""

    async def scene() -> None:
        at = await Scene(None, timeout=5.0, late=There).entered()
        await at.fsm.tick()
        at.fsm.send_message("hello")
        await at.clock.advance(7)
        at.told()
        await at.fsm.tick()
        assert at.told() == [
            "timeout_fired state=Here after=5.0 lateness=2.0",
            *call("on_timeout", "Here", answer="There"),
            *left("timeout", duration=7.0),
            "transition_taken source=Here target=There label=Events.GO kind=label",
            *entered("There", "label"),
        ]
        assert at.fsm.queue_depth == 1

    run(scene())


def test_deadline_fires_once_and_then_the_state_dwells() -> None:
    """on_timeout that answers None stays; the deadline does not come again, messages do."""

    async def scene() -> None:
        at = await Scene(None, None, timeout=5.0).entered()
        await at.fsm.tick()
        await at.clock.advance(5)
        at.told()
        await at.fsm.tick()
        assert at.told() == ["timeout_fired state=Here after=5.0 lateness=0.0", *call("on_timeout", "Here")]
        await at.clock.advance(50)
        await at.fsm.tick()
        assert at.told() == []
        at.fsm.send_message("hello")
        await at.fsm.tick()
        assert at.told()[1:] == [
            "message_taken message=hello priority=2 depth=0 number=1 headers=None waited=0.0",
            *call("on_state", "Here", message="hello"),
        ]

    run(scene())


def test_deadline_without_on_timeout_is_an_error() -> None:
    """UnhandledTimeout is routed like a handler's exception; raised, it leaves the machine dwelling in its state."""

    async def scene() -> None:
        at = await Scene(None, timeout=5.0, times_out=False).entered()
        await at.fsm.tick()
        await at.clock.advance(5)
        at.told()
        with pytest.raises(UnhandledTimeout) as caught:
            await at.fsm.tick()
        assert at.told() == [
            "timeout_fired state=Here after=5.0 lateness=0.0",
            "error_routed exception=UnhandledTimeout state=Here to=raised",
        ]
        assert (caught.value.after, at.place()) == (5.0, ("Here", []))
        await at.fsm.tick()
        assert at.told() == []

    run(scene())


def test_error_state_is_entered_with_the_stack_whole() -> None:
    """An exception goes to the error state: on_leave runs, the visit ends with the exception, the stack stays."""

    async def scene() -> None:
        at = Scene("ASK")
        recorder = RecorderHooks()
        fsm = StateMachine(at.Here, common_data={"say": ["ASK"], "there": "rubbish"}, hooks=[recorder], clock=at.clock, error_state=There)
        await fsm.tick()
        lines(recorder)
        with pytest.raises(ValueError, match="rubbish"):
            await fsm.tick()
        assert lines(recorder)[-1] == "error_routed exception=UnknownTransition state=There to=raised"
        fsm = StateMachine(at.Here, common_data={"say": ["rubbish"]}, hooks=[recorder], clock=at.clock, error_state=There)
        await fsm.tick()
        assert lines(recorder)[3:] == [
            *call("on_enter", "Here")[1:],
            *call("on_state", "Here", exception="AttributeError"),
            "error_routed exception=AttributeError state=Here to=error_state",
            *left("error", exception="AttributeError"),
            "transition_taken source=Here target=There label=None kind=error",
            *entered("There", "error"),
        ]

    run(scene())
