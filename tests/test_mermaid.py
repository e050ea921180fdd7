"""A graph drawn as a Mermaid flowchart."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from septum import Again, Graph, LabeledTransition, Pop, Push, Retry, StateConfiguration, StateSpec
from septum._mermaid import draw


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
        "    start((start))",
        '    S1["A"]',
        '    S2[["B"]]',
        '    S3["C<br/>timeout 2.5 s<br/>retries 3"]',
        '    S4["Lost"]',
        "    finish(((end)))",
        "    below{{top of the stack}}",
        "    start --> S1",
        "    start -.->|error| S4",
        '    S1 -->|"GO"| S2',
        "    S1 --> S2",
        '    S1 ==>|"DOWN push 1"| S3',
        '    S1 ==>|"DOWN push 2"| S2',
        '    S1 ==>|"push 1"| S3',
        '    S1 -->|"AGAIN again"| S1',
        '    S1 -->|"retry"| S1',
        '    S1 -->|"END"| finish',
        '    S3 -.->|"UP"| below',
        '    S3 -.->|"pop"| below',
    ]


def test_what_is_not_there_is_not_drawn() -> None:
    """No ring, no stack, no error state."""
    assert draw(Graph.of(make("A"))) == 'flowchart TD\n    start((start))\n    S1["A"]\n    start --> S1'


def test_name_cannot_break_the_drawing() -> None:
    """Characters that mean something to Mermaid are written as entities."""
    assert draw(Graph.of(make('f.<locals>."A"'))).splitlines()[2] == '    S1["f.#60;locals#62;.#34;A#34;"]'
