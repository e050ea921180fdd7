"""Transition coverage as one HTML page that needs nothing else: no script, no style sheet, no image besides it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from septum._errors import DrawingError
from septum.testing._covered import percent
from septum.testing._goals import KINDS, describe_goal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from septum.testing._covered import Covered

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1f2328; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #d0d7de; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.never td, .never { color: #8250df; } .failed { color: #cf222e; } .reached { color: #1a7f37; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
/* What was never reached is grey in drawings of heat; here it is what the page is about. Red is the error state. */
figure svg [stroke="#8c959f"] { stroke: #8250df; } figure svg [fill="#8c959f"] { fill: #8250df; }
""".strip()


def write_page(path: Path, covered: Sequence[Covered], least: float | None = None) -> None:
    """Write the page to *path*, in place of what is there.

    Each definition is drawn, coloured by how often its states and edges were reached, and what was never reached in violet. Where there is
    no Graphviz, lines of text take the drawing's place.

    Args:
        covered: What was measured.
        least: The share in per cent that was asked for; None for none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_lines(covered, least)) + "\n", encoding="utf-8")


def _lines(covered: Sequence[Covered], least: float | None) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Transition coverage</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>"
    total = percent(covered)
    yield f"<h1>Transition coverage: {total:.2f} %</h1>"
    if least is not None:
        word = "failed" if total < least else "reached"
        yield f'<p class="{word}">{least:g} % were asked for.</p>'
    for each in covered:
        yield from _definition(each)
    yield "</body>\n</html>"


def _definition(each: Covered) -> Iterator[str]:
    yield f"<h2><code>{escape(each.target)}</code> {percent([each]):.2f} %</h2>"
    yield f"<p>Definition {each.graph.hash}.</p>"
    yield '<p><span class="never">Violet</span> was never reached. The fuller the colour of a state, the more often it was.</p>'
    yield '<table>\n<tr><th></th><th class="number">reached</th><th class="number">of</th></tr>'
    for kind, name in KINDS.items():
        reached, there = each.tally(kind)
        if there:
            never = ' class="never"' if reached < there else ""
            yield f'<tr{never}><td>{name}</td><td class="number">{reached}</td><td class="number">{there}</td></tr>'
    yield "</table>"
    yield f"<figure>\n{_draw(each)}\n</figure>"
    yield '<table>\n<tr><th>what</th><th class="number">times</th></tr>'
    for goal, count in each.counts.items():
        if goal.kind != "state":
            never = "" if count else ' class="never"'
            yield f'<tr{never}><td><code>{escape(describe_goal(goal, each.graph))}</code></td><td class="number">{count}</td></tr>'
    yield "</table>"


def _draw(each: Covered) -> str:
    heat = _measure_heat(each)
    try:
        drawn = each.graph.to_svg(heat=heat)
    except DrawingError as error:
        return f"<pre>{escape(each.graph.to_text(heat=heat))}</pre>\n<figcaption>{escape(str(error))}</figcaption>"
    # An SVG inside HTML has no prologue.
    return drawn[drawn.index("<svg") :]


def _measure_heat(each: Covered) -> dict[object, float]:
    """Return how often each state was entered, and each edge and way to the error state taken; a timeout has no arrow of its own."""
    heat: dict[object, float] = {}
    for goal, count in each.counts.items():
        edges = each.graph.by_name[goal.state].edges
        if goal.kind == "state":
            heat[goal.state] = count
        elif goal.kind == "edge":
            heat[goal.state, edges[goal.edge].name] = count
        elif goal.kind == "retry":
            heat |= {(goal.state, edge.name): count for edge in edges if edge.kind == "retry" and edge.label is None}
        elif goal.kind == "error":
            heat[goal.state, Exception] = count
    return heat
