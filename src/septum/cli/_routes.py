"""Where each signal goes, by variables or by a configuration file, and whether anybody listens there."""

from __future__ import annotations

import dataclasses
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeGuard, cast
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIGNALS = ("traces", "metrics", "logs")
GRPC = "otlp_proto_grpc"
HTTP = "otlp_proto_http"
SECONDS = 2.0
"""How long a connection may take."""

_LOCAL = {GRPC: "http://localhost:4317", HTTP: "http://localhost:4318"}
_PORTS = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way that a signal takes.

    Attributes:
        signal: "traces", "metrics" or "logs".
        exporter: Name of the exporter, as entry points name it.
        endpoint: Where an exporter of OTLP sends to; "" for others.
        guessed: Whether HTTP was chosen only because of the endpoint's port.
    """

    signal: str
    exporter: str
    endpoint: str = ""
    guessed: bool = False

    def __str__(self) -> str:
        """Return in words where it leads; secrets in the endpoint are left out."""
        way = {GRPC: " (OTLP, gRPC)", HTTP: " (OTLP, HTTP)"}.get(self.exporter)
        return f"{without_secrets(self.endpoint)}{way}" if way and self.endpoint else self.exporter

    def address(self) -> tuple[str, int] | None:
        """Return host and port of the endpoint; None if it is no address of the net.

        Raises:
            ValueError: The endpoint is malformed; the text ends a sentence that names it.
        """
        if not self.endpoint or self.endpoint.startswith("unix:"):
            return None
        by_http = self.exporter == HTTP
        if "://" not in self.endpoint and by_http:
            raise ValueError("has no http:// or https:// in front")
        parts = urlsplit(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}")
        try:
            port = parts.port
        except ValueError:
            raise ValueError("has a port that is no number from 0 to 65535") from None
        if not parts.hostname:
            raise ValueError("names no host")
        # Without a port gRPC takes 443, whatever the scheme says.
        return parts.hostname, port or (_PORTS.get(parts.scheme, 443) if by_http else 443)


def connect(host: str, port: int) -> str:
    """Return why nobody answers at *host* and *port*; "" if somebody does."""
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", None) or error) or type(error).__name__
    return ""


def without_secrets(text: str) -> str:
    """Return *text* with what an endpoint in it may hide, user and password and query, as "..."."""
    if "://" not in text:
        return f"...@{text.rpartition('@')[2]}" if "@" in text else text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text.partition("://")[0] + "://..."
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, f"{'...' if user else ''}{at}{host}", parts.path, "..." if parts.query else "", ""))


def routes_of_variables(environ: Mapping[str, str], *, launcher: bool) -> list[Route]:
    """Return the ways that *environ* describes.

    Raises:
        ValueError: A variable has a value that nobody understands; the text names it, and what is allowed.
    """
    # septum.otel needs the extra otel, and this file must do without.
    exports = import_module("septum.otel._exports").read_exports(environ, launcher=launcher)
    return [
        Route(
            signal=signal,
            exporter=exporter,
            endpoint=export.endpoint if exporter in _LOCAL else "",
            guessed=export.guessed and exporter == HTTP,
        )
        for signal, export in exports.items()
        for exporter in export.exporters
    ]


class ConfigurationFile:
    """What the file that `OTEL_CONFIG_FILE` names says."""

    def __init__(self, path: str) -> None:
        """Read the file *path*.

        Raises:
            ImportError: The package that reads it is not installed.
            Exception: The file is not there, or says what nobody understands; whatever OpenTelemetry raises then.
        """
        self._found: Any = _plain(import_module("opentelemetry.configuration").load_config_file(path))

    @property
    def disabled(self) -> bool:
        """Whether the file turns the SDK off."""
        return bool(self._found.get("disabled"))

    @property
    def options(self) -> dict[str, Any] | None:
        """The fields of `SeptumConfig`, and perhaps `enabled`; None if the file does not name Septum."""
        section = self._found.get("instrumentation_development", {}).get("python", {})
        return dict(section["septum"] or {}) if "septum" in section else None

    @property
    def keeps_no_span(self) -> bool:
        """Whether the sampler drops every trace."""
        sampler: dict[str, Any] = self._found.get("tracer_provider", {}).get("sampler", {})
        below: dict[str, Any] = sampler.get("parent_based") or {}
        root: dict[str, Any] = below.get("root", sampler)
        ratio: dict[str, Any] = root.get("trace_id_ratio_based") or {}
        return "always_off" in root or ratio.get("ratio") == 0

    @property
    def routes(self) -> list[Route]:
        """The ways that the file describes."""
        return [
            _route(signal, name, settings or {})
            for signal, provider in zip(SIGNALS, ("tracer_provider", "meter_provider", "logger_provider"), strict=True)
            for name, settings in _exporters(self._found.get(provider, {}))
        ]


def _route(signal: str, name: str, settings: dict[str, Any]) -> Route:
    """Return the way through the exporter that a file calls *name*."""
    exporter = {"otlp_grpc": GRPC, "otlp_http": HTTP}.get(name, name.removesuffix("_development"))
    if exporter not in _LOCAL:
        return Route(signal=signal, exporter=exporter)
    default = _LOCAL[exporter] + (f"/v1/{signal}" if exporter == HTTP else "")
    return Route(signal=signal, exporter=exporter, endpoint=str(settings.get("endpoint") or default))


def _exporters(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and settings of each exporter in *part* of a file, however deep it stands."""
    if isinstance(part, dict):
        for key, value in cast("dict[str, Any]", part).items():
            yield from value.items() if key == "exporter" else _exporters(value)
    elif _is_list(part):
        for value in part:
            yield from _exporters(value)


def _plain(value: Any) -> Any:
    """Return the model *value* as dicts and lists, without what is not set."""
    if dataclasses.is_dataclass(value):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(inner) for name, inner in pairs if inner is not None}
    return [_plain(inner) for inner in value] if _is_list(value) else value


def _is_list(value: object) -> TypeGuard[list[Any]]:
    """Say whether *value* is a list."""
    return isinstance(value, list)
