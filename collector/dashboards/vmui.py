"""The dashboards as VictoriaMetrics' page shows them: the same panels, each as lines, without variables.

It has no heatmaps, tables, traces and logs; what Grafana draws as one of the first two is drawn as lines, and the other two are left out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model import Board, Panel, Query

# Its legends are wider than Grafana's, so what is narrow there has more room here.
WIDTHS = {4: 4, 6: 6, 8: 4, 12: 6, 24: 12}
UNITS = {"short": "", "cps": "/s", "percentunit": "", "s": "s"}


def vmui(board: Board) -> str:
    """Return *board* as the text of a file for `-vmui.customDashboardsPath`."""
    rows = [{"title": row.title, "panels": [_panel(panel) for panel in row.panels if panel.queries]} for row in board.rows]
    return json.dumps({"title": board.title, "rows": [row for row in rows if row["panels"]]}, indent=2, ensure_ascii=False) + "\n"


def expression(query: Query) -> str:
    """Return the question in MetricsQL: over all services, and with the window that fits the width of the page."""
    text = re.sub(r"%[MS](, )?", "", query.expr) + (" or vector(0)" if query.zero else "")
    text = re.sub(r"\w+=~\"\$\w+\"(, )?", "", text)
    text = text.replace("{}", "").replace("[$__rate_interval]", "[30s]").replace("[$__range]", "[1h]")
    # It takes series with the label le for a heatmap, which its dashboards do not draw.
    return f'label_move({text}, "le", "up_to")' if text.startswith("sum by (le)") else text


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "description": panel.text,
        "unit": "" if panel.kind == "heatmap" else UNITS[panel.unit],
        "expr": [expression(query) for query in panel.queries],
        "alias": [query.legend.replace("{{le}}", "up to {{up_to}} s") for query in panel.queries],
        "width": WIDTHS[panel.width],
    }
