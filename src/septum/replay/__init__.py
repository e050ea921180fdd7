"""Record what machines do, read it back, compare it with today's definition, and run it again.

Needs nothing but the standard library; the extra `replay` reads zstd, and reads all else faster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from septum.otel._recording import LogsSink
    from septum.replay._check import check
    from septum.replay._divergence import Divergence, ReplayError
    from septum.replay._edits import (
        BadEdit,
        ChangeMessage,
        DropMessage,
        InsertMessage,
        MoveMessage,
        Payload,
        Place,
        SetError,
        SetResult,
        SetRetries,
        SetTimeout,
        parse_edit,
    )
    from septum.replay._emit import emit_test
    from septum.replay._execute import Execution, execute
    from septum.replay._flight import FlightRecorder
    from septum.replay._item import Sink
    from septum.replay._limits import Limits
    from septum.replay._load import load, records
    from septum.replay._model import At, Gap, Message, Run, RunError, Step
    from septum.replay._moves import Move
    from septum.replay._record import Record
    from septum.replay._recorder import Recorder
    from septum.replay._redaction import DROP, Redaction
    from septum.replay._refusal import BadRecording
    from septum.replay._report import CheckReport, Violation
    from septum.replay._sinks import FileSink, MemorySink
    from septum.replay._whatif import WhatIf, what_if

__all__ = [
    "DROP",
    "At",
    "BadEdit",
    "BadRecording",
    "ChangeMessage",
    "CheckReport",
    "Divergence",
    "DropMessage",
    "Execution",
    "FileSink",
    "FlightRecorder",
    "Gap",
    "InsertMessage",
    "Limits",
    "LogsSink",
    "MemorySink",
    "Message",
    "Move",
    "MoveMessage",
    "Payload",
    "Place",
    "Record",
    "Recorder",
    "Redaction",
    "ReplayError",
    "Run",
    "RunError",
    "SetError",
    "SetResult",
    "SetRetries",
    "SetTimeout",
    "Sink",
    "Step",
    "Violation",
    "WhatIf",
    "check",
    "emit_test",
    "execute",
    "load",
    "parse_edit",
    "records",
    "what_if",
]

# Imported when it is asked for, so that a recorder in production loads no reader, and a reader no engine.
_PLACES: Final[dict[str, str]] = {
    "emit_test": "_emit",
    "Move": "_moves",
    "what_if": "_whatif",
    "WhatIf": "_whatif",
    "execute": "_execute",
    "Execution": "_execute",
    "ReplayError": "_divergence",
    "Divergence": "_divergence",
    "parse_edit": "_edits",
    "SetTimeout": "_edits",
    "SetRetries": "_edits",
    "SetResult": "_edits",
    "SetError": "_edits",
    "Place": "_edits",
    "Payload": "_edits",
    "MoveMessage": "_edits",
    "InsertMessage": "_edits",
    "DropMessage": "_edits",
    "ChangeMessage": "_edits",
    "BadEdit": "_edits",
    "At": "_model",
    "BadRecording": "_refusal",
    "DROP": "_redaction",
    "FileSink": "_sinks",
    "FlightRecorder": "_flight",
    "Gap": "_model",
    "Limits": "_limits",
    "LogsSink": "septum.otel._recording",
    "MemorySink": "_sinks",
    "Message": "_model",
    "Record": "_record",
    "Recorder": "_recorder",
    "Redaction": "_redaction",
    "Run": "_model",
    "RunError": "_model",
    "Sink": "_item",
    "Step": "_model",
    "CheckReport": "_report",
    "Violation": "_report",
    "check": "_check",
    "load": "_load",
    "records": "_load",
}


def __getattr__(name: str) -> Any:
    """Return a public name, imported now."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(place if "." in place else f"{__name__}.{place}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
