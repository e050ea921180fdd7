"""The table: each goal as a row with what was measured, what must be and what is aimed at, as text for the terminal and for the docs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.metrics import METRICS
from tests.bench.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.bench.harness import Measured
    from tests.bench.timings import Pair

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
"""The docs page that takes the tables."""

START, END = "<!-- bench: start -->", "<!-- bench: end -->"
"""What surrounds the generated part of that page; those of the other programs have their names in place of "bench"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One goal.

    Attributes:
        what: What was done.
        against: What it is compared with; "" for a figure that stands alone.
        found: The figure, as shown.
        unit: Stands behind the figures: "x", "ns", "bytes", "%", "".
        must, aim: The bounds; None where there is none.
        at_least: The figure is to be no less than its bounds, rather than no more.
    """

    what: str
    against: str
    found: float
    unit: str
    must: float | None = None
    aim: float | None = None
    at_least: bool = False

    def holds(self, bound: float) -> bool:
        """Say whether the figure keeps to *bound*."""
        return self.found >= bound if self.at_least else self.found <= bound

    def judge(self, bound: float | None) -> str:
        """Return the bound with a mark."""
        if bound is None:
            return ""
        sign = ">=" if self.at_least else "<="
        return f"{sign} {figure(bound, self.unit)} {'PASS' if self.holds(bound) else 'miss'}"

    def cells(self) -> tuple[str, ...]:
        """Return the row's texts."""
        return (self.what, self.against, figure(self.found, self.unit), self.judge(self.must), self.judge(self.aim))


HEAD = ("what", "against", "measured", "must", "aim")


def figure(value: float, unit: str) -> str:
    """Return a figure as it is shown."""
    if unit == "x":
        return f"{value:.2f} x" if value < 10 else f"{value:,.0f} x"
    if unit in {"%", "ms"}:
        return f"{value:.1f} {unit}"
    return f"{value:,.0f} {unit}".rstrip()


def shown(value: float, unit: str) -> float:
    """Return *value* with the digits that are shown, so that a figure and its mark never contradict each other."""
    if unit == "x":
        return round(value, 2 if value < 10 else 0)
    return round(value, 1 if unit in {"%", "ms"} else 0)


def row(what: str, against: str, value: float, unit: str, **bounds: Any) -> Row:
    """Return a row whose figure has the digits that are shown."""
    return Row(what=what, against=against, found=shown(value, unit), unit=unit, **bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Bounds for one metric of Septum: most times the floor, and least times as fast as mycorrhizal with and without its prints."""

    metric: str
    what: str
    must: float
    aim: float
    upstream: float
    quiet: float


GOALS = (
    Goal(metric="tick", what="`await tick()`", must=1.8, aim=1.3, upstream=16, quiet=4.5),
    Goal(metric="run", what="run-driven transition", must=1.35, aim=1.1, upstream=20, quiet=7),
    Goal(metric="message", what="message: send and process", must=1.8, aim=1.3, upstream=11, quiet=5.5),
    Goal(metric="burst", what="500 messages queued, then one run", must=1.8, aim=1.3, upstream=35, quiet=28),
    Goal(metric="create", what="machine made and initialised", must=1.8, aim=1.2, upstream=50, quiet=40),
)

HOOK_TIME = 1.03
HOOK_INSTRUCTIONS = 2.0


def rows(measured: Measured, instructions: Mapping[str, Any] | None = None, soak: Mapping[str, Any] | None = None) -> list[Row]:
    """Return the goals for which there are figures.

    Args:
        measured: Times and weights.
        instructions: The figures of the gate for this Python, as `tests/bench/instructions.json` keeps them.
        soak: What `tests.bench.soak` found.
    """
    found = [line for goal in GOALS for line in _goal_rows(measured, goal)]
    found.extend(_other_rows(measured))
    found.extend(_telemetry_rows(measured))
    found.extend(_recording_rows(measured))
    if instructions is not None:
        for metric, count in instructions["septum-unhooked"].items():
            more = (instructions["septum"][metric] / count - 1) * 100
            found.append(
                row(f"hooks compiled in, none attached: instructions, {metric}", "without them", more, "%", must=HOOK_INSTRUCTIONS, aim=0)
            )
    if soak is not None:
        change = (soak["end"] / soak["start"] - 1) * 100
        what = f"soak, {soak['machines']:,} machines: memory after {soak['seconds']:.0f} s"
        found.append(row(what, f"after {soak['settled']:.0f} s", change, "%", must=5))
    return found


def _goal_rows(measured: Measured, goal: Goal) -> Iterator[Row]:
    timings = measured.timings
    pair = ("septum", goal.metric)
    if not timings.has(pair):
        return
    if timings.has(("floor", goal.metric)):
        yield row(goal.what, "floor", timings.ratio(pair, ("floor", goal.metric)), "x", must=goal.must, aim=goal.aim)
    for name, least in (("upstream", goal.upstream), ("upstream-quiet", goal.quiet)):
        if timings.has((name, goal.metric)):
            yield row(f"{goal.what}, times as fast", name, timings.ratio((name, goal.metric), pair), "x", must=least, at_least=True)
        if goal.metric == "burst" and timings.has((name, "burst-poll")):
            faster = timings.ratio((name, "burst-poll"), pair)
            yield row(f"{goal.what}, times as fast", f"{name}, run(timeout=0)", faster, "x", at_least=True)


def _other_rows(measured: Measured) -> Iterator[Row]:
    timings = measured.timings

    def both(one: Pair, other: Pair) -> bool:
        return timings.has(one) and timings.has(other)

    for name, few_of, must in (("septum", "septum-10", 1.05), ("upstream", "upstream", None)):
        many, few = (f"{name}-1000", "create"), (few_of, "create")
        if both(many, few):
            yield row(f"{name}: machine made with 1,000 states registered", "with 10", timings.ratio(many, few), "x", must=must)
    for (name, machines), size in measured.bytes.items():
        if name == "septum":
            yield row(f"live idle machine, {int(machines):,} of them", "", size, "bytes", must=256, aim=128)
    if "septum" in measured.left:
        yield row("of 1,000 machines, left after their last reference", "", measured.left["septum"], "", must=0)
    for name, must, aim in (("septum", 450, 200), ("upstream-quiet", None, None)):
        timed, plain = (name, "tick-timed"), (name, "tick")
        if both(timed, plain):
            yield row(f"{name}: timed state left early, a tick more", "", timings.ns(timed) - timings.ns(plain), "ns", must=must, aim=aim)
    grown, floor = _growth(measured, "septum"), _growth(measured, "floor")
    if grown is not None:
        yield row("10,000 machines gathered, a tick", "100 machines", grown, "x", must=1.25, aim=floor and shown(floor, "x"))
    for metric in ("tick", "run", "message", "create"):
        if both(("septum", metric), ("septum-unhooked", metric)):
            ratio = timings.ratio(("septum", metric), ("septum-unhooked", metric))
            yield row(f"hooks compiled in, none attached: {metric}", "without them", ratio, "x", must=HOOK_TIME, aim=1.0)
    for name, what, must in (
        ("septum-hook-nothing", "a hook that overrides nothing", 1.5),
        ("septum-hook-transitions", "a hook that overrides transition_taken", 3.0),
    ):
        if both((name, "run"), ("septum", "run")):
            yield row(f"{what}: run", "unobserved", timings.ratio((name, "run"), ("septum", "run")), "x", must=must)


def _telemetry_rows(measured: Measured) -> Iterator[Row]:
    timings = measured.timings
    bare, alone = ("bare-span", "visit"), ("septum", "run")
    if timings.has(bare):
        for name, what, bounds in (
            ("septum-traced", "traced visit, its span current", {"must": 1.2, "aim": 0.3}),
            ("transitions-spans", "transitions, a span for each state by hand", {}),
            ("python-statemachine-spans", "python-statemachine, a span for each state by hand", {}),
            ("xstate-spans", "xstate-statemachine with its OpenTelemetry plugin", {}),
        ):
            if timings.has((name, "visit")):
                yield row(what, "bare SDK span", timings.ratio((name, "visit"), bare), "x", **bounds)
        if timings.has(("septum-traced", "tick")):
            yield row("traced visit in a tick of its own", "bare SDK span", timings.ratio(("septum-traced", "tick"), bare), "x", must=1.2)
    if timings.has(alone):
        for name, what, must, aim in (
            ("septum-unsampled", "traced, not sampled: a visit more", 150, 100),
            ("septum-counts", "metrics, counts: a transition more", 60, 30),
            ("septum-states", "metrics, counts and time in state: a transition more", 1000, 250),
        ):
            if timings.has((name, "run")):
                yield row(what, "unobserved", timings.ns((name, "run")) - timings.ns(alone), "ns", must=must, aim=aim)
    if timings.has(("bare-record", "record")):
        yield row("bare SDK histogram record", "", timings.ns(("bare-record", "record")), "ns")
    if timings.has(("septum-collect", "collect")):
        yield row("collection of 500 series", "", timings.ns(("septum-collect", "collect")) / 1e6, "ms", must=20, aim=5)
    pauses = ("septum-collect", "pause"), ("bare-thread", "pause")
    if timings.has(pauses[0]) and timings.has(pauses[1]):
        what = "longest step of a machine while 2,000 series are collected"
        yield row(what, "while a thread computes", timings.ratio(*pauses), "x", must=1.5)
    for name, what, bounds in (
        ("septum-hook-transitions", "observed idle machine, bytes more", {"must": 1024, "aim": 512}),
        ("septum-states", "measured idle machine, bytes more", {}),
        ("septum-traced", "traced idle machine, with two open spans of the SDK, bytes more", {}),
    ):
        observed, plain = measured.bytes.get((name, "1000")), measured.bytes.get(("septum", "1000"))
        if observed is not None and plain is not None:
            yield row(what, "unobserved", observed - plain, "bytes", **bounds)


def _recording_rows(measured: Measured) -> Iterator[Row]:
    timings = measured.timings
    for name, what, run in (
        ("septum-flight", "flight recorder", 1000),
        ("septum-recorded", "recorded, metadata, into a file", 2000),
        ("septum-logged", "recorded, metadata, into the SDK's logs", 2000),
        ("septum-recorded-full", "recorded, everything, into a file", None),
    ):
        for metric, step, must in (("run", "a step", run), ("tick", "a tick", None), ("message", "a message", None)):
            if timings.has((name, metric)) and timings.has(("septum", metric)):
                more = timings.ns((name, metric)) - timings.ns(("septum", metric))
                yield row(f"{what}: {step} more", "unobserved", more, "ns", must=must)
    if timings.has(("bare-emit", "emit")):
        yield row("bare SDK log record", "", timings.ns(("bare-emit", "emit")), "ns")
    observed, plain = measured.bytes.get(("septum-flight", "1000")), measured.bytes.get(("septum", "1000"))
    if observed is not None and plain is not None:
        yield row("idle machine in a flight recorder, bytes more", "unobserved", observed - plain, "bytes")


def _growth(measured: Measured, name: str) -> float | None:
    many, few = (name, "gather-10000"), (name, "gather-100")
    if not (measured.timings.has(many) and measured.timings.has(few)):
        return None
    return measured.timings.ratio(many, few)


def times(measured: Measured) -> list[tuple[str, ...]]:
    """Return a table of all times: a line a subject, a column a metric, with its head."""
    timings = measured.timings
    metrics = [metric for metric in METRICS if any(timings.has((name, metric)) for name in SUBJECTS)]
    weights = {name: size for (name, machines), size in measured.bytes.items() if machines == "1000"}
    lines: list[tuple[str, ...]] = [("ns an operation", *metrics, *(["bytes"] if weights else []))]
    for name in SUBJECTS:
        cells = [_short(timings.ns((name, metric))) if timings.has((name, metric)) else "" for metric in metrics]
        if any(cells):
            weight = [f"{weights[name]:,.0f}" if name in weights else ""] if weights else []
            lines.append((name, *cells, *weight))
    return lines


def _short(value: float) -> str:
    """Return a time with three digits that count."""
    if value < 1000:
        return f"{value:.0f}"
    digits = len(f"{value:.0f}") - 3
    return f"{round(value, -digits):,.0f}"


def as_text(lines: Sequence[tuple[str, ...]]) -> str:
    """Return lines of cells as a table for a terminal; the first is the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    align: list[Callable[[str, int], str]] = [str.ljust, *([str.rjust] * (len(widths) - 1))]
    drawn = ["  ".join(put(cell, width) for put, cell, width in zip(align, line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([drawn[0], "  ".join("-" * width for width in widths), *drawn[1:]])


def as_markdown(lines: Sequence[tuple[str, ...]]) -> str:
    """Return lines of cells as a table for a page; the first is the head."""
    drawn = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([drawn[0], f"| --- |{' ---: |' * (len(lines[0]) - 1)}", *drawn[1:]])


def put_into(page: Path, text: str, name: str = "bench") -> None:
    """Replace what stands between the marks of *page* that have this name by *text*.

    Raises:
        ValueError: The page has no such marks, or in the wrong order; it is as before.
    """
    first, last = START.replace("bench", name), END.replace("bench", name)
    whole = page.read_text(encoding="utf-8")
    before, start, rest = whole.partition(first)
    _, end, after = rest.partition(last)
    if not start or not end:
        raise ValueError(f"{page} has no lines {first!r} and {last!r} to put the table between")
    page.write_text(f"{before}{first}\n{text}\n{last}{after}", encoding="utf-8")


def show(found: Sequence[Row], about: str, name: str, *, write: bool) -> None:
    """Print goals with a line about them, and put both between the marks of that name in docs/performance.md if *write* says so."""
    lines = [HEAD, *(line.cells() for line in found)]
    print(about, as_text(lines), sep="\n\n")
    if write:
        put_into(PAGE, f"\n{about}\n\n{as_markdown(lines)}\n", name)


def as_json(measured: Measured, found: Sequence[Row]) -> dict[str, Any]:
    """Return everything that was measured, for a file."""
    timings = measured.timings
    table: dict[str, Any] = {}
    for (name, metric), samples in timings.samples.items():
        low, high = timings.spread((name, metric))
        table.setdefault(name, {})[metric] = {
            "ns": round(timings.ns((name, metric)), 1),
            "quartiles": [round(low, 1), round(high, 1)],
            "samples": len(samples),
            "operations": samples[-1].count,
        }
    weights: dict[str, Any] = {}
    for (name, machines), size in measured.bytes.items():
        weights.setdefault(name, {})[machines] = round(size, 1)
    goals = []
    for line in found:
        goal = asdict(line)
        goal["passes"] = line.must is None or line.holds(line.must)
        goals.append(goal)
    return {"goals": goals, "times": table, "bytes": weights, "left": measured.left, "calibration_ns": round(timings.unit())}
