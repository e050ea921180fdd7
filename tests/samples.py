"""One fact of every kind, and of some kinds several, as a machine would tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from septum import facts

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Mapping[str, Any] = {
    "machine_id": "m-1",
    "machine_name": "orders",
    "run_id": "r-1",
    "seq": 4,
    "visit": 2,
    "at": 12.5,
    "wall": 1_767_225_612_500_000_000,
}


class Secret:
    """A message whose content must not be seen."""

    def __repr__(self) -> str:
        return "secret content"


def raised() -> ValueError:
    """Return an exception that was raised, so that it has a traceback."""
    try:
        int("secret text")
    except ValueError as error:
        return error
    raise AssertionError


MESSAGE = Secret()
ERROR = raised()
HEADERS = {"traceparent": "secret header"}


def sample(kind: type[facts.Fact], /, **fields: object) -> Any:
    """Return a fact of *kind* with the common header."""
    return kind(**HEADER, **fields)


SAMPLES: list[Any] = [
    sample(facts.RunStarted, definition=None, state="m.A", resumed=False),
    sample(facts.RunStarted, definition=None, state="m.A", resumed=True),
    sample(facts.MessageQueued, message=MESSAGE, priority=2, depth=3, number=7, headers=HEADERS),
    sample(facts.MessageTaken, message=MESSAGE, priority=2, depth=2, number=7, headers=HEADERS, waited=0.25),
    sample(facts.MessageUnhandled, message=MESSAGE, number=7),
    sample(facts.MessageDropped, message=MESSAGE, reason="filtered", number=0),
    sample(facts.MessageDropped, message=MESSAGE, reason="rejected", number=0),
    sample(facts.MessageDropped, message=MESSAGE, reason="overflow_newest", number=0),
    sample(facts.VisitStarted, state="m.A", kind="initial", stack=()),
    sample(facts.HandlerStarted, handler="on_state", state="m.A", message=None),
    sample(facts.HandlerStarted, handler="on_state", state="m.A", message=MESSAGE),
    sample(facts.HandlerFinished, handler="on_state", state="m.A", message=MESSAGE, answer=MESSAGE, duration=0.5, exception=None),
    sample(facts.HandlerFinished, handler="on_leave", state="m.A", message=None, answer=None, duration=0.5, exception=ERROR),
    sample(facts.VisitEnded, state="m.A", outcome="transition", duration=1.5, exception=None),
    sample(facts.TransitionTaken, source="m.A", target="m.B", label="Events.GO", kind="label"),
    sample(facts.TransitionTaken, source="m.A", target="m.B", label=None, kind="direct"),
    sample(facts.TransitionTaken, source="m.A", target="m.B", label="Events.ASK", kind="push"),
    sample(facts.TransitionTaken, source="m.A", target=None, label="Events.STOP", kind="end"),
    sample(facts.RetryScheduled, state="m.A", count=2, limit=3, delay=0.2),
    sample(facts.RetryScheduled, state="m.A", count=2, limit=None, delay=0.2),
    sample(facts.RetriesExhausted, state="m.A", count=4, limit=3),
    sample(facts.TimeoutFired, state="m.A", after=5.0, lateness=0.125),
    sample(facts.StackPushed, states=("m.A", "m.B"), depth=2),
    sample(facts.StackPopped, states=("m.B",), depth=1),
    sample(facts.ErrorRouted, exception=ERROR, state="m.A", to="on_error_fn"),
    sample(facts.ErrorRouted, exception=ERROR, state="m.A", to="error_state"),
    sample(facts.ErrorRouted, exception=ERROR, state="m.A", to="raised"),
    sample(facts.EffectReturned, effect="call", name="charge", args=(MESSAGE,), result=MESSAGE, exception=None),
    sample(facts.EffectReturned, effect="call", name="charge", args=(MESSAGE,), result=None, exception=ERROR),
    sample(facts.Overdue, state="m.A", age=61.0, limit=60.0),
    sample(facts.SnapshotTaken, state="m.A", reason="secret reason"),
    sample(facts.RunEnded, state="m.A", outcome="completed", duration=3.5, exception=None),
    sample(facts.RunEnded, state="m.A", outcome="failed", duration=3.5, exception=ERROR),
]
