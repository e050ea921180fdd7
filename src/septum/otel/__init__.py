"""What machines do, as OpenTelemetry: spans for runs, visits and messages, metrics, and events.

    import septum.otel

    septum.otel.instrument()                                            # every machine made from now on
    StateMachine(Idle, hooks=[septum.otel.OTelHooks()])                 # or this one only
    septum.otel.setup("orders")                                         # in a script that has set up no OpenTelemetry itself

Only the OpenTelemetry API is used: which spans are kept, and where all of it goes, is decided by the SDK that the program sets up. Without
one nothing is recorded. `setup`, and the plug-ins for the SDK (`RunConsistentSampler`, `EventToSpanEventProcessor`, `views`), are imported
when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import_module("opentelemetry.trace")
    import_module("opentelemetry.instrumentation")
except ImportError as error:
    raise ImportError('septum.otel needs opentelemetry-api; install it with: pip install "septum[otel]"', name=error.name) from error

from septum.otel import propagation
from septum.otel._config import SeptumConfig
from septum.otel._detached import links
from septum.otel._hooks import OTelHooks
from septum.otel._instrument import instrument, uninstrument

if TYPE_CHECKING:
    from septum.otel import views
    from septum.otel._bridge import EventToSpanEventProcessor
    from septum.otel._instrumentor import SeptumInstrumentor
    from septum.otel._setup import Telemetry, setup
    from septum.otel.sampling import RunConsistentSampler

__all__ = [
    "EventToSpanEventProcessor",
    "OTelHooks",
    "RunConsistentSampler",
    "SeptumConfig",
    "SeptumInstrumentor",
    "Telemetry",
    "instrument",
    "links",
    "propagation",
    "setup",
    "uninstrument",
    "views",
]

_LATER = {
    "EventToSpanEventProcessor": "_bridge",
    "RunConsistentSampler": "sampling",
    "SeptumInstrumentor": "_instrumentor",
    "Telemetry": "_setup",
    "setup": "_setup",
}


def __getattr__(name: str) -> Any:
    """Import what needs more than the API, when it is asked for."""
    if name == "views":
        return import_module("septum.otel.views")
    if name in _LATER:
        return getattr(import_module(f"septum.otel.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
