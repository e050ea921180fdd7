"""What can be wrong with telemetry; each check looks at one thing and says its fix in the same sentence."""

from __future__ import annotations

import math
from dataclasses import asdict
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from septum.cli._installed import misfits
from septum.cli._routes import GRPC, HTTP, SIGNALS, ConfigurationFile, Route, routes_of_variables, without_secrets
from septum.cli._surroundings import Findings

if TYPE_CHECKING:
    from septum.cli._surroundings import Surroundings

_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_OTHER_PORT = {GRPC: (4318, "http/protobuf"), HTTP: (4317, "grpc")}
"""The port of the other protocol, and the name of that."""

_LEAST = (
    # A span of a visit has 19 attributes; a trace must keep the link that says what caused it.
    (("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",), 24, "attributes of Septum's spans"),
    (("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"), 32, "attributes of Septum's events"),
    (
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        1024,
        "long values, such as stack traces and recorded payloads,",
    ),
    (("OTEL_SPAN_LINK_COUNT_LIMIT",), 8, "links between Septum's spans"),
    (("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",), 8, "attributes of links"),
    (("OTEL_SPAN_EVENT_COUNT_LIMIT",), 8, "exceptions on spans"),
    (("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",), 8, "attributes of exceptions on spans"),
)


def examine(around: Surroundings) -> Findings:
    """Return what is configured *around*, where it goes, and what is wrong with it."""
    found = Findings()
    if _check_packages(around, found):
        file = _read_file(around, found)
        _check_septum(around, found, file)
        _check_sdk(around, found, file)
        _check_routes(around, found, file)
        _check_answers(around, found)
        _check_bridges(around, found)
    return found


def _check_packages(around: Surroundings, found: Findings) -> bool:
    """Look at what is installed, and say whether there is telemetry to look at."""
    wrong = misfits(around.packages)
    if wrong:
        others = [name for name in around.packages if name != "septum"]
        found.add(
            "versions",
            f"Versions do not fit each other: {'; '.join(wrong)}. Update them together: "
            f'pip install --upgrade "septum[otel]" {" ".join(others)}',
        )
    missing = [name for name in ("opentelemetry-api", "opentelemetry-instrumentation") if name not in around.packages]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        found.add("otel", f'{" and ".join(missing)} {verb} not installed, so there is no telemetry: pip install "septum[otel]"')
        return False
    try:
        import_module("septum.otel")
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is what is to be told
        found.add(
            "otel",
            f'septum.otel cannot be imported ({type(error).__name__}: {error}): pip install --force-reinstall "septum[otel]" mends it.',
        )
        return False
    return True


def _read_file(around: Surroundings, found: Findings) -> ConfigurationFile | None:
    """Return what the configuration file says, if there is one and it can be read."""
    path = around.get("OTEL_CONFIG_FILE")
    if not path:
        return None
    try:
        return ConfigurationFile(path)
    except ImportError:
        found.add(
            "file", "OTEL_CONFIG_FILE is set, but the package that reads it is not installed: pip install opentelemetry-configuration"
        )
    except Exception as error:  # noqa: BLE001 - the reader raises errors of its own and those of its YAML and schema libraries
        found.add("file", f"OTEL_CONFIG_FILE names {path!r}, which cannot be used: {error}. Correct the file or the variable.")
    return None


def _check_septum(around: Surroundings, found: Findings, file: ConfigurationFile | None) -> None:
    """Look at Septum's own variables and its instrumentor."""
    # septum.otel is there now; at the head of this file it might not be.
    known = import_module("septum.otel._config")
    allowed: dict[str, str] = known.variables()
    for name, value in around.environ.items():
        if not name.startswith(known.PREFIX):
            continue
        if name not in allowed:
            # Without the prefix, by which all of them look alike.
            close = get_close_matches(name.removeprefix(known.PREFIX), [each.removeprefix(known.PREFIX) for each in allowed], n=1)
            hint = f"Did you mean {known.PREFIX}{close[0]}?" if close else f"There are {', '.join(allowed)}."
            found.add("variable", f"{name} is no variable of Septum. {hint} Rename it or unset it.")
            continue
        try:
            known.SeptumConfig.from_env({name: value})
        except ValueError as error:
            found.add("variable", f"{error} Correct it or unset it.")
    options = None if file is None else file.options
    try:
        made: Any = known.SeptumConfig.from_env(around.environ) if options is None else known.SeptumConfig(**_without_switch(options))
    except (TypeError, ValueError) as error:
        if options is not None:
            found.add("file", f"The section of Septum in the file of OTEL_CONFIG_FILE is wrong: {error} Correct the file.")
    else:
        found.settings = asdict(made)
    if not around.has("opentelemetry_instrumentor", "septum"):
        found.add(
            "instrumentor",
            "Septum's entry point for opentelemetry-instrument is missing, so that it does not trace machines: "
            'pip install --force-reinstall "septum[otel]"',
        )
    off = _disabled(around) & {"septum", "*"}
    if off:
        found.add("instrumentor", f"{_DISABLED} names {off.pop()!r}, so that opentelemetry-instrument leaves machines alone: take it out.")


def _check_sdk(around: Surroundings, found: Findings, file: ConfigurationFile | None) -> None:
    """Look at what makes and keeps spans: the SDK, its switch, its sampler, its limits."""
    if "opentelemetry-sdk" not in around.packages:
        found.add("sdk", 'opentelemetry-sdk is not installed, so nothing is recorded: pip install "septum[otlp]"')
    elif around.launcher and not around.plugins.get("opentelemetry_configurator"):
        found.add(
            "sdk", "opentelemetry-instrument sets up no SDK without a distribution of OpenTelemetry: pip install opentelemetry-distro"
        )
    if file is not None:
        if file.disabled:
            found.add("sdk", "The file of OTEL_CONFIG_FILE says disabled, so nothing is recorded: take that out.")
        if file.keeps_no_span:
            found.add("sampler", "The sampler in the file of OTEL_CONFIG_FILE drops every trace: use always_on, or a ratio above 0.")
        return
    if around.get("OTEL_SDK_DISABLED").lower() == "true":
        found.add("sdk", "OTEL_SDK_DISABLED is true, so nothing is recorded: unset it.")
    _check_sampler(around, found)
    for names, least, what in _LEAST:
        for name in names:
            _check_limit(name, around.get(name), least, what, found)


def _check_sampler(around: Surroundings, found: Findings) -> None:
    """Look at which traces are kept."""
    sampler, text = around.get("OTEL_TRACES_SAMPLER"), around.get("OTEL_TRACES_SAMPLER_ARG")
    if not sampler:
        return
    if sampler in {"always_off", "parentbased_always_off"}:
        found.add("sampler", f"OTEL_TRACES_SAMPLER is {sampler}, so no trace is kept: unset it, or use parentbased_always_on.")
    elif sampler in {"traceidratio", "parentbased_traceidratio"}:
        ratio = _number(text)
        if ratio == 0:
            found.add(
                "sampler",
                "OTEL_TRACES_SAMPLER_ARG is 0, so no trace is kept: set it to the part that is to be kept, such as 0.1, or unset it.",
            )
        elif not 0 < ratio <= 1:
            found.add(
                "sampler",
                f"OTEL_TRACES_SAMPLER_ARG is {text!r}; {sampler} needs a number above 0 and at most 1, such as 0.1 for one trace in ten: "
                "correct it.",
            )
    elif "opentelemetry-sdk" in around.packages and not around.has("opentelemetry_traces_sampler", sampler):
        there = ", ".join(sorted(around.plugins.get("opentelemetry_traces_sampler", ())))
        found.add(
            "sampler", f"OTEL_TRACES_SAMPLER is {sampler!r}, which is not installed, so that it counts for nothing: use one of {there}."
        )


def _check_limit(name: str, text: str, least: int, what: str, found: Findings) -> None:
    """Look at one limit of the SDK."""
    if not text or text.lower() == "unset":
        return
    if not text.isdecimal():
        found.add("limit", f"{name} is {text!r}, at which the SDK refuses to start: set it to a whole number, or unset it.")
    elif int(text) < least:
        found.add("limit", f"{name} is {text}, so that {what} are cut off: set it to {least} or more, or unset it.")


def _check_routes(around: Surroundings, found: Findings, file: ConfigurationFile | None) -> None:
    """Look at where each signal goes, by the file if there is one."""
    if file is not None:
        found.routes = file.routes
        if not found.routes:
            found.add("exporter", "The file of OTEL_CONFIG_FILE names no exporter, so nothing is exported: add one to its providers.")
        return
    if around.get("OTEL_CONFIG_FILE"):
        return  # the file cannot be read, and no variable stands in for it
    try:
        found.routes = routes_of_variables(around.environ, launcher=around.launcher)
    except ValueError as error:
        found.add("exporter", f"{error} Correct it.")
        return
    if "opentelemetry-sdk" not in around.packages:
        return
    off = [signal for signal in SIGNALS if around.get(f"OTEL_{signal.upper()}_EXPORTER").lower() == "none"]
    for signal in off:
        found.add("exporter", f"OTEL_{signal.upper()}_EXPORTER is none, so that no {signal} are exported: unset it, or set it to otlp.")
    if not found.routes and not off:
        found.add(
            "exporter",
            "Nothing is exported, since no variable says where to: set OTEL_EXPORTER_OTLP_ENDPOINT, such as http://localhost:4317, "
            "or OTEL_TRACES_EXPORTER=console.",
        )
    for route in found.routes:
        if route.signal not in off:
            _check_exporter(around, found, route)


def _check_exporter(around: Surroundings, found: Findings, route: Route) -> None:
    """Look at whether the exporter of one way is installed."""
    group = f"opentelemetry_{route.signal}_exporter"
    if around.has(group, route.exporter):
        return
    if route.exporter in {GRPC, HTTP}:
        package = f"opentelemetry-exporter-{route.exporter.replace('_', '-')}"
        found.add("exporter", f"{package} is not installed, so that {route.signal} cannot be sent: pip install {package}")
    else:
        there = ", ".join(sorted({*around.plugins.get(group, ()), "none", "otlp"}))
        found.add(
            "exporter",
            f"OTEL_{route.signal.upper()}_EXPORTER names {route.exporter!r}, which is not installed: install its package, "
            f"or use one of {there}.",
        )


def _check_answers(around: Surroundings, found: Findings) -> None:
    """Look at whether somebody listens where signals are sent to."""
    told: set[tuple[str, int]] = set()
    for route in found.routes:
        try:
            address = route.address()
        except ValueError as error:
            found.add(
                "endpoint", f"The endpoint of {route.signal}, {without_secrets(route.endpoint)!r}, {error}: write it as http://host:4317."
            )
            continue
        if address is None or address in told:
            continue
        told.add(address)
        signals = _listed([other.signal for other in found.routes if other.endpoint and _address(other) == address])
        port, protocol = _OTHER_PORT[route.exporter]
        if address[1] == port:
            way = "gRPC" if route.exporter == GRPC else "HTTP"
            found.add(
                "endpoint",
                f"{signals} go by {way} to port {port}, where OTLP is usually served as {protocol}: "
                f"set OTEL_EXPORTER_OTLP_PROTOCOL={protocol}, or use port {4317 if route.exporter == GRPC else 4318}.",
            )
        if around.connect is None:
            continue
        reason = found.answers[address] = around.connect(*address)
        if reason:
            host, number = address
            found.add(
                "endpoint",
                f"Nobody answers at {host}:{number}, where {signals} go ({reason}): start the collector there, "
                "or correct OTEL_EXPORTER_OTLP_ENDPOINT.",
            )


def _check_bridges(around: Surroundings, found: Findings) -> None:
    """Look at whether a log line may reach OTLP twice."""
    there = list(around.bridges)
    if around.launcher and not there:
        there = _coming_bridges(around)
    if len(there) > 1:
        found.add(
            "bridges",
            f"Logs may be exported twice, since there are {len(there)} ways to OTLP: {' and '.join(there)}; keep one: "
            "set OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false, or add structlog to OTEL_PYTHON_DISABLED_INSTRUMENTATIONS.",
        )


def _coming_bridges(around: Surroundings) -> list[str]:
    """Return words for each bridge that `opentelemetry-instrument` would put in."""
    off = _disabled(around)
    there: list[str] = []
    if "structlog" in around.packages and around.has("opentelemetry_instrumentor", "structlog") and not off & {"structlog", "*"}:
        there.append("opentelemetry-instrumentation-structlog")
    # The SDK's own handler is older; where it is on, the other stays out.
    if around.get("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED").lower() == "true":
        there.append("the SDK's LoggingHandler (OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED)")
    elif (
        _logging_has_handler(around)
        and not off & {"logging", "*"}
        and around.get("OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION").lower() in {"", "true"}
    ):
        there.append("opentelemetry-instrumentation-logging")
    return there


def _logging_has_handler(around: Surroundings) -> bool:
    """Say whether the instrumentor of `logging` is there, and new enough to have a handler."""
    package = around.packages.get("opentelemetry-instrumentation-logging")
    try:
        return package is not None and Version(package.version) >= Version("0.61b0")
    except InvalidVersion:
        return True


def _disabled(around: Surroundings) -> set[str]:
    """Return the names of the instrumentors that a variable keeps out."""
    return {name.strip() for name in around.get(_DISABLED).split(",")}


def _without_switch(options: dict[str, Any]) -> dict[str, Any]:
    """Return *options* of a file without the one that OpenTelemetry itself reads."""
    return {name: value for name, value in options.items() if name != "enabled"}


def _address(route: Route) -> tuple[str, int] | None:
    """Return where *route* leads; None if that cannot be told."""
    try:
        return route.address()
    except ValueError:
        return None


def _listed(signals: list[str]) -> str:
    """Return each of *signals* once, as a list in a sentence."""
    *others, last = dict.fromkeys(signals)
    return f"{', '.join(others)} and {last}" if others else last


def _number(text: str) -> float:
    """Return what *text* says; 1, all of them, if it says nothing, and no number if it says something else."""
    try:
        return float(text or 1)
    except ValueError:
        return math.nan
