"""Hooks: who is told what, when they come and go, and what happens when they fail."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest

from septum import (
    Hooks,
    LabeledTransition,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    facts,
    hooks,
    septum,
)
from septum import _hooks as innards
from septum._hooks import METHODS, overridden
from septum.testing import ManualClock, RecorderHooks, settle
from tests.scenes import lines, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Say(Enum):
    """Labels of all states here."""

    NEXT = auto()
    END = auto()
    RETRY = auto()


@septum.state
def First():
    @septum.on_state
    async def on_state(ctx):
        return Say.NEXT

    @septum.transitions
    def transitions():
        return [LabeledTransition(Say.NEXT, Waiting)]


@septum.state(config=StateConfiguration(can_dwell=True, retry=RetryPolicy(base=5.0)))
def Waiting():
    """Does what a message says: calls it, waits for it, or answers it."""

    @septum.on_state
    async def on_state(ctx):
        if isinstance(ctx.msg, Say):
            return ctx.msg
        if isinstance(ctx.msg, asyncio.Event):
            await ctx.msg.wait()
        elif ctx.msg is not None:
            ctx.msg()

    @septum.transitions
    def transitions():
        return [LabeledTransition(Say.NEXT, Waiting), LabeledTransition(Say.END, None), LabeledTransition(Say.RETRY, Retry)]


class Transitions(Hooks):
    """A hook that wants to know of transitions only."""

    def __init__(self) -> None:
        self.told: list[facts.TransitionTaken] = []

    def transition_taken(self, fact: facts.TransitionTaken) -> None:
        self.told.append(fact)


class Broken(Hooks):
    """A hook that fails at every visit, with the error that it was given."""

    def __init__(self, error: Exception, *, strict: bool = False) -> None:
        self.error = error
        self.strict = strict
        self.calls = 0

    def visit_started(self, _: facts.VisitStarted) -> None:
        self.calls += 1
        raise self.error


@pytest.fixture(autouse=True)
def nothing_installed() -> Iterator[None]:
    """Make sure that a test leaves no hook behind for the process."""
    yield
    assert innards.installed == ()


@pytest.fixture
def complaints() -> Iterator[list[logging.LogRecord]]:
    """Return what is logged on `septum.hooks`."""
    kept: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    keeper, logger = Keeper(), logging.getLogger("septum.hooks")
    logger.addHandler(keeper)
    yield kept
    logger.removeHandler(keeper)


async def moved(fsm: StateMachine[Any], *messages: object) -> StateMachine[Any]:
    """Send *messages* one by one, with a tick for each, after a tick that takes the machine to `Waiting`."""
    for message in messages:
        fsm.send_message(message)
        await fsm.tick()
    return fsm


async def waiting(*observers: Hooks, **options: Any) -> StateMachine[Any]:
    """Return a machine that waits in `Waiting`."""
    fsm: StateMachine[Any] = StateMachine(First, hooks=observers, **{"clock": ManualClock(), "name": "m", "machine_id": "1"} | options)
    await fsm.tick()
    await fsm.tick()
    return fsm


def whole_run(*observers: Hooks) -> None:
    """Run a machine from start to end, with a message, a retry and a completion."""

    async def scene() -> None:
        fsm = await waiting(*observers)
        fsm.send_message(Say.NEXT)
        fsm.send_message(Say.END)
        with pytest.raises(StateMachineComplete):
            await fsm.run()

    run(scene())


def test_the_methods_are_those_of_the_facts() -> None:
    """`Hooks` has a method for each class of fact and no other."""
    assert list(METHODS) == [kind.told_as for kind in facts.FACTS]
    asked = {"delegates", "working", "tallied", "keeps", "passed"}
    assert {name for name, value in vars(Hooks).items() if callable(value)} == {*METHODS, *asked}


def test_what_is_not_overridden_is_never_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that overrides one method is told of that alone, and the no-ops of `Hooks` stay unused."""
    called: list[str] = []
    for name in METHODS:
        monkeypatch.setattr(Hooks, name, lambda self, fact, name=name: called.append(name))
    hook = Transitions()

    whole_run(hook)

    assert called == []
    assert [(fact.label, fact.kind) for fact in hook.told] == [("Say.NEXT", "label"), ("Say.NEXT", "label"), ("Say.END", "end")]


def test_a_method_may_be_overridden_anywhere_below_hooks() -> None:
    """In the class, in a class between, on the object, or as a plain function of the class; the base's own do not count."""

    class Below(Transitions):
        run_ended = staticmethod(print)

    single = Hooks()
    single.overdue = print  # type: ignore[method-assign]  # any callable will do

    assert [overridden(hook) for hook in (Hooks(), Transitions(), Below(), single)] == [
        [],
        ["transition_taken"],
        ["run_ended", "transition_taken"],
        ["overdue"],
    ]
    assert overridden(RecorderHooks()) == list(METHODS)


def test_every_hook_is_told_in_the_order_of_attaching() -> None:
    """Two hooks of one machine get the very same facts, the first before the second."""
    log: list[tuple[str, facts.Fact]] = []

    class Named(Hooks):
        def __init__(self, name: str) -> None:
            self.name = name

        def transition_taken(self, fact: facts.TransitionTaken) -> None:
            log.append((self.name, fact))

    whole_run(Named("a"), Named("b"))

    assert [name for name, _ in log] == ["a", "b"] * 3
    assert all(first is second for (_, first), (_, second) in zip(log[::2], log[1::2], strict=True))


@pytest.mark.parametrize("kind", [Hooks, RecorderHooks, Transitions])
def test_facts_are_numbered_from_one_without_a_gap(kind: type[Hooks]) -> None:
    """A recorder of everything sees 1, 2, 3 ..., whoever listens beside it, and a hook of one kind sees the same numbers."""
    recorder, other = RecorderHooks(), kind()

    whole_run(other, recorder)

    assert [fact.seq for fact in recorder.facts] == list(range(1, len(recorder.facts) + 1))
    assert [fact for fact in getattr(other, "told", []) if fact not in recorder.facts] == []


def test_numbers_count_what_nobody_listens_to() -> None:
    """Alone, a hook that overrides one method sees the numbers that a recorder of everything sees."""
    alone, recorder = Transitions(), RecorderHooks()

    whole_run(alone)
    whole_run(recorder)

    assert [fact.seq for fact in alone.told] == [fact.seq for fact in recorder.of(facts.TransitionTaken)]


def test_each_run_has_its_own_id_and_numbers() -> None:
    """After a reset the machine is the same and the run another: numbers and visits begin anew."""
    recorder = RecorderHooks()

    async def scene() -> None:
        fsm = await waiting(recorder)
        await fsm.reset()

    run(scene())

    runs: dict[str, list[facts.Fact]] = {}
    for fact in recorder.facts:
        runs.setdefault(fact.run_id, []).append(fact)
    assert [[fact.seq for fact in run_] for run_ in runs.values()] == [list(range(1, len(run_) + 1)) for run_ in runs.values()]
    assert [[fact.visit for fact in run_ if isinstance(fact, facts.VisitStarted)] for run_ in runs.values()] == [[1, 2], [1]]
    assert {(fact.machine_id, fact.machine_name) for fact in recorder.facts} == {("1", "m")}
    assert [type(fact) for fact in recorder.of(facts.RunStarted, facts.RunEnded)] == [facts.RunStarted, facts.RunEnded, facts.RunStarted]


def test_an_unobserved_machine_keeps_no_observer() -> None:
    """Neither no hook nor one that overrides nothing makes the machine keep anything for observers."""

    async def scene() -> list[object]:
        return [(await waiting(*observers))._watch for observers in ((), (Hooks(),))]

    assert run(scene()) == [None, None]


def test_installed_hooks_see_machines_made_later() -> None:
    """A machine made before is not told of, one made after is, until its end, also when the hook is uninstalled meanwhile."""
    recorder = RecorderHooks()

    async def scene() -> None:
        before = StateMachine(First, name="before")
        hooks.install(recorder)
        hooks.install(recorder)
        during = StateMachine(First, name="during")
        hooks.uninstall(recorder)
        hooks.uninstall(recorder)
        after = StateMachine(First, name="after")
        for fsm in (before, during, after):
            await fsm.tick()

    run(scene())
    assert {fact.machine_name for fact in recorder.facts} == {"during"}
    assert recorder.names().count("transition_taken") == 1


def test_a_hook_that_is_installed_and_given_is_told_once() -> None:
    """The same object twice is one observer."""
    recorder = RecorderHooks()
    hooks.install(recorder)
    try:
        fsm: StateMachine[Any] = StateMachine(First, hooks=[recorder])
    finally:
        hooks.uninstall(recorder)

    run(fsm.tick())

    assert recorder.names().count("run_started") == 1


@pytest.mark.parametrize("give", [hooks.install, lambda hook: StateMachine(First, hooks=[hook]), StateMachine(First).attach])
@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (RecorderHooks, "a hook must be an object of a subclass of septum.Hooks, not <class '{}'>; construct it: RecorderHooks()"),
        (print, "a hook must be an object of a subclass of septum.Hooks, not <built-in function print>"),
    ],
)
def test_what_is_no_hook_is_refused(give: Callable[[Any], object], hook: Any, text: str) -> None:
    """The error says what was given, and of a class that it wants constructing."""
    with pytest.raises(TypeError) as caught:
        give(hook)

    assert str(caught.value) == text.format("septum.testing._recorder.RecorderHooks")


RESUMED = ["run_started state=Waiting resumed=True", "visit_started state=Waiting kind=initial stack=()"]
SAW_NEXT = [
    "message_queued message=Say.NEXT priority=2 depth=1 number=1 headers=None",
    "message_taken message=Say.NEXT priority=2 depth=0 number=1 headers=None waited=0.0",
    "handler_started handler=on_state state=Waiting message=Say.NEXT",
    "handler_finished handler=on_state state=Waiting message=Say.NEXT answer=Say.NEXT duration=0.0 exception=None",
    "visit_ended state=Waiting outcome=transition duration=0.0 exception=None",
    "transition_taken source=Waiting target=Waiting label=Say.NEXT kind=label",
    "visit_started state=Waiting kind=label stack=()",
]


def told(recorder: RecorderHooks) -> list[str]:
    """Return what was told as lines, with the state's name only."""
    return [line.replace(f"{__name__}.", "") for line in lines(recorder)]


def test_a_hook_attached_between_steps_is_caught_up() -> None:
    """It is told that the run is resumed and where the machine is, numbered from 1, and then everything."""
    recorder = RecorderHooks()

    async def scene() -> None:
        fsm = await waiting()
        fsm.attach(recorder)
        fsm.attach(recorder)
        await moved(fsm, Say.NEXT)

    run(scene())
    assert [fact.seq for fact in recorder.facts] == list(range(1, 10))
    assert [fact.visit for fact in recorder.of(facts.VisitStarted)] == [2, 3]
    assert told(recorder) == RESUMED + SAW_NEXT


def test_a_second_hook_attached_between_steps_is_caught_up_alone() -> None:
    """The newcomer gets the same two facts; who was there already is told nothing twice, and both share run and numbers from then on."""
    there, newcomer = RecorderHooks(), RecorderHooks()

    async def scene() -> None:
        fsm = await waiting(there)
        there.clear()
        fsm.attach(newcomer)
        await moved(fsm, Say.NEXT)

    run(scene())
    numbers = [fact.seq for fact in newcomer.facts]
    assert numbers == list(range(numbers[0], numbers[0] + 9))
    assert newcomer.facts[2:] == there.facts
    assert told(newcomer) == RESUMED + told(there)


def test_a_hook_attached_inside_a_handler_is_caught_up() -> None:
    """It was not told of the handler's start and so is not told of its end; then it sees everything."""
    recorder = RecorderHooks()

    async def scene() -> None:
        fsm = await waiting()
        await moved(fsm, lambda: fsm.attach(recorder), Say.NEXT)

    run(scene())
    assert told(recorder) == RESUMED + SAW_NEXT


def test_a_hook_attached_while_a_handler_hangs_is_caught_up() -> None:
    """From another task it is the same."""
    recorder = RecorderHooks()

    async def scene() -> None:
        fsm, event = await waiting(), asyncio.Event()
        fsm.send_message(event)
        ticking = asyncio.create_task(fsm.tick())
        await settle()
        fsm.attach(recorder)
        event.set()
        await ticking
        await moved(fsm, Say.NEXT)

    run(scene())
    assert told(recorder) == RESUMED + SAW_NEXT


def test_a_second_hook_attached_inside_a_handler_leaves_the_bracket_to_the_first() -> None:
    """Whoever was told that the handler started is told that it finished, and nobody else."""
    there, newcomer = RecorderHooks(), RecorderHooks()

    async def scene() -> None:
        fsm = await waiting(there)
        there.clear()
        await moved(fsm, lambda: fsm.attach(newcomer), Say.NEXT)

    run(scene())
    assert there.names() == [
        "message_queued",
        "message_taken",
        "handler_started",
        "handler_finished",
        *[fact.told_as for fact in newcomer.facts[2:]],
    ]
    assert newcomer.names()[:4] == ["run_started", "visit_started", "message_queued", "message_taken"]


def test_a_visit_that_somebody_saw_begin_lasts_since_then() -> None:
    """A hook that joins others in the middle of a visit is told the whole duration, although nobody wanted to know of visits before."""
    recorder = RecorderHooks()

    async def scene() -> None:
        clock = ManualClock()
        fsm = await waiting(Transitions(), clock=clock)
        clock.advance(50)
        await moved(fsm, Say.NEXT)
        clock.advance(50)
        fsm.attach(recorder)
        clock.advance(7)
        await moved(fsm, Say.NEXT)

    run(scene())
    assert [fact.duration for fact in recorder.of(facts.VisitEnded)] == [57]


def test_a_machine_observed_again_goes_on_counting() -> None:
    """After a time without observers it is the same run, and the numbers follow on, so that no number stands for two facts."""
    recorder = RecorderHooks()

    async def scene() -> None:
        fsm = await waiting(recorder)
        fsm.detach(recorder)
        await moved(fsm, Say.NEXT)
        fsm.attach(recorder)

    run(scene())
    assert len({fact.run_id for fact in recorder.facts}) == 1
    assert [fact.seq for fact in recorder.facts] == list(range(1, len(recorder.facts) + 1))
    assert [(fact.state, fact.visit) for fact in recorder.of(facts.VisitStarted)] == [(First.name, 1), (Waiting.name, 2), (Waiting.name, 3)]


def test_a_hook_attached_during_a_retry_delay_is_told_of_no_visit() -> None:
    """Between two visits there is none to be told of; the next one starts when the delay is over."""
    recorder = RecorderHooks()

    async def scene() -> None:
        clock = ManualClock()
        fsm = await moved(await waiting(clock=clock), Say.RETRY)
        fsm.attach(recorder)
        await clock.advance(5)
        await fsm.tick()

    run(scene())
    assert told(recorder)[:2] == [RESUMED[0], "visit_started state=Waiting kind=retry stack=()"]


def test_a_hook_attached_before_the_start_sees_the_whole_run() -> None:
    """There is nothing to resume."""
    recorder, given = RecorderHooks(), RecorderHooks()

    async def scene() -> None:
        for attached, at_birth in ((recorder, ()), (None, (given,))):
            fsm: StateMachine[Any] = StateMachine(First, hooks=at_birth, clock=ManualClock())
            if attached:
                fsm.attach(attached)
            await fsm.tick()

    run(scene())
    assert told(recorder) == told(given)


def test_a_detached_hook_is_told_nothing_more() -> None:
    """Other hooks go on, unknown ones are ignored, and the machine may be left unobserved."""
    leaving, staying = RecorderHooks(), RecorderHooks()

    async def scene() -> object:
        fsm = await waiting(leaving, staying)
        leaving.clear(), staying.clear()
        fsm.detach(leaving)
        fsm.detach(leaving)
        await moved(fsm, Say.NEXT)
        fsm.detach(staying)
        await moved(fsm, Say.NEXT)
        StateMachine(First).detach(leaving)
        return fsm._watch

    assert run(scene()) is None
    assert (told(leaving), told(staying)) == ([], SAW_NEXT)


def test_a_hook_detached_inside_a_handler_is_told_of_its_end() -> None:
    """The bracket is closed, be the hook the last one or not; after that there is silence."""
    for others in ((), (RecorderHooks(),)):
        recorder = RecorderHooks()

        async def scene(recorder: RecorderHooks = recorder, others: tuple[Hooks, ...] = others) -> None:
            fsm = await waiting(recorder, *others)
            recorder.clear()
            await moved(fsm, lambda: fsm.detach(recorder), Say.NEXT)

        run(scene())
        assert recorder.names() == ["message_queued", "message_taken", "handler_started", "handler_finished"]


def test_a_failing_hook_hurts_nobody_and_is_logged_once(complaints: list[logging.LogRecord]) -> None:
    """The machine goes on, the other hooks are told, every failure is counted, the first of each type is logged with its traceback."""
    broken, recorder = Broken(ValueError("no such metric")), RecorderHooks()

    async def scene() -> tuple[int, int, str]:
        fsm = await moved(await waiting(broken, recorder), Say.NEXT)
        broken.error = KeyError("other")
        await moved(fsm, Say.NEXT, Say.NEXT)
        return fsm.stats().hook_errors, broken.calls, fsm.state

    assert run(scene()) == (5, 5, Waiting.name)
    assert recorder.names().count("visit_started") == 5
    assert [record.getMessage() for record in complaints] == [
        f"hook Broken raised {error}; the machine goes on and the hook stays, "
        "further errors of this type are only counted (stats().hook_errors)"
        for error in ("ValueError", "KeyError")
    ]
    assert [record.exc_info[1].args for record in complaints] == [("no such metric",), ("other",)]


def test_each_failing_hook_is_logged_for_itself(complaints: list[logging.LogRecord]) -> None:
    """Two hooks of one class are two hooks, also when the first is gone and the second has its address."""
    for _ in range(3):
        run(StateMachine(First, hooks=[Broken(ValueError())]).tick())

    assert len(complaints) == 3


def test_the_memory_of_failures_is_bounded(complaints: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a thousand failing hooks the list is begun anew, and a hook may be logged again."""
    monkeypatch.setattr(innards, "_logged", {(number, ValueError): None for number in range(1000)})

    run(StateMachine(First, hooks=[Broken(ValueError())]).tick())

    assert len(innards._logged) == 1
    assert len(complaints) == 1


def test_hook_errors_are_counted_when_the_hook_is_gone() -> None:
    """Detaching the last hook keeps the count."""
    broken = Broken(ValueError())

    async def scene() -> int:
        fsm = await waiting(broken)
        fsm.detach(broken)
        return fsm.stats().hook_errors

    assert run(scene()) == 2


def test_a_strict_hook_lets_its_error_through(complaints: list[logging.LogRecord]) -> None:
    """With `strict` the caller of the machine gets the hook's exception, counted and not logged."""
    broken = Broken(ValueError("told so"), strict=True)

    async def scene() -> int:
        fsm: StateMachine[Any] = StateMachine(First, hooks=[broken])
        with pytest.raises(ValueError, match="told so"):
            await fsm.tick()
        return fsm.stats().hook_errors

    assert run(scene()) == 1
    assert complaints == []


def test_cancellation_in_a_hook_is_not_swallowed() -> None:
    """Only exceptions are kept from the machine; what asks the task to stop goes through."""
    broken = Broken(asyncio.CancelledError())  # type: ignore[arg-type]  # not an Exception, on purpose

    with pytest.raises(asyncio.CancelledError):
        run(StateMachine(First, hooks=[broken]).tick())
