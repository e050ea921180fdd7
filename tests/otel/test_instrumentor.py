"""`SeptumInstrumentor`: what `opentelemetry-instrument` and configuration files call."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest

import septum.otel
from septum import SeptumError, StateConfiguration, StateMachine
from septum import septum as declare
from septum.otel import SeptumConfig, SeptumInstrumentor
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

LOADER = {"skip_dep_check": True}  # what opentelemetry-instrument calls with


@declare.state(config=StateConfiguration(terminal=True))
def Done() -> None:
    @declare.on_state
    async def on_state(ctx):
        pass


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    made = Tracing()
    yield made
    if SeptumInstrumentor().is_instrumented_by_opentelemetry:
        SeptumInstrumentor().uninstrument()
    septum.otel.uninstrument()
    made.provider.shutdown()


def names_of_a_run(tracing: Tracing) -> list[str]:
    """Run a machine, and return the names of the spans that there are."""
    asyncio.run(StateMachine(Done, name="Job").serve())
    return [span.name for span in tracing.engine_spans()]


def test_it_is_found_by_its_name_and_needs_no_library() -> None:
    """The entry point leads to the class; no other package has to be there; its options are those of SeptumConfig."""
    (entry,) = entry_points(group="opentelemetry_instrumentor", name="septum")
    assert entry.load() is SeptumInstrumentor
    assert list(SeptumInstrumentor().instrumentation_dependencies()) == []
    assert SeptumInstrumentor.configuration is SeptumConfig


def test_it_turns_tracing_on_and_off(tracing: Tracing) -> None:
    """With providers and fields, as `instrument` takes them; afterwards nothing is traced."""
    SeptumInstrumentor().instrument(tracer_provider=tracing.provider, detail="visits")
    assert names_of_a_run(tracing) == ["run Job", "visit Job.Done"]

    SeptumInstrumentor().uninstrument()
    assert names_of_a_run(tracing) == ["run Job", "visit Job.Done"]


@pytest.mark.parametrize(
    ("options", "error"),
    [({"detial": "visits"}, TypeError), ({"detail": "visit"}, ValueError), ({"tracer_provider": 7}, TypeError)],
)
def test_a_wrong_option_is_raised_and_leaves_it_off(tracing: Tracing, options: dict[str, Any], error: type[Exception]) -> None:
    """A program that calls it by hand hears of its mistake, and may call again."""
    with pytest.raises(error):
        SeptumInstrumentor().instrument(**options)

    SeptumInstrumentor().instrument(tracer_provider=tracing.provider)
    assert "run Job" in names_of_a_run(tracing)


def test_other_settings_than_those_in_force_are_raised(tracing: Tracing) -> None:
    """`instrument` was called before, with something else."""
    septum.otel.instrument(tracer_provider=tracing.provider)
    with pytest.raises(SeptumError, match="machines are traced already"):
        SeptumInstrumentor().instrument(tracer_provider=tracing.provider, detail="handlers")


def test_a_wrong_variable_is_one_line_to_the_loader(
    tracing: Tracing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """opentelemetry-instrument would leave out every library after an error; so it is logged, where it is heard, and Septum is off."""
    monkeypatch.setenv("SEPTUM_OTEL_DETAIL", "visit")

    SeptumInstrumentor().instrument(**LOADER)

    assert caplog.record_tuples == [
        (
            "opentelemetry.instrumentation.septum",
            logging.ERROR,
            "Septum's machines are not traced: SEPTUM_OTEL_DETAIL is 'visit'; allowed are auto, visits, handlers. Did you mean 'visits'?",
        )
    ]
    assert not SeptumInstrumentor().is_instrumented_by_opentelemetry
    assert names_of_a_run(tracing) == []


class Elsewhere(logging.Handler):
    """Takes records to somewhere that nobody reads while a program starts."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


@pytest.mark.parametrize("handlers", [[], [Elsewhere()]], ids=["none", "one that leads elsewhere"])
def test_the_line_stands_on_stderr(
    handlers: list[logging.Handler], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, also if the instrumentation of logging was loaded first and the root logger leads to OTLP."""
    monkeypatch.setattr(logging.getLogger(), "handlers", handlers)
    monkeypatch.setenv("SEPTUM_OTEL_EVENTS", "on")

    SeptumInstrumentor().instrument(**LOADER)

    assert capsys.readouterr().err == (
        "Septum's machines are not traced: SEPTUM_OTEL_EVENTS is 'on'; allowed are true, 1, yes, false, 0, no.\n"
    )


def test_the_loader_after_a_configuration_file_changes_nothing(tracing: Tracing, caplog: pytest.LogCaptureFixture) -> None:
    """opentelemetry-instrument reads the file and then loads every entry point: what the file said stays, without a word."""
    SeptumInstrumentor().instrument(tracer_provider=tracing.provider, detail="visits")
    SeptumInstrumentor().instrument(**LOADER)

    assert caplog.record_tuples == []
    assert names_of_a_run(tracing) == ["run Job", "visit Job.Done"]


def test_a_second_call_by_hand_is_said_by_opentelemetry(tracing: Tracing, caplog: pytest.LogCaptureFixture) -> None:
    """As with every instrumentor."""
    SeptumInstrumentor().instrument(tracer_provider=tracing.provider)
    SeptumInstrumentor().instrument()

    assert [record.getMessage() for record in caplog.records] == ["Attempting to instrument while already instrumented"]
