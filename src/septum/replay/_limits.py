"""How much a recording may hold."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is kept of values and texts; beyond, a body is replaced by its digest, and a text is cut.

    Attributes:
        payload: Bytes of one body as JSON text.
        run: Bytes of all bodies of a run together.
        inline: Bytes of one body at the level "inline".
        text: Characters of an exception's message.

    Raises:
        ValueError: A limit is negative or no int.
    """

    payload: int = 64 * 1024
    run: int = 10 * 1024 * 1024
    inline: int = 1024
    text: int = 1024

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 0:
                raise ValueError(f"Limits.{field.name} must be an int of at least 0, not {value!r}")
