"""A graph drawn as a Mermaid flowchart."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from septum import Again, Graph, LabeledTransition, Pop, Push, Retry, StateConfiguration, StateSpec
from septum._mermaid import draw
from septum._picture import Look


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


def test_every_kind_of_edge_is_drawn() -> None:
    """Labelled and bare, pushes numbered, pops and the error state dotted, markers as loops, the end as a ring."""
    C = make("C", LabeledTransition(E.UP, Pop), Pop, config=StateConfiguration(timeout=2.5, retries=3))
    B = make("B", config=StateConfiguration(terminal=True))
    listed = [LabeledTransition(E.GO, B), B, LabeledTransition(E.DOWN, Push(C, B)), Push(C), LabeledTransition(E.AGAIN, Again), Retry]
    graph = Graph.of(make("A", *listed, LabeledTransition(E.END, None)), error_state=make("Lost"))
    assert draw(graph).splitlines() == [
        "flowchart TD",
        '    start(("start"))',
        '    S1["A"]',
        '    S2[["B"]]',
        '    S3["C<br/>timeout 2.5 s<br/>retries 3"]',
        '    S4["Lost"]',
        '    anywhere(["any state"])',
        '    finish((("end")))',
        '    below{{"top of the stack"}}',
        "    start --> S1",
        '    anywhere -.->|"error"| S4',
        '    S1 -->|"GO"| S2',
        "    S1 --> S2",
        '    S1 ==>|"DOWN push 1"| S3',
        '    S1 -.->|"DOWN push 2"| S2',
        '    S1 ==>|"push"| S3',
        '    S1 -->|"AGAIN again"| S1',
        '    S1 -->|"retry"| S1',
        '    S1 -->|"END"| finish',
        '    S3 -.->|"UP pop"| below',
        '    S3 -.->|"pop"| below',
        "    style S4 stroke:#cf222e",
        "    style anywhere stroke:#cf222e,stroke-dasharray:4 3",
        "    style below stroke:#1f6feb,stroke-dasharray:4 3",
        "    linkStyle 1 stroke:#cf222e",
        "    linkStyle 4 stroke:#1f6feb",
        "    linkStyle 5 stroke:#1f6feb",
        "    linkStyle 6 stroke:#1f6feb",
        "    linkStyle 10 stroke:#1f6feb",
        "    linkStyle 11 stroke:#1f6feb",
    ]


def test_what_is_not_there_is_not_drawn() -> None:
    """No ring, no stack, no error state, no colour."""
    assert draw(Graph.of(make("A"))) == 'flowchart TD\n    start(("start"))\n    S1["A"]\n    start --> S1'


def test_heat_fills_states_and_widens_arrows() -> None:
    """What was used most is the warmest and the widest, what was never used is grey."""
    B = make("B", LabeledTransition(E.END, None))
    graph = Graph.of(make("A", LabeledTransition(E.GO, B), LabeledTransition(E.DOWN, Push(B))))
    look = Look(heat={"d.A": 5, "d.B": 0, ("d.A", E.GO): 5, ("d.A", "E.DOWN"): 0})
    assert draw(graph, look).splitlines()[2:] == [
        '    S1["A<br/>5x"]',
        '    S2["B<br/>0x"]',
        '    finish((("end")))',
        "    start --> S1",
        '    S1 -->|"GO<br/>5x"| S2',
        '    S1 ==>|"DOWN push<br/>0x"| S2',
        '    S2 -->|"END"| finish',
        "    style S1 fill:#f4633a,color:#000000",
        "    style S2 stroke:#8c959f,stroke-dasharray:4 3,color:#8c959f",
        "    linkStyle 1 stroke-width:5px",
        "    linkStyle 2 stroke:#8c959f,stroke-width:1px",
    ]


def test_name_cannot_break_the_drawing() -> None:
    """Characters that mean something to Mermaid, or to Markdown in its labels, are written as entities; what cannot be seen is shown."""
    assert draw(Graph.of(make('f.<locals>."A"'))).splitlines()[2] == '    S1["f.#60;locals#62;.#34;A#34;"]'
    assert draw(Graph.of(make("1. -x_ a_b\n"))).splitlines()[2] == '    S1["1#46; #45;x#95; a_b#92;n"]'
