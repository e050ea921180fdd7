"""Six hundred orders, a machine for each: shelf, fraud check, payment over HTTP, confirmation, parcel.

Each order of examples/data/orders.jsonl gets a state machine (examples/shop/machine.py). It
reserves stock, has suspicious orders checked, charges a payment provider that is sometimes slow,
sometimes busy and sometimes declines, waits for the customer's confirmation, reminds them, and
ends shipped, cancelled or failed. All machines are seen with OpenTelemetry: spans, metrics, events
and what handlers log, in files or, with OTEL_EXPORTER_OTLP_ENDPOINT set, sent there; the HTTP
client's spans hang below the visits that made them. In the end everybody's books are compared:
machines, hook, telemetry in the files, provider, warehouse and customers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from septum import StateMachine, semconv
from shop import report
from shop.audit import Books, audit
from shop.book import Order, OrderBookError, read_orders, read_stock
from shop.machine import TERMINAL, Failed, Reserving
from shop.provider import Provider
from shop.telemetry import ENDPOINT, Files, SetUpError, Told, read_metrics, read_records, read_spans, sending, writing
from shop.watcher import Watcher
from shop.world import Bank, Customers, Job, Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import TracerProvider

Clients = Callable[[], httpx.AsyncClient]

HERE = Path(__file__).parent


@dataclass
class Desk:
    """The orders at work, and what is left of them afterwards."""

    warehouse: Warehouse
    watcher: Watcher = field(default_factory=Watcher)
    customers: Customers = field(default_factory=Customers)
    machines: dict[str, StateMachine[Job]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    """Order to the state that it ended in; orders that are still at work are not in it."""

    async def work(self, orders: Sequence[Order], clients: Clients, *, concurrency: int, done: Callable[[str], None]) -> None:
        """Bring *orders* to their ends, *concurrency* at a time; *done* is told each end."""
        pile = iter(orders)
        async with asyncio.TaskGroup() as clerks:
            for _ in range(concurrency):
                clerks.create_task(self._work_off(pile, clients, done))

    async def _work_off(self, pile: Iterator[Order], clients: Clients, done: Callable[[str], None]) -> None:
        async with clients() as client:
            for order in pile:
                job = self.jobs[order.id] = Job(order, self.warehouse, self.customers, Bank(client))
                fsm = StateMachine(Reserving, error_state=Failed, common_data=job, name="Order", machine_id=order.id, hooks=[self.watcher])
                self.machines[order.id] = fsm
                async with fsm:
                    result = await fsm.serve()
                end = self.ends[order.id] = self.watcher.names[result.state.name]
                done(end)


def make_clients(url: str, tracer_provider: TracerProvider) -> Clients:
    """Return a function that makes clients of the provider at *url* whose requests are traced.

    Each clerk has one of its own: a pool shared by many of them looks through all its connections for each request.
    """
    # Made once, for it reads all the certificates of the world.
    context = ssl.create_default_context()

    def make() -> httpx.AsyncClient:
        # Not through the proxy of whoever runs this: the provider listens on loopback.
        client = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=context)
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=tracer_provider)
        return client

    return make


@contextmanager
def progress_bar(console: Console, total: int) -> Iterator[Callable[[str], None]]:
    """Show a progress bar while the block runs; yields what is to be told each order's end. Without a terminal it shows nothing."""
    counts = Counter[str]()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("orders", total=total)

        def done(end: str) -> None:
            counts[end] += 1
            ends = ", ".join(f"{counts[state]} {state.lower()}" for state in TERMINAL)
            progress.update(task, advance=1, description=ends)

        yield done


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, or leave with a sentence about what is wrong with them."""
    parser = argparse.ArgumentParser(
        prog="orders.py",
        description=__doc__,
        epilog="""try:
  python examples/orders.py                       all orders
  python examples/orders.py --orders 60           the first sixty
  python examples/orders.py --seed 8              a payment provider in another mood
  python examples/orders.py --concurrency 4       few at a time, and see the throughput fall
  python examples/make_orders.py --help           make other orders

exit codes: 0 everything adds up, 1 something does not, 2 the options or the files are wrong, 130 interrupted""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--orders", type=_at_least_one, metavar="N", help="how many orders, from the first of the file (default: all)")
    parser.add_argument(
        "--seed", type=int, default=7, metavar="N", help="mood of the payment provider; the same seed, the same ends (default: 7)"
    )
    parser.add_argument("--concurrency", type=_at_least_one, default=40, metavar="N", help="orders at work at the same time (default: 40)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/orders-spans.jsonl"),
        metavar="FILE",
        help="spans go here, metrics and logs beside it (default: %(default)s)",
    )
    parser.add_argument("--data", type=Path, default=HERE / "data/orders.jsonl", metavar="FILE", help="orders, one JSON object a line")
    parser.add_argument("--stock", type=Path, default=HERE / "data/stock.json", metavar="FILE", help="units on the shelf for each SKU")
    return parser.parse_args(arguments)


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text!r}")
    return number


def open_new(stack: ExitStack, files: Files, *, spare: Sequence[Path]) -> AbstractContextManager[TracerProvider]:
    """Open *files* to write them anew, with the directory above them, and return what writes them; those in *spare* must not be lost so."""
    for path in files:
        if path.resolve() in [other.resolve() for other in spare]:
            raise OrderBookError(f"{path}: --out would overwrite what is read")
    files.spans.parent.mkdir(parents=True, exist_ok=True)
    spans, metrics, logs = (stack.enter_context(path.open("w", encoding="utf-8")) for path in files)
    return writing(spans, metrics, logs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; 0 if everything adds up, 1 if not, 2 if a file or a variable cannot be used, 130 if interrupted."""
    options = parse(arguments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100)
    files, exports = Files.beside(options.out), dict[str, str]()
    with ExitStack() as stack:
        try:
            stock = read_stock(options.stock)
            orders = read_orders(options.data, stock, limit=options.orders)
            if os.environ.get(ENDPOINT, "").strip():
                observing, exports = sending()
            else:
                observing = open_new(stack, files, spare=(options.data, options.stock))
        except (OrderBookError, SetUpError, OSError) as error:
            print(f"orders.py: {error}", file=sys.stderr)
            return 2
        desk = Desk(Warehouse(stock))
        try:
            with (
                Provider(options.seed) as provider,
                observing as tracer_provider,
                progress_bar(console, len(orders)) as done,
            ):
                console.print(
                    f"{len(orders)} orders, {options.concurrency} at a time, payment provider on {provider.url} (seed {options.seed})"
                )
                began = time.perf_counter()
                clients = make_clients(provider.url, tracer_provider)
                asyncio.run(desk.work(orders, clients, concurrency=options.concurrency, done=done))
                seconds = time.perf_counter() - began
        except KeyboardInterrupt:
            where = "was given to the exporters" if exports else f"is in {files.spans} and beside it"
            console.print(f"Interrupted: {len(desk.ends)} of {len(orders)} orders are done; what happened so far {where}", soft_wrap=True)
            return 130
    told = None if exports else Told(read_spans(files.spans), read_metrics(files.metrics), read_records(files.logs))
    books = Books(
        orders=orders,
        ends=desk.ends,
        stats={order: fsm.stats() for order, fsm in desk.machines.items()},
        watcher=desk.watcher,
        notes={order: job.notes for order, job in desk.jobs.items()},
        told=told,
        provider=provider,
        warehouse=desk.warehouse,
        customers=desk.customers,
        stock=stock,
    )
    tell(console, books, seconds=seconds)
    console.print(where_it_went(exports) if told is None else where_it_is(told, files), soft_wrap=True)
    complaints = audit(books)
    if complaints:
        report.print_complaints(console, complaints)
        return 1
    telemetry = "" if told is None else "telemetry, "
    console.print(f"Everything adds up: machines, hook, {telemetry}provider, warehouse and customers agree.", style="bold green")
    return 0


def tell(console: Console, books: Books, *, seconds: float) -> None:
    """Print what happened."""
    console.print()
    console.print(report.states_table(books.watcher))
    console.print(report.transitions_table(books.watcher))
    if books.told is not None:
        run = report.telling_run(books.told.spans)
        if run is not None:
            (order,) = [order for order in books.orders if order.id == run.attributes[semconv.MACHINE_ID]]
            console.print(report.trace_tree(run, order, books.told.spans, ascii_only=not console.encoding.startswith("utf")))
            console.print()
        console.print(report.metrics_table(books.told.metrics))
        console.print(report.events_table(books.told.events))
    console.print(report.ends_table(books.ends, books.notes))
    console.print()
    console.print(report.throughput_line(seconds, books.watcher, orders=len(books.orders), requests=len(books.provider.requests)))


def where_it_is(told: Told, files: Files) -> str:
    """Return a line for each file: what is in it, and how much."""
    return (
        f"{len(told.spans):,} spans in {files.spans}\n"
        f"{len(told.metrics):,} metrics in {files.metrics}\n"
        f"{len(told.events):,} events and {len(told.said):,} log lines in {files.logs} (all OTLP, JSON lines)"
    )


def where_it_went(exports: Mapping[str, str]) -> str:
    """Return where each signal went, and what nobody here can know of it."""
    places = "\n".join(f"  {signal} to {place}" for signal, place in exports.items())
    return (
        f"Given to the exporters of OpenTelemetry:\n{places}\n"
        "What they could not deliver they say on stderr. No file was written, and what arrived is not compared with the books here."
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while the tables are made
        sys.exit(130)
