"""What is installed: packages, the plug-ins that they announce, and which of them do not fit each other."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXTRAS = ("", "otel", "otlp", "structlog")
"""The extras of Septum that set bounds for telemetry; what one of them asks for and is not there is told elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package.

    Attributes:
        version: Its version.
        requires: Its requirements, as its metadata says them.
    """

    version: str
    requires: tuple[str, ...] = ()


def read_packages() -> dict[str, Package]:
    """Return what telemetry is made of here: Septum, structlog and the packages of OpenTelemetry by name, Septum first."""
    found = {
        name: Package(version=each.version, requires=tuple(each.requires or ()))
        for each in metadata.distributions()
        if _matters(name := canonicalize_name(each.name))
    }
    return dict(sorted(found.items(), key=lambda item: (item[0] != "septum", item[0])))


def read_plugins() -> dict[str, frozenset[str]]:
    """Return the names of the entry points of each group of OpenTelemetry's."""
    points = metadata.entry_points()
    return {group: frozenset(points.select(group=group).names) for group in points.groups if group.startswith("opentelemetry_")}


def misfits(packages: Mapping[str, Package]) -> list[str]:
    """Return a clause for each requirement among *packages* that is not met, such as "a 1 needs b==2, but b 3 is installed"."""
    return [clause for name, package in packages.items() for text in package.requires if (clause := _misfit(name, text, packages))]


def _misfit(name: str, text: str, packages: Mapping[str, Package]) -> str:
    """Return a clause if the requirement *text* of the package *name* is not met."""
    own = packages[name].version
    try:
        needed = Requirement(text)
    except InvalidRequirement:
        return ""
    extras = _EXTRAS if name == "septum" else ("",)
    other = canonicalize_name(needed.name)
    if not _matters(other) or (needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in extras)):
        return ""
    wanted = f"{name} {own} needs {needed.name}{needed.specifier}"
    if other not in packages:
        return "" if name == "septum" else f"{wanted}, which is not installed"
    there = packages[other].version
    return "" if needed.specifier.contains(there, prereleases=True) else f"{wanted}, but {other} {there} is installed"


def _matters(name: str) -> bool:
    """Say whether the package *name* is part of telemetry."""
    return name in {"septum", "structlog"} or name.startswith("opentelemetry-")
