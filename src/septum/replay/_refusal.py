"""What is raised when something is no recording, and the words for it."""

from __future__ import annotations

from typing import NamedTuple

from septum._errors import SeptumError


class BadRecording(SeptumError, ValueError):
    """A file is no recording or trace, or is broken in its middle; nothing was returned of it.

    Attributes:
        file: Which file.
        offset: At which byte of it, from 0; where it is compressed, of what it decompresses to.
        line: At which line, from 1; 0 in a file without lines.
    """

    file: str = ""
    offset: int = 0
    line: int = 0


_FIX = "Give OTLP as JSON lines or as protobuf, or what Jaeger or Tempo answer for a trace; see docs/reference/formats.md."


class Place(NamedTuple):
    """Where in a file something stands.

    Attributes:
        file: Its name.
        offset: The byte, from 0.
        line: The line, from 1; 0 in a file without lines.
    """

    file: str
    offset: int = 0
    line: int = 0


def bad_recording(place: Place, what: str, fix: str = "") -> BadRecording:
    """Build the error for something at *place*; *what* is a sentence without the place and the full stop."""
    where = f"{place.file}, line {place.line} (byte {place.offset})" if place.line else f"{place.file}, byte {place.offset}"
    return BadRecording(
        f"{where}: {what}. {fix or _FIX}",
        file=place.file,
        offset=place.offset,
        line=place.line,
    )


def missing_package(file: str, package: str, extra: str) -> BadRecording:
    """Build the error for a file that only an optional package can read."""
    return BadRecording(f'{file} is compressed with zstd, which needs {package}; install it with: pip install "septum[{extra}]"', file=file)
