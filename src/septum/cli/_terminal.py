"""A prompt below the live log of a machine, with its state beside it.

prompt_toolkit does both: it keeps the prompt in its place while others print, which rich, made for output, does not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.patch_stdout import patch_stdout

from septum.cli._messages import HELP, NoMessageError

if TYPE_CHECKING:
    from septum import StateMachine
    from septum.cli._live import Watch
    from septum.cli._messages import Vocabulary

_REFRESH: Final = 0.25
"""Seconds between two looks at the machine."""

_COMMANDS: Final = ("/graph", "/help", "/quit")


async def converse(fsm: StateMachine[Any], watch: Watch, vocabulary: Vocabulary) -> None:
    """Serve *fsm*, and send it what is typed, until it completes or the user has had enough.

    Raises:
        Exception: What came out of the machine.
    """
    session: PromptSession[str] = PromptSession(
        completer=WordCompleter([*vocabulary.list_words(), *_COMMANDS], sentence=True),
        bottom_toolbar=lambda: f" {watch.describe(fsm)}  |  /help, /quit ",
        refresh_interval=_REFRESH,
    )
    with patch_stdout(raw=True):
        serving = asyncio.ensure_future(fsm.serve())
        talking = asyncio.ensure_future(_talk(session, fsm, vocabulary))
        await asyncio.wait({serving, talking}, return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            talking.cancel()
            await asyncio.wait({talking})
        fsm.stop()
        await serving


async def _talk(session: PromptSession[str], fsm: StateMachine[Any], vocabulary: Vocabulary) -> None:
    """Send what is typed, until the user ends it."""
    while True:
        try:
            line = (await session.prompt_async("> ")).strip()
        except (EOFError, KeyboardInterrupt):
            return
        if line == "/quit":
            return
        if line == "/help":
            _say(f"{HELP}{', '.join(_COMMANDS)}    the last is also Ctrl-D")
        elif line == "/graph":
            _say(fsm.graph.to_text(current=fsm.current_state))
        elif line:
            await _send(fsm, vocabulary, line)


async def _send(fsm: StateMachine[Any], vocabulary: Vocabulary, line: str) -> None:
    """Send *fsm* what *line* means, once its mailbox has room, or say why not."""
    try:
        message = vocabulary.read(line)
    except NoMessageError as error:
        _say(str(error))
        return
    if not await fsm.send_message_async(message):
        _say("The machine does not take it: it is complete, or its filter keeps the message out.")


def _say(text: str) -> None:
    # Between two prompts nothing is on the screen to be kept in its place, and stdout would be late: its writes are another thread's.
    print_formatted_text(ANSI(text))
