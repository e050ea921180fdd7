"""The whole pipeline under load: a program that makes 2,000 visits a second for a minute, through the collector into Prometheus and files.

    make bench-pipeline                              writes the table of docs/performance.md
    python -m tests.bench.pipeline --seconds 10      only shows it

Program, collector and Prometheus share the machine's cores. The program takes the same steps at the same pace with telemetry and without,
each in a process of its own: what is compared is the time of its steps. Nothing may be dropped, which the collector's own files prove:
a span for each visit, an event for each transition, and counters that say the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import AsyncExitStack
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any

from septum import LabeledTransition, StateConfiguration, StateMachine
from septum import septum as define

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
MACHINES, PACE = 40, 0.02
"""So many machines, each of which takes a step every so many seconds: 2,000 visits a second."""

sys.path.insert(0, str(ROOT / "collector" / "native"))

import build  # noqa: E402 - not a package: found where the line above says
import servers  # noqa: E402 - as above


class Go(Enum):
    """The only label."""

    ON = auto()


@define.state(config=StateConfiguration(can_dwell=True))
def Ping() -> None:
    """One side."""

    @define.on_state
    async def on_state(ctx):
        return None if ctx.msg is None else Go.ON

    @define.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Pong)]


@define.state(config=StateConfiguration(can_dwell=True))
def Pong() -> None:
    """The other side."""

    @define.on_state
    async def on_state(ctx):
        return None if ctx.msg is None else Go.ON

    @define.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Ping)]


async def work(seconds: float) -> dict[str, float]:
    """Take steps at the pace for *seconds*; return how long they took, in microseconds, how many, and how late the program was."""
    async with AsyncExitStack() as stack:
        machines = [await stack.enter_async_context(StateMachine[Any](Ping, name="Bench")) for _ in range(MACHINES)]
        return await keep_pace(machines, seconds)


async def keep_pace(machines: Sequence[StateMachine[Any]], seconds: float) -> dict[str, float]:
    """Let every machine take a step, again and again, as `work` says."""
    batches: list[int] = []
    began = due = time.monotonic()
    latest = 0.0
    while due - began < seconds:
        start = time.perf_counter_ns()
        for machine in machines:
            machine.send_message(1)
            await machine.tick()
        batches.append(time.perf_counter_ns() - start)
        due += PACE
        late = time.monotonic() - due
        latest = max(latest, late)
        await asyncio.sleep(max(-late, 0))
    visits = sum(machine.stats().transitions for machine in machines)
    steps = sorted(batch / MACHINES / 1000 for batch in batches)
    return {
        "visits": visits,
        "median step, us": steps[len(steps) // 2],
        "p99 step, us": steps[len(steps) * 99 // 100],
        "latest, ms": latest * 1000,
        "seconds": time.monotonic() - began,
    }


def worker(seconds: float, *, observed: bool) -> None:
    """Be the program, and print what it measured as JSON."""
    if observed:
        import septum.otel

        with septum.otel.setup("bench"):
            found = asyncio.run(work(seconds))
    else:
        found = asyncio.run(work(seconds))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"cpu": (usage.ru_utime + usage.ru_stime) / found["seconds"], "memory, MB": usage.ru_maxrss / 1024}
    print(json.dumps(found))


def run_worker(seconds: float, endpoint: str | None) -> dict[str, float]:
    """Run the program in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SEPTUM_OTEL_"))}
    observed = [] if endpoint is None else ["--observed"]
    # The SDK's queues hold 2,048 items and are emptied every 5 s: sized for 2,000 a second they hold ten seconds.
    sized = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "20480",
        "OTEL_BSP_SCHEDULE_DELAY": "1000",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "20480",
        "OTEL_BLRP_SCHEDULE_DELAY": "1000",
    }
    environment = (
        kept if endpoint is None else {**kept, **sized, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "5000"}
    )
    command = [sys.executable, "-m", "tests.bench.pipeline", "--worker", "--seconds", str(seconds), *observed]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def usage_of(server: servers.Server) -> tuple[float, float]:
    """Return the CPU seconds and the most memory, in MB, that a process has used; Linux only."""
    assert server.running is not None
    process = Path("/proc") / str(server.running.pid)
    ticks = process.joinpath("stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    (peak,) = [line.split()[1] for line in process.joinpath("status").read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")]
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"), int(peak) / 1024


def counted_in(folder: Path) -> dict[str, int]:
    """Return how many spans of visits and events of transitions are in the collector's files."""
    found = {"visits": 0, "transitions": 0}
    for path in folder.glob("*.jsonl"):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if path.name.startswith("septum-replay"):
                    found["visits"] += line.count('"name":"visit ')
                elif path.name.startswith("logs"):
                    found["transitions"] += line.count('"eventName":"septum.transition"')
    return found


def measure(seconds: float) -> dict[str, Any]:
    """Run everything and return what was measured; RuntimeError if anything was dropped."""
    programs = build.build()
    folder = Path(tempfile.mkdtemp(prefix="septum-bench-"))
    ports = {name: servers.free_port() for name in ("grpc", "http", "health", "self", "prometheus")}
    metrics = f"http://127.0.0.1:{ports['prometheus']}/api/v1/otlp/v1/metrics"
    prometheus = servers.prometheus(programs["prometheus"], folder, ports["prometheus"], scrape=ports["self"])
    collector = servers.collector(
        programs["otelcol"], folder, ports, configs=(servers.CONFIG, servers.FILES), METRICS_ENDPOINT=metrics, SPAN_METRICS_FLUSH="5s"
    )
    try:
        for server in (prometheus, collector):
            server.start()
        for server in (prometheus, collector):
            server.wait_until_well()
        print(f"without telemetry, {seconds:.0f} s", flush=True)
        without = run_worker(seconds, None)
        before = usage_of(collector), usage_of(prometheus)
        print(f"with telemetry, {seconds:.0f} s", flush=True)
        observed = run_worker(seconds, f"http://127.0.0.1:{ports['grpc']}")
        expression = urllib.parse.urlencode({"query": "sum(septum_transitions_total)"})
        address = f"http://127.0.0.1:{ports['prometheus']}/api/v1/query?{expression}"
        arrived: dict[str, Any] = {}
        for _ in range(100):
            with urllib.request.urlopen(address) as answer:
                result = json.load(answer)["data"]["result"]
            arrived = {**counted_in(folder), "counter": float(result[0]["value"][1]) if result else 0.0}
            if set(arrived.values()) == {observed["visits"]} or arrived["visits"] > observed["visits"] + MACHINES:
                break
            time.sleep(0.1)
        after = usage_of(collector), usage_of(prometheus)
    finally:
        for server in (collector, prometheus):
            server.stop()
        shutil.rmtree(folder)
    # The visits that were under way at the end have a span as well.
    expected = {"visits": observed["visits"] + MACHINES, "transitions": observed["visits"], "counter": observed["visits"]}
    if arrived != expected:
        raise RuntimeError(f"something was dropped: {arrived} arrived, {expected} was sent")
    shares = {
        name: {"cpu": (late[0] - early[0]) / observed["seconds"], "memory, MB": late[1]}
        for name, early, late in zip(("collector", "Prometheus"), before, after, strict=True)
    }
    return {"seconds": seconds, "without": without, "with": observed, "arrived": arrived, **shares}


def as_markdown(found: Mapping[str, Any]) -> str:
    """Return the table."""
    without, observed = found["without"], found["with"]
    lines = [
        f"{found['arrived']['transitions']:,.0f} visits in {found['seconds']:.0f} s; all their spans, events and counts arrived.",
        "",
        "| | without telemetry | with telemetry |",
        "| --- | --- | --- |",
        f"| visits a second | {without['visits'] / without['seconds']:,.0f} | {observed['visits'] / observed['seconds']:,.0f} |",
        f"| a step, median | {without['median step, us']:.1f} us | {observed['median step, us']:.1f} us |",
        f"| a step, p99 | {without['p99 step, us']:.1f} us | {observed['p99 step, us']:.1f} us |",
        f"| CPU of the program | {without['cpu']:.1%} of a core | {observed['cpu']:.1%} of a core |",
        f"| memory of the program | {without['memory, MB']:.0f} MB | {observed['memory, MB']:.0f} MB |",
        f"| CPU of the collector | | {found['collector']['cpu']:.1%} of a core |",
        f"| memory of the collector | | {found['collector']['memory, MB']:.0f} MB |",
        f"| CPU of Prometheus | | {found['Prometheus']['cpu']:.1%} of a core |",
        f"| memory of Prometheus | | {found['Prometheus']['memory, MB']:.0f} MB |",
    ]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure as *words* say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--observed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.worker:
        worker(options.seconds, observed=options.observed)
        return 0
    table = as_markdown(measure(options.seconds))
    print(table)
    if options.write:
        # Not above: the program that is measured is this file as well, and what it imports is in its memory.
        from tests.bench.table import PAGE, put_into

        put_into(PAGE, f"\n{table}\n", "pipeline")
    return 0


if __name__ == "__main__":
    sys.exit(main())
