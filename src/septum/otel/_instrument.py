"""The switch for the whole process: one `OTelHooks` installed for every machine made while it is on."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Unpack

from septum import SeptumError, hooks
from septum.otel._config import SeptumConfig
from septum.otel._hooks import OTelHooks

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from septum.otel._config import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What the switch was turned on with; a provider of None is the global one."""

    tracer_provider: TracerProvider | None
    meter_provider: MeterProvider | None
    logger_provider: LoggerProvider | None
    config: SeptumConfig


_lock = threading.Lock()
_installed: tuple[OTelHooks, _Settings] | None = None


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    **fields: Unpack[Fields],
) -> None:
    """Trace every machine that is made from now on; calling it again with the same settings changes nothing.

    Args:
        tracer_provider: Where spans are made; None means the global provider, also one that the program sets later.
        meter_provider: The same for metrics.
        logger_provider: The same for events.
        fields: The fields of `SeptumConfig`. One that is not given comes from its `SEPTUM_OTEL_*` variable, then from its default; in a
            second call it asks for nothing, so that a bare `instrument()` agrees with what `opentelemetry-instrument` turned on.

    Raises:
        TypeError: A provider is none, or a field is unknown or of another type; nothing was changed.
        ValueError: A field, or a variable, has a value that is not allowed; nothing was changed.
        SeptumError: Machines are traced already, with other settings; nothing was changed.
    """
    global _installed  # noqa: PLW0603 - one switch for the process is what this file is
    with _lock:
        asked = _Settings(
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            config=SeptumConfig.of(None if _installed is None else _installed[1].config, fields),
        )
        if _installed is None:
            made = OTelHooks(
                tracer_provider=tracer_provider, meter_provider=meter_provider, logger_provider=logger_provider, config=asked.config
            )
            made.gives_way = True
            hooks.install(made)
            _installed = made, asked
        elif _installed[1] != asked:
            has, wants = _differing(_installed[1], asked)
            raise SeptumError(
                f"machines are traced already, with {has}, and now {wants} was given; call septum.otel.uninstrument() first, "
                "or leave out what is to stay"
            )


def uninstrument() -> None:
    """Stop tracing: open spans end now, machines that are running go on without; does nothing if nothing is traced."""
    global _installed  # noqa: PLW0603 - as above
    with _lock:
        if _installed is not None:
            made, _ = _installed
            hooks.uninstall(made)
            made.close()
            _installed = None


def _differing(on: _Settings, asked: _Settings) -> tuple[str, str]:
    """Return words for what *on* has, and for what *asked* wants in its place."""
    pairs = [
        (_named(kind, getattr(on, kind)), _named(kind, getattr(asked, kind)))
        for kind in ("tracer_provider", "meter_provider", "logger_provider")
    ]
    pairs += [
        (f"{field.name}={getattr(on.config, field.name)!r}", f"{field.name}={getattr(asked.config, field.name)!r}")
        for field in fields(SeptumConfig)
    ]
    different = [(has, wants) for has, wants in pairs if has != wants]
    return ", ".join(has for has, _ in different), ", ".join(wants for _, wants in different)


def _named(kind: str, provider: object) -> str:
    """Return words for *provider*, which is of this *kind*."""
    return f"the global {kind.replace('_', ' ')}" if provider is None else repr(provider)
