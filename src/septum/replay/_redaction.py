"""What must not be kept: values below keys that look like secrets, and texts that quote such values.

It works on what `septum._codec.encode` made, so that mappings, dataclasses, models, named tuples and objects with attributes are one thing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from septum._codec import TAG, reference, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from septum._codec import Json

_LOGGER = logging.getLogger("septum.replay")


class _Drop(Enum):
    DROP = "DROP"

    def __repr__(self) -> str:
        return "DROP"


DROP: Final = _Drop.DROP
"""What a redacting function answers for a value of which nothing may be kept."""

Redact: TypeAlias = "Callable[[str, Mapping[str, object], Any], Any]"

SECRET_KEYS: Final = r"(?i)pass(word)?|secret|token|authorization|api[_-]?key|cookie|ssn|card"  # noqa: S105 - what secrets are called, and none
"""The default of what makes a key look like a secret; it may stand anywhere in the key."""

REDACTED: Final = "[redacted]"
WITHHELD: Final = "[text withheld]"

_SHORTEST: Final = 4
_MOST_KNOWN: Final = 256
_LONG_NUMBER: Final = 100_000

# A name, perhaps in quotes, and a colon or an equals sign; then the value. Possessive, and begun only where a name begins: linear.
_KEY: Final = re.compile(r"""(?<![\w.\-])([\w.\-]++)\\*+["']?+\s*+(?:=>|:=|=|:)\s*+""")
_VALUE: Final = re.compile(r"""b?\\*"[^"]{0,4096}+"|b?\\*'[^']{0,4096}+'|(?:(?i:bearer|basic|digest|token|apikey)\s++)?[^\s,;&)}\]]++""")
_HEADER: Final = re.compile(r"(?im)^(.*?(?:authorization|cookie)\s*:\s*).+$")
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=\-]{6,}")
_USER_INFO: Final = re.compile(r"(://[^/\s:@]{0,256}:)[^@\s/]{1,256}@")


class Redaction:
    """The rules by which a recorder leaves secrets out; one object serves any number of recorders.

    Whatever stands below a key (of a mapping, a dataclass, a model, a named tuple, an object) that looks like a secret is replaced, whole
    and at any depth. Texts are searched for `key=value` and `"key": "value"` with such a key, for credentials in URLs and authorization
    headers, and for the values that were found below such keys earlier in the same run.
    """

    def __init__(
        self,
        keys: str | re.Pattern[str] | None = SECRET_KEYS,
        *,
        allow: Mapping[type[Any] | str, Iterable[str]] | None = None,
        pseudonyms: bytes | None = None,
        redact: Redact | None = None,
    ) -> None:
        """Make rules.

        Args:
            keys: Searched in every key; None lets all keys pass.
            allow: For a class, or its name as "module:Name", the attributes of it that are no secrets whatever they are called.
            pseudonyms: A key (at least 16 bytes) for HMAC-SHA256, with which equal secrets become equal pseudonyms; None: all become
                "[redacted]".
            redact: Called first, as `redact(kind, meta, value)`, with each value that is about to be kept; it returns the value, another
                one in its place, or `DROP`. *kind* is "message", "common", "result", "args" or "text"; *meta* has "machine_name", and
                "name" for the type of a message or the name of an effect. What it raises counts as `DROP`.

        Raises:
            ValueError: *keys* is no regular expression, or the key for pseudonyms is too short.
        """
        try:
            self._keys = re.compile(keys) if isinstance(keys, str) else keys
        except re.error as error:
            raise ValueError(f"Redaction keys must be a regular expression: {error}") from error
        if pseudonyms is not None and len(pseudonyms) < 16:  # noqa: PLR2004 - said in the text
            raise ValueError(
                f"the key for pseudonyms must have at least 16 bytes, not {len(pseudonyms)}; secrets.token_bytes(32) makes one"
            )
        self._pseudonyms = pseudonyms
        self.redact = redact
        self._allowed = {kind if isinstance(kind, str) else reference(kind): frozenset(names) for kind, names in (allow or {}).items()}
        self._failed = False

    def is_secret(self, key: str, kind: str = "") -> bool:
        """Say whether what stands below *key* must not be kept; *kind* is the class that has it, as "module:Name"."""
        return self._keys is not None and self._keys.search(key) is not None and key not in self._allowed.get(kind, ())

    def mentions_secret(self, text: str) -> bool:
        """Say whether *text* has anything in it that looks like the key of a secret."""
        return self._keys is not None and self._keys.search(text) is not None

    def stand_in(self, secret: Json) -> str:
        """Return what is kept in place of *secret*."""
        if self._pseudonyms is None:
            return REDACTED
        return f"hmac:{hmac.new(self._pseudonyms, to_text(secret).encode(), hashlib.sha256).hexdigest()[:24]}"

    def ask(self, kind: str, meta: Mapping[str, object], value: Any) -> Any:
        """Return what the user's function makes of *value*; `DROP` if it raises."""
        if self.redact is None:
            return value
        try:
            return self.redact(kind, meta, value)
        except Exception:
            if not self._failed:
                self._failed = True
                _LOGGER.exception("the redacting function raised; what it was asked about is left out, later errors are not logged")
            return DROP


class Screen:
    """The rules at work in one run, with the secrets that the run has shown so far.

    Attributes:
        changed: Something was replaced since this was last set to False.
        blind: Values went by that could not be looked into: no text of this run can be trusted any more.
    """

    __slots__ = ("_known", "_rules", "blind", "changed")

    def __init__(self, rules: Redaction) -> None:
        self._rules = rules
        self._known: dict[str, str] = {}
        self.blind = self.changed = False

    def learn_from(self, thing: object) -> None:
        """Note the secrets among the attributes of an object that cannot be written."""
        try:
            found = dict(vars(thing))
        except TypeError:
            found = {name: getattr(thing, name, None) for base in type(thing).__mro__ for name in _slots(base)}
        for name, value in found.items():
            if isinstance(value, str | int) and self._rules.is_secret(name):
                self._learn(value)

    def data(self, data: Json) -> Json:
        """Return encoded *data* without its secrets, which are known from now on."""
        self._collect(data)
        return self._rewrite(data)

    def text(self, text: str) -> str:
        """Return *text* without what it quotes of secrets."""
        if self.blind:
            self.changed = True
            return WITHHELD
        return self._scrub(text)

    def _learn(self, data: Json) -> None:
        """Note every text and long number in *data* as a secret."""
        if isinstance(data, dict):
            for key, inner in data.items():
                if TAG not in data or key not in {TAG, "t", "n"}:
                    self._learn(inner)
            if data.get(TAG) in {"bytes", "bytearray"}:
                text = _as_text(data.get("v"))
                self._learn(text)
                self._learn(text.encode("latin-1").decode("utf-8", "replace"))
        elif isinstance(data, list):
            for inner in data:
                self._learn(inner)
        elif isinstance(data, str) or (isinstance(data, int) and abs(data) >= _LONG_NUMBER):
            secret = str(data)
            if len(secret) >= _SHORTEST:
                if len(self._known) >= _MOST_KNOWN and secret not in self._known:
                    self.blind = True
                    return
                stand_in = self._rules.stand_in(data)
                # As it stands in a text, and as `repr` and JSON write it.
                as_bytes = secret.encode("utf-8", "replace").decode("latin-1")
                for shape in {secret, as_bytes, repr(secret)[1:-1], repr(f'{secret}"')[1:-2], json.dumps(secret)[1:-1]}:
                    self._known[shape] = stand_in

    def _collect(self, data: Json, kind: str = "") -> None:
        """Learn the secrets of *data*, wherever they stand; *kind* is the class whose attributes it holds."""
        if isinstance(data, list):
            for inner in data:
                self._collect(inner)
        elif isinstance(data, dict):
            tag = data.get(TAG)
            if tag in _WITH_CONTENT:
                for part in data.keys() & {"v", "s"}:
                    self._collect(data[part], str(data.get("t", "")))
            elif tag is None or tag == "dict":
                for key, inner in data.items() if tag is None else cast("list[tuple[Json, Json]]", data["v"]):
                    if isinstance(key, str) and self._rules.is_secret(key, kind):
                        self._learn(inner)
                    else:
                        self._collect(inner)

    def _rewrite(self, data: Json, kind: str = "") -> Json:
        if isinstance(data, str):
            return self._scrub(data)
        if isinstance(data, list):
            return [self._rewrite(inner) for inner in data]
        if isinstance(data, dict):
            tag = data.get(TAG)
            if tag in {"bytes", "bytearray"}:
                return self._rewrite_bytes(data)
            if tag is None:
                return self._rewrite_named(data, kind)
            if tag == "dict":
                pairs = cast("list[list[Json]]", data["v"])
                return {**data, "v": [[self._rewrite(key), self._replace(key, inner, kind)] for key, inner in pairs]}
            if tag in _WITH_CONTENT:
                of = str(data.get("t", ""))
                return {key: self._rewrite(data[key], of) if key in {"v", "s"} else data[key] for key in data}
            return data
        if type(data) is int and abs(data) >= _LONG_NUMBER and str(data) in self._known:
            self.changed = True
            return self._known[str(data)]
        return data

    def _rewrite_named(self, data: dict[str, Json], kind: str) -> Json:
        # The names of attributes stand in the program; the keys of a mapping may be anything.
        return {key if kind else self._scrub(key): self._replace(key, inner, kind) for key, inner in data.items()}

    def _rewrite_bytes(self, data: dict[str, Json]) -> Json:
        text = _as_text(data["v"])
        scrubbed = self._scrub(text)
        if scrubbed == text:
            return data
        return {**data, "v": base64.b64encode(scrubbed.encode("latin-1", "replace")).decode("ascii")}

    def _replace(self, key: Json, inner: Json, kind: str) -> Json:
        if isinstance(key, str) and self._rules.is_secret(key, kind):
            self.changed = True
            return self._rules.stand_in(inner)
        return self._rewrite(inner)

    def _scrub(self, text: str) -> str:
        found = text
        for secret in sorted(self._known, key=len, reverse=True) if self._known else ():
            if secret in found:
                found = found.replace(secret, self._known[secret])
        rules = self._rules
        if ("=" in found or ":" in found) and rules.mentions_secret(found):
            found = _HEADER.sub(lambda match: f"{match[1]}{REDACTED}", found)
            found = self._scrub_assignments(found)
        if " " in found:
            found = _SCHEME.sub(lambda match: f"{match[1]} {REDACTED}", found)
        if "://" in found:
            found = _USER_INFO.sub(lambda match: f"{match[1]}{REDACTED}@", found)
        if found != text:
            self.changed = True
        return found

    def _scrub_assignments(self, text: str) -> str:
        """Return *text* without the values that are assigned to secret keys."""
        parts: list[str] = []
        done = at = 0
        while (key := _KEY.search(text, at)) is not None:
            at = key.end()
            value = _VALUE.match(text, at) if self._rules.is_secret(key[1]) else None
            if value is not None and not value[0].lstrip("b\\\"'").startswith(REDACTED[:-1]):
                bare = value[0].strip("b\\\"'")
                self._learn(bare)
                parts += [text[done:at], self._rules.stand_in(bare)]
                done = at = value.end()
        return "".join([*parts, text[done:]]) if parts else text


_WITH_CONTENT: Final = frozenset({"tuple", "set", "frozenset", "data", "object", "model", "named", "error", "extra"})


def _as_text(coded: Json) -> str:
    # Every byte is a letter of its own, so that nothing is lost on the way back.
    return base64.b64decode(str(coded)).decode("latin-1")


def _slots(base: type[Any]) -> tuple[str, ...]:
    slots = vars(base).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
