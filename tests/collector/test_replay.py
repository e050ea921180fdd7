"""What `septum runs` and `septum replay` read from the collector's files is what the machines did, with sampling on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from septum.replay import load
from tests.collector.stack import EXAMPLES, Pipeline, clean_environment, servers, until
from tests.collector.test_outages import written

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent


class Recorded(NamedTuple):
    """A folder with the collector's files, the recorder's own file, and the example's books."""

    folder: Path
    own: Path
    books: dict[str, Any]

    @property
    def replay(self) -> Path:
        """The file for replay."""
        return self.folder / "septum-replay.jsonl"


@pytest.fixture(scope="module")
def recorded(programs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    own, books = tmp_path_factory.mktemp("own") / "recording.jsonl", folder / "books.json"
    with Pipeline(programs, folder, configs=(servers.TAIL,), KEEP_PERCENT="0", DECISION_WAIT="1s") as pipeline:
        running = pipeline.process(HERE / "ordering.py", books, "--orders", "60", "--concurrency", "10", RECORD=str(own))
        output, said = running.communicate(timeout=120)
        assert running.returncode == 0, output + said
        until(lambda: len(written(pipeline)) > 60, "the spans in the file")
        pipeline.collector.stop()
        kept, all_of_them = set(pipeline.backend.spans), written(pipeline)
    assert len(kept) < len(all_of_them), "sampling was on"
    return Recorded(folder, own, json.loads(books.read_text(encoding="utf-8")))


def septum(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    environment = clean_environment(PYTHONPATH=str(EXAMPLES))
    return subprocess.run(
        [sys.executable, "-m", "septum.cli", *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )


def walks(path: Path) -> dict[str, list[str]]:
    """Return the states of each order, in their order."""
    return {run.machine_id: [step.state.rpartition(".")[2] for step in run.steps] for run in load(path)}


def test_every_orders_walk_is_there_and_is_the_recorders(recorded: Recorded) -> None:
    """The collector's file tells of each order what the recorder's own file tells, step by step, and what the hook counted."""
    ours = walks(recorded.replay)
    assert ours == walks(recorded.own)
    assert {order: dict(Counter(walk)) for order, walk in ours.items()} == recorded.books["walks"]


def test_nothing_is_missing(recorded: Recorded) -> None:
    """Each run is complete: its end was seen, and no record of it was lost on the way."""
    runs = load(recorded.replay)
    assert {run.source for run in runs} == {"recording"}
    assert [run.machine_id for run in runs if not run.complete] == []


def test_septum_runs_lists_the_orders(recorded: Recorded) -> None:
    """The command lists each order once."""
    done = septum("runs", recorded.replay, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert all(order in done.stdout for order in recorded.books["walks"])


def test_septum_replay_holds_an_order_against_the_definition(recorded: Recorded) -> None:
    """An order that the collector wrote down is admitted by the definition in the example."""
    run = next(run for run in load(recorded.replay) if len(run.steps) > 3)
    target = ["--machine", "shop.machine:Reserving", "--error-state", "Failed"]
    done = septum("replay", recorded.replay, "--run", run.run_id, "--level", "check", *target)
    assert done.returncode == 0, done.stdout + done.stderr
