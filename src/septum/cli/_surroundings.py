"""What the checks look at, and what they find."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from septum.cli._routes import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from septum.cli._installed import Package


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        check: Which check found it, one word for machines.
        text: A sentence for people, with the fix.
    """

    check: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the doctor looks at.

    Attributes:
        environ: The variables.
        packages: The packages that matter, by name.
        plugins: The names of the entry points of each of OpenTelemetry's groups.
        launcher: Whether `opentelemetry-instrument` starts the program, rather than that calls `septum.otel.setup`.
        bridges: What takes logs to OTLP in this very process.
        connect: Returns why nobody answers at a host and port, or ""; None to try no connection.
    """

    environ: Mapping[str, str]
    packages: Mapping[str, Package]
    plugins: Mapping[str, frozenset[str]]
    launcher: bool = False
    bridges: tuple[str, ...] = ()
    connect: Callable[[str, int], str] | None = None

    def has(self, group: str, name: str) -> bool:
        """Say whether *name* is an entry point of *group*."""
        return name in self.plugins.get(group, ())

    def get(self, variable: str) -> str:
        """Return what *variable* says; "" if it is not set, or empty."""
        return self.environ.get(variable, "").strip()


@dataclass(slots=True)
class Findings:
    """What the checks found out.

    Attributes:
        problems: What is wrong, in the order in which it is best mended.
        routes: The ways of the signals.
        answers: For each address that was tried, why nobody answers, or "".
        settings: The fields of `SeptumConfig` as they come to be; None where they cannot be told.
    """

    problems: list[Problem] = field(default_factory=list[Problem])
    routes: list[Route] = field(default_factory=list[Route])
    answers: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    settings: dict[str, object] | None = None

    def add(self, check: str, text: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(check, text))
