"""`septum doctor`: what telemetry is made of here, where it goes, and what is wrong."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

import click

from septum.cli._checks import examine
from septum.cli._installed import read_packages, read_plugins
from septum.cli._report import as_data, as_text
from septum.cli._routes import connect
from septum.cli._surroundings import Surroundings

_EXAMPLES = """\b
Why does nothing arrive where traces should?
  septum doctor
And if opentelemetry-instrument starts the program?
  opentelemetry-instrument septum doctor
In a pipeline, where no collector is:
  septum doctor --offline --json
"""


@click.command(epilog=_EXAMPLES)
@click.option("--offline", is_flag=True, help="Try no connection.")
@click.option(
    "--launcher",
    is_flag=True,
    help="Look at a program that opentelemetry-instrument starts; on by itself if that runs the doctor, or if OTEL_CONFIG_FILE is set.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, offline: bool, launcher: bool, as_json: bool) -> None:
    """Say what telemetry is made of here, where it goes, and what is wrong.

    It reads the environment and what is installed, and tries a connection to each endpoint of OTLP, for two seconds at most. It sends
    nothing and changes nothing. Providers that a program makes itself, it cannot see.

    Ends with 0 if nothing is wrong, and with 1 if something is; then each thing that is wrong is a sentence with its fix.
    """
    packages = read_packages()
    around = Surroundings(
        environ=os.environ,
        packages=packages,
        plugins=read_plugins(),
        # Only it reads that file; and it has imported that module if it runs the doctor.
        launcher=launcher
        or bool(os.environ.get("OTEL_CONFIG_FILE"))
        or "opentelemetry.instrumentation.auto_instrumentation" in sys.modules,
        bridges=_bridges() if {"structlog", "opentelemetry-api", "opentelemetry-instrumentation"} <= packages.keys() else (),
        connect=None if offline else connect,
    )
    found = examine(around)
    click.echo(json.dumps(as_data(around, found), indent=2) if as_json else as_text(around, found))
    if found.problems:
        raise SystemExit(1)


def _bridges() -> tuple[str, ...]:
    """Return what takes logs to OTLP in this process: under `opentelemetry-instrument`, what it has put in."""
    try:
        return tuple(import_module("septum.otel._log_bridge").bridges())
    except ImportError:
        return ()  # of versions that do not fit; the checks say so
