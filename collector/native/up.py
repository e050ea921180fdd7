"""Start the native pipeline and leave it running: collector, Prometheus, VictoriaMetrics and the orders example.

    python collector/native/up.py up        start it, wait until all are well, say where everything is
    python collector/native/up.py status    say what runs, and name what ended and how
    python collector/native/up.py down      stop it

All ports are on loopback: the usual ones where they are free. Data, logs and the state are below .run/. With TRACES_ENDPOINT and
LOGS_ENDPOINT set, traces and logs go there too; otherwise only into files.

One process of this program stays behind and is the parent of all the others. It needs no supervisor: nothing here is to be started again
when it ends, for what ended is what you want to see; and a parent knows the exit code of its child, which a pid in a file does not.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from build import BuildError, build
from servers import CONFIG, FILES, ROOT, VICTORIA, Server, ServerError, collector, free_port, orders, prometheus, victoria_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUN = ROOT / ".run"
SHOWN = "g0.range_input=5m&g0.relative_time=last_5_minutes"
USUAL = {"grpc": 4317, "http": 4318, "health": 13133, "self": 8888, "prometheus": 9090, "victoriametrics": 8428}


class Stopped(Exception):
    """Somebody asked this process to end."""


class Replaced(Exception):
    """The folder is no longer that of this process: it was removed, and perhaps made again for another."""


class Crew:
    """The servers, and the file that says how they are."""

    def __init__(self, run: Path, *, example: bool) -> None:
        self.run = run
        self.places: dict[str, str] = {}
        self.seed = 1
        self.servers: list[Server] = []
        self.example = example
        self.ended: dict[str, str] = {}
        self.otlp = ""

    def start(self) -> None:
        """Start all of them and wait until they are well; ServerError names the one that is not."""
        self.tell("starting")
        programs = build()
        ports = {name: free_port(port) for name, port in USUAL.items()}
        stores = {
            "METRICS_ENDPOINT": f"http://127.0.0.1:{ports['prometheus']}/api/v1/otlp/v1/metrics",
            "VICTORIA_ENDPOINT": f"http://127.0.0.1:{ports['victoriametrics']}/opentelemetry/v1/metrics",
            "SPAN_METRICS_FLUSH": "5s",
        }
        stated = [name for name in ("TRACES_ENDPOINT", "LOGS_ENDPOINT") if os.environ.get(name)]
        if len(stated) == 1:
            raise ServerError(f"only {stated[0]} is set: set TRACES_ENDPOINT and LOGS_ENDPOINT, or neither, and then both go into files")
        configs = [CONFIG, VICTORIA] if stated else [CONFIG, FILES, VICTORIA]
        self.servers = [
            prometheus(programs["prometheus"], self.run, ports["prometheus"], scrape=ports["self"]),
            victoria_metrics(programs["victoria-metrics"], self.run, ports["victoriametrics"], scrape=ports["self"]),
            collector(programs["otelcol"], self.run, ports, configs=configs, **stores),
        ]
        self.otlp = f"http://127.0.0.1:{ports['grpc']}"
        self.places = {
            "send to": f"OTEL_EXPORTER_OTLP_ENDPOINT={self.otlp}   (HTTP: port {ports['http']})",
            "dashboards": f"http://127.0.0.1:{ports['victoriametrics']}/vmui/#/dashboards?{SHOWN}",
            "ask": f"http://127.0.0.1:{ports['victoriametrics']}/vmui/",
            "alerts": f"http://127.0.0.1:{ports['prometheus']}/api/v1/alerts",
            "files": f"{self.run}: septum-replay.jsonl has every span and recording, logs.jsonl every event",
        }
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_until_well()
        if self.example:
            self.servers.append(self.orders())
            self.servers[-1].start()
        self.tell("up")

    def orders(self) -> Server:
        """Return the next run of the example, in another mood than the last."""
        self.seed += 1
        return orders(self.run, self.otlp, "--seed", str(self.seed), "--concurrency", "4")

    def watch(self) -> NoReturn:
        """Note what ends, for ever; only the example, when it has done its orders, begins again.

        Raises:
            Replaced: The folder is another's now.
        """
        while True:
            time.sleep(0.2)
            if read_state(self.run).get("pid") != os.getpid():
                raise Replaced(f"{self.run} was taken away")
            for place, server in enumerate(self.servers):
                if server.ending() == "is running" or server.name in self.ended:
                    continue
                if server.name == "orders" and server.ending() == "ended":
                    self.servers[place] = self.orders()
                    self.servers[place].start()
                else:
                    self.ended[server.name] = server.ending()
                    print(f"{server.name} {server.ending()}; its log is {server.log}", flush=True)
                self.tell("up")

    def stop(self) -> None:
        """Stop all, those that send before those that receive."""
        for server in reversed(self.servers):
            self.ended.setdefault(server.name, "stopped" if server.ending() == "is running" else server.ending())
            server.stop()

    def tell(self, stage: str, trouble: str = "") -> None:
        """Write how things are, in one step, so that nobody reads half of it."""
        state = {
            "stage": stage,
            "pid": os.getpid(),
            "places": self.places,
            "trouble": trouble,
            "servers": [
                {
                    "name": each.name,
                    "pid": each.running.pid if each.running else 0,
                    "log": str(each.log),
                    "ending": self.ended.get(each.name, ""),
                }
                for each in self.servers
            ],
        }
        fresh = self.run / "state.json.new"
        fresh.write_text(json.dumps(state, indent=2), encoding="utf-8")
        fresh.replace(self.run / "state.json")


@contextlib.contextmanager
def locked(run: Path, *, patience: float = 0.0) -> Iterator[bool]:
    """Yield whether this process may run the pipeline: only one at a time holds the lock, and it falls with its process.

    Args:
        patience: So many seconds it tries; somebody who only asks holds the lock for a moment.
    """
    run.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    with (run / "lock").open("w", encoding="utf-8") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() < until:
                    time.sleep(0.02)
                    continue
                yield False
            else:
                yield True
            return


def runs(run: Path) -> bool:
    """Tell whether a pipeline runs on the folder *run*."""
    with locked(run) as free:
        return not free


def read_state(run: Path) -> dict[str, Any]:
    """Return what the process that stays behind wrote last; empty if it never did."""
    try:
        state: dict[str, Any] = json.loads((run / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return state


def stay(run: Path, *, example: bool) -> int:
    """Be the process that stays behind."""

    def stop(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped

    with locked(run, patience=1.0) as free:
        if not free:
            return 1
        crew = Crew(run, example=example)
        trouble = ""
        try:
            signal.signal(signal.SIGTERM, stop)
            crew.start()
            crew.watch()
        except Stopped:
            pass
        except Replaced:
            crew.stop()
            return 1
        except (BuildError, ServerError, OSError) as error:
            trouble = str(error)
            print(trouble, flush=True)
        crew.stop()
        crew.tell("down", trouble)
        return 1 if trouble else 0


def up(run: Path, *, example: bool) -> int:
    """Start the pipeline unless it runs, and say where everything is; 1 if something is not well.

    Whoever interrupts it has nothing left running.
    """
    if not runs(run):
        build()
        command: list[str | Path] = [sys.executable, Path(__file__).resolve(), "stay", "--run", run, *([] if example else ["--no-example"])]
        with (run / "up.log").open("a", encoding="utf-8") as log:
            staying = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            while staying.poll() is None and read_state(run).get("pid") != staying.pid:
                time.sleep(0.05)
            settled(run)
        except BaseException:
            staying.terminate()
            staying.wait()
            raise
    return status(run)


def settled(run: Path) -> dict[str, Any]:
    """Return the state once nothing is on the way up any more."""
    while (state := read_state(run)).get("stage") not in {"up", "down"} and runs(run):
        time.sleep(0.1)
    return state


def status(run: Path) -> int:
    """Say what runs and where it is; 1 if something ended that should not have."""
    state = settled(run)
    if not runs(run):
        trouble = state.get("trouble")
        if state and state["stage"] != "down":
            trouble = f"the process that watches over it (pid {state['pid']}) was killed, and took the others with it"
        print(f"Septum's pipeline is down{f': {trouble}' if trouble else ''}", file=sys.stderr if trouble else sys.stdout)
        return 1
    ended = [server for server in state["servers"] if server["ending"]]
    print(f"Septum's pipeline is up, {'but not whole' if ended else 'and stays up until `make down`'}:")
    for what, where in state["places"].items():
        print(f"  {what:11} {where}")
    for server in state["servers"]:
        print(f"  {server['name']:16} {server['ending'] or 'pid ' + str(server['pid']):24} {server['log']}")
    for server in ended:
        print(f"{server['name']} {server['ending']}: see {server['log']}; `make down` and `make up` start it again", file=sys.stderr)
    return 1 if ended else 0


def down(run: Path) -> int:
    """Stop the pipeline, and say how each of its processes ended."""
    if not runs(run):
        print("Septum's pipeline is not running")
        return 0
    patience, told = time.monotonic() + 60, set[int]()
    while runs(run):
        if time.monotonic() > patience:
            print(f"it does not end; see {run / 'up.log'}", file=sys.stderr)
            return 1
        pid = read_state(run).get("pid", 0)
        if pid and pid not in told:
            told.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
    for server in read_state(run)["servers"]:
        print(f"  {server['name']:16} {server['ending']}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what *arguments* say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["up", "status", "down", "stay"])
    parser.add_argument("--run", type=Path, default=RUN, help="where data, logs and the state go (default: .run)")
    parser.add_argument("--no-example", action="store_true", help="without the orders example")
    options = parser.parse_args(arguments)
    run: Path = options.run.resolve()
    try:
        if options.what == "up":
            return up(run, example=not options.no_example)
        if options.what == "stay":
            return stay(run, example=not options.no_example)
        return status(run) if options.what == "status" else down(run)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
