"""Compares exported telemetry with the registry: `Conformance` is fed what in-memory exporters hold, and says what is wrong or missing.

conformance = Conformance()
conformance.see_spans(span_exporter.get_finished_spans())
conformance.see_metrics(reader.get_metrics_data())
conformance.see_logs(log_exporter.get_finished_logs())
assert conformance.problems == []
assert conformance.unseen == []          # only for a workload that touches everything
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import Meter, MeterProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.metrics.export import ExponentialHistogram, Gauge, Histogram, NumberDataPoint, Sum
from opentelemetry.trace import StatusCode

import septum
from septum import semconv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import Metric, MetricsData
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

REGISTRY: Final = Path(septum.__file__).parent / "otel" / "registry"
"""Where the installed package has its registry."""

# Renamed in OpenTelemetry 1.39.
LogExporter: Final = getattr(log_export, "InMemoryLogRecordExporter", None) or log_export.InMemoryLogExporter
"""Keeps log records."""

SCRIPT: Final = Path(__file__).resolve().parents[2] / ".ci" / "semconv.py"

EXCEPTION: Final = {"exception.type": str, "exception.message": str, "exception.stacktrace": str, "exception.escaped": str}
"""Attributes of the span event that OpenTelemetry itself makes of an exception."""

TEXTS: Final = {"exception.message", "exception.stacktrace"}
"""Attributes that hold an exception's own words."""


def registry_script() -> Any:
    """Return .ci/semconv.py as a module that reads and compares the files of the installed package."""
    spec = spec_from_file_location("semconv_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.REGISTRY, module.PACKAGE = REGISTRY, Path(semconv.__file__).parent
    return module


@cache
def registry() -> Any:
    """Return the registry of the installed package."""
    return registry_script().load(REGISTRY)


class Conformance:
    """What was exported, held against the registry.

    Attributes:
        problems: A sentence for each thing that is not as the registry has it, each once, in the order in which they were seen.
    """

    def __init__(self, *, secrets: Iterable[str] = ()) -> None:
        """Begin with nothing seen.

        Args:
            secrets: Texts that users sent in messages; they may stand nowhere but in the text of an exception.
        """
        self.registry = registry()
        self.problems: list[str] = []
        self._secrets = tuple(secrets)
        self._seen: set[tuple[str, ...]] = set()
        self._operations = {span.traits["annotations"]["operation"]: span for span in self.registry.spans.values()}

    # ---- what was exported

    def see_spans(self, spans: Iterable[ReadableSpan]) -> None:
        """Compare *spans*; those of other scopes are nobody's business, unless they carry Septum's attributes."""
        for span in spans:
            attributes = span.attributes or {}
            if not _is_ours(span.instrumentation_scope):
                self._need(not _septums(attributes), f"span {span.name!r} has Septum's attributes but the scope of somebody else")
                continue
            self._scope(f"span {span.name!r}", span.instrumentation_scope)
            declared = self._operations.get(str(attributes.get(semconv.OPERATION_NAME)))
            if declared is None:
                self._problem(f"span {span.name!r} is of no kind that is declared")
            else:
                self._span(span, declared, attributes)

    def see_metrics(self, data: MetricsData | None) -> None:
        """Compare all metrics of *data*; None, what a reader has before anything was made, holds none."""
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if not _is_ours(scope.scope):
                        self._need(not metric.name.startswith("septum."), f"metric {metric.name} has the scope of somebody else")
                        continue
                    self._scope(f"metric {metric.name}", scope.scope)
                    declared = self.registry.metrics.get(metric.name)
                    if declared is None:
                        self._problem(f"metric {metric.name} is not declared")
                    else:
                        self._metric(metric, declared)

    def see_logs(self, logs: Iterable[ReadableLogRecord]) -> None:
        """Compare the events among *logs*."""
        for log in logs:
            record = log.log_record
            name = str(record.event_name or "")
            if not _is_ours(log.instrumentation_scope):
                self._need(not name.startswith("septum."), f"event {name} has the scope of somebody else")
                continue
            declared = self.registry.events.get(name)
            scope = semconv.SCOPE if declared is None else declared.traits["annotations"].get("scope", semconv.SCOPE)
            self._scope(f"event {name}", log.instrumentation_scope, scope)
            if declared is None:
                self._problem(f"event {name!r} is not declared")
            else:
                self._event(record, declared)

    def see_instruments(self, watching: WatchingMeterProvider) -> None:
        """Compare how instruments were made: an export does not show whether one was observable, nor one that never had a value."""
        for kind, name, unit, description in watching.made:
            declared = self.registry.metrics.get(name)
            if declared is None:
                self._problem(f"metric {name} is not declared")
                continue
            traits = declared.traits
            expected = f"{'observable_' if traits['annotations']['observable'] else ''}{traits['instrument']}"
            expected = expected.replace("updowncounter", "up_down_counter")
            self._same(f"metric {name}", "instrument", kind, expected)
            self._same(f"metric {name}", "unit", unit, traits["unit"])
            self._same(f"metric {name}", "description", description, declared.brief)

    @property
    def unseen(self) -> list[str]:
        """What is declared and was not exported: signals, their attributes, severities, members of closed sets."""
        missing = []
        for kind, signals in (("span", self.registry.spans), ("metric", self.registry.metrics), ("event", self.registry.events)):
            for signal in signals.values():
                if (kind, signal.name) in self._seen:
                    missing += [f"{kind} {signal.name}: {key}" for key in signal.uses if (kind, signal.name, key) not in self._seen]
                else:
                    missing.append(f"{kind} {signal.name}")
        missing += [f"link: {key}" for key in self.registry.link.uses if ("link", "septum.link", key) not in self._seen]
        missing += [
            f"event {event.name}: severity {severity}"
            for event in self.registry.events.values()
            for severity in event.traits["annotations"]["severity"]
            if ("severity", event.name, severity) not in self._seen
        ]
        missing += [
            f"{attribute.key}: {member}"
            for attribute in self.registry.attributes.values()
            for member in attribute.members
            if member not in attribute.reserved and ("value", attribute.key, member) not in self._seen
        ]
        return missing

    # ---- one of each

    def _span(self, span: ReadableSpan, declared: Any, attributes: Mapping[str, Any]) -> None:
        what = f"span {declared.name}"
        self._attributes("span", declared, attributes)
        self._same(what, "kind", span.kind.name.lower(), declared.traits["kind"])
        name = re.sub(r"{([^}]*)}", lambda found: str(attributes.get(found[1])), declared.traits["name"]["note"])
        self._same(what, "name", span.name, name)
        for key, value in attributes.items():
            attribute = self.registry.attributes.get(key)
            unbounded = attribute is not None and attribute.cardinality == "high" and isinstance(value, str) and value
            self._need(not unbounded or value not in span.name, f"{what} has the value of {key} in its name: {span.name!r}")
        self._check_secrets(what, {"name": span.name})
        failed = span.status.status_code is StatusCode.ERROR
        self._need(span.status.status_code is not StatusCode.OK, f"{what} has the status OK")
        self._need(failed == (semconv.ERROR_TYPE in attributes), f"{what} has either error.type or the status ERROR, not both")
        self._need(failed or not span.status.description, f"{what} has a description of its status and no ERROR")
        ended = span.start_time is not None and span.end_time is not None and span.start_time <= span.end_time
        self._need(ended, f"{what} ends before it starts, or never")
        for link in span.links:
            self._attributes("link", self.registry.link, link.attributes or {})
            self._need(link.context.is_valid, f"{what} has a link to nothing")
        for event in span.events:
            wrong = {key for key, value in (event.attributes or {}).items() if EXCEPTION.get(key) is not type(value)}
            self._need(event.name == "exception" and not wrong, f"{what} has a span event {event.name!r}{_listed(wrong)}")

    def _metric(self, metric: Metric, declared: Any) -> None:
        what = f"metric {metric.name}"
        traits, notes = declared.traits, declared.traits["annotations"]
        self._same(what, "unit", metric.unit, traits["unit"])
        self._same(what, "description", metric.description, declared.brief)
        self._same(what, "instrument", _instrument(metric), traits["instrument"])
        right = int if notes["value_type"] == "int" else float
        for point in metric.data.data_points:
            self._attributes("metric", declared, point.attributes or {})
            value = point.value if isinstance(point, NumberDataPoint) else point.sum
            # The SDK adds up doubles from an int 0.
            self._need(
                type(value) is right or (right is float and value == 0), f"{what} has the value {value!r}, which is no {right.__name__}"
            )
            self._need(value >= 0, f"{what} has the negative value {value!r}")
            if isinstance(metric.data, Histogram):
                self._same(what, "buckets", list(point.explicit_bounds), notes.get("buckets"))
        self._need(metric.data.data_points, f"{what} was exported without a point")

    def _event(self, record: Any, declared: Any) -> None:
        what = f"event {declared.name}"
        notes = declared.traits["annotations"]
        self._attributes("event", declared, record.attributes or {})
        severity = "none" if record.severity_number is None else record.severity_number.name
        self._need(severity in notes["severity"], f"{what} has the severity {severity}")
        self._need(record.severity_text in {None, severity}, f"{what} has the severity {severity} with the text {record.severity_text!r}")
        self._seen.add(("severity", declared.name, severity))
        right: tuple[type, ...] = (Mapping,) if "body" in notes and "scope" not in notes else (str, type(None))
        self._need(isinstance(record.body, right), f"{what} has the body {record.body!r}")
        self._check_secrets(what, {"body": record.body} if isinstance(record.body, str) else {})
        self._need(record.timestamp, f"{what} has no timestamp")

    def _attributes(self, kind: str, declared: Any, attributes: Mapping[str, Any]) -> None:
        """Compare the attributes of one span, link, point or record with those of its declaration."""
        what = kind if kind == "link" else f"{kind} {declared.name}"
        self._seen.add((kind, declared.name))
        for key, value in attributes.items():
            self._seen.add((kind, declared.name, key))
            if key in declared.uses:
                self._value(what, declared.uses[key].attribute, value)
            else:
                self._problem(f"{what} has the attribute {key}, which is not declared for it")
        for key, used in declared.uses.items():
            self._need(used.level != "required" or key in attributes, f"{what} lacks the attribute {key}")
        self._check_secrets(what, attributes)

    def _value(self, what: str, attribute: Any, value: Any) -> None:
        """Compare one value with its attribute: its exact type (no bool for an int, no int for a double), and its closed set."""
        key = attribute.key
        if attribute.type == "string[]":
            right = isinstance(value, Sequence) and not isinstance(value, str) and all(type(part) is str for part in value)
        else:
            right = type(value) is {"string": str, "int": int, "double": float, "boolean": bool}[attribute.type]
        self._need(right, f"{what} has {key} = {value!r}, which is no {attribute.type}")
        if not attribute.members or not isinstance(value, str):
            return
        self._seen.add(("value", key, value))
        self._need(attribute.open or value in attribute.members, f"{what} has {key} = {value!r}, which is no member of its set")
        self._need(value not in attribute.reserved, f"{what} has {key} = {value!r}, which is reserved")

    # ---- small parts

    def _scope(self, what: str, scope: InstrumentationScope | None, declared: str = semconv.SCOPE) -> None:
        """Compare the instrumentation scope."""
        found = ("", "") if scope is None else (scope.name, scope.schema_url)
        self._same(what, "scope and schema URL", found, (declared, self.registry.schema_url))

    def _check_secrets(self, what: str, texts: Mapping[str, Any]) -> None:
        for key, value in texts.items():
            told = [secret for secret in self._secrets if key not in TEXTS and secret in str(value)]
            self._need(not told, f"{what} tells what users sent, in {key}: {value!r}")

    def _same(self, what: str, aspect: str, found: object, expected: object) -> None:
        self._need(found == expected, f"{what} has the {aspect} {found!r}, declared is {expected!r}")

    def _need(self, true: object, problem: str) -> None:
        if not true:
            self._problem(problem)

    def _problem(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


class WatchingMeterProvider(MeterProvider):
    """Passes everything on to an SDK's provider and notes which instruments were made, as (kind, name, unit, description)."""

    def __init__(self, provider: MeterProvider) -> None:
        self.made: list[tuple[str, str, str, str]] = []
        self._provider = provider

    def get_meter(self, *arguments: Any, **named: Any) -> Meter:
        """Return the provider's meter, watched."""
        meter = self._provider.get_meter(*arguments, **named)
        for method in [name for name in dir(Meter) if name.startswith("create_")]:
            setattr(meter, method, self._watched(method.removeprefix("create_"), getattr(meter, method)))
        return meter

    def _watched(self, kind: str, create: Any) -> Any:
        def make(name: str, *arguments: Any, **named: Any) -> Any:
            # name, (callbacks,) unit, description: by position or by name
            rest = list(arguments[1:] if kind.startswith("observable_") else arguments)
            unit, description = (
                named.get(key, rest[place] if len(rest) > place else "") for place, key in enumerate(("unit", "description"))
            )
            self.made.append((kind, name, unit, description))
            return create(name, *arguments, **named)

        return make


def _instrument(metric: Metric) -> str:
    """Return the kind of instrument that makes such data."""
    match metric.data:
        case Sum(is_monotonic=monotonic):
            return "counter" if monotonic else "updowncounter"
        case Gauge():
            return "gauge"
        case Histogram() | ExponentialHistogram():
            return "histogram"
        case other:
            return type(other).__name__


def _is_ours(scope: InstrumentationScope | None) -> bool:
    """Say whether this is Septum's scope, or one that looks like it."""
    return scope is not None and re.match(r"septum(\.otel.*|\.recording)?$", scope.name) is not None


def _septums(attributes: Mapping[str, Any]) -> bool:
    return any(key.startswith("septum.") for key in attributes)


def _listed(keys: Iterable[str]) -> str:
    return "".join(f", with {key}" for key in sorted(keys))
