"""The example runs as people run it: as a process, with its output in a pipe."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ORDERS = EXAMPLES / "data" / "orders.jsonl"
STOCK = EXAMPLES / "data" / "stock.json"
LAST_LINE = "Everything adds up: machines, hook, telemetry, provider, warehouse and customers agree."


def run(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return process(EXAMPLES / "orders.py", *arguments, cwd=cwd, **variables)


def run_changed(change: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the example after the statements *change*, which see its module as `orders`."""
    code = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import orders; {change}; sys.exit(orders.main({list(arguments)!r}))"
    return process("-c", code, cwd=cwd, **variables)


def process(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment(**variables), capture_output=True, encoding="utf-8", timeout=120, check=False)


def environment(**variables: str) -> dict[str, str]:
    """Return the variables of a process that is told of no collector but by *variables*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SEPTUM_OTEL_"))}
    return {**kept, "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1", **variables}


def told(path: Path, signal: str, things: str) -> list[dict[str, Any]]:
    """Return all *things* ("spans", "metrics", "logRecords") in a file of OTLP JSON lines of *signal* ("Spans", "Metrics", "Logs")."""
    return [
        thing
        for line in path.read_text(encoding="utf-8").splitlines()
        for resource in json.loads(line)[f"resource{signal}"]
        for scope in resource[f"scope{signal}"]
        for thing in scope[things]
    ]


def spans_in(path: Path) -> list[dict[str, Any]]:
    return told(path, "Spans", "spans")


def values_of(thing: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of *thing*; numbers are text."""
    return {attribute["key"]: next(iter(attribute["value"].values())) for attribute in thing["attributes"]}


def ends_in(output: str) -> dict[str, int]:
    return {state: int(count) for count, state in re.findall(r"^ *(\d+) (shipped|cancelled|failed)\b", output, re.MULTILINE)}


@pytest.mark.slow
def test_forty_orders_add_up_and_are_told(tmp_path: Path) -> None:
    """Exit code 0; all tables, the trace as a tree with HTTP below the visits, the throughput, and a file for each signal."""
    done = run("--orders", "40", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    output = done.stdout
    assert output.splitlines()[-1] == LAST_LINE
    assert "\x1b" not in output
    assert "\r" not in output
    assert max(len(line) for line in output.splitlines()) <= 100
    for heading in (
        r"state +visits +median +p95 +retries +timeouts +errors",
        r"from +label +to +kind +count",
        r"span +begins +takes +ends with",
        r"metric +series +count +mean",
        r"event +count",
    ):
        assert re.search(heading, output)
    assert re.search(r"[├└]─ visit Order\.Charging.*\n *│? +[├└]─ POST /charges", output)
    assert re.search(r"\d orders/s, .* transitions/s", output)
    assert sum(ends_in(output).values()) == 40
    spans = spans_in(tmp_path / "out" / "orders-spans.jsonl")
    assert [span["name"] for span in spans].count("run Order") == 40
    assert f"{len(spans):,} spans in out/orders-spans.jsonl" in output
    metrics = {metric["name"]: metric for metric in told(tmp_path / "out" / "orders-metrics.jsonl", "Metrics", "metrics")}
    assert f"{len(metrics)} metrics in out/orders-metrics.jsonl" in output
    records = told(tmp_path / "out" / "orders-logs.jsonl", "Logs", "logRecords")
    events = Counter(record["eventName"] for record in records if record.get("eventName"))
    assert f"{events.total():,} events and {len(records) - events.total()} log lines in out/orders-logs.jsonl" in output
    transitions = sum(int(point["asInt"]) for point in metrics["septum.transitions"]["sum"]["dataPoints"])
    assert transitions == events["septum.transition"]
    assert re.search(rf"septum\.transitions +\d+ +{transitions:,}", output)
    assert re.search(rf"septum\.transition +{transitions:,}", output)


@pytest.mark.slow
def test_what_a_handler_logs_stands_in_its_visit(tmp_path: Path) -> None:
    """Each line of `ctx.log` is in the file of logs once, with the trace id and span id of the visit of its order that said it."""
    done = run("--orders", "60", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    visits = {span["spanId"]: span for span in spans_in(tmp_path / "out" / "orders-spans.jsonl") if span["name"].startswith("visit ")}
    records = told(tmp_path / "out" / "orders-logs.jsonl", "Logs", "logRecords")
    lines = [record for record in records if not record.get("eventName")]
    declined = [line for line in lines if line["body"]["stringValue"] == "card declined"]
    assert len(declined) == int(re.findall(r"(\d+) card declined", done.stdout)[0])
    for line in lines:
        visit, said = visits[line["spanId"]], values_of(line)
        assert line["traceId"] == visit["traceId"]
        assert said["septum_machine_id"] == values_of(visit)["septum.machine.id"]
        assert said["septum_visit"] == values_of(visit)["septum.visit.number"]


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP, and keeps what came to which path."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {}
        super().__init__(("127.0.0.1", 0), Taker)


class Taker(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Collector

    def do_POST(self) -> None:
        """Keep the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.setdefault(self.path, []).append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collector() -> Iterator[Collector]:
    """Serve a collector in a thread while the block runs."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_all_three_signals_go_to_the_endpoint_and_no_file_is_touched(tmp_path: Path) -> None:
    """Spans, metrics, events and log lines arrive; an earlier run's file stays; the output says where it went and what it leaves out."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    before = tmp_path / "out" / "orders-spans.jsonl"
    before.parent.mkdir()
    before.write_text("an earlier run", encoding="utf-8")
    with collector() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        done = run("--orders", "40", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(server.bodies) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
    arrived = {path: b"".join(bodies) for path, bodies in server.bodies.items()}
    assert b"visit Order.Charging" in arrived["/v1/traces"]
    assert b"septum.transitions" in arrived["/v1/metrics"]
    assert b"septum.transition" in arrived["/v1/logs"]
    assert b"card declined" in arrived["/v1/logs"]
    words = " ".join(done.stdout.split())
    for signal_name in ("traces", "metrics", "logs"):
        assert f"{signal_name} to {url}/v1/{signal_name} (OTLP, HTTP)" in words
    assert "not compared" in words
    assert words.endswith("Everything adds up: machines, hook, provider, warehouse and customers agree.")
    assert [path.name for path in before.parent.iterdir()] == ["orders-spans.jsonl"]
    assert before.read_text(encoding="utf-8") == "an earlier run"


@pytest.mark.slow
def test_an_endpoint_where_nobody_listens_is_not_called_sent(tmp_path: Path) -> None:
    """The orders are worked off; the exporters complain on stderr, and the output does not say that anything arrived."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    done = run("--orders", "2", cwd=tmp_path, OTEL_EXPORTER_OTLP_TIMEOUT="1", **variables)

    assert done.returncode == 0
    assert "Failed to export spans batch" in done.stderr
    assert "sent" not in done.stdout
    assert "could not deliver" in done.stdout


@pytest.mark.slow
def test_an_exporter_that_is_missing_is_told_and_nothing_is_begun(tmp_path: Path) -> None:
    """An endpoint without the extra `otlp`: exit code 2 and a sentence that says what to install."""
    absent = "import septum.otel._setup as setup; setup.entry_points = lambda group: ()"
    done = run_changed(absent, "--orders", "2", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        'orders.py: septum.otel.setup needs opentelemetry-exporter-otlp-proto-grpc; install it with: pip install "septum[otlp]"\n'
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_endpoint_with_an_unknown_protocol_is_told_and_nothing_is_begun(tmp_path: Path) -> None:
    """Exit code 2 and a sentence that names the variable."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}
    done = run("--orders", "2", cwd=tmp_path, **variables)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "orders.py: OTEL_EXPORTER_OTLP_PROTOCOL is 'smoke'; allowed are grpc, http/protobuf.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("beside", ["metrics", "logs"])
def test_orders_are_not_overwritten_by_a_file_beside_the_spans(tmp_path: Path, beside: str) -> None:
    """The orders stand where metrics or logs would go: exit code 2, a sentence, and the orders are as they were."""
    data = tmp_path / f"shop-{beside}.jsonl"
    data.write_bytes(ORDERS.read_bytes())

    done = run("--data", data, "--orders", "2", "--out", tmp_path / "shop-spans.jsonl", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"orders.py: {data}: --out would overwrite what is read\n"
    assert data.read_bytes() == ORDERS.read_bytes()
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.slow
def test_the_same_seed_brings_every_order_to_the_same_end(tmp_path: Path) -> None:
    """Two runs, however many orders are at work at a time, end alike; the spans say which order ended where."""

    def ends(out: Path, concurrency: str) -> dict[str, str]:
        done = run("--orders", "30", "--concurrency", concurrency, "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        last: dict[str, str] = {}
        for span in spans_in(out):
            values = values_of(span)
            if values.get("septum.visit.outcome") == "completed":
                last[values["septum.machine.id"]] = values["septum.state.name"]
        return last

    one, other = ends(tmp_path / "a" / "one.jsonl", "30"), ends(tmp_path / "b" / "two.jsonl", "7")

    assert one == other
    assert len(one) == 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sabotage", "sentence"),
    [
        (
            "read = orders.read_spans; orders.read_spans = lambda path: [s for s in read(path) if s.name != 'visit Order.Packing']",
            r"state Packing: \d+ visits, but 0 visit spans in the file",
        ),
        (
            "read = orders.read_spans; orders.read_spans = lambda path: [s for s in read(path) if s.parent_id]",
            r"orders: 40 orders, but 0 run spans in the file",
        ),
        (
            "from shop.watcher import Watcher; Watcher.retry_scheduled = lambda self, fact: None",
            r"retries: 0 in the tables, but \d+ in the machines",
        ),
        ("from shop.world import Warehouse; Warehouse.release = lambda self, order: None", r"orders: \d+ still reserved, but 0 expected"),
        (
            "from shop.provider import Provider; Provider.refunded = property(lambda self: set(), lambda self, value: None)",
            r"order A-\d+ was cancelled and the money was kept",
        ),
        (
            "read = orders.read_metrics; orders.read_metrics = lambda path: {**read(path), 'septum.transitions': []}",
            r"metric septum\.transitions, Reserving to Charging \(label Events\.RESERVED\): \d+ told, but 0 in the file",
        ),
        (
            "read = orders.read_metrics; orders.read_metrics = lambda path: {**read(path), 'septum.enqueued.messages': []}",
            r"metric septum\.enqueued\.messages: \d+ in the machines, but 0 in the file",
        ),
        (
            "read = orders.read_records; orders.read_records = lambda path: [r for r in read(path) if r.event != 'septum.retry']",
            r"event septum\.retry: \d+ told, but 0 in the file",
        ),
        (
            (
                "from dataclasses import replace; read = orders.read_records;"
                " orders.read_records = lambda path: [replace(r, span_id='') for r in read(path)]"
            ),
            r"log line 'card declined' of order A-\d+ does not stand in a visit of that order",
        ),
        (
            "read = orders.read_records; orders.read_records = lambda path: [r for r in read(path) if r.event]",
            r"log line 'card declined': \d+ in the notes, but 0 in the file",
        ),
    ],
    ids=[
        "a span is lost",
        "all runs are lost",
        "a retry is not counted",
        "stock is not put back",
        "a refund is lost",
        "transitions are not measured",
        "messages are not measured",
        "an event is lost",
        "log lines lose their spans",
        "a log line is lost",
    ],
)
def test_a_sabotaged_run_says_what_does_not_add_up(tmp_path: Path, sabotage: str, sentence: str) -> None:
    """One book is falsified: exit code 1 and a sentence that names what differs."""
    done = run_changed(sabotage, "--orders", "40", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (1, "")
    assert "It does not add up" in done.stdout
    assert re.search(sentence, done.stdout)
    assert "Everything adds up" not in done.stdout


@pytest.mark.slow
def test_a_bad_line_is_named_and_nothing_is_begun(tmp_path: Path) -> None:
    """Exit code 2, the file, the line and what is wrong with it; no file is made and no order begun, though good lines come first."""
    good = ORDERS.read_bytes().splitlines()[:3]
    data = tmp_path / "orders.jsonl"
    data.write_bytes(b"\n".join([*good, b'{"id": "A-1"}', *good]))

    done = run("--data", data, "--orders", "2", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"orders.py: {data}, line 4: 'customer' is missing\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders.jsonl"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"", "empty line"),
        (b'{"id": "A-1",', "not JSON: Expecting property name enclosed in double quotes at column 14"),
        (b"[1, 2]", "an order must be a JSON object, this is [1, 2]"),
        (b'{"id": "\xff"}', "not UTF-8: invalid start byte at byte 9"),
        (("total", 1), "'total' is 1, but items and shipping_fee add up to 4018"),
        (("total", True), "'total' must be a whole number, not true"),
        (("total", float("nan")), "not JSON: NaN is no number"),
        (("items", []), "'items' is empty"),
        (("items", [{"sku": "X", "quantity": 1, "price": 1}]), "'items[0].sku' is 'X', which the shop does not have"),
        (("items", [{"sku": "TEA-SENC-100", "quantity": 0, "price": 1}]), "'items[0].quantity' must be 1 or more, not 0"),
        (("items", [7]), "'items[0]' must be an object, not 7"),
        (("answers", [{"to": 1, "after": -1, "says": "confirm"}]), "'answers[0].after' must be seconds from 0 to 3600, not -1"),
        (
            ("answers", [{"to": 1, "after": 1, "says": "perhaps"}]),
            "'answers[0].says' must be one of confirm, cancel, question, not \"perhaps\"",
        ),
        (("answers", ["yes"]), "'answers[0]' must be an object, not \"yes\""),
        (("currency", "euro"), "'currency' must be three capital letters, not 'euro'"),
        (("risk", 101), "'risk' must be 0 to 100, not 101"),
        (("customer", {"name": "", "country": "DE"}), "'customer.name' is empty"),
        (("card", {}), "'card.limit' is missing"),
        (("id", "A-10002"), "order 'A-10002' stands on line 2 already"),
    ],
    ids=str,
)
def test_every_kind_of_bad_line_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes | tuple[str, object], complaint: str
) -> None:
    """The reader says file, line and what is wrong, for bytes that are no JSON and for values that are no order."""
    monkeypatch.syspath_prepend(EXAMPLES)
    book = importlib.import_module("shop.book")
    good = ORDERS.read_bytes().splitlines()[:3]
    if isinstance(line, tuple):
        line = json.dumps({**json.loads(good[0]), "id": "A-1", line[0]: line[1]}).encode()
    data = tmp_path / "orders.jsonl"
    data.write_bytes(b"\n".join([*good, line, *good]) + b"\n")

    with pytest.raises(book.OrderBookError) as raised:
        book.read_orders(data, book.read_stock(STOCK), limit=2)

    assert str(raised.value) == f"{data}, line 4: {complaint}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--data", "none.jsonl"), "orders.py: none.jsonl: No such file or directory"),
        (("--data", "empty.jsonl"), "orders.py: empty.jsonl: no orders in it; examples/make_orders.py makes some"),
        (("--orders", "601"), "has 600 orders and 601 were asked for; examples/make_orders.py --orders 601 makes more"),
        (("--orders", "0"), "argument --orders: must be a whole number, 1 or more, not '0'"),
        (("--concurrency", "many"), "argument --concurrency: must be a whole number, 1 or more, not 'many'"),
        (("--stock", "empty.jsonl"), "orders.py: empty.jsonl: Expecting value: line 1 column 1 (char 0)"),
        (("--out", "."), "Is a directory"),
        (("--out", ORDERS), "orders.jsonl: --out would overwrite what is read"),
        (("--out", "empty.jsonl/spans.jsonl"), "File exists"),
    ],
    ids=str,
)
def test_a_wrong_option_is_told_and_nothing_is_begun(tmp_path: Path, arguments: tuple[str | Path, ...], complaint: str) -> None:
    """Exit code 2 and a sentence; nothing is written."""
    (tmp_path / "empty.jsonl").touch()

    done = run(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.jsonl"]


@pytest.mark.slow
def test_help_teaches(tmp_path: Path) -> None:
    """--help says what is done, names every option with its default, and shows calls to try and the exit codes."""
    done = run("--help", cwd=tmp_path)

    assert done.returncode == 0
    for words in ("a machine for each", "--orders N", "--seed N", "default: 7", "--concurrency N", "--out FILE", "try:", "exit codes:"):
        assert words in done.stdout


@pytest.mark.slow
def test_an_interrupt_ends_it_clean(tmp_path: Path) -> None:
    """Ctrl-C in the middle: exit code 130, one sentence, no traceback, and the file holds whole lines of what happened so far."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "orders.py", "--concurrency", "5"],
        cwd=tmp_path,
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # A run of the tests in a shell's background ignores interrupts, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread of ours holds a lock that it needs
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    # The file grows while orders are at work: from here on the interrupt comes in the middle.
    out = tmp_path / "out" / "orders-spans.jsonl"
    while not out.stat().st_size:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (130, "")
    assert first.startswith("600 orders, 5 at a time, payment provider on http://127.0.0.1:")
    assert re.fullmatch(
        r"Interrupted: \d+ of 600 orders are done; what happened so far is in out/orders-spans\.jsonl and beside it\n", output
    )
    assert spans_in(out)


@pytest.mark.slow
def test_the_committed_orders_are_what_the_script_makes(tmp_path: Path) -> None:
    """The same seed gives the same files, byte for byte."""
    subprocess.run([sys.executable, EXAMPLES / "make_orders.py", "--dir", tmp_path], check=True, capture_output=True, timeout=60)

    for name in ("orders.jsonl", "stock.json"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / "data" / name).read_bytes()
