"""The settings of telemetry: from arguments, from variables, by default; and what is said of those that are wrong."""

from __future__ import annotations

import math
import pickle
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septum.otel import OTelHooks, SeptumConfig
from septum.otel._config import Fields, variable, variables

CONFIGS = st.builds(
    SeptumConfig,
    detail=st.sampled_from(["auto", "visits", "handlers"]),
    trace_scope=st.sampled_from(["run", "visit", "message"]),
    metrics=st.sampled_from(["off", "counts", "states", "standard", "full"]),
    events=st.booleans(),
    send_spans=st.booleans(),
    parent=st.sampled_from(["auto", "ambient", "root"]),
    segment_max_visits=st.integers(min_value=1),
    segment_max_age=st.floats(min_value=0, exclude_min=True),
    code_attributes=st.booleans(),
)


def test_nothing_given_is_the_defaults() -> None:
    """What the guide promises to whoever sets nothing."""
    assert SeptumConfig.from_env({}) == SeptumConfig(
        detail="auto",
        trace_scope="run",
        metrics="standard",
        events=True,
        send_spans=False,
        parent="auto",
        segment_max_visits=1000,
        segment_max_age=900.0,
        code_attributes=False,
    )


def test_every_field_has_a_variable() -> None:
    """`SEPTUM_OTEL_` and the field's name; case does not matter, an empty one counts as not set."""
    environ = {
        "SEPTUM_OTEL_DETAIL": "Handlers",
        "SEPTUM_OTEL_TRACE_SCOPE": "message",
        "SEPTUM_OTEL_METRICS": "full",
        "SEPTUM_OTEL_EVENTS": "no",
        "SEPTUM_OTEL_SEND_SPANS": "1",
        "SEPTUM_OTEL_PARENT": "",
        "SEPTUM_OTEL_SEGMENT_MAX_VISITS": "7",
        "SEPTUM_OTEL_SEGMENT_MAX_AGE": "inf",
        "SEPTUM_OTEL_CODE_ATTRIBUTES": "true",
        "OTEL_SERVICE_NAME": "not ours",
    }
    assert SeptumConfig.from_env(environ) == SeptumConfig(
        detail="handlers",
        trace_scope="message",
        metrics="full",
        events=False,
        send_spans=True,
        segment_max_visits=7,
        segment_max_age=math.inf,
        code_attributes=True,
    )


def test_an_argument_goes_before_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, variable, default, in that order; settings that are given whole read no variable."""
    monkeypatch.setenv("SEPTUM_OTEL_DETAIL", "handlers")
    monkeypatch.setenv("SEPTUM_OTEL_METRICS", "off")
    assert OTelHooks(detail="visits").config == SeptumConfig(detail="visits", metrics="off")
    assert OTelHooks(config=SeptumConfig(), events=False).config == SeptumConfig(events=False)


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"detial": "auto"}, TypeError, "SeptumConfig has no field 'detial'. Did you mean 'detail'?"),
        ({"detail": "handler"}, ValueError, "SeptumConfig.detail must be 'auto', 'visits' or 'handlers', not 'handler'."),
        ({"detail": 3}, TypeError, "SeptumConfig.detail must be 'auto', 'visits' or 'handlers', not 3."),
        ({"metrics": False}, TypeError, 'YAML reads a bare off as false: write "off", with its quotes.'),
        ({"segment_max_visits": True}, TypeError, "SeptumConfig.segment_max_visits must be an int of at least 1, not True"),
        ({"segment_max_visits": 0}, ValueError, "SeptumConfig.segment_max_visits must be an int of at least 1, not 0."),
        ({"segment_max_age": -1.0}, ValueError, "SeptumConfig.segment_max_age must be a number of seconds above 0, not -1.0."),
        ({"segment_max_age": math.nan}, ValueError, "SeptumConfig.segment_max_age must be a number of seconds above 0, not nan."),
        ({"events": "yes"}, TypeError, "SeptumConfig.events must be True or False, not 'yes', which is of type str."),
    ],
)
def test_a_wrong_field_is_refused_with_what_is_allowed(fields: dict[str, Any], error: type[Exception], text: str) -> None:
    """The name, what was given, what may be given; for a slip the nearest name."""
    with pytest.raises(error) as raised:
        OTelHooks(**fields)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("DETAIL", "visit", "SEPTUM_OTEL_DETAIL is 'visit'; allowed are auto, visits, handlers. Did you mean 'visits'?"),
        ("EVENTS", "maybe", "SEPTUM_OTEL_EVENTS is 'maybe'; allowed are true, 1, yes, false, 0, no."),
        ("SEGMENT_MAX_VISITS", "1.5", "SEPTUM_OTEL_SEGMENT_MAX_VISITS is '1.5'; allowed is an int of at least 1."),
        ("SEGMENT_MAX_AGE", "0", "SEPTUM_OTEL_SEGMENT_MAX_AGE is '0'; allowed is a number of seconds above 0."),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, text: str) -> None:
    """The variable, its value, and what may stand in it."""
    with pytest.raises(ValueError, match=name) as raised:
        SeptumConfig.from_env({f"SEPTUM_OTEL_{name}": value})
    assert str(raised.value).startswith(text)


@pytest.mark.parametrize("name", ["tracer_provider", "meter_provider", "logger_provider"])
def test_what_is_no_provider_is_refused(name: str) -> None:
    """Each of the three, with the class that makes one."""
    with pytest.raises(TypeError, match=f"{name} must be an OpenTelemetry .*Provider or None, not 'console'; opentelemetry.sdk.*makes one"):
        OTelHooks(**{name: "console"})


@given(CONFIGS)
def test_variables_can_say_whatever_arguments_can(config: SeptumConfig) -> None:
    """Every configuration, written into variables, is read back as it was."""
    environ = {variable(name): str(value) for name, value in asdict(config).items()}
    assert SeptumConfig.from_env(environ) == config


@settings(max_examples=30)
@given(CONFIGS, st.text(max_size=8))
def test_any_text_in_a_variable_is_read_or_refused_by_name(config: SeptumConfig, text: str) -> None:
    """There is no third way: no other error, and no other field is touched."""
    for name in asdict(config):
        try:
            read = SeptumConfig.of(None, {key: value for key, value in asdict(config).items() if key != name}, {variable(name): text})
        except ValueError as error:
            assert str(error).startswith(f"{variable(name)} is {text.strip()!r}; allowed ")  # noqa: PT017 - most texts are refused, some are not
        else:
            assert replace(read, **{name: getattr(config, name)}) == config


def test_the_fields_for_type_checkers_are_those_of_the_configuration() -> None:
    """`**fields` of `instrument`, `setup` and `OTelHooks` take what SeptumConfig takes, and the variables are as many."""
    own = {field.name: get_type_hints(SeptumConfig)[field.name] for field in fields(SeptumConfig)}
    assert get_type_hints(Fields) == own
    assert list(variables()) == [variable(name) for name in own]


def test_every_setting_stands_in_the_guide() -> None:
    """docs/howto/turn-telemetry-on.md has a row for each, with its variable, and names every choice."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "turn-telemetry-on.md").read_text(encoding="utf-8")
    rows = {
        name: line for name in asdict(SeptumConfig()) for line in page.splitlines() if line.startswith(f"| `{name}` | `{variable(name)}` |")
    }
    assert list(rows) == list(asdict(SeptumConfig()))
    missing = [
        (name, choice) for name, row in rows.items() for choice in get_args(get_type_hints(Fields)[name]) if f"`{choice}`" not in row
    ]
    assert missing == []


def test_a_configuration_is_a_value() -> None:
    """It cannot be changed, and may be copied and sent; whole seconds are seconds."""
    config = SeptumConfig(detail="visits", segment_max_age=60)
    assert repr(config.segment_max_age) == "60.0"
    assert pickle.loads(pickle.dumps(config)) == config == replace(config)
    with pytest.raises(AttributeError):
        config.detail = "auto"


def test_what_is_no_configuration_is_refused() -> None:
    """A dict of fields, say."""
    with pytest.raises(TypeError, match=r"config must be a SeptumConfig or None, not \{'detail': 'visits'\}; .* makes one"):
        OTelHooks(config={"detail": "visits"})


@pytest.mark.parametrize("value", [None, [], 0, 1, True])
def test_a_choice_is_a_text(value: object) -> None:
    """What is no text is of a wrong type, even where it looks like nothing."""
    with pytest.raises(TypeError, match="SeptumConfig.detail must be 'auto', 'visits' or 'handlers', not "):
        SeptumConfig(detail=value)
