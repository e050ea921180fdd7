"""The registry is checked when it is read, and septum/semconv.py and docs/reference/telemetry.md are what it says."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from septum import semconv
from tests.otel.conformance import REGISTRY, registry, registry_script

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def script() -> Any:
    """Return .ci/semconv.py as a module."""
    return registry_script()


def test_the_generated_files_are_what_the_registry_says(script: Any) -> None:
    """Neither septum/semconv.py, nor what it imports, nor the page needs new writing; if this fails, run python .ci/semconv.py."""
    assert script.stale() == {}


def test_a_file_that_differs_is_named_and_rewritten(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --check the script names the stale files and fails; without, it writes them, and then they are fresh."""
    folder = tmp_path / "docs" / "reference"
    folder.mkdir(parents=True)
    monkeypatch.setattr(script, "PACKAGE", folder)
    monkeypatch.setattr(script, "PAGE", folder / "telemetry.md")
    (folder / "telemetry.md").write_text("# Telemetry\n", encoding="utf-8")

    assert script.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "docs/reference/semconv.py is not what the registry says: run python .ci/semconv.py\n"
        "docs/reference/_values.py is not what the registry says: run python .ci/semconv.py\n"
        "docs/reference/_instruments.py is not what the registry says: run python .ci/semconv.py\n"
        "docs/reference/telemetry.md is not what the registry says: run python .ci/semconv.py\n"
    )
    assert (folder / "telemetry.md").read_text(encoding="utf-8") == "# Telemetry\n"

    assert script.main([]) == 0
    assert (script.main(["--check"]), script.stale(), capsys.readouterr().err) == (0, {}, "")


def test_every_name_of_the_registry_is_a_constant() -> None:
    """Attributes, members of closed sets, events and instruments stand in septum.semconv under the names that follow from theirs."""
    declared = registry()
    for attribute in declared.attributes.values():
        assert getattr(semconv, attribute.key.removeprefix("septum.").replace(".", "_").upper()) == attribute.key
        for member in attribute.members:
            assert getattr(getattr(semconv, attribute.values), member.upper()) == member
    for name in declared.events:
        assert getattr(semconv.Event, name.removeprefix("septum.").replace(".", "_").upper()) == name
    for name, metric in declared.metrics.items():
        buckets = tuple(metric.traits["annotations"].get("buckets", ()))
        made = semconv.Instrument(name, metric.traits["instrument"], metric.traits["unit"], metric.brief, buckets)
        assert getattr(semconv.Metric, name.removeprefix("septum.").replace(".", "_").upper()) == made
    assert declared.schema_url == semconv.SCHEMA_URL


def test_every_name_of_the_registry_has_a_row_on_the_page(script: Any) -> None:
    """Each attribute, metric, event and member of a closed set begins a row, each span and metric shows its name as back ends have it."""
    page = script.page(registry())
    declared = registry()
    members = {member for attribute in declared.attributes.values() for member in attribute.members}
    for name in {*declared.attributes, *declared.metrics, *declared.events, *members}:
        assert f"\n| `{name}` | " in page
    for span in declared.spans.values():
        assert f"\n| `{span.traits['name']['note']}` | {span.traits['kind'].upper()} | " in page
    for metric in (
        "septum_transitions_total",
        "septum_state_dwell_max_seconds",
        "septum_run_duration_seconds_bucket",
        "septum_mailbox_usage",
    ):
        assert f"`{metric}`" in page


RUN_ID = "{ref: septum.run.id, requirement_level: required, sampling_relevant: true}"


@pytest.mark.parametrize(
    ("file", "right", "wrong", "message"),
    [
        (
            "manifest.yaml",
            "septum/0.1.0",
            "septum/new",
            "manifest.yaml: schema_url: must end in a version: 'https://septum.dev/schemas/septum/new'",
        ),
        ("manifest.yaml", "stability:", "stable:", "manifest.yaml: the file: has the unknown key 'stable'; did you mean 'stability'?"),
        ("spans.yaml", "file_format: definition/2", "file_format: definition/1", "spans.yaml: file_format: must be 'definition/2'"),
        ("spans.yaml", "kind: consumer", "kind: Consumer", "spans.yaml: septum.process: 'kind' is 'Consumer'"),
        ("spans.yaml", "    kind: consumer\n", "", "spans.yaml: septum.process: lacks the key 'kind'"),
        ("spans.yaml", "- type: septum.send", "- type: septum.run", "spans.yaml: septum.run: stands twice"),
        ("spans.yaml", "- type: septum.send", "- type: Send", "spans.yaml: Send: must be lower-case words after 'septum.'"),
        (
            "spans.yaml",
            "operation: handle",
            "operation: handler",
            "spans.yaml: septum.handler: 'operation' is 'handler', no member of its septum.operation.name",
        ),
        (
            "spans.yaml",
            "note: 'run {septum.machine.name}'",
            "note: 'run {septum.machine.id}'",
            "spans.yaml: septum.run: its name holds 'septum.machine.id', which has too many values",
        ),
        (
            "spans.yaml",
            "note: 'run {septum.machine.name}'",
            "note: 'run {septum.state.name}'",
            "spans.yaml: septum.run: its name holds 'septum.state.name', which is not a required attribute of it",
        ),
        (
            "spans.yaml",
            "error_when: the run failed\n",
            "error_if: it failed\n",
            "spans.yaml: septum.run: annotations: has the unknown key 'error_if'; did you mean 'error_when'?",
        ),
        (
            "spans.yaml",
            "requirement_level: opt_in\n",
            "requirement_level: required\n",
            "spans.yaml: septum.send: 'requirement_level' can only be opt_in",
        ),
        (
            "spans.yaml",
            RUN_ID,
            RUN_ID.replace("run.id", "run.ids"),
            "spans.yaml: septum.run: septum.run.ids: is no attribute of the registry; did you mean 'septum.run.id'?",
        ),
        ("spans.yaml", RUN_ID, RUN_ID.replace("run.id", "machine.id"), "spans.yaml: septum.run: septum.machine.id: stands twice"),
        ("spans.yaml", RUN_ID, RUN_ID.replace("required", "needed"), "spans.yaml: septum.run: septum.run.id: has the level 'needed'"),
        (
            "spans.yaml",
            RUN_ID,
            RUN_ID.replace("required", "{sometimes: x}"),
            "spans.yaml: septum.run: septum.run.id: has the level {'sometimes': 'x'}",
        ),
        (
            "spans.yaml",
            RUN_ID,
            RUN_ID.replace("required", "{opt_in: 1}"),
            "spans.yaml: septum.run: septum.run.id: the condition of 'requirement_level' must be words",
        ),
        (
            "attributes.yaml",
            "key: septum.stack",
            "key: septum.Stack",
            "attributes.yaml: septum.Stack: must be lower-case words after 'septum.'",
        ),
        ("attributes.yaml", "key: septum.stack", "key: septum.seq", "attributes.yaml: septum.seq: stands twice"),
        (
            "attributes.yaml",
            "key: septum.stack",
            "key: septum.pile",
            "spans.yaml: septum.visit: septum.stack: is no attribute of the registry; did you mean 'septum.stack.depth'?",
        ),
        (
            "attributes.yaml",
            "type: string[]",
            "type: strings",
            "attributes.yaml: septum.stack: 'type' must be members or one of string, int, double, boolean, string[], not 'strings'",
        ),
        (
            "attributes.yaml",
            "examples: [30.0]",
            "examples: [30]",
            "attributes.yaml: septum.timeout.duration: 'examples' must be a list of double",
        ),
        (
            "attributes.yaml",
            "{cardinality: low, values: LinkType}",
            "{cardinality: low}",
            "attributes.yaml: septum.link.type: a closed set needs 'values', the name of its class in semconv.py",
        ),
        (
            "attributes.yaml",
            "{cardinality: low, values: LinkType}",
            "{cardinality: few, values: LinkType}",
            "attributes.yaml: septum.link.type: 'cardinality' must be low or high, not 'few'",
        ),
        (
            "attributes.yaml",
            "{id: cause, value: cause,",
            "{id: cause, value: Cause,",
            "attributes.yaml: septum.link.type: member 'cause': 'value' must be the same as 'id'",
        ),
        (
            "attributes.yaml",
            "{id: cause, value: cause,",
            "{id: caller, value: caller,",
            "attributes.yaml: septum.link.type: member 'caller': stands twice",
        ),
        (
            "attributes.yaml",
            "brief: Which visit of the run, from 1.",
            "brief: Which visit",
            "attributes.yaml: septum.visit.number: 'brief' must be sentences of at most 108 characters: 'Which visit'",
        ),
        (
            "attributes.yaml",
            "brief: Which visit of the run, from 1.",
            "brief: 'A \"visit\".'",
            "attributes.yaml: septum.visit.number: 'brief' must hold no double quote, backslash or line break: 'A \"visit\".'",
        ),
        (
            "attributes.yaml",
            "stability: development\n    examples: [Order]",
            "stability: new\n    examples: [Order]",
            "attributes.yaml: septum.machine.name: 'stability' is 'new'",
        ),
        (
            "attributes.yaml",
            "- ref: code.line.number",
            "- ref: code.column.number",
            "spans.yaml: septum.handler: code.line.number: is no attribute of the registry; did you mean 'code.column.number'?",
        ),
        (
            "attributes.yaml",
            "annotations: {type: int, cardinality: low}",
            "annotations: {type: line, cardinality: low}",
            "attributes.yaml: code.line.number: has wrong annotations: {'type': 'line', 'cardinality': 'low'}",
        ),
        ("attributes.yaml", "          values: ErrorType\n", "", "attributes.yaml: error.type: 'values' and 'members' stand together"),
        (
            "attributes.yaml",
            "id: septum.upstream",
            "id: septum.taken",
            "attributes.yaml: attribute_groups: are ['septum.link', 'septum.taken']",
        ),
        (
            "metrics.yaml",
            "{ref: septum.hook.name, requirement_level: required}",
            "{ref: septum.machine.name, requirement_level: required}",
            "attributes.yaml: septum.hook.name: is used by no signal",
        ),
        (
            "metrics.yaml",
            "{ref: septum.hook.name, requirement_level: required}",
            "{ref: septum.run.id, requirement_level: required}",
            "metrics.yaml: septum.hook.errors: 'septum.run.id' has too many values for a metric",
        ),
        ("metrics.yaml", "instrument: gauge", "instrument: dial", "metrics.yaml: septum.state.dwell.max: 'instrument' is 'dial'"),
        (
            "metrics.yaml",
            "unit: '{transition}'",
            "unit: ms",
            "metrics.yaml: septum.transitions: 'unit' must be s or like {message}, not 'ms'",
        ),
        (
            "metrics.yaml",
            "{level: counts, observable: true, value_type: int}",
            "{level: all, observable: true, value_type: int}",
            "metrics.yaml: septum.transitions: 'level' must be one of counts, states, standard, full, not 'all'",
        ),
        (
            "metrics.yaml",
            "{level: counts, observable: true, value_type: int}",
            "{level: counts, observable: false, value_type: int}",
            "metrics.yaml: septum.transitions: histograms are recorded, everything else is observed",
        ),
        (
            "metrics.yaml",
            "{level: counts, observable: true, value_type: int}",
            "{level: counts, observable: true, value_type: double}",
            "metrics.yaml: septum.transitions: 'value_type' is 'double'",
        ),
        (
            "metrics.yaml",
            "buckets: [0.005, 0.025,",
            "buckets: [0.025, 0.005,",
            "metrics.yaml: septum.state.duration: 'buckets' must be doubles in ascending order",
        ),
        (
            "metrics.yaml",
            "buckets: [0.005, 0.025,",
            "buckets: [0, 0.025,",
            "metrics.yaml: septum.state.duration: 'buckets' must be doubles in ascending order",
        ),
        ("events.yaml", "severity: {DEBUG: always}\n", "severity: {}\n", "events.yaml: septum.machine.definition: has no severity"),
        (
            "events.yaml",
            "severity: {DEBUG: always}\n",
            "severity: {TRACE: always}\n",
            "events.yaml: septum.machine.definition: 'severity' has 'TRACE': 'always'",
        ),
        (
            "events.yaml",
            "- name: septum.retry\n",
            "- name: septum.retry\n    body: x\n",
            "events.yaml: septum.retry: has the unknown key 'body'",
        ),
        (
            "events.yaml",
            "  - name: septum.retry\n",
            "  - retry\n  - name: septum.retry\n",
            "events.yaml: retry: must be a mapping, not 'retry'",
        ),
    ],
)
def test_a_fault_in_the_registry_stops_with_its_file_and_entry(
    script: Any, tmp_path: Path, file: str, right: str, wrong: str, message: str
) -> None:
    """Nothing is written from a registry with a mistake in it, and the error says where the mistake is and what is wanted."""
    for source in REGISTRY.glob("*.yaml"):
        shutil.copy(source, tmp_path)
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert right in text
    (tmp_path / file).write_text(text.replace(right, wrong, 1), encoding="utf-8")

    with pytest.raises(SystemExit) as stopped:
        script.load(tmp_path)
    assert str(stopped.value) == message


def test_a_key_that_stands_twice_is_refused_with_its_line(script: Any, tmp_path: Path) -> None:
    """YAML forbids it, and PyYAML would quietly take the second one; the line is that where the entry begins."""
    for source in REGISTRY.glob("*.yaml"):
        shutil.copy(source, tmp_path)
    text = (tmp_path / "spans.yaml").read_text(encoding="utf-8")
    (tmp_path / "spans.yaml").write_text(text.replace("    kind: consumer\n", "    kind: consumer\n    kind: consumer\n"), encoding="utf-8")
    line = text.splitlines().index("  - type: septum.process") + 1

    with pytest.raises(SystemExit) as stopped:
        script.load(tmp_path)
    assert str(stopped.value) == f"spans.yaml: line {line}: the key 'kind' stands twice"
