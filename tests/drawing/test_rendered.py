"""What Chromium and Graphviz make of the drawings, compared with the graph: every state, every edge, every label, and nothing else."""

from __future__ import annotations

import re
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from septum import Again, Graph, LabeledTransition, Pop, Push, Repeat, Restart, Retry, StateConfiguration, StateSpec, Unhandled
from tests.drawing.tools import Drawn, find_modules, need_program, read_svg, render_mermaid, squeeze

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]


def make(name: str, *listed: Any, **parts: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    return StateSpec(name=f"d.{name}", qualname=name, **({"on_state": print, "transitions": lambda: list(listed)} | parts))


def label(name: str) -> Enum:
    """Return a label of this name."""
    return Enum("Events", {name: 1})[name]  # type: ignore[return-value]  # the checker wants names that are written down


def every_kind() -> Graph:
    """Return a graph with an edge of each kind, with and without a label."""
    under = make("Under", LabeledTransition(label("UP"), Pop), Pop, config=StateConfiguration(timeout=2.5, retries=3))
    end = make("end", config=StateConfiguration(terminal=True))
    markers = [Again, Unhandled, Repeat, Restart, Retry]
    return Graph.of(
        make(
            "A",
            LabeledTransition(label("GO"), end),
            end,
            LabeledTransition(label("DOWN"), Push(under, end, under)),
            Push(under),
            *(LabeledTransition(label(marker.__name__.upper()), marker) for marker in markers),
            *markers,
            LabeledTransition(label("END"), None),
            LabeledTransition(label("click"), end),
        ),
        error_state=make("Lost"),
    )


def shop() -> Graph:
    """Return the definition of examples/orders.py."""
    pytest.importorskip("httpx")
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from shop.machine import Failed, Reserving
    finally:
        sys.path.pop(0)
    return Graph.of(Reserving, Failed)


def named(names: Sequence[str]) -> Graph:
    """Return a ring of states with these names, each of which is the label that leads on, too."""
    states: list[StateSpec] = []
    for place, name in enumerate(names):

        def lead(place: int = place, name: str = name) -> list[Any]:
            return [LabeledTransition(label(name), states[(place + 1) % len(names)])]

        states.append(StateSpec(name=f"{place}", qualname=f"{place}", on_state=print, transitions=lead))
        # A name is free to be anything; that of a declaration is not.
        states[-1].name = f"{place}.{name}"
    return Graph.of(states[0])


def seen(text: str) -> str:
    """Return *text* as a person sees it: what is no sign is shown as Python writes it."""
    return squeeze("".join(char if char.isprintable() else repr(char)[1:-1] for char in text))


def expected(graph: Graph, *, dots: bool) -> Drawn:
    """Return what must be seen of *graph*, put together anew; *dots*: Graphviz shows start and end without a word."""
    nodes = {"start": "" if dots else "start"}
    edges = [("start", f"S{graph.initial.index + 1}", "")]
    for node in graph.nodes:
        limits = {"timeout": None if node.timeout is None else f"{node.timeout:g} s", "retries": node.retries}
        nodes[f"S{node.index + 1}"] = " ".join(
            [seen(node.qualname), *(f"{name} {value}" for name, value in limits.items() if value is not None)]
        )
        for edge in node.edges:
            source, name = f"S{node.index + 1}", "" if edge.label is None else edge.label.name
            targets = [f"S{target.index + 1}" for target in edge.targets]
            if edge.kind in {"label", "direct"}:
                edges.append((source, targets[0], seen(name)))
            elif edge.kind == "push":
                several = len(targets) > 1
                edges += [(source, target, f"{name} push {place if several else ''}".strip()) for place, target in enumerate(targets, 1)]
            elif edge.kind == "pop":
                nodes["below"] = "top of the stack"
                edges.append((source, "below", f"{name} pop".strip()))
            elif edge.kind == "end":
                nodes["finish"] = "" if dots else "end"
                edges.append((source, "finish", name))
            else:
                edges.append((source, source, f"{name} {edge.kind}".strip()))
    if graph.error is not None:
        nodes["anywhere"] = "any state"
        edges.append(("anywhere", f"S{graph.error.index + 1}", "error"))
    return Drawn(nodes, sorted(edges))


@pytest.mark.slow
@pytest.mark.parametrize("make_graph", [every_kind, shop])
def test_mermaid_in_a_browser_shows_the_graph(make_graph: Any) -> None:
    """Chromium draws every state and every edge with its label, and nothing else."""
    graph = make_graph()
    (drawn,) = render_mermaid(graph.to_mermaid())
    assert drawn == expected(graph, dots=False)


@pytest.mark.slow
@pytest.mark.parametrize("make_graph", [every_kind, shop])
def test_svg_by_graphviz_shows_the_graph(make_graph: Any) -> None:
    """Graphviz draws every state and every edge with its label, and nothing else."""
    need_program("dot")
    graph = make_graph()
    assert read_svg(graph.to_svg()) == expected(graph, dots=True)


# Everything but control characters and lone surrogates, more often what means something to Mermaid, DOT, XML or Markdown.
SIGNS = st.one_of(st.sampled_from(list("\"'<>&#;|[](){}\\`*_-~:%/.=!$^@ 1aZ\n\t\0")), st.characters())
WORDS = [
    "end",
    "graph",
    "subgraph",
    "class",
    "click",
    "style",
    "default",
    "1. x",
    "- x",
    "# x",
    "**x**",
    "_x_ y",
    "`x`",
    "&lt;",
    "#35;",
    "\\N",
    "\\n",
    "</a>",
    "x:::y",
    "%%x",
]
WORDS += ["한국어", "👩‍👩‍👧", "e\u0301"]
NAMES = st.one_of(st.sampled_from(WORDS), st.text(SIGNS, min_size=1, max_size=12)).filter(
    lambda name: bool(squeeze(seen(name))) and name not in {"mro", ""} and not re.fullmatch(r"_.*_", name, re.DOTALL)
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.lists(NAMES, min_size=12, max_size=12))
def test_no_name_breaks_the_svg(names: list[str]) -> None:
    """Whatever states and labels are called, Graphviz shows it."""
    need_program("dot")
    graph = named(names)
    assert read_svg(graph.to_svg()) == expected(graph, dots=True)


@pytest.mark.slow
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(rings=st.lists(st.lists(NAMES, min_size=8, max_size=8), min_size=4, max_size=4))
def test_no_name_breaks_the_mermaid(rings: list[list[str]]) -> None:
    """Whatever states and labels are called, Chromium shows it."""
    find_modules()
    graphs = [named(names) for names in [WORDS[:-1], *rings]]
    drawn = render_mermaid(*(graph.to_mermaid() for graph in graphs))
    assert drawn == [expected(graph, dots=False) for graph in graphs]


@pytest.mark.slow
def test_heat_and_current_state_do_not_change_what_is_there() -> None:
    """Colours and numbers come on top; the states and edges stay the same, but that ways to the error state are drawn if taken."""
    need_program("dot")
    graph = every_kind()
    heat: dict[object, float] = {node.name: node.index * 1.5 for node in graph.nodes}
    heat |= {(node.name, edge.name): 3.0 for node in graph.nodes for edge in node.edges}
    heat |= {(graph.nodes[0].name, Exception): 2, (graph.nodes[1].name, Exception): 0}
    (drawn,) = render_mermaid(graph.to_mermaid(current="d.A", heat=heat, unit="s"))
    svg = read_svg(graph.to_svg(current="d.A", heat=heat, unit="s"))
    for found in (drawn, svg):
        plain = expected(graph, dots=found is svg)
        assert found.nodes.keys() == plain.nodes.keys()
        assert graph.error is not None
        assert [edge[:2] for edge in found.edges] == sorted([*(edge[:2] for edge in plain.edges), ("S1", f"S{graph.error.index + 1}")])
        assert found.nodes["S3"].endswith("3 s")
