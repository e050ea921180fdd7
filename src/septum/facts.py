"""The facts that hooks are told, one class each; `FACTS` lists them all."""

from __future__ import annotations

from septum._facts import (
    FACTS,
    EffectReturned,
    ErrorRouted,
    Fact,
    HandlerFinished,
    HandlerStarted,
    MessageDropped,
    MessageQueued,
    MessageTaken,
    MessageUnhandled,
    Origin,
    Overdue,
    Passed,
    RetriesExhausted,
    RetryScheduled,
    RunEnded,
    RunStarted,
    SnapshotTaken,
    StackPopped,
    StackPushed,
    TimeoutFired,
    TransitionTaken,
    VisitEnded,
    VisitStarted,
)

__all__ = [
    "FACTS",
    "EffectReturned",
    "ErrorRouted",
    "Fact",
    "HandlerFinished",
    "HandlerStarted",
    "MessageDropped",
    "MessageQueued",
    "MessageTaken",
    "MessageUnhandled",
    "Origin",
    "Overdue",
    "Passed",
    "RetriesExhausted",
    "RetryScheduled",
    "RunEnded",
    "RunStarted",
    "SnapshotTaken",
    "StackPopped",
    "StackPushed",
    "TimeoutFired",
    "TransitionTaken",
    "VisitEnded",
    "VisitStarted",
]

# Tracebacks, reprs and pickles name the address that users import.
for _name in (fact.__name__ for fact in FACTS):
    globals()[_name].__module__ = "septum.facts"
