"""How fast recordings and traces are read: spans (or records) a second, by the least processor time of several rounds.

    python -m tests.bench.loading              only shows it
    python -m tests.bench.loading --write      writes the table of docs/performance.md

The rounds of all forms take turns. Among them is `json.loads` of the same spans as OTLP lines: the machine's own measure, since it is the
least that any reader of JSON in Python could do without another package. With the extra `replay`, spans in every form are to be read at
100,000 a second (issue 5); without it, JSON is not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
import tracemalloc
from enum import Enum, auto
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import septum
from septum import LabeledTransition, StateConfiguration, StateMachine
from septum.replay import FileSink, Recorder, load, records
from tests.bench.table import row, show
from tests.replay.exported import Exported
from tests.replay.forms import gzipped, jaeger_ui, json_lines, prefixed_protobuf, standard_library_only, tempo_v2, zstd_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MACHINES = 10
MESSAGES = 1000
ROUNDS = 7
MUST = 100_000
"""Spans a second."""

FORMS = {
    "OTLP, JSON lines": json_lines,
    "OTLP, JSON lines, gzip": gzipped,
    "OTLP, JSON lines, zstd": zstd_stream,
    "OTLP, protobuf": prefixed_protobuf,
    "Jaeger": jaeger_ui,
    "Tempo": tempo_v2,
}
UNIT = "a second"


class Do(Enum):
    """What the handlers answer."""

    GO = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Here() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Do.GO if ctx.msg else None

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.GO, There)]


@septum.state(config=StateConfiguration(can_dwell=True, timeout=30.0))
def There() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Do.GO if ctx.msg else None

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.GO, Here)]


async def drive(*hooks: Any) -> None:
    """Lead machines through a message for each visit."""
    for _ in range(MACHINES):
        async with StateMachine(Here, name="Bench", hooks=hooks) as fsm:
            for _ in range(MESSAGES):
                fsm.send_message("go")
                await fsm.run(timeout=0)


def parse(lines: list[bytes]) -> None:
    """Parse each line and let it go."""
    for line in lines:
        json.loads(line)


def best(acts: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least seconds of the processor that each act took."""
    found = dict.fromkeys(acts, float("inf"))
    for _ in range(ROUNDS):
        for name, act in acts.items():
            gc.collect()
            began = time.process_time()
            act()
            found[name] = min(found[name], time.process_time() - began)
    return found


def load_plainly(path: Path) -> None:
    """Read a file as without the extra `replay`."""
    with standard_library_only():
        load(path)


def main(words: Sequence[str] | None = None) -> int:
    """Measure as *words* say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args(words)
    exported = Exported(events=False)
    asyncio.run(drive(exported.hooks))
    spans = exported.spans()
    with TemporaryDirectory() as folder:
        path = Path(folder)
        for name, form in FORMS.items():
            (path / name).write_bytes(form(spans))
        first = path / next(iter(FORMS))
        lines = first.read_bytes().splitlines()
        recording = path / "recording"
        recorder = Recorder(FileSink(recording))
        asyncio.run(drive(recorder))
        recorder.close()
        count = sum(1 for _ in records(recording))
        acts: dict[str, Callable[[], object]] = {"json.loads": lambda: parse(lines)}
        acts |= {name: lambda name=name: load(path / name) for name in FORMS}
        acts |= {
            "plain": lambda: load_plainly(first),
            "load": lambda: load(recording),
            "records": lambda: sum(1 for _ in records(recording)),
        }
        # Else every collection of cycles would look at this program's own spans as well.
        gc.collect()
        gc.freeze()
        found = best(acts)
        tracemalloc.start()
        sum(1 for _ in records(recording))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    size = sum(map(len, lines)) / len(spans)
    about = (
        f"{len(spans):,} spans of {MACHINES} runs, {size:,.0f} bytes each as JSON lines, of which `json.loads` alone parses "
        f"{len(spans) / found['json.loads']:,.0f} a second here; {count:,} records of the same runs. "
        f"Minima of {ROUNDS} rounds, processor time."
    )
    rows = [row(f"`load`, {name}", "spans", len(spans) / found[name], UNIT, must=MUST, at_least=True) for name in FORMS]
    rows += [
        row("`load`, OTLP, JSON lines, standard library only", "spans", len(spans) / found["plain"], UNIT),
        row("`load` of a recording", "records", count / found["load"], UNIT),
        row("`records` of a recording", "records", count / found["records"], UNIT),
        row("`records`: the most that it holds", "", peak / 1024, "KiB"),
    ]
    show(rows, about, "loading", write=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
