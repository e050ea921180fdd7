"""The committed dashboards as tests see them: what each panel asks, read from Grafana's JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.collector.stack import COLLECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAFANA = sorted((COLLECTOR / "dashboards" / "grafana").glob("*.json"))


@dataclass(frozen=True)
class Asked:
    """A question of a panel: its expression, with Grafana's variables in it."""

    board: str
    title: str
    store: str
    expression: str
    legend: str

    def filled(self, window: str = "30s", span: str = "10m") -> str:
        """Return the expression as Grafana sends it while everything is chosen."""
        text = self.expression
        for name, value in {"service": ".*", "machine": ".*", "state": ".*", "__rate_interval": window, "__range": span}.items():
            text = text.replace(f"${name}", value)
        return text


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels of *board*, without its rows."""
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def _asked() -> Iterator[Asked]:
    for path in GRAFANA:
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in panels(board):
            for target in panel["targets"]:
                yield Asked(
                    board["title"],
                    panel["title"],
                    target["datasource"]["type"],
                    target.get("expr") or target["query"],
                    target.get("legendFormat", ""),
                )


PANELS = list(_asked())
