"""What a recording keeps of a value: redacted JSON text, or a digest where that would be too long."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from septum import semconv
from septum._codec import Unencodable, encode, to_text
from septum.replay._redaction import DROP, Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum._codec import Encoder
    from septum.replay._limits import Limits
    from septum.replay._redaction import Redaction

Level = Literal["metadata", "inline", "full"]
LEVELS: Final = ("metadata", "inline", "full")

_HORIZON: Final = 16
"""So many times the limit of a payload is still looked at, for its digest and for the secrets in it."""

_SHARE: Final = 4


class Kept(NamedTuple):
    """What is kept of a value: the attributes that tell of it, and its JSON text if there is one."""

    attributes: Mapping[str, object]
    text: str | None = None


NOTHING_KEPT: Final = Kept({})


def digest(text: str) -> str:
    """Return the digest that stands for a text that is too long to be kept: BLAKE2b of 16 bytes, in hex digits."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def args_digest(args: tuple[object, ...], run_id: str, extra: Encoder | None = None, screen: Screen | None = None) -> str | None:
    """Return what a recording has of the arguments of `ctx.call`: the digest of their redacted JSON text, with the run's id as key.

    The key keeps two runs with the same arguments from being told to be such. None if the arguments cannot be written.
    """
    try:
        data = encode(list(args), extra=extra, most=1 << 20)
    except Unencodable:
        return None
    text = to_text(data if screen is None else screen.data(data))
    return hashlib.blake2b(text.encode(), digest_size=16, key=run_id.encode()[:64]).hexdigest()


class Keeper:
    """Keeps the values of one run, within its limits.

    Attributes:
        screen: What leaves the run's secrets out.
        used: Bytes of bodies kept so far.
        repeated: Bytes of them that were kept before, and may be again.
    """

    __slots__ = ("_extra", "_level", "_limits", "_machine", "_rules", "repeated", "screen", "used")

    def __init__(self, rules: Redaction, level: Level, limits: Limits, extra: Encoder | None, machine: str) -> None:
        self._rules = rules
        self._level = level
        self._limits = limits
        self._extra = extra
        self._machine = machine
        self.screen = Screen(rules)
        self.used = self.repeated = 0

    def value(self, kind: str, value: Any, name: str = "", *, again: bool = False) -> Kept:
        """Return what is kept of *value*, of which *kind* is "message", "common" or "result"; nobody asks at the level "metadata".

        What is kept *again* and again takes a quarter of what a run may hold at most, so that room is left for what comes only once.
        """
        given = self._rules.ask(kind, self._meta(name), value)
        if given is DROP:
            self.screen.blind = True
            return Kept({semconv.RECORDING_ENCODING: semconv.RecordingEncoding.DROPPED})
        screen = self.screen
        if screen.blind and isinstance(given, BaseException):
            # It is a text for the most part.
            return Kept({semconv.RECORDING_ENCODING: semconv.RecordingEncoding.DROPPED})
        refused: list[object] = []
        try:
            data = encode(given, extra=self._extra, most=self._limits.payload * _HORIZON, refused=refused.append)
        except Unencodable:
            # Nobody knows what else is in there.
            screen.blind = True
            return Kept({semconv.RECORDING_ENCODING: semconv.RecordingEncoding.DIGEST})
        for thing in refused:
            screen.learn_from(thing)
        screen.changed = False
        text = to_text(screen.data(data))
        attributes: dict[str, object] = {}
        if screen.changed:
            attributes[semconv.RECORDING_REDACTED] = True
        size = len(text) if text.isascii() else len(text.encode())
        most = min(self._limits.payload, self._limits.inline if self._level == "inline" else size)
        if size > most or self.used + size > self._limits.run or (again and (self.repeated + size) * _SHARE > self._limits.run):
            attributes[semconv.RECORDING_ENCODING] = semconv.RecordingEncoding.DIGEST
            attributes[semconv.RECORDING_SIZE] = size
            attributes[semconv.RECORDING_DIGEST] = digest(text)
            return Kept(attributes)
        self.used += size
        if again:
            self.repeated += size
        attributes[semconv.RECORDING_ENCODING] = semconv.RecordingEncoding.REPR if refused else semconv.RecordingEncoding.JSON
        return Kept(attributes, text)

    def error(self, error: BaseException | None) -> dict[str, object]:
        """Return the attributes that tell of *error*: its class, and its text where texts are recorded."""
        if error is None:
            return {}
        kind = type(error)
        attributes: dict[str, object] = {semconv.ERROR_TYPE: class_name(kind)}
        if self._level != "metadata":
            self.screen.changed = False
            text = self.text(_message(error))
            if text is not None:
                attributes[semconv.EXCEPTION_MESSAGE] = text
            if self.screen.changed:
                attributes[semconv.RECORDING_REDACTED] = True
        return attributes

    def text(self, text: str) -> str | None:
        """Return what is kept of a free text; None for nothing."""
        if self._level == "metadata":
            return None
        given = self._rules.ask("text", self._meta(), text)
        if given is DROP:
            self.screen.changed = True
            return None
        # Cut before it is searched, so that a text of gigabytes takes no time; a secret that the cut divides is cut off with it.
        longest = self._limits.text
        cut = str(given)[: longest + _MARGIN]
        scrubbed = self.screen.text(cut)
        return scrubbed if len(scrubbed) <= longest else scrubbed[:longest] + "..."

    def arguments(self, args: tuple[object, ...], run_id: str, name: str) -> str | None:
        """Return the digest of the arguments of `ctx.call`; None where values are not recorded, or cannot be."""
        if self._level == "metadata" or not args:
            return None
        given = self._rules.ask("args", self._meta(name), args)
        return None if given is DROP else args_digest(tuple(given), run_id, self._extra, self.screen)

    def fingerprint(self, common: object) -> str | None:
        """Return the digest of `common` as it is now; None if it cannot be written, or takes too long."""
        try:
            return digest(to_text(self.screen.data(encode(common, extra=self._extra, most=self._limits.payload))))
        except Unencodable:
            return None

    def _meta(self, name: str = "") -> Mapping[str, object]:
        return {"machine_name": self._machine, "name": name} if name else {"machine_name": self._machine}


_MARGIN: Final = 256


def class_name(kind: type[Any]) -> str:
    """Return the full name of a class, without the module of Python's own."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - users write __str__
        return f"<no text: {class_name(type(second))}>"
