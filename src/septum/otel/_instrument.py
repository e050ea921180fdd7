"""The switch for the whole process: one `OTelHooks` installed for every machine made while it is on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from septum import SeptumError, hooks
from septum.otel._spans import OTelHooks

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

_lock = threading.Lock()
_installed: OTelHooks | None = None


def instrument(tracer_provider: TracerProvider | None = None) -> None:
    """Trace every machine that is made from now on; calling it again changes nothing.

    Args:
        tracer_provider: Where spans are made; None means the global provider, also one that the program sets later.

    Raises:
        TypeError: *tracer_provider* is not a tracer provider; nothing was changed.
        SeptumError: Machines are traced already, with another provider; nothing was changed.
    """
    global _installed  # noqa: PLW0603 - one switch for the process is what this file is
    with _lock:
        if _installed is None:
            made = OTelHooks(tracer_provider=tracer_provider)
            hooks.install(made)
            _installed = made
        elif _installed.tracer_provider is not tracer_provider:
            raise SeptumError(
                f"machines are traced already, with {_named(_installed.tracer_provider)}, and now {_named(tracer_provider)} was given; "
                "call septum.otel.uninstrument() first"
            )


def uninstrument() -> None:
    """Stop tracing: open spans end now, machines that are running go on without; does nothing if nothing is traced."""
    global _installed  # noqa: PLW0603 - as above
    with _lock:
        if _installed is not None:
            hooks.uninstall(_installed)
            _installed.close()
            _installed = None


def _named(tracer_provider: TracerProvider | None) -> str:
    """Return words for *tracer_provider*."""
    return "the global tracer provider" if tracer_provider is None else repr(tracer_provider)
