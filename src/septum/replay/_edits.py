"""What can be changed in a recording to see what would have come of it: as values, and as the text of `--edit`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from septum.replay._divergence import ReplayError

if TYPE_CHECKING:
    from collections.abc import Callable


class BadEdit(ReplayError, ValueError):
    """An edit cannot be read, or means nothing in this recording; the text says which, and how edits are written."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the order of things a message comes: before or after another one, or at a moment.

    Attributes:
        beside: Number of the other message; 0 for none.
        after: It comes after it, not before.
        at: Seconds since the run began to be recorded; None where it is beside another one.
    """

    beside: int = 0
    after: bool = False
    at: float | None = None

    def __str__(self) -> str:
        return f"at {self.at:g}s" if self.at is not None else f"{'after' if self.after else 'before'} message {self.beside}"


@dataclass(frozen=True, slots=True)
class Payload:
    """A value that was written down: JSON, and the class that it is of.

    Attributes:
        data: What JSON holds.
        kind: The class, as "module:Name"; "" for what JSON makes of it, or for the class of the value that it replaces.
    """

    data: Any
    kind: str = ""

    def __str__(self) -> str:
        return json.dumps(self.data, ensure_ascii=False) + (f" as {self.kind}" if self.kind else "")


@dataclass(frozen=True, slots=True)
class DropMessage:
    """A message from outside never comes."""

    number: int

    def __str__(self) -> str:
        return f"drop message {self.number}"


@dataclass(frozen=True, slots=True)
class ChangeMessage:
    """A message says something else.

    Attributes:
        number: Which message.
        payload: The object that comes in its place, or a `Payload`; of one that is a JSON object the fields in place of the message's own.
    """

    number: int
    payload: object

    def __str__(self) -> str:
        return f"change message {self.number} to {_show(self.payload)}"


@dataclass(frozen=True, slots=True)
class InsertMessage:
    """A message comes that never came.

    Attributes:
        payload: The object, or a `Payload`.
        place: Where it comes.
    """

    payload: object
    place: Place

    def __str__(self) -> str:
        return f"insert message {_show(self.payload)} {self.place}"


@dataclass(frozen=True, slots=True)
class MoveMessage:
    """A message comes at another time."""

    number: int
    place: Place

    def __str__(self) -> str:
        return f"move message {self.number} {self.place}" if self.place.at is None else f"move message {self.number} to {self.place.at:g}s"


@dataclass(frozen=True, slots=True)
class SetRetries:
    """A state may be retried another number of times; None for any number."""

    state: str
    limit: int | None

    def __str__(self) -> str:
        return f"retries {self.state}={'none' if self.limit is None else self.limit}"


@dataclass(frozen=True, slots=True)
class SetTimeout:
    """A state has another timeout in seconds; None for none."""

    state: str
    seconds: float | None

    def __str__(self) -> str:
        return f"timeout {self.state}={'none' if self.seconds is None else format(self.seconds, 'g')}"


@dataclass(frozen=True, slots=True)
class SetResult:
    """A call gives something else.

    Attributes:
        name: The name of `ctx.call(name, ...)`.
        payload: The result, or a `Payload`.
        occurrence: Which call of that name, from 1; 0 for all of them.
    """

    name: str
    payload: object
    occurrence: int = 0

    def __str__(self) -> str:
        return f"result {self.name}{_which(self.occurrence)}={_show(self.payload)}"


@dataclass(frozen=True, slots=True)
class SetError:
    """A call raises.

    Attributes:
        name: The name of `ctx.call(name, ...)`.
        error: What it raises; or the class as "module:Name" (without a module one of Python's own), with `text`.
        text: The exception's text, for a class that is given by name.
        occurrence: As for `SetResult`.
    """

    name: str
    error: BaseException | str
    text: str = ""
    occurrence: int = 0

    def __str__(self) -> str:
        error = f"{self.error}{f': {self.text}' if self.text else ''}" if isinstance(self.error, str) else repr(self.error)
        return f"raise {self.name}{_which(self.occurrence)}={error}"


Edit: TypeAlias = DropMessage | ChangeMessage | InsertMessage | MoveMessage | SetRetries | SetTimeout | SetResult | SetError

GRAMMAR: Final = """\
  drop message 3
  change message 3 to JSON
  insert message JSON [as module:Class] before message 3     (or: after message 3, at 2.5s)
  move message 5 before message 3                            (or: after message 3, to 2.5s)
  retries STATE=5                                            (or: none, for any number)
  timeout STATE=10                                           (seconds; or: none)
  result NAME=JSON        result NAME#2=JSON                 (of ctx.call(NAME, ...): every call, or the second)
  raise NAME=Class: text  raise NAME#2=module:Class: text"""


def _show(payload: object) -> str:
    return str(payload) if isinstance(payload, Payload) else repr(payload)


def _which(occurrence: int) -> str:
    return f"#{occurrence}" if occurrence else ""


def parse_edit(text: str) -> Edit:
    """Return the edit that *text* means.

    Raises:
        BadEdit: It means none; the error lists what there is.
    """
    for pattern, make in _FORMS:
        match = pattern.fullmatch(text.strip())
        if match is not None:
            return make(match)
    raise BadEdit(f"cannot read the edit {text!r}. Write one of:\n{GRAMMAR}")


def _read_payload(text: str, kind: str | None = None) -> Payload:
    try:
        return Payload(json.loads(text), kind or "")
    except ValueError as error:
        raise BadEdit(f"{text!r} is no JSON ({error}); text needs quotes: '\"paid\"'.") from error


def _read_place(match: re.Match[str]) -> Place:
    if match["at"] is not None:
        return Place(at=float(match["at"]))
    return Place(int(match["beside"]), after=match["side"] == "after")


def _drop(match: re.Match[str]) -> Edit:
    return DropMessage(int(match["number"]))


def _change(match: re.Match[str]) -> Edit:
    return ChangeMessage(int(match["number"]), _read_payload(match["json"], match["kind"]))


def _insert(match: re.Match[str]) -> Edit:
    return InsertMessage(_read_payload(match["json"], match["kind"]), _read_place(match))


def _move(match: re.Match[str]) -> Edit:
    return MoveMessage(int(match["number"]), _read_place(match))


def _retries(match: re.Match[str]) -> Edit:
    value = match["value"]
    if value != "none" and not value.isdecimal():
        raise BadEdit(f"retries must be a whole number or none, not {value!r}.")
    return SetRetries(match["state"], None if value == "none" else int(value))


def _timeout(match: re.Match[str]) -> Edit:
    value = match["value"].removesuffix("s")
    try:
        return SetTimeout(match["state"], None if value == "none" else float(value))
    except ValueError:
        raise BadEdit(f"a timeout must be a number of seconds or none, not {match['value']!r}.") from None


def _result(match: re.Match[str]) -> Edit:
    return SetResult(match["name"], _read_payload(match["json"], match["kind"]), int(match["occurrence"] or 0))


def _raise(match: re.Match[str]) -> Edit:
    return SetError(match["name"], match["kind"], match["text"] or "", int(match["occurrence"] or 0))


_SECONDS: Final = r"(?P<at>\d+(?:\.\d*)?)\s*s"
_BESIDE: Final = r"(?P<side>before|after)\s+(?:message\s+)?(?P<beside>\d+)"
_KIND: Final = r"(?:\s+as\s+(?P<kind>[\w.]+(?::[\w.]+)?))?"

_FORMS: Final = cast(
    "list[tuple[re.Pattern[str], Callable[[re.Match[str]], Edit]]]",
    [
        (re.compile(pattern, re.DOTALL), make)
        for pattern, make in (
            (r"drop\s+message\s+(?P<number>\d+)", _drop),
            (rf"change\s+message\s+(?P<number>\d+)\s+to\s+(?P<json>.+?){_KIND}", _change),
            (rf"insert\s+message\s+(?P<json>.+?){_KIND}\s+(?:{_BESIDE}|at\s+{_SECONDS})", _insert),
            (rf"move\s+message\s+(?P<number>\d+)\s+(?:{_BESIDE}|(?:to|at)\s+{_SECONDS})", _move),
            (r"retries\s+(?P<state>[^=]+?)\s*=\s*(?P<value>\S+)", _retries),
            (r"timeout\s+(?P<state>[^=]+?)\s*=\s*(?P<value>\S+)", _timeout),
            (rf"result\s+(?P<name>[^=#]+?)(?:#(?P<occurrence>\d+))?\s*=\s*(?P<json>.+?){_KIND}", _result),
            (r"raise\s+(?P<name>[^=#]+?)(?:#(?P<occurrence>\d+))?\s*=\s*(?P<kind>[\w.]+(?::[\w.]+)?)(?:\s*:\s+(?P<text>.*))?", _raise),
        )
    ],
)
