"""The switch for the whole process, and what importing costs who does not want it."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider

import septum.otel
from septum import SeptumError, StateConfiguration, StateMachine
from septum import septum as declare
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator


@declare.state(config=StateConfiguration(can_dwell=True))
def Idle() -> None:
    @declare.on_state
    async def on_state(ctx):
        if ctx.msg == "probe" and ctx.common:
            ctx.common.probe("inside")


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    made = Tracing()
    yield made
    septum.otel.uninstrument()
    made.provider.shutdown()


async def one_run(tracing: Tracing | None = None) -> None:
    async with StateMachine(Idle, name="Job", common_data=tracing) as fsm:
        fsm.send_message("probe")
        await fsm.tick()


def in_fresh_python(code: str) -> str:
    """Run *code* in a new interpreter and return what it printed."""
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_instrument_traces_machines_made_from_then_on(tracing: Tracing) -> None:
    """One call is enough for all machines; a second one changes nothing, so each visit has one span."""
    septum.otel.instrument(tracer_provider=tracing.provider)
    septum.otel.instrument(tracer_provider=tracing.provider)

    asyncio.run(one_run(tracing))

    assert tracing.walk() == [("run Job", "stopped"), ("visit Job.Idle", "stopped"), ("process str", "")]
    assert tracing.places() == {"inside": "1 Idle"}


def test_uninstrument_ends_it_for_new_and_old_machines(tracing: Tracing) -> None:
    """Open spans end as continued, the machine runs on, machines made later have no spans; a second call does nothing."""

    async def main() -> None:
        septum.otel.instrument(tracer_provider=tracing.provider)
        async with StateMachine(Idle, name="Job") as fsm:
            await fsm.tick()
            septum.otel.uninstrument()
            septum.otel.uninstrument()
            fsm.send_message("unseen")
            await fsm.tick()
        await one_run()

    asyncio.run(main())

    assert tracing.walk() == [("run Job", "continued"), ("visit Job.Idle", "continued")]


def test_instrument_again_after_uninstrument(tracing: Tracing) -> None:
    """It can be turned on again, with another provider too."""
    other = Tracing()
    septum.otel.instrument(tracer_provider=other.provider)
    septum.otel.uninstrument()
    septum.otel.instrument(tracer_provider=tracing.provider)

    asyncio.run(one_run())
    other.provider.shutdown()

    assert (len(tracing.spans), len(other.spans)) == (3, 0)


def test_a_second_provider_is_refused(tracing: Tracing) -> None:
    """Two calls that disagree about the provider are a mistake; the first one stays in force."""
    septum.otel.instrument(tracer_provider=tracing.provider)

    with pytest.raises(
        SeptumError, match=r"traced already, with <.*TracerProvider.*>, and now the global tracer provider was given; call .*uninstrument"
    ):
        septum.otel.instrument()

    asyncio.run(one_run())
    assert len(tracing.spans) == 3


def test_a_second_call_that_asks_for_nothing_else_changes_nothing(tracing: Tracing) -> None:
    """A field that is not given is left as it is, so that a bare call agrees with whatever turned tracing on."""
    septum.otel.instrument(tracer_provider=tracing.provider, detail="visits", events=False)
    septum.otel.instrument(tracer_provider=tracing.provider)
    septum.otel.instrument(tracer_provider=tracing.provider, detail="visits")

    asyncio.run(one_run())

    assert tracing.walk() == [("run Job", "stopped"), ("visit Job.Idle", "stopped")]


def test_a_second_call_that_disagrees_is_refused(tracing: Tracing) -> None:
    """The text says what differs, and nothing else; the first call stays in force."""
    septum.otel.instrument(tracer_provider=tracing.provider, detail="visits", metrics="off")

    with pytest.raises(SeptumError) as raised:
        septum.otel.instrument(tracer_provider=tracing.provider, detail="handlers", metrics="off", events=False)

    assert str(raised.value) == (
        "machines are traced already, with detail='visits', events=True, and now detail='handlers', events=False was given; "
        "call septum.otel.uninstrument() first, or leave out what is to stay"
    )
    asyncio.run(one_run())
    assert tracing.walk() == [("run Job", "stopped"), ("visit Job.Idle", "stopped")]


@pytest.mark.parametrize("turned_on", [False, True])
def test_a_wrong_field_is_refused_and_changes_nothing(tracing: Tracing, turned_on: bool) -> None:
    """Also while tracing is on; the switch stays as it was."""
    if turned_on:
        septum.otel.instrument(tracer_provider=tracing.provider)

    with pytest.raises(TypeError, match="SeptumConfig has no field 'detial'. Did you mean 'detail'?"):
        septum.otel.instrument(tracer_provider=tracing.provider, detial="visits")

    asyncio.run(one_run())
    assert bool(tracing.spans) is turned_on


def test_a_wrong_variable_is_refused_and_nothing_installed(tracing: Tracing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text names the variable; the switch stays off."""
    monkeypatch.setenv("SEPTUM_OTEL_METRICS", "all")

    with pytest.raises(ValueError, match="SEPTUM_OTEL_METRICS is 'all'; allowed are off, counts, states, standard, full."):
        septum.otel.instrument(tracer_provider=tracing.provider)

    asyncio.run(one_run())
    assert tracing.spans == ()


def test_what_is_no_provider_is_refused_and_nothing_installed(tracing: Tracing) -> None:
    """A wrong argument leaves the switch off."""
    with pytest.raises(TypeError, match="tracer_provider must be an OpenTelemetry TracerProvider or None, not 7"):
        septum.otel.instrument(tracer_provider=7)

    septum.otel.instrument(tracer_provider=tracing.provider)
    asyncio.run(one_run())
    assert len(tracing.spans) == 3


def test_without_an_sdk_machines_run_as_ever() -> None:
    """The API alone records nothing; nothing is set up behind the program's back."""
    code = """
import asyncio, sys
import septum.otel
from opentelemetry import trace
from septum import StateConfiguration, StateMachine, septum as declare

@declare.state(config=StateConfiguration(terminal=True))
def Done():
    @declare.on_state
    async def on_state(ctx):
        ctx.common.append(trace.get_current_span().get_span_context().is_valid)

septum.otel.instrument()
seen = []
print(asyncio.run(StateMachine(Done, common_data=seen).serve()).outcome, seen)
print(type(trace.get_tracer_provider()).__name__, [name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    assert in_fresh_python(code).splitlines() == ["completed [False]", "ProxyTracerProvider []"]


def test_the_global_provider_may_be_set_after_instrument() -> None:
    """Spans go to the provider that the program sets when it is ready, as long as that is before the run begins."""
    code = """
import asyncio
import septum.otel
septum.otel.instrument()
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from septum import StateConfiguration, StateMachine, septum as declare

@declare.state(config=StateConfiguration(terminal=True))
def Done():
    @declare.on_state
    async def on_state(ctx):
        pass

fsm = StateMachine(Done, name="Job")
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
asyncio.run(fsm.serve())
print([span.name for span in exporter.get_finished_spans()])
"""
    assert in_fresh_python(code) == "['visit Job.Done', 'run Job']"


def test_importing_septum_imports_no_opentelemetry() -> None:
    """Who does not ask for telemetry does not load it, also where it is installed."""
    code = "import sys, septum, septum.core, septum.semconv; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    assert in_fresh_python(code) == "[]"


def test_importing_septum_otel_imports_the_api_only() -> None:
    """The SDK is the program's to choose."""
    code = "import sys, septum.otel; print([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"
    assert in_fresh_python(code) == "[]"


@pytest.mark.parametrize("blocked", ["opentelemetry", "opentelemetry.trace"])
def test_without_the_extra_the_import_says_what_to_install(blocked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ImportError that names the command, whether nothing of OpenTelemetry is there or only a part."""
    for name in [name for name in sys.modules if name.startswith(("septum.otel", "opentelemetry"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, blocked, None)

    with pytest.raises(ImportError) as raised:
        importlib.import_module("septum.otel")

    assert str(raised.value) == 'septum.otel needs opentelemetry-api; install it with: pip install "septum[otel]"'


def test_the_hooks_of_one_machine_do_without_the_switch(tracing: Tracing) -> None:
    """`hooks=[OTelHooks()]` traces that machine only, into the provider that it is given."""
    hooks = septum.otel.OTelHooks(tracer_provider=tracing.provider)
    assert isinstance(hooks.tracer_provider, TracerProvider)

    async def main() -> None:
        async with StateMachine(Idle, name="Watched", hooks=[hooks]):
            await one_run()

    asyncio.run(main())

    assert tracing.walk() == [("run Watched", "stopped"), ("visit Watched.Idle", "stopped")]


def test_a_machine_s_own_hooks_go_before_those_of_the_process(tracing: Tracing) -> None:
    """It is traced once, by its own."""
    other = Tracing()
    septum.otel.instrument(tracer_provider=other.provider)

    async def main() -> None:
        async with StateMachine(Idle, name="Job", hooks=[tracing.hooks]) as fsm:
            await fsm.tick()

    asyncio.run(main())
    other.provider.shutdown()

    assert (len(tracing.spans), len(other.spans)) == (2, 0)
