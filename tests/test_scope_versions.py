"""Own names and the tools of each Python version: a handler with them is, but for that, the handler that qualifies them.

Each test compares code with bare names to the same code with `Idle.` before them; nox runs the file on every version.
"""

# ruff: noqa: F821, N805 - handlers read own names, which plain Python does not see, and take ctx, not self
from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from septum._scope import see_own_names

if TYPE_CHECKING:
    from collections.abc import Callable

# "@" stands before each own name: nothing in the bare program, "Idle." in the qualified one.
PROGRAM = """
class Idle:
    one = 1
    numbers = (1, 2, 3)

    def same(x):
        return x

    def on_state(ctx):
        total = 0
        for number in @numbers:
            total += (@same(@one)
                      + @same(
                          number))
        while total > 3:
            total -= @one
        try:
            if (@one and total > 100 or
                    @one and total < 0):
                total = @one
            else:
                @one / 0
        except ZeroDivisionError:
            total = [@same(number) for number in @numbers]
        picked = @one if total else 3
        match picked:
            case @Idle.one:
                picked = @same(picked)
        return picked \\
            , @same(@one), total, (lambda: @one)(), sorted(@same(number)
                                                           for number in @numbers)
"""


def both(program: str, **names: object) -> tuple[type, type]:
    """Run *program* with bare and with qualified names; return the class of each, the first one seeing its names."""
    classes = []
    for prefix in ("", "Idle."):
        module: dict[str, Any] = {"__name__": "program", **names}
        exec(compile(program.replace("@Idle.", "Idle.").replace("@", prefix), "<program>", "exec"), module)
        classes.append(module["Idle"])
    bare, qualified = classes
    see_own_names(bare, {name: value for name, value in vars(bare).items() if isinstance(value, FunctionType)})
    return bare, qualified


def outcome(call: Callable[[], object]) -> object:
    """Return what *call* returns, or the class and text of what it raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other program raises the same
        return type(error), str(error)


def test_place_of_each_instruction_is_kept():
    """Lines, columns, exception table, names and stack of the code are those of before."""
    module: dict[str, Any] = {"__name__": "program"}
    exec(compile(PROGRAM.replace("@Idle.", "Idle.").replace("@", ""), "<program>", "exec"), module)
    before = module["Idle"].on_state.__code__
    see_own_names(module["Idle"], {"on_state": module["Idle"].on_state})
    after = module["Idle"].on_state.__code__
    assert after.co_code != before.co_code
    assert list(after.co_lines()) == list(before.co_lines())
    assert list(after.co_positions()) == list(before.co_positions())
    assert after.replace(co_code=before.co_code, co_consts=before.co_consts) == before


def told(function: Callable[[None], object]) -> list[tuple[str, str, int]]:
    """Return what sys.settrace tells of one call of *function*: name of the code, event, line."""
    events: list[tuple[str, str, int]] = []

    def trace(frame, event, argument):
        # The garbage collector may call somebody at any moment; only the program's own events are compared.
        if frame.f_code.co_filename == "<program>":
            events.append((frame.f_code.co_name, event, frame.f_lineno))
        return trace

    kept = sys.gettrace()
    sys.settrace(trace)
    try:
        function(None)
    finally:
        sys.settrace(kept)
    return events


def test_tracer_is_told_the_same():
    """Debuggers and coverage see the same calls and lines in the same order."""
    bare, qualified = both(PROGRAM)
    assert bare.on_state(None) == qualified.on_state(None)
    assert told(bare.on_state) == told(qualified.on_state)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12")
@pytest.mark.parametrize("kind", ["LINE", "BRANCH", "PY_START", "PY_RETURN", "RAISE"])
def test_monitor_is_told_the_same(kind):
    """So do tools that use sys.monitoring, branches included."""
    monitoring = sys.monitoring
    event = getattr(monitoring.events, kind)
    tool = next(number for number in range(6) if monitoring.get_tool(number) is None)

    def monitored(function):
        events: list[tuple[str, int]] = []

        def note(code, *where):
            if code.co_filename == "<program>":
                events.append((code.co_name, where[0] if kind == "LINE" else list(code.co_positions())[where[0] // 2][0]))

        monitoring.use_tool_id(tool, "test")
        monitoring.register_callback(tool, event, note)
        monitoring.set_events(tool, event)
        try:
            function(None)
        finally:
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)
        return events

    bare, qualified = both(PROGRAM)
    told = monitored(bare.on_state)
    assert told
    assert told == monitored(qualified.on_state)


class Failing:
    zero = 0

    def divide(number):
        return number / zero

    def on_state(ctx):
        first = 1

        return (
            first,
            divide(first),
        )


see_own_names(Failing, {"divide": Failing.divide, "on_state": Failing.on_state})


def test_traceback_points_at_the_failing_expression():
    """Line and columns of each frame are those of the source."""
    with pytest.raises(ZeroDivisionError) as caught:
        Failing.on_state(None)
    source, start = inspect.getsourcelines(Failing)
    pointed = [
        (frame.name, source[frame.lineno - start][frame.colno : frame.end_colno])
        for frame in traceback.extract_tb(caught.tb)
        if frame.name in {"divide", "on_state"} and frame.lineno == frame.end_lineno
    ]
    assert pointed == [("on_state", "divide(first)"), ("divide", "number / zero")]


def test_source_of_handler_is_found():
    """inspect.getsource of a changed handler gives its lines."""
    assert inspect.getsource(Failing.divide) == "    def divide(number):\n        return number / zero\n"


STATES = """
import sys
from enum import Enum, auto
from types import FunctionType
from septum._scope import see_own_names

def state(cls):
    see_own_names(cls, {name: value for name, value in vars(cls).items() if isinstance(value, FunctionType)})
    return cls

@state
class Idle:
    class Events(Enum):
        START = auto()
        STOP = auto()

    def on_state(ctx):
        if ctx:
            return @Events.START
        found = [
            @Events.STOP
            for _ in range(2)
        ]
        try:
            return found[@Events.START.value]
        finally:
            if not found:
                ctx = @Events
"""
MAIN = """
import multiprocessing
import states

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answers = pool.map(states.Idle.on_state, [True, False])
    print(*(answer.name for answer in answers if answer in states.Idle.Events))
"""


def run(folder: Path, *arguments: str, **environment: str) -> str:
    """Run this Python in *folder*, with the package that is tested, and return what it printed."""
    package = Path(inspect.getfile(see_own_names)).resolve().parents[1]
    environment |= {"PYTHONPATH": str(package), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.slow
def test_handler_and_label_are_pickled_to_spawned_process(tmp_path):
    """A spawned process imports the module again and has the same handlers and labels."""
    (tmp_path / "states.py").write_text(STATES.replace("@E", "E"), encoding="utf-8")
    (tmp_path / "main.py").write_text(MAIN, encoding="utf-8")
    assert run(tmp_path, "main.py") == "START STOP\n"


CORES = ["ctrace", "pytrace", pytest.param("sysmon", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="needs sys.monitoring"))]


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
def test_coverage_counts_the_same(tmp_path, core):
    """Executed and missing lines and branches are those of the qualified program, whichever core measures."""
    pytest.importorskip("coverage")
    (tmp_path / "main.py").write_text("import states\nstates.Idle.on_state(False)\n", encoding="utf-8")
    # On 3.12 and 3.13 coverage cannot measure branches by sys.monitoring.
    branches = [] if core == "sysmon" else ["--branch"]
    counted: list[Any] = []
    for prefix in ("", "Idle."):
        (tmp_path / "states.py").write_text(STATES.replace("@E", f"{prefix}E"), encoding="utf-8")
        run(tmp_path, "-m", "coverage", "run", *branches, "--include", "states.py", "main.py", COVERAGE_CORE=core)
        found = json.loads(run(tmp_path, "-m", "coverage", "json", "-q", "-o", "-"))["files"]["states.py"]
        counted.append({name: found.get(name) for name in ("executed_lines", "missing_lines", "executed_branches", "missing_branches")})
    bare, qualified = counted
    lines = STATES.splitlines()
    assert bare == qualified
    assert [lines[number - 1].strip() for number in bare["missing_lines"]] == ["return @Events.START", "ctx = @Events"]


LEAVES = st.sampled_from(["1", "2", "None", "@one", "@pair", "local", "item", "elsewhere", "@one.real", 'f"{@one:>3}{@same(2)!r}"'])


def nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return the expressions that have one or two of *inner* inside."""
    shapes = [
        "@same({0})",
        "@add({0}, b={1})",
        "@add(*[{0}, {1}])",
        "@Box({0}).item",
        "@pair[{0}]",
        "({0} + {1})",
        "({0} or {1})",
        "({0} if @one else {1})",
        "({0}, {1})",
        "[{0} for item in @pair if {1}]",
        "{{item: {0} for item in range(@one)}}",
        "list({0} for item in [{1}])",
        "(lambda item={0}: {1})()",
        "len(@pair + ({0}, {1}))",
    ]
    return st.builds(lambda shape, *parts: shape.format(*parts), st.sampled_from(shapes), inner, inner)


EXPRESSIONS = st.recursive(LEAVES, nest, max_leaves=6)


def block(statements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return the compound statements around *statements* and expressions."""
    shapes = [
        "if {0}:\n{2}\nelse:\n{3}",
        "for local in @pair:\n{2}",
        "try:\n{2}\nexcept @Problem as problem:\n{3}\nfinally:\n    log.append({0})",
        "def inner(item={0}):\n    local = 0\n{2}\n    return {1}\nlog.append(inner())",
        "class Local:\n    item = {0}\n    def method(self):\n        return {1}\nlog.append((Local.item, Local().method()))",
    ]

    def fill(shape: str, first: str, second: str, *bodies: str) -> str:
        return shape.format(first, second, *(textwrap.indent(body, "    ") for body in bodies))

    return st.builds(fill, st.sampled_from(shapes), EXPRESSIONS, EXPRESSIONS, statements, statements)


SIMPLE = st.builds(str.format, st.sampled_from(["local = {0}", "log.append({0})", "local += {0}"]), EXPRESSIONS)
STATEMENTS = st.recursive(SIMPLE, lambda inner: block(st.lists(inner, min_size=1, max_size=2).map("\n".join)), max_leaves=6)
ASYNC = st.builds(str.format, st.sampled_from(["local = await @later({0})", "log.append([{0} async for item in @count(2)])"]), EXPRESSIONS)
RANDOM = """
class Idle:
    one, pair = 1, (1, 2)
    class Problem(Exception): pass
    class Box:
        def __init__(self, item): self.item = item
    def same(item): return item
    def add(a, b): return a + b
    async def later(item): return item
    async def count(end):
        for item in range(end): yield item
    async def on_state(log):
        local = @one
{body}
        return local
"""


@pytest.mark.slow
@given(st.lists(ASYNC | STATEMENTS, min_size=1, max_size=4).map("\n".join))
@example("local = await @later(@pair)")
def test_random_program_agrees_with_its_qualified_self(body):
    """Whatever a handler is made of, it answers, logs and raises what it does with `Idle.` before each name."""
    told = []
    for cls in both(RANDOM.replace("{body}", textwrap.indent(body, "        ")), elsewhere=5):
        log: list[object] = []
        told.append((outcome(lambda handler=cls.on_state, log=log: asyncio.run(handler(log))), log))
    bare, qualified = told
    assert bare == qualified
