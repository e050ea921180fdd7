"""The plug for `opentelemetry-instrument` and for configuration files: it turns `instrument` on without a line of code."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # it names no exports

from septum import SeptumError
from septum.otel._config import SeptumConfig
from septum.otel._instrument import instrument, uninstrument

if TYPE_CHECKING:
    from collections.abc import Collection

# Not below "septum": that logger is silent until somebody configures logging, and this speaks before anybody can have.
_log = logging.getLogger("opentelemetry.instrumentation.septum")


class SeptumInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # and so it has no type
    """Turns tracing of machines on and off; `opentelemetry-instrument` finds it by its entry point `septum`.

    The options are the fields of `SeptumConfig`. In a configuration file they stand below `instrumentation/development: python: septum:`,
    and are checked; a file that names septum decides every field, so that no `SEPTUM_OTEL_*` variable is read then.
    """

    configuration = SeptumConfig

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: Septum instruments itself, so whatever version is there fits."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Turn tracing on, as `septum.otel.instrument` does with the same arguments.

        When `opentelemetry-instrument` calls it, a mistake in a variable is logged as one line that names the fix, and Septum alone is left
        out; when a configuration file has turned it on already, this changes nothing.

        Raises:
            TypeError: An option is unknown or of another type; nothing was changed.
            ValueError: An option, or a variable, has a value that is not allowed; nothing was changed.
            SeptumError: Machines are traced already, with other settings; nothing was changed.
        """
        # Only the loader of opentelemetry-instrument says this: what it gets in answer to a mistake is not raised to whoever wrote the
        # variable, but stops the instrumentation of every other library.
        loader = bool(kwargs.get("skip_dep_check"))
        if loader and self.is_instrumented_by_opentelemetry:
            return
        try:
            super().instrument(**kwargs)
        except (TypeError, ValueError, SeptumError) as mistake:
            if not loader:
                raise
            _complain("Septum's machines are not traced: %s", mistake)

    def _instrument(self, **kwargs: Any) -> None:
        """Turn tracing on."""
        instrument(**kwargs)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the base class passes on whatever it was given
        """Turn tracing off."""
        uninstrument()


def _complain(text: str, mistake: Exception) -> None:
    """Log *text* as an error, and see to it that it stands on stderr."""
    heard = any(isinstance(handler, logging.StreamHandler) for handler in logging.getLogger().handlers)
    # The instrumentation of logging, if it was loaded first, has given the root logger a handler that leads to OTLP alone; with any handler
    # there, logging no longer falls back on stderr by itself.
    aside = None if heard else logging.lastResort
    if aside is not None:
        _log.addHandler(aside)
    try:
        _log.error(text, mistake)
    finally:
        if aside is not None:
            _log.removeHandler(aside)
