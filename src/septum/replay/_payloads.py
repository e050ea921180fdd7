"""Payloads, results and `common` of a recording as objects again, or the reason why that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from septum import _codec, semconv
from septum._classes import Classes
from septum._errors import CodecError
from septum.replay._limits import Limits
from septum.replay._redaction import Redaction
from septum.replay._values import Keeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from septum._graph import Graph
    from septum.replay._record import Record

_ENCODING: Final = semconv.RecordingEncoding
_PLAIN: Final = frozenset({int, float, str, bool})


class Unreadable(Exception):
    """The value of a record cannot be made again: what is the matter, and what to do about it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


class Given:
    """Stands as the body of a record whose value was given by an edit."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


class Payloads:
    """Reads what records hold.

    Args:
        decode: Makes an object of what the recorder's `encode=` gave; called with the name and the value.
        allowed: Further classes that may be named.
        redacted: "use" takes values in which redaction replaced something as they are.
    """

    def __init__(
        self,
        *,
        decode: Callable[[str, Any], Any] | None = None,
        allowed: Iterable[type[Any]] = (),
        redacted: Literal["refuse", "use"] = "refuse",
    ) -> None:
        self._allowed = tuple(allowed)
        self._resolve = Classes((), allowed=self._allowed)
        self._decode = decode
        self._redacted = redacted

    def know(self, graph: Graph) -> None:
        """Let the recording name the classes of the packages of a definition."""
        self._resolve = Classes({node.spec.module for node in graph.nodes}, allowed=self._allowed)

    def find(self, name: str) -> type[Any]:
        """Return the class of that name, "module:Name".

        Raises:
            CodecError: There is none, or it may not be named.
        """
        return self._resolve(name)

    def decode(self, data: object) -> Any:
        """Return the object that *data* stands for.

        Raises:
            CodecError: It stands for none.
        """
        return _codec.decode(data, self._resolve, extra=self._decode)

    def read(self, record: Record) -> Any:
        """Return the value that *record* holds.

        Raises:
            Unreadable: It was not kept, or not whole, or no class fits it.
        """
        attributes = record.attributes
        if isinstance(record.body, Given):
            return record.body.value
        match attributes.get(semconv.RECORDING_ENCODING):
            case _ENCODING.JSON | _ENCODING.REPR:
                pass
            case None:
                raise Unreadable("was not recorded", 'Record with level="full": at "metadata" no payload and no result is kept.')
            case _ENCODING.DIGEST:
                size = attributes.get(semconv.RECORDING_SIZE, "very many")
                raise Unreadable(
                    f"was too long to be recorded ({size} bytes)",
                    'Record with level="full" and with higher `limits=`, or give it by an edit.',
                )
            case _:
                raise Unreadable("was redacted as a whole", "Let the recorder's `redact=` keep it, or give the value by an edit.")
        if attributes.get(semconv.RECORDING_REDACTED) and self._redacted == "refuse":
            raise Unreadable(
                "was redacted in part",
                'Replay with redacted="use" if no handler looks at what was replaced, give the value by an edit, or let `redact=` keep it.',
            )
        body = record.body
        if body.__class__ in _PLAIN:
            return body
        try:
            return self.decode(body)
        except CodecError as error:
            advice = (
                "Teach the recorder to write it (`encode=`)" if "could not be recorded" in str(error) else "Give `decode=` or `allowed=`"
            )
            raise Unreadable(f"cannot be made again: {error}", f"{advice}, or give the value by an edit.") from error

    def is_same(self, record: Record, value: object) -> bool:
        """Say whether *value* is what *record* holds, as far as the record tells."""
        attributes = record.attributes
        if attributes.get(semconv.RECORDING_ENCODING) != _ENCODING.JSON or attributes.get(semconv.RECORDING_REDACTED):
            return True
        body = record.body
        if value.__class__ in _PLAIN:
            return body.__class__ is value.__class__ and body == value
        try:
            if _codec.encode(value) == body:
                return True
        except _codec.Unencodable:
            pass
        try:
            return bool(self.decode(body) == value)
        except Exception:  # noqa: BLE001 - the user's own __eq__ may raise anything
            return False


class Digests:
    """Makes digests as the recorder of one run did, to compare what it did not keep.

    Args:
        redaction: The recorder's; None for the default.
    """

    def __init__(self, run_id: str, redaction: Redaction | None = None) -> None:
        self._run_id = run_id
        self._keeper = Keeper(redaction or Redaction(), "full", Limits(), None, "")

    def of_common(self, common: object) -> str | None:
        """Return the digest of `common`; None if it would say nothing: it cannot be written, or redaction changed it."""
        screen = self._keeper.screen
        screen.changed = False
        found = self._keeper.fingerprint(common)
        return None if screen.changed else found

    def of_arguments(self, args: tuple[Any, ...], name: str) -> str | None:
        """Return the digest of the arguments of `ctx.call`, likewise."""
        screen = self._keeper.screen
        screen.changed = False
        found = self._keeper.arguments(args, self._run_id, name)
        return None if screen.changed else found
