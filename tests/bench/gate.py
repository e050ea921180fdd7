"""The instruction gate: machine instructions an operation, counted by valgrind, against committed figures (`python -m tests.bench.gate`).

Time on a shared machine is good to a few percent, instructions to a few in ten thousand, so this is what a change is held to. Each figure
is the difference between 3N operations and N, divided by 2N: starting Python cancels out. Four gates:

* counts: Septum's and the floor's, against `instructions.json` for this very Python and build;
* ratio: Septum's count by the floor's, which a new Python moves little; for an unknown Python only this one applies;
* hooks: the engine with its hooks, none attached, against the same engine without them;
* telemetry: a traced visit against a bare span, both of which depend on the SDK that is installed. What telemetry costs without calling
  the SDK stands among the counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import unhooked
from tests.bench.subjects import SUBJECTS
from tests.bench.table import HOOK_INSTRUCTIONS, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "tests" / "bench" / "instructions.json"
ENGINES = ("septum", "floor", "septum-unhooked")
OPERATIONS = {"tick": 5_000, "run": 5_000, "message": 5_000, "create": 5_000}
"""How many operations the shorter of the two runs does; the longer does three times as many."""

TELEMETRY = {"septum-unsampled": {"run": 5_000}, "septum-counts": {"run": 5_000}, "septum-states": {"run": 5_000}}
SPANS = {"septum-traced": {"visit": 500}, "bare-span": {"visit": 500}}
"""The same with an SDK; left out where none is installed."""

MOST_OF_A_SPAN = 1.2
TOLERANCE = 0.03
UNKNOWN_TOLERANCE = 0.10
"""For the ratio under a Python of which no figures are kept; 3.11 to 3.13 lie within 16 %, and the highest is taken."""

Counts = dict[str, dict[str, float]]
"""Instructions an operation, by engine and metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison: what was found, the most that it may be, and what it was before."""

    gate: str
    metric: str
    found: float
    most: float
    before: float | None

    @property
    def holds(self) -> bool:
        """Say whether it keeps to its bound."""
        return self.found <= self.most


class CountFailed(Exception):
    """The counted program did not end well; the text carries what it wrote to stderr."""


def build() -> str:
    """Return what, besides its version, says how fast this Python is: its compiler, and whether it was optimised with a profile."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimised = "profile-guided" if "--enable-optimizations" in arguments else "no profile"
    return f"{platform.python_implementation()}, {platform.python_compiler()}, {optimised}, {platform.machine()}"


def minor() -> str:
    """Return this Python's version as the figures name it."""
    return ".".join(platform.python_version_tuple()[:2])


def known() -> dict[str, Any] | None:
    """Return the committed figures for this Python and build; None if there are none."""
    if not FIGURES.exists():
        return None
    for entry in json.loads(FIGURES.read_text(encoding="utf-8")):
        if (entry["python"], entry["build"]) == (minor(), build()):
            found: dict[str, Any] = entry
            return found
    return None


def count(engine: str, metric: str, operations: int, folder: Path) -> int:
    """Return the instructions that one process takes for so many operations, start and all.

    Raises:
        CountFailed: It did not end well.
    """
    environment = {"PATH": os.defpath, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C", "SEPTUM_UNHOOKED": str(folder)}
    if engine == "septum-unhooked":
        environment["PYTHONPATH"] = str(folder)
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.bench.counted", engine, metric, str(operations)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    total = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if done.returncode or total is None:
        said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith(("==", "--")))
        raise CountFailed(f"counting {engine} {metric} failed:\n{said or done.stderr}")
    return int(total[1].replace(",", ""))


def engines_here() -> tuple[str, ...]:
    """Return what can be counted: telemetry only if an SDK is installed."""
    return (*ENGINES, *(name for name in (*TELEMETRY, *SPANS) if SUBJECTS[name].version() is not None))


def count_all(engines: tuple[str, ...] = ENGINES) -> Counts:
    """Return the instructions an operation of every engine and metric, counted on all cpus.

    Raises:
        CountFailed: As `count`; what was not begun is not done.
        unhooked.Drifted: The engine without hooks cannot be made.
    """
    found: Counts = {engine: {} for engine in engines}
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = Path(name)
        unhooked.generate(folder)
        jobs = {
            (engine, metric, number): [pool.submit(count, engine, metric, number * times, folder) for times in (1, 3)]
            for engine in engines
            for metric, number in {**TELEMETRY, **SPANS}.get(engine, OPERATIONS).items()
        }
        try:
            for (engine, metric, number), (once, thrice) in jobs.items():
                found[engine][metric] = round((thrice.result() - once.result()) / (2 * number), 1)
                print(f"{engine:16} {metric:8} {found[engine][metric]:10,.1f} instructions", flush=True)
        except CountFailed:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def checks(found: Counts, entry: Mapping[str, Any] | None, others: list[Mapping[str, Any]]) -> list[Check]:
    """Return every comparison.

    Args:
        found: What was counted now.
        entry: The figures for this Python and build; None if it is unknown: then the ratio is held to the highest of *others*.
        others: All committed figures.
    """
    result = []
    for metric, septum in found["septum"].items():
        if entry is not None:
            for engine in ("septum", "floor"):
                before = entry[engine][metric]
                most = before * (1 + TOLERANCE)
                result.append(Check(gate=f"count, {engine}", metric=metric, found=found[engine][metric], most=most, before=before))
        ratio = septum / found["floor"][metric]
        committed = [kept["septum"][metric] / kept["floor"][metric] for kept in ([entry] if entry is not None else others)]
        if committed:
            tolerance = TOLERANCE if entry is not None else UNKNOWN_TOLERANCE
            highest = max(committed)
            result.append(Check(gate="ratio to the floor", metric=metric, found=ratio, most=highest * (1 + tolerance), before=highest))
        hooks = septum / found["septum-unhooked"][metric]
        result.append(Check(gate="hooks compiled in", metric=metric, found=hooks, most=1 + HOOK_INSTRUCTIONS / 100, before=None))
    for engine in TELEMETRY:
        for metric, now in found.get(engine, {}).items():
            before = (entry or {}).get(engine, {}).get(metric)
            if before is not None:
                result.append(Check(gate=f"count, {engine}", metric=metric, found=now, most=before * (1 + TOLERANCE), before=before))
    if "septum-traced" in found and "bare-span" in found:
        ratio = found["septum-traced"]["visit"] / found["bare-span"]["visit"]
        result.append(Check(gate="ratio to a bare span", metric="visit", found=ratio, most=MOST_OF_A_SPAN, before=None))
    return sorted(result, key=lambda check: check.gate)


def draw(results: list[Check]) -> str:
    """Return the comparisons as a table."""
    lines: list[tuple[str, ...]] = [("gate", "metric", "now", "committed", "at most", "")]
    for check in results:
        digits = ".0f" if check.found > 100 else ".3f"
        before = "" if check.before is None else f"{check.before:,{digits}}"
        mark = "PASS" if check.holds else "MISS"
        lines.append((check.gate, check.metric, f"{check.found:,{digits}}", before, f"{check.most:,{digits}}", mark))
    return as_text(lines)


def update(found: Counts, entries: list[dict[str, Any]]) -> None:
    """Write what was counted as the figures for this Python and build."""
    kept = [entry for entry in entries if (entry["python"], entry["build"]) != (minor(), build())]
    lasting = {engine: counts for engine, counts in found.items() if engine not in SPANS}
    kept.append({"python": minor(), "build": build(), **lasting})
    kept.sort(key=lambda entry: (entry["python"], entry["build"]))
    FIGURES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def main(words: list[str]) -> int:
    """Count, compare, and say what came out; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="write what is counted as the figures for this Python, instead of comparing")
    chosen = parser.parse_args(words)
    if shutil.which("valgrind") is None:
        print("valgrind is missing: install it with your package manager (apt-get install valgrind)", file=sys.stderr)
        return 2
    entries: list[dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else []
    entry = known()
    try:
        found = count_all(engines_here())
    except (CountFailed, unhooked.Drifted) as failure:
        print(failure, file=sys.stderr)
        return 2
    if chosen.update:
        update(found, entries)
        print(f"{FIGURES.relative_to(ROOT)} now holds these for Python {minor()}, {build()}")
        return 0
    if entry is None:
        print(f"\nNo figures are kept for Python {minor()}, {build()}: only the ratio and the hooks are held; --update keeps them.")
    results = checks(found, entry, list(entries))
    print(f"\n{draw(results)}")
    failed = [check for check in results if not check.holds]
    better = [check for check in results if check.before is not None and check.found < check.before * (1 - TOLERANCE)]
    if better:
        print(f"\n{len(better)} figures are more than {TOLERANCE:.0%} better than what is kept: run with --update, so that they stay so.")
    if failed:
        print(f"\n{len(failed)} of {len(results)} comparisons miss. If that is meant: python -m tests.bench.gate --update")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
