"""Which recorded runs a definition admits: every kind of difference is found, at its visit, and nothing else is."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from septum import LabeledTransition, Pop, Push, Retry, StateConfiguration, StateSpec, septum
from septum.replay import CheckReport, MemorySink, Recorder, Run, Violation, check, load
from septum.replay._report import RULES
from tests.model.generate import programs
from tests.model.machine import Machine
from tests.model.program import Definition, Edge, Tape
from tests.replay.exported import SCOPES, SEGMENT, Exported, Program, play

FIXTURES = Path(__file__).parent / "fixtures"
THOROUGH = os.environ.get("SEPTUM_MODEL_EXAMPLES")
seldom = settings(max_examples=int(THOROUGH or 60), deadline=None, suppress_health_check=list(HealthCheck), derandomize=THOROUGH is None)

Do = Enum("Do", ["ASK", "PAY", "DONE"])


class Shop:
    """The definition of the fixtures, to be changed before it is used."""

    def __init__(self) -> None:
        self.open, self.asking, self.paying = (StateSpec(name=f"shop.{name}") for name in ("Open", "Asking", "Paying"))
        for spec in (self.open, self.asking, self.paying):
            spec.qualname, spec.module = spec.name.removeprefix("shop."), "shop"
            spec.on_state = lambda ctx: None
        self.asking.on_timeout = lambda ctx: Pop
        self.edges: dict[str, list[Any]] = {
            "open": [LabeledTransition(Do.ASK, Push(self.asking, self.open)), LabeledTransition(Do.PAY, self.paying)],
            "asking": [Pop],
            "paying": [LabeledTransition(Do.DONE, None), Retry],
        }
        self.limits: dict[str, dict[str, Any]] = {
            "open": {"can_dwell": True}, "asking": {"timeout": 5.0}, "paying": {"can_dwell": True, "retries": 2},
        }  # fmt: skip

    def check(self, *runs: Run, initial: str = "open") -> CheckReport:
        """Hold runs, those of the fixtures if none are given, against it."""
        for name, edges in self.edges.items():
            spec = getattr(self, name)
            spec.transitions = lambda edges=edges: edges
            spec.config = StateConfiguration(**self.limits[name])
        return check(runs or load(FIXTURES / "otlp.jsonl"), getattr(self, initial))


def found(report: CheckReport) -> list[tuple[str, int, str, str]]:
    """Return what is not admitted: kind, visit, expected and found."""
    return [(each.kind, each.visit, each.expected, each.found) for each in report.violations]


def test_the_same_definition_admits_its_runs() -> None:
    """From spans, from events and from a recording; the report says how many."""
    runs = [load(FIXTURES / name)[0] for name in ("otlp.jsonl", "events.jsonl", "recording-v1.jsonl")]
    report = Shop().check(*runs)
    assert (report.ok, report.violations, report.exit_code, report.incomplete, report.refused) == (True, (), 0, 0, ())
    assert str(report) == f"3 of 3 runs admitted by shop.Open ({report.definition_hash})"


def test_a_state_that_is_gone_is_found() -> None:
    """With a guess what it is called now; what leads to it is not told a second time."""
    shop = Shop()
    shop.paying.name, shop.paying.qualname = "shop.Payment", "Payment"
    report = shop.check()
    assert [(each.kind, each.visit, each.seq, each.state) for each in report.violations] == [
        ("state-removed", 4, 30, "Paying"), ("state-removed", 5, 40, "Paying"),
    ]  # fmt: skip
    assert report.violations[0].expected == "a state of Open; did it become Payment?"
    assert (report.ok, report.exit_code, report.refused) == (False, 1, report.runs)


def test_another_beginning_is_found() -> None:
    """A run that began in another state than machines begin in today."""
    shop = Shop()
    shop.edges["paying"].append(shop.open)
    assert found(shop.check(initial="paying")) == [("other-initial", 1, "to begin in Paying", "began in Open")]


def test_an_edge_that_is_missing_is_found() -> None:
    """The label is no more, or has another name: the report lists what there is."""
    shop = Shop()
    shop.edges["open"][1] = LabeledTransition(Enum("Do", ["PAYS"]).PAYS, shop.paying)
    assert found(shop.check()) == [
        ("edge-missing", 3, "one of the edges of Open: Do.ASK, Do.PAYS; did it become Do.PAYS?", "Do.PAY led to Paying"),
    ]


@pytest.mark.parametrize(
    ("change", "expected", "what"),
    [
        (lambda shop: ("open", 1, LabeledTransition(Do.PAY, shop.asking)), "Do.PAY to lead to Asking", "Do.PAY led to Paying"),
        (lambda shop: ("open", 1, LabeledTransition(Do.PAY, None)), "Do.PAY to end the machine", "Do.PAY led to Paying"),
        (lambda shop: ("open", 1, LabeledTransition(Do.PAY, Push(shop.paying, shop.open))), "Do.PAY to lead to Paying (push)",
         "Do.PAY led to Paying"),
        (lambda shop: ("open", 0, LabeledTransition(Do.ASK, shop.asking)), "Do.ASK to lead to Asking", "Do.ASK led to Asking (push)"),
        (lambda shop: ("paying", 0, LabeledTransition(Do.DONE, shop.open)), "Do.DONE to lead to Open", "Do.DONE ended the machine"),
    ],
)  # fmt: skip
def test_an_edge_that_leads_elsewhere_is_found(change: Any, expected: str, what: str) -> None:
    """To another state, to the end, onto the stack, and not."""
    shop = Shop()
    name, place, entry = change(shop)
    shop.edges[name][place] = entry
    shop.edges["open"].append(shop.paying)
    assert ("other-target", expected, what) in {(kind, wanted, did) for kind, _, wanted, did in found(shop.check())}


def test_a_stack_that_cannot_be_is_found() -> None:
    """Something else would be below, nothing would, or what is there is no state any more."""
    shop = Shop()
    shop.edges["open"][0] = LabeledTransition(Do.ASK, Push(shop.asking, shop.paying))
    assert found(shop.check()) == [("stack-impossible", 1, "Paying on the stack", "Open")]
    shop = Shop()
    shop.edges["open"][0] = LabeledTransition(Do.ASK, Push(shop.asking))
    assert found(shop.check()) == [("stack-impossible", 1, "nothing on the stack", "Open")]
    (run,) = load(FIXTURES / "otlp.jsonl")
    steps = (run.steps[0], run.steps[1]._replace(stack=("Open", "Gone")), *run.steps[2:])
    report = Shop().check(replace(run, steps=steps))
    assert ("stack-impossible", 2, "states of Open on the stack", "Gone on the stack") in found(report)


def test_a_timeout_that_is_shorter_than_a_stay_is_found() -> None:
    """Where a visit lasted longer, whether a timeout ended it or not."""
    shop = Shop()
    shop.limits["open"] = {"timeout": 2.5}
    shop.limits["asking"] = {"timeout": 3.0}
    assert found(shop.check()) == [
        ("timeout-shorter", 1, "at most 2.5 s in Open", "stayed 6 s"),
        ("timeout-shorter", 2, "at most 3 s in Asking", "its timeout fired after 6 s"),
        ("timeout-shorter", 3, "at most 2.5 s in Open", "stayed 6 s"),
    ]


def test_a_timeout_that_fired_and_is_gone_or_longer_is_found() -> None:
    """The way out that it decided would not be taken, or not then."""
    shop = Shop()
    shop.limits["asking"] = {"can_dwell": True}
    assert found(shop.check()) == [("timeout-missing", 2, "no timeout", "its timeout fired after 6 s")]
    shop = Shop()
    shop.limits["asking"] = {"timeout": 60.0}
    assert found(shop.check()) == [("timeout-missing", 2, "no timeout before 60 s", "its timeout fired after 6 s")]


def test_fewer_retries_than_were_made_are_found() -> None:
    """The retry past the limit."""
    shop = Shop()
    shop.limits["paying"] = {"can_dwell": True, "retries": 0}
    assert found(shop.check()) == [("fewer-retries", 5, "at most 0 retries of Paying", "retry 1")]


def test_a_state_that_ends_the_machine_now_is_found() -> None:
    """It was left by an edge."""
    shop = Shop()
    shop.limits["open"] = {"terminal": True}
    kinds = {(kind, visit) for kind, visit, _, _ in found(shop.check())}
    assert ("terminal", 3) in kinds


def test_what_gaps_hide_is_not_held_against_a_run() -> None:
    """A visit that is missing could have been anything; the report says that there are gaps."""
    data = (FIXTURES / "otlp-indented.json").read_bytes()
    content = json.loads(data)
    spans = content["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[:] = [span for span in spans if span["name"] != "visit Shop.Asking"]
    report = Shop().check(*load(content))
    assert (report.ok, report.incomplete) == (True, 1)
    assert report.summary.endswith("with gaps")


# ---- laws


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", SCOPES)
def test_every_definition_admits_what_it_did(trace_scope: Any) -> None:
    """Random machines: from spans in every scope, whole or with a tenth lost, from events and from a recording."""

    @seldom
    @given(programs(), st.randoms(use_true_random=False))
    def law(program: Program, chance: Any) -> None:
        exported, sink = Exported(trace_scope=trace_scope, segment_max_visits=SEGMENT), MemorySink()
        recorder = Recorder(sink)
        play(program, exported.hooks, recorder)
        recorder.close()
        some = exported.lines([span for span in exported.spans() if chance.random() >= 0.1])
        for source in (exported.lines(), some, exported.log_lines(), sink.records):
            report = hold(load(source), program[0])
            assert report.ok, str(report)

    law()


@pytest.mark.slow
def test_a_changed_edge_is_found_in_every_run_that_took_it() -> None:
    """An edge of a random machine is taken away or led elsewhere: just the visits that were left by it are named, from any source."""

    @seldom
    @given(programs(), st.randoms(use_true_random=False))
    def law(program: Program, chance: Any) -> None:
        definition = program[0]
        exported, sink = Exported(), MemorySink()
        recorder = Recorder(sink)
        play(program, exported.hooks, recorder)
        recorder.close()
        ways = [
            (number, place)
            for number, state in enumerate(definition.states)
            for place, edge in enumerate(state.edges)
            if edge.label is not None and edge.kind in {"label", "push", "end"}
        ]
        assume(ways)
        number, place = chance.choice(ways)
        edge = definition.states[number].edges[place]
        changed = change(definition, number, place, chance)
        expected = {
            (run.run_id, step.visit)
            for run in load(exported.lines())
            for step in run.steps
            if step.state == f"S{number}" and step.exit == f"Events.E{edge.label}"
        }
        for source in (exported.lines(), exported.log_lines(), sink.records):
            report = hold(load(source), changed)
            # Only spans tell which timeout a state had, so that of the other two a late answer may be one that today's would have cut.
            named = {(each.run_id, each.visit) for each in report.violations if each.kind != "timeout-shorter"}
            gone = {(each.run_id, each.visit) for each in report.violations if each.kind == "state-removed"}
            # Where the state that it led to is gone, that is told, and once.
            assert all(key in named or (key[0], key[1] + 1) in gone for key in expected)
            # What is below that state on the stack cannot be either.
            others = {(each.run_id, each.visit) for each in report.violations if each.kind == "stack-impossible"}
            assert named <= expected | gone | others

    law()


def hold(runs: list[Run], definition: Definition) -> CheckReport:
    """Hold runs against a random definition."""
    machine = Machine(definition, Tape(()))
    return check(runs, machine.specs[0], None if definition.error is None else machine.specs[definition.error])


def change(definition: Definition, number: int, place: int, chance: Any) -> Definition:
    """Return *definition* without an edge of a state, or with another target for it."""
    state = definition.states[number]
    edge = state.edges[place]
    targets = [target for target in range(len(definition.states)) if not edge.targets or target != edge.targets[0]]
    other = Edge(edge.label, "label", (chance.choice(targets),))
    edges = list(state.edges)
    if chance.random() < 0.5:
        del edges[place]
    else:
        edges[place] = other
    states = [*definition.states]
    states[number] = replace(state, edges=tuple(edges))
    return replace(definition, states=tuple(states))


# ---- reports


def broken() -> CheckReport:
    """Return a report with two violations in one of two runs."""
    shop = Shop()
    shop.limits["open"] = {"timeout": 2.5}
    (run,) = load(FIXTURES / "otlp.jsonl")
    return shop.check(run, replace(run, run_id="other", steps=()))


def test_report_says_it_in_lines() -> None:
    """A line for each violation, with run, visit and number, and one for all."""
    report = broken()
    run = report.runs[0]
    assert str(report).splitlines() == [
        f"run {run}, visit 1 (seq 2): timeout-shorter in Open: expected at most 2.5 s in Open; found stayed 6 s",
        f"run {run}, visit 3 (seq 21): timeout-shorter in Open: expected at most 2.5 s in Open; found stayed 6 s",
        f"1 of 2 runs admitted by shop.Open ({report.definition_hash})",
    ]


def test_report_as_json_has_everything() -> None:
    """What a program asks for."""
    report = broken()
    data = json.loads(json.dumps(report.to_dict()))
    assert {key: data[key] for key in ("initial", "ok", "runs", "refused", "incomplete")} == {
        "initial": "shop.Open", "ok": False, "runs": 2, "refused": [report.runs[0]], "incomplete": 0,
    }  # fmt: skip
    assert data["violations"][0]["expected"] == "at most 2.5 s in Open"
    assert Violation(**data["violations"][0]) == report.violations[0]


def test_report_as_junit_has_a_case_for_each_run() -> None:
    """Counts, a failure where there is one, and nothing that XML cannot hold."""
    report = broken()
    violation = replace(report.violations[0], found="\x00\ud800<&>")
    suites = ET.fromstring(replace(report, violations=(violation,)).to_junit())
    (suite,) = suites
    assert suite.attrib == {"name": "shop.Open", "tests": "2", "failures": "1", "errors": "0", "skipped": "0"}
    first, second = suite
    assert (first.attrib, second.attrib, len(second)) == (
        {"classname": "Shop", "name": report.runs[0]}, {"classname": "shop.Open", "name": "other"}, 0,
    )  # fmt: skip
    (failure,) = first
    assert failure.attrib["type"] == "timeout-shorter"
    assert (failure.text or "").endswith("found \ufffd\ufffd<&>")


@septum.state(config=StateConfiguration(can_dwell=True, timeout=1.0), name="here.Open")
def Here() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None

    @septum.on_timeout
    async def on_timeout(ctx):
        return None


def test_report_as_sarif_points_at_the_state_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule, sentence, file and line of the declaration, relative to where one is, and the place in the recording."""
    monkeypatch.chdir(Path(__file__).parent)
    (run,) = load(FIXTURES / "otlp.jsonl")
    here = replace(run, steps=(run.steps[0]._replace(state="here.Open", outcome="stopped", target=None, exit=None),))
    log = json.loads(check([here], Here).to_sarif())
    (scan,) = log["runs"]
    assert {rule["id"] for rule in scan["tool"]["driver"]["rules"]} == set(RULES)
    (result,) = scan["results"]
    assert (result["ruleId"], result["level"]) == ("timeout-shorter", "error")
    assert scan["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "test_check.py", "uriBaseId": "%SRCROOT%"}
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert "def Here" in "".join(lines[place["region"]["startLine"] - 1 : place["region"]["startLine"] + 1])
    assert result["properties"] == {"run": run.run_id, "visit": 1, "seq": 2, "recording": run.files[0]}


def test_every_rule_has_a_sentence() -> None:
    """What scanners show beside the rule's name."""
    assert all(text.endswith(".") and kind == kind.lower() for kind, text in RULES.items())
