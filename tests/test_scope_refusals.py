"""Own names that are refused: because they mean two things, or because their code cannot be changed."""

# ruff: noqa: F821 - that a bare name is undefined in plain Python is what is tested here
# ruff: noqa: N805 - handlers are functions of a class and take ctx, not self
# ruff: noqa: PLW0603 - what a `global` statement does is tested here
from __future__ import annotations

import sys

import pytest

from septum import _scope
from septum._scope import see_own_names
from tests.own_names import compiled, own_names, refusal

live = "at import"


def secretly(function):
    def wrapper(*args):
        return ("secretly", function(*args))

    return wrapper


def shared(ctx):
    return live


def test_inherited_decorated_function_is_refused():
    """What a base class shares behind a wrapper cannot be copied; without own names it may stay."""

    class Parent:
        Events = 1

        @secretly
        def on_state(ctx):
            return Events

        @secretly
        def on_leave(ctx):
            return "left"

    class Child(Parent):
        pass

    text, names = refusal(lambda: see_own_names(Child, {"on_state": Child.on_state}))
    assert text == (
        f"{Parent.__qualname__}.on_state reads 'Events', an attribute of its class, by its bare name, and cannot be made to see it: "
        "it is decorated and shared with a base class. Write Child.Events."
    )
    assert names == ("Events",)
    assert see_own_names(Child, {"on_leave": Child.on_leave}).functions["on_leave"](None) == ("secretly", "left")


def test_name_that_is_also_another_global_is_refused():
    """It is never guessed which of the two is meant, and the functions are as before."""

    class Ambiguous:
        live = "class"
        fine = 1

        def on_enter(ctx):
            return fine

        def on_state(ctx):
            return [live for _ in range(1)]

    codes = Ambiguous.on_enter.__code__, Ambiguous.on_state.__code__
    where = Ambiguous.on_state.__qualname__
    assert refusal(lambda: own_names(Ambiguous)) == (
        (
            f"{where} reads 'live', which is an attribute of its class and also a global of module {__name__!r}. "
            "Write Ambiguous.live if the state's own is meant, or give one of the two another name."
        ),
        ("live",),
    )
    assert (Ambiguous.on_enter.__code__, Ambiguous.on_state.__code__) == codes


def test_name_that_is_also_a_builtin_is_refused():
    """Every ambiguous name is told at once."""

    class Building:
        id = input = 1

        def on_enter(ctx):
            return id, input

        def on_state(ctx):
            return id

    text, names = refusal(lambda: own_names(Building))
    assert [line.rpartition(".<locals>.")[2].partition(". Write")[0] for line in text.splitlines()] == [
        "Building.on_enter reads 'id', which is an attribute of its class and also a builtin",
        "Building.on_enter reads 'input', which is an attribute of its class and also a builtin",
        "Building.on_state reads 'id', which is an attribute of its class and also a builtin",
    ]
    assert names == ("id", "input")


def test_name_that_is_also_an_enclosing_variable_is_refused():
    """A function around the class has the older claim in Python; which one is meant is not guessed."""
    Events = "function"

    class Enclosed:
        Events = "class"

        def on_state(ctx):
            return Events

    text, names = refusal(lambda: own_names(Enclosed))
    assert "which is an attribute of its class and also a variable of the enclosing function. Write Enclosed.Events" in text
    assert names == ("Events",)
    assert Events == "function"


def test_enclosing_variable_bound_later_is_refused_by_check():
    """A variable that has no value yet at decoration is compared when a machine is made."""

    class Enclosed:
        late = "class"

        def on_state(ctx):
            return late

    own = own_names(Enclosed)
    own.check()
    late = "function"
    assert refusal(own.check)[1] == ("late",)
    late = Enclosed.late
    own.check()


def test_name_that_another_function_assigns_as_global_is_refused():
    """One function's `global` and the other's bare read would mean two things as soon as the first has run."""

    class Assigning:
        made_late = "class"

        def on_enter(ctx):
            global made_late
            made_late = "module"

        def on_state(ctx):
            return made_late

    text, _ = refusal(lambda: own_names(Assigning))
    assert "also a global that a function of Assigning assigns. Write Assigning.made_late" in text


def test_global_that_comes_later_is_refused_by_check():
    """At decoration the module may not have the name yet: `check` looks again, and `del` makes peace."""
    module = compiled("""
        class Idle:
            Events = 1
            def on_state(ctx): return Events
        """)
    own = see_own_names(module["Idle"], {})
    own.check()
    fresh = {"__name__": "fresh"}
    exec("class Idle:\n    Events = 1\n    def on_state(ctx): return Events", fresh)
    own = own_names(fresh["Idle"])
    fresh["Events"] = 2
    assert refusal(own.check) == (
        (
            "Idle.on_state reads 'Events', which is an attribute of its class and also a global of module 'fresh'. "
            "Write Idle.Events if the state's own is meant, or give one of the two another name."
        ),
        ("Events",),
    )
    assert fresh["Idle"].on_state(None) == 1
    del fresh["Events"]
    own.check()


def test_same_object_under_both_names_is_no_ambiguity():
    """A class attribute that is the very global, or the very builtin, means one thing."""

    class Agreeing:
        live = live
        length = len
        shared = staticmethod(shared)
        max = max

        def on_state(ctx):
            return live, length("ab"), shared(ctx), max(1, 2)

    own_names(Agreeing).check()
    assert Agreeing.on_state(None) == (live, 2, live, 2)


def test_handler_named_like_a_global_is_no_ambiguity_until_read():
    """`on_state` is imported by every module of states; only a handler that reads it bare must say which."""
    module = compiled(
        """
        class Idle:
            Events = 1
            @on_state
            def on_state(ctx): return Events
        class Reading:
            @on_state
            def on_state(ctx): return on_state
        """,
        on_state=lambda function: function,
    )
    assert module["Idle"].on_state(None) == 1
    assert refusal(lambda: own_names(module["Reading"]))[1] == ("on_state",)


def test_class_body_that_reads_before_it_binds_is_refused():
    """`Events = Events` in a class inside a handler cannot be told apart by place alone."""
    text, names = refusal(
        lambda: compiled("""
            class Idle:
                Events = 1
                def on_state(ctx):
                    class Local:
                        Events = Events
            """)
    )
    assert text == (
        "Idle.on_state reads 'Events', an attribute of its class, by its bare name, and cannot be made to see it: "
        "a class nested in it reads the name in a way that Septum cannot redirect. Write Idle.Events."
    )
    assert names == ("Events",)


def test_class_body_without_room_is_refused():
    """A class body's read has no inline cache: past 256 constants its room does not hold the longer instruction."""
    numbers = ", ".join(f"{number}.5" for number in range(300))
    source = f"""
        class Idle:
            Events = 1
            def on_state(ctx):
                class Local:
                    numbers = [{numbers}, ctx]
                    own = Events
        """
    assert refusal(lambda: compiled(source))[1] == ("Events",)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is that of Python 3.12")
def test_class_body_with_annotation_scope_is_refused():
    """Type parameters of a method inside a class inside a handler read names in a way of their own."""
    source = """
        class Idle:
            Events = int
            def on_state(ctx):
                class Local:
                    type Alias = Events
        """
    assert refusal(lambda: compiled(source))[1] == ("Events",)


def test_unknown_python_is_refused_with_advice(monkeypatch):
    """Elsewhere a bare own name is refused and the qualified one is fine."""
    monkeypatch.setattr(_scope, "_UNDERSTOOD", False)
    version = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"

    class Bare:
        Events = 1

        def on_state(ctx):
            return Events

    class Qualified:
        Events = 1

        def on_state(ctx):
            return Qualified.Events

    code = Bare.on_state.__code__
    assert refusal(lambda: own_names(Bare)) == (
        (
            f"{Bare.on_state.__qualname__} reads 'Events', an attribute of its class, by its bare name, and cannot be made to see it: "
            f"Septum does not know the bytecode of {version}. Write Bare.Events."
        ),
        ("Events",),
    )
    assert Bare.on_state.__code__ is code
    own_names(Qualified)
    assert Qualified.on_state(None) == 1
