"""How states are written: both forms, bare and called, and what is said of mistakes."""

# ruff: noqa: F821, N805 - handlers of a class take ctx, not self, look at it or not, and see the class's own names

from __future__ import annotations

import asyncio
import functools
from enum import Enum, auto
from typing import Any

import pytest

import septum
from septum import DefinitionError, LabeledTransition, StateConfiguration, StateSpec, get_state

KINDS = ["on_state", "on_enter", "on_leave", "on_timeout", "on_fail"]
LIMITS = StateConfiguration(timeout=5.0, retries=3)


def here(name: str) -> str:
    """Return the full name of a state that this module declares."""
    return f"{__name__}.{name}"


@septum.state
def Bare():
    @septum.on_state
    async def handle(ctx):
        return "bare"


@septum.state()
def Called():
    @septum.on_state
    async def handle(ctx):
        return "called"


@septum.state(config=LIMITS, name="tests.given", group="some")
def Named():
    @septum.on_state
    def handle(ctx):
        return "named"


@septum.state(LIMITS)
def Placed():
    @septum.on_state
    def handle(ctx):
        return "placed"


@septum.state
class BareClass:
    @septum.on_state
    async def handle(ctx):
        return "bare class"


@septum.state(config=LIMITS, name="tests.class", group="some")
class NamedClass:
    @staticmethod
    @septum.on_state
    def handle(ctx):
        return "named class"


@pytest.mark.parametrize(
    ("state", "name", "config", "group", "answer"),
    [
        (Bare, here("Bare"), StateConfiguration(), "", "bare"),
        (Called, here("Called"), StateConfiguration(), "", "called"),
        (Named, "tests.given", LIMITS, "some", "named"),
        (Placed, here("Placed"), LIMITS, "", "placed"),
        (BareClass, here("BareClass"), StateConfiguration(), "", "bare class"),
        (NamedClass, "tests.class", LIMITS, "some", "named class"),
    ],
)
def test_state_is_declared_in_either_form_bare_or_called(state: Any, name: str, config: Any, group: str, answer: str) -> None:
    """The name then means a StateSpec, known to the registry, with its configuration and its handler."""
    result = state.on_state(None)
    assert (asyncio.run(result) if asyncio.iscoroutine(result) else result) == answer
    assert (type(state), state.name, state.config, state.group_name, get_state(name) is state) == (StateSpec, name, config, group, True)
    assert (state.module, state.parent_state, state.transitions, state.Events) == (__name__, None, None, None)


def test_qualified_name_tells_where_a_state_was_written() -> None:
    """A state in a function carries the function's name, in one of another state that one's."""

    @septum.state
    def Local():
        @septum.state
        class Inner:
            @septum.on_state
            def handle(ctx):
                return "inner"

        @septum.on_state
        def handle(ctx):
            return Inner

    assert (Local.qualname, Local.base_name) == ("test_qualified_name_tells_where_a_state_was_written.<locals>.Local", "Local")
    inner = Local.on_state(None)
    assert (inner.name, inner.on_state(None)) == (f"{Local.name}.<locals>.Inner", "inner")


@septum.state
def AllParts():
    @septum.events
    class Labels(Enum):
        GO = auto()

    @septum.on_enter
    def enter(ctx):
        return "on_enter"

    @septum.on_leave()
    def leave(ctx):
        return "on_leave"

    @septum.on_state
    def state(ctx):
        return "on_state"

    @septum.on_timeout
    def timeout(ctx):
        return "on_timeout"

    @septum.on_fail
    def fail(ctx):
        return "on_fail"

    @septum.transitions
    def transitions():
        return LabeledTransition(Labels.GO, Bare)


@septum.state
class AllPartsClass:
    config = LIMITS
    word = "on_"

    @septum.events
    class Labels(Enum):
        GO = auto()

    @septum.on_enter
    def enter(ctx):
        return word + "enter"

    @septum.on_leave()
    @staticmethod
    def leave(ctx):
        return word + "leave"

    @staticmethod
    @septum.on_state
    def state(ctx):
        return word + "state"

    @septum.on_timeout
    def timeout(ctx):
        return word + "timeout"

    @septum.on_fail
    def fail(ctx):
        return helper("fail")

    @septum.transitions
    def transitions():
        return LabeledTransition(Labels.GO, Bare)

    def helper(end):
        return word + end


@pytest.mark.parametrize("state", [AllParts, AllPartsClass], ids=["function", "class"])
def test_every_part_finds_its_place(state: Any) -> None:
    """All five handlers, the labels and the transitions, whatever the functions are called."""
    assert [getattr(state, kind)(None) for kind in KINDS] == KINDS
    assert [member.name for member in state.Events] == ["GO"]
    assert state.get_transitions() == [LabeledTransition(state.Events.GO, Bare)]
    assert state.origin.body is (None if state is AllParts else state.origin.body)


def test_class_holds_its_configuration() -> None:
    """The attribute `config` is the state's; a class of one's own limits may override an inherited one from the decorator."""

    class Base:
        config = LIMITS

        @septum.on_state
        def handle(ctx):
            pass

    @septum.state(config=StateConfiguration(terminal=True))
    class Derived(Base):
        pass

    assert (AllPartsClass.config, Derived.config) == (LIMITS, StateConfiguration(terminal=True))


def test_class_form_finds_events_without_decorator() -> None:
    """An Enum called Events is enough in a class; a decorated one of another name goes first; something else of the name is nothing."""

    @septum.state
    class Plain:
        class Events(Enum):
            GO = auto()

        @septum.on_state
        def handle(ctx):
            return Events.GO

    @septum.state
    class Both:
        class Events(Enum):
            OLD = auto()

        @septum.events()
        class Labels(Enum):
            NEW = auto()

        @septum.on_state
        def handle(ctx):
            pass

    @septum.state
    class Neither:
        Events = "soon"

        @septum.on_state
        def handle(ctx):
            pass

    assert Plain.on_state(None) is Plain.Events.GO
    assert ([member.name for member in Both.Events], Neither.Events) == (["NEW"], None)


def test_function_form_keeps_undecorated_events_to_itself() -> None:
    """The labels work by closure; `spec.Events` is None, as it always was."""

    @septum.state
    def Quiet():
        class Events(Enum):
            GO = auto()

        @septum.on_state
        def handle(ctx):
            return Events.GO

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.GO, None)]

    assert (Quiet.Events, Quiet.on_state(None) is Quiet.get_transitions()[0].label) == (None, True)


def test_class_form_inherits_its_parts() -> None:
    """A base class gives what the class does not have itself; what the class has under the same name counts instead."""

    class Base:
        class Events(Enum):
            GO = auto()

        @septum.on_enter
        def enter(ctx):
            return "base"

        @septum.on_state
        def handle(ctx):
            return Events.GO

    @septum.state
    class Derived(Base):
        @septum.on_enter
        def enter(ctx):
            return "derived"

    assert (Derived.on_enter(None), Derived.on_state(None), Derived.Events) == ("derived", Base.Events.GO, Base.Events)


def test_last_of_two_handlers_counts() -> None:
    """Two functions marked alike are remembered for a warning; one function marked twice is one."""

    @septum.state
    def Repeated():
        @septum.on_state
        def first(ctx):
            return 1

        @septum.on_enter
        @septum.on_enter
        def enter(ctx):
            pass

        @septum.on_state
        def second(ctx):
            return 2

    @septum.state
    class RepeatedClass:
        @septum.on_state
        def first(ctx):
            return 1

        @septum.on_state
        def second(ctx):
            return 2

    assert [(state.on_state(None), state.repeated) for state in (Repeated, RepeatedClass)] == [(2, ("on_state",))] * 2


def test_function_may_be_two_handlers() -> None:
    """One function marked as two kinds is both."""

    @septum.state
    def Both():
        @septum.on_state
        @septum.on_timeout
        def handle(ctx):
            return "both"

    assert (Both.on_state is Both.on_timeout, Both.repeated) == (True, ())


def test_wrapped_handler_is_called_through_its_wrapper() -> None:
    """A decorator of the user's own below, or in a class also above, the mark takes part."""

    def loud(function):
        @functools.wraps(function)
        def wrapper(ctx):
            return function(ctx).upper()

        return wrapper

    @septum.state
    def Function():
        @septum.on_state
        @loud
        def handle(ctx):
            return "below"

    @septum.state
    class Class:
        @loud
        @septum.on_state
        def handle(ctx):
            return "above"

        def _unmarked(ctx):
            return "not a handler"

    assert (Function.on_state(None), Class.on_state(None)) == ("BELOW", "ABOVE")


def test_handler_may_be_any_callable() -> None:
    """A partial, an object with __call__ and a builtin of one argument are handlers, too."""

    class Handler:
        def __call__(self, ctx):
            return "object"

    @septum.state
    def Odd():
        septum.on_state(functools.partial(lambda word, ctx: word, "partial"))
        septum.on_enter(Handler())
        septum.on_leave(print)
        septum.on_fail(dict)

    assert (Odd.on_state(None), Odd.on_enter(None), Odd.on_leave, Odd.on_fail) == ("partial", "object", print, dict)


def test_root_hands_its_function_back() -> None:
    """It marks nothing that anybody reads; bare and called are alike."""
    assert (septum.root(print), septum.root()(print)) == (print, print)


def test_failed_body_leaves_nothing_behind() -> None:
    """What the body raises comes out, the state is not known, and the next declaration is not disturbed."""
    with pytest.raises(ZeroDivisionError):

        @septum.state
        def Failing():
            @septum.on_enter
            def enter(ctx):
                pass

            _ = 1 / 0

    @septum.state
    def Next():
        @septum.on_state
        def handle(ctx):
            pass

    assert (get_state(Next.name.replace("Next", "Failing")), Next.on_enter) == (None, None)


def no_handler():
    pass


def with_argument(ctx):
    pass


async def is_async():
    pass


def is_generator():
    yield


class NoHandler:
    pass


class TwoConfigurations:
    config = LIMITS

    @septum.on_state
    def handle(ctx):
        pass


class WrongConfiguration:
    config = {"timeout": 5}  # noqa: RUF012

    @septum.on_state
    def handle(ctx):
        pass


class WithSelf:
    @septum.on_state
    def handle(self, ctx):
        pass


class ClassMethod:
    @classmethod
    @septum.on_state
    def handle(cls, ctx):
        pass


def async_transitions():
    @septum.on_state
    def handle(ctx):
        pass

    @septum.transitions
    async def transitions():
        return []


def transitions_of_ctx():
    @septum.on_state
    def handle(ctx):
        pass

    @septum.transitions
    def transitions(ctx):
        return []


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda: septum.state(no_handler), r"'.*no_handler' must have an @on_state decorated method\. Decorate one function"),
        (lambda: septum.state(NoHandler), r"'.*NoHandler' must have an @on_state decorated method"),
        (lambda: septum.state(with_argument), r"plain function without arguments.* For a handler use @septum\.on_state"),
        (lambda: septum.state(is_async), "plain function without arguments"),
        (lambda: septum.state(is_generator), "plain function without arguments"),
        (lambda: septum.state("m.A"), r"decorates a function or a class, and takes config=.*found 'm\.A'"),
        (lambda: septum.state({"timeout": 5}), "decorates a function or a class"),
        (lambda: septum.state(Bare), "is a state already"),
        (lambda: septum.state(name=5)(no_handler), "a text, not 5"),
        (lambda: septum.state(config=LIMITS)(TwoConfigurations), "has two configurations. Keep either"),
        (lambda: septum.state(WrongConfiguration), r"`config` of state '.*' is a StateConfiguration, not \{'timeout': 5\}"),
        (
            lambda: septum.state(WithSelf),
            r"on_state of state '.*WithSelf' is a function of ctx, but .* takes \(self, ctx\).* there is no self",
        ),
        (lambda: septum.state(ClassMethod), "ClassMethod.handle .* is a class method. Make it a @staticmethod"),
        (lambda: septum.state(async_transitions), "transitions of state '.*' is a plain function.* Remove `async`"),
        (lambda: septum.state(transitions_of_ctx), r"transitions of state '.*' is a function without arguments, but .* takes \(ctx\)"),
        (lambda: septum.on_state(5), "@septum.on_state decorates a function of ctx, not 5"),
        (lambda: septum.on_enter(Bare), "@septum.on_enter decorates a function of ctx, not <state"),
        (lambda: septum.on_leave(classmethod(print)), "@septum.on_leave decorates a function of ctx"),
        (lambda: septum.on_timeout(print), "@septum.on_timeout cannot mark <built-in function print>. Wrap it"),
        (lambda: septum.transitions([]), r"@septum.transitions decorates a function without arguments, not \[\]"),
        (lambda: septum.events(print), "@septum.events decorates an Enum class, not <built-in function print>"),
        (lambda: septum.events(dict), "Write: class Events"),
    ],
)
def test_misuse_is_refused_with_the_fix(declare: Any, text: str) -> None:
    """Each mistake is a DefinitionError at the decorator."""
    with pytest.raises(DefinitionError, match=text):
        declare()


def test_name_that_means_two_things_is_refused() -> None:
    """A class attribute that is also a builtin is not picked silently."""
    with pytest.raises(DefinitionError, match="reads 'max'"):

        @septum.state
        class Ambiguous:
            max = 3

            @septum.on_state
            def handle(ctx):
                return max
