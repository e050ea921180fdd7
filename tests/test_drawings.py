"""A graph drawn as DOT, SVG and text, and what all drawings share: limits, heat, the current state."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from septum import Again, Graph, LabeledTransition, Pop, Push, StateConfiguration, StateMachine, StateRef, StateSpec, util
from septum._errors import DrawingError, GraphvizMissing
from septum._picture import count_text
from septum._svg import render
from tests.scenes import run

if TYPE_CHECKING:
    from collections.abc import Callable


class E(Enum):
    """Labels."""

    GO = auto()
    DOWN = auto()
    UP = auto()
    AGAIN = auto()
    END = auto()


def make(name: str, *listed: Any, **parts: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    return StateSpec(name=f"d.{name}", qualname=name, **({"on_state": print, "transitions": lambda: list(listed)} | parts))


def door() -> Graph:
    """Return a graph with a push, a pop, a marker, a terminal and an error state."""
    done = make("Done", config=StateConfiguration(terminal=True))
    porter = make(
        "Porter", LabeledTransition(E.UP, Pop), LabeledTransition(E.AGAIN, Again), config=StateConfiguration(timeout=2.5, retries=3)
    )
    idle = make("Idle")
    idle.transitions = lambda: [
        LabeledTransition(E.GO, done),
        LabeledTransition(E.DOWN, Push(porter, idle)),
        Push(porter),
        LabeledTransition(E.END, None),
    ]
    return Graph.of(idle, make("Lost", done))


HEAT: dict[object, float] = {"d.Idle": 4, StateRef("d.Porter"): 2, ("d.Idle", E.GO): 1, ("d.Idle", "E.DOWN"): 3, ("d.Porter", "E.UP"): 3}


def test_text_is_aligned_and_says_what_an_edge_does() -> None:
    """Arrows stand below each other; a push shows what is entered and then what comes back."""
    assert door().to_text().splitlines() == [
        "  Idle    initial",
        "      GO            --> Done",
        "      DOWN (push)   ==> Porter, then itself",
        "      push          ==> Porter",
        "      END           --> end",
        "  Done    terminal",
        "  Porter  timeout 2.5 s, retries 3",
        "      UP (pop)      ..> top of the stack",
        "      AGAIN (again) --> itself",
        "  Lost    error state",
        "                    --> Done",
    ]


def test_text_shows_heat_as_bars_and_the_current_state_by_a_sign() -> None:
    """Each state has its bar and its number, each edge its count; what was seen little has at least one sign of the bar."""
    assert door().to_text(current="d.Porter", heat=HEAT | {"d.Done": 0, "d.Lost": 0.01}, unit="s").splitlines() == [
        "  Idle    ##########     4 s  initial",
        "      GO            --> Done                 1x",
        "      DOWN (push)   ==> Porter, then itself  3x",
        "      push          ==> Porter",
        "      END           --> end",
        "  Done                   0 s  terminal",
        "> Porter  #####          2 s  timeout 2.5 s, retries 3",
        "      UP (pop)      ..> top of the stack     3x",
        "      AGAIN (again) --> itself",
        "  Lost    #           0.01 s  error state",
        "                    --> Done",
    ]


def test_ways_to_the_error_state_that_were_taken_have_arrows_of_their_own() -> None:
    """As wide as they were often; those that never were stay with the arrow that stands for all states, which is grey if none was."""
    some: dict[object, float] = {("d.Idle", Exception): 2, ("d.Porter", Exception): 0, ("d.Idle", E.GO): 8}
    assert door().to_text(heat=some).splitlines()[:3] == [
        "  Idle    initial",
        "      error         --> Lost                 2x",
        "      GO            --> Done                 8x",
    ]
    arrows = [line.strip() for line in door().to_dot(heat=some).splitlines() if "-> S4" in line]
    assert arrows == [
        'anywhere -> S4 [id="E1", class="error", label=" error ", tooltip="error", labeltooltip="error", style="dashed", color="#cf222e"]',
        (
            'S1 -> S4 [id="E2", class="error", label=" error \\n 2x ", tooltip="error 2x", labeltooltip="error 2x", style="dashed", '
            'color="#cf222e", penwidth="2"]'
        ),
    ]
    none: dict[object, float] = {("d.Idle", Exception): 0}
    assert [line.strip() for line in door().to_mermaid(heat=none).splitlines() if "S4" in line and "->" in line] == [
        'anywhere -.->|"error<br/>0x"| S4',
        "S4 --> S2",
    ]
    assert "    linkStyle 1 stroke:#8c959f,stroke-width:1px" in door().to_mermaid(heat=none).splitlines()


def test_text_keeps_its_columns_with_wide_signs() -> None:
    """A Chinese sign takes two columns of a terminal, a combining one none."""
    graph = Graph.of(make("国", make("e\u0301")))
    assert graph.to_text().splitlines() == ["  国  initial", "       --> e\u0301", "  e\u0301"]


def test_text_of_a_state_alone_is_a_line() -> None:
    """Without edges there is nothing below it."""
    assert Graph.of(make("A")).to_text() == "  A  initial"


def test_dot_names_states_by_their_place_and_tells_their_full_names() -> None:
    """S1, S2 ... have the name below the module as label and the full name as tooltip; edges are in the order of the graph."""
    lines = [line.strip() for line in door().to_dot().splitlines()]
    assert (lines[0], lines[-1]) == ("digraph {", "}")
    assert [line for line in lines if line.startswith("S3 [")] == [
        'S3 [id="S3", label="Porter\\ntimeout 2.5 s\\nretries 3", tooltip="d.Porter", class="state"]'
    ]
    assert [line.partition(" [")[0] for line in lines if "->" in line] == [
        "start -> S1",
        "anywhere -> S4",
        "S1 -> S2",
        "S1 -> S3",
        "S1 -> S1",
        "S1 -> S3",
        "S1 -> finish",
        "S3 -> below",
        "S3 -> S3",
        "S4 -> S2",
    ]


def test_dot_shows_the_current_state_and_heat() -> None:
    """The current state has a thick green border, a warm one a warm filling, a cold one is dashed and grey."""
    lines = door().to_dot(current=StateRef("d.Idle"), heat={"d.Idle": 1, "d.Done": 2, "d.Porter": 0}).splitlines()
    assert [line.strip().partition(", class=")[2] for line in lines if line.strip().startswith(("S1 [", "S2 [", "S3 ["))] == [
        '"state current", color="#1a7f37", fillcolor="#faad93", penwidth="3", fontcolor="#000000"]',
        '"terminal", peripheries="2", fillcolor="#f4633a", fontcolor="#000000"]',
        '"state", color="#8c959f", fontcolor="#8c959f", style="rounded,filled,dashed"]',
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"current": "d.Nobody"}, "'d.Nobody' is no state of this graph. There are d.Idle, d.Done, d.Porter, d.Lost."),
        ({"current": StateRef("d.Nobody")}, "'d.Nobody' is no state of this graph."),
        ({"heat": {make("Other"): 1}}, "'d.Other' is no state of this graph."),
        ({"heat": {("d.Porter", E.GO): 1}}, "<E.GO: 1> is no edge of state 'd.Porter'. There are E.UP, E.AGAIN."),
        ({"heat": {("d.Porter", 7): 1}}, "7 is no edge of state 'd.Porter'."),
        ({"heat": {("d.Done", "E.GO"): 1}}, "'E.GO' is no edge of state 'd.Done'. There are none."),
        ({"heat": {("d.Lost", Exception): 1}}, "Exception is no edge of state 'd.Lost': from there it leads to no error state."),
        ({"heat": {("d.Nobody", Exception): 1}}, "'d.Nobody' is no state of this graph."),
        ({"heat": {("d.Done",): 1}}, "('d.Done',) is no state of this graph."),
    ],
)
def test_what_is_not_in_the_graph_is_named(wrong: dict[str, Any], said: str) -> None:
    """A state or an edge of another graph is refused by every drawing, with what there is."""
    graph = door()
    for draw in (graph.to_mermaid, graph.to_dot, graph.to_text, graph.to_svg):
        with pytest.raises(ValueError, match="no (state|edge)") as caught:
            draw(**wrong)
        assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("value", "unit", "text"), [(3, "", "3x"), (123456, "", "123456x"), (1.2345, "s", "1.23 s"), (1234.5, "s", "1234 s"), (0, "s", "0 s")]
)
def test_numbers_are_shown_with_three_digits_or_whole(value: float, unit: str, text: str) -> None:
    """Counts are whole; seconds have three digits."""
    assert count_text(value, unit) == text


def test_numbers_that_are_all_zero_are_cold() -> None:
    """Nothing is divided by zero where nothing was seen."""
    assert door().to_text(heat={"d.Idle": 0, ("d.Idle", E.GO): 0}).splitlines()[0] == "  Idle                0x  initial"


def test_a_machine_that_runs_is_drawn_where_it_is() -> None:
    """`to_mermaid` of a machine highlights its state once it has begun."""

    async def scene() -> tuple[str, str]:
        fsm = StateMachine(make("A", config=StateConfiguration(can_dwell=True), on_state=lambda ctx: None))
        fresh = util.to_mermaid(fsm)
        await fsm.tick()
        return fresh, util.to_mermaid(fsm)

    fresh, begun = run(scene())
    assert begun == f"{fresh}\n    style S1 fill:#dafbe1,stroke:#1a7f37,stroke-width:3px,color:#000000"


# ---- SVG


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes a program `dot` of this shell script the only one on the path; with "" there is none."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(script: str) -> None:
        program = tmp_path / "dot"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return put


class FakeAGraph:
    """Stands for pygraphviz.AGraph."""

    def __init__(self, string: str) -> None:
        self.string = string

    def draw(self, *, format: str, prog: str) -> bytes:  # noqa: A002 - its name there
        """Return what was asked for."""
        if "bad" in self.string:
            raise OSError("syntax error")
        return f"{prog} {format} {self.string}".encode()


class FakePackage:
    """Stands for pygraphviz."""

    AGraph = FakeAGraph


def test_svg_is_what_the_program_dot_makes(path: Callable[[str], None]) -> None:
    """DOT goes to its stdin, the image comes from its stdout."""
    path('read line; echo "$1 $line"')
    assert render("digraph {}\n") == "-Tsvg digraph {}\n"


def test_a_dot_that_fails_is_quoted(path: Callable[[str], None]) -> None:
    """The error has what it said."""
    path("read line; echo 'no fonts' >&2; exit 1")
    with pytest.raises(DrawingError, match="could not draw the graph: no fonts$"):
        render("digraph {}")


def test_without_dot_the_package_draws(path: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no program is, pygraphviz's Graphviz is asked."""
    monkeypatch.setitem(sys.modules, "pygraphviz", FakePackage)
    assert render("digraph {}") == "dot svg digraph {}"
    with pytest.raises(DrawingError, match=r"Graphviz \(pygraphviz\) could not draw the graph: syntax error$"):
        render("bad")


def test_without_any_graphviz_the_error_says_what_to_install(path: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the extra, and the system's package."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(GraphvizMissing) as caught:
        Graph.of(make("A")).to_svg()
    assert str(caught.value) == (
        'There is no Graphviz to draw with. Install it as a wheel: pip install "septum[draw]", or as a program of the system: '
        "apt-get install graphviz (brew install graphviz). Mermaid, DOT and text need none."
    )


@pytest.mark.slow
def test_the_wheel_brings_a_whole_graphviz(tmp_path: Path) -> None:
    """pygraphviz draws in a process in which no program is on the path."""
    pytest.importorskip("pygraphviz")
    code = "from septum._svg import render; print(render('digraph { a -> b [label=\"x &lt; y\"] }'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "<title>a&#45;&gt;b</title>" in done.stdout
    assert "x &lt; y" in done.stdout


def test_drawings_are_imported_when_they_are_asked_for() -> None:
    """A program that only runs machines never loads them."""
    code = "import json, sys, septum; print(json.dumps([name for name in sys.modules if name in ('septum._picture', 'septum._mermaid')]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
