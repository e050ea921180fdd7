"""The dashboards: generated from one source, current, explained, and asking only for what is emitted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.collector.boards import GRAFANA, PANELS, Asked, panels
from tests.collector.names import unknown
from tests.collector.stack import COLLECTOR, clean_environment

FOLDER = COLLECTOR / "dashboards"
BOARDS = [json.loads(path.read_text(encoding="utf-8")) for path in GRAFANA]
EVERY = [panel for board in BOARDS for panel in panels(board)]
METRICS = [panel for panel in PANELS if panel.store == "prometheus"]


@pytest.mark.slow
def test_the_committed_files_are_what_the_source_makes() -> None:
    """Making them again changes nothing."""
    pytest.importorskip("grafana_foundation_sdk")
    done = subprocess.run(
        [sys.executable, FOLDER / "make.py", "--check"], env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_there_are_two_and_a_page_for_each() -> None:
    """Machines, and spans for those who have nothing else; both for Grafana and for vmui."""
    assert {board["title"] for board in BOARDS} == {"Septum machines", "Septum spans"}
    assert {path.name for path in (FOLDER / "vmui").glob("*.json")} == {path.name for path in GRAFANA}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_grafana_10_to_13_can_import_it(board: dict[str, Any]) -> None:
    """Schema 42, an id of its own for each panel, nothing overlaps, and the variables that expressions use are defined."""
    assert board["schemaVersion"] == 42
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert variables == {"datasource", "traces", "logs", "service", "machine", "state", "studio"}
    text = json.dumps(board["panels"])
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) <= variables


@pytest.mark.parametrize("panel", EVERY, ids=lambda panel: panel["title"])
def test_each_panel_says_what_to_look_for(panel: dict[str, Any]) -> None:
    """It has a title, a description of whole sentences, and a unit for its numbers."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 60
    if panel["datasource"]["type"] == "prometheus":
        assert panel["fieldConfig"]["defaults"]["unit"] in {"short", "cps", "percentunit", "s"}


@pytest.mark.parametrize("asked", METRICS, ids=lambda asked: f"{asked.title} {asked.legend}")
def test_each_name_in_it_is_emitted(asked: Asked) -> None:
    """Metrics and labels are those of the registry, as Prometheus translates them; a legend names labels that the answer has."""
    assert unknown(asked.expression) == set()
    named = set(re.findall(r"\{\{(\w+)\}\}", asked.legend))
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", asked.expression) for label in group.split(",")}
    assert named <= grouped


@pytest.mark.parametrize("name", [path.name for path in GRAFANA])
def test_vmui_has_the_same_panels_and_expressions(name: str) -> None:
    """Panel by panel, vmui asks what Grafana asks: without variables, and without the part about native histograms."""
    board = json.loads((FOLDER / "grafana" / name).read_text(encoding="utf-8"))
    page = json.loads((FOLDER / "vmui" / name).read_text(encoding="utf-8"))
    ours = {panel["title"]: panel for row in page["rows"] for panel in row["panels"]}
    theirs = {panel["title"]: panel for panel in panels(board) if panel["datasource"]["type"] == "prometheus"}
    assert ours.keys() == theirs.keys()
    for title, panel in theirs.items():
        assert ours[title]["description"] == panel["description"]
        aliases = [alias.replace("up to {{up_to}} s", "{{le}}") for alias in ours[title]["alias"]]
        assert aliases == [target["legendFormat"] for target in panel["targets"]]
        assert [squeezed(expression) for expression in ours[title]["expr"]] == [squeezed(target["expr"]) for target in panel["targets"]]


def squeezed(expression: str) -> str:
    """Return *expression* without what differs: variables, windows, native histograms, and 0 for nothing."""
    text = re.sub(r'^label_move\((.*), "le", "up_to"\)$', r"\1", expression)
    text = re.sub(r'\w+=~"\$\w+"(?:, )?', "", text)
    text = re.sub(r"\[[^\]]*\]", "[w]", text).replace("{}", "").replace(", }", "}").replace(" or vector(0)", "")
    return re.split(r" or (?=histogram_quantile|sum\(increase\(septum_state_duration_seconds\[|\(sum\(histogram_count)", text)[0]


def test_links_lead_to_traces_and_to_the_run_in_studio() -> None:
    """From a line to its runs in studio, from a trace to the whole run in both."""
    lines = [panel for panel in EVERY if panel["type"] == "timeseries"]
    assert all("${studio}" in panel["fieldConfig"]["defaults"]["links"][0]["url"] for panel in lines)
    (traces,) = [panel for panel in EVERY if panel["title"] == "Traces with an error"]
    links = traces["fieldConfig"]["overrides"][0]["properties"][0]["value"]
    assert [link["title"] for link in links] == ["The whole run in studio", "The whole run in Tempo"]
    assert "span.septum.run.id=" in links[1]["url"]
