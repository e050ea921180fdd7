"""A machine whose messages are the lines of a pipe or a file."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, Final

import click

from septum import StateMachineComplete
from septum.cli._messages import NoMessageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from septum import StateMachine
    from septum.cli._messages import Vocabulary

_PATIENCE: Final = 0.05
"""Seconds between two looks at whether the input has ended."""

_CHUNK: Final = 65_536


async def feed(fsm: StateMachine[Any], vocabulary: Vocabulary, descriptor: int) -> None:
    """Run *fsm* with a message for each line of the file *descriptor*, until it completes or rests after the last.

    Raises:
        Exception: What came out of the machine.
    """
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(line: str | None) -> None:
        loop.call_soon_threadsafe(lines.put_nowait, line)

    # A daemon, and no buffered reader: a machine that completes ends the process though the pipe be open.
    threading.Thread(target=_read, args=(descriptor, put), daemon=True).start()
    sending = asyncio.ensure_future(_send(fsm, vocabulary, lines))
    try:
        while True:
            was_last = sending.done()
            await fsm.run(timeout=_PATIENCE)
            if was_last:
                sending.result()
                return
    except StateMachineComplete:
        return
    finally:
        sending.cancel()
        await asyncio.wait({sending})


async def _send(fsm: StateMachine[Any], vocabulary: Vocabulary, lines: asyncio.Queue[str | None]) -> None:
    while (line := await lines.get()) is not None:
        if line.strip():
            try:
                await fsm.send_message_async(vocabulary.read(line))
            except NoMessageError as error:
                click.echo(f"{line.strip()}: {error}", err=True)


def _read(descriptor: int, put: Callable[[str | None], object]) -> None:
    try:
        for line in _split(descriptor):
            put(line)
        put(None)
    except RuntimeError:
        return  # the loop is closed: the machine ended before its input


def _split(descriptor: int) -> Iterator[str]:
    rest = b""
    while chunk := os.read(descriptor, _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")
