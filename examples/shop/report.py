"""What is printed: the tables, and one order's trace as a tree."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from septum import semconv
from shop.machine import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from shop.book import Order
    from shop.telemetry import Point, Record, Span
    from shop.watcher import Watcher

NO_ANSWER = "cut off"
COLOURS = {"Shipped": "green", "Cancelled": "yellow", "Failed": "red"}


def states_table(watcher: Watcher) -> Table:
    """Return one row a state, in the order in which an order may meet them."""
    table = _table("States")
    table.add_column("state")
    for heading in ("visits", "median", "p95", "retries", "timeouts", "errors"):
        table.add_column(heading, justify="right")
    for state in _in_walking_order(watcher):
        times = sorted(watcher.times[state])
        table.add_row(
            Text(state, style=COLOURS.get(state, "")),
            f"{watcher.started[state]:,}",
            _seconds(median(times)) if times else "",
            _seconds(times[ceil(0.95 * len(times)) - 1]) if times else "",
            *(f"{counts[state]:,}" if counts[state] else "" for counts in (watcher.retries, watcher.timeouts, watcher.errors)),
        )
    table.add_section()
    sums = (watcher.retries, watcher.timeouts, watcher.errors)
    table.add_row("all", f"{watcher.started.total():,}", "", "", *(f"{counts.total():,}" for counts in sums), style="bold")
    return table


def transitions_table(watcher: Watcher) -> Table:
    """Return one row a transition: from where, by which label, to where, how often."""
    table = _table("Transitions")
    for heading in ("from", "label", "to", "kind"):
        table.add_column(heading)
    table.add_column("count", justify="right")
    places = {state: place for place, state in enumerate(_in_walking_order(watcher))}
    rows = sorted(watcher.transitions.items(), key=lambda row: (places[row[0][0]], -row[1], row[0][1] or ""))
    for (source, label, target, kind), count in rows:
        table.add_row(source, (label or "").removeprefix("Events."), Text(target, style=COLOURS.get(target, "")), kind, f"{count:,}")
    table.add_section()
    table.add_row("all", "", "", "", f"{watcher.transitions.total():,}", style="bold")
    return table


def ends_table(ends: Mapping[str, str], notes: Mapping[str, Sequence[str]]) -> Table:
    """Return how the orders ended, and why those did that were not shipped."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", min_width=5)
    table.add_column()
    table.add_column(style="dim")
    for state in TERMINAL:
        why = Counter(note for order, end in ends.items() if end == state for note in notes[order] if note != "on its way")
        reasons = ", ".join(f"{count} {note}" for note, count in why.most_common())
        table.add_row(f"{list(ends.values()).count(state):,}", Text(state.lower(), style=COLOURS[state]), reasons)
    return table


def metrics_table(metrics: Mapping[str, Sequence[Point]]) -> Table:
    """Return one row a metric that counts or times something: how many series, what they add up to, and how long it took."""
    table = _table("Metrics, as they stand in the file")
    table.add_column("metric")
    for heading in ("series", "count", "mean"):
        table.add_column(heading, justify="right")
    for name in sorted(metrics, key=lambda name: (name.endswith(".duration"), name)):
        count = sum(point.count for point in metrics[name])
        if count:  # what machines are doing now, and what waits: nothing, they have all come to their ends
            timed = name.endswith(".duration")
            mean = _seconds(sum(point.sum for point in metrics[name]) / count) if timed else ""
            table.add_row(name, f"{len(metrics[name]):,}", f"{count:,}", mean)
    return table


def events_table(events: Sequence[Record]) -> Table:
    """Return one row a name of an event: how many there were."""
    table = _table("Events, as they stand in the file")
    table.add_column("event")
    table.add_column("count", justify="right")
    for name, count in sorted(Counter(event.event for event in events).items()):
        table.add_row(name, f"{count:,}")
    return table


def throughput_line(seconds: float, watcher: Watcher, *, orders: int, requests: int) -> str:
    """Return what was done per second."""
    counts = {"orders": orders, "visits": watcher.started.total(), "transitions": watcher.transitions.total(), "HTTP requests": requests}
    return f"{seconds:.1f} s: " + ", ".join(f"{count / seconds:,.0f} {what}/s" for what, count in counts.items())


def telling_run(spans: Sequence[Span]) -> Span | None:
    """Return the run that shows most: a fraud check, a request that was cut off, one refused...; the shortest. None if there is none."""
    runs = {span.trace_id: span for span in spans if not span.parent_id}
    seen: defaultdict[str, set[str]] = defaultdict(set)
    length: Counter[str] = Counter()
    for span in spans:
        length[span.trace_id] += 1
        seen[span.trace_id] |= {str(span.attributes.get(semconv.STATE_NAME)), str(_ending(span))}
    worth = {"CheckingFraud": 3, NO_ANSWER: 3, "503": 3, "timeout": 1, "Refunding": 1, "Packing": 1}
    points = {trace: sum(worth.get(sight, 0) for sight in seen[trace]) for trace in runs}
    # Trace ids are drawn anew each time: where two runs are worth the same, the order decides.
    return max(
        runs.values(), key=lambda run: (points[run.trace_id], -length[run.trace_id], run.attributes[semconv.MACHINE_ID]), default=None
    )


def trace_tree(run: Span, order: Order, spans: Sequence[Span], *, ascii_only: bool) -> Table:
    """Return the trace of *run*, as it stands in the file: below each visit the HTTP requests that its handlers made."""
    below: defaultdict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        if span.trace_id == run.trace_id:
            below[span.parent_id].append(span)
    table = _table(f"Trace of order {order.id} ({order.customer}, {order.country})", caption=f"trace id {run.trace_id}")
    table.add_column("span", no_wrap=True)
    table.add_column("begins", justify="right")
    table.add_column("takes", justify="right")
    table.add_column("ends with")
    for indent, span in _walk(run, below, "", ascii_only=ascii_only):
        name = Text(indent, style="dim")
        name.append(span.name, style="bold" if span is run else "cyan" if span.scope != semconv.SCOPE else "")
        name.append(_path(span))
        table.add_row(name, f"+{(span.start - run.start) / 1e9:.3f} s", _seconds(span.seconds), _ending(span))
    return table


def _walk(span: Span, below: Mapping[str, Sequence[Span]], stem: str, *, ascii_only: bool) -> Iterator[tuple[str, Span]]:
    """Yield *span* and all below it, each with the lines that lead to it; *stem* are those of what stands below *span*."""
    fork, last, through = ("+- ", "`- ", "|  ") if ascii_only else ("├─ ", "└─ ", "│  ")
    if not span.parent_id:
        yield "", span
    children = below.get(span.span_id, ())
    for place, child in enumerate(children, start=1):
        is_last = place == len(children)
        yield stem + (last if is_last else fork), child
        yield from _walk(child, below, stem + ("   " if is_last else through), ascii_only=ascii_only)


def _path(span: Span) -> str:
    """Return the path of an HTTP request, with a blank before it; else nothing."""
    url = span.attributes.get("url.full", "")
    return f" /{url.split('/', 3)[3]}" if url else ""


def _ending(span: Span) -> Text:
    """Return in words how *span* ended."""
    attributes = span.attributes
    status = attributes.get("http.response.status_code")
    if span.scope == semconv.SCOPE:
        outcome = attributes.get(semconv.VISIT_OUTCOME) or attributes.get(semconv.RUN_OUTCOME) or ""
        why = attributes.get(semconv.ERROR_TYPE)
        return Text(f"{outcome}: {why}" if why else outcome, style="red" if span.failed else "")
    return Text(NO_ANSWER if status is None else str(status), style="red" if span.failed or status is None else "")


def _in_walking_order(watcher: Watcher) -> list[str]:
    """Return the names of all states, terminal ones last."""
    return sorted(watcher.names.values(), key=lambda state: TERMINAL.index(state) if state in TERMINAL else -1)


def _seconds(seconds: float) -> str:
    """Return *seconds* in a unit that suits them."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1e3
    return f"{milliseconds:.1f} ms" if milliseconds >= 1 else f"{milliseconds * 1e3:.0f} µs"


def _table(title: str, caption: str | None = None) -> Table:
    return Table(
        title=title, caption=caption, title_justify="left", caption_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )


def print_complaints(console: Console, complaints: Sequence[str]) -> None:
    """Print what does not add up, the first twenty sentences of it."""
    console.print(f"It does not add up ({len(complaints)}):", style="bold red")
    for complaint in complaints[:20]:
        console.print(f"  {complaint}", markup=False, highlight=False, soft_wrap=True)
