"""`septum doctor` says what is configured, where it goes and what is wrong, each with its fix."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click")
pytest.importorskip("opentelemetry.sdk")

from click.testing import CliRunner

from septum import semconv
from septum.cli import main
from septum.cli._checks import examine
from septum.cli._commands import septum
from septum.cli._installed import Package, misfits
from septum.cli._report import as_data, as_text, shown
from septum.cli._routes import GRPC, HTTP, Route, connect, without_secrets
from septum.cli._surroundings import Findings, Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result

REGISTRY = Path(semconv.__file__).parent / "otel" / "registry"
CONSOLE = {f"OTEL_{signal}_EXPORTER": "console" for signal in ("TRACES", "METRICS", "LOGS")}
OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}
SETTINGS = {
    "detail": "auto",
    "trace_scope": "run",
    "metrics": "standard",
    "events": True,
    "send_spans": False,
    "parent": "auto",
    "record": "off",
    "segment_max_visits": 1000,
    "segment_max_age": 900.0,
    "code_attributes": False,
}
PACKAGES = {
    "septum": Package(version="1", requires=("opentelemetry-api>=1.38,<2 ; extra == 'otel'", "structlog>=24.1 ; extra == 'structlog'")),
    "opentelemetry-api": Package(version="1.45.1"),
    "opentelemetry-instrumentation": Package(version="0.66b1", requires=("opentelemetry-api~=1.4", "wrapt<3")),
    "opentelemetry-sdk": Package(version="1.45.1", requires=("opentelemetry-api==1.45.1",)),
    "structlog": Package(version="26.1.0"),
}
EXPORTERS = frozenset({"console", "otlp", "otlp_proto_grpc", "otlp_proto_http"})
PLUGINS = {
    "opentelemetry_instrumentor": frozenset({"septum"}),
    "opentelemetry_configurator": frozenset({"configurator"}),
    "opentelemetry_traces_exporter": EXPORTERS,
    "opentelemetry_metrics_exporter": EXPORTERS,
    "opentelemetry_logs_exporter": EXPORTERS,
    "opentelemetry_traces_sampler": frozenset({"always_on", "always_off"}),
}


def around(environ: Mapping[str, str] | None = None, **changed: Any) -> Surroundings:
    """Return made-up surroundings in which nothing is wrong, and everything goes to the console, but for what is *changed*."""
    return Surroundings(**{"environ": CONSOLE if environ is None else environ, "packages": PACKAGES, "plugins": PLUGINS, **changed})


def problems(environ: Mapping[str, str] | None = None, **changed: Any) -> list[tuple[str, str]]:
    """Return what is wrong in these surroundings."""
    return [tuple(problem) for problem in examine(around(environ, **changed)).problems]


def doctor(*arguments: str, **environ: str) -> Result:
    """Run the command in this process, and of telemetry's variables give it only *environ*."""
    unset = {name: None for name in os.environ if name.startswith(("OTEL_", "SEPTUM_"))}
    return CliRunner().invoke(septum, ["doctor", *arguments], env={**unset, **environ})


def test_a_sound_environment_ends_with_zero() -> None:
    """Where the signals go to exporters that are there, nothing is wrong."""
    done = doctor(**CONSOLE, SEPTUM_OTEL_DETAIL="handlers")

    assert done.exit_code == 0
    assert "  SEPTUM_OTEL_DETAIL=handlers\n  which makes detail=handlers, trace_scope=run," in done.stdout
    assert "  traces to console\n  metrics to console\n  logs to console\n\nNothing is wrong.\n" in done.stdout


def test_the_report_is_json_on_request() -> None:
    """With --json the report is one object, with all that the text says."""
    done = doctor("--json", **CONSOLE)
    data = json.loads(done.stdout)

    assert done.exit_code == 0
    assert {"septum", "python", "opentelemetry-api", "opentelemetry-sdk"} <= data.pop("versions").keys()
    assert data == {
        "ok": True,
        "launcher": False,
        "variables": dict(sorted(CONSOLE.items())),
        "settings": SETTINGS,
        "exports": {signal: [{"exporter": "console", "endpoint": "", "answers": None}] for signal in ("traces", "metrics", "logs")},
        "problems": [],
    }


def test_something_wrong_ends_with_one_and_its_fix() -> None:
    """The last section names each thing that is wrong."""
    done = doctor("--offline", **OTLP, OTEL_TRACES_SAMPLER="always_off")

    assert done.exit_code == 1
    assert done.stdout.endswith(
        "\n  traces to http://localhost:4317 (OTLP, gRPC)\n  metrics to http://localhost:4317 (OTLP, gRPC)\n"
        "  logs to http://localhost:4317 (OTLP, gRPC)\n\n"
        "Wrong\n  1. OTEL_TRACES_SAMPLER is always_off, so no trace is kept: unset it, or use parentbased_always_on.\n"
    )


def test_secrets_are_not_printed() -> None:
    """Headers, passwords and queries are neither in the text nor in JSON."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:hush@localhost:4317/?key=hush",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=hush",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-api-key=hush",
    }
    for arguments in (["--offline"], ["--offline", "--json"]):
        done = doctor(*arguments, **environ)
        assert "hush" not in done.output
        assert "http://...@localhost:4317/?..." in done.output


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://collector:4317/a", "http://collector:4317/a"),
        ("https://token@collector?a=b#c", "https://...@collector?..."),
        ("me:hush@collector:4317", "...@collector:4317"),
        ("collector:4317", "collector:4317"),
        ("http://[hush", "http://..."),
    ],
)
def test_what_an_endpoint_may_hide_is_left_out(endpoint: str, told: str) -> None:
    """User, password and query of an address become "..."."""
    assert without_secrets(endpoint) == told


def test_only_variables_of_telemetry_are_told() -> None:
    """Others than OTEL_* and SEPTUM_OTEL_* are nobody's business."""
    environ = {"HOME": "/", "SEPTUM_OTEL_EVENTS": "no", "OTEL_SERVICE_NAME": "orders", "OTEL_VENDOR_TOKEN": "hush"}
    assert shown(environ) == {"OTEL_SERVICE_NAME": "orders", "OTEL_VENDOR_TOKEN": "...", "SEPTUM_OTEL_EVENTS": "no"}


def test_nothing_is_wrong_in_sound_surroundings() -> None:
    """The surroundings from which the following tests depart are sound, for both ways to start a program."""
    assert (problems(), problems(launcher=True)) == ([], [])


@pytest.mark.parametrize(
    ("environ", "check", "text"),
    [
        ({"SEPTUM_OTEL_DETAILS": "visits"}, "variable", "no variable of Septum. Did you mean SEPTUM_OTEL_DETAIL? Rename it or unset it."),
        (
            {"SEPTUM_OTEL_X": "1"},
            "variable",
            "SEPTUM_OTEL_X is no variable of Septum. There are SEPTUM_OTEL_DETAIL, SEPTUM_OTEL_TRACE_SCOPE",
        ),
        ({"SEPTUM_OTEL_METRICS": "all"}, "variable", "'all'; allowed are off, counts, states, standard, full. Correct it or unset it."),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, septum"}, "instrumentor", "names 'septum', so that opentelemetry-instrument"),
        (
            {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"},
            "instrumentor",
            "names '*', so that opentelemetry-instrument leaves machines alone",
        ),
        ({"OTEL_SDK_DISABLED": "True"}, "sdk", "OTEL_SDK_DISABLED is true, so nothing is recorded: unset it."),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, "sampler", "parentbased_always_off, so no trace is kept: unset it"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.0"}, "sampler", "_ARG is 0, so no trace is kept: set it to"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"},
            "sampler",
            "'10%'; traceidratio needs a number above 0",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "allways_on"},
            "sampler",
            "not installed, so that it counts for nothing: use one of always_off, always_on.",
        ),
        (
            {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "100"},
            "limit",
            "so that long values, such as stack traces and recorded payloads, are cut off: set it to 1024 or more",
        ),
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5"}, "limit", "5, so that attributes of Septum's spans are cut off: set it to 24 or more"),
        (
            {"OTEL_SPAN_LINK_COUNT_LIMIT": "many"},
            "limit",
            "'many', at which the SDK refuses to start: set it to a whole number, or unset it.",
        ),
        (
            {"OTEL_LOGS_EXPORTER": "none"},
            "exporter",
            "OTEL_LOGS_EXPORTER is none, so that no logs are exported: unset it, or set it to otlp.",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "None"},
            "exporter",
            "OTEL_TRACES_EXPORTER is none, so that no traces are exported: unset it, or set it to otlp.",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "jaeger"},
            "exporter",
            "names 'jaeger', which is not installed: install its package, or use one of console,",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http"},
            "exporter",
            "allowed are grpc, http/protobuf. Correct it.",
        ),
        (
            {
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            "endpoint",
            "traces go by HTTP to port 4317, where OTLP is usually served as grpc: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use port 4318.",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:port"},
            "endpoint",
            "The endpoint of traces, 'http://h:port', has a port that is no number from 0 to 65535: write it as http://host:4317.",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp_proto_http", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "h:4318"},
            "endpoint",
            "The endpoint of traces, 'h:4318', has no http:// or https:// in front: write it as http://host:4317.",
        ),
    ],
)
def test_a_variable_that_spoils_something_is_told_with_its_fix(environ: dict[str, str], check: str, text: str) -> None:
    """Each of these is one problem, and its sentence says what to do."""
    ((found, told),) = problems({**CONSOLE, **environ})

    assert (found, text in told) == (check, True), told


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_TRACES_SAMPLER": "traceidratio"},
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1024", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "128", "OTEL_SPAN_LINK_COUNT_LIMIT": "unset"},
        {"OTEL_SDK_DISABLED": "false", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis"},
        {"SEPTUM_OTEL_DETAIL": "", "SEPTUM_OTEL_SEGMENT_MAX_AGE": "inf"},
    ],
)
def test_a_variable_that_spoils_nothing_is_no_problem(environ: dict[str, str]) -> None:
    """Values that leave the telemetry whole are not complained about."""
    assert problems({**CONSOLE, **environ}) == []


def test_no_signal_is_wider_than_the_least_limit() -> None:
    """What the doctor takes for enough attributes is enough for every span and event of the registry."""
    yaml = pytest.importorskip("yaml")
    for kind, least in (("spans", 24), ("events", 32)):
        declared = yaml.safe_load((REGISTRY / f"{kind}.yaml").read_text(encoding="utf-8"))[kind]
        assert 0 < max(len(each["attributes"]) for each in declared) <= least


def test_no_exporter_at_all_is_one_problem() -> None:
    """Without any variable `setup` sends nothing, and the doctor says what to set."""
    assert problems({}) == [
        (
            "exporter",
            (
                "Nothing is exported, since no variable says where to: set OTEL_EXPORTER_OTLP_ENDPOINT, such as http://localhost:4317, "
                "or OTEL_TRACES_EXPORTER=console."
            ),
        )
    ]


def test_the_launcher_sends_to_localhost_by_itself() -> None:
    """Without any variable `opentelemetry-instrument` sends all signals by gRPC to this machine, which is tried once."""
    tried: list[tuple[str, int]] = []

    def refuse(host: str, port: int) -> str:
        tried.append((host, port))
        return "Connection refused"

    found = examine(around({}, launcher=True, connect=refuse))

    assert tried == [("localhost", 4317)]
    assert [problem.text for problem in found.problems] == [
        (
            "Nobody answers at localhost:4317, where traces, metrics and logs go (Connection refused): start the collector there, "
            "or correct OTEL_EXPORTER_OTLP_ENDPOINT."
        )
    ]
    assert "  traces to http://localhost:4317 (OTLP, gRPC), which does not answer\n" in as_text(around({}, launcher=True), found)


def test_a_collector_that_listens_answers() -> None:
    """A connection that is taken is told, and is no problem; the one by HTTP says why it is by HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        done = doctor(**environ)
        assert (done.exit_code, f"logs to http://127.0.0.1:{port} (OTLP, gRPC), which answers\n" in done.stdout) == (0, True)
        assert connect("127.0.0.1", port) == ""
    assert connect("127.0.0.1", port) == "Connection refused"

    guessed = around({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, connect=lambda host, port: "")
    assert "  logs to http://c:4318/v1/logs (OTLP, HTTP), by HTTP because of the port, which answers\n" in as_text(
        guessed, examine(guessed)
    )


def test_a_connection_is_not_tried_offline() -> None:
    """With --offline nobody is called, and whether somebody answers is left open."""
    done = doctor("--offline", "--json", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")

    assert done.exit_code == 0
    assert json.loads(done.stdout)["exports"]["traces"] == [{"exporter": GRPC, "endpoint": "http://127.0.0.1:1", "answers": None}]


@pytest.mark.parametrize(
    ("exporter", "endpoint", "address"),
    [
        (GRPC, "http://c:4317", ("c", 4317)),
        (GRPC, "c:4317", ("c", 4317)),
        (GRPC, "http://c", ("c", 443)),
        (HTTP, "http://c/v1/traces", ("c", 80)),
        (HTTP, "https://[::1]/v1/traces", ("::1", 443)),
        (GRPC, "unix:///run/otel.sock", None),
        ("console", "", None),
    ],
)
def test_an_endpoint_is_an_address(exporter: str, endpoint: str, address: tuple[str, int] | None) -> None:
    """Host and port are those that the exporter takes, also where the endpoint leaves the port out."""
    assert Route(signal="traces", exporter=exporter, endpoint=endpoint).address() == address


def test_packages_that_do_not_fit_each_other_are_told_with_a_way_to_update_them() -> None:
    """Requirements among the packages are compared, also pins of betas; one sentence has all that is not met."""
    packages = {**PACKAGES, "opentelemetry-api": Package(version="1.44.0"), "structlog": Package(version="23.1")}

    assert problems(packages=packages) == [
        (
            "versions",
            (
                "Versions do not fit each other: septum 1 needs structlog>=24.1, but structlog 23.1 is installed; "
                "opentelemetry-sdk 1.45.1 needs opentelemetry-api==1.45.1, but opentelemetry-api 1.44.0 is installed. "
                'Update them together: pip install --upgrade "septum[otel]" '
                "opentelemetry-api opentelemetry-instrumentation opentelemetry-sdk structlog"
            ),
        )
    ]


def test_requirements_that_do_not_count_are_left_alone() -> None:
    """Extras that nobody asked for, other packages and what nobody can read are no misfit; a missing part is one."""
    requires = (
        "opentelemetry-configuration==1; extra == 'file'",
        "requests<1",
        "not a requirement",
        "opentelemetry-api ; sys_platform == 'x'",
    )
    assert misfits({"opentelemetry-x": Package(version="1", requires=requires)}) == []
    assert misfits({"opentelemetry-x": Package(version="1", requires=("opentelemetry-api==0.9b1",))}) == [
        "opentelemetry-x 1 needs opentelemetry-api==0.9b1, which is not installed"
    ]


@pytest.mark.parametrize(
    ("missing", "texts"),
    [
        ("opentelemetry-sdk", ['opentelemetry-sdk is not installed, so nothing is recorded: pip install "septum[otlp]"']),
        (
            "opentelemetry-instrumentation",
            ['opentelemetry-instrumentation is not installed, so there is no telemetry: pip install "septum[otel]"'],
        ),
    ],
)
def test_a_missing_package_is_told_with_the_extra_that_brings_it(missing: str, texts: list[str]) -> None:
    """Without the SDK nothing is recorded, without the API and its instrumentation there is nothing to look at."""
    packages = {name: package for name, package in PACKAGES.items() if name != missing}
    assert [text for _, text in problems({}, packages=packages)] == texts


def test_a_broken_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where septum.otel cannot be imported, its error is in the sentence, and nothing else is looked at."""
    monkeypatch.setitem(sys.modules, "septum.otel", None)
    ((check, text),) = problems({})
    assert (check, text.startswith("septum.otel cannot be imported (ModuleNotFoundError: ")) == ("otel", True)
    assert text.endswith('): pip install --force-reinstall "septum[otel]" mends it.')


def test_a_missing_plug_in_is_told() -> None:
    """Septum's entry point, a distribution and an exporter are each missed where they are needed."""
    plugins = {"opentelemetry_metrics_exporter": EXPORTERS, "opentelemetry_logs_exporter": EXPORTERS}

    assert [text for _, text in problems({**CONSOLE, "OTEL_TRACES_EXPORTER": "otlp"}, plugins=plugins, launcher=True)] == [
        (
            "Septum's entry point for opentelemetry-instrument is missing, so that it does not trace machines: "
            'pip install --force-reinstall "septum[otel]"'
        ),
        "opentelemetry-instrument sets up no SDK without a distribution of OpenTelemetry: pip install opentelemetry-distro",
        (
            "opentelemetry-exporter-otlp-proto-grpc is not installed, so that traces cannot be sent: "
            "pip install opentelemetry-exporter-otlp-proto-grpc"
        ),
    ]


LOGGING = {**PACKAGES, "opentelemetry-instrumentation-logging": Package(version="0.66b1")}
BOTH = {**PLUGINS, "opentelemetry_instrumentor": frozenset({"septum", "structlog", "logging"})}


@pytest.mark.parametrize(
    ("environ", "changed", "bridges"),
    [
        ({}, {}, "opentelemetry-instrumentation-structlog and opentelemetry-instrumentation-logging"),
        ({}, {"launcher": False}, ""),
        ({}, {"launcher": False, "bridges": ("one", "another")}, "one and another"),
        ({}, {"packages": {**PACKAGES, "opentelemetry-instrumentation-logging": Package(version="0.60b1")}}, ""),
        ({}, {"bridges": ("one",)}, ""),
        ({"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false"}, {}, ""),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "structlog"}, {}, ""),
        (
            {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"},
            {},
            "opentelemetry-instrumentation-structlog and the SDK's LoggingHandler (OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED)",
        ),
    ],
)
def test_two_ways_of_logs_to_otlp_are_told(environ: dict[str, str], changed: dict[str, Any], bridges: str) -> None:
    """Two bridges that are there, or that `opentelemetry-instrument` would put in, are a problem, and one is none."""
    found = problems({**CONSOLE, **environ}, **{"packages": LOGGING, "plugins": BOTH, "launcher": True, **changed})
    way_out = "set OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false, or add structlog to OTEL_PYTHON_DISABLED_INSTRUMENTATIONS."
    assert found == (
        [("bridges", f"Logs may be exported twice, since there are 2 ways to OTLP: {bridges}; keep one: {way_out}")] if bridges else []
    )


FILE = """
file_format: "1.0"
tracer_provider:
  processors:
    - simple: {exporter: {console: {}}}
    - batch: {exporter: {otlp_http: {endpoint: "http://c:4318/v1/traces", headers: [{name: authorization, value: hush}]}}}
meter_provider:
  readers:
    - periodic: {exporter: {otlp_grpc: {}}}
instrumentation/development:
  python:
    septum: {detail: handlers, enabled: true}
"""


def file_problems(tmp_path: Path, text: str) -> list[str]:
    """Return what is wrong where *text* is the configuration file."""
    pytest.importorskip("opentelemetry.configuration", reason="declarative configuration came with OpenTelemetry 1.44")
    (tmp_path / "otel.yaml").write_text(text, encoding="utf-8")
    found = problems({"OTEL_CONFIG_FILE": str(tmp_path / "otel.yaml")}, launcher=True)
    return [told.replace(str(tmp_path), "") for _, told in found]


@pytest.mark.slow
def test_a_configuration_file_says_where_signals_go(tmp_path: Path) -> None:
    """The file's exporters, endpoints and settings are told in place of the variables'."""
    pytest.importorskip("opentelemetry.configuration", reason="declarative configuration came with OpenTelemetry 1.44")
    (tmp_path / "otel.yaml").write_text(FILE, encoding="utf-8")
    done = doctor("--offline", "--json", OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"), OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION="false")
    data = json.loads(done.stdout)

    assert (done.exit_code, data["launcher"], data["settings"]) == (0, True, {**SETTINGS, "detail": "handlers"})
    assert "hush" not in done.stdout
    assert data["exports"] == {
        "traces": [
            {"exporter": "console", "endpoint": "", "answers": None},
            {"exporter": HTTP, "endpoint": "http://c:4318/v1/traces", "answers": None},
        ],
        "metrics": [{"exporter": GRPC, "endpoint": "http://localhost:4317", "answers": None}],
        "logs": [],
    }


@pytest.mark.slow
def test_what_is_wrong_in_a_configuration_file_is_told(tmp_path: Path) -> None:
    """A file that turns everything off, or names a field that is none, has its problems told."""
    text = FILE.replace("detail:", "details:") + "disabled: true\n"
    text = text.replace("tracer_provider:", "tracer_provider:\n  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0}}}}")
    assert file_problems(tmp_path, text) == [
        (
            "The section of Septum in the file of OTEL_CONFIG_FILE is wrong: SeptumConfig has no field 'details'. Did you mean 'detail'? "
            f"Its fields are {', '.join(SETTINGS)}. Correct the file."
        ),
        "The file of OTEL_CONFIG_FILE says disabled, so nothing is recorded: take that out.",
        "The sampler in the file of OTEL_CONFIG_FILE drops every trace: use always_on, or a ratio above 0.",
    ]
    assert file_problems(tmp_path, 'file_format: "1.0"\n') == [
        "The file of OTEL_CONFIG_FILE names no exporter, so nothing is exported: add one to its providers."
    ]


def test_a_configuration_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """What OpenTelemetry would raise is in the sentence."""
    pytest.importorskip("opentelemetry.configuration", reason="declarative configuration came with OpenTelemetry 1.44")
    path = str(tmp_path / "none.yaml")
    assert problems({"OTEL_CONFIG_FILE": path}, launcher=True) == [
        (
            "file",
            (
                f"OTEL_CONFIG_FILE names {path!r}, which cannot be used: Configuration file not found: {path}. "
                "Correct the file or the variable."
            ),
        )
    ]


def test_json_has_no_infinity() -> None:
    """A segment that never ends is a text in JSON, which has no word for its age."""
    data = as_data(around(), Findings(settings={"segment_max_age": math.inf, "events": True}))
    assert data["settings"] == {"segment_max_age": "inf", "events": True}


def test_help_teaches_by_examples() -> None:
    """`septum doctor --help` says what to type, line by line."""
    done = CliRunner().invoke(septum, ["doctor", "--help"])
    assert done.exit_code == 0
    assert "  And if opentelemetry-instrument starts the program?\n    opentelemetry-instrument septum doctor\n" in done.stdout


def test_main_runs_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`main` takes the process's arguments and ends the process."""
    monkeypatch.setattr(sys, "argv", ["septum", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, f"septum, version {version('septum')}\n")


def process(code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a process of its own, and of telemetry's variables give it only *environ*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SEPTUM_"))}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**kept, **environ}, timeout=60, check=False)


@pytest.mark.slow
def test_the_command_is_a_process_with_an_exit_code() -> None:
    """`septum doctor` prints its report on stdout and ends with 1 if something is wrong."""
    code = "from septum.cli import main; main()"
    sound = process(code, "doctor", **CONSOLE)
    ill = process(code, "doctor", **CONSOLE, OTEL_SDK_DISABLED="true")

    assert (sound.returncode, sound.stderr, sound.stdout.endswith("\nNothing is wrong.\n")) == (0, "", True)
    assert (ill.returncode, ill.stderr) == (1, "")
    assert ill.stdout.endswith("Wrong\n  1. OTEL_SDK_DISABLED is true, so nothing is recorded: unset it.\n")


@pytest.mark.slow
def test_without_click_the_command_names_the_extra() -> None:
    """Where the extra `cli` is not installed the command says how to install it, and ends with 2."""
    done = process("import sys; sys.modules['click'] = None; from septum.cli import main; main()", "doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'The command septum needs click; install it with: pip install "septum[cli]"\n'


@pytest.mark.slow
def test_under_opentelemetry_instrument_the_doctor_sees_what_it_has_put_in(tmp_path: Path) -> None:
    """Run by the launcher, the doctor looks at a program that the launcher starts."""
    pytest.importorskip("opentelemetry.distro")
    program = tmp_path / "doctor.py"
    program.write_text("from septum.cli import main; main()", encoding="utf-8")
    launch = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    only_structlog = {"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false"}
    done = process(launch, sys.executable, str(program), "doctor", "--json", "--offline", **OTLP, **only_structlog)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["launcher"], json.loads(done.stdout)["problems"]) == (True, [])
