"""Secrets are in no sink: not those of payloads, of `common`, of exceptions, nor of what calls gave back."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

from septum import LabeledTransition, NotKept, StateConfiguration, StateMachine, septum
from septum._codec import encode, to_text
from septum.replay import DROP, FileSink, FlightRecorder, LogsSink, MemorySink, Recorder, Redaction
from septum.replay._redaction import Screen
from tests.otel.conformance import LogExporter
from tests.replay.scenes import Go

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEYS = [
    "password",
    "PASSWORD",
    "user_password",
    "token",
    "access-token",
    "apiKey",
    "api_key",
    "Authorization",
    "set-cookie",
    "ssn",
    "card",
    "client_secret",
]


@dataclass
class Data:
    """A dataclass with a secret attribute."""

    token: Any
    rest: Any = None


@dataclass(frozen=True, slots=True)
class Slotted:
    """The same with slots."""

    api_key: Any
    rest: Any = None


class Plain:
    """An object with attributes."""

    def __init__(self, secret: Any, rest: Any) -> None:
        self.client_secret = secret
        self.rest = rest


class Named(NamedTuple):
    """A named tuple."""

    card: Any
    rest: Any


class Model:
    """What Pydantic's models look like from outside."""

    model_fields: ClassVar[dict[str, None]] = {"cookie": None, "rest": None}
    model_extra: dict[str, Any] | None = None
    model_fields_set: ClassVar[set[str]] = {"cookie"}

    def __init__(self, cookie: Any, rest: Any) -> None:
        self.cookie, self.rest = cookie, rest

    @classmethod
    def model_construct(cls, _fields: set[str], **values: Any) -> Model:
        return cls(**values)


class Opaque:
    """What cannot be written: it holds something that nobody can write."""

    def __init__(self, secret: str) -> None:
        self.password = secret
        self.lock = lambda: None


# Long and unlike anything else, so that finding it is finding it.
secrets = st.text("abcdefghijkmnopqrstuvwxyzABCDEFGH0123456789_-.~'\"\\\u00e9\U0001f511", min_size=8, max_size=24).map(
    lambda text: f"sEcReT{text}end"
)


@st.composite
def planted(draw: st.DrawFn, depth: int = 3) -> tuple[Any, list[str]]:
    """A value with secrets somewhere in it, and those secrets."""
    secret = draw(secrets)
    rest, more = draw(planted(depth - 1)) if depth and draw(st.booleans()) else (draw(st.sampled_from([1, "x", None, [1.5]])), [])
    key = draw(st.sampled_from(KEYS))
    value: Any = draw(st.sampled_from([secret, [secret], {"deep": {"deeper": secret}}, (secret, 1), secret.encode()]))
    made = draw(
        st.sampled_from(
            [
                {key: value, "rest": rest},
                {1: rest, key: value},
                Data(value, rest),
                Slotted(value, [rest]),
                Plain(value, rest),
                Named(value, rest),
                Model(value, rest),
                [{"a": {key: value}}, rest],
                ({key: value}, {"rest": rest}),
                {"rest": [{"note": f"it is {secret}", key: secret}, rest]},
                {"text": f'{{"{key}": "{secret.translate(str.maketrans("", "", chr(34) + chr(92)))}"}}', key: secret, "rest": rest},
                {"url": f"https://user:{key}@host/?{key}=1", key: value, "rest": rest},
                {"opaque": Opaque(secret), "rest": rest},
            ]
        )
    )
    return made, [secret, *more]


class Refused(Exception):
    """An exception with attributes."""

    def __init__(self, text: str, password: str) -> None:
        super().__init__(text)
        self.password = password


@septum.state(config=StateConfiguration(can_dwell=True))
def Leaking() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is None:
            return
        result, secret = ctx.common["plan"]
        await ctx.call("fetch", lambda _: result, ctx.msg)
        with suppress(Refused):
            await ctx.call("refuse", refuse, secret)
        raise Refused(f"{secret} was refused, says {secret!r}; token={secret}", secret)

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Leaking)]


async def refuse(secret: str) -> None:
    """Raise with *secret* in text and attributes."""
    raise Refused(f"no: {secret}", secret)


def written(tmp_path: Path, level: Any, payload: Any, common: Any, result: Any, secret: str) -> Iterable[str]:
    """Yield everything that memory, file, logs, ring, its files and the notes have after a run in which all of it went by."""
    memory, late = MemorySink(), MemorySink()
    logs: Any = LogExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    path = tmp_path / f"{level}.jsonl"
    path.unlink(missing_ok=True)
    flight = FlightRecorder(1000, level=level, directory=tmp_path / "flight", files=1, interval=0.0)
    recorders = [Recorder(sink, level=level) for sink in (memory, FileSink(path), LogsSink(provider))]
    newcomer = Recorder(late, level=level)
    notes: list[str] = []

    async def main() -> None:
        fsm: StateMachine[Any] = StateMachine(Leaking, hooks=[*recorders, flight], common_data={"plan": (result, secret), "more": common})
        # The plan is part of `common`, where its secret could be met by itself: it stands below a key.
        fsm.common["token"] = secret
        await fsm.initialize()
        fsm.send_message(payload)
        with pytest.raises(Refused) as caught:
            await fsm.run(timeout=0)
        notes.extend(caught.value.__notes__)
        with suppress(NotKept):
            fsm.snapshot(f"because of {secret}")
        fsm.attach(newcomer)
        fsm.send_message(Refused(f"sent: {secret}", secret))
        with suppress(Refused):
            await fsm.run(timeout=0)
        await fsm.close()

    asyncio.run(main())
    for recorder in recorders:
        recorder.close()
    newcomer.close()
    for sink in (memory, late):
        yield "\n".join(map(repr, sink.records))
    yield "\n".join(repr((log.log_record.event_name, log.log_record.body, log.log_record.attributes)) for log in logs.get_finished_logs())
    yield "\n".join(map(repr, [*flight._ring, *[run.start for run in flight._runs.values()], "Leaking"]))
    yield "\n".join([*notes, "Leaking"])
    yield path.read_text(encoding="utf-8")
    for file in flight.written:
        yield file.read_text(encoding="utf-8")


def shapes(secret: str) -> set[str]:
    """Return how a secret may stand in a file or a repr."""
    once = json.dumps(secret)[1:-1]
    raw = json.dumps(secret, ensure_ascii=False)[1:-1]
    return {secret, repr(secret)[1:-1], once, raw, json.dumps(once)[1:-1], json.dumps(raw)[1:-1], json.dumps(repr(secret))[1:-1]}


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(planted(), planted(), planted(), secrets)
def test_no_sink_holds_a_secret(tmp_path: Path, payload: Any, common: Any, result: Any, secret: str) -> None:
    """Planted in a payload, in `common`, in exceptions and in results of calls: none is in a sink, the ring or a note, at any level."""
    everything = {secret, *payload[1], *common[1], *result[1]}
    for level in ("metadata", "inline", "full"):
        for text in written(tmp_path, level, payload[0], common[0], result[0], secret):
            assert "Leaking" in text
            assert {planted for planted in everything for shape in shapes(planted) if shape in text} == set()


def screened(value: Any, rules: Redaction | None = None) -> Any:
    """Return what is kept of *value*."""
    return Screen(rules or Redaction()).data(encode(value, refused=lambda _: None))


def test_only_what_stands_below_a_secret_key_is_replaced() -> None:
    """The rest is kept as it was."""
    assert screened({"order": 4711, "Password": "x", "nested": [{"api-key": [1, 2], "n": None}]}) == {
        "order": 4711,
        "Password": "[redacted]",
        "nested": [{"api-key": "[redacted]", "n": None}],
    }


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("password=hunter2", "password=[redacted]"),
        ("password = 'hunter 2', user=bob", "password = [redacted], user=bob"),
        ('{"token": "abc\\u0020"}', '{"token": [redacted]}'),
        ("{'token': 'abc', 'id': 1}", "{'token': [redacted], 'id': 1}"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: [redacted]"),
        ("GET /\nCookie: a=b; c=d\nHost: x", "GET /\nCookie: [redacted]\nHost: x"),
        ("use Bearer abcdef.ghij now", "use Bearer [redacted] now"),
        ("postgres://user:hunter2@db/orders", "postgres://user:[redacted]@db/orders"),
        ("https://host/?api_key=abc&x=1", "https://host/?api_key=[redacted]&x=1"),
        ("the order 4711 was late: 3 > 2", "the order 4711 was late: 3 > 2"),
        ("", ""),
    ],
)
def test_texts_lose_what_they_quote(text: str, kept: str) -> None:
    """Keys with values, headers, schemes and credentials in URLs; nothing else."""
    assert screened(text) == kept


def test_a_secret_that_was_met_is_known_in_later_texts_of_the_run() -> None:
    """As text, as a number, in bytes and in its escaped shapes; not in another run."""
    screen = Screen(Redaction())
    screen.data(encode({"token": ["tip'top", 12345678], "card": {"n": b"raw bytes"}}))
    assert screen.text("""no "tip'top", no 'tip\\'top', no 12345678, no raw bytes""") == (
        """no "[redacted]", no '[redacted]', no [redacted], no [redacted]"""
    )
    assert screen.data([12345678, "tip'top"]) == ["[redacted]", "[redacted]"]
    assert Screen(Redaction()).text("tip'top") == "tip'top"


def test_too_many_secrets_withhold_every_text() -> None:
    """What cannot be remembered cannot be found again, so no text is trusted any more."""
    screen = Screen(Redaction())
    screen.data(encode({"tokens": [f"secret number {number}" for number in range(300)]}))
    assert (screen.blind, screen.text("anything")) == (True, "[text withheld]")


def test_what_is_too_long_to_look_into_withholds_every_text() -> None:
    """A payload beyond sixteen times the limit is not looked through, and might have held what an exception says next."""
    sink = MemorySink()
    fsm: StateMachine[Any] = StateMachine(
        Leaking, hooks=[recorder := Recorder(sink, level="full")], common_data={"plan": (None, "s3cr3t!!")}
    )

    async def main() -> None:
        await fsm.initialize()
        fsm.send_message("x" * 2_000_000)
        with suppress(Refused):
            await fsm.run(timeout=0)

    asyncio.run(main())
    recorder.close()
    (error,) = [record for record in sink.records if record.event == "error"]
    calls = [record.attributes["septum.recording.encoding"] for record in sink.records if record.event == "effect"]
    assert (error.attributes["exception.message"], calls) == ("[text withheld]", ["json", "dropped"])


def test_pseudonyms_are_equal_for_equal_secrets() -> None:
    """With a key, equality can be seen and nothing else; another key gives others."""
    mine, yours = Redaction(pseudonyms=b"k" * 16), Redaction(pseudonyms=b"K" * 16)
    one = screened([{"card": "4111"}, {"card": "4111"}, {"card": "4222"}], mine)
    first, second, third = (entry["card"] for entry in one)
    assert first == second != third
    assert first.startswith("hmac:")
    assert screened({"card": "4111"}, yours)["card"] != first
    with pytest.raises(ValueError, match="at least 16 bytes, not 5"):
        Redaction(pseudonyms=b"short")


def test_attributes_of_a_class_can_be_allowed() -> None:
    """For that class and no other, nor for the keys of a mapping below it."""
    rules = Redaction(allow={Data: ["token"], "somewhere:Else": ["card"]})
    assert screened([Data("kept", {"token": "gone!"}), {"token": "gone?"}], rules) == [
        {"$": "data", "t": f"{__name__}:Data", "v": {"token": "kept", "rest": {"token": "[redacted]"}}},
        {"token": "[redacted]"},
    ]


def test_keys_are_a_regular_expression_of_your_own() -> None:
    """It replaces the default; None turns the search for keys off; what is no expression is refused."""
    assert screened({"iban": "DE00", "password": "kept"}, Redaction("iban")) == {"iban": "[redacted]", "password": "kept"}
    assert screened({"iban": "DE00", "password": "kept"}, Redaction(None)) == {"iban": "DE00", "password": "kept"}
    with pytest.raises(ValueError, match="regular expression"):
        Redaction("(")


@dataclass
class Seen:
    """A redacting function that notes what it was asked."""

    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __call__(self, kind: str, meta: Any, value: Any) -> Any:
        self.asked.append((kind, dict(meta)))
        if kind == "message":
            return {"order": value["order"]}
        if kind == "args":
            raise ZeroDivisionError
        return DROP if kind == "common" else value


def test_a_function_of_your_own_goes_first(caplog: pytest.LogCaptureFixture) -> None:
    """It is told kind and meta, may change a value, and refuses it by DROP or by raising (logged once); the default rules follow."""
    seen, sink = Seen(), MemorySink()
    recorder = Recorder(sink, level="full", redact=seen)
    fsm: StateMachine[Any] = StateMachine(Leaking, hooks=[recorder], name="leaking", common_data={"plan": ({"card": "4111"}, "s3cr3t!!")})

    async def main() -> None:
        await fsm.initialize()
        fsm.send_message({"order": {"id": 1, "token": "x"}, "more": 2})
        with suppress(Refused):
            await fsm.run(timeout=0)

    asyncio.run(main())
    recorder.close()
    bodies = {record.event: record.body for record in sink.records if "septum.recording.encoding" in record.attributes}
    assert bodies["message"] == {"order": {"id": 1, "token": "[redacted]"}}
    (start,) = [record for record in sink.records if record.event == "start"]
    assert (start.body, start.attributes["septum.recording.encoding"]) == (None, "dropped")
    effects = [record for record in sink.records if record.event == "effect"]
    assert [("septum.effect.args_digest" in one.attributes, one.body) for one in effects] == [
        (False, {"card": "[redacted]"}),
        (False, None),  # an exception, of which no text is trusted after a value was dropped
    ]
    machine = {"machine_name": "leaking"}
    assert seen.asked == [
        ("common", machine),
        ("message", {**machine, "name": "dict"}),
        ("args", {**machine, "name": "fetch"}),
        ("result", {**machine, "name": "fetch"}),
        ("args", {**machine, "name": "refuse"}),
        ("result", {**machine, "name": "refuse"}),
        ("text", machine),
        ("text", machine),
    ]
    logged = [record for record in caplog.records if record.name == "septum.replay"]
    assert [record.getMessage().partition(";")[0] for record in logged] == ["the redacting function raised"]


@given(st.text(max_size=300))
@example('token="' * 40)
@example("\\'" * 100 + "token:")
def test_searching_a_text_changes_nothing_but_secrets(text: str) -> None:
    """Whatever the text is, it is searched without an error, and stays as it is where no rule applies."""
    kept = screened(text)
    assert kept == text or "[redacted]" in kept


def test_redacted_values_are_still_json() -> None:
    """What is left is written and read as any other."""
    assert json.loads(to_text(screened([Data("a-secret", (1, {2})), b"token=abc"]))) == [
        {"$": "data", "t": f"{__name__}:Data", "v": {"token": "[redacted]", "rest": {"$": "tuple", "v": [1, {"$": "set", "v": [2]}]}}},
        {"$": "bytes", "v": "dG9rZW49W3JlZGFjdGVkXQ=="},
    ]


class Closed:
    """An object with slots, which cannot be written."""

    __slots__ = ("other", "password")

    def __init__(self) -> None:
        self.password = "s3cr3t in a slot"


def test_secrets_of_objects_that_cannot_be_written_are_known_too() -> None:
    """By their attributes, slots included."""
    screen = Screen(Redaction())
    screen.learn_from(Closed())
    screen.learn_from(Opaque("s3cr3t in a dict"))
    assert screen.text("s3cr3t in a slot, s3cr3t in a dict") == "[redacted], [redacted]"
    assert repr(DROP) == "DROP"


def test_a_secret_is_known_as_text_and_as_bytes() -> None:
    """Whichever it was met as."""
    screen = Screen(Redaction())
    screen.data(encode({"token": "schl\u00fcssel", "card": "stra\u00dfe 7".encode()}))
    assert screen.data(encode(["schl\u00fcssel".encode(), "stra\u00dfe 7", b"nothing"])) == [
        {"$": "bytes", "v": "W3JlZGFjdGVkXQ=="},
        "[redacted]",
        {"$": "bytes", "v": "bm90aGluZw=="},
    ]
