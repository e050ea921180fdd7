"""A machine that is talked with, in this process: from a pipe, and at a prompt of which the keys come from a program."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click")

import click
from click.testing import CliRunner

from septum import StateMachineComplete
from septum.cli._commands import septum
from septum.cli._live import LiveLog, Watch
from septum.cli._messages import Vocabulary
from septum.cli._piped import feed
from septum.testing import ManualClock
from tests.scenes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.programs import Program


@pytest.fixture
def module(door: Program) -> Any:
    """Return the module of the door, imported."""
    door.run("graph", "PACKAGE.door:make_machine")
    return import_module(f"{door.name}.door")


class Pipe:
    """A pipe whose end is a file descriptor."""

    def __init__(self) -> None:
        self.end, self._other = os.pipe()
        self._open = True

    def write(self, text: str, *, close: bool = True) -> None:
        """Put *text* in."""
        os.write(self._other, text.encode())
        if close:
            self.close()

    def close(self) -> None:
        """Tell the reader that there is no more."""
        if self._open:
            os.close(self._other)
            self._open = False


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Return a pipe; its reader is done when the test is."""
    made = Pipe()
    before = set(threading.enumerate())
    yield made
    made.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    os.close(made.end)


def feed_with(fsm: Any, module: Any, descriptor: int) -> None:
    """Feed *fsm* from *descriptor*."""

    async def scene() -> None:
        async with fsm:
            await feed(fsm, Vocabulary([module]), descriptor)

    run(scene())


def test_a_pipe_is_read_to_its_end(module: Any, pipe: Pipe, capsys: pytest.CaptureFixture[str]) -> None:
    """Blank lines are none, a line without an end is one, what means no message is told."""
    fsm = module.make_machine()
    pipe.write("OPEN\n\n \nnull\nCLOSE\nASK")
    feed_with(fsm, module, pipe.end)
    assert (fsm.current_state, fsm.stats().handled) == (module.Closed, 3)
    assert capsys.readouterr().err == 'null: null is no message. For the text write "null".\n'


def test_a_pipe_that_stays_open_holds_no_complete_machine(module: Any, pipe: Pipe) -> None:
    """What is read later goes nowhere."""
    fsm = module.make_machine()
    pipe.write("WALL\n", close=False)
    feed_with(fsm, module, pipe.end)
    pipe.write("OPEN\n")
    assert (fsm.is_complete, fsm.current_state) == (True, module.Walled)


def test_a_pipe_longer_than_the_mailbox_waits(module: Any, pipe: Pipe) -> None:
    """No line is dropped for want of room."""
    fsm = module.StateMachine(module.Closed, max_queue_size=2)
    pipe.write("OPEN\nCLOSE\n" * 20)
    feed_with(fsm, module, pipe.end)
    assert (fsm.stats().handled, fsm.current_state) == (40, module.Closed)


def test_a_pipe_of_a_failed_machine_is_left_alone(module: Any, pipe: Pipe) -> None:
    """The exception comes out."""
    pipe.write("BREAK\nOPEN\n")
    with pytest.raises(ValueError, match="broken"):
        feed_with(module.StateMachine(module.Closed), module, pipe.end)


class Input:
    """Stands for the process's stdin."""

    def __init__(self, end: int, *, terminal: bool = False) -> None:
        self._end = end
        self._terminal = terminal

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._end

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        return self._terminal


def call(door: Program, monkeypatch: pytest.MonkeyPatch, pipe: Pipe, *arguments: str) -> None:
    """Call the command with the pipe as its input."""
    monkeypatch.setattr(sys, "stdin", Input(pipe.end))
    septum.main(["run", *(argument.replace("PACKAGE", door.name) for argument in arguments)], standalone_mode=False)


def test_the_command_tells_the_run(
    door: Program, module: Any, pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of the machine, and where it ended; a field that is called like one of logging's own keeps its name."""
    pipe.write("hello\nASK\n")
    call(door, monkeypatch, pipe, "PACKAGE.door:make_machine", "-v")
    out = capsys.readouterr().out
    assert "Closed: what is that? msg='hello'\n" in out
    assert "Porter -Events.DONE pop-> " in out
    assert "Closed  |  0.0 s" in out or "Closed  |  0.1 s" in out


def test_the_command_tells_what_came_out(
    door: Program, module: Any, pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log has the traceback, the error the sentence."""
    pipe.write("BREAK\n")
    with pytest.raises(click.ClickException) as caught:
        call(door, monkeypatch, pipe, "PACKAGE.door:Closed", "--common", "{}")
    assert door.text(caught.value.message) == "ValueError came out of the machine in PACKAGE.door.Closed: broken"
    assert "\nValueError: broken\n" in capsys.readouterr().out


def test_the_line_of_a_machine_that_has_not_begun_says_so(module: Any) -> None:
    """There is no state yet."""

    async def scene() -> str:
        return Watch(asyncio.get_running_loop()).describe(module.make_machine())

    assert run(scene()) == "not begun  |  0.0 s  |  stack: empty  |  mailbox: 0"


def test_the_stack_is_shown_from_its_bottom(module: Any) -> None:
    """The states that Pop returns to, the last one on top."""

    async def scene() -> str:
        fsm = module.make_machine()
        await fsm.initialize()
        await fsm.tick()
        fsm.send_message(module.Order.ASK)
        await fsm.tick()
        return Watch(asyncio.get_running_loop()).describe(fsm)

    assert run(scene()).endswith("stack: Closed  |  mailbox: 0")


def test_a_timeout_is_shown_beside_the_time(module: Any) -> None:
    """One sees how much of it is left."""

    async def scene() -> str:
        fsm = module.StateMachine(module.Open)
        await fsm.initialize()
        return Watch(asyncio.get_running_loop()).describe(fsm)

    assert run(scene()) == "Open  |  0.0 s of 30  |  stack: empty  |  mailbox: 0"


def test_time_stands_still_when_the_run_is_over(module: Any) -> None:
    """The last line tells how long the last visit was, not how long ago it was."""

    async def scene() -> tuple[str, str]:
        clock = ManualClock()
        loop: Any = SimpleNamespace(time=clock.now)
        watch = Watch(loop)
        fsm = module.StateMachine(module.Closed, hooks=[watch], clock=clock)
        await fsm.initialize()
        clock.advance(2)
        fsm.send_message(module.Order.WALL)
        with pytest.raises(StateMachineComplete):
            await fsm.run()
        clock.advance(5)
        ended = watch.describe(fsm)
        await fsm.reset()
        clock.advance(1)
        return ended, watch.describe(fsm)

    assert run(scene()) == ("Walled  |  0.0 s  |  stack: empty  |  mailbox: 0", "Closed  |  1.0 s  |  stack: empty  |  mailbox: 0")


# ---- a prompt


def talk(fsm: Any, module: Any, keys: str) -> str:
    """Talk with *fsm* by these keys, and return what is printed above the prompt."""
    inputs = pytest.importorskip("prompt_toolkit.input")
    from io import StringIO

    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.output.vt100 import Vt100_Output

    from septum.cli._terminal import converse

    shown = StringIO()
    shown.fileno = lambda: -1  # type: ignore[method-assign]
    output = Vt100_Output(shown, lambda: Size(rows=40, columns=120))

    async def scene() -> None:
        watch = Watch(asyncio.get_running_loop())
        fsm.attach(watch)
        async with fsm:
            await converse(fsm, watch, Vocabulary([module]))

    with inputs.create_pipe_input() as pipe, create_app_session(input=pipe, output=output):
        pipe.send_text(keys)
        asyncio.run(scene())
    return shown.getvalue()


@pytest.mark.parametrize("end", ["/quit\r", "\x04", "\x03"])
def test_a_person_ends_the_talk(module: Any, end: str) -> None:
    """The machine is stopped where it waits; blank lines are none."""
    fsm = module.make_machine()
    talk(fsm, module, f"OPEN\r\r  \r{end}")
    assert (fsm.current_state, fsm.is_complete) == (module.Open, False)


def test_the_end_of_the_machine_ends_the_talk(module: Any) -> None:
    """Nothing more is to be typed."""
    fsm = module.make_machine()
    talk(fsm, module, "ASK\rWALL\r")
    assert (fsm.current_state, fsm.is_complete) == (module.Walled, True)


def test_what_comes_out_of_the_machine_ends_the_talk(module: Any) -> None:
    """The exception comes out of the talk, too."""
    with pytest.raises(ValueError, match="broken"):
        talk(module.StateMachine(module.Closed), module, "BREAK\r")


def test_a_person_may_ask(module: Any) -> None:
    """/help says what a line means, /graph draws; what is no message, or is not taken, is said."""
    fsm = module.StateMachine(module.Closed, filter_fn=lambda ctx, message: message == "spam")
    shown = talk(fsm, module, "/help\r/graph\rnull\rspam\r/quit\r")
    assert "a member of an Enum" in shown
    assert "ASKED (push)  ==> Porter" in shown
    assert "null is no message." in shown
    assert "The machine does not take it: it is complete, or its filter keeps the message out." in shown


def test_a_terminal_without_a_prompt_is_refused_before_the_machine_starts(
    door: Program, module: Any, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install."""
    monkeypatch.setattr(sys, "stdin", Input(pipe.end, terminal=True))
    monkeypatch.setattr(sys, "stdout", Input(pipe.end, terminal=True))
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    monkeypatch.delitem(sys.modules, "septum.cli._terminal", raising=False)
    with pytest.raises(click.ClickException) as caught:
        septum.main(["run", f"{door.name}.door:Closed"], standalone_mode=False)
    assert caught.value.message == ('septum run needs prompt_toolkit in a terminal; install it with: pip install "septum[cli]"')


def test_the_log_counts_seconds_from_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception of another library's log is shown as well."""
    import logging

    log = LiveLog()
    record = logging.LogRecord("lib", logging.ERROR, "f.py", 1, "bad %s", ("luck",), (ValueError, ValueError("x"), None))
    log.emit(record)
    record.created += 1.5
    record.exc_info = None
    log.emit(record)
    assert capsys.readouterr().out == "    0.000  lib: bad luck\nValueError: x\n    1.500  lib: bad luck\n"


def test_commands_are_listed_in_their_order() -> None:
    """Completion and help agree."""
    from septum.cli._commands import COMMANDS

    assert septum.list_commands(click.Context(septum)) == list(COMMANDS)
    assert CliRunner().invoke(septum, []).exit_code in {0, 2}
