"""Transition coverage: what is counted, how counts are kept and added up, and what they say about a definition."""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest

from septum import (
    Graph,
    LabeledTransition,
    Pop,
    Push,
    Repeat,
    Retry,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateSpec,
    _picture,
)
from septum.testing import CoverageError, ManualClock, TransitionCoverage, _page, explore
from septum.testing._coverage import Counts
from septum.testing._covered import find_graph, measure, percent
from septum.testing._goals import Goal, describe_goal, list_goals
from septum.testing._page import write_page
from septum.testing._summary import summarize
from tests.scenes import run
from tests.testing.shop import Checking, Done, Failed, Fetching, Idle, Words

if TYPE_CHECKING:
    from pathlib import Path

SHOP = "tests.testing.shop"


def play(hook: TransitionCoverage, *deeds: object, error_state: Any = None, name: str | None = None) -> None:
    """Do *deeds* to a machine that has *hook*: messages are sent, numbers of seconds pass; a tick after each."""

    async def scene() -> None:
        clock = ManualClock()
        machine: StateMachine[Any] = StateMachine(Idle, error_state=error_state, clock=clock, hooks=[hook], name=name)
        await machine.initialize()
        for deed in deeds:
            if isinstance(deed, float):
                await clock.advance(deed)
            else:
                machine.send_message(deed)
            try:
                await machine.tick()
            except StateMachineComplete:
                break

    run(scene())


def test_every_transition_is_counted_by_the_engine() -> None:
    """Plain edges, markers, pushes, pops, retries, errors and the end, whatever the machine is called."""
    hook = TransitionCoverage()

    play(hook, Words.MORE, Words.CHECK, Repeat, Pop, Words.START, Retry, 1.0, Words.LOST)
    play(hook, Words.START, 5.0, Words.START, "boom", error_state=Failed, name="second")

    counts = hook.counts()
    assert dict(counts.transitions) == {
        (f"{SHOP}.Idle", f"{SHOP}.Idle", "Words.MORE", "again"): 1,
        (f"{SHOP}.Idle", f"{SHOP}.Checking", "Words.CHECK", "push"): 1,
        (f"{SHOP}.Checking", f"{SHOP}.Checking", None, "repeat"): 1,
        (f"{SHOP}.Checking", f"{SHOP}.Idle", None, "pop"): 1,
        (f"{SHOP}.Idle", f"{SHOP}.Fetching", "Words.START", "label"): 3,
        (f"{SHOP}.Fetching", f"{SHOP}.Fetching", None, "retry"): 1,
        (f"{SHOP}.Fetching", None, "Words.LOST", "end"): 1,
        (f"{SHOP}.Fetching", f"{SHOP}.Idle", "Words.SLOW", "label"): 1,
        (f"{SHOP}.Fetching", f"{SHOP}.Failed", None, "error"): 1,
    }
    assert (dict(counts.starts), dict(counts.timeouts), dict(counts.exhausted)) == ({f"{SHOP}.Idle": 2}, {f"{SHOP}.Fetching": 1}, {})
    assert counts.names == {f"{SHOP}.{name}": name for name in ("Idle", "Fetching", "Checking", "Done", "Failed")}


def test_hook_asks_for_no_fact_of_a_transition() -> None:
    """It leaves the engine on its silent way: only a run's start, a deadline and exhausted retries are told."""
    from septum._hooks import overridden

    assert sorted(overridden(TransitionCoverage())) == ["retries_exhausted", "run_started", "tallied", "timeout_fired"]


def test_goals_of_a_definition_are_listed_state_by_state() -> None:
    """States, edges, timeouts, retries, exhausted retries and error routes; nothing of a terminal state but itself."""
    graph = Graph.of(Idle, Failed)

    assert [describe_goal(goal, graph) for goal in list_goals(graph)] == [
        "Idle",
        "Idle -START-> Fetching",
        "Idle -CHECK-> Push(Checking, Idle)",
        "Idle -MORE again-> Idle",
        "Idle -error-> Failed",
        "Fetching",
        "Fetching -GOT-> Done",
        "Fetching -SLOW-> Idle",
        "Fetching -LOST-> end",
        "Fetching -timeout->",
        "Fetching -retry-> Fetching",
        "Fetching -fail->",
        "Fetching -error-> Failed",
        "Checking",
        "Checking -pop-> Pop",
        "Checking -repeat-> Checking",
        "Checking -restart-> Checking",
        "Checking -error-> Failed",
        "Done",
        "Failed",
    ]


def test_edges_that_no_answer_takes_are_no_goals() -> None:
    """A second edge of the same answer, a way to wait, and a retry where none is allowed can never be reached."""

    class Kinds(Enum):
        WAIT = auto()
        TRY = auto()

    async def wait(ctx: Any) -> None: ...

    from septum import Unhandled

    end = StateSpec(name="End", qualname="End", on_state=wait, config=StateConfiguration(terminal=True), transitions=lambda: [end])
    here = StateSpec(
        name="Here",
        qualname="Here",
        on_state=wait,
        config=StateConfiguration(can_dwell=True, retries=0),
        transitions=lambda: [end, end, LabeledTransition(Kinds.WAIT, Unhandled), LabeledTransition(Kinds.TRY, Retry), Push(end, end)],
    )

    assert list_goals(Graph.of(here)) == (
        Goal("state", "Here"),
        Goal("edge", "Here", 0),
        Goal("edge", "Here", 4),
        Goal("exhausted", "Here"),
        Goal("state", "End"),
    )


def test_measure_says_how_often_each_goal_was_reached() -> None:
    """A goal that was not reached counts 0, and the share is that of all goals together."""
    hook = TransitionCoverage()
    play(hook, Words.START, Retry, 1.0, Retry, 2.0, Retry)
    play(hook, Words.CHECK, Pop, Words.START, 5.0)

    covered = measure("shop", Graph.of(Idle), hook.counts())

    assert list(covered.counts.values()) == [4, 2, 1, 0, 4, 0, 1, 1, 1, 2, 1, 1, 1, 0, 0, 0]
    assert (covered.tally("state"), covered.tally("edge"), covered.tally("error")) == ((3, 4), (5, 9), (0, 0))
    assert round(percent([covered]), 2) == 68.75
    assert percent([]) == 100.0


def test_machine_that_is_seen_late_counts_where_it_was() -> None:
    """A state that was only ever left was entered before anybody looked."""
    counts = Counts()
    counts.transitions[f"{SHOP}.Fetching", f"{SHOP}.Idle", "Words.SLOW", "label"] = 2

    covered = measure("shop", Graph.of(Fetching), counts)

    assert covered.counts[Goal("state", f"{SHOP}.Fetching")] == 2


def test_everything_that_explore_walks_is_covered() -> None:
    """The paths of `explore`, walked by stubs, reach every goal."""
    hook = TransitionCoverage()
    for path in explore(Idle, error_state=Failed):
        run(path.walk(hooks=[hook]))

    assert measure("shop", Graph.of(Idle, Failed), hook.counts()).missing == ()


def test_counts_are_the_same_after_a_file(tmp_path: Path) -> None:
    """Written, read and added up, nothing is lost and nothing is counted twice."""
    hook = TransitionCoverage()
    play(hook, Words.CHECK, Pop, Words.START, 5.0)
    counts = hook.counts()
    path = tmp_path / "new" / "counts.json"

    counts.write(path)
    read = Counts.read(path)
    both = Counts()
    both.add(read)
    both.add(counts)

    assert read.to_dict() == counts.to_dict()
    assert both.transitions == counts.transitions + counts.transitions
    assert both.timeouts == {f"{SHOP}.Fetching": 2}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot be read: "),
        (b"\xff\xfe", "cannot be read: "),
        (b"{", "is no JSON: "),
        (b"[]", "holds no transition coverage. Write it with pytest --septum-cov=MODULE:STATE --septum-cov-data=FILE."),
        (b'{"format": "other"}', "holds no transition coverage."),
        (b'{"format": "septum-coverage", "version": 2}', "is of version 2, this Septum reads 1."),
        (b'{"format": "septum-coverage", "version": 1}', "is damaged: KeyError('transitions')"),
        (b'{"format": "septum-coverage", "version": 1, "transitions": [[1]]}', "is damaged: ValueError"),
    ],
)
def test_file_that_holds_something_else_is_refused(tmp_path: Path, text: bytes | None, complaint: str) -> None:
    """The error names the file, what is wrong with it, and how to write a right one."""
    path = tmp_path / "counts.json"
    if text is not None:
        path.write_bytes(text)

    with pytest.raises(CoverageError, match=re.escape(f"{path} {complaint}")):
        Counts.read(path)


def test_counts_are_json_with_states_by_their_full_names() -> None:
    """What is written can be read by other programs."""
    hook = TransitionCoverage()
    play(hook, Words.START)

    assert json.loads(json.dumps(hook.counts().to_dict())) == {
        "format": "septum-coverage",
        "version": 1,
        "transitions": [[f"{SHOP}.Idle", f"{SHOP}.Fetching", "Words.START", "label", 1]],
        "starts": {f"{SHOP}.Idle": 1},
        "timeouts": {},
        "exhausted": {},
        "names": {f"{SHOP}.{name}": name for name in ("Checking", "Done", "Fetching", "Idle")},
    }


def test_target_may_be_a_state_with_its_error_state_or_a_machine() -> None:
    """`module:State`, `module:State,Error`, `module:State,module:Error`, and a machine that a module holds."""
    assert find_graph(f"{SHOP}:Idle") is Graph.of(Idle)
    assert find_graph(f"{SHOP}:Idle,Failed").hash == Graph.of(Idle, Failed).hash
    assert find_graph(f"{SHOP}:Idle,{SHOP}:Failed").hash == Graph.of(Idle, Failed).hash
    assert find_graph("tests.testing.test_coverage:MACHINE") is MACHINE.graph


def test_target_that_makes_no_graph_is_refused() -> None:
    """The definition's own error is told, with the option in front of it."""
    with pytest.raises(CoverageError, match=r"(?s)--septum-cov=tests\.testing\.test_coverage:BROKEN: .*leads to 'no\.such\.State'"):
        find_graph("tests.testing.test_coverage:BROKEN")


def test_summary_is_a_line_each_and_what_was_never_done() -> None:
    """Kinds that a definition does not have are left out."""
    done = measure("a:Done", Graph.of(StateSpec(name="Z", on_state=print, config=StateConfiguration(terminal=True))), Counts())

    assert summarize([done]) == "a:Done  0.00 %  states 0/1\n  never:\n    Z"


@pytest.mark.parametrize("graphviz", ["there", "missing"])
def test_page_needs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphviz: str) -> None:
    """One file: a drawing where there is Graphviz, else lines of text and how to get one; no script, no link, nothing loaded."""
    if graphviz == "there":
        monkeypatch.setattr(Graph, "to_svg", lambda self, heat: f'<?xml version="1.0"?>\n<svg id="g">{len(heat)}</svg>')
    else:
        monkeypatch.setattr(Graph, "to_svg", raise_missing)
    hook = TransitionCoverage()
    play(hook, Words.START, Words.GOT)

    write_page(tmp_path / "page.html", [measure("<shop>:Idle", Graph.of(Idle), hook.counts())], 80.0)

    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.findall(r"<(script|link|img|iframe)|(?:src|href)=|url\(|@import", page) == []
    assert "<h2><code>&lt;shop&gt;:Idle</code> 31.25 %</h2>" in page
    assert '<p class="failed">80 % were asked for.</p>' in page
    if graphviz == "there":
        assert '<figure>\n<svg id="g">14</svg>\n</figure>' in page
    else:
        assert "There is no Graphviz to draw with." in page
        assert re.search(r"Words\.|START +--&gt; Fetching", page)


def test_the_drawing_on_the_page_is_coloured_by_all_that_has_an_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States, edges, retries without a label, and ways to the error state."""
    given: list[dict[object, float]] = []
    monkeypatch.setattr(Graph, "to_svg", lambda self, heat: given.append(heat) or "<svg/>")
    hook = TransitionCoverage()
    play(hook, Words.START, Retry, 1.0, "boom", error_state=Failed)

    write_page(tmp_path / "page.html", [measure("shop:Idle,Failed", Graph.of(Idle, Failed), hook.counts())])

    names = {node.base_name: node.name for node in (Idle, Fetching, Checking, Done, Failed)}
    assert {key: count for key, count in given[0].items() if count} == {
        names["Idle"]: 1,
        names["Fetching"]: 2,
        names["Failed"]: 1,
        (names["Idle"], "Words.START"): 1,
        (names["Fetching"], "Retry"): 1,
        (names["Fetching"], Exception): 1,
    }
    assert given[0].keys() == {
        *names.values(),
        *((node.name, edge.name) for node in Graph.of(Idle).nodes for edge in node.edges),
        *((names[name], Exception) for name in ("Idle", "Fetching", "Checking")),
    }


def test_what_was_never_reached_has_a_colour_of_its_own() -> None:
    """The page recolours what drawings paint grey for no heat; this is the grey that they paint it in."""
    grey = _picture._COLD_COLOR

    assert f'figure svg [stroke="{grey}"] {{ stroke: #8250df; }} figure svg [fill="{grey}"] {{ fill: #8250df; }}' in _page._STYLE
    assert grey in Graph.of(Idle).to_dot(heat={Idle: 1, Fetching: 0})


def raise_missing(*_: object, **__: object) -> str:
    """Do what `to_svg` does without Graphviz."""
    from septum._errors import graphviz_missing

    raise graphviz_missing()


def test_share_that_was_asked_for_and_reached_is_said_on_the_page(tmp_path: Path) -> None:
    """Without a limit there is no such line."""
    write_page(tmp_path / "page.html", [], 80.0)
    assert '<p class="reached">80 % were asked for.</p>' in (tmp_path / "page.html").read_text(encoding="utf-8")
    write_page(tmp_path / "page.html", [])
    assert "were asked for" not in (tmp_path / "page.html").read_text(encoding="utf-8")


async def _stay(ctx: Any) -> None: ...


MACHINE: StateMachine[Any] = StateMachine(Idle)
BROKEN = StateSpec(name="Broken", on_state=_stay, transitions=lambda: ["no.such.State"])
