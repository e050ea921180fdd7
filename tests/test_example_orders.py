"""The example runs as people run it: as a process, with its output in a pipe."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ORDERS = EXAMPLES / "data" / "orders.jsonl"
STOCK = EXAMPLES / "data" / "stock.json"


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "orders.py", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, encoding="utf-8", timeout=120, check=False)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}


def spans_in(path: Path) -> list[dict[str, Any]]:
    return [
        span
        for line in path.read_text(encoding="utf-8").splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def ends_in(output: str) -> dict[str, int]:
    return {state: int(count) for count, state in re.findall(r"^ *(\d+) (shipped|cancelled|failed)\b", output, re.MULTILINE)}


@pytest.mark.slow
def test_forty_orders_add_up_and_are_told(tmp_path: Path) -> None:
    """Exit code 0; both tables, the trace as a tree with HTTP below the visits, the throughput, and the file with the spans."""
    done = run("--orders", "40", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    output = done.stdout
    assert output.splitlines()[-1] == "Everything adds up: machines, hook, spans, metrics, events, provider, warehouse and customers agree."
    assert "\x1b" not in output
    assert "\r" not in output
    assert max(len(line) for line in output.splitlines()) <= 100
    for heading in (
        r"state +visits +median +p95 +retries +timeouts +errors",
        r"from +label +to +kind +count",
        r"span +begins +takes +ends with",
    ):
        assert re.search(heading, output)
    assert re.search(r"[├└]─ visit Order\.Charging.*\n *│? +[├└]─ POST /charges", output)
    assert re.search(r"\d orders/s, .* transitions/s", output)
    assert sum(ends_in(output).values()) == 40
    spans = spans_in(tmp_path / "out" / "orders-spans.jsonl")
    assert [span["name"] for span in spans].count("run Order") == 40
    assert f"{len(spans):,} spans in out/orders-spans.jsonl" in output


@pytest.mark.slow
def test_the_same_seed_brings_every_order_to_the_same_end(tmp_path: Path) -> None:
    """Two runs, however many orders are at work at a time, end alike; the spans say which order ended where."""

    def ends(out: Path, concurrency: str) -> dict[str, str]:
        done = run("--orders", "30", "--concurrency", concurrency, "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        last: dict[str, str] = {}
        for span in spans_in(out):
            values = {attribute["key"]: next(iter(attribute["value"].values())) for attribute in span["attributes"]}
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
    ],
    ids=["a span is lost", "all runs are lost", "a retry is not counted", "stock is not put back", "a refund is lost"],
)
def test_a_sabotaged_run_says_what_does_not_add_up(tmp_path: Path, sabotage: str, sentence: str) -> None:
    """One book is falsified: exit code 1 and a sentence that names what differs."""
    code = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import orders; {sabotage}; sys.exit(orders.main(['--orders', '40']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, encoding="utf-8", timeout=120, check=False
    )

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
    assert re.fullmatch(r"Interrupted: \d+ of 600 orders are done; spans of all that happened are in out/orders-spans\.jsonl\n", output)
    assert spans_in(out)


@pytest.mark.slow
def test_the_committed_orders_are_what_the_script_makes(tmp_path: Path) -> None:
    """The same seed gives the same files, byte for byte."""
    subprocess.run([sys.executable, EXAMPLES / "make_orders.py", "--dir", tmp_path], check=True, capture_output=True, timeout=60)

    for name in ("orders.jsonl", "stock.json"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / "data" / name).read_bytes()
