"""The benchmarks' own arithmetic, tables and generator; what they measure is not judged here."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.bench import __main__ as command
from tests.bench import gate, table, unhooked
from tests.bench.harness import Measured, Worker, WorkerFailed
from tests.bench.metrics import METRICS, bytes_per_machine, left_after_release
from tests.bench.subjects import SUBJECTS
from tests.bench.timings import Sample, Timings, rounds_for, turns
from tests.bench.worker import SAMPLE_NS, count_for

ROOT = Path(__file__).resolve().parents[1]


def timed(ns_by_pair: dict[tuple[str, str], float]) -> Timings:
    """Return timings in which each pair has one sample of so many ns an operation, under a calibration loop of 1,000 ns."""
    timings = Timings()
    for pair, ns in ns_by_pair.items():
        timings.samples[pair].append(Sample(count=100, elapsed=round(ns * 100), before=1000, after=1000))
    return timings


def test_sample_is_divided_by_the_calibration_around_it() -> None:
    """A sample twice as long between calibrations twice as long is the same cost."""
    quick = Sample(count=10, elapsed=4000, before=90, after=110)
    slow = Sample(count=10, elapsed=8000, before=210, after=190)
    assert (quick.norm, slow.norm) == (4.0, 4.0)


def test_times_are_medians_in_units_of_the_median_calibration() -> None:
    """One wild sample changes neither the time nor the ratio."""
    timings = Timings()
    timings.samples["floor", "tick"] = [Sample(count=1, elapsed=elapsed, before=100, after=100) for elapsed in (200, 210, 9000)]
    timings.samples["septum", "tick"] = [Sample(count=1, elapsed=420, before=100, after=100)]
    assert timings.ns(("floor", "tick")) == 210
    assert timings.ratio(("septum", "tick"), ("floor", "tick")) == 2.0
    assert timings.spread(("floor", "tick")) == (200, 9000)


def test_pairs_take_turns_and_a_slow_one_sits_out_evenly() -> None:
    """Every round has every pair with all rounds; one with a third of them comes every third round."""
    order = list(turns({("a", "tick"): 6, ("b", "tick"): 2}))
    assert "".join(subject for subject, _ in order) == "aaabaaab"


@pytest.mark.parametrize(("elapsed", "rounds"), [(1, 12), (60_000_000, 12), (120_000_000, 6), (600_000_000_000, 3)])
def test_long_samples_are_taken_less_often(elapsed: int, rounds: int) -> None:
    """The rounds of a pair shrink with the length of its samples, to three at the least."""
    assert rounds_for(elapsed, 12) == rounds


def test_sample_is_filled_with_whole_units() -> None:
    """The count of operations fills 25 ms with a fifth to spare and is a multiple of what the metric does at a time."""
    assert count_for(SAMPLE_NS, 1000, unit=1) == 1200
    assert count_for(SAMPLE_NS, 1000, unit=500) == 1500
    assert count_for(SAMPLE_NS * 10, 500, unit=500) == 500


def test_goals_are_judged_by_the_figures_that_are_shown() -> None:
    """A row says what was measured and whether that keeps to must and aim; for a speed-up more is better."""
    timings = timed({("floor", "tick"): 200.0, ("septum", "tick"): 320.4, ("upstream", "tick"): 4800.0})
    found = table.rows(Measured(timings=timings))
    assert [row.cells() for row in found] == [
        ("`await tick()`", "floor", "1.60 x", "<= 1.80 x PASS", "<= 1.30 x miss"),
        ("`await tick()`, times as fast", "upstream", "15 x", ">= 16 x miss", ""),
    ]


def test_growth_of_memory_is_a_row() -> None:
    """The soak's row compares the memory at the end with that after it settled."""
    soak = {"machines": 10_000, "seconds": 60.0, "settled": 10.0, "start": 100.0, "end": 104.0}
    assert [row.cells() for row in table.rows(Measured(), soak=soak)] == [
        ("soak, 10,000 machines: memory after 60 s", "after 10 s", "4.0 %", "<= 5.0 % PASS", ""),
    ]


def test_instructions_of_the_hooks_are_rows() -> None:
    """Committed counts with and without the hooks become a percentage."""
    found = table.rows(Measured(), instructions={"septum": {"tick": 1030.0}, "septum-unhooked": {"tick": 1000.0}})
    assert [row.cells()[2:] for row in found] == [("3.0 %", "<= 2.0 % miss", "<= 0.0 % miss")]


def test_times_have_a_line_a_subject_and_a_column_a_metric() -> None:
    """Only what was measured is shown, with three digits that count."""
    measured = Measured(timings=timed({("floor", "run"): 170.44, ("automat", "tick"): 12_345.0}), bytes={("floor", "1000"): 64.03})
    assert table.times(measured) == [
        ("ns an operation", "tick", "run", "bytes"),
        ("floor", "", "170", "64"),
        ("automat", "12,300", "", ""),
    ]


def test_tables_are_drawn_for_terminal_and_page() -> None:
    """The first column is flush left, the others flush right."""
    lines = [("what", "found"), ("a", "10"), ("bcdefg", "2")]
    assert table.as_text(lines) == "what    found\n------  -----\na          10\nbcdefg      2"
    assert table.as_markdown(lines) == "| what | found |\n| --- | ---: |\n| a | 10 |\n| bcdefg | 2 |"


def test_page_keeps_its_prose_around_the_table(tmp_path: Path) -> None:
    """Only what stands between the marks is replaced."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.START}\nold\n{table.END}\nafter\n", encoding="utf-8")
    table.put_into(page, "new")
    assert page.read_text(encoding="utf-8") == f"before\n{table.START}\nnew\n{table.END}\nafter\n"


def test_page_without_marks_is_refused_and_kept(tmp_path: Path) -> None:
    """There is nowhere to put the table, so the page stays as it is."""
    page = tmp_path / "page.md"
    page.write_text("prose", encoding="utf-8")
    with pytest.raises(ValueError, match="has no lines"):
        table.put_into(page, "new")
    assert page.read_text(encoding="utf-8") == "prose"


@pytest.mark.parametrize("name", ["bench", "pipeline", "replay", "loading"])
def test_docs_page_has_the_marks(name: str) -> None:
    """docs/performance.md can take each table."""
    text = command.PAGE.read_text(encoding="utf-8")
    assert text.index(f"<!-- {name}: start -->") < text.index(f"<!-- {name}: end -->")


def test_goals_are_shown_and_put_between_their_own_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the terminal with their bounds, and in the page where the name says."""
    page = tmp_path / "page.md"
    page.write_text("<!-- replay: start -->\n<!-- replay: end -->\n", encoding="utf-8")
    monkeypatch.setattr(table, "PAGE", page)
    found = [table.row("a replay", "the run", 2.0, "x", must=3.0, aim=1.0)]
    table.show(found, "Minima.", "replay", write=False)
    assert capsys.readouterr().out.splitlines() == [
        "Minima.",
        "",
        "what      against  measured            must             aim",
        "--------  -------  --------  --------------  --------------",
        "a replay  the run    2.00 x  <= 3.00 x PASS  <= 1.00 x miss",
    ]
    assert page.read_text(encoding="utf-8") == "<!-- replay: start -->\n<!-- replay: end -->\n"
    table.show(found, "Minima.", "replay", write=True)
    assert "| a replay | the run | 2.00 x | <= 3.00 x PASS | <= 1.00 x miss |\n\n<!-- replay: end -->" in page.read_text(encoding="utf-8")


def test_everything_measured_goes_into_the_file() -> None:
    """The JSON holds goals with their verdict, times with their spread, and weights."""
    measured = Measured(
        timings=timed({("floor", "tick"): 200.0, ("septum", "tick"): 400.0}), bytes={("septum", "1000"): 128.3}, left={"septum": 0}
    )
    found = json.loads(json.dumps(table.as_json(measured, table.rows(measured)[:1])))
    assert found["goals"] == [
        {
            "what": "`await tick()`",
            "against": "floor",
            "found": 2.0,
            "unit": "x",
            "must": 1.8,
            "aim": 1.3,
            "at_least": False,
            "passes": False,
        }
    ]
    assert found["times"]["floor"] == {"tick": {"ns": 200.0, "quartiles": [200.0, 200.0], "samples": 1, "operations": 100}}
    assert (found["bytes"], found["left"], found["calibration_ns"]) == ({"septum": {"1000": 128.3}}, {"septum": 0}, 1000)


def test_gate_holds_counts_ratio_and_hooks() -> None:
    """For a known Python the counts may grow by 3 %, and so may their ratio; the hooks may cost 2 %."""
    kept = {"septum": {"tick": 1500.0}, "floor": {"tick": 1000.0}, "septum-unhooked": {"tick": 1500.0}}
    now = {"septum": {"tick": 1560.0}, "floor": {"tick": 1000.0}, "septum-unhooked": {"tick": 1550.0}}
    assert [(check.gate, check.holds) for check in gate.checks(now, kept, [kept])] == [
        ("count, floor", True),
        ("count, septum", False),
        ("hooks compiled in", True),
        ("ratio to the floor", False),
    ]


def test_gate_holds_only_ratio_and_hooks_of_an_unknown_python() -> None:
    """Another Python may count differently, but not put Septum further from the floor."""
    kept = {"septum": {"tick": 1500.0}, "floor": {"tick": 1000.0}}
    now = {"septum": {"tick": 3200.0}, "floor": {"tick": 2000.0}, "septum-unhooked": {"tick": 3100.0}}
    assert [(check.gate, check.holds) for check in gate.checks(now, None, [kept])] == [
        ("hooks compiled in", False),
        ("ratio to the floor", True),
    ]


@pytest.mark.slow
def test_hooks_are_taken_out_of_the_engine(tmp_path: Path) -> None:
    """The generated engine compiles, does what it did, and does not know what a watch is."""
    folder = unhooked.generate(tmp_path)
    program = (
        "import asyncio, septum\n"
        "from tests.bench.programs import Program\n"
        "from septum import core\n"
        "async def main():\n"
        "    fsm = septum.StateMachine(initial_state=Program(core).receiving, common_data={'count': 0})\n"
        "    await fsm.initialize()\n"
        "    fsm.send_message(1)\n"
        "    fsm.send_message(2)\n"
        "    await fsm.run(timeout=0)\n"
        "    print(fsm.common, fsm.stats().handled, hasattr(fsm, '_watch'), septum.__file__)\n"
        "asyncio.run(main())\n"
    )
    environment = {"PYTHONPATH": f"{folder}:{ROOT}"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.stderr) == (f"{{'count': 2}} 2 False {folder / 'septum' / '__init__.py'}\n", "")


def test_generator_that_finds_nothing_is_loud() -> None:
    """An engine in which no hook code is recognised means that the rules are out of date."""
    with pytest.raises(unhooked.Drifted, match=r"by these rules: .*_hooks\.installed.*self\._watch"):
        unhooked.strip({"_driver.py": "def tick(self):\n    return 1\n"})


def test_generator_that_leaves_something_is_loud() -> None:
    """Hook code in a shape that the rules do not know is named, not passed on."""
    with pytest.raises(unhooked.Drifted, match=r"_driver\.py still mentions None\.seq"):
        unhooked.strip({"_driver.py": "def tick(self):\n    self._watch.seq += 1\n"})


FOLDED = {
    "if watch is not None:\n        tell()\n    done()": "done()",
    "if watch is None or slow():\n        done()\n    else:\n        tell()": "done()",
    "x = watch.errors if watch else 0": "x = 0",
    "for _ in range(3):\n        self._tell(1)": "for _ in range(3):\n        pass",
    "try:\n        go()\n    finally:\n        self._tell(1)": "try:\n        go()\n    finally:\n        pass",
    "if not self._watch and ready:\n        done()": "if ready:\n        done()",
    "return calls or ()": "return calls or ()",
}


@pytest.mark.parametrize("body", FOLDED)
def test_what_follows_from_having_no_observer_is_folded(body: str) -> None:
    """The branch that is left stands alone; what the rules do not touch is as it was."""
    fold = unhooked._Fold()
    tree = fold.visit(unhooked.ast.parse(f"def f(self):\n    a, watch = 1, self._watch\n    {body}\n"))
    text = unhooked.ast.unparse(unhooked.ast.fix_missing_locations(tree))
    assert text == f"def f(self):\n    a, = (1,)\n    {FOLDED[body]}"


def test_idle_machine_is_weighed_without_the_users_data() -> None:
    """A machine of the floor weighs the same among 100 as among 200, and none outlives its last reference."""
    idle = SUBJECTS["floor"].bench().idle
    assert idle is not None
    assert asyncio.run(bytes_per_machine(idle, 100)) == pytest.approx(asyncio.run(bytes_per_machine(idle, 200)), abs=2)
    assert asyncio.run(left_after_release(idle, 100)) == 0


@pytest.mark.parametrize("name", ["floor", "septum"])
def test_every_metric_does_what_it_is_asked(name: str) -> None:
    """Each loop runs; those that count say so if they did other work than asked."""

    async def once() -> list[str]:
        metrics = SUBJECTS[name].bench().metrics
        few = {metric: found for metric, found in metrics.items() if metric != "gather-10000"}
        for found in few.values():
            await (await found.prepare())(found.unit)
        return list(few)

    assert set(asyncio.run(once())) <= set(METRICS)


@pytest.mark.parametrize("name", [name for name, subject in SUBJECTS.items() if subject.package])
def test_subject_says_what_it_needs(name: str) -> None:
    """A subject whose library is missing has no version; one that is installed has its metrics among the known ones."""
    subject = SUBJECTS[name]
    assert find_spec(f"tests.bench.{subject.file}") is not None
    assert set(subject.only) <= set(METRICS)
    assert subject.version() != ""


def test_worker_samples_and_tells_why_it_died() -> None:
    """A worker answers with a timing between two calibrations; when it dies, its error comes with the exception."""
    worker = Worker("floor", None, {"SEPTUM_UNHOOKED": "/nowhere"})
    try:
        answer = worker.ask(do="sample", metric="tick", count=10)
        assert {key: value > 0 for key, value in answer.items()} == {"elapsed": True, "before": True, "after": True}
        with pytest.raises(WorkerFailed, match="a worker was asked for"):
            worker.ask(do="nonsense")
    finally:
        worker.close()


def test_unknown_names_on_the_command_line_are_refused_with_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt subject is named and the nearest offered."""
    with pytest.raises(SystemExit):
        command.arguments(["--subjects", "flor"])
    assert "'flor' is unknown; did you mean 'floor'?" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names every metric and every subject, and shows examples."""
    with pytest.raises(SystemExit):
        command.arguments(["--help"])
    text = capsys.readouterr().out
    assert [name for name in (*METRICS, *SUBJECTS, "examples:") if name not in text] == []
