"""Telemetry turned on the way users do it, in processes of their own: without a line of code, by a file, by variables, by `setup`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

APP = """
import asyncio
from septum import StateConfiguration, StateMachine, septum

@septum.state(config=StateConfiguration(can_dwell=True))
def Idle():
    @septum.on_state
    async def on_state(ctx):
        pass

async def main():
    async with StateMachine(Idle, name="Job") as fsm:
        fsm.send_message("secret text")
        await fsm.tick()

asyncio.run(main())
print("done")
"""
INSTRUMENT = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
CONSOLE = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def run(arguments: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this Python with *arguments* and, of OpenTelemetry's variables, only *variables*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SEPTUM_"))}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env={**kept, **variables}, timeout=120, check=False)


@pytest.fixture
def app(tmp_path: Path) -> str:
    file = tmp_path / "app.py"
    file.write_text(APP)
    return str(file)


def instrumented(app: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `opentelemetry-instrument python app.py`."""
    return run(["-c", INSTRUMENT, sys.executable, app], **{**CONSOLE, **variables})


def span_names(output: str) -> list[str]:
    """Return the names of the spans that the console exporter printed, sorted."""
    decoder, names, place = json.JSONDecoder(), [], 0
    while (place := output.find("{", place)) >= 0:
        span, end = decoder.raw_decode(output, place)
        names.append(span["name"])
        place = end
    return sorted(names)


def test_opentelemetry_instrument_needs_no_line_of_code(app: str) -> None:
    """The entry point is found, the program runs as ever, and its message's text is nowhere."""
    done = instrumented(app)
    assert (done.returncode, "done" in done.stdout) == (0, True), done.stderr
    assert span_names(done.stdout) == ["process str", "run Job", "visit Job.Idle"]
    assert "secret text" not in done.stdout + done.stderr


def test_variables_are_read(app: str) -> None:
    """`SEPTUM_OTEL_DETAIL` decides which spans there are."""
    assert span_names(instrumented(app, SEPTUM_OTEL_DETAIL="visits").stdout) == ["run Job", "visit Job.Idle"]


def test_a_wrong_variable_is_said_and_the_program_runs(app: str) -> None:
    """OpenTelemetry logs what our error says; the program itself is not held up."""
    done = instrumented(app, SEPTUM_OTEL_DETAIL="all")
    assert (done.returncode, "done" in done.stdout) == (0, True)
    assert "SEPTUM_OTEL_DETAIL is 'all'; allowed are auto, visits, handlers." in done.stderr


@pytest.mark.parametrize(("share", "names"), [("1", ["process str", "run Job", "visit Job.Idle"]), ("0", [])])
def test_the_sampler_can_be_chosen_by_name(app: str, share: str, names: list[str]) -> None:
    """`OTEL_TRACES_SAMPLER=septum_run_consistent`, the share of runs in `OTEL_TRACES_SAMPLER_ARG`."""
    done = instrumented(app, OTEL_TRACES_SAMPLER="septum_run_consistent", OTEL_TRACES_SAMPLER_ARG=share)
    assert span_names(done.stdout.replace("done", "")) == names, done.stderr


def test_it_can_be_disabled_by_name(app: str) -> None:
    """`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=septum` leaves the machines alone."""
    done = instrumented(app, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="septum")
    assert (done.returncode, span_names(done.stdout.replace("done", ""))) == (0, []), done.stderr


CONFIGURATION = """
file_format: "1.0"
tracer_provider:
  processors:
    - simple: {{exporter: {{console: {{}}}}}}
instrumentation/development:
  python:
    septum: {options}
"""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("{detail: handlers}", ["on_state Job.Idle", "on_state Job.Idle", "process str", "run Job", "visit Job.Idle"]),
        ("{detail: visits, trace_scope: visit}", ["visit Job.Idle"]),
    ],
)
def test_a_configuration_file_sets_options(app: str, tmp_path: Path, options: str, names: list[str]) -> None:
    """`OTEL_CONFIG_FILE` with a section for Septum."""
    pytest.importorskip("opentelemetry.configuration", reason="declarative configuration came with OpenTelemetry 1.44")
    file = tmp_path / "otel.yaml"
    file.write_text(CONFIGURATION.format(options=options))
    done = run(["-c", INSTRUMENT, sys.executable, app], OTEL_CONFIG_FILE=str(file))
    assert span_names(done.stdout) == names, done.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("{detial: handlers}", "SeptumConfig has no field 'detial'. Did you mean 'detail'?"),
        ("{segment_max_visits: many}", "segment_max_visits"),
    ],
)
def test_a_wrong_option_in_the_file_is_said(app: str, tmp_path: Path, options: str, text: str) -> None:
    """The program runs, and the log names the option."""
    pytest.importorskip("opentelemetry.configuration", reason="declarative configuration came with OpenTelemetry 1.44")
    file = tmp_path / "otel.yaml"
    file.write_text(CONFIGURATION.format(options=options))
    done = run(["-c", INSTRUMENT, sys.executable, app], OTEL_CONFIG_FILE=str(file))
    assert ("done" in done.stdout, text in done.stderr) == (True, True), done.stderr


SETUP = (
    """
import septum.otel
telemetry = septum.otel.setup("orders", detail="visits")
print(telemetry)
"""
    + APP
)


def test_setup_without_an_endpoint_observes_and_sends_nothing() -> None:
    """A script runs as ever and says nothing on its own."""
    done = run(["-W", "error", "-c", SETUP])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == ["<Telemetry to nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT>", "done", ""]


def test_setup_sets_the_three_providers_once() -> None:
    """The service's name is theirs; a second set-up is refused with what to do instead; leaving the block shuts them down."""
    code = """
import septum.otel
from opentelemetry import metrics, trace
with septum.otel.setup("orders") as telemetry:
    print(trace.get_tracer_provider() is telemetry.tracer_provider, metrics.get_meter_provider() is telemetry.meter_provider)
    print(telemetry.tracer_provider.resource.attributes["service.name"])
    try:
        septum.otel.setup("orders")
    except septum.SeptumError as error:
        print(error)
telemetry.shutdown()
"""
    done = run(["-c", code], OTEL_SERVICE_NAME="from the environment")
    assert done.stdout.splitlines() == [
        "True True",
        "from the environment",
        (
            "this process has a TracerProvider already; septum.otel.setup() is for scripts that have set up nothing: "
            "call septum.otel.instrument() instead"
        ),
    ], done.stderr


@pytest.mark.parametrize(
    ("blocked", "code", "text"),
    [
        ("opentelemetry", "import septum.otel", 'install it with: pip install "septum[otel]"'),
        ("opentelemetry.sdk", 'import septum.otel; septum.otel.setup("x")', 'install it with: pip install "septum[otlp]"'),
        ("structlog", "import septum.otel.structlog", 'pip install "septum[structlog]"'),
    ],
)
def test_a_missing_extra_is_named(blocked: str, code: str, text: str) -> None:
    """An ImportError says what to install."""
    block = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == {blocked!r} or name.startswith({blocked!r} + "."):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
"""
    done = run(["-c", block + code])
    assert (done.returncode, text in done.stderr.splitlines()[-1]) == (1, True), done.stderr
