"""What the doctor says, for people and for machines."""

from __future__ import annotations

import math
import platform
from typing import TYPE_CHECKING

from septum.cli._routes import SIGNALS, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum.cli._routes import Route
    from septum.cli._surroundings import Findings, Surroundings

_SECRET = ("HEADERS", "KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")


def as_text(around: Surroundings, found: Findings) -> str:
    """Return the report for people."""
    versions = [f"python {platform.python_version()}", *(f"{name} {package.version}" for name, package in around.packages.items())]
    variables = [f"{name}={value}" for name, value in shown(around.environ).items()] or ["no OTEL_* and no SEPTUM_OTEL_* variable is set"]
    if found.settings is not None:
        variables.append(f"which makes {', '.join(f'{name}={value}' for name, value in found.settings.items())}")
    exports = [f"{signal} to {_ways(found, signal)}" for signal in SIGNALS]
    if around.launcher:
        starts = "a program that opentelemetry-instrument starts"
    else:
        starts = "a program that calls septum.otel.setup(); with --launcher, one that opentelemetry-instrument starts"
    parts = [
        ("Installed", versions),
        ("Configured", variables),
        (f"Exported, by {starts}", exports),
        ("Wrong", [f"{number}. {problem.text}" for number, problem in enumerate(found.problems, start=1)]),
    ]
    sections = ["\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in parts if lines]
    return "\n\n".join(sections if found.problems else [*sections, "Nothing is wrong."])


def as_data(around: Surroundings, found: Findings) -> dict[str, object]:
    """Return the report for machines, of what JSON knows."""
    return {
        "ok": not found.problems,
        "launcher": around.launcher,
        "versions": {"python": platform.python_version()} | {name: package.version for name, package in around.packages.items()},
        "variables": shown(around.environ),
        # JSON has no infinity.
        "settings": found.settings and {name: str(value) if value == math.inf else value for name, value in found.settings.items()},
        "exports": {signal: [_row(found, route) for route in found.routes if route.signal == signal] for signal in SIGNALS},
        "problems": [problem._asdict() for problem in found.problems],
    }


def shown(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of telemetry in *environ*, sorted, with "..." in place of secrets."""
    return {
        name: "..." if any(word in name for word in _SECRET) else without_secrets(value) if "ENDPOINT" in name else value
        for name, value in sorted(environ.items())
        if name.startswith(("OTEL_", "SEPTUM_OTEL_"))
    }


def _ways(found: Findings, signal: str) -> str:
    """Return in words where *signal* goes."""
    return " and ".join(_way(found, route) for route in found.routes if route.signal == signal) or "nowhere"


def _way(found: Findings, route: Route) -> str:
    """Return in words where *route* leads, and whether somebody answers there."""
    answers = _answers(found, route)
    guess = ", by HTTP because of the port" if route.guessed else ""
    return f"{route}{guess}{'' if answers is None else ', which answers' if answers else ', which does not answer'}"


def _answers(found: Findings, route: Route) -> bool | None:
    """Say whether somebody answers where *route* leads; None if that was not tried."""
    try:
        address = route.address()
    except ValueError:
        return None
    return None if address is None or address not in found.answers else not found.answers[address]


def _row(found: Findings, route: Route) -> dict[str, object]:
    """Return *route* for machines."""
    return {"exporter": route.exporter, "endpoint": without_secrets(route.endpoint), "answers": _answers(found, route)}
