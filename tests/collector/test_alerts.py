"""A depot in trouble makes every alert fire, with its labels and its sentence; the same depot without trouble fires none.

In such times nothing that a panel or a page asks is without an answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.collector.boards import PANELS
from tests.collector.names import unknown
from tests.collector.pages import Told, questions
from tests.collector.stack import RULES, Pipeline, answers, faster, servers, until, wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.slow

DEPOT = servers.ROOT / "tests" / "collector" / "depot.py"
WELL, ILL = "depot-well", "depot-ill"
# Durations of the rules are divided by 30, and a day is 60 s: so long is all well, and then the trouble begins.
# Alerts have PATIENCE seconds more than they need on a machine that has nothing else to do.
DAY, LASTS, PATIENCE = 60, 116, 120

# Where the alerts of the depot's troubles come from; those of the collector have no service.
EXPECTED = {
    "SeptumStateOverdue": {"septum_machine_name": "Gate"},
    "SeptumErrorRatioHigh": {"septum_machine_name": "Scanner"},
    "SeptumRetryStorm": {"septum_machine_name": "Parcel"},
    "SeptumMailboxSaturated": {"septum_machine_name": "Desk"},
    "SeptumMessagesDropped": {"septum_machine_name": "Desk", "septum_drop_reason": "overflow_newest"},
    "SeptumNoProgress": {"septum_machine_name": "Desk"},
    "SeptumTimeoutSpike": {"septum_machine_name": "Parcel", "septum_state_name": "Loading"},
    "SeptumTelemetryBroken": {"septum_hook_name": "Broken"},
    "SeptumCardinalityOverflow": {"septum_machine_name": "Scanner"},
    "SeptumCollectorDown": {},
    "SeptumCollectorLosing": {"exporter": "otlp_http/logs"},
}


Fired = dict[str, list[dict[str, Any]]]
"""Alerts that fired, by name."""


class Watch(NamedTuple):
    """What was seen of a depot that is well and of one that is ill, each with a pipeline of its own."""

    well: Fired
    ill: Fired
    silent: set[tuple[str, str]]
    """Title and legend of what a panel asked without an answer."""
    unanswered: list[Told]
    """What a page asks, and was not answered."""


@pytest.fixture(scope="module")
def watch(programs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    folder = tmp_path_factory.mktemp("alerts")
    rules = faster(RULES, folder / "faster.rules.yml", day=DAY)
    # So small a queue for logs, and nobody who takes them: what comes next is refused.
    small = "yaml:exporters::otlp_http/logs::sending_queue: {queue_size: 50, sizer: items, batch: {min_size: 1, max_size: 10}}"
    nobody = f"http://127.0.0.1:{servers.free_port()}/v1/logs"
    with (
        Pipeline(programs, folder / "ill", rules=rules, configs=(small,), LOGS_ENDPOINT=nobody) as ill,
        Pipeline(programs, folder / "well", rules=rules) as well,
    ):
        for pipeline in (ill, well):
            until(lambda: pipeline.value("up") == 1 and not pipeline.api("alerts")["alerts"], "Prometheus sees the collector")  # noqa: B023
        seen = Watch({}, {}, set(), [])
        began = time.monotonic()
        bound = str(LASTS + PATIENCE + 60)
        depots = [
            ill.process(DEPOT, "--seconds", bound, "--name", ILL, "--trouble-at", str(DAY)),
            well.process(DEPOT, "--seconds", bound, "--name", WELL),
        ]
        while (took := time.monotonic() - began) < LASTS or (took < LASTS + PATIENCE and missing(seen.ill)):
            wait(0.5)
            look(ill, seen.ill)
            look(well, seen.well)
        asked = [panel for panel in PANELS if panel.store == "prometheus"]
        seen.silent.update((panel.title, panel.legend) for panel in asked if not ill.has_answered(panel.filled(), 30))
        seen.unanswered.extend(told for told in questions() if not answers(ill.ask(told.expression), told.expression))
        for depot in depots:
            depot.terminate()
        for depot in depots:
            output, said = depot.communicate(timeout=180)
            assert depot.returncode == 0, output + said
        look(well, seen.well)
        ill.collector.kill()
        until(lambda: look(ill, seen.ill) or "SeptumCollectorDown" in seen.ill, "the dead collector is noticed")
        yield seen


def look(pipeline: Pipeline, fired: Fired) -> None:
    """Add to *fired* what fires now."""
    for alert in pipeline.api("alerts")["alerts"]:
        if alert["state"] == "firing":
            seen = fired.setdefault(alert["labels"]["alertname"], [])
            if alert["labels"] not in [other["labels"] for other in seen]:
                seen.append(alert)


def missing(fired: Fired) -> set[str]:
    """Return the alerts that are to fire while the depots run, and have not."""
    return EXPECTED.keys() - fired.keys() - {"SeptumCollectorDown"}


def test_every_alert_is_expected_here() -> None:
    """An alert that is added to the rules needs a trouble that makes it fire."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert {rule["alert"] for rule in rules if "alert" in rule} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_trouble_makes_the_alert_fire(watch: Watch, name: str) -> None:
    """It fires for the depot in trouble, for the machine that has it, and its sentences are filled in."""
    alerts = watch.ill.get(name, [])
    of_ours = [alert for alert in alerts if EXPECTED[name].items() <= alert["labels"].items()]
    assert of_ours, alerts
    if "Collector" not in name:
        assert {alert["labels"]["service_name"] for alert in of_ours} == {ILL}
    for alert in of_ours:
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        for text in alert["annotations"].values():
            assert "no value" not in text
            assert "{{" not in text
            assert "error " not in text


def test_a_healthy_depot_fires_nothing(watch: Watch) -> None:
    """Beside it, as long and as busy, a depot without trouble has no alert at all, nor has its collector."""
    assert watch.well == {}


def test_every_panel_has_data_in_times_of_trouble(watch: Watch) -> None:
    """With a depot in trouble there is no expression in any dashboard that gives nothing."""
    assert watch.silent == set()


def test_every_question_on_a_page_has_an_answer(watch: Watch) -> None:
    """What the guides and the pages of alerts say to ask Prometheus is answered now, with the labels that it groups by."""
    assert watch.unanswered == []


def test_the_pages_ask_something() -> None:
    """What each metric answers is in the guide to telemetry, and names nothing that is not emitted."""
    asked = questions()
    assert len([told for told in asked if told.page == "telemetry"]) > 10
    assert {name for told in asked for name in unknown(told.expression)} == set()
