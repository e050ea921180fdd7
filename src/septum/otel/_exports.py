"""Where each signal goes, as `OTEL_*` variables say it: one reading, for `setup` and for `septum doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNALS = ("traces", "metrics", "logs")
GRPC = "otlp_proto_grpc"
HTTP = "otlp_proto_http"
_BY_PROTOCOL = {"grpc": GRPC, "http/protobuf": HTTP}
_HTTP_PORT = 4318  # where OTLP by HTTP is served by convention; by gRPC it is 4317


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Where one signal goes.

    Attributes:
        signal: "traces", "metrics" or "logs".
        exporters: Names of entry points of `opentelemetry_{signal}_exporter`; none if the signal goes nowhere.
        endpoint: Where an exporter of OTLP sends it; "" if there is none.
        guessed: Whether HTTP was chosen only because of the endpoint's port.
    """

    signal: str
    exporters: tuple[str, ...] = ()
    endpoint: str = ""
    guessed: bool = False

    def __str__(self) -> str:
        """Return in words where it goes."""
        ways = {GRPC: f"{self.endpoint} (OTLP, gRPC)", HTTP: f"{self.endpoint} (OTLP, HTTP)"}
        return ", ".join(ways.get(name, name) for name in self.exporters) or "nowhere"


def read_exports(environ: Mapping[str, str], *, launcher: bool) -> dict[str, Export]:
    """Return for each signal where it goes.

    Args:
        environ: The variables.
        launcher: Whether `opentelemetry-instrument` starts the program: it sends by OTLP and gRPC where no variable says otherwise. `setup`
            sends by OTLP where there is an endpoint, and takes port 4318 as a sign of HTTP.

    Raises:
        ValueError: A variable has a value that nobody understands; the text names it, and what is allowed.
    """
    return {signal: _read(signal, environ, launcher=launcher) for signal in SIGNALS}


def _read(signal: str, environ: Mapping[str, str], *, launcher: bool) -> Export:
    """Return where *signal* goes."""
    _, endpoint = _first(environ, _names(signal, "ENDPOINT"))
    _, text = _first(environ, (f"OTEL_{signal.upper()}_EXPORTER",))
    names = [name.strip() for name in (text or ("otlp" if endpoint or launcher else "none")).split(",")]
    if [name.lower() for name in names] == ["none"]:
        return Export(signal=signal)
    variable, protocol = _first(environ, _names(signal, "PROTOCOL"))
    if protocol and protocol not in _BY_PROTOCOL:
        raise ValueError(f"{variable} is {protocol!r}; allowed are {', '.join(_BY_PROTOCOL)}.")
    guessed = not (protocol or launcher) and _port(endpoint) == _HTTP_PORT
    kind = _BY_PROTOCOL[protocol or ("http/protobuf" if guessed else "grpc")]
    exporters = tuple(kind if name == "otlp" else name for name in names)
    by_http = HTTP in exporters
    if not {GRPC, HTTP} & set(exporters):
        endpoint = ""
    elif not endpoint:
        endpoint = f"http://localhost:{_HTTP_PORT}/v1/{signal}" if by_http else "http://localhost:4317"
    elif by_http and not environ.get(_names(signal, "ENDPOINT")[0]):
        endpoint = f"{endpoint.rstrip('/')}/v1/{signal}"
    return Export(signal=signal, exporters=exporters, endpoint=endpoint, guessed=guessed)


def _names(signal: str, what: Literal["ENDPOINT", "PROTOCOL"]) -> tuple[str, str]:
    """Return the two variables that say *what* for *signal*; the first one goes before."""
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}"


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the first of *names* that is set to something, and its value; two empty texts if none is."""
    return next(((name, value) for name in names if (value := environ.get(name, "").strip())), ("", ""))


def _port(endpoint: str) -> int | None:
    """Return the port that *endpoint* names."""
    try:
        return urlsplit(endpoint).port
    except ValueError:
        return None
