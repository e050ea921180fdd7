"""The rules: checked and tested by promtool, each with a unit test, a sentence and a page, and no name that nothing emits."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.collector.names import unknown
from tests.collector.stack import ROOT, RULES, faster

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TESTS = RULES.with_name("septum.rules_test.yml")
PAGES = ROOT / "docs" / "guides" / "alerts"
RULES_READ: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
ALERTS = {rule["alert"]: rule for rule in RULES_READ if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in RULES_READ if "record" in rule}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["check", "rules", RULES.name], ["test", "rules", TESTS.name]], ids=["check", "test"])
def test_promtool_is_content(programs: Mapping[str, Path], arguments: list[str]) -> None:
    """`promtool check rules` and `promtool test rules` pass."""
    done = subprocess.run([programs["promtool"], *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_promtool_is_content_with_the_configuration(programs: Mapping[str, Path]) -> None:
    """`promtool check config` passes for prometheus.yml."""
    done = subprocess.run(
        [programs["promtool"], "check", "config", "prometheus.yml"], cwd=RULES.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_has_a_test_of_its_own() -> None:
    """Each recorded rule is asked for, and each alert is seen firing, and seen not firing, in septum.rules_test.yml."""
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    assert {each["expr"] for test in tests for each in test.get("promql_expr_test", ())} == RECORDED.keys()
    asked = [each for test in tests for each in test.get("alert_rule_test", ())]
    assert {each["alertname"] for each in asked if "exp_alerts" in each} == ALERTS.keys()
    at_once = {"SeptumCardinalityOverflow"}  # it has no time at which it does not fire yet
    assert {each["alertname"] for each in asked if "exp_alerts" not in each} == ALERTS.keys() - at_once


@pytest.mark.parametrize("rule", RULES_READ, ids=lambda rule: rule.get("alert") or rule["record"])
def test_each_name_in_it_is_emitted(rule: dict[str, Any]) -> None:
    """Metrics and labels are those of the registry, as Prometheus translates them; recorded ones are recorded here."""
    assert unknown(rule["expr"]) == set()
    assert set(re.findall(r"\bseptum:[\w:]+", rule["expr"])) <= RECORDED.keys()


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_each_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """It has a severity, a line, a sentence that tells what to do, and a page that exists and answers the four questions."""
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    page = PAGES / f"{alert['alert']}.md"
    assert alert["annotations"]["runbook_url"].endswith(page.relative_to(ROOT).as_posix())
    headings = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["What it means", "Likely causes", "How to look", "What to do"]


def test_every_page_is_of_an_alert() -> None:
    """No page is left over from an alert that is gone."""
    assert {page.stem for page in PAGES.glob("*.md")} == ALERTS.keys()


def test_faster_rules_are_the_same_rules(tmp_path: Path) -> None:
    """What the fault run fires are these rules with shorter times, and nothing else changed."""
    quick = yaml.safe_load(faster(RULES, tmp_path / "r.yml", day=60).read_text(encoding="utf-8"))["groups"][0]["rules"]

    def timeless(text: str) -> str:
        return re.sub(r"(?<=[\s\['])(\d+[smhd])+\b", "T", text)

    assert [timeless(str(rule)) for rule in quick] == [timeless(str(rule)) for rule in RULES_READ]
    assert str(quick) != str(RULES_READ)
