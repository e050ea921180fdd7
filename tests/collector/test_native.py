"""`make up` and `make down`: what is started is well, what is killed is named, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.collector.stack import COLLECTOR, Backend, clean_environment, servers, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.slow


class Native:
    """The command, on a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, what: str, **variables: str) -> subprocess.Popen[str]:
        """Begin `up.py what`."""
        command = [sys.executable, COLLECTOR / "native" / "up.py", what, "--run", self.folder]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # Whoever runs tests in the background has Ctrl-C ignored, and so have all processes below.
        return subprocess.Popen(command, env=clean_environment(**variables), text=True, **pipes, preexec_fn=_heed_interrupts)  # noqa: PLW1509 - one call, no lock

    def __call__(self, what: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `up.py what`."""
        running = self.begin(what, **variables)
        output, said = running.communicate(timeout=120)
        return subprocess.CompletedProcess(running.args, running.returncode, output, said)

    @property
    def starts(self) -> bool:
        """Whether somebody has begun to start it."""
        return (self.folder / "state.json").exists()

    @property
    def state(self) -> dict[str, Any]:
        """What the process that stays behind says."""
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        return state

    def pid(self, name: str) -> int:
        """Return the process of a server."""
        (found,) = [server["pid"] for server in self.state["servers"] if server["name"] == name]
        return int(found)


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def native(programs: Mapping[str, Path], tmp_path: Path) -> Iterator[Native]:
    native = Native(tmp_path / "run")
    yield native
    native("down")


def test_up_starts_everything_and_says_where_it_is(native: Native) -> None:
    """All four are well, on loopback, and metrics of the example come to Prometheus and to VictoriaMetrics."""
    done = native("up")
    assert (done.returncode, done.stderr) == (0, "")
    assert {server["name"] for server in native.state["servers"]} == {"collector", "prometheus", "victoriametrics", "orders"}
    places = native.state["places"]
    for place in places.values():
        assert place in done.stdout
    assert "http://127.0.0.1:" in places["dashboards"]
    for base in (places["alerts"].removesuffix("alerts"), places["ask"].removesuffix("vmui/") + "api/v1/"):

        def arrived(address: str = f"{base}query?query=sum(septum_transitions_total)") -> bool:
            with urllib.request.urlopen(address) as answer:
                return bool(json.load(answer)["data"]["result"])

        until(arrived, "transitions of the example")
    again = native("up")
    assert (again.returncode, again.stdout) == (0, native("status").stdout)


def test_traces_and_logs_go_to_a_store_that_is_named(native: Native) -> None:
    """With both addresses set, what the example tells comes there; with one of them it says what is missing, and starts nothing."""
    backend = Backend()
    backend.up()
    addresses = {f"{what.upper()}_ENDPOINT": f"http://127.0.0.1:{backend.port}/v1/{what}" for what in ("traces", "logs")}
    try:
        done = native("up", TRACES_ENDPOINT=addresses["TRACES_ENDPOINT"])
        assert (done.returncode, done.stdout) == (1, "")
        assert "only TRACES_ENDPOINT is set: set TRACES_ENDPOINT and LOGS_ENDPOINT, or neither" in done.stderr
        assert native("up", **addresses).returncode == 0
        until(lambda: backend.spans and backend.records, "spans and events in the store")
    finally:
        native("down")
        backend.down()


def test_a_killed_process_is_named(native: Native) -> None:
    """Whoever asks after a kill is told which it was, how it ended, and where its log is."""
    native("up")
    os.kill(native.pid("prometheus"), signal.SIGKILL)
    until(lambda: native("status").returncode == 1, "the kill is noticed")
    done = native("status")
    assert done.stderr.startswith("prometheus was killed by SIGKILL: see ")
    assert "`make down` and `make up`" in done.stderr


def test_down_stops_all_and_leaves_nothing(native: Native) -> None:
    """Each ends, and says so; a second call has nothing to do."""
    native("up")
    pids = [server["pid"] for server in native.state["servers"]]
    done = native("down")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [[server["name"], "stopped"] for server in native.state["servers"]]
    assert [pid for pid in pids if lives(pid)] == []
    assert native("down").stdout == "Septum's pipeline is not running\n"
    assert native("status").returncode == 1


def test_a_killed_parent_takes_its_children_with_it(native: Native) -> None:
    """On Linux nothing goes on unseen when the process that stays behind is killed, and the next call says what happened."""
    if sys.platform != "linux":
        pytest.skip("other systems let children go on")
    native("up")
    pids = [server["pid"] for server in native.state["servers"]]
    os.kill(native.state["pid"], signal.SIGKILL)
    until(lambda: not any(lives(pid) for pid in pids), "all ended")
    assert "was killed, and took the others with it" in native("status").stderr


def test_an_interrupted_up_leaves_nothing(native: Native) -> None:
    """Ctrl-C while it starts stops what had started; it takes no traceback to say so."""
    starting, staying = frozen_in_its_start(native)
    starting.send_signal(signal.SIGINT)
    os.kill(staying, signal.SIGCONT)
    output, said = starting.communicate(timeout=180)
    assert (starting.returncode, output, said) == (130, "", "interrupted\n")
    assert [server["pid"] for server in native.state["servers"] if server["pid"] and lives(server["pid"])] == []
    assert native("status").stdout == "Septum's pipeline is down\n"


def frozen_in_its_start(native: Native) -> tuple[subprocess.Popen[str], int]:
    """Return `up`, which waits, and the process that it waits for, which stands still before all is well."""
    while True:
        starting = native.begin("up")
        until(lambda: native.starts, "it has begun")
        staying = native.state["pid"]
        os.kill(staying, signal.SIGSTOP)
        if native.state["stage"] == "starting":
            return starting, staying
        # It was too quick for us: once more.
        os.kill(staying, signal.SIGCONT)
        starting.communicate()
        native("down")
        (native.folder / "state.json").unlink()


def test_two_at_once_start_one_pipeline(native: Native) -> None:
    """Both say the same, and there is one to stop."""
    both = [native.begin("up") for _ in range(2)]
    first, second = [(*each.communicate(timeout=120), each.returncode) for each in both]
    assert first == second == (native("status").stdout, "", 0)


def test_down_stops_what_is_still_starting(native: Native) -> None:
    """Whoever waits for it is told that it is down."""
    if sys.platform != "linux":
        pytest.skip("other systems do not say which signals wait")
    starting, staying = frozen_in_its_start(native)
    stopping = native.begin("down")
    until(lambda: pending(staying), "down has asked it to end")
    os.kill(staying, signal.SIGCONT)
    assert (stopping.communicate(timeout=180)[1], stopping.returncode) == ("", 0)
    output, said = starting.communicate(timeout=180)
    assert (starting.returncode, output, said) == (1, "Septum's pipeline is down\n", "")


def pending(pid: int) -> bool:
    """Tell whether a signal waits for the process; Linux only."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines())
    return int(lines["ShdPnd"], 16) != 0


def test_a_pipeline_without_its_folder_ends(native: Native) -> None:
    """`make clean` takes the folder away: nothing goes on that nobody can stop any more."""
    native("up")
    pids = [native.state["pid"], *(server["pid"] for server in native.state["servers"])]
    (native.folder / "state.json").unlink()
    until(lambda: not any(lives(pid) for pid in pids), "all ended")


def test_a_server_that_ends_at_once_is_named(tmp_path: Path) -> None:
    """Waiting for it raises at once, with its exit code and its log."""
    server = servers.Server("sleeper", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log", health="http://127.0.0.1:9/")
    server.start()
    with pytest.raises(servers.ServerError, match=f"sleeper ended with exit code 3; its log is {tmp_path / 'log'}"):
        server.wait_until_well()


def test_a_port_that_is_taken_is_not_given_out() -> None:
    """The usual port is taken where it is free, and another where it is not."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert servers.free_port(port) != port
    assert servers.free_port(port) == port
