"""`septum check` says what is wrong with definitions, for people and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click")

from septum import _findings as kinds
from septum.cli._rules import RULES
from septum.cli._sarif import name_rule
from tests.cli.programs import DOOR, Program
from tests.drawing.tools import find_modules

if TYPE_CHECKING:
    from click.testing import Result

BAD = """
from enum import Enum, auto

from septum import LabeledTransition, Pop, Push, StateConfiguration, septum


@septum.state
class Asking:
    class Events(Enum):
        ASKED = auto()
        LEFT = auto()

    @septum.on_state
    async def on_state(ctx): ...

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.ASKED, Answering), LabeledTransition(Events.LEFT, Push(Asking, Asking))]


@septum.state(
    config=StateConfiguration(
        timeout=1.5,
        retries=3,
    )
)
class Answering:
    class Events(Enum):
        DONE = auto()

    @septum.on_state
    async def on_state(ctx): ...

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.DONE, Pop)]
"""

BAD_TEXT = """\
PACKAGE/bad.py:20: error SEP101 ...
  20 | @septum.state(
  26 | class Answering:
     = path: PACKAGE.bad.Asking -Events.ASKED-> PACKAGE.bad.Answering -Events.DONE->
     = do: ...

PACKAGE/bad.py:6: error SEP102 ...
  6 | @septum.state
  7 | class Asking:
    = path: PACKAGE.bad.Asking -Events.LEFT->
    = do: ...

PACKAGE/bad.py:20: warning SEP015 ...
  20 | @septum.state(
  26 | class Answering:
     = do: ...

PACKAGE/bad.py:20: warning SEP016 ...
  20 | @septum.state(
  26 | class Answering:
     = do: ...

PACKAGE/bad.py:6: note SEP106 ...
  6 | @septum.state
  7 | class Asking:
    = path: PACKAGE.bad.Asking -Events.LEFT->
    = do: ...

PACKAGE.bad.Asking: 2 states
2 errors, 2 warnings, 1 note.
"""


@pytest.fixture
def bad(door: Program) -> Program:
    """Return a program with a module `bad` besides, with findings of each severity."""
    door.write("bad", BAD)
    return door


def check(program: Program, *arguments: str, **environ: str) -> Result:
    """Run the command in this process."""
    return program.run("check", *arguments, **environ)


def test_findings_are_shown_with_source_path_and_what_to_do(bad: Program) -> None:
    """Errors first; of a state the first line and that of its `class` or `def`; a summary of the definition ends it."""
    done = check(bad, "PACKAGE.bad")
    said = re.sub(r"(?<=SEP\d{3} ).+|(?<== do: ).+", "...", bad.text(done.stdout))
    assert (done.exit_code, said) == (1, BAD_TEXT)


def test_what_is_right_ends_with_zero(door: Program) -> None:
    """Notes are shown and do no harm."""
    done = check(door, "PACKAGE.door")
    assert done.exit_code == 0
    assert door.text(done.stdout).splitlines()[-2:] == [
        "PACKAGE.door.Closed (error state PACKAGE.door.Lost): 5 states, stack depth at most 1",
        "2 notes.",
    ]


def test_nothing_wrong_is_said(door: Program) -> None:
    """Where there is not even a note, one line says so."""
    done = check(door, "PACKAGE.door:Walled")
    assert (done.exit_code, door.text(done.stdout)) == (0, "PACKAGE.door.Walled: 1 state, stack depth at most 0\nNothing is wrong.\n")


def test_one_fault_of_two_definitions_is_told_once(bad: Program) -> None:
    """A state that two machines share has its finding once."""
    made = "def f(): StateMachine(Answering), StateMachine(Asking)"
    bad.write("more", f"from PACKAGE.bad import Answering, Asking\nfrom septum import StateMachine\n{made}\n")
    data = json.loads(check(bad, "PACKAGE.more", "--format", "json").stdout)
    assert [each["initial"] for each in data["definitions"]] == [f"{bad.name}.bad.Answering", f"{bad.name}.bad.Asking"]
    codes = [finding["code"] for finding in data["findings"]]
    assert (codes.count("SEP015"), codes.count("SEP016"), codes.count("SEP102")) == (1, 1, 1)


def test_a_comment_keeps_its_finding_out(bad: Program) -> None:
    """What is allowed is counted in the summary."""
    text = BAD.replace("@septum.state\n", "@septum.state  # septum: allow SEP102 nobody leaves so often\n")
    bad.write("bad", text)
    done = check(bad, "PACKAGE.bad")
    assert "error SEP102" not in done.stdout
    assert bad.text(done.stdout).splitlines()[-2:] == ["PACKAGE.bad.Asking: 2 states, 1 allowed", "1 error, 2 warnings, 1 note."]


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 1)])
def test_warnings_fail_only_a_strict_check(bad: Program, arguments: tuple[str, ...], code: int) -> None:
    """With --strict a warning ends with 1, too."""
    bad.write("bad", BAD.replace("Push(Asking, Asking)", "Asking").replace("Pop)", "Asking)"))
    done = check(bad, "PACKAGE.bad", *arguments)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (code, "2 warnings, 1 note.")


def test_states_that_make_no_machine_are_explained(door: Program) -> None:
    """The errors of the structure are shown though there is no graph."""
    door.write("bad", BAD.replace("Answering)", "'PACKAGE.bad.Anwsering')"))
    done = check(door, "PACKAGE.bad:Asking")
    assert done.exit_code == 1
    assert "error SEP001 " in done.stdout
    assert door.text(done.stdout).splitlines()[-2:] == ["PACKAGE.bad.Asking: no machine can be made of it", "1 error."]


def test_the_error_state_is_checked_with_the_machine(door: Program) -> None:
    """With --error-state, what MODULE:STATE begins may go there from everywhere."""
    done = check(door, "PACKAGE.door:Closed", "--error-state", "Lost")
    assert "PACKAGE.door.Closed (error state PACKAGE.door.Lost): 5 states" in door.text(done.stdout)


def test_json_has_all_that_the_text_says(bad: Program) -> None:
    """One object: definitions with hash and stack depth, findings with file, line and path."""
    done = check(bad, "PACKAGE.bad", "PACKAGE.door:Walled", "--format", "json")
    data: dict[str, Any] = json.loads(bad.text(done.stdout))
    assert (done.exit_code, data["ok"]) == (1, False)
    assert [(each["initial"], each["error"], each["states"], each["stack_depth"], each["allowed"]) for each in data["definitions"]] == [
        ("PACKAGE.bad.Asking", None, 2, None, []),
        ("PACKAGE.door.Walled", None, 1, 0, []),
    ]
    assert all(re.fullmatch("[0-9a-f]{12}", each["hash"]) for each in data["definitions"])
    first = data["findings"][0]
    assert {name: first[name] for name in ("code", "severity", "state", "path", "file", "line")} == {
        "code": "SEP101",
        "severity": "error",
        "state": "PACKAGE.bad.Answering",
        "path": [["PACKAGE.bad.Asking", "Events.ASKED"], ["PACKAGE.bad.Answering", "Events.DONE"]],
        "file": "PACKAGE/bad.py",
        "line": 20,
    }
    assert [finding["severity"] for finding in data["findings"]] == ["error", "error", "warning", "warning", "note"]


def test_github_annotates_lines(bad: Program) -> None:
    """Each finding is a command of GitHub's workflows, with what it cannot hold escaped."""
    done = check(bad, "PACKAGE.bad", "--format", "github")
    lines = bad.text(done.stdout).splitlines()
    assert [line.partition("::")[2].partition("::")[0] for line in lines[:5]] == [
        "error file=PACKAGE/bad.py,line=20,title=SEP101 PACKAGE.bad.Answering",
        "error file=PACKAGE/bad.py,line=6,title=SEP102 PACKAGE.bad.Asking",
        "warning file=PACKAGE/bad.py,line=20,title=SEP015 PACKAGE.bad.Answering",
        "warning file=PACKAGE/bad.py,line=20,title=SEP016 PACKAGE.bad.Answering",
        "notice file=PACKAGE/bad.py,line=6,title=SEP106 PACKAGE.bad.Asking",
    ]
    assert lines[0].endswith("%0APath: PACKAGE.bad.Asking -Events.ASKED-> PACKAGE.bad.Answering -Events.DONE->")
    assert (done.exit_code, lines[5:]) == (1, ["PACKAGE.bad.Asking: 2 states", "2 errors, 2 warnings, 1 note."])


def test_a_state_without_a_place_is_told_without_one(door: Program) -> None:
    """Made by hand, a state stands in no file: no line, no annotation of one."""
    door.write(
        "hand",
        "from septum import Pop, StateSpec\nHand = StateSpec(name='a:b,c%', qualname='x', on_state=print, transitions=lambda: Pop)\n",
    )
    shown = check(door, "PACKAGE.hand").stdout.splitlines()
    assert shown[0].startswith("error SEP101 ")
    assert shown[1].strip().startswith("= path: a:b,c% -Pop->")
    assert check(door, "PACKAGE.hand", "--format", "github").stdout.startswith("::error title=SEP101 a%3Ab%2Cc%25::")
    result = json.loads(check(door, "PACKAGE.hand", "--format", "sarif").stdout)["runs"][0]["results"][0]
    assert result["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "a:b,c%", "kind": "type"}]}]


def test_sarif_has_a_rule_for_each_kind_and_a_result_for_each_finding(bad: Program) -> None:
    """Places are relative to where the command ran; the path is a code flow; the fingerprint does not depend on lines."""
    done = check(bad, "PACKAGE.bad", "--format", "sarif")
    (run,) = json.loads(bad.text(done.stdout))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [(rule["id"], rule["name"]) for rule in rules] == [
        ("SEP015", "NoOnTimeout"),
        ("SEP016", "NoOnFail"),
        ("SEP101", "EmptyPop"),
        ("SEP102", "UnboundedStack"),
        ("SEP106", "Spin"),
    ]
    assert rules[2]["shortDescription"] == rules[2]["fullDescription"] == {"text": "A Pop on an empty stack can happen."}
    assert rules[2]["help"]["markdown"].startswith("Push the state ")
    assert run["originalUriBaseIds"] == {"%SRCROOT%": {"uri": "file://FOLDER/"}}
    assert [(result["ruleId"], result["ruleIndex"], result["level"]) for result in run["results"]] == [
        ("SEP101", 2, "error"),
        ("SEP102", 3, "error"),
        ("SEP015", 0, "warning"),
        ("SEP016", 1, "warning"),
        ("SEP106", 4, "note"),
    ]
    first = run["results"][0]
    place = {"artifactLocation": {"uri": "PACKAGE/bad.py", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 20}}
    assert [location["physicalLocation"] for location in first["locations"]] == [place]
    (flow,) = first["codeFlows"][0]["threadFlows"]
    assert [
        (step["location"]["physicalLocation"]["region"]["startLine"], step["location"]["message"]["text"]) for step in flow["locations"]
    ] == [
        (6, "PACKAGE.bad.Asking answers Events.ASKED"),
        (20, "PACKAGE.bad.Answering answers Events.DONE"),
    ]
    bad.write("bad2", "# a line more\n" + BAD)
    moved = json.loads(check(bad, "PACKAGE.bad2", "--format", "sarif").stdout.replace("bad2", "bad"))["runs"][0]["results"]
    assert [result["partialFingerprints"] for result in moved] != []


def test_every_kind_of_finding_has_a_rule_name() -> None:
    """It is that of its constant, in one word."""
    codes = [value for value in vars(kinds).values() if isinstance(value, str) and re.fullmatch(r"SEP\d{3}", value)]
    names = [name_rule(code) for code in codes]
    assert all(re.fullmatch("[A-Z][A-Za-z]+", name) for name in names)
    assert len(set(names)) == len(codes) > 20


def test_rules_say_what_the_reference_says() -> None:
    """Each kind of finding has its two sentences from docs/reference/findings.md."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "findings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(SEP\d{3})` \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    assert {code: (says, do) for code, says, do in rows} == RULES


@pytest.mark.slow
def test_sarif_keeps_to_its_schema(bad: Program) -> None:
    """What is printed is valid by the schema of SARIF 2.1.0, as Microsoft ships it."""
    jsonschema = pytest.importorskip("jsonschema")
    file = find_modules() / "node_modules" / "@microsoft" / "jest-sarif" / "lib" / "schemas" / "sarif-2.1.0-rtm.5.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    for target in ("PACKAGE.bad", "PACKAGE.door:Walled"):
        log = json.loads(check(bad, target, "--format", "sarif").stdout)
        jsonschema.Draft4Validator(schema).validate(log)


def test_a_file_elsewhere_is_told_by_its_whole_path(bad: Program, tmp_path: Path) -> None:
    """Only below the current directory a path is relative."""
    file = tmp_path / bad.name / "bad.py"
    bad.folder = tmp_path / "elsewhere"
    bad.folder.mkdir()
    result = json.loads(check(bad, str(file), "--format", "sarif").stdout)["runs"][0]["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": file.as_uri()}


@pytest.mark.parametrize(("variable", "colored"), [("FORCE_COLOR", True), ("NO_COLOR", False), ("NOTHING", False)])
def test_colours_are_for_terminals_unless_asked_for(bad: Program, variable: str, colored: bool) -> None:
    """Into a pipe there are none; FORCE_COLOR brings them."""
    done = check(bad, "PACKAGE.bad", **{variable: "1"})
    assert ("\x1b[31m\x1b[1merror SEP101\x1b[0m" in done.stdout) is colored
    assert ("\x1b" in done.stdout) is colored


@pytest.mark.slow
def test_the_process_ends_with_one_for_errors(bad: Program) -> None:
    """As a process of its own: 1 for errors, 0 for none, and nothing on stderr."""
    failed, passed = bad.process("check", "PACKAGE.bad"), bad.process("check", "PACKAGE.door")
    assert [(done.returncode, done.stderr) for done in (failed, passed)] == [(1, ""), (0, "")]


def test_door_is_the_program_that_other_tests_think_it_is() -> None:
    """Its text parses by itself."""
    compile(DOOR, "door.py", "exec")
