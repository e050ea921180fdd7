"""`septum run` runs a machine in a terminal, and in a pipe."""

from __future__ import annotations

import logging
import os
import re
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click")

from septum.cli._live import LiveLog
from tests.cli.programs import DOOR, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


def told(program: Program, text: str) -> list[str]:
    """Return lines of the live log without what differs from run to run: times, ids, names."""
    text = re.sub(r"(?m)^ *\d+\.\d{3}  ", "", program.text(text))
    text = re.sub(RUN_ID, "ID", text)
    return re.sub(r"\d+\.\d+(?= s\b)", "T", text).splitlines()


@pytest.mark.slow
def test_lines_of_a_pipe_are_messages_until_the_machine_completes(door: Program) -> None:
    """Edges and what handlers say are told, without colours and without a prompt; then where it ended."""
    done = door.process("run", "PACKAGE.door:make_machine", stdin='ASK\n\n"x"\nWALL')
    assert (done.returncode, done.stderr) == (0, "")
    assert told(door, done.stdout) == [
        "run ID started in PACKAGE.door.Closed",
        "PACKAGE.door.Closed -Events.ASKED push-> PACKAGE.door.Porter",
        "PACKAGE.door.Porter -Events.DONE pop-> PACKAGE.door.Closed",
        "Closed: what is that? msg='x'",
        "PACKAGE.door.Closed -Events.WALLED-> PACKAGE.door.Walled",
        "run ID ended in PACKAGE.door.Walled after T s: completed",
        "Walled  |  T s  |  stack: empty  |  mailbox: 0",
    ]


@pytest.mark.slow
def test_after_the_last_line_the_machine_comes_to_rest(door: Program) -> None:
    """A machine that is not complete is stopped where it waits; messages that mean nothing are told on stderr."""
    done = door.process("run", "PACKAGE.door:Closed", "-v", stdin="null\nASK\n")
    lines = told(door, done.stdout)
    assert (done.returncode, done.stderr) == (0, 'null: null is no message. For the text write "null".\n')
    assert "message Order.ASK taken after T s, 0 waiting" in lines
    assert lines[-3:] == [
        "visit 3 ended: PACKAGE.door.Closed after T s (stopped)",
        "run ID ended in PACKAGE.door.Closed after T s: stopped",
        "Closed  |  T s  |  stack: empty  |  mailbox: 0",
    ]


@pytest.mark.slow
def test_a_deadline_is_waited_for_after_the_last_line(door: Program) -> None:
    """The machine moves by itself, so that it does not rest yet."""
    door.write("door", DOOR.replace("timeout=30", "timeout=0.3"))
    done = door.process("run", "PACKAGE.door:Closed", stdin="OPEN\n")
    assert told(door, done.stdout)[1:4] == [
        "PACKAGE.door.Closed -Events.OPENED-> PACKAGE.door.Open",
        "PACKAGE.door.Open timed out after T s, noticed T s late",
        "PACKAGE.door.Open -Events.CLOSED-> PACKAGE.door.Closed",
    ]


@pytest.mark.slow
def test_an_exception_that_comes_out_ends_with_one(door: Program) -> None:
    """The log shows the user's traceback without ours; the error says where the machine was."""
    done = door.process("run", "PACKAGE.door:Closed", stdin="BREAK\n")
    lines = [line for line in told(door, done.stdout) if set(line.strip()) - {"^"}]
    number = DOOR.lstrip().partition('raise ValueError("broken")')[0].count("\n") + 1
    assert (done.returncode, door.text(done.stderr)) == (1, "Error: ValueError came out of the machine in PACKAGE.door.Closed: broken\n")
    assert lines[1:] == [
        "ValueError in PACKAGE.door.Closed, raised to the caller",
        "Traceback (most recent call last):",
        f'  File "FOLDER/PACKAGE/door.py", line {number}, in on_state',
        '    raise ValueError("broken")',
        "ValueError: broken",
        "run ID ended in PACKAGE.door.Closed after T s: failed, with ValueError",
    ]


@pytest.mark.slow
def test_a_machine_that_completes_ends_though_the_pipe_is_open(door: Program) -> None:
    """Nobody waits for a line that never comes."""
    command = [sys.executable, "-m", "septum.cli", "run", f"{door.name}.door:Walled"]
    process = subprocess.Popen(command, cwd=door.folder, env=door.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.wait(timeout=60) == 0
        assert process.stdout is not None
        assert told(door, process.stdout.read())[-1].startswith("Walled  |")


@pytest.mark.slow
def test_a_reader_who_has_had_enough_ends_the_machine_without_a_word(door: Program) -> None:
    """`septum run ... | head -2`: the machine does not take the closed pipe for its own failure, which would lead to its error state."""
    command = [sys.executable, "-m", "septum.cli", "run", f"{door.name}.door:make_machine"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process: Any = subprocess.Popen(command, cwd=door.folder, env=door.environ(), text=True, **pipes)
    assert "started in" in process.stdout.readline()
    process.stdout.close()
    process.stdin.write("OPEN\nCLOSE\n" * 3)
    process.stdin.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


def test_common_data_and_error_state_are_given_to_the_machine(door: Program) -> None:
    """--common is JSON; a machine that a function makes has its own."""
    door.write("more", DOOR.replace("make_machine", "make").replace('raise ValueError("broken")', "raise ValueError(ctx.common['why'])"))
    done = door.process("run", "PACKAGE.more:Closed", "--common", '{"why": "rust"}', "--error-state", "Lost", stdin="BREAK\n")
    assert done.returncode == 0
    assert "ValueError: rust" in done.stdout
    assert "PACKAGE.more.Closed -error-> PACKAGE.more.Lost" in told(door, done.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("PACKAGE.door:make_machine", "--common", "{}"), 2, "is a machine already: --error-state and --common are for states.\n"),
        (("PACKAGE.door:Closed", "--common", "{"), 2, "Error: Invalid value for --common: is no JSON: Expecting property name"),
        (("PACKAGE.bad:Idle",), 2, "SEP007 State 'PACKAGE.bad.Idle' has timeout=-1."),
        (("PACKAGE.door:Order",), 2, "is a class, not a state or a machine."),
    ],
)
def test_what_makes_no_machine_is_explained(door: Program, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Options that do not go with it, and definitions with errors."""
    made = "StateSpec(name='PACKAGE.bad.Idle', on_state=print, config=StateConfiguration(timeout=-1))"
    door.write("bad", f"from septum import StateConfiguration, StateSpec\nIdle = {made}\n")
    done = door.run("run", *arguments)
    assert done.exit_code == code
    assert said in door.text(done.stderr)


def test_other_logs_are_told_with_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings of other libraries have their logger's name before them; below them nothing of theirs is told."""
    log = LiveLog()
    log.install(verbose=False)
    try:
        logging.getLogger("lib").warning("odd %s", 1)
        logging.getLogger("lib").info("even")
    finally:
        log.remove()
    assert capsys.readouterr().out == "    0.000  lib: odd 1\n"


# ---- a terminal


class Terminal:
    """A process that believes to talk with a person, and what a terminal shows of it."""

    def __init__(self, program: Program, *arguments: str, **environ: str) -> None:
        pty, termios, pyte = (pytest.importorskip(name) for name in ("pty", "termios", "pyte"))
        self._screen = pyte.HistoryScreen(120, 40)
        self._stream = pyte.ByteStream(self._screen)
        self._end, other = pty.openpty()
        termios.tcsetwinsize(other, (40, 120))
        # A terminal answers where its cursor is: only then is there a line at the bottom.
        self._screen.write_process_input = self.type
        command = [sys.executable, "-m", "septum.cli", *(argument.replace("PACKAGE", program.name) for argument in arguments)]
        variables = program.environ(TERM="xterm", **environ)
        self.process = subprocess.Popen(command, cwd=program.folder, env=variables, stdin=other, stdout=other, stderr=other, close_fds=True)
        os.close(other)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._end, text.encode())

    def wait_for(self, pattern: str) -> None:
        """Wait until *pattern* stands on the screen; half a minute at most."""
        limit = time.monotonic() + 30
        while re.search(pattern, self.shown) is None:
            ready, _, _ = select.select([self._end], [], [], max(0, limit - time.monotonic()))
            chunk = self._read() if ready else b""
            assert chunk, f"{pattern!r} does not come; there is\n{self.shown}"
            self._stream.feed(chunk)

    @property
    def shown(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def close(self) -> int:
        """Wait for the end of the process, and return its exit code."""
        while chunk := self._read():
            self._stream.feed(chunk)
        os.close(self._end)
        return self.process.wait(timeout=60)

    def _read(self) -> bytes:
        try:
            return os.read(self._end, 65536)
        except OSError:
            return b""  # Linux says so that the process has ended


@pytest.fixture
def terminal(door: Program) -> Iterator[Terminal]:
    """Return a terminal in which the door runs."""
    pytest.importorskip("prompt_toolkit")
    made = Terminal(door, "run", "PACKAGE.door:make_machine")
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.mark.slow
def test_a_terminal_has_a_prompt_a_log_and_the_state_below(terminal: Terminal) -> None:
    """Typed lines are messages; the log and the line at the bottom follow the machine; its end ends the command."""
    terminal.wait_for(r"> *\n(?s:.*) Closed  \|  \d+\.\d s  \|  stack: empty  \|  mailbox: 0  \|  /help, /quit$")
    terminal.type("OPEN\r")
    terminal.wait_for(r"> OPEN\n +\d+\.\d{3}  \S+\.Closed -Events.OPENED-> \S+\.Open\n>")
    terminal.wait_for(r"\n Open  \|  \d+\.\d s of 30  \|  stack: empty  \|  mailbox: 0")
    terminal.type("CLOSE\r")
    terminal.wait_for(r"-Events.CLOSED-> \S+\n>")
    terminal.type("/help\r")
    terminal.wait_for("> /help\nGO, Order.PAID        a member of an Enum of the machine's modules\n")
    terminal.type("null\r")
    terminal.wait_for("> null\nnull is no message.")
    terminal.type("/graph\r")
    terminal.wait_for("> /graph\n> Closed  initial\n      OPENED        --> Open\n(?s:.*)\n> *\n")
    terminal.type("AS")
    terminal.wait_for("> AS *\n +ASK *\n")
    terminal.type("\t")
    terminal.wait_for("> ASK *\n")
    terminal.type("\x15WALL\r")
    terminal.wait_for("-Events.WALLED->")
    assert terminal.close() == 0
    assert re.search(r"completed\nWalled  \|  \d+\.\d s  \|  stack: empty  \|  mailbox: 0$", terminal.shown)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["/quit\r", "\x04", "\x03"], ids=["quit", "ctrl-d", "ctrl-c"])
def test_a_person_ends_a_machine_that_waits(terminal: Terminal, key: str) -> None:
    """The machine is stopped after its step, and the command ends with 0."""
    terminal.wait_for(r"Closed  \|  ")
    terminal.type(key)
    assert terminal.close() == 0
    assert "stopped" in terminal.shown


@pytest.mark.slow
def test_what_comes_out_of_the_machine_ends_the_prompt(door: Program) -> None:
    """The command ends with 1 though the user typed nothing more."""
    pytest.importorskip("prompt_toolkit")
    terminal = Terminal(door, "run", "PACKAGE.door:Closed")
    terminal.wait_for(r"Closed  \|  ")
    terminal.type("BREAK\r")
    assert terminal.close() == 1
    assert "Error: ValueError came out of the machine" in terminal.shown


@pytest.mark.slow
def test_a_terminal_without_prompt_toolkit_says_what_to_install(door: Program) -> None:
    """In a pipe it is not needed."""
    hidden = door.folder / "hidden"
    hidden.mkdir()
    (hidden / "prompt_toolkit.py").write_text("raise ModuleNotFoundError(name='prompt_toolkit')\n", encoding="utf-8")
    terminal = Terminal(door, "run", "PACKAGE.door:Closed", PYTHONPATH=str(hidden))
    assert terminal.close() == 1
    assert 'septum run needs prompt_toolkit in a terminal; install it with: pip install "septum[cli]"' in terminal.shown
    assert door.process("run", "PACKAGE.door:Closed", stdin="WALL\n", PYTHONPATH=str(hidden)).returncode == 0
