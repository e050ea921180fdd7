"""The names of a state's class: what its functions see by bare name, what they leave to Python, and what is refused."""

# ruff: noqa: F821 - that a bare name is undefined in plain Python is what is tested here
# ruff: noqa: N805 - handlers are functions of a class and take ctx, not self
# ruff: noqa: PLW0603 - what a `global` statement does is tested here
# ruff: noqa: B019, C400, C416, C420, PLC3002, PLW0108, RUF012 - every form that code can have is to be tried, not the best
from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from enum import Enum, auto

import pytest

from septum._scope import see_own_names
from tests.own_names import compiled, own_names

live = "at import"
counted = 0


class Idle:
    class Events(Enum):
        START = auto()
        STOP = auto()

    limits = {"small": 1}

    @staticmethod
    def double(number):
        return 2 * number

    @classmethod
    def name_of(cls):
        return cls.__name__

    async def on_state(ctx):
        return Events.START

    def on_enter(ctx):
        return [
            Events.START,
            double(4),
            name_of(),
            limits["small"],
            f"{Events.STOP.name:>6}{double(1)!r}",
            (lambda: (lambda: Events)())(),
            [double(n) for n in range(3)],
            {n: limits for n in range(1)},
            {double(n) for n in range(2)},
            list(double(m) for n in range(2) for m in range(n + double(1))),
        ]


own_names(Idle)


def test_async_handler_sees_class_attribute():
    """`Events.START` in a handler is the class's, without `Idle.` before it."""
    assert asyncio.run(Idle.on_state(None)) is Idle.Events.START


def test_sync_handler_sees_names_in_every_kind_of_expression():
    """Calls, f-strings, lambdas, comprehensions and generator expressions see them; a static method is a plain function."""
    assert Idle.on_enter(None) == [
        Idle.Events.START,
        8,
        "Idle",
        1,
        "  STOP2",
        Idle.Events,
        [0, 2, 4],
        {0: Idle.limits},
        {0, 2},
        [0, 2, 0, 2, 4],
    ]


def test_function_is_changed_in_place():
    """Identity, name, defaults, annotations, marks and doc stay; the function given is the function returned."""

    class Marked:
        Events = 1

        def on_state(ctx: int, a: str = "a", *, b: str = "b") -> tuple[object, ...]:
            """Doc."""
            return Events, a, b

    function = Marked.on_state
    function.mark = "mark"
    own = see_own_names(Marked, {"on_state": function})
    assert own.functions == {"on_state": function}
    assert own.functions["on_state"] is function
    assert function(0) == (1, "a", "b")
    assert vars(function) == {"mark": "mark"}
    assert inspect.signature(function) == inspect.Signature(
        [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="int"),
            inspect.Parameter("a", inspect.Parameter.POSITIONAL_OR_KEYWORD, default="a", annotation="str"),
            inspect.Parameter("b", inspect.Parameter.KEYWORD_ONLY, default="b", annotation="str"),
        ],
        return_annotation="tuple[object, ...]",
    )
    assert (function.__doc__, function.__name__, function.__module__) == ("Doc.", "on_state", __name__)
    assert function.__qualname__ == f"{Marked.__qualname__}.on_state" == function.__code__.co_qualname


def test_function_without_own_names_keeps_its_code():
    """Nothing is touched where nothing is read; an attribute of another object with the same name is not a read."""

    class Plain:
        Events = 1

        def on_state(ctx):
            return ctx.Events, (lambda: ctx.Events), len("")

    code = Plain.on_state.__code__
    own_names(Plain)
    assert Plain.on_state.__code__ is code


def test_seeing_twice_changes_nothing_more():
    """A class that is declared twice keeps the code of the first time."""
    code = Idle.on_state.__code__
    own_names(Idle).check()
    assert Idle.on_state.__code__ is code


def test_nested_functions_and_classes_see_names():
    """Functions, generators, class bodies and methods inside a handler see them; what a class body binds is its own."""

    class Nested:
        Events = ("class",)
        other = 2

        def on_state(ctx):
            def inner(value=Events):
                def innermost():
                    nonlocal value
                    value += Events
                    return value, other

                return innermost()

            def generate():
                received = yield Events
                yield received, other

            class Local:
                one = Events
                other = "local"
                two = other

                def method(self):
                    return Events, other

            generator = generate()
            return inner(), next(generator), generator.send("sent"), Local.one, Local.two, Local().method()

    own_names(Nested)
    assert Nested.on_state(None) == (
        (("class", "class"), 2),
        ("class",),
        ("sent", 2),
        ("class",),
        "local",
        (("class",), 2),
    )


def test_comprehension_in_nested_class_body_looks_past_that_body():
    """As in Python, a comprehension does not see what the class body around it bound: it sees the state's name."""
    module = compiled("""
        class Idle:
            size = 3
            def on_state(ctx):
                class Local:
                    size = 100
                    sizes = [size for _ in range(2)]
                return Local.sizes, Local.size
        """)
    assert module["Idle"].on_state(None) == ([3, 3], 100)


def test_async_generator_and_async_comprehension_see_names():
    """`async for`, `async with` and asynchronous generators are code like any other."""

    class Streaming:
        step = 2

        class Guard:
            async def __aenter__(self):
                return "entered"

            async def __aexit__(self, *exc):
                return True

        async def count(limit):
            for n in range(limit):
                yield n * step

        async def on_state(ctx):
            found = [n + step async for n in count(3)]
            async with Guard() as entered:
                raise ValueError(step)
            return found, entered, {n async for n in count(step)}

    own_names(Streaming)
    assert asyncio.run(Streaming.on_state(None)) == ([2, 4, 6], "entered", {0, 2})


def test_exception_table_still_leads_to_handlers():
    """try, except, else, finally, except* and with blocks go where they went."""

    class Trying:
        bad, good, log = ValueError, KeyError, []

        def on_state(ctx):
            for error in (bad, good, None):
                try:
                    if error:
                        raise error(good)
                except bad as caught:
                    log.append(("bad", caught.args == (good,)))
                except good:
                    log.append(("good", good))
                else:
                    log.append(("else", bad))
                finally:
                    log.append(("finally", error is bad))
            try:
                raise ExceptionGroup("group", [bad(), good()])
            except* bad as group:
                log.append(len(group.exceptions))
            except* good:
                log.append(good)

    own_names(Trying)
    Trying.on_state(None)
    assert Trying.log == [
        ("bad", True),
        ("finally", True),
        ("good", KeyError),
        ("finally", False),
        ("else", ValueError),
        ("finally", False),
        1,
        KeyError,
    ]


def test_closure_is_kept_and_shared():
    """A handler made inside a function goes on sharing that function's variables."""

    def make(start):
        count = start

        class Closing:
            step = 10

            def on_state(ctx):
                nonlocal count
                count += step
                return Closing, count

        own_names(Closing)
        return Closing, lambda: count

    (first, first_count), (second, second_count) = make(1), make(2)
    assert first.on_state(None) == (first, 11)
    assert second.on_state(None) == (second, 12)
    assert (first_count(), second_count()) == (11, 12)


def test_local_name_hides_own_name():
    """Parameters, assignments, imports and loop variables of a handler are its own, also for the functions inside it."""

    class Hiding:
        Events = other = third = path = 1

        def on_state(Events):  # noqa: N803 - it is to hide the own name
            other = "local"
            from os import path

            return Events, (lambda: other)(), path.__name__.endswith("path"), [third for third in range(2)], third

    own_names(Hiding)
    assert Hiding.on_state("argument") == ("argument", "local", True, [0, 1], 1)


def test_module_globals_stay_live():
    """A global that is no own name is looked up at each call."""

    class Living:
        own = 1

        def on_state(ctx):
            return own, live, (lambda: (own, live))()

    own_names(Living)
    global live
    live = "changed"
    assert Living.on_state(None) == (1, "changed", (1, "changed"))


def test_global_declaration_is_kept():
    """What a handler assigns as a global is the module's, in the functions inside it as well."""

    class Counting:
        own = 5
        created = "class"

        def on_state(ctx):
            global counted, created

            def again():
                global counted
                counted += own
                return created

            counted += own
            created = "module"
            return again()

        def on_leave(ctx):
            global created
            del created

    own_names(Counting)
    global counted
    counted = 0
    assert Counting.on_state(None) == "module"
    assert (counted, globals()["created"]) == (10, "module")
    Counting.on_leave(None)
    assert "created" not in globals()


def test_private_name_is_seen():
    """A name that Python mangles for the class body is mangled in its handlers alike."""

    class Private:
        __secret = 1

        def on_state(ctx):
            return __secret

    own_names(Private)
    assert Private.on_state(None) == 1


def test_dunder_name_is_the_modules():
    """`__name__`, `__doc__` and their kin are not own names."""

    class Dunder:
        """Doc of the class."""

        __name__ = "class"

        def on_state(ctx):
            return __name__, __doc__

    own_names(Dunder)
    assert Dunder.on_state(None) == (__name__, __doc__)


def test_handler_may_read_handlers_and_itself():
    """Handlers are own names, too; a recursive one calls the function that was changed."""

    class Recursive:
        end = "end"

        def count(n):
            return count(n - 1) if n else end

        def on_state(ctx):
            return count(3), on_state

    own_names(Recursive)
    assert Recursive.on_state(None) == ("end", Recursive.on_state)


def test_unhashable_attribute_leaves_code_hashable():
    """Debuggers and profilers key by code objects: that works though a dict is among the constants."""

    class Unhashable:
        table = {}

        def on_state(ctx):
            return table, lambda: table

    own_names(Unhashable)
    code = Unhashable.on_state.__code__
    assert {code: 1}[code] == 1
    assert Unhashable.on_state(None)[0] is Unhashable.table
    assert Unhashable.on_state(None)[1]() is Unhashable.table


def test_more_constants_than_a_byte_counts():
    """Past 256 names and constants instructions grow prefixes; names, calls and jumps still lead where they led."""
    names = [f"n{number}" for number in range(300)]
    source = "\n".join(
        [
            "class Idle:",
            *(f"    {name} = {number}" for number, name in enumerate(names)),
            "    def add(a, b): return a + b",
            "    def on_state(ctx):",
            "        total = 0",
            "        for _ in range(2):",
            *(f"            total = add(total, {name} + g{name} + {number + 1000}.5)" for number, name in enumerate(names)),
            "            if total < 0: continue",
            "        return total, [add(n299, x) for x in (1,)]",
        ]
    )
    module = compiled(source, **{f"g{name}": 0.25 for name in names})
    once = sum(number + 0.25 + number + 1000.5 for number in range(300))
    assert module["Idle"].on_state(None) == (2 * once, [300])


def test_specialised_code_stays_right():
    """Called thousands of times, with callees and globals of changing kinds, it answers as at first."""
    module = compiled(
        """
        class Idle:
            class Box:
                def __init__(self, item): self.item = item
            def same(x): return x
            size = len
            def on_state(n):
                return Box(n).item + same(n) + size("ab") + changing(n) + max(n, 1) - max(n, 1)
        """,
        changing=lambda n: n,
    )
    for n in range(3000):
        if n == 1500:
            module["changing"] = int
        assert module["Idle"].on_state(n) == 3 * n + 2


def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return ("logged", function(*args))

    wrapper.wraps = function.__name__
    return wrapper


def secretly(function):
    def wrapper(*args):
        return ("secretly", function(*args))

    return wrapper


class Callable_:
    def __init__(self, function):
        functools.update_wrapper(self, function)

    def __call__(self, *args):
        return ("object", self.__wrapped__(*args))


def test_decorated_handler_sees_names():
    """The handler is found inside functools.wraps, plain closures, partial, lru_cache, static methods and callable objects."""

    class Decorated:
        Events = 1

        @logged
        @logged
        def twice(ctx):
            return Events

        @secretly
        def hidden(ctx):
            return Events

        @Callable_
        def called(ctx):
            return Events

        @functools.lru_cache
        def cached(ctx):
            return Events

        @secretly
        @staticmethod
        def static(ctx):
            return Events

        partial = functools.partial(lambda left, right: (Events, left, right), "left")

    kept = {name: value for name, value in vars(Decorated).items() if callable(value)}
    own = see_own_names(Decorated, kept)
    assert own.functions == kept
    assert {name: function("ctx") for name, function in own.functions.items()} == {
        "twice": ("logged", ("logged", 1)),
        "hidden": ("secretly", 1),
        "called": ("object", 1),
        "cached": 1,
        "static": ("secretly", 1),
        "partial": (1, "left", "ctx"),
    }
    assert vars(kept["twice"])["wraps"] == "twice"


def test_decorator_inside_the_class_sees_names():
    """A wrapper that was itself written in the class body sees them, and its own variables hide them."""

    class Decorating:
        prefix = "class"
        function = "class"

        def decorate(function):
            def wrapper(ctx):
                return prefix, function(ctx)

            return wrapper

        @decorate
        def on_state(ctx):
            return prefix

    see_own_names(Decorating, {"on_state": Decorating.on_state})
    assert Decorating.on_state(None) == ("class", "class")


def shared(ctx):
    return live


def test_function_written_elsewhere_is_left_alone():
    """A module's function used as a handler keeps its code: the names of the class are not in its sight."""

    class Borrowing:
        live = "class"
        on_state = shared

    code = shared.__code__
    own = see_own_names(Borrowing, {"on_state": shared})
    assert own.functions == {"on_state": shared}
    assert shared.__code__ is code


class Base:
    Events = "base"
    kept = "base"

    def on_state(ctx, *, key="default"):
        """Doc."""
        return Events, kept, key

    def on_enter(ctx):
        return on_state(ctx)

    def on_leave(ctx):
        return "left"

    on_state.mark = "mark"


class First(Base):
    Events = "first"


class Second(Base):
    kept = "second"


def test_inherited_function_is_copied_for_each_class():
    """Each subclass has its own copy, which sees its attributes; the base's function stays plain."""
    handlers = {name: vars(Base)[name] for name in ("on_state", "on_enter", "on_leave")}
    codes = {name: function.__code__ for name, function in handlers.items()}
    first, second = see_own_names(First, handlers), see_own_names(Second, handlers)
    assert first.functions["on_enter"](None) == ("first", "base", "default")
    assert second.functions["on_enter"](None) == ("base", "second", "default")
    assert {name: function.__code__ for name, function in handlers.items()} == codes
    copy = first.functions["on_state"]
    assert (copy.__qualname__, copy.__doc__, vars(copy), inspect.signature(copy)) == (
        "Base.on_state",
        "Doc.",
        {"mark": "mark"},
        inspect.signature(Base.on_state),
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is that of Python 3.12")
def test_generic_class_and_generic_function_see_names():
    """A class with type parameters, and a function with some inside a handler, see the names as well."""
    module = compiled("""
        class Idle[T]:
            Events = int
            def on_state(ctx):
                def inner[U: Events](value: Events = Events):
                    return value, Events
                return inner()
        """)
    assert module["Idle"].on_state(None) == (int, int)
