"""The harness: one pinned worker process per subject, one of them at work at a time, samples taken in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.bench import unhooked
from tests.bench.subjects import SUBJECTS
from tests.bench.timings import Pair, Sample, Timings, rounds_for, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]


class WorkerFailed(Exception):
    """A worker ended without an answer; the text carries what it wrote to stderr."""


class Worker:
    """The process of one subject, pinned to *cpu* (None: not pinned), its heap scattered by *seed*, its stdout thrown away."""

    def __init__(self, subject: str, cpu: int | None, environment: Mapping[str, str], seed: int = 0) -> None:
        self.subject = subject
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the worker
        requests, self._requests = _pipe(mine="w")
        answers, self._answers = _pipe(mine="r")
        words = [subject, str(requests), str(answers), "" if cpu is None else str(cpu), str(seed)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.worker", *words],
            cwd=ROOT,
            env=worker_environment(subject, environment, seed),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=(requests, answers),
        )
        os.close(requests)
        os.close(answers)

    def ask(self, **request: object) -> dict[str, Any]:
        """Send *request* and return the answer.

        Raises:
            WorkerFailed: The worker died instead of answering.
        """
        try:
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
        except BrokenPipeError:
            pass
        line = self._answers.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise WorkerFailed(f"the worker of {self.subject!r} ended while asked for {request!r}:\n{self._errors.read()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._requests.close()
        self._answers.close()
        self._process.wait()
        self._errors.close()


def worker_environment(subject: str, environment: Mapping[str, str], seed: int) -> dict[str, str]:
    """Return the environment of *subject*'s process: this one's, with the engine without hooks first on the path where that is meant."""
    found = {**os.environ, **environment, "PYTHONHASHSEED": str(seed)}
    if SUBJECTS[subject].variant == "unhooked":
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (environment["SEPTUM_UNHOOKED"], os.environ.get("PYTHONPATH"))))
    return found


def _pipe(*, mine: str) -> tuple[int, IO[str]]:
    read, write = os.pipe()
    return (read, os.fdopen(write, "w")) if mine == "w" else (write, os.fdopen(read))


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one run of the benchmarks does.

    Attributes:
        subjects: By name, in the order of their samples within a round.
        metrics: By name.
        rounds: Samples that a pair with short samples gets in each generation.
        generations: How often the workers are started anew: where a process happens to lie in memory is worth a few percent, and all
            samples of one process share that.
        weigh: Whether idle machines are weighed, too.
        cpu: Where the workers are pinned; None: nowhere.
    """

    subjects: tuple[str, ...]
    metrics: tuple[str, ...]
    rounds: int
    generations: int
    weigh: bool
    cpu: int | None


@dataclass(slots=True)
class Measured:
    """What came out: timings, bytes of an idle machine by subject and count of machines, machines left after release by subject."""

    timings: Timings = field(default_factory=Timings)
    bytes: dict[Pair, float] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)


WEIGHED = 1_000
WEIGHED_MANY = 10_000
LIGHT_BYTES = 1_000


def measure(course: Course, tell: Callable[[float, str], None]) -> Measured:
    """Run *course*; *tell* hears which fraction is done and what is at work.

    Raises:
        WorkerFailed: A subject could not be measured.
    """
    measured = Measured()
    with tempfile.TemporaryDirectory() as folder:
        environment = {"SEPTUM_UNHOOKED": folder}
        if "septum-unhooked" in course.subjects:
            unhooked.generate(Path(folder))
        for generation in range(course.generations):
            share = 1 / course.generations

            def told(done: float, what: str, start: float = generation * share, share: float = share) -> None:
                tell(start + done * share, what)

            workers: dict[str, Worker] = {}
            try:
                for name in course.subjects:
                    workers[name] = Worker(name, course.cpu, environment, generation)
                _run_generation(course, workers, measured, told)
                if course.weigh and generation == course.generations - 1:
                    _weigh(workers, measured)
            finally:
                for worker in workers.values():
                    worker.close()
    return measured


def _run_generation(course: Course, workers: dict[str, Worker], measured: Measured, tell: Callable[[float, str], None]) -> None:
    offered = {name: worker.ask(do="metrics")["metrics"] for name, worker in workers.items()}
    pairs = [
        (name, metric)
        for metric in course.metrics
        for name in workers
        if metric in offered[name] and metric in (SUBJECTS[name].only or offered[name])
    ]
    counts: dict[Pair, int] = {}
    rounds: dict[Pair, int] = {}
    for number, (name, metric) in enumerate(pairs):
        tell(0.1 * number / len(pairs), f"warming up {name} {metric}")
        answer = workers[name].ask(do="size", metric=metric)
        counts[name, metric] = answer["count"]
        rounds[name, metric] = rounds_for(answer["elapsed"], course.rounds)
    total = sum(rounds.values())
    for number, pair in enumerate(turns(rounds)):
        name, metric = pair
        tell(0.1 + 0.9 * number / total, f"{name} {metric}")
        answer = workers[name].ask(do="sample", metric=metric, count=counts[pair])
        measured.timings.samples[pair].append(Sample(count=counts[pair], **answer))


def _weigh(workers: dict[str, Worker], measured: Measured) -> None:
    for name, worker in workers.items():
        if not SUBJECTS[name].weighed:
            continue
        found = worker.ask(do="bytes", machines=WEIGHED)["bytes"]
        measured.bytes[name, str(WEIGHED)] = found
        if found < LIGHT_BYTES:
            measured.bytes[name, str(WEIGHED_MANY)] = worker.ask(do="bytes", machines=WEIGHED_MANY)["bytes"]
        measured.left[name] = worker.ask(do="left", machines=WEIGHED)["left"]


def choose_cpu() -> int | None:
    """Return the cpu that workers are pinned to: the last that this process may use; None where processes cannot be pinned."""
    allowed = getattr(os, "sched_getaffinity", None)
    return max(allowed(0)) if allowed else None
