"""What machines do, as OpenTelemetry: a span for each run and each visit, current inside every handler of that visit.

    import septum.otel

    septum.otel.instrument()                                            # every machine made from now on
    StateMachine(Idle, hooks=[septum.otel.OTelHooks()])                 # or this one only

Only the OpenTelemetry API is used: which spans are kept, and where they go, is decided by the SDK that the program sets up. Without one,
nothing is recorded.
"""

from __future__ import annotations

from importlib import import_module

try:
    import_module("opentelemetry.trace")
except ImportError as error:
    raise ImportError('septum.otel needs opentelemetry-api; install it with: pip install "septum[otel]"', name=error.name) from error

from septum.otel._instrument import instrument, uninstrument
from septum.otel._spans import OTelHooks

__all__ = ["OTelHooks", "instrument", "uninstrument"]
