"""What a dashboard is made of: rows, panels and questions; and the three questions that are asked in many places.

In an expression `%M` stands for what the variables service and machine choose, `%S` for that and the variable state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["stat", "lines", "stacked", "heatmap", "matrix", "table", "traces", "logs"]


@dataclass(frozen=True, kw_only=True)
class Query:
    """One question to the metric store."""

    expr: str
    legend: str = ""
    """Name of a series, with `{{label}}` in it."""
    native: str = ""
    """The same question to native histograms; asked as well where the store has them."""
    zero: bool = False
    """Whether no answer means 0."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel; `text` says what to look for, and what to do then."""

    title: str
    kind: Kind
    text: str
    queries: tuple[Query, ...] = ()
    unit: str = "short"
    width: int = 8
    """Columns of 24."""
    limits: tuple[tuple[float, str], ...] = ()
    """From which value on which colour; below the first all is green."""
    search: str = ""
    """For traces and logs: the question in TraceQL or LogQL."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of panels."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    text: str
    known_by: str
    """The metric whose labels the variables offer."""
    rows: tuple[Row, ...]


def share(part: str, whole: str) -> str:
    """Return *part* as a share of *whole*: 0 if there is none of it, and nothing if there is no whole."""
    return f"({part} or {whole} * 0) / ({whole} > 0)"


def rates(metric: str, *by: str, matchers: str = "%M", legend: str = "", most: int = 0) -> Query:
    """Return how often a counter is counted up in a second, for each *by*; only the *most* largest of them if that is given."""
    text = f"sum by ({', '.join(by)}) (rate({metric}{{{matchers}}}[$__rate_interval]))".replace("{}", "")
    return Query(expr=f"topk({most}, {text})" if most else text, legend=legend or " ".join(f"{{{{{label}}}}}" for label in by))


def quantiles(metric: str, by: str, matchers: str = "%S") -> tuple[Query, ...]:
    """Return the median, p95 and p99 of a histogram, for each *by*."""
    return tuple(
        Query(
            expr=f"histogram_quantile({q}, sum by (le, {by}) (rate({metric}_bucket{{{matchers}}}[$__rate_interval])))",
            native=f"histogram_quantile({q}, sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval])))",
            legend=f"{name} {{{{{by}}}}}",
        )
        for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )
