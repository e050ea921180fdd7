"""The processes of the native pipeline: how each is started on loopback, how it is asked whether it is well, and how it ended."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLLECTOR = Path(__file__).resolve().parents[1]
ROOT = COLLECTOR.parent
CONFIG = COLLECTOR / "otelcol.yaml"
TAIL = COLLECTOR / "otelcol.tail.yaml"
FILES = COLLECTOR / "native" / "files.yaml"
VICTORIA = COLLECTOR / "native" / "victoria.yaml"
DASHBOARDS = COLLECTOR / "dashboards" / "vmui"
RULES = COLLECTOR / "prometheus" / "septum.rules.yml"
PATIENCE = 2.0
"""Seconds that a server has for an answer about its health."""


class ServerError(Exception):
    """A server ended, or does not answer; the text names it, says how it ended, and where its log is."""


def free_port(wanted: int = 0) -> int:
    """Return *wanted* if nobody listens there on loopback, and otherwise a port that is free now."""
    for port in (wanted, 0) if wanted else (0,):
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(found.getsockname()[1])
    raise ServerError("there is no free port on loopback")


def _end_with_parent() -> None:
    """In the new process, on Linux: end when the one that started it is gone, however it went."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@dataclass
class Server:
    """A process to be: `start()` makes it one, and it can be started again after it ended."""

    name: str
    command: Sequence[str | Path]
    log: Path
    """What it prints is appended here."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of this process."""
    health: str = ""
    """An address that answers 200 when it is well; none if it needs no asking."""
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `wait_until_well` waits until it can be used."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [str(part) for part in self.command],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call, no lock
            )

    def wait_until_well(self, seconds: float = 30.0) -> None:
        """Return when it answers; ServerError if it ended, or does not answer within *seconds*."""
        until = time.monotonic() + seconds
        while not self.is_well():
            if time.monotonic() > until:
                raise ServerError(f"{self.name} does not answer at {self.health} after {seconds:.0f} s; its log is {self.log}")
            time.sleep(0.05)

    def is_well(self) -> bool:
        """Tell whether it answers now; ServerError if it has ended."""
        self.check()
        if not self.health:
            return True
        try:
            with urllib.request.urlopen(self.health, timeout=PATIENCE) as answer:  # noqa: S310 - an address on loopback that was made here
                return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's word for well
        except (urllib.error.URLError, OSError):
            return False

    def check(self) -> None:
        """Raise ServerError if it has ended, or was not started."""
        if self.running is None or self.running.poll() is not None:
            raise ServerError(f"{self.name} {self.ending()}; its log is {self.log}")

    def ending(self) -> str:
        """Return in words how it ended, or that it has not."""
        code = None if self.running is None else self.running.poll()
        if self.running is None:
            return "was not started"
        if code is None:
            return "is running"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return "ended" if code == 0 else f"ended with exit code {code}"

    def stop(self, seconds: float = 10.0) -> str:
        """Ask it to end (SIGTERM), kill it after *seconds*, and return how it ended."""
        if self.running is not None and self.running.poll() is None:
            self.running.terminate()
            try:
                self.running.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.ending()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()


def collector(program: Path, data: Path, ports: Mapping[str, int], *, configs: Sequence[str | Path] = (CONFIG,), **settings: str) -> Server:
    """Return the collector.

    Args:
        data: Where its files, its queues and its log go.
        ports: "grpc", "http", "health" and "self".
        configs: Files or `yaml:` texts, each laid over those before it.
        settings: Variables of the configuration.
    """
    environment = {
        "OTLP_HOST": "127.0.0.1",
        "OTLP_GRPC_PORT": str(ports["grpc"]),
        "OTLP_HTTP_PORT": str(ports["http"]),
        "HEALTH_PORT": str(ports["health"]),
        "SELF_PORT": str(ports["self"]),
        "DATA_DIR": str(data),
        **settings,
    }
    command: list[str | Path] = [program, *(f"--config={config}" for config in configs)]
    return Server("collector", command, data / "collector.log", environment, f"http://127.0.0.1:{ports['health']}/")


def prometheus(program: Path, data: Path, port: int, *, scrape: int, rules: Path = RULES, interval: str = "5s") -> Server:
    """Return Prometheus with the configuration of the folder prometheus, which scrapes the collector on the port *scrape*."""
    text = (COLLECTOR / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    changes = {"otelcol:8888": f"127.0.0.1:{scrape}", "septum.rules.yml": str(rules), "_interval: 15s": f"_interval: {interval}"}
    for old, new in changes.items():
        text = text.replace(old, new)
    data.mkdir(parents=True, exist_ok=True)
    config = data / "prometheus.yml"
    config.write_text(text, encoding="utf-8")
    command: list[str | Path] = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-otlp-receiver",
        "--enable-feature=exemplar-storage",
    ]
    return Server("prometheus", command, data / "prometheus.log", health=f"http://127.0.0.1:{port}/-/ready")


def victoria_metrics(program: Path, data: Path, port: int, *, scrape: int) -> Server:
    """Return VictoriaMetrics, whose page shows the dashboards; it scrapes the collector on the port *scrape*."""
    data.mkdir(parents=True, exist_ok=True)
    config = data / "scrape.yml"
    targets = f"static_configs: [{{targets: ['127.0.0.1:{scrape}']}}]"
    config.write_text(f"scrape_configs: [{{job_name: otelcol, scrape_interval: 5s, {targets}}}]\n", encoding="utf-8")
    command: list[str | Path] = [
        program,
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={data / 'victoria-metrics'}",
        "-opentelemetry.usePrometheusNaming",
        f"-vmui.customDashboardsPath={DASHBOARDS}",
        f"-promscrape.config={config}",
        # Its page asks for what was just sent, too.
        "-search.latencyOffset=1s",
        "-loggerLevel=WARN",
    ]
    return Server("victoriametrics", command, data / "victoriametrics.log", health=f"http://127.0.0.1:{port}/health")


def orders(data: Path, otlp: str, *arguments: str, **settings: str) -> Server:
    """Return one run of the orders example, which sends to *otlp*."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "SEPTUM_OTEL_METRICS": "full",
        "SEPTUM_OTEL_SEGMENT_MAX_AGE": "20",
        **settings,
    }
    return Server("orders", [sys.executable, ROOT / "examples" / "orders.py", *arguments], data / "orders.log", environment)
