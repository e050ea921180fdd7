"""`septum graph` draws a definition, and colours it by what was recorded."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

pytest.importorskip("click")

from septum import Graph, LabeledTransition, Push, Repeat, Retry, StateMachineComplete, StateSpec
from septum.cli._heat import count_heat
from septum.replay import FileSink, Recorder
from tests.cli.programs import Program
from tests.drawing.tools import need_program, read_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

E = Enum("E", ["GO", "END"])

TEXT = """\
  Closed  initial
      OPENED        --> Open
      ASKED (push)  ==> Porter, then itself
      WALLED        --> Walled
  Open    timeout 30 s
      CLOSED        --> Closed
  Porter
      DONE (pop)    ..> top of the stack
      AGAIN (again) --> itself
  Walled  terminal
  Lost    error state
      WALLED        --> Walled
"""


def draw(program: Program, *arguments: str, target: str = "PACKAGE.door:make_machine") -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of `septum graph`, without the names of this test."""
    done = program.run("graph", target, *arguments)
    return done.exit_code, program.text(done.stdout), program.text(done.stderr)


def graph_of(program: Program) -> Graph:
    """Return the definition that is drawn."""
    module = import_module(f"{program.name}.door")
    return Graph.of(module.Closed, module.Lost)


def test_text_is_drawn_where_nothing_else_is_asked_for(door: Program) -> None:
    """In a terminal one wants to read."""
    assert draw(door) == (0, TEXT, "")


@pytest.mark.parametrize("kind", ["mermaid", "dot", "text"])
def test_each_format_is_that_of_the_graph(door: Program, kind: str) -> None:
    """The command prints what the graph's own method returns."""
    code, out, err = draw(door, "--format", kind)
    graph = graph_of(door)
    drawn = {"mermaid": graph.to_mermaid, "dot": graph.to_dot, "text": graph.to_text}[kind]()
    assert (code, out, err) == (0, door.text(drawn) + "\n", "")


@pytest.mark.slow
def test_svg_is_drawn_by_graphviz(door: Program) -> None:
    """All states are in the image."""
    need_program("dot")
    code, out, err = draw(door, "--format", "svg")
    assert (code, err) == (0, "")
    assert [read_svg(out).nodes[f"S{place}"] for place in range(1, 6)] == ["Closed", "Open timeout 30 s", "Porter", "Walled", "Lost"]


def test_svg_without_graphviz_says_what_to_install(door: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command ends with 1, without a traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    code, out, err = draw(door, "--format", "svg")
    assert (code, out) == (1, "")
    assert err.startswith("Error: There is no Graphviz to draw with. Install it as a wheel: pip install")


def test_json_is_the_definition_with_its_hash(door: Program) -> None:
    """Programs get what `Graph.to_dict` has."""
    code, out, _ = draw(door, "--format", "json")
    graph = graph_of(door)
    assert (code, json.loads(out)) == (0, json.loads(door.text(json.dumps({"hash": graph.hash, **graph.to_dict()}))))


@pytest.mark.parametrize(
    ("file", "begins"),
    [
        ("a.mmd", "flowchart TD\n"),
        ("a.MERMAID", "flowchart TD\n"),
        ("a.dot", "digraph {\n"),
        ("a.gv", "digraph {\n"),
        ("a.json", "{\n"),
        ("a.txt", "  Closed  initial\n"),
        ("a", "  Closed  initial\n"),
    ],
)
def test_the_name_of_the_file_says_the_format(door: Program, file: str, begins: str) -> None:
    """--output writes there, in the format of its ending; nothing is printed."""
    assert draw(door, "-o", file) == (0, "", "")
    text = (door.folder / file).read_text(encoding="utf-8")
    assert text.startswith(begins)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_format_goes_before_the_name_of_the_file(door: Program) -> None:
    """What is said is done."""
    assert draw(door, "-o", "a.txt", "--format", "mermaid") == (0, "", "")
    assert (door.folder / "a.txt").read_text(encoding="utf-8").startswith("flowchart")


def test_a_file_that_cannot_be_written_is_an_error(door: Program) -> None:
    """Without a traceback."""
    assert draw(door, "-o", "no/where.txt") == (1, "", "Error: Could not open file 'no/where.txt': No such file or directory\n")


def test_the_current_state_is_highlighted(door: Program) -> None:
    """A name alone is one of the same module; what is not drawn is refused."""
    assert "> Porter\n" in draw(door, "--current", "Porter")[1]
    assert "> Porter\n" in draw(door, "--current", f"{door.name}.door:Porter")[1]
    assert draw(door, "--current", "Porter", target="PACKAGE.door:Lost") == (
        1,
        "",
        "Error: PACKAGE.door.Porter is no state of this definition. There are PACKAGE.door.Lost, PACKAGE.door.Walled.\n",
    )


# ---- heat


def record(program: Program, file: str, *orders: str, error: bool = True, hooks: Sequence[Any] = ()) -> str:
    """Run the door with these orders, record it, and return the recording's path."""
    program.run("graph", "PACKAGE.door:make_machine")
    module: Any = import_module(f"{program.name}.door")
    path = str(program.folder / file)

    async def scene() -> None:
        sink = FileSink(path)
        fsm = module.StateMachine(module.Closed, error_state=module.Lost if error else None, hooks=[Recorder(sink), *hooks])
        async with fsm:
            for order in orders:
                fsm.send_message(module.Order[order])
            with suppress(StateMachineComplete):
                await fsm.run(timeout=0)
        sink.close()

    asyncio.run(scene())
    return path


def test_heat_counts_visits_and_edges_of_a_recording(door: Program) -> None:
    """What was never done is zero; Again ends no visit, so that it has no number."""
    path = record(door, "run.jsonl", "OPEN", "CLOSE", "ASK", "OPEN", "CLOSE")
    assert draw(door, "--heat", path) == (
        0,
        (
            "  Closed  ##########  4x  initial\n"
            "      OPENED        --> Open                 2x\n"
            "      ASKED (push)  ==> Porter, then itself  1x\n"
            "      WALLED        --> Walled               0x\n"
            "  Open    #####       2x  timeout 30 s\n"
            "      CLOSED        --> Closed               2x\n"
            "  Porter  ##          1x\n"
            "      DONE (pop)    ..> top of the stack     1x\n"
            "      AGAIN (again) --> itself\n"
            "  Walled              0x  terminal\n"
            "  Lost                0x  error state\n"
            "      WALLED        --> Walled               0x\n"
        ),
        "",
    )


def test_heat_counts_the_ways_to_the_error_state(door: Program) -> None:
    """Each state that has failed has its own arrow, with how often; JSON has the others too."""
    path = record(door, "run.jsonl", "OPEN", "CLOSE", "BREAK")
    assert draw(door, "--heat", path)[1].splitlines()[:6] == [
        "  Closed  ##########  2x  initial",
        "      error         --> Lost                 1x",
        "      OPENED        --> Open                 1x",
        "      ASKED (push)  ==> Porter, then itself  0x",
        "      WALLED        --> Walled               0x",
        "  Open    #####       1x  timeout 30 s",
    ]
    assert json.loads(draw(door, "--heat", path, "--format", "json")[1])["heat"]["errors"] == {
        "PACKAGE.door.Closed": 1,
        "PACKAGE.door.Open": 0,
        "PACKAGE.door.Porter": 0,
        "PACKAGE.door.Walled": 0,
    }
    assert 'S1 -.->|"error<br/>1x"| S5' in draw(door, "--heat", path, "--format", "mermaid")[1]


@pytest.mark.parametrize("trace_scope", ["run", "visit", "message"])
@pytest.mark.parametrize("detail", ["auto", "visits"])
def test_heat_of_spans_is_that_of_a_recording(door: Program, trace_scope: str, detail: str) -> None:
    """Whatever a trace is, what the SDK exports has the same visits, edges and errors."""
    from tests.replay.exported import Exported

    path = str(door.folder / "spans.jsonl")
    exported = Exported(trace_scope=trace_scope, detail=detail, events=False, segment_max_visits=2)
    recorded = record(door, "run.jsonl", "OPEN", "CLOSE", "ASK", "OPEN", "CLOSE", "BREAK", hooks=[exported.hooks])
    Path(path).write_bytes(exported.lines())
    data = [json.loads(draw(door, "--heat", file, "--format", "json")[1])["heat"] for file in (path, recorded)]
    assert data[0] == data[1]
    assert data[0]["errors"]["PACKAGE.door.Closed"] == 1


def test_heat_by_time_is_in_seconds(door: Program) -> None:
    """--by time adds up how long visits lasted; JSON has the numbers."""
    path = record(door, "run.jsonl", "OPEN", "CLOSE")
    data = json.loads(draw(door, "--heat", path, "--by", "time", "--format", "json")[1])["heat"]
    assert (data["runs"], data["edges"][0]) == (1, {"state": "PACKAGE.door.Closed", "edge": "Events.OPENED", "count": 1})
    assert 0 < data["states"]["PACKAGE.door.Closed"] < 60
    assert data["states"]["PACKAGE.door.Porter"] == 0
    assert " s  terminal" in draw(door, "--heat", path, "--by", "time")[1]


def test_runs_of_another_definition_are_counted_with_a_warning(door: Program) -> None:
    """It may be yesterday's; visits of states that are not drawn are named."""
    path = record(door, "run.jsonl", "OPEN", "CLOSE", error=False)
    assert draw(door, "--heat", path)[2] == "Warning: 1 of 1 runs in FOLDER/run.jsonl are of another definition.\n"
    assert draw(door, "--heat", path, target="PACKAGE.door:Lost")[2] == (
        "Warning: 1 of 1 runs in FOLDER/run.jsonl are of another definition.\n"
        "Warning: visits of states that are not drawn are left out: Closed (2), Open (1).\n"
    )


def test_a_recording_without_a_run_is_said(door: Program) -> None:
    """An empty file is not an error, and not nothing."""
    (door.folder / "empty.jsonl").touch()
    assert draw(door, "--heat", "empty.jsonl")[2] == "Warning: there is no run in empty.jsonl.\n"


def test_what_is_no_recording_is_refused(door: Program) -> None:
    """The loader's words are shown, without a traceback."""
    assert draw(door, "--heat", "nowhere.jsonl") == (1, "", "Error: Could not open file 'nowhere.jsonl': No such file or directory\n")
    code, out, err = draw(door, "--heat", f"{door.name}/door.py")
    assert (code, out) == (1, "")
    assert err.startswith("Error: PACKAGE/door.py, byte 0: ")


def test_without_the_loader_heat_says_so(door: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what is not there."""
    monkeypatch.setitem(sys.modules, "septum.replay", None)
    code, _, err = draw(door, "--heat", "run.jsonl")
    assert (code, err.partition(": import")[0]) == (1, "Error: --heat needs septum.replay, which reads recordings and spans")


class Visit(NamedTuple):
    """Stands for a step of a run."""

    visit: int
    state: str
    kind: str | None = None
    label: str | None = None
    source: str | None = None
    outcome: str | None = None
    exit: str | None = None
    target: str | None = None
    duration: int | None = None
    timed_out: int | None = None
    error: str | None = None


class Walk(NamedTuple):
    """Stands for a run."""

    definition_hash: str
    steps: list[Visit]


def count(graph: Graph, *steps: Visit, by: Any = "count") -> Any:
    """Return the heat of a run of these visits."""
    walk: Any = Walk(graph.hash, list(steps))
    return count_heat(graph, [walk], by)


def test_an_edge_without_a_label_is_found_by_what_it_does() -> None:
    """A direct edge and a push by their targets, others by their kind; an error goes to the error state, what on_error_fn chose nowhere."""
    b = StateSpec(name="m.B", qualname="B", on_state=print)
    c = StateSpec(name="m.C", qualname="C", on_state=print)
    a = StateSpec(name="m.A", qualname="A", on_state=print, transitions=lambda: [Repeat, Push(c), Push(b), c, b])
    heat = count(
        Graph.of(a, b),
        Visit(1, "m.A", "initial"),
        Visit(2, "A", "repeat", source="m.A"),
        Visit(3, "B", "direct", source="A"),
        Visit(4, "m.B", "push", source="A"),
        Visit(5, "B", "error", source="A"),
        Visit(6, "C", "error", source="A"),
        Visit(7, "B", "error", source="B"),
        Visit(8, "A", "direct", source="D"),
        Visit(9, "A", "label", label="Events.GONE", source="A", outcome="stopped", duration=2_500_000_000),
    )
    assert (heat.states, heat.edges, heat.errors) == (
        {"m.A": 4, "m.B": 4, "m.C": 1},
        {("m.A", "Repeat"): 1, ("m.A", "Push(m.C)"): 0, ("m.A", "Push(m.B)"): 1, ("m.A", "m.C"): 0, ("m.A", "m.B"): 1},
        {"m.A": 1, "m.C": 0},
    )


def test_where_the_next_visit_is_missing_the_last_one_tells_its_edge() -> None:
    """By its label, or by its outcome if that leaves no doubt; seconds are those of the visits that have ended."""
    b = StateSpec(name="m.B", qualname="B", on_state=print)
    a = StateSpec(
        name="m.A", qualname="A", on_state=print, transitions=lambda: [b, Retry, LabeledTransition(E.GO, b), LabeledTransition(E.END, None)]
    )
    heat = count(
        Graph.of(a, b),
        Visit(1, "A", "initial", outcome="transition", target="B"),
        Visit(3, "A", outcome="timeout", exit="E.GO", target="B"),
        Visit(5, "A", outcome="timeout", target="B"),
        Visit(7, "A", outcome="error", target="B"),
        Visit(9, "A", outcome="completed", exit="E.END", duration=500_000_000),
        Visit(11, "A", outcome="retry", target="A", duration=2_000_000_000),
        by="time",
    )
    assert (heat.states, heat.edges, heat.errors) == (
        {"m.A": 2.5, "m.B": 0},
        {("m.A", "m.B"): 1, ("m.A", "Retry"): 1, ("m.A", "E.GO"): 1, ("m.A", "E.END"): 1},
        {"m.A": 0},
    )
