"""How fast recordings and traces are read: `python -m tests.bench.loading` prints spans (or records) a second, and ratios.

Beside each form stands `json.loads` of the same spans as OTLP lines in the same process: the machine's own measure, since it is the least
that any reader of JSON in Python could do without another package. Minima of several rounds; the rounds of all forms take turns.
"""

from __future__ import annotations

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
from septum.replay import _documents as documents
from tests.replay.exported import Exported
from tests.replay.forms import gzipped, jaeger_ui, json_lines, prefixed_protobuf, tempo_v2, zstd_stream

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINES = 10
MESSAGES = 1000
ROUNDS = 5


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
    """Return the least seconds that each act took."""
    found = dict.fromkeys(acts, float("inf"))
    for _ in range(ROUNDS):
        for name, act in acts.items():
            gc.collect()
            began = time.perf_counter()
            act()
            found[name] = min(found[name], time.perf_counter() - began)
    return found


def without_msgspec(act: Callable[[], object]) -> None:
    """Do *act* as without the extra `replay`."""
    quick = documents._quick
    try:
        documents._quick = None  # type: ignore[assignment]
        act()
    finally:
        documents._quick = quick


def main() -> int:
    """Measure and print."""
    exported = Exported(events=False)
    asyncio.run(drive(exported.hooks))
    spans = exported.spans()
    with TemporaryDirectory() as folder:
        path = Path(folder)
        forms = {
            "lines": json_lines,
            "gzip": gzipped,
            "zstd": zstd_stream,
            "protobuf": prefixed_protobuf,
            "jaeger": jaeger_ui,
            "tempo": tempo_v2,
        }
        for name, form in forms.items():
            (path / name).write_bytes(form(spans))
        lines = (path / "lines").read_bytes().splitlines()
        sink = FileSink(path / "recording")
        recorder = Recorder(sink)
        asyncio.run(drive(recorder))
        recorder.close()
        count = sum(1 for _ in records(path / "recording"))
        acts: dict[str, Callable[[], object]] = {"json.loads": lambda: parse(lines)}
        acts |= {name: lambda name=name: load(path / name) for name in forms}
        acts["lines, stdlib only"] = lambda: without_msgspec(lambda: load(path / "lines"))
        acts["recording"] = lambda: load(path / "recording")
        acts["records()"] = lambda: sum(1 for _ in records(path / "recording"))
        # Else every collection of cycles would look at this program's own spans as well.
        gc.collect()
        gc.freeze()
        found = best(acts)
        tracemalloc.start()
        sum(1 for _ in records(path / "recording"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        size = (path / "recording").stat().st_size
    length = len(json_lines(spans)) / len(spans)
    print(f"{len(spans)} spans of {MACHINES} runs, {length:.0f} bytes each as lines; {count} records, {size >> 10} KiB")
    print(f"{'':<20}{'a second':>12}{'µs each':>9}{'x json.loads':>14}")
    for name, seconds in found.items():
        things = count if name in {"recording", "records()"} else len(spans)
        each = seconds / things * 1e6
        print(f"{name:<20}{things / seconds:>12,.0f}{each:>9.2f}{each / (found['json.loads'] / len(spans) * 1e6):>14.2f}")
    print(f"records() holds at most {peak >> 10} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
