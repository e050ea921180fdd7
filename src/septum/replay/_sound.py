"""Records as a replay can rely on them: what a recorder never writes is refused, and named by its place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, cast

from septum import semconv
from septum.replay._divergence import Halt, ReplayError
from septum.replay._signals import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from septum.replay._record import Record

Plan: TypeAlias = "tuple[tuple[str, Callable[[object], bool]], ...]"

_DIGITS: Final = 20
_MOST_KNOWN: Final = 1024

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "start": (semconv.STATE_NAME,),
    "snapshot": (semconv.STATE_NAME,),
    "message": (semconv.MESSAGE_TYPE,),
    "taken": (semconv.MESSAGE_TYPE,),
    "dropped": (semconv.MESSAGE_TYPE, semconv.DROP_REASON),
    "timer": (semconv.TIMER_KIND, semconv.STATE_NAME, semconv.TIMER_DURATION),
    "effect": (semconv.EFFECT_KIND, semconv.EFFECT_NAME),
    "handler": (semconv.HANDLER_NAME, semconv.STATE_NAME),
    "transition": (semconv.TRANSITION_FROM_STATE, semconv.TRANSITION_KIND),
    "stack": (semconv.STACK_CHANGE, semconv.STACK_STATES, semconv.STACK_DEPTH),
    "error": (semconv.STATE_NAME, semconv.ERROR_DESTINATION, semconv.ERROR_TYPE),
    "end": (semconv.RUN_OUTCOME,),
}


class Sound:
    """The records of one run, each looked at before it is given.

    Attributes:
        error: What is wrong with the one at which `iter` stopped; None as long as all is well.

    Raises:
        ReplayError: The first one lacks what every recorder writes, or has something else in its place.
    """

    def __init__(self, first: Record, records: Iterable[Record]) -> None:
        self.error: ReplayError | None = None
        _check(first)
        self._first = first
        self._records = records

    def __iter__(self) -> Iterator[Record]:
        """Yield the records.

        Raises:
            Halt: The next one is none; `error` says why. Handlers may be at work then, and an exception would be taken for theirs.
        """
        first = self._first
        run_id = first.run_id
        yield first
        # Steps along one edge share their attributes.
        known: dict[int, object] = {}
        for record in self._records:
            if record[6] != run_id:
                return
            attributes = record[9]
            if id(attributes) not in known:
                shape = record[0], *attributes
                try:
                    plan = _plans.get(shape) or _plan(record, shape)
                    for key, holds in plan:
                        if not holds(attributes[key]):
                            _refuse(record, key)
                except ReplayError as error:
                    self.error = error
                    raise Halt(None) from None
                if len(known) < _MOST_KNOWN:
                    known[id(attributes)] = attributes
            yield record

    def all(self) -> list[Record]:
        """Return the records.

        Raises:
            ReplayError: One of them is none.
        """
        try:
            return list(self)
        except Halt:
            assert self.error is not None  # noqa: S101 - as iter() says
            raise self.error from None


def _check(record: Record) -> None:
    for key, holds in _plan(record, (record.event, *record.attributes)):
        if not holds(record.attributes[key]):
            _refuse(record, key)


def _plan(record: Record, shape: tuple[str, ...]) -> Plan:
    """Return what to look at in records of that event with those attributes."""
    for key in _NEEDED.get(record.event, ()):
        if key not in record.attributes:
            raise ReplayError(f"record {record.index} ({record.event}) has no {key}: no recorder wrote it like that.")
    plan: Plan = tuple((key, _HOLDS[key]) for key in record.attributes if key in _HOLDS)
    if len(_plans) < _MOST_KNOWN:
        _plans[shape] = plan
    return plan


def _refuse(record: Record, key: str) -> NoReturn:
    text = f"record {record.index} ({record.event}): {key} is {shown(record.attributes[key])}: no recorder wrote it like that."
    raise ReplayError(text)


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and math.isfinite(value)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - see the left


def _is_whole(value: object) -> bool:
    return type(value) is int


def _is_decimal(value: object) -> bool:
    return type(value) is str and len(value) <= _DIGITS and value.isdecimal()


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple | list) and all(type(each) is str for each in cast("Sequence[object]", value))


def _is_counts(value: object) -> bool:
    return _is_texts(value) and all(_is_decimal(text.rpartition(" ")[2]) for text in cast("Sequence[str]", value))


# What is only compared may be anything: it is another one then.
_HOLDS: Final[Mapping[str, Callable[[object], bool]]] = {
    **dict.fromkeys(
        (
            semconv.STATE_NAME,
            semconv.HANDLER_NAME,
            semconv.DROP_REASON,
            semconv.TRANSITION_TO_STATE,
            semconv.TRANSITION_KIND,
            semconv.RECORDING_STAGE,
        ),
        _is_text,
    ),
    **dict.fromkeys((semconv.STACK, semconv.STACK_STATES, semconv.RECORDING_MAILBOX), _is_texts),
    **dict.fromkeys((semconv.TIMER_DURATION, semconv.HANDLER_DURATION, semconv.RECORDING_DEADLINE), _is_number),
    **dict.fromkeys((semconv.STACK_DEPTH, semconv.RETRY_COUNT), _is_whole),
    semconv.MESSAGE_ID: _is_decimal,
    semconv.RECORDING_RETRIES: _is_counts,
}
_plans: Final[dict[tuple[str, ...], Plan]] = {}
