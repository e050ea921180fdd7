"""A depot in trouble makes every alert fire, with its labels and its sentence; the same depot without trouble fires none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.collector.boards import PANELS
from tests.collector.stack import RULES, Pipeline, faster, servers, until, wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.slow

DEPOT = servers.ROOT / "tests" / "collector" / "depot.py"
WELL, ILL = "depot-well", "depot-ill"
# Durations of the rules are divided by 30, and a day is 60 s: so long is all well, and then the trouble begins.
DAY, LASTS = 60, 116

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


class Watch(NamedTuple):
    """What was seen of a depot that is well beside one that is ill: the alerts that fired, by name, and what panels answered."""

    fired: dict[str, list[dict[str, Any]]]
    silent: set[tuple[str, str]]


@pytest.fixture(scope="module")
def watch(programs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    folder = tmp_path_factory.mktemp("alerts")
    rules = faster(RULES, folder / "faster.rules.yml", day=DAY)
    fired: dict[str, list[dict[str, Any]]] = {}

    def look() -> None:
        for alert in pipeline.api("alerts")["alerts"]:
            seen = fired.setdefault(alert["labels"]["alertname"], [])
            if alert["state"] == "firing" and alert["labels"] not in [other["labels"] for other in seen]:
                seen.append(alert)

    # So small a queue for logs, and nobody who takes them: what comes next is refused.
    small = "yaml:exporters::otlp_http/logs::sending_queue: {queue_size: 50, sizer: items, batch: {min_size: 1, max_size: 10}}"
    nobody = f"http://127.0.0.1:{servers.free_port()}/v1/logs"
    with Pipeline(programs, folder, rules=rules, configs=(small,), LOGS_ENDPOINT=nobody) as pipeline:
        well = pipeline.process(DEPOT, "--seconds", str(LASTS), "--name", WELL)
        ill = pipeline.process(DEPOT, "--seconds", str(LASTS), "--name", ILL, "--trouble-at", str(DAY))
        end = time.monotonic() + LASTS - 2
        while time.monotonic() < end:
            wait(0.5)
            look()
        asked = [panel for panel in PANELS if panel.store == "prometheus"]
        silent = {(panel.title, panel.legend) for panel in asked if not pipeline.has_answered(panel.filled(), 30)}
        for process in (well, ill):
            output, said = process.communicate(timeout=30)
            assert process.returncode == 0, output + said
        pipeline.collector.kill()
        until(lambda: look() or fired.get("SeptumCollectorDown"), "the dead collector is noticed")
        yield Watch({name: alerts for name, alerts in fired.items() if alerts}, silent)


def test_every_alert_is_expected_here() -> None:
    """An alert that is added to the rules needs a trouble that makes it fire."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert {rule["alert"] for rule in rules if "alert" in rule} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_trouble_makes_the_alert_fire(watch: Watch, name: str) -> None:
    """It fires for the depot in trouble, for the machine that has it, and its sentences are filled in."""
    alerts = watch.fired.get(name, [])
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
    """Beside it, as long and as busy, the depot without trouble has no alert at all."""
    assert [alert for alerts in watch.fired.values() for alert in alerts if alert["labels"].get("service_name") == WELL] == []


def test_every_panel_has_data_in_times_of_trouble(watch: Watch) -> None:
    """With a depot in trouble there is no expression in any dashboard that gives nothing."""
    assert watch.silent == set()
