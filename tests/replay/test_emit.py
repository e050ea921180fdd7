"""`emit_test`: the file that it writes runs, reads well, and fails when a handler's behaviour changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from septum.replay import ReplayError, emit_test, load
from tests.replay.plays import E, record, serve, two

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """\
import asyncio
from enum import Enum, auto

from septum import LabeledTransition, StateConfiguration, StateMachine, septum


class Paid:
    def __init__(self, amount):
        self.amount = amount


def keep_out(ctx, message):
    return message == "spam"


@septum.state(config=StateConfiguration(can_dwell=True))
class Open:
    class Events(Enum):
        ASKED = auto()

    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is None:
            return None
        ctx.common["price"] = await ctx.call("price", price, ctx.msg)
        return Events.ASKED

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.ASKED, Paying)]


@septum.state(config=StateConfiguration(can_dwell=True))
class Paying:
    class Events(Enum):
        PAID = auto()
        CHEATED = auto()

    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is None:
            return None
        return Events.PAID if ctx.msg.amount >= ctx.common["price"] else Events.CHEATED

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.PAID, None), LabeledTransition(Events.CHEATED, Open)]


async def price(what):
    return 10


def make():
    return StateMachine(Open, filter_fn=keep_out)


async def main(recorder):
    machine = StateMachine(Open, hooks=[recorder], filter_fn=keep_out)
    for message in ("tea", "spam", Paid(5), "tea", Paid(10)):
        machine.send_message(message)
    await machine.serve()
"""


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Path:
    """Give a folder with a program, and what it did recorded."""
    (tmp_path / "shop.py").write_text(PROGRAM)
    script = (
        "import asyncio, shop\nfrom septum.replay import FileSink, Recorder\n"
        "with Recorder(FileSink('shop.jsonl'), level='full') as recorder: asyncio.run(shop.main(recorder))"
    )
    run(tmp_path, sys.executable, "-c", script)
    return tmp_path


def run(folder: Path, *command: str, expect: int = 0) -> str:
    """Run a command in *folder* and return what it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def emit(folder: Path, target: str, **options: Any) -> None:
    """Write test_shop.py in a process of its own, as the command line does."""
    script = (
        "from septum.replay import emit_test, load\nimport shop\n[run] = load('shop.jsonl')\n"
        f"emit_test(run, {target!r}, 'test_shop.py'{''.join(f', {key}={value}' for key, value in options.items())})"
    )
    run(folder, sys.executable, "-c", script)


def pytest_in(folder: Path, expect: int) -> str:
    """Run the written test."""
    return run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "test_shop.py", expect=expect)


@pytest.mark.slow
def test_written_test_passes_and_fails_when_the_behaviour_changes(shop: Path):
    """It runs as it is; with another answer of a handler it fails and names it."""
    emit(shop, "shop:Open", filter_fn="shop.keep_out")

    assert "1 passed" in pytest_in(shop, 0)
    (shop / "shop.py").write_text(PROGRAM.replace(">= ctx", "> ctx"))
    said = pytest_in(shop, 1)
    assert "recorded: on_state of Paying answered Events.PAID" in said
    assert "replayed: on_state of Paying answered Events.CHEATED" in said


@pytest.mark.slow
def test_written_test_of_a_run_that_goes_another_way_today(shop: Path):
    """After a fix the test asserts the new path; it fails when the bug is back."""
    (shop / "shop.py").write_text(PROGRAM.replace(">= ctx", "!= ctx"))
    emit(shop, "shop:make")

    assert "1 passed" in pytest_in(shop, 0)
    assert "answer = what_if(run, make, EDITS)" in (shop / "test_shop.py").read_text()
    (shop / "shop.py").write_text(PROGRAM)
    assert "1 failed" in pytest_in(shop, 1)


@pytest.mark.slow
def test_written_test_is_readable(shop: Path):
    """It shows the machine, what came from outside and the path, and has the recording beside it."""
    emit(shop, "shop:make")

    text = (shop / "test_shop.py").read_text()
    lines = text.splitlines()
    assert lines[0].startswith('"""Open, run ')
    assert [line.partition(" s  ")[2] for line in lines[4:8]] == [
        "ctx.call('price') gave 10",
        "ctx.call('price') gave 10",
        "",
        "",
    ] or any("ctx.call('price') gave 10" in line for line in lines)
    assert "from shop import make" in lines
    start = lines.index("PATH = [")
    assert lines[start : start + 6] == [
        "PATH = [",
        '    "Open -> Paying (Events.ASKED)",',
        '    "Paying -> Open (Events.CHEATED)",',
        '    "Open -> Paying (Events.ASKED)",',
        '    "Paying -> the end (Events.PAID, end)",',
        "]",
    ]
    assert "def test_shop():" in lines
    [copy], [original] = load(shop / "test_shop.jsonl"), load(shop / "shop.jsonl")
    assert [record[:9] for record in copy.records] == [record[:9] for record in original.records]
    assert [record.body for record in copy.records] == [record.body for record in original.records]
    compile(text, "test_shop.py", "exec")


def test_edits_are_part_of_the_test():
    """A question becomes a test with its edits in it."""
    text = emit_test(recorded(), f"{__name__}:ORDER", None, edits=["drop message 2"])

    assert 'EDITS = [\n    "drop message 2",\n]' in text
    assert "def test_first():" in text


def test_long_path_is_cut():
    """The last 200 transitions are shown and asserted."""

    async def back(ctx: Any) -> Any:
        return E.BACK if ctx.msg is not None else None

    text = emit_test(record(two(back), lambda m: serve(m, *[(1, "a")] * 300)), f"{__name__}:BACK", None)

    assert "PATH = [  # the last 200 of 300 transitions\n" in text
    assert text.count('    "First -> First (E.BACK)",\n') == 200
    assert "assert list(execution.path[-200:]) == PATH" in text


def test_what_no_test_can_import_is_refused():
    """States and functions made inside functions, and machines, have no name that a test can write."""

    async def on_state(ctx: Any) -> Any:
        return None

    for target, options, text in (
        (two(on_state), {}, "does not stand at the top of a module"),
        (f"{__name__}:ORDER", {"filter_fn": lambda *_: False}, "give a function that makes the machine"),
        ("tests/replay/test_emit.py:ORDER", {}, "name the module, not its file"),
    ):
        with pytest.raises(ReplayError) as caught:
            emit_test(recorded(), target, None, **options)
        assert text in str(caught.value)


def test_run_that_cannot_be_replayed_becomes_no_test():
    """Without payloads there is nothing to assert."""
    records = record(two(_answer), lambda m: serve(m, (1, "a")), recorder={"level": "metadata"})
    with pytest.raises(ReplayError) as caught:
        emit_test(records, f"{__name__}:ORDER", None)
    assert "cannot be replayed to the end" in str(caught.value)


async def _answer(ctx: Any) -> Any:
    return None if ctx.msg is None else E.ON


async def _back(ctx: Any) -> Any:
    return E.BACK if ctx.msg is not None else None


ORDER = two(_answer)
BACK = two(_back)


def recorded() -> list[Any]:
    """Return a run of ORDER."""
    return record(ORDER, lambda m: serve(m, (1, "a"), (2, "b")))
