"""What is exported is what the registry declares, all of it and nothing else."""

from __future__ import annotations

import pytest

from tests.otel.conformance import Conformance
from tests.otel.recordings import play_recordings
from tests.otel.workload import SECRET, play

FULL = {"detail": "handlers", "metrics": "full", "send_spans": True, "code_attributes": True, "segment_max_visits": 2}


@pytest.mark.slow
def test_everything_emitted_is_declared_and_everything_declared_is_emitted() -> None:
    """One workload in each trace scope, with every option on: names, types, units, kinds, closed sets, requirements, both ways."""
    conformance = Conformance(secrets=[SECRET])
    for trace_scope in ("run", "visit", "message"):
        play(conformance, trace_scope=trace_scope, **FULL)
    play_recordings(conformance)
    assert (conformance.problems, conformance.unseen) == ([], [])


@pytest.mark.parametrize("trace_scope", ["run", "visit", "message"])
@pytest.mark.parametrize("detail", ["auto", "visits", "handlers"])
def test_less_telemetry_is_declared_just_the_same(trace_scope: str, detail: str) -> None:
    """Each combination of scope and detail, with the other options as they are by default."""
    conformance = Conformance(secrets=[SECRET])
    play(conformance, trace_scope=trace_scope, detail=detail)
    assert conformance.problems == []


@pytest.mark.parametrize(("level", "absent"), [("off", 18), ("counts", 4), ("states", 3), ("standard", 1), ("full", 0)])
def test_each_level_of_metrics_has_the_instruments_that_are_declared_for_it(level: str, absent: int) -> None:
    """The levels of the registry are those of `metrics=`, each with everything of those before it."""
    conformance = Conformance()
    play(conformance, metrics=level, events=False)
    levels = ["counts", "states", "standard", "full"]
    got = levels[: levels.index(level) + 1] if level in levels else []
    declared = {name for name, metric in conformance.registry.metrics.items() if metric.traits["annotations"]["level"] not in got}
    missing = {line.removeprefix("metric ") for line in conformance.unseen if line.startswith("metric ") and ":" not in line}
    assert (missing, len(missing), conformance.problems) == (declared, absent, [])
