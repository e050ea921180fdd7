"""The dashboards as Grafana imports them: JSON of schema 42, which Grafana 10 to 13 read."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

with warnings.catch_warnings():
    # The SDK would rather make Grafana 13's newer schema, which older Grafanas cannot read.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common, dashboard, heatmap, logs, loki, prometheus, stat, table, tempo, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as common_model
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import heatmap as heatmap_model
    from grafana_foundation_sdk.models import prometheus as prometheus_model
    from grafana_foundation_sdk.models import tempo as tempo_model

if TYPE_CHECKING:
    from model import Board, Panel, Query

VARIABLES = {
    "%M": 'service_name=~"$service", septum_machine_name=~"$machine"',
    "%S": 'service_name=~"$service", septum_machine_name=~"$machine", septum_state_name=~"$state"',
}
METRICS = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TRACES = common_model.DataSourceRef(type_val="tempo", uid="${traces}")
LOGS = common_model.DataSourceRef(type_val="loki", uid="${logs}")
HEIGHTS = {"stat": 4, "traces": 10, "logs": 10}


def grafana(board: Board) -> str:
    """Return *board* as the text of a file that Grafana imports."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.text)
        .tags(["septum", "state machine"])
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
    )
    for variable in _variables(board):
        made.with_variable(variable)
    made.link(
        dashboard.DashboardLink("Septum").type(model.DashboardLinkType.DASHBOARDS).tags(["septum"]).include_vars(True).keep_time(True)
    )
    made.link(dashboard.DashboardLink("Studio").type(model.DashboardLinkType.LINK).url("${studio}").target_blank(True))
    # Placed here, not by the SDK, which keeps a row's height from the row before it.
    y, number = 0, 0
    for row in board.rows:
        number += 1
        made.with_row(dashboard.Row(row.title).id(number).grid_pos(model.GridPos(h=1, w=24, x=0, y=y)))
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > 24:  # noqa: PLR2004 - Grafana's columns
                x, y, height = 0, y + height, 0
            number += 1
            tall = HEIGHTS.get(panel.kind, 8)
            made.with_panel(_panel(panel).id(number).grid_pos(model.GridPos(h=tall, w=panel.width, x=x, y=y)))
            x, height = x + panel.width, max(height, tall)
        y += height
    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(made.build())), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def expression(query: Query) -> str:
    """Return the question in PromQL, with Grafana's variables."""
    text = " or ".join(part for part in (query.expr, query.native, "vector(0)" if query.zero else "") if part)
    for short, matchers in VARIABLES.items():
        text = text.replace(short, matchers)
    return text


def _variables(board: Board) -> list[Any]:
    """Return what can be chosen: the stores, and then the service, its machines, and their states."""
    found: list[Any] = [
        dashboard.DatasourceVariable(name).label(label).type(kind)
        for name, label, kind in (("datasource", "Metrics", "prometheus"), ("traces", "Traces", "tempo"), ("logs", "Logs", "loki"))
    ]
    known = f'{board.known_by}{{service_name=~"$service"'
    for name, query in (
        ("service", f"label_values({board.known_by}, service_name)"),
        ("machine", f"label_values({known}}}, septum_machine_name)"),
        ("state", f'label_values({known}, septum_machine_name=~"$machine"}}, septum_state_name)'),
    ):
        found.append(
            dashboard.QueryVariable(name)
            .label(name.capitalize())
            .datasource(METRICS)
            .query({"query": query, "refId": name})
            .definition(query)
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(model.VariableOption(text="All", value="$__all", selected=True))
        )
    found.append(dashboard.TextBoxVariable("studio").label("Studio").default_value("http://127.0.0.1:8765"))
    return found


def _panel(panel: Panel) -> Any:
    """Return the builder of *panel*."""
    made = {
        "stat": _stat,
        "lines": _lines,
        "stacked": _lines,
        "heatmap": _heatmap,
        "matrix": _matrix,
        "table": _table,
        "traces": _traces,
        "logs": _logs,
    }[panel.kind](panel)
    made.title(panel.title).description(panel.text)
    if panel.queries:
        made.datasource(METRICS).unit(panel.unit)
    return made


def _target(panel: Panel, number: int, query: Query) -> Any:
    """Return the builder of one of the panel's questions."""
    made = prometheus.Dataquery().datasource(METRICS).ref_id(chr(ord("A") + number)).expr(expression(query)).legend_format(query.legend)
    if panel.kind in {"matrix", "table"}:
        return made.instant().format(prometheus_model.PromQueryFormat.TABLE)
    made.range()
    if panel.kind == "heatmap":
        return made.format(prometheus_model.PromQueryFormat.HEATMAP)
    return made.exemplar(True) if "histogram_quantile" in query.expr else made


def _with_targets(made: Any, panel: Panel) -> Any:
    return made.targets([_target(panel, number, query) for number, query in enumerate(panel.queries)])


def _thresholds(panel: Panel) -> Any:
    steps = [model.Threshold(value=None, color="green"), *(model.Threshold(value=value, color=color) for value, color in panel.limits)]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _stat(panel: Panel) -> Any:
    made = stat.Panel().graph_mode(common_model.BigValueGraphMode.AREA).thresholds(_thresholds(panel))
    made.color_mode(common_model.BigValueColorMode.VALUE)
    return _with_targets(made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])), panel)


def _lines(panel: Panel) -> Any:
    legend = common.VizLegendOptions().display_mode(common_model.LegendDisplayMode.TABLE).placement(common_model.LegendPlacement.BOTTOM)
    legend.calcs(["lastNotNull", "max"]).show_legend(True)
    tooltip = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI).sort(common_model.SortOrder.DESCENDING)
    made = timeseries.Panel().legend(legend).tooltip(tooltip).line_width(1).show_points(common_model.VisibilityMode.NEVER).min(0)
    if panel.kind == "stacked":
        made.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL)).fill_opacity(30)
    if panel.limits:
        made.thresholds(_thresholds(panel))
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED))
    url = "${studio}/?machine=${__field.labels.septum_machine_name}&state=${__field.labels.septum_state_name}"
    made.data_links([dashboard.DashboardLink("Runs in studio").type(model.DashboardLinkType.LINK).url(url).target_blank(True)])
    return _with_targets(made, panel)


def _heatmap(panel: Panel) -> Any:
    color = heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Spectral").steps(64)
    made = heatmap.Panel().calculate(False).color(color).show_legend().y_axis(heatmap.YAxisConfig().unit(panel.unit))
    return _with_targets(made, panel)


def _matrix(panel: Panel) -> Any:
    to_matrix = {
        "columnField": "septum_transition_to_state",
        "rowField": "septum_transition_from_state",
        "valueField": "Value",
        "emptyValue": "null",
    }
    return _with_targets(table.Panel().decimals(0), panel).with_transformation(
        model.DataTransformerConfig(id_val="groupingToMatrix", options=to_matrix)
    )


def _table(panel: Panel) -> Any:
    """Return a row for each state: longest visit, limit and ratio side by side."""
    made = _with_targets(table.Panel(), panel).with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    names = {
        "Value #A": "longest",
        "Value #B": "limit",
        "Value #C": "ratio",
        "service_name": "service",
        "septum_machine_name": "machine",
        "septum_state_name": "state",
    }
    made.with_transformation(
        model.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": names})
    )
    limits = dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE)
    limits.steps(
        [model.Threshold(value=None, color="green"), model.Threshold(value=0.8, color="yellow"), model.Threshold(value=1.0, color="red")]
    )
    look = [
        model.DynamicConfigValue(id_val="unit", value="percentunit"),
        model.DynamicConfigValue(id_val="thresholds", value=limits.build()),
        model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
    ]
    made.override_by_name("ratio", look)
    return made.sort_by([common.TableSortByFieldState().display_name("ratio").desc(True)])


def _traces(panel: Panel) -> Any:
    query = tempo.Dataquery()
    query.datasource(TRACES).ref_id("A").query_type("traceql").query(panel.search).limit(50).table_type(tempo_model.SearchTableType.SPANS)
    made = table.Panel().datasource(TRACES).with_target(query)
    whole = {
        "datasource": "${traces}",
        "queries": [{"refId": "A", "queryType": "traceql", "query": '{ span.septum.run.id="${__value.raw}" }'}],
    }
    explore = f"/explore?left={json.dumps(whole)}"
    links = [
        {"title": "The whole run in studio", "url": "${studio}/run/${__value.raw}", "targetBlank": True},
        {"title": "The whole run in Tempo", "url": explore, "targetBlank": True},
    ]
    made.override_by_name("septum.run.id", [model.DynamicConfigValue(id_val="links", value=links)])
    return made


def _logs(panel: Panel) -> Any:
    made = logs.Panel().datasource(LOGS).show_time(True).enable_log_details(True).sort_order(common_model.LogsSortOrder.DESCENDING)
    return made.with_target(loki.Dataquery().datasource(LOGS).ref_id("A").expr(panel.search))
