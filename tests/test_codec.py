"""Values become JSON and come back equal; what cannot is refused with its place, and no file makes anything run."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import re
import sys
import uuid
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septum import MailboxFull
from septum._classes import Classes
from septum._codec import MOST_DEPTH, Unencodable, decode, encode, reference, to_text
from septum._errors import CodecError

HERE = Classes([__name__])


class Colour(enum.Enum):
    """A closed set."""

    RED = 1
    GREEN = ("g", 2)


class Level(enum.IntEnum):
    """Members that are ints."""

    LOW = 1


class Rights(enum.Flag):
    """Members that combine."""

    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True)
class Point:
    """A frozen dataclass with slots."""

    x: Any
    y: Any = 0


@dataclass
class Order:
    """A dataclass that sets more than its fields."""

    id: int
    tags: list[str] = field(default_factory=list)
    hidden: int = field(default=7, init=False)

    def __post_init__(self) -> None:
        self.seen = len(self.tags)


class LaterOrder(Order):
    """A subclass that is no dataclass itself."""


class Plain:
    """An object with nothing but attributes."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # it can change

    class Inner:
        """A class within a class."""


class Slotted:
    """An object with slots and no dataclass."""

    __slots__ = ("x",)


class Stateful:
    """An object that says itself how it is written."""

    def __getstate__(self) -> object:
        return ()


class Named(NamedTuple):
    """A named tuple."""

    a: Any
    b: Any


class Model:
    """What Pydantic's models look like from outside."""

    model_fields: ClassVar[dict[str, None]] = {"name": None}

    def __init__(self) -> None:
        raise AssertionError("no __init__ may run")

    @classmethod
    def model_construct(cls, fields: set[str], **values: Any) -> Model:
        made = object.__new__(cls)
        made.__dict__.update(values, model_fields_set=fields)
        return made

    model_extra = None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # as above


class Attribute:
    """What attrs keeps of a field."""

    name = "a"


class Attrs:
    """What a class of attrs looks like from outside."""

    __attrs_attrs__ = (Attribute,)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # as above


class Refused(Exception):
    """An exception that takes no arguments when it is made."""

    def __init__(self) -> None:
        super().__init__("refused", 4)
        self.code = 4
        self.connection = lambda: None


def back(value: object) -> Any:
    """Return *value*, written and read."""
    return decode(json.loads(to_text(encode(value))), HERE)


def attrs() -> Attrs:
    """Return an object of the class that looks like one of attrs."""
    made = Attrs()
    made.a = 1  # type: ignore[attr-defined]  # as attrs would
    return made


ZONE = dt.timezone(dt.timedelta(hours=5, minutes=30))
NAIVE = dt.datetime(2026, 1, 2)  # noqa: DTZ001 - programs have such, and they are to come back as they were
VALUES: list[Any] = [
    None, True, 0, -1, 2**64, 10**5000, 1.5, -0.0, math.inf, -math.inf, "", "é\n\ud83d", b"\x00\xff", bytearray(b"x"),
    [], [1, [2]], (), (1, (2,)), set(), {1, 2}, frozenset({"a"}), {}, {"a": 1}, {"$": 1}, {1: 2, None: 3, (1, 2): [4]},
    Colour.RED, Colour.GREEN, Level.LOW, Rights.READ, Rights.READ | Rights.WRITE, Rights(0),
    Point(1), Point(Point(2, [3]), Colour.RED), Order(1, ["a"]), LaterOrder(2), Plain(), Plain(a=1, b=[Plain(c=2)]), Named(1, (2,)),
    Model.model_construct({"name"}, name="n"), attrs(), Plain, Plain.Inner,
    dt.datetime(2026, 1, 2, 3, 4, 5, 6, ZONE), NAIVE, dt.date(2026, 1, 2), dt.time(3, 4, tzinfo=ZONE),
    dt.timedelta(-1, 2, 3), uuid.UUID(int=7), decimal.Decimal("1.10"), fractions.Fraction(1, 3), 2 + 3j, pathlib.PurePosixPath("/a/b"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=[f"{number}-{type(value).__name__}" for number, value in enumerate(VALUES)])
def test_a_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    """All the way through text."""
    found = back(value)
    assert (found, type(found)) == (value, type(value))


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text()
        | st.binary()
        | st.sampled_from(Colour)
        | st.dates(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner) | st.builds(Point, inner, inner)
        ),
        max_leaves=20,
    )
)
def test_any_mixture_comes_back_equal(value: Any) -> None:
    """Written twice it is the same text."""
    assert back(value) == value
    assert to_text(encode(value)) == to_text(encode(back(value)))


def test_a_nan_comes_back() -> None:
    """Though it is not equal to itself."""
    assert math.isnan(back(math.nan))


def test_an_exception_comes_back_with_its_arguments_and_attributes_and_no_init_runs() -> None:
    """What its attributes hold that cannot be written is left out; notes are for people."""
    refused = Refused()
    refused.add_note("seen by nobody")
    found = back(refused)
    assert (type(found), found.args, vars(found)) == (Refused, ("refused", 4), {"code": 4})
    full = back(MailboxFull("no room", limit=3))
    assert (type(full), full.args, full.limit) == (MailboxFull, ("no room",), 3)
    assert repr(back(KeyError("x"))) == "KeyError('x')"


class Deep:
    """A property that raises."""

    def __init__(self) -> None:
        self.__dict__ = _Bad()


class _Bad(dict[str, Any]):
    def items(self) -> Any:
        raise ZeroDivisionError


def deep(levels: int) -> list[Any]:
    """Return lists in lists."""
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


CYCLE: list[Any] = []
CYCLE.append({"again": CYCLE})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda: None, "value is a builtins.function, which cannot be written; `encode=` can teach it"),
        ({"a": [object()]}, "value.a[0] is a builtins.object, which cannot be written; `encode=` can teach it"),
        ((Slotted(),), f"value[0] is a {__name__}.Slotted, which cannot be written; `encode=` can teach it"),
        (Point(Stateful()), f"value.x is a {__name__}.Stateful, which cannot be written; `encode=` can teach it"),
        (OrderedDict(a=1), "value is a collections.OrderedDict, which cannot be written; `encode=` can teach it"),
        (CYCLE, "value[0].again contains itself"),
        (deep(MOST_DEPTH), f"value{'[0]' * MOST_DEPTH} is more than 100 levels deep"),
        (Deep(), "value raised ZeroDivisionError while it was read"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_written_is_refused_with_its_place(value: Any, why: str) -> None:
    """Nothing is written by halves."""
    with pytest.raises(Unencodable) as refused:
        encode(value)
    assert str(refused.value) == why


def test_what_cannot_be_written_may_be_left_out() -> None:
    """In its place stands its class; the objects are told, and reading them is refused."""
    told: list[object] = []
    thing = object()
    data = encode({"a": [thing], "b": 1}, refused=told.append)
    assert (data, told) == ({"a": [{"$": "repr", "t": "builtins:object"}], "b": 1}, [thing])
    with pytest.raises(CodecError, match=r"value\.a\[0\] was a 'builtins:object', which could not be recorded"):
        decode(data, HERE)


def test_what_is_too_long_is_refused() -> None:
    """Before more than the limit was looked at."""
    assert encode(["x" * 50], most=100) == ["x" * 50]
    for long in ("x" * 200, list(range(200)), {"k" * 200: 1}, [b"x" * 200], ValueError("x" * 200)):
        with pytest.raises(Unencodable, match="beyond the longest"):
            encode(long, most=100)


def test_types_of_your_own_can_be_taught() -> None:
    """`extra` gives a name and what stands for the object; the reader's makes the object again, or is missing."""
    data = encode([Slotted, slotted := Slotted()], extra=lambda value: ("slotted", {1, 2}) if value is slotted else None)
    assert data == [{"$": "type", "t": f"{__name__}:Slotted"}, {"$": "extra", "t": "slotted", "v": {"$": "set", "v": [1, 2]}}]
    assert decode(data, HERE, extra=lambda name, value: (name, value)) == [Slotted, ("slotted", {1, 2})]
    with pytest.raises(CodecError, match=r"value\[1\] is a 'slotted' of the program's own `encode=`; give the `decode=` for it"):
        decode(data, HERE)


def test_a_dataclass_that_changed_takes_its_defaults() -> None:
    """A new field with a default is filled; one without, and one that is gone, are errors."""
    name = reference(Order)
    assert decode({"$": "data", "t": name, "v": {"id": 1}}, HERE) == Order(1)
    assert decode({"$": "data", "t": reference(Point), "v": {"x": 1}}, HERE) == Point(1)
    for values, why in (
        ({}, f"value lacks the field 'id' of {name}"),
        ({"id": 1, "gone": 2, "away": 3}, f"value has 'away', 'gone', which {name} does not have"),
    ):
        with pytest.raises(CodecError) as refused:
            decode({"$": "data", "t": name, "v": values}, HERE)
        assert str(refused.value) == why


@pytest.mark.parametrize(
    "data",
    [
        {"$": None},
        {"$": "unknown"},
        {"$": ["list"]},
        {"$": "object"},
        {"$": "object", "t": 1},
        {"$": "int", "v": "zz"},
        {"$": "int", "v": 1},
        {"$": "float", "v": None},
        {"$": "bytes", "v": "*"},
        {"$": "bytes"},
        {"$": "tuple", "v": 1},
        {"$": "set", "v": [[1]]},
        {"$": "dict", "v": [[1]]},
        {"$": "dict", "v": 7},
        {"$": "dict", "v": [[[1], 2]]},
        {"$": "datetime:datetime", "v": "soon"},
        {"$": "datetime:datetime", "v": [2026, 1, 1]},
        {"$": "datetime:timedelta", "v": "x"},
        {"$": "uuid:UUID"},
        {"$": "decimal:Decimal", "v": "x"},
        {"$": "enum", "t": f"{__name__}:Colour", "n": "BLUE"},
        {"$": "enum", "t": f"{__name__}:Colour", "v": 9},
        {"$": "enum", "t": f"{__name__}:Plain", "n": "x"},
        {"$": "data", "t": f"{__name__}:Plain", "v": {}},
        {"$": "data", "t": f"{__name__}:Point", "v": []},
        {"$": "error", "t": f"{__name__}:Plain", "v": []},
        {"$": "error", "t": "builtins:KeyError", "v": 1},
        {"$": "named", "t": f"{__name__}:Plain", "v": {}},
        {"$": "named", "t": f"{__name__}:Named", "v": {"a": 1}},
        {"$": "model", "t": f"{__name__}:Plain", "v": {}, "s": []},
        {"$": "model", "t": f"{__name__}:Model", "v": {"name": 1}},
        {"$": "object", "t": f"{__name__}:Colour", "v": {}},
        {"$": "object", "t": f"{__name__}:Slotted", "v": {"x": 1}},
        {"$": "object", "t": f"{__name__}:Nobody", "v": {}},
        {"$": "repr"},
        {"$": "extra", "t": "x", "v": 1},
        object(),
        {"a": object()},
        deep(MOST_DEPTH + 1),
    ],
    ids=lambda data: re.sub(r"0x\w+|\W+", "-", repr(data))[:50],
)
def test_what_no_encoder_writes_is_a_named_error(data: object) -> None:
    """Whatever a file holds; the error names the place."""
    with pytest.raises(CodecError) as refused:
        decode(data, HERE)
    assert refused.value.where


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("$tvns"), inner))
)
def test_any_json_is_read_or_refused(data: Any) -> None:
    """Never another error, whatever stands below the key of tags."""
    with suppress(CodecError):
        decode(data, HERE)


@pytest.mark.parametrize(
    "name", ["os:_Environ", "subprocess:Popen", "json:JSONDecoder", f"{__name__}:test_codec", "", ":", "a:", "builtins:int"]
)
def test_a_file_cannot_name_other_classes(name: str) -> None:
    """Those of other packages are refused though they are imported, and what is no class or not there is not found."""
    with pytest.raises(CodecError) as refused:
        Classes(["app.states"])(name)
    assert refused.value.where == name


def test_nothing_is_imported_for_a_file() -> None:
    """A module that the program did not import is not there."""
    assert "turtledemo" not in sys.modules
    with pytest.raises(CodecError, match="is 'turtledemo' imported"):
        Classes(["turtledemo"])("turtledemo:Demo")
    assert "turtledemo" not in sys.modules


def test_classes_that_may_be_named() -> None:
    """Those of the definition's packages, those that its modules have in their namespace, exceptions, and those that were allowed."""

    class Local:
        pass

    assert HERE(f"{__name__}:Plain.Inner") is Plain.Inner
    assert HERE("collections:OrderedDict") is OrderedDict
    assert Classes([])("asyncio.exceptions:CancelledError").__name__ == "CancelledError"
    assert Classes([])("septum._errors:MailboxFull") is MailboxFull
    assert Classes([], allowed=[Local])(reference(Local)) is Local
    with pytest.raises(CodecError, match="a class that is made inside a function has no name"):
        HERE(reference(Local))
    with pytest.raises(CodecError, match="no class"):
        HERE(f"{__name__}:Plain.nothing")
    with pytest.raises(CodecError, match="no class"):
        HERE(f"{__name__}:VALUES.Inner")
    with pytest.raises(CodecError, match=r"belongs to none of the definition's packages \(none\)"):
        Classes([])("collections:OrderedDict")
