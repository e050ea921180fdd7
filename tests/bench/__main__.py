"""The command: `python -m tests.bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import gate, table, unhooked
from tests.bench.harness import ROOT, Course, Measured, WorkerFailed, choose_cpu, measure
from tests.bench.metrics import METRICS
from tests.bench.subjects import GROUPS, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = ROOT / "tests" / "bench" / "results.json"
PAGE = table.PAGE
ROUNDS, GENERATIONS = 9, 5
QUICK_ROUNDS, QUICK_GENERATIONS = 4, 2
BAR = 30


def explain() -> str:
    """Return what stands below the options in the help."""
    metrics = "\n".join(f"  {name:13} {about}" for name, about in METRICS.items())
    subjects = "\n".join(f"  {name:26} {subject.about}" for name, subject in SUBJECTS.items())
    return f"""\
Each subject has a process of its own, pinned to one cpu; one is at work at a time. Samples of 25 ms or more are taken in turn over all
subjects and metrics, each between two runs of a fixed calibration loop, and medians are compared after dividing by it: the ratios hold
also on a machine whose speed wanders. Times are those of a machine at its median speed.

metrics:
{metrics}

subjects:
{subjects}

examples:
  python -m tests.bench                                                 everything, the soak too; writes the docs and results.json
  python -m tests.bench --quick --metrics tick,run --subjects floor,septum    ten seconds, while you change the engine
  python -m tests.bench --only telemetry                                what telemetry costs, two minutes; with --quick twenty seconds
  python -m tests.bench --subjects floor,septum,automat --json out.json       a selection, kept in a file
  python -m tests.bench.gate                                            machine instructions instead of time

The other libraries come with: pip install -e '.[bench]'
"""


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure what Septum costs, beside a hand-written floor and beside other libraries.",
        epilog=explain(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples and no soak; good to 5 %%, writes nothing")
    parser.add_argument("--only", choices=GROUPS, help="only the subjects and metrics that belong to this")
    parser.add_argument("--subjects", type=_names(SUBJECTS), metavar="A,B", help="only these (default: all)")
    parser.add_argument("--metrics", type=_names(METRICS), metavar="A,B", help="only these (default: all)")
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"samples of a pair in each generation (default: {ROUNDS})")
    parser.add_argument("--generations", type=_positive, metavar="N", help=f"how often the processes start anew (default: {GENERATIONS})")
    parser.add_argument("--cpu", type=int, default=choose_cpu(), metavar="N", help="where the workers are pinned (default: the last cpu)")
    parser.add_argument("--no-soak", dest="soak", action="store_false", help="leave the soak out, which takes a minute")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything that was measured there")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a row misses what it must")
    chosen = parser.parse_args(words)
    subjects, metrics = (tuple(SUBJECTS), tuple(METRICS)) if chosen.only is None else GROUPS[chosen.only]
    # Idle machines are weighed when nobody asked for particular metrics.
    chosen.weigh = chosen.metrics is None or chosen.metrics == tuple(METRICS)
    chosen.subjects = chosen.subjects or subjects
    chosen.metrics = chosen.metrics or metrics
    missing = sorted({str(SUBJECTS[name].package) for name in chosen.subjects if SUBJECTS[name].version() is None})
    if missing:
        parser.error(f"not installed: {', '.join(missing)}. pip install -e '.[bench]', or choose --subjects without them.")
    return chosen


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _names(known: Iterable[str]) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(filter(None, (name.strip() for name in text.split(","))))
        for name in names:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
                raise argparse.ArgumentTypeError(f"{name!r} is unknown; {hint}")
        return tuple(name for name in known if name in names)

    return parse


class Progress:
    """A line on stderr that shows how far it is; rewritten in place on a terminal, else one line every tenth."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._tenths = -1
        self._live = sys.stderr.isatty()

    def tell(self, done: float, what: str) -> None:
        """Show that the fraction *done* is done and *what* is at work."""
        passed = time.monotonic() - self._began
        left = f", {passed / done - passed:3.0f} s left" if done > 0.05 else ""
        if self._live:
            filled = round(done * BAR)
            bar = "#" * filled + "." * (BAR - filled)
            print(f"\r[{bar}] {done:4.0%}{left}  {what}\x1b[K", end="", file=sys.stderr, flush=True)
        elif int(done * 10) > self._tenths:
            self._tenths = int(done * 10)
            print(f"bench: {done:4.0%}{left}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        print("\r\x1b[K" if self._live else "", end="", file=sys.stderr)


def environment(subjects: Iterable[str]) -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    packages = {subject.package: subject.version() for subject in (SUBJECTS[name] for name in subjects) if subject.package}
    return {
        "python": platform.python_version(),
        "build": gate.build(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": packages,
    }


def soak() -> dict[str, Any]:
    """Run the soak in a process of its own and return what it found."""
    done = subprocess.run([sys.executable, "-m", "tests.bench.soak"], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit("the soak failed; what it said stands above")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def describe(about: dict[str, Any], measured: Measured) -> str:
    """Return the sentence above the tables of the docs page."""
    packages = ", ".join(f"{name} {release}" for name, release in about["packages"].items())
    samples = max(len(found) for found in measured.timings.samples.values())
    return (
        f"Python {about['python']} ({about['build']}), {about['system']}, {about['cpus']} cpus; {packages}. "
        f"Medians of up to {samples} samples; the calibration loop took {measured.timings.unit() / 1e6:.2f} ms."
    )


def main(words: list[str]) -> int:
    """Measure, print the tables, write what is to be written; returns the exit code."""
    chosen = arguments(words)
    whole = chosen.subjects == tuple(SUBJECTS) and chosen.metrics == tuple(METRICS) and not chosen.quick
    course = Course(
        subjects=chosen.subjects,
        metrics=chosen.metrics,
        rounds=chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS),
        generations=chosen.generations or (QUICK_GENERATIONS if chosen.quick else GENERATIONS),
        weigh=chosen.weigh,
        cpu=chosen.cpu,
    )
    progress = Progress()
    try:
        measured = measure(course, progress.tell)
    except (WorkerFailed, unhooked.Drifted) as failure:
        progress.end()
        print(failure, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.end()
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    progress.end()
    found = table.rows(measured, gate.known() if whole else None, soak() if whole and chosen.soak else None)
    about = environment(chosen.subjects)
    goals = [table.HEAD, *(line.cells() for line in found)]
    times = table.times(measured)
    print(*(table.as_text(lines) for lines in (times, goals) if len(lines) > 1), sep="\n\n")
    text = json.dumps({"environment": about, **table.as_json(measured, found)}, indent=1) + "\n"
    for path in filter(None, (chosen.json, RESULTS if whole else None)):
        path.write_text(text, encoding="utf-8")
    if whole:
        table.put_into(PAGE, "\n\n".join([describe(about, measured), table.as_markdown(goals), table.as_markdown(times)]))
    missed = [line for line in found if line.must is not None and not line.holds(line.must)]
    if found:
        print(f"\n{len(missed)} of {sum(line.must is not None for line in found)} rows miss what they must.")
    return 1 if missed and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
