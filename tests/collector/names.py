"""The names that rules, dashboards and configurations may use: those of the registry, and what Prometheus makes of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from tests.collector.stack import COLLECTOR, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGISTRY = ROOT / "src" / "septum" / "otel" / "registry"


def _read(path: Path, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))[what]
    return found


ATTRIBUTES = set(re.findall(r"\b(?:key|ref): ([\w.]+)", (REGISTRY / "attributes.yaml").read_text(encoding="utf-8")))
RESOURCE = {"service.name", "service.namespace", "service.instance.id", "deployment.environment.name"}
METRICS = [*_read(REGISTRY / "metrics.yaml", "metrics"), *_read(COLLECTOR / "registry.yaml", "metrics")]


def translated(name: str) -> str:
    """Return what Prometheus calls an attribute."""
    return name.replace(".", "_")


def series_of(metric: dict[str, Any]) -> Iterator[str]:
    """Yield the names of a metric's series as Prometheus translates them, classic and native."""
    name = translated(metric["name"]) + {"s": "_seconds"}.get(metric["unit"], "")
    if metric["instrument"] == "counter":
        yield f"{name}_total"
        return
    yield name
    if metric["instrument"] == "histogram":
        yield from (f"{name}_{part}" for part in ("bucket", "count", "sum"))


SERIES = {series: metric for metric in METRICS for series in series_of(metric)}


def labels_of(series: str) -> set[str]:
    """Return the labels that a series may have."""
    metric = SERIES[series]
    own = {use["ref"] for use in metric["attributes"]} | set(metric.get("annotations", {}).get("attributes_of_otel", ()))
    return {translated(name) for name in own | RESOURCE} | {"le", "otel_metric_overflow", "__name__", "job", "instance"}


# The collector's own, and Prometheus'; test_orders.py sees them.
OTHERS = re.compile(r"otelcol_(?:exporter|receiver)_[a-z_]+|up")
OTHER_LABELS = {"exporter", "data_type", "receiver", "instance", "job"}


def used_in(expression: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels that *expression* names; recorded rules, which have a colon, are no metrics."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    labels = {label.strip() for group in re.findall(r"(?:by|on|ignoring|without) \(([^)]*)\)", text) for label in group.split(",")}
    labels |= {label for inside in re.findall(r"\{([^}]*)\}", text) for label in re.findall(r"(\w+)\s*[=!]", inside)}
    text = re.sub(r"(?:by|on|ignoring|without) \([^)]*\)|\{[^}]*\}", " ", text)
    return set(re.findall(r"(?<![\w:])(?:septum_\w+|otelcol_\w+|up)\b(?!:)", text)), labels


def unknown(expression: str) -> set[str]:
    """Return the names in *expression* that nothing declares."""
    metrics, labels = used_in(expression)
    known = set[str]().union(*(labels_of(name) for name in metrics if name in SERIES)) | {"__name__", "service_name", "septum_machine_name"}
    if any(OTHERS.fullmatch(name) for name in metrics):
        known |= OTHER_LABELS
    if "otel_metric_overflow" in labels:
        known |= {"otel_metric_overflow"}
    # A rule that is asked by its recorded name has the labels that the rule keeps.
    if re.search(r"septum:\w+", expression):
        known |= {translated(name) for name in ATTRIBUTES}
    return {name for name in metrics if name not in SERIES and not OTHERS.fullmatch(name)} | (labels - known)
