"""What happens in a machine, written as it happens: the lines of Septum's own log, and whatever handlers say."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import click

from septum import Hooks
from septum._log import TAKEN
from septum.cli._target import format_user_traceback
from septum.logs import PREFIX

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from septum import StateMachine, facts

_COLORS: Final = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red", "DEBUG": "bright_black"}
_FACT_COLORS: Final = {"transition_taken": "cyan", "run_started": "green", "run_ended": "green"}


class LiveLog(logging.Handler):
    """Writes each record as a line with the seconds since the first, in colour where the terminal has any.

    `install` puts it where Septum's records and warnings of others come by.

    Attributes:
        is_cut_off: Nobody reads stdout any more; nothing more is written.
        when_cut_off: Is called at that moment, which may be in the midst of a step: the machine must not take it for its own failure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_cut_off = False
        self.when_cut_off: Callable[[], object] = lambda: None
        self._began: float | None = None

    def install(self, *, verbose: bool) -> None:
        """Take the records of Septum from INFO on, with *verbose* from DEBUG on, and those of others as logging is set up."""
        logging.getLogger().addHandler(self)
        logging.getLogger("septum").setLevel(logging.DEBUG if verbose else logging.INFO)

    def remove(self) -> None:
        """Take no more records."""
        logging.getLogger().removeHandler(self)
        logging.getLogger("septum").setLevel(logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* to stdout."""
        if self.is_cut_off:
            return
        try:
            self._write(record)
        except BrokenPipeError:
            self.is_cut_off = True
            self.when_cut_off()

    def _write(self, record: logging.LogRecord) -> None:
        if self._began is None:
            self._began = record.created
        color = _FACT_COLORS.get(getattr(record, "septum_fact", ""), _COLORS.get(record.levelname))
        click.echo(f"{record.created - self._began:9.3f}  {click.style(_tell(record), fg=color)}")
        if record.exc_info and record.exc_info[1] is not None:
            click.echo(format_user_traceback(record.exc_info[1]), nl=False)


def _tell(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.name == "septum.machine" and isinstance(record.args, tuple):
        return text.removeprefix(PREFIX % record.args[:2])  # there is only one machine
    if record.name != "septum.app":
        return f"{record.name}: {text}"
    # A field that is called like one of logging's own, such as msg, has an underscore behind it.
    extra = {name: value for name, value in vars(record).items() if name not in TAKEN and not name.startswith("septum_")}
    fields = {name.rstrip("_") if name.rstrip("_") in TAKEN else name: value for name, value in extra.items()}
    state = str(getattr(record, "septum_state", "")).rpartition(".")[2]
    return " ".join([f"{state}: {text}", *(f"{name}={value!r}" for name, value in fields.items())])


class Watch(Hooks):
    """Notes when the machine entered its state, and when it ended there, for the line that shows how long it has been there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._entered = loop.time()
        self._ended: float | None = None

    def visit_started(self, fact: facts.VisitStarted) -> None:
        """Note the time; what is in *fact* is the machine's to tell."""
        del fact
        self._entered = self._loop.time()
        self._ended = None

    def run_ended(self, fact: facts.RunEnded) -> None:
        """Note the time."""
        del fact
        self._ended = self._loop.time()

    def describe(self, fsm: StateMachine[object]) -> str:
        """Return where the machine is: state, seconds in it, stack, mailbox."""
        state = fsm.current_state
        now = self._loop.time() if self._ended is None else self._ended
        stack = " > ".join(below.base_name for below in fsm.state_stack)
        parts = [
            "not begun" if state is None else state.base_name,
            f"{now - self._entered:.1f} s",
            f"stack: {stack or 'empty'}",
            f"mailbox: {fsm.queue_depth}",
        ]
        if state is not None and state.config.timeout is not None:
            parts[1] += f" of {state.config.timeout:g}"
        return "  |  ".join(parts)
