"""The configurations: valid, whole, private by default, and with no name in them that the registry does not have."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.collector.names import ATTRIBUTES, RESOURCE
from tests.collector.stack import COLLECTOR, servers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES = {name: COLLECTOR / f"{name}.yaml" for name in ("otelcol", "otelcol.minimal", "otelcol.tail")}
LAID = {"files": servers.FILES, "victoria": servers.VICTORIA}
WHOLE = {
    "otelcol": ["otelcol"],
    "otelcol.minimal": ["otelcol.minimal"],
    "otelcol.tail": ["otelcol", "otelcol.tail"],
    "native": ["otelcol", "files", "victoria"],
    "native with a store": ["otelcol", "victoria"],
}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(({**FILES, **LAID}[name]).read_text(encoding="utf-8"))
    return found


def laid(names: list[str]) -> dict[str, Any]:
    """Return the configurations *names*, each laid over those before it as the collector does: mappings merge, all else is replaced."""

    def lay(below: Any, above: Any) -> Any:
        if isinstance(below, dict) and isinstance(above, dict):
            return below | {key: lay(below[key], value) if key in below else value for key, value in above.items()}
        return above

    whole: dict[str, Any] = {}
    for name in names:
        whole = lay(whole, read(name))
    return whole


def components(whole: Mapping[str, Any]) -> dict[str, set[str]]:
    return {kind: set(whole.get(kind, {})) for kind in ("receivers", "processors", "exporters", "connectors", "extensions")}


@pytest.mark.slow
@pytest.mark.parametrize("names", WHOLE.values(), ids=WHOLE)
def test_the_collector_accepts_it(programs: Mapping[str, Path], names: list[str]) -> None:
    """`otelcol validate` has nothing to say, not even that a name is deprecated."""
    configs = [f"--config={({**FILES, **LAID})[name]}" for name in names]
    done = subprocess.run([programs["otelcol"], "validate", *configs], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("names", WHOLE.values(), ids=WHOLE)
def test_every_component_is_defined_and_used(names: list[str]) -> None:
    """What is defined stands in a pipeline, and what stands in a pipeline is defined; a connector ends one and begins another."""
    whole = laid(names)
    defined = components(whole)
    pipelines = whole["service"]["pipelines"].values()
    begin = {name for pipeline in pipelines for name in pipeline["receivers"]}
    end = {name for pipeline in pipelines for name in pipeline["exporters"]}
    between = {name for pipeline in pipelines for name in pipeline.get("processors", ())}
    replaced = {"otlp_http/traces", "otlp_http/logs"} if "files" in names else set()
    assert begin == defined["receivers"] | defined["connectors"]
    assert end == (defined["exporters"] | defined["connectors"]) - replaced
    assert between == defined["processors"]
    assert set(whole["service"]["extensions"]) == defined["extensions"]


@pytest.mark.parametrize("names", WHOLE.values(), ids=WHOLE)
def test_the_memory_limiter_comes_first_wherever_something_comes_in(names: list[str]) -> None:
    """No pipeline that takes from outside can fill the memory."""
    pipelines = laid(names)["service"]["pipelines"].values()
    assert [p for p in pipelines if "otlp" in p["receivers"] and p["processors"][0] != "memory_limiter"] == []


@pytest.mark.parametrize("name", FILES)
def test_every_address_is_loopback_unless_told_otherwise(name: str) -> None:
    """Receivers, health and the collector's own metrics listen where OTLP_HOST says, and that is 127.0.0.1."""
    text = re.sub(r"#.*", "", FILES[name].read_text(encoding="utf-8"))
    assert set(re.findall(r"OTLP_HOST:-([^}]*)", text)) <= {"127.0.0.1"}
    assert "0.0.0.0" not in text
    assert set(re.findall(r"https?://([\w.]+)", text)) <= {"127.0.0.1"}


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_said_in_the_comment_and_has_the_default_that_it_says(name: str) -> None:
    """The heading of a file names each variable that it reads; where it names a default, that is the one in the configuration."""
    text = FILES[name].read_text(encoding="utf-8")
    heading, rest = text.split("\n\n" if "\n\n" in text else "extensions:" if "extensions:" in text else "processors:", 1)
    for variable, default in re.findall(r"\$\{env:(\w+):-([^}]*)\}", rest):
        line = re.search(rf"^#.*\b{variable}\b(.*)$", heading, re.MULTILINE)
        assert line, variable
        if re.match(r" {2,}\S", line[1]):
            assert line[1].split()[0] == default, variable


def test_recordings_are_tapped_before_anything_is_left_out() -> None:
    """Recordings and spans go into the replay file from pipelines that end there, and no sampler stands before it."""
    whole = laid(WHOLE["otelcol.tail"])
    sampled = {name for name, pipeline in whole["service"]["pipelines"].items() if "tail_sampling" in pipeline.get("processors", ())}
    into = {name for name, pipeline in whole["service"]["pipelines"].items() if "file/replay" in pipeline["exporters"]}
    counted = {name for name, pipeline in whole["service"]["pipelines"].items() if "span_metrics" in pipeline["exporters"]}
    assert sampled == {"traces/out"}
    assert into == {"traces/in", "logs/recording"}
    assert counted == {"traces/count"}


@pytest.mark.parametrize("name", [*FILES, *LAID])
def test_every_file_goes_on_after_a_restart(name: str) -> None:
    """Each file exporter rotates; without that, and without append, a restart would empty the file."""
    files = {key: value for key, value in read(name).get("exporters", {}).items() if key.startswith("file/")}
    assert [key for key, value in files.items() if "rotation" not in value] == []


def test_whatever_is_sent_away_waits_on_disk() -> None:
    """Each exporter over the network has its queue in file_storage and never gives up."""
    exporters = {key: value for key, value in read("otelcol")["exporters"].items() if key.startswith("otlp")}
    assert {value["sending_queue"]["storage"] for value in exporters.values()} == {"file_storage/queue"}
    assert {value["retry_on_failure"]["max_elapsed_time"] for value in exporters.values()} == {"0s"}


@pytest.mark.parametrize("name", [*FILES, *LAID])
def test_every_attribute_is_in_the_registry(name: str) -> None:
    """A misspelt name in a policy or a dimension would match nothing, and nobody would notice."""
    text = re.sub(r"#.*", "", ({**FILES, **LAID})[name].read_text(encoding="utf-8"))
    named = set(re.findall(r"\b(?:septum|error|code|service)\.[a-z_.]+[a-z]\b", text))
    made = {"septum.span", "septum.event.count"}  # what the collector makes: collector/registry.yaml
    scopes = {"septum.recording"}
    assert named - made - scopes <= ATTRIBUTES | RESOURCE


def test_no_old_name_of_a_component_is_used() -> None:
    """The names that became aliases in 2025 and 2026 are nowhere."""
    old = {"otlp", "otlphttp", "spanmetrics", "deltatocumulative", "tailsampling", "batch", "logging", "prometheusremotewrite"}
    for name in [*FILES, *LAID]:
        found = components(read(name))
        used = {key.split("/")[0] for kind in ("processors", "exporters", "connectors", "extensions") for key in found[kind]}
        assert used & old == set()


def test_the_built_collector_has_what_the_manifest_names() -> None:
    """builder.yaml and the go.mod beside the sources that it made name the same modules in the same versions."""
    manifest = yaml.safe_load((COLLECTOR / "builder.yaml").read_text(encoding="utf-8"))
    wanted = {each["gomod"] for kind in manifest.values() if isinstance(kind, list) for each in kind}
    required = set(re.findall(r"^\t(\S+ v\S+)$", (COLLECTOR / "native" / "otelcol" / "go.mod").read_text(encoding="utf-8"), re.MULTILINE))
    assert wanted <= required


@pytest.mark.slow
def test_compose_is_what_docker_compose_reads(programs: Mapping[str, Path]) -> None:
    """compose-go, which `docker compose` reads with, accepts the file; what it makes of it is healthy, private and kept."""
    done = subprocess.run([programs["compose-check"], "compose.yaml"], cwd=COLLECTOR, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    project = yaml.safe_load(done.stdout)
    ports = [port for service in project["services"].values() for port in service.get("ports", ())]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert {port["published"] for port in ports} >= {"3000", "4317", "4318", "9090", "13133", "16686"}
    assert {name for name, service in project["services"].items() if "healthcheck" in service} == {"health", "lgtm"}
    assert {name: service["profiles"] for name, service in project["services"].items() if "profiles" in service} == {
        "jaeger": ["jaeger"],
        "example": ["example"],
    }
    assert project["volumes"].keys() == {"data", "stores"}
    for service in project["services"].values():
        assert re.search(r":\d", service["image"]), "an image without a version changes by itself"
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind":
                assert (COLLECTOR / volume["source"]).exists(), volume["source"]
