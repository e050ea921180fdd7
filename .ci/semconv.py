"""Write src/septum/semconv.py and docs/reference/telemetry.md from the registry; with --check, only say whether they are what it says.

The registry is src/septum/otel/registry/*.yaml, in the syntax of OpenTelemetry Weaver (definition/2). What is read here is checked here:
an error names the file and the entry. `make lint` checks, and tests/otel reads the registry with `load` and compares exports with it.
"""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    Keys = Mapping[str, type]

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = ROOT / "src" / "septum" / "otel" / "registry"
PACKAGE = ROOT / "src" / "septum"
PAGE = ROOT / "docs" / "reference" / "telemetry.md"

NONE: Keys = {}
TYPES = {"string": str, "int": int, "double": float, "boolean": bool, "string[]": list}
LEVELS = ("counts", "states", "standard", "full")
SEVERITIES = ("DEBUG", "INFO", "WARN", "ERROR")
WIDTH = 140  # characters of a line of semconv.py
LONGEST = 108  # characters of a brief, so that such a line holds it, its quotes and "One of `TransitionKind`."
OWN = "Septum's own values"


class Attribute(NamedTuple):
    """An attribute; `values` is the class of its closed set, `members` the set with a meaning each, `open` that others are allowed."""

    key: str
    type: str
    brief: str
    cardinality: str
    values: str = ""
    members: Mapping[str, str] = {}
    reserved: frozenset[str] = frozenset()
    open: bool = False


class Use(NamedTuple):
    """An attribute as a signal has it: `level` is required, conditionally_required, recommended or opt_in, `condition` in words."""

    attribute: Attribute
    level: str
    condition: str = ""


class Signal(NamedTuple):
    """A span, metric, event or link: what it is, its attributes by key, and what else the registry says of it."""

    name: str
    brief: str
    uses: Mapping[str, Use]
    traits: Mapping[str, Any]


class Registry(NamedTuple):
    """The whole registry, checked."""

    schema_url: str
    attributes: Mapping[str, Attribute]
    spans: Mapping[str, Signal]
    metrics: Mapping[str, Signal]
    events: Mapping[str, Signal]
    link: Signal


# The one in C reads ten times as fast; it is missing where PyYAML was built without libyaml.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """Refuses a key that stands twice, which YAML forbids and PyYAML lets through."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's signature
        keys = [key.value for key, _ in node.value]
        for key in keys:
            need(keys.count(key) == 1, Path(node.start_mark.name).name, f"line {node.start_mark.line + 1}", f"the key {key!r} stands twice")
        return super().construct_mapping(node, deep)


def need(true: object, file: str, entry: str, what: str) -> None:
    """Stop with a sentence that says where and *what*, unless *true*."""
    if not true:
        raise SystemExit(f"{file}: {entry}: {what}")


def shaped(value: Any, file: str, entry: str, required: Keys, optional: Keys = NONE) -> Mapping[str, Any]:
    """Return *value*, a mapping with exactly these keys and types of values."""
    known = {**required, **optional}
    need(isinstance(value, dict), file, entry, f"must be a mapping, not {value!r}")
    for key, inner in value.items():
        guess = difflib.get_close_matches(str(key), known, 1)
        need(key in known, file, entry, f"has the unknown key {key!r}{f'; did you mean {guess[0]!r}?' if guess else ''}")
        need(type(inner) is known[key], file, entry, f"{key!r} must be {known[key].__name__}, not {inner!r}")
    for key in required:
        need(key in value, file, entry, f"lacks the key {key!r}")
    if "brief" in value:
        text = value["brief"]
        right = text.endswith(".") and len(text) <= LONGEST
        need(right, file, entry, f"'brief' must be sentences of at most {LONGEST} characters: {text!r}")
        need(not set(text) & {'"', "\\", "\n"}, file, entry, f"'brief' must hold no double quote, backslash or line break: {text!r}")
    if "stability" in value:
        need(value["stability"] in {"development", "stable"}, file, entry, f"'stability' is {value['stability']!r}")
    return value


def read(folder: Path, file: str, lists: Mapping[str, type]) -> Mapping[str, Any]:
    """Return the content of a file of definitions."""
    with (folder / file).open(encoding="utf-8") as stream:
        content = yaml.load(stream, _Loader)  # noqa: S506 - a SafeLoader
    shaped(content, file, "the file", {"file_format": str, **lists})
    need(content["file_format"] == "definition/2", file, "file_format", "must be 'definition/2'")
    return content


def own_attribute(entry: Any) -> Attribute:
    """Return an attribute that the registry defines."""
    file = "attributes.yaml"
    name = str(entry.get("key") if isinstance(entry, dict) else entry)
    kind = entry.get("type") if isinstance(entry, dict) else None
    required = {"key": str, "brief": str, "stability": str, "annotations": dict, "type": dict if isinstance(kind, dict) else str}
    shaped(entry, file, name, required, {"examples": list, "note": str})
    need(re.fullmatch(r"septum(\.[a-z]+(_[a-z]+)*)+", name), file, name, "must be lower-case words after 'septum.'")
    notes = shaped(entry["annotations"], file, f"{name}: annotations", {"cardinality": str}, {"values": str})
    need(notes["cardinality"] in {"low", "high"}, file, name, f"'cardinality' must be low or high, not {notes['cardinality']!r}")
    if not isinstance(kind, dict):
        need(kind in TYPES, file, name, f"'type' must be members or one of {', '.join(TYPES)}, not {kind!r}")
        need("values" not in notes, file, name, "'values' is for a closed set")
        right = [type(example) is TYPES[kind] for example in entry.get("examples", [])]
        need(right and all(right), file, name, f"'examples' must be a list of {kind}")
        return Attribute(name, kind, entry["brief"], notes["cardinality"])
    need("values" in notes, file, name, "a closed set needs 'values', the name of its class in semconv.py")
    members: dict[str, str] = {}
    reserved: set[str] = set()
    for member in shaped(kind, file, f"{name}: type", {"members": list})["members"]:
        place = f"{name}: member {(member.get('id') if isinstance(member, dict) else member)!r}"
        shaped(member, file, place, {"id": str, "value": str, "stability": str}, {"brief": str, "annotations": dict})
        need(member["value"] == member["id"], file, place, "'value' must be the same as 'id'")
        need(member["value"] not in members, file, place, "stands twice")
        members[member["value"]] = member.get("brief", "")
        if shaped(member.get("annotations", {}), file, place, {}, {"reserved": bool}).get("reserved"):
            reserved.add(member["value"])
    need(members, file, name, "has no members")
    return Attribute(name, "string", entry["brief"], notes["cardinality"], notes["values"], members, frozenset(reserved))


def taken_attribute(entry: Any) -> Attribute:
    """Return an attribute that OpenTelemetry defines; its type, which Weaver takes from there, stands here among the annotations."""
    file = "attributes.yaml"
    name = str(entry.get("ref") if isinstance(entry, dict) else entry)
    shaped(entry, file, name, {"ref": str, "brief": str, "annotations": dict})
    notes = shaped(entry["annotations"], file, name, {"type": str, "cardinality": str}, {"values": str, "members": dict})
    need(notes["type"] in TYPES and notes["cardinality"] in {"low", "high"}, file, name, f"has wrong annotations: {notes!r}")
    need(("values" in notes) == ("members" in notes), file, name, "'values' and 'members' stand together")
    members = shaped(notes.get("members", {}), file, f"{name}: members", {}, dict.fromkeys(notes.get("members", {}), str))
    return Attribute(name, notes["type"], entry["brief"], notes["cardinality"], notes.get("values", ""), members, open=True)


def use(entry: Any, attributes: Mapping[str, Attribute], file: str, signal: str) -> Use:
    """Return an attribute as a signal has it."""
    level = entry.get("requirement_level") if isinstance(entry, dict) else None
    relevant = {"sampling_relevant": bool} if file == "spans.yaml" else {}
    shaped(entry, file, signal, {"ref": str, "requirement_level": dict if isinstance(level, dict) else str}, relevant)
    place = f"{signal}: {entry['ref']}"
    guess = difflib.get_close_matches(entry["ref"], attributes, 1)
    need(entry["ref"] in attributes, file, place, f"is no attribute of the registry{f'; did you mean {guess[0]!r}?' if guess else ''}")
    if isinstance(level, dict):
        need(len(level) == 1 and {*level} <= {"conditionally_required", "recommended", "opt_in"}, file, place, f"has the level {level!r}")
        ((level, condition),) = level.items()
        need(isinstance(condition, str) and condition, file, place, "the condition of 'requirement_level' must be words")
        return Use(attributes[entry["ref"]], level, condition)
    need(level in {"required", "recommended", "opt_in"}, file, place, f"has the level {level!r}")
    return Use(attributes[entry["ref"]], level)


def uses(entries: list[Any], attributes: Mapping[str, Attribute], file: str, signal: str) -> Mapping[str, Use]:
    """Return the attributes of a signal by their keys."""
    found: dict[str, Use] = {}
    for entry in entries:
        made = use(entry, attributes, file, signal)
        need(made.attribute.key not in found, file, f"{signal}: {made.attribute.key}", "stands twice")
        found[made.attribute.key] = made
    return found


def check_span(span: Signal) -> None:
    """Refuse a span whose name is not made of words and of attributes that are always there and have few values."""
    file, name = "spans.yaml", span.name
    need(span.traits["kind"] in {"internal", "producer", "consumer"}, file, name, f"'kind' is {span.traits['kind']!r}")
    pattern = shaped(span.traits["name"], file, f"{name}: name", {"note": str})["note"]
    required = dict.fromkeys(("operation", "starts", "ends", "error_when"), str)
    notes = shaped(span.traits["annotations"], file, f"{name}: annotations", required, {"option": str})
    operations = span.uses["septum.operation.name"].attribute.members if "septum.operation.name" in span.uses else {}
    need(notes["operation"] in operations, file, name, f"'operation' is {notes['operation']!r}, no member of its septum.operation.name")
    need(span.traits.get("requirement_level", "opt_in") == "opt_in", file, name, "'requirement_level' can only be opt_in")
    for key in re.findall(r"{([^}]*)}", pattern):
        used = span.uses.get(key)
        need(used and used.level == "required", file, name, f"its name holds {key!r}, which is not a required attribute of it")
        need(used.attribute.cardinality == "low", file, name, f"its name holds {key!r}, which has too many values")


def check_metric(metric: Signal) -> None:
    """Refuse a metric that is not counted in a unit, has unbounded attributes, or buckets that are none."""
    file, name, traits = "metrics.yaml", metric.name, metric.traits
    kind = traits["instrument"]
    need(kind in {"counter", "updowncounter", "gauge", "histogram"}, file, name, f"'instrument' is {kind!r}")
    need(re.fullmatch(r"s|\{[a-z]+\}", traits["unit"]), file, name, f"'unit' must be s or like {{message}}, not {traits['unit']!r}")
    required = {"level": str, "observable": bool, "value_type": str, **({"buckets": list} if kind == "histogram" else {})}
    notes = shaped(traits["annotations"], file, f"{name}: annotations", required)
    need(notes["level"] in LEVELS, file, name, f"'level' must be one of {', '.join(LEVELS)}, not {notes['level']!r}")
    need(notes["value_type"] == ("double" if traits["unit"] == "s" else "int"), file, name, f"'value_type' is {notes['value_type']!r}")
    need(notes["observable"] is not (kind == "histogram"), file, name, "histograms are recorded, everything else is observed")
    buckets = notes.get("buckets", [0.0])
    need(buckets == sorted({b for b in buckets if type(b) is float}), file, name, "'buckets' must be doubles in ascending order")
    for key, used in metric.uses.items():
        need(used.attribute.cardinality == "low", file, name, f"{key!r} has too many values for a metric")


def check_event(event: Signal) -> None:
    """Refuse an event whose severities are none."""
    notes = shaped(event.traits["annotations"], "events.yaml", event.name, {"severity": dict}, {"body": str, "scope": str})
    need(notes["severity"], "events.yaml", event.name, "has no severity")
    for severity, case in notes["severity"].items():
        need(severity in SEVERITIES and isinstance(case, str), "events.yaml", event.name, f"'severity' has {severity!r}: {case!r}")


def signals(folder: Path, kind: str, name: str, own: Mapping[str, type], attributes: Mapping[str, Attribute]) -> Mapping[str, Signal]:
    """Return the signals of the file *kind*.yaml by their names, which stand under *name*; *own* are the keys that only they have."""
    file = f"{kind}.yaml"
    found: dict[str, Signal] = {}
    for entry in read(folder, file, {kind: list})[kind]:
        place = str(entry.get(name) if isinstance(entry, dict) else entry)
        required = {name: str, "brief": str, "stability": str, "attributes": list, "annotations": dict, **own}
        shaped(entry, file, place, required, {"requirement_level": str, "note": str})
        need(re.fullmatch(r"septum(\.[a-z]+)+", place), file, place, "must be lower-case words after 'septum.'")
        need(place not in found, file, place, "stands twice")
        signal = Signal(place, entry["brief"], uses(entry["attributes"], attributes, file, place), entry)
        {"spans": check_span, "metrics": check_metric, "events": check_event}[kind](signal)
        found[place] = signal
    return found


def load(folder: Path) -> Registry:
    """Return the registry in *folder*.

    Raises:
        SystemExit: Something in it is not as it must be; the text names the file and the entry.
    """
    with (folder / "manifest.yaml").open(encoding="utf-8") as stream:
        manifest = yaml.load(stream, _Loader)  # noqa: S506 - a SafeLoader
    shaped(manifest, "manifest.yaml", "the file", {"schema_url": str, "description": str, "stability": str, "dependencies": list})
    url = manifest["schema_url"]
    need(re.fullmatch(r"https://.+/\d+\.\d+\.\d+", url), "manifest.yaml", "schema_url", f"must end in a version: {url!r}")
    content = read(folder, "attributes.yaml", {"attributes": list, "attribute_groups": list})
    groups = {str(group.get("id")): group for group in content["attribute_groups"] if isinstance(group, dict)}
    need(groups.keys() == {"septum.upstream", "septum.link"}, "attributes.yaml", "attribute_groups", f"are {sorted(groups)}")
    upstream = groups["septum.upstream"]
    shaped(upstream, "attributes.yaml", "septum.upstream", {"id": str, "visibility": str, "attributes": list})
    attributes: dict[str, Attribute] = {}
    for made in [*map(own_attribute, content["attributes"]), *map(taken_attribute, upstream["attributes"])]:
        need(made.key not in attributes, "attributes.yaml", made.key, "stands twice")
        attributes[made.key] = made
    required = {"id": str, "visibility": str, "brief": str, "stability": str, "attributes": list}
    group = shaped(groups["septum.link"], "attributes.yaml", "septum.link", required)
    link = Signal("septum.link", group["brief"], uses(group["attributes"], attributes, "attributes.yaml", "septum.link"), group)
    registry = Registry(
        url,
        attributes,
        signals(folder, "spans", "type", {"kind": str, "name": dict}, attributes),
        signals(folder, "metrics", "name", {"instrument": str, "unit": str}, attributes),
        signals(folder, "events", "name", {}, attributes),
        link,
    )
    everything = [link, *registry.spans.values(), *registry.metrics.values(), *registry.events.values()]
    unused = sorted(attributes.keys() - {key for signal in everything for key in signal.uses})
    need(not unused, "attributes.yaml", ", ".join(unused), "is used by no signal")
    return registry


# ---- septum/semconv.py

MODULE = Template('''\
"""Names that Septum's telemetry is made of: attributes, their closed sets of values, instruments, events. Constants only.

Whoever reads exported telemetry (replay, dashboards, tests) takes the names from here and needs no OpenTelemetry for it.
Written by .ci/semconv.py from septum/otel/registry: edit the YAML there. docs/reference/telemetry.md is the same for people.
"""

from __future__ import annotations

from typing import Final

from septum._instruments import Instrument, Metric
from septum._values import (
$names
)

__all__ = [
$exported
]

SCOPE: Final = "septum"
"""Name of the instrumentation scope of every span, metric and event."""

SCHEMA_URL: Final = "$schema_url"
"""Version of the names in this file; stands on every exported scope."""

OTHER: Final = "_OTHER"
"""What an attribute of a metric says in place of a value that is too many, or that the definition does not know."""

$attributes


class Event:
    """Names of events (`event_name` of a log record)."""

$events
''')

VALUES = Template('''\
"""The closed sets of what an attribute of telemetry may say; `septum.semconv` is where they are imported from.

Written by .ci/semconv.py from septum/otel/registry: edit the YAML there.
"""

from __future__ import annotations

from typing import Final


$sets
''')

INSTRUMENTS = Template('''\
"""The instruments of telemetry; `septum.semconv` is where they are imported from.

Written by .ci/semconv.py from septum/otel/registry: edit the YAML there.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Instrument(NamedTuple):
    """What an instrument is made with; `buckets` are the advisory boundaries of a histogram."""

    name: str
    kind: str
    unit: str
    brief: str
    buckets: tuple[float, ...] = ()


class Metric:
    """Instruments; histograms are recorded, all others are observed."""

$metrics
''')


def constant(name: str) -> str:
    """Return the name of the constant for *name*."""
    return name.removeprefix("septum.").replace(".", "_").upper()


def instrument(metric: Signal) -> str:
    """Return the line, or lines, that make a metric's constant."""
    traits = metric.traits
    arguments = [f'"{text}"' for text in (metric.name, traits["instrument"], traits["unit"], metric.brief)]
    if "buckets" in traits["annotations"]:
        arguments.append(f"({', '.join(map(repr, traits['annotations']['buckets']))})")
    line = f"    {constant(metric.name)}: Final = Instrument({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"    {constant(metric.name)}: Final = Instrument(", *[f"        {text}," for text in arguments], "    )"])


def constants(registry: Registry) -> dict[Path, str]:
    """Return septum/semconv.py and the two files that it takes names from."""
    closed = [attribute for attribute in registry.attributes.values() if attribute.values]
    classes = sorted({attribute.values for attribute in closed})
    named = [constant(attribute.key) for attribute in registry.attributes.values()]
    exported = sorted({*named, "OTHER", "SCHEMA_URL", "SCOPE"}) + sorted({*classes, "Event", "Instrument", "Metric"})
    names = MODULE.substitute(
        schema_url=registry.schema_url,
        names="\n".join(f"    {name}," for name in classes),
        exported="\n".join(f'    "{name}",' for name in exported),
        attributes="\n\n".join(
            f'{constant(a.key)}: Final = "{a.key}"\n"""{a.brief}{f" One of `{a.values}`." if a.values and not a.open else ""}"""'
            for a in registry.attributes.values()
        ),
        events="\n".join(f'    {constant(name)}: Final = "{name}"' for name in registry.events),
    )
    values = VALUES.substitute(
        sets="\n\n\n".join(
            f'class {a.values}:\n    """{OWN if a.open else "Values"} of `{a.key}`."""\n\n'
            + "\n".join(f'    {value.upper()}: Final = "{value}"' for value in a.members)
            for a in closed
        ),
    )
    instruments = INSTRUMENTS.substitute(metrics="\n".join(map(instrument, registry.metrics.values())))
    return {PACKAGE / "semconv.py": names, PACKAGE / "_values.py": values, PACKAGE / "_instruments.py": instruments}


# ---- docs/reference/telemetry.md

TELEMETRY = Template("""\
<!-- Written by .ci/semconv.py from septum/otel/registry: edit the YAML there. -->

# Telemetry

What `septum.otel` emits: every span, metric and event, with every attribute.
The names are constants in `septum.semconv`; their version is `$schema_url`, the schema URL of the instrumentation scope `septum`.
The registry itself is part of the package, as YAML in the syntax of OpenTelemetry Weaver 0.25: `septum/otel/registry`.
A test compares it with what a program exports, in both directions.
If you have Weaver, `weaver registry live-check -r septum/otel/registry` does so with what yours exports.

An attribute is *required* (always there), there under a condition (*if ...*), or *opt-in*.
Of metrics and events those without a condition are required.
Its cardinality says how many values it can have: *low* ones are safe to group by, *high* ones grow with your traffic.
Metrics and names of spans have low ones only; on a metric, the 257th value of an attribute and all later ones become `_OTHER`.

## Spans

The status of a span is ERROR only where the table says so, and unset otherwise, never OK.

| name | kind | covers | from | until | ERROR when | needs |
| --- | --- | --- | --- | --- | --- | --- |
$spans

$span_attributes

### Links

| attribute | there | cardinality | means |
| --- | --- | --- | --- |
$link_attributes

## Metrics

`metrics=` is `"off"`, `"counts"`, `"states"`, `"standard"` or `"full"`, each with everything of those before it.
Counters and gauges are read when your reader collects, and cost a machine an addition; histograms are recorded.
The Prometheus names are those of the classic translation.

| metric | says | instrument | unit | attributes | Prometheus | from `metrics=` |
| --- | --- | --- | --- | --- | --- | --- |
$metrics

Bounds of the buckets, in seconds, if your views say nothing else:

$buckets

## Events

Log records with an `event_name`, in the context of the span in which they happen.

| event | severity | says | attributes |
| --- | --- | --- | --- |
$events

## Attributes

| attribute | type | cardinality | means |
| --- | --- | --- | --- |
$attributes

## Closed sets

$sets
""")


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def there(used: Use) -> str:
    """Return words for when a signal has an attribute."""
    if used.level == "opt_in":
        return f"opt-in{f', {used.condition}' if used.condition else ''}"
    return used.condition or used.level


def attribute_rows(signal: Signal) -> str:
    """Return the rows of a signal's attributes."""
    return "\n".join(row(f"`{k}`", there(u), u.attribute.cardinality, u.attribute.brief) for k, u in signal.uses.items())


def attribute_table(heading: str, signal: Signal) -> str:
    """Return a section with the attributes of a signal."""
    return f"### {heading}\n\n| attribute | there | cardinality | means |\n| --- | --- | --- | --- |\n{attribute_rows(signal)}"


def prometheus(metric: Signal) -> str:
    """Return the name that the classic translation to Prometheus gives a metric."""
    seconds = "_seconds" if metric.traits["unit"] == "s" else ""
    end = {"counter": "_total", "histogram": "_bucket"}.get(metric.traits["instrument"], "")
    return f"`{metric.name.replace('.', '_')}{seconds}{end}`"


def listed(signal: Signal) -> str:
    """Return the attributes of a signal in a line."""
    return ", ".join(f"`{key}`{'' if used.level == 'required' else f' ({there(used)})'}" for key, used in signal.uses.items())


def severities(event: Signal) -> str:
    """Return the severities of an event, each with its case if there are several."""
    cases = event.traits["annotations"]["severity"]
    return "; ".join(severity if len(cases) == 1 else f"{severity} if {case}" for severity, case in cases.items())


def said(event: Signal) -> str:
    """Return what an event says."""
    body = event.traits["annotations"].get("body")
    return f"{event.brief} The body is {body}." if body else event.brief


def span_row(span: Signal) -> str:
    """Return a span's row."""
    notes = span.traits["annotations"]
    name, kind = f"`{span.traits['name']['note']}`", span.traits["kind"].upper()
    return row(name, kind, span.brief, notes["starts"], notes["ends"], notes["error_when"], notes.get("option", ""))


def page(registry: Registry) -> str:
    """Return docs/reference/telemetry.md."""
    spans, metrics, events = registry.spans.values(), registry.metrics.values(), registry.events.values()
    return TELEMETRY.substitute(
        schema_url=registry.schema_url,
        spans="\n".join(map(span_row, spans)),
        span_attributes="\n\n".join(attribute_table(f"Attributes of `{span.name}`", span) for span in spans),
        link_attributes=attribute_rows(registry.link),
        metrics="\n".join(
            row(
                f"`{m.name}`",
                m.brief,
                f"{'observable ' if m.traits['annotations']['observable'] else ''}{m.traits['instrument']}",
                f"`{m.traits['unit']}`",
                listed(m),
                prometheus(m),
                f'`"{m.traits["annotations"]["level"]}"`',
            )
            for m in metrics
        ),
        buckets="\n".join(
            f"* `{m.name}`: {', '.join(f'{bound:g}' for bound in m.traits['annotations']['buckets'])}"
            for m in metrics
            if "buckets" in m.traits["annotations"]
        ),
        events="\n".join(row(f"`{event.name}`", severities(event), said(event), listed(event)) for event in events),
        attributes="\n".join(row(f"`{a.key}`", a.type, a.cardinality, a.brief) for a in registry.attributes.values()),
        sets="\n\n".join(
            f"### `{a.key}`{', besides class names of exceptions' if a.open else ''}\n\n| value | means |\n| --- | --- |\n"
            + "\n".join(row(f"`{value}`", "reserved" if value in a.reserved else meaning) for value, meaning in a.members.items())
            for a in registry.attributes.values()
            if a.members
        ),
    )


def stale() -> dict[Path, str]:
    """Return the files that are not what the registry says, with what they should be."""
    registry = load(REGISTRY)
    texts = {**constants(registry), PAGE: page(registry)}
    return {path: text for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text}


def main(arguments: list[str]) -> int:
    """Write the stale files, or with --check name them and fail."""
    texts = stale()
    if "--check" in arguments:
        for path in texts:
            sys.stderr.write(f"{'/'.join(path.parts[-3:])} is not what the registry says: run python .ci/semconv.py\n")
        return bool(texts)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
