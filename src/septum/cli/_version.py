"""`septum version`: which Septum this is, and on what it stands."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

import click

import septum

_EXAMPLES = """\b
For a report of a bug:
  septum version
For a program:
  septum version --json
"""

_BESIDE: Final = ("click", "opentelemetry-api", "opentelemetry-sdk", "structlog", "pygraphviz")


@click.command(epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(*, as_json: bool) -> None:
    """Say which Septum this is, where it is installed, and what it stands on."""
    versions = {"septum": metadata.version("septum"), "python": platform.python_version()}
    for name in _BESIDE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    place = str(Path(septum.__file__).parent)
    if as_json:
        click.echo(json.dumps({"versions": versions, "place": place}, indent=2))
        return
    click.echo("\n".join([*(f"{name} {number}" for name, number in versions.items()), f"in {place}"]))
