"""What a line that somebody types means as a message."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Final

from septum import StateSpec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

HELP: Final = """\
GO, Order.PAID        a member of an Enum of the machine's modules
Order {"id": 7}       an object of a class of these modules, made with these arguments
{"id": 7}, [1], 3.5   what JSON knows
"GO", anything else   a text
"""


class NoMessageError(ValueError):
    """A line means no message; the text says why."""


class Vocabulary:
    """Reads lines as messages to machines of certain modules.

    Args:
        modules: Where Enums and classes are looked for, the first before the others.
    """

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        self._names: dict[str, object] = {}
        for module in modules:
            for name, value in vars(module).items():
                self._names.setdefault(name, value)
        self._members: dict[str, list[Enum]] = {}
        for value in list(self._names.values()):
            if isinstance(value, type) and issubclass(value, Enum):
                for member in value:
                    known = self._members.setdefault(member.name, [])
                    if member not in known:
                        known.append(member)

    def list_words(self) -> list[str]:
        """Return what is worth completing: Enum members by their short name where that is clear, else with their class."""
        words = {
            name if len(members) == 1 else f"{type(member).__name__}.{name}"
            for name, members in self._members.items()
            for member in members
        }
        return sorted(words)

    def read(self, line: str) -> object:
        """Return the message that *line*, which is not blank, means.

        Raises:
            NoMessageError: It is null, which is no message, broken JSON, or a name that two Enums have.
        """
        text = line.strip()
        if text[0] in '{["':
            return _read_json(text)
        found = self._find_member(text)
        if found is not None:
            return found
        name, _, arguments = text.partition(" ")
        made = self._find(name)
        if isinstance(made, type) and arguments.lstrip().startswith("{"):
            return _make(made, _read_json(arguments))
        try:
            value = json.loads(text)
        except ValueError:
            return text
        if value is None:
            raise NoMessageError('null is no message. For the text write "null".')
        return value

    def _find_member(self, text: str) -> Enum | None:
        found = self._find(text)
        if isinstance(found, Enum):
            return found
        members = self._members.get(text, [])
        if len(members) > 1:
            raise NoMessageError(
                f"{text} is a member of {' and of '.join(sorted(type(member).__name__ for member in members))}: say which."
            )
        return members[0] if members else None

    def _find(self, name: str) -> object:
        """Return what the dotted *name* means in the modules, None for nothing."""
        first, *rest = name.split(".")
        found = self._names.get(first)
        for part in rest:
            # Of a state only its labels are looked at: it answers for whatever its class has.
            found = getattr(found, part, None) if isinstance(found, type | StateSpec) else None
        return found


def _read_json(text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise NoMessageError(f"This begins like JSON and is none: {error}.") from None
    return found


def _make(made: type, arguments: object) -> object:
    try:
        return made(**arguments) if isinstance(arguments, dict) else None
    except Exception as error:  # noqa: BLE001 - user code; whatever it raises is told
        raise NoMessageError(f"{made.__name__} cannot be made of this: {type(error).__name__}: {error}") from None
