"""A declared state as a value, and the registry of names: who may have which, and how another process finds it."""

# ruff: noqa: N805 - handlers of a class take ctx, not self

from __future__ import annotations

import copy
import importlib
import pickle
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from septum import (
    Again,
    DefinitionError,
    DuplicateState,
    LabeledTransition,
    StateConfiguration,
    StateRef,
    StateSpec,
    UnknownState,
    get_all_states,
    get_state,
    register_state,
    septum,
)
from septum._graph import Graph
from septum._states import Origin, clear_state_registry, describe_place, find_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


@septum.state
def Outer():
    @septum.state
    def Inner():
        @septum.on_state
        def on_state(ctx):
            pass

    @septum.on_state
    def on_state(ctx):
        pass


@septum.state
class Shelf:
    size = 3

    @septum.state
    class Box:
        @septum.on_state
        def on_state(ctx):
            pass

    @septum.on_state
    def on_state(ctx):
        pass


def make(name: str = "m.A", **parts: Any) -> StateSpec:
    """Return a state made by hand."""
    return StateSpec(name=name, qualname=name.rpartition(".")[2], module="m", on_state=print, **parts)


@pytest.fixture
def registry() -> Iterator[None]:
    """Give the test an empty registry, and everybody else theirs back."""
    kept = get_all_states()
    clear_state_registry()
    yield
    clear_state_registry()
    for state in kept.values():
        register_state(state)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: None) -> Iterator[Any]:
    """Return a function that writes a module and imports it, or loads it again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written: list[str] = []

    def write(name: str, source: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        if name in sys.modules:
            return importlib.reload(sys.modules[name])
        written.append(name)
        return importlib.import_module(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


PLAIN = """
    import septum

    @septum.state
    def A():
        @septum.on_state
        def on_state(ctx):
            pass
"""


def test_state_is_equal_by_name_and_to_its_name() -> None:
    """Two states of one name are equal, and each to the text; hashes agree."""
    A = make()
    others = [make(), "m.A", "m.B", make("m.B"), StateRef("m.A"), 3]
    assert [other == A for other in others] == [True, True, False, False, False, False]
    assert hash(A) == hash("m.A")


def test_state_tells_its_parts_by_their_old_names() -> None:
    """`base_name` is the last part, `CONFIG` the configuration; a state says which it is."""
    A = StateSpec(name="given", qualname="f.<locals>.A", config=StateConfiguration(retries=1))
    assert (A.base_name, A.CONFIG is A.config, repr(A), A.AWAITS) == ("A", True, "<state given>", False)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [(None, []), ([], []), (Again, [Again]), ((Again, "m.A"), [Again, "m.A"]), ([LabeledTransition], [LabeledTransition])],
)
def test_transitions_are_given_as_a_list(listed: object, expected: list[object]) -> None:
    """One transition stands for a list of one, none for an empty one; nothing is resolved."""
    assert make(transitions=lambda: listed).get_transitions() == expected
    assert make().get_transitions() == []


def test_class_form_gives_the_attributes_of_its_class() -> None:
    """What the state has no attribute for is looked up in the class; a state without one says what is missing."""
    assert (Shelf.size, Shelf.Box.name) == (3, f"{__name__}.Shelf.Box")
    with pytest.raises(AttributeError, match="colour"):
        _ = Shelf.colour
    with pytest.raises(AttributeError, match=r"'m\.A' has no attribute 'colour'"):
        _ = make().colour
    with pytest.raises(AttributeError, match="'origin'"):
        _ = object.__new__(StateSpec).origin


def test_changed_state_counts_for_machines_made_later() -> None:
    """Setting an attribute throws the graphs away that were built with the old one."""
    A = make()
    before = Graph.of(A)
    assert Graph.of(A) is before
    A.on_leave = print
    assert (before.initial.on_leave, Graph.of(A).initial.on_leave) == (None, print)


def test_copy_of_a_state_is_the_state() -> None:
    """Copying gives the same object, deep or not, also a state that cannot be pickled."""
    A = make()
    assert (copy.copy(A) is A, copy.deepcopy([A])[0] is A) == (True, True)


@pytest.mark.parametrize("state", [Outer, Shelf, Shelf.Box, get_state(f"{__name__}.Outer.<locals>.Inner")], ids=repr)
def test_state_of_a_module_is_pickled_by_reference(state: Any) -> None:
    """It comes back as the same object, nested ones too."""
    assert pickle.loads(pickle.dumps(state)) is state


def test_state_of_a_function_cannot_be_pickled() -> None:
    """Another process could not find it; the error says so and what to do."""

    @septum.state
    def Local():
        @septum.on_state
        def on_state(ctx):
            pass

    for state in (Local, make()):
        with pytest.raises(pickle.PicklingError, match="Declare it at module level"):
            pickle.dumps(state)


def test_pickled_state_is_found_by_importing_its_module(write: Any) -> None:
    """A process that has not imported the module does so; a state that is gone from it is named."""
    module = write("pickled_states", PLAIN)
    data = pickle.dumps(module.A)
    clear_state_registry()
    del sys.modules["pickled_states"]
    again = pickle.loads(data)
    assert (again.name, again is module.A) == ("pickled_states.A", False)
    clear_state_registry()
    with pytest.raises(UnknownState, match=r"'pickled_states\.A' not found"):
        pickle.loads(data)


def test_registry_gives_what_was_declared() -> None:
    """By full name, or None; all of them as a copy."""
    assert (get_state(Outer.name), get_state("m.Nobody")) == (Outer, None)
    get_all_states().clear()
    assert get_all_states()[Outer.name] is Outer


def test_state_made_by_hand_can_be_registered(registry: None) -> None:
    """Registering it twice changes nothing; one made anew replaces it."""
    A = make()
    register_state(A)
    register_state(A)
    assert get_all_states() == {"m.A": A}
    register_state(other := make())
    assert get_state("m.A") is other


def test_second_state_of_a_name_is_refused(registry: None) -> None:
    """Another state of that name leaves the first in its place; the error names both places."""
    A = make()
    register_state(A)
    other = StateSpec(name="m.A", qualname="B", origin=Origin("n", "n.py", 12))
    with pytest.raises(DuplicateState, match=r"module 'm' has it, so the one at n\.py:12 cannot") as caught:
        register_state(other)
    assert (get_state("m.A") is A, caught.value.name) == (True, "m.A")


def test_states_with_one_given_name_are_refused(write: Any) -> None:
    """Two functions cannot share `name=`, within a module or across two."""
    source = PLAIN.replace("@septum.state", '@septum.state(name="shared")')
    write("first_module", source)
    with pytest.raises(DuplicateState, match=r"first_module\.py:4 has it, so the one at .*second_module\.py:4"):
        write("second_module", source.replace("def A", "def B"))
    assert get_all_states()["shared"].module == "first_module"


def test_same_function_of_two_modules_is_not_the_same_state(write: Any) -> None:
    """That both are called alike does not make them one."""
    source = PLAIN.replace("@septum.state", '@septum.state(name="shared")')
    write("first_module", source)
    with pytest.raises(DuplicateState):
        write("second_module", source)


def test_name_used_twice_in_one_module_is_refused(write: Any) -> None:
    """A second definition further down would hide the first from its own references."""
    with pytest.raises(DuplicateState, match=r"twice_module\.py:4 has it, so the one at .*twice_module\.py:12 cannot"):
        write("twice_module", PLAIN + PLAIN.replace("import septum", "").replace("\n\n\n", "\n"))


def test_reloaded_module_replaces_its_states(write: Any) -> None:
    """Loading a module again, edited or not, declares its states anew."""
    old = write("reloaded_module", PLAIN).A
    same = write("reloaded_module", PLAIN).A
    moved = write("reloaded_module", "\n\n\n" + PLAIN).A
    assert [old is same, same is moved, get_state("reloaded_module.A") is moved] == [False, False, True]


def test_function_that_is_called_again_declares_its_state_anew() -> None:
    """The last one has the name."""

    def declare() -> StateSpec:
        @septum.state
        def Local():
            @septum.on_state
            def on_state(ctx):
                pass

        return Local

    first, second = declare(), declare()
    assert (first == second, first is second, get_state(first.name) is second) == (True, False, True)


def test_new_state_lets_references_be_resolved_anew() -> None:
    """A graph that was built with the old bearer of a name is built again."""

    def declare() -> StateSpec:
        @septum.state
        def Local():
            @septum.on_state
            def on_state(ctx):
                pass

        return Local

    first = declare()
    A = make(transitions=lambda: StateRef(first.name))
    assert Graph.of(A).nodes[1].spec is first
    second = declare()
    assert Graph.of(A).nodes[1].spec is second


def test_target_may_be_a_state_a_reference_or_a_name() -> None:
    """All three lead to the state."""
    assert [find_state(target) is Outer for target in (Outer, StateRef(Outer.name), Outer.name)] == [True] * 3


@pytest.mark.parametrize("target", ["m.Nobody", StateRef("m.Nobody")], ids=repr)
def test_target_that_nobody_declared_is_named(target: Any) -> None:
    """The old text stays findable, and the name is an attribute."""
    with pytest.raises(UnknownState, match=r"State 'm\.Nobody' not found in registry") as caught:
        find_state(target)
    assert caught.value.name == "m.Nobody"


@pytest.mark.parametrize("target", [None, 3, object, Again, print])
def test_target_that_means_no_state_is_refused(target: Any) -> None:
    """The error shows it and says what a state is."""
    with pytest.raises(DefinitionError, match=r"is not a state\. Give a function or class decorated with @septum\.state"):
        find_state(target)


def test_place_is_where_the_state_was_written() -> None:
    """File and line, or the module of one made by hand."""
    assert (describe_place(Outer).rpartition(":")[0], describe_place(make())) == (__file__, "module 'm'")


SCRIPT = """
    import multiprocessing, pickle, sys
    import septum

    @septum.state
    def A():
        @septum.on_state
        def on_state(ctx):
            pass

    def show(state):
        print(state.name, state.module, state is A, septum.get_state("script.A") is A, flush=True)

    if __name__ == "__main__":
        show(A)
        child = multiprocessing.get_context(sys.argv[1]).Process(target=show, args=(A,))
        child.start()
        child.join()
        sys.exit(child.exitcode)
"""


def test_module_without_a_file_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that was typed in belongs to `__main__`."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    typed: dict[str, Any] = {"__name__": "__main__"}
    exec(dedent(PLAIN), typed)
    assert (typed["A"].name, typed["A"].module) == ("__main__.A", "__main__")


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_script_hands_its_states_to_its_processes(method: str, tmp_path: Path) -> None:
    """A state of the main script is named after its file, in a process that it starts as well, and is found there."""
    script = tmp_path / "script.py"
    script.write_text(dedent(SCRIPT), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script), method], capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (["script.A script True True"] * 2, "", 0)
