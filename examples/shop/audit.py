"""Does it add up? Machines, hook, telemetry, provider, warehouse and customers keep their own books; here they are compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from septum import semconv
from shop.machine import LOGGED, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from septum import Stats
    from shop.book import Order
    from shop.provider import Provider
    from shop.telemetry import Told
    from shop.watcher import Watcher
    from shop.world import Customers, Warehouse


@dataclass(frozen=True)
class Books:
    """What everybody wrote down about one run of the example."""

    orders: Sequence[Order]
    ends: Mapping[str, str]
    """Order to the state that its machine ended in."""
    stats: Mapping[str, Stats]
    """Order to `fsm.stats()` of its machine."""
    watcher: Watcher
    notes: Mapping[str, Sequence[str]]
    """Order to what the shop tells its customer."""
    told: Told | None
    """What stands in the files; None if it went to a collector, where nobody here can look."""
    provider: Provider
    warehouse: Warehouse
    customers: Customers
    stock: Mapping[str, int]


def audit(books: Books) -> list[str]:
    """Return a sentence for everything that does not add up; none is what it should be."""
    checks = [_ends, _states_and_transitions, _machines, _messages, _money, _goods]
    in_files = [_spans, _requests, _metrics, _events, _log_lines]
    sentences = [sentence for check in checks for sentence in check(books)]
    if books.told is not None:
        sentences += [sentence for check in in_files for sentence in check(books, books.told)]
    return sentences


def _ends(books: Books) -> Iterator[str]:
    """Every order ends in exactly one terminal state."""
    for order in books.orders:
        visited = {state: books.watcher.entered[order.id][state] for state in TERMINAL if books.watcher.entered[order.id][state]}
        end = books.ends.get(order.id)
        if visited != {end: 1}:
            yield f"order {order.id} should end in one terminal state, once; its machine ended in {end} and entered {visited or 'none'}"


def _states_and_transitions(books: Books) -> Iterator[str]:
    """What comes into a state goes out of it, and the tables of states and transitions agree about both."""
    watcher = books.watcher
    came, went = Counter(watcher.initial), Counter[str]()
    for (source, _, target, kind), count in watcher.transitions.items():
        if kind != "again":  # does not leave the state
            went[source] += count
            came[target] += count
    ended_here = Counter(books.ends.values())
    for state in watcher.names.values():
        yield from _differ(f"state {state}", visits=watcher.started[state], transitions_into_it=came[state])
        left = went[state] + ended_here[state]
        yield from _differ(
            f"state {state}", visits_that_ended=len(watcher.times[state]), transitions_out_of_it_and_orders_that_ended_in_it=left
        )
        yield from _differ(f"state {state}", visits=watcher.started[state], visits_that_ended=len(watcher.times[state]))


def _machines(books: Books) -> Iterator[str]:
    """The counts that machines keep are those that the hook was told."""
    watcher, stats = books.watcher, books.stats.values()
    told = {
        "visits": watcher.started.total(),
        "transitions": watcher.transitions.total(),
        "retries": watcher.retries.total(),
        "timeouts": watcher.timeouts.total(),
        "errors": watcher.errors.total(),
        "unhandled": watcher.unhandled.total(),
        "hook_errors": 0,
    }
    for name, count in told.items():
        yield from _differ(name.replace("_", " "), in_the_tables=count, in_the_machines=sum(getattr(one, name) for one in stats))


def _messages(books: Books) -> Iterator[str]:
    """No message is lost: not on the way to a machine, not inside."""
    for order, stats in books.stats.items():
        known = stats.handled + stats.unhandled + sum(stats.dropped.values()) + stats.filtered + stats.pending
        yield from _differ(f"messages of order {order}", accepted=stats.accepted, handled_unhandled_dropped_filtered_pending=known)
    accepted = sum(stats.accepted for stats in books.stats.values())
    yield from _differ("messages", sent_by_customers=books.customers.sent, accepted_by_machines=accepted)
    dropped = sum(sum(stats.dropped.values()) for stats in books.stats.values())
    yield from _differ("dropped messages", seen_by_the_hook=books.watcher.dropped.total(), counted_by_machines=dropped)


def _spans(books: Books, told: Told) -> Iterator[str]:
    """The file has one run for each order, one visit for each visit, and each span hangs where it belongs."""
    spans = told.spans
    runs = {span.span_id: span for span in spans if span.attributes.get(semconv.OPERATION_NAME) == semconv.Operation.RUN}
    visits = {span.span_id: span for span in spans if span.attributes.get(semconv.OPERATION_NAME) == semconv.Operation.VISIT}
    messages = {span.span_id: span for span in spans if span.attributes.get(semconv.OPERATION_NAME) == semconv.Operation.PROCESS}
    calls = [span for span in spans if span.span_id not in {*runs, *visits, *messages}]
    yield from _differ("orders", orders=len(books.orders), run_spans_in_the_file=len(runs))
    in_file = Counter(span.attributes[semconv.STATE_NAME] for span in visits.values())
    for state in books.watcher.names.values():
        yield from _differ(f"state {state}", visits=books.watcher.started[state], visit_spans_in_the_file=in_file[state])
    for visit in visits.values():
        parent = runs.get(visit.parent_id)
        if parent is None or parent.attributes[semconv.RUN_ID] != visit.attributes[semconv.RUN_ID]:
            yield f"span {visit.span_id} ({visit.name}) does not hang below the run of its order"
    for message in messages.values():
        if message.parent_id not in visits:
            yield f"span {message.span_id} ({message.name}) does not hang below a visit"
    for call in calls:
        above = visits.get(call.parent_id) or messages.get(call.parent_id)
        if above is None or above.trace_id != call.trace_id:
            yield f"span {call.span_id} ({call.name}) does not hang below a visit or a message"
    failed = sum(span.failed for span in visits.values())
    yield from _differ("errors", in_the_tables=books.watcher.errors.total(), visit_spans_that_failed=failed)


def _requests(books: Books, told: Told) -> Iterator[str]:
    """Every request that reached the provider carries the ids of a span that is in the file."""
    known = {f"{span.trace_id}-{span.span_id}" for span in told.spans}
    for request in books.provider.requests:
        if request.traceparent[3:-3] not in known:
            yield f"{request.path} for order {request.order} came with traceparent {request.traceparent!r}, which no span in the file has"


def _metrics(books: Books, told: Told) -> Iterator[str]:
    """The series in the file are those of the machines' own counts and of the hook, transition by transition and state by state."""
    watcher, stats, series = books.watcher, books.stats.values(), told.metrics
    edges = Counter[tuple[str, str | None, str, str]]()
    for point in series.get("septum.transitions", ()):
        values = point.attributes
        target = values.get(semconv.TRANSITION_TO_STATE, "")
        edge = (values[semconv.TRANSITION_FROM_STATE], values.get(semconv.TRANSITION_LABEL), target, values[semconv.TRANSITION_KIND])
        edges[edge] += point.count
    for edge in sorted({*watcher.transitions, *edges}, key=str):
        source, label, target, kind = edge
        about = f"metric septum.transitions, {source} to {target or 'the end'} ({kind}{f' {label}' if label else ''})"
        yield from _differ(about, told=watcher.transitions[edge], in_the_file=edges[edge])
    by_state = {
        "septum.state.duration": watcher.started,
        "septum.retries": watcher.retries,
        "septum.timeouts": watcher.timeouts,
        "septum.errors": watcher.errors,
    }
    for name, counts in by_state.items():
        found = Counter[str]()
        for point in series.get(name, ()):
            found[point.attributes[semconv.STATE_NAME]] += point.count
        for state in watcher.names.values():
            yield from _differ(f"metric {name}, state {state}", told=counts[state], in_the_file=found[state])
    in_the_machines = {
        "septum.transitions": sum(one.transitions for one in stats),
        "septum.run.duration": len(books.orders),
        "septum.enqueued.messages": sum(one.accepted for one in stats),
        "septum.consumed.messages": sum(one.handled + one.unhandled for one in stats),
        "septum.unhandled.messages": sum(one.unhandled for one in stats),
        "septum.dropped.messages": sum(sum(one.dropped.values()) for one in stats),
        "septum.machine.active": 0,
    }
    for name, count in in_the_machines.items():
        total = sum(point.count for point in series.get(name, ()))
        yield from _differ(f"metric {name}", in_the_machines=count, in_the_file=total)


def _events(books: Books, told: Told) -> Iterator[str]:
    """The events in the file are those that the hook was told."""
    watcher, found = books.watcher, Counter(record.event for record in told.events)
    expected = {
        semconv.Event.RUN_START: len(books.orders),
        semconv.Event.RUN_END: len(books.orders),
        semconv.Event.TRANSITION: watcher.transitions.total(),
        semconv.Event.RETRY: watcher.retries.total(),
        semconv.Event.TIMEOUT: watcher.timeouts.total(),
        semconv.Event.HANDLER_EXCEPTION: watcher.errors.total(),
        semconv.Event.MESSAGE_UNHANDLED: watcher.unhandled.total(),
    }
    for name, count in expected.items():
        yield from _differ(f"event {name}", told=count, in_the_file=found[name])


def _log_lines(books: Books, told: Told) -> Iterator[str]:
    """What handlers said is in the file once, in a visit of the order that it is about."""
    order_of = {
        span.span_id: span.attributes[semconv.MACHINE_ID]
        for span in told.spans
        if span.attributes.get(semconv.OPERATION_NAME) == semconv.Operation.VISIT
    }
    for line in told.said:
        order = line.attributes["septum_machine_id"]
        if order_of.get(line.span_id) != order:
            yield f"log line {line.body!r} of order {order} does not stand in a visit of that order"
    notes, lines = Counter(note for notes in books.notes.values() for note in notes), Counter(line.body for line in told.said)
    for text in LOGGED:
        yield from _differ(f"log line {text!r}", in_the_notes=notes[text], in_the_file=lines[text])


def _money(books: Books) -> Iterator[str]:
    """What was charged was charged once and right, and is shipped for, given back, or a failed order's."""
    provider = books.provider
    for order in books.orders:
        end, charged = books.ends.get(order.id), provider.captured.get(order.id)
        if charged is not None and charged != (order.currency, order.total):
            yield f"order {order.id} is for {order.total} {order.currency}, and {charged[1]} {charged[0]} was charged"
        keeps = charged is not None and order.id not in provider.refunded
        if end == "Shipped" and not keeps:
            yield f"order {order.id} was shipped and is not paid"
        if end == "Cancelled" and keeps:
            yield f"order {order.id} was cancelled and the money was kept"


def _goods(books: Books) -> Iterator[str]:
    """Every unit is on the shelf or was shipped."""
    shipped = Counter[str]()
    for order in books.orders:
        if books.ends.get(order.id) == "Shipped":
            shipped.update({item.sku: item.quantity for item in order.items})
    yield from _differ("orders", still_reserved=len(books.warehouse.reserved), expected=0)
    for sku, units in books.stock.items():
        left = books.warehouse.on_shelf[sku] + books.warehouse.gone[sku]
        yield from _differ(f"SKU {sku}", units=units, on_the_shelf_or_gone=left)
        yield from _differ(f"SKU {sku}", units_shipped=shipped[sku], units_gone=books.warehouse.gone[sku])


def _differ(about: str, **counts: int) -> Iterator[str]:
    """Say that two counts of the same thing differ, if they do."""
    (one, count), (other, counted) = counts.items()
    if count != counted:
        yield f"{about}: {count} {one.replace('_', ' ')}, but {counted} {other.replace('_', ' ')}"
