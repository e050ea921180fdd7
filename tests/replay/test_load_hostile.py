"""Files that are broken, or made to break what reads them: a named error with the place, or what is whole, and never much memory."""

from __future__ import annotations

import copy
import gzip
import json
import os
import struct
import tracemalloc
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from septum.replay import BadRecording, Run, load, records
from septum.replay import _documents as documents
from septum.replay import _load as loading
from septum.replay import _quick as quick
from septum.replay._layout import Layouts
from septum.replay._protobuf import Reader
from tests.replay.fixtures.make import spans
from tests.replay.forms import FORMS, prefixed, standard_library_only, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIXTURES = Path(__file__).parent / "fixtures"
SMALL = {name: (FIXTURES / name).read_bytes() for name in (*FORMS, "events.jsonl", "recording-v1.jsonl")}
_SPANS = sorted(spans()[0], key=lambda span: span.start_time)[:3]
FEW = {name: form(_SPANS) for name, form in FORMS.items()}
FEW |= {name: b"".join(SMALL[name].splitlines(keepends=True)[:1]) for name in ("events.jsonl", "recording-v1.jsonl")}
MEGABYTE = 1 << 20
THOROUGH = os.environ.get("SEPTUM_MODEL_EXAMPLES")
often = settings(max_examples=int(THOROUGH or 150), deadline=None, suppress_health_check=list(HealthCheck), derandomize=THOROUGH is None)


def read(data: bytes) -> str:
    """Return what came of reading *data*: nothing, runs, or a named error that says where."""
    try:
        runs = load(data)
    except BadRecording as error:
        refusal = error
    else:
        return outcome(runs)
    assert str(refusal).startswith(f"{refusal.file}, ")
    assert (refusal.file, refusal.offset >= 0, refusal.line >= 0) == ("<bytes>", True, True)
    return "refused"


def outcome(runs: list[Run]) -> str:
    """Return what came of a reading, and look at all of it."""
    for run in runs:
        assert not run.truncated or not run.complete
        for step in run.steps:
            assert run.at(visit=step.visit).state == step.state
    return "truncated" if any(run.truncated for run in runs) else "read" if runs else "nothing"


@pytest.fixture(params=[True, False], ids=["with msgspec", "without msgspec"])
def _both(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read with msgspec and without."""
    with nullcontext() if request.param else standard_library_only():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize("name", SMALL)
def test_a_file_cut_at_any_byte_is_read_as_far_as_it_goes_or_refused(name: str) -> None:
    """Whatever the form, what is left is read and reported as cut off, or a named error says where it breaks off."""
    data = FEW[name]
    outcomes = [read(data[:cut]) for cut in range(len(data))]
    assert set(outcomes) <= {"refused", "truncated", "read", "nothing"}
    assert (outcomes[0], read(data)) == ("nothing", "read")


@pytest.mark.slow
@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize("name", SMALL)
def test_a_file_with_any_bytes_changed_is_read_or_refused(name: str) -> None:
    """Bytes changed, taken out, put in and repeated at random: no other exception ever comes out."""

    @often
    @given(st.lists(st.tuples(st.integers(0, 1 << 30), st.sampled_from("xdir"), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
    def law(changes: list[tuple[int, str, bytes]]) -> None:
        data = bytearray(SMALL[name])
        for at, what, value in changes:
            place = at % (len(data) + 1)
            if what == "x":
                data[place : place + len(value)] = value
            elif what == "d":
                del data[place : place + len(value)]
            elif what == "i":
                data[place:place] = value
            else:
                data[place:place] = data[place : place + 50 * len(value)]
        read(bytes(data))

    law()


def deep(levels: int) -> Any:
    """Return a value of OTLP, nested."""
    value: Any = {"stringValue": "x"}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return value


HOSTILE: list[Any] = [
    None, True, -1, 0, 1 << 62, 1 << 63, 1 << 64, 1 << 200, -(1 << 70), 1.5, 1e400, float("nan"),
    "", "x", "9" * 5000, "-0", "\ud800", "0x10", "1" * 19, [], [[]], [None], {}, {"": ""},
    {"stringValue": 5}, {"stringValue": None}, {"boolValue": "x"}, {"bytesValue": "!"}, {"bytesValue": 5}, {"colorValue": "red"},
    {"intValue": "x"}, {"intValue": 1.5}, {"intValue": True}, {"intValue": "9" * 30}, {"intValue": "-7"},
    {"doubleValue": "NaN"}, {"doubleValue": "Infinity"}, {"doubleValue": "x"}, {"doubleValue": []},
    {"arrayValue": {"values": [{"stringValue": "x"}]}}, {"arrayValue": 5}, {"arrayValue": {"values": 5}},
    {"kvlistValue": {"values": [{"key": 5}]}}, {"kvlistValue": {"values": [{"key": "x", "value": {"intValue": "1"}}]}},
    deep(10), deep(60), deep(70), deep(200),
]  # fmt: skip


def places(content: Any) -> list[tuple[Any, Any]]:
    """Return every place in a JSON value that something else can be put in."""
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found


def spoilt(name: str, data: st.DataObject) -> bytes:
    """Return a file of JSON with up to three things in places where others were."""
    content = [json.loads(part) for part in ([SMALL[name]] if name.endswith(".json") else SMALL[name].splitlines())]
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places(content)))
        holder[key] = copy.deepcopy(data.draw(st.sampled_from(HOSTILE)))
    return b"\n".join(text(part) for part in content) + b"\n"


@pytest.mark.slow
@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize("name", [name for name in SMALL if name.endswith((".json", ".jsonl")) and "zstd" not in name])
def test_a_document_with_anything_in_any_place_is_read_or_refused(name: str) -> None:
    """Wrong types, huge numbers, NaN, deep nesting, in the place of anything there is."""

    @often
    @given(st.data())
    def law(data: st.DataObject) -> None:
        written = spoilt(name, data)
        if read(written) != "refused":
            list(records(written))

    law()


def fate(data: bytes) -> object:
    """Return the runs that come of *data*, or that it was refused: of two things that are wrong, either may be named."""
    try:
        # NaN is not equal to itself.
        return [(run.steps, run.gaps, repr((run.messages, run.errors, run.definition, run.records))) for run in load(data)]
    except BadRecording as error:
        return error.file


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if name.endswith((".json", ".jsonl")) and "zstd" not in name])
def test_whatever_is_wrong_a_large_document_is_read_as_a_small_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded span by span, the same comes of it, or an error."""

    @often
    @given(st.data())
    def law(data: st.DataObject) -> None:
        written = spoilt(name, data)
        at = data.draw(st.integers(0, len(written)))
        written = data.draw(st.sampled_from([written, written[:at], written[:at] + b"\xff" + written[at:]]))
        monkeypatch.setattr(quick, "LARGE", MEGABYTE)
        found = fate(written)
        monkeypatch.setattr(quick, "LARGE", 0)
        assert fate(written) == found

    law()


@pytest.mark.slow
def test_layouts_of_spans_change_nothing_whatever_is_wrong() -> None:
    """Protobuf with bytes changed is read by layouts that were learned before as it is field by field, and may be learned from."""
    original = SMALL["otlp-message.binpb"]

    def signals(reader: Reader, data: bytes) -> object:
        try:
            # NaN is not equal to itself.
            return [(signal[:-1], repr(sorted(signal.attributes.items()))) for signal in reader.read(data)]
        except ValueError as error:
            return str(error)

    @often
    @given(st.lists(st.tuples(st.integers(0, len(original) - 1), st.integers(0, 255)), min_size=1, max_size=4))
    def law(changes: list[tuple[int, int]]) -> None:
        data = bytearray(original)
        for at, value in changes:
            data[at] = value
        reader = Reader()
        list(reader.read(original))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Layouts, "read", lambda *_: None)
            found = signals(Reader(), bytes(data))
        assert (signals(reader, bytes(data)), signals(reader, bytes(data))) == (found, found)

    law()


@pytest.mark.usefixtures("_both")
def test_json_that_is_nested_without_end_is_refused() -> None:
    """A hundred thousand brackets are no reason to fall over."""
    for data in (b"[" * 100_000, b'{"resourceSpans":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 3000 + b"1" + b"}" * 3000):
        assert read(data) == "refused"


def message(field: int, content: bytes) -> bytes:
    """Return one length-delimited field of protobuf."""
    size, digits = len(content), bytearray()
    while size >= 0x80:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([field << 3 | 2, *digits, size]) + content


def log_with(value: bytes) -> bytes:
    """Return a request with one event that has an attribute of this value."""
    pair = message(1, b"septum.x") + message(2, value)
    log = b"\x09" + struct.pack("<Q", 1) + message(6, pair) + message(12, b"septum.run.start")
    return message(1, message(2, message(2, log)))


def test_protobuf_that_is_nested_without_end_is_refused() -> None:
    """Values in values, each in the one before."""
    value = message(1, b"x")
    for _ in range(60):
        value = message(5, message(1, value))
    assert read(log_with(value)) == "nothing"
    for _ in range(1000):
        value = message(5, message(1, value))
    assert read(log_with(value)) == "refused"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x00\x00\x00\x05\x0a", "<bytes>, byte 0: breaks off within its first message"),
        (
            prefixed([b"\x0a\x02\x12\x00"]) + b"\xff\xff\xff\xff\x0a",
            "<bytes>, byte 8: a message is said to have 4294967295 bytes, more than 64 MiB",
        ),
        (b"\x0a\xff\xff\xff\xff\x0f", "<bytes>, byte 0: a field of 4294967295 bytes stands where only 0 are left"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "<bytes>, byte 0: a number breaks off or has more than 64 bits"),
        (b"\x0a\x02\x13\x00", "<bytes>, byte 0: a field has the wire type 3, which protobuf does not know"),
        (b"\xde\xad\xbe\xef", "<bytes>, byte 0: is in no format that is known"),
        (b"PK\x03\x04" + b"\0" * 26, "<bytes>, byte 0: is in no format that is known"),
        (b'{"resourceSpans": [', "<bytes>, line 1 (byte 19): is no JSON"),
        (b'{}\n{"a" 1}\n{}\n', "<bytes>, line 2 (byte 8): is no JSON: Expecting ':' delimiter"),
        (b'{\n"a": 1\n', "<bytes>, line 3 (byte 9): is no JSON"),
        (b'{"spans": 1}', "<bytes>, line 1 (byte 0): is JSON, but of no format that is known (it has spans)"),
        (b"[1]", "<bytes>, line 1 (byte 0): a document is 1, no object"),
        (b'{"resourceSpans": 1}', "<bytes>, line 1 (byte 0): resourceSpans is 1, no array"),
        (b'{"data": [{"spans": [{"tags": [], "startTime": 1}]}]}', "<bytes>, line 1 (byte 0): 'duration' is missing"),
        (gzip.compress(b"{}\n", mtime=0)[:-9] + b"\0" * 9, "<bytes>, byte"),
        (b"\x1f\x8b\x08\xff" + b"\0" * 30, "<bytes>, byte 0"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 30, "<bytes>, byte 0: cannot be decompressed"),
    ],
)
def test_error_says_what_is_wrong_and_where(data: bytes, problem: str) -> None:
    """File, line, byte, and what stands there."""
    with pytest.raises(BadRecording) as caught:
        load(data)
    assert str(caught.value).startswith(problem)


def test_error_names_the_file(tmp_path: Path) -> None:
    """One broken file among many is the one that is named."""
    (tmp_path / "good.jsonl").write_bytes(SMALL["otlp.jsonl"])
    (tmp_path / "bad.jsonl").write_bytes(b"{}\n{]\n{}\n")
    with pytest.raises(BadRecording) as caught:
        load(tmp_path)
    assert (caught.value.file, caught.value.line, caught.value.offset) == (str(tmp_path / "bad.jsonl"), 2, 4)


def bomb(line: bytes, count: int, compressor: Callable[[], Any]) -> bytes:
    """Return *line*, repeated, compressed without ever being there."""
    stream = compressor()
    return b"".join([*(stream.compress(line) for _ in range(count)), stream.flush()])


def gzip_bomb(line: bytes, count: int) -> bytes:
    """Do that with gzip."""
    import zlib

    return bomb(line, count, lambda: zlib.compressobj(9, zlib.DEFLATED, 31))


def zstd_bomb(line: bytes, count: int) -> bytes:
    """Do that with zstd."""
    return bomb(line, count, lambda: zstandard.ZstdCompressor(3).compressobj())


BLOCK = 4 * MEGABYTE
BLANK = (b" " * 4095 + b"\n") * 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(lambda: gzip_bomb(BLANK, 64), "decompresses to far more than telemetry does", id="gzip, empty lines"),
        pytest.param(lambda: zstd_bomb(BLANK, 64), "decompresses to far more than telemetry does", id="zstd, empty lines"),
        pytest.param(lambda: gzip_bomb(b"[" * BLOCK, 64), "decompresses to far more than telemetry does", id="gzip, brackets"),
        pytest.param(lambda: b" " * 65 * MEGABYTE, "a line is longer than 64 MiB", id="one line"),
        pytest.param(lambda: b"{\n" + (b" " * MEGABYTE + b"\n") * 66, "longer than 64 MiB", id="one text"),
        pytest.param(lambda: prefixed([zstd_bomb(b"\x0a\x00" * (BLOCK // 2), 64)]), "decompresses to far more", id="zstd, one message"),
        pytest.param(lambda: b"\x0a\x00" * (40 * MEGABYTE), "a message is longer than 64 MiB", id="protobuf"),
        pytest.param(lambda: b"\x03\xff\xff\xff\x0a\x00", "breaks off within its first message", id="announced"),
    ],
)
def test_what_is_made_to_fill_memory_does_not(data: Callable[[], bytes], problem: str) -> None:
    """Bombs and announcements: refused with at most a few times of what one document may have."""
    content = data()
    tracemalloc.start()
    try:
        with pytest.raises(BadRecording, match=problem):
            load(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * documents.MOST


def test_without_zstandard_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an optional package."""
    import builtins

    real = builtins.__import__

    def fail(name: str, *arguments: Any) -> Any:
        if name == "zstandard":
            raise ImportError(name)
        return real(name, *arguments)

    from septum.replay import _compressed

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(_compressed, "import_module", missing)
    with pytest.raises(BadRecording, match=r'which needs zstandard; install it with: pip install "septum\[replay\]"'):
        load(SMALL["otlp.jsonl.zst"])
    assert loading.load(SMALL["otlp.jsonl.gz"])
