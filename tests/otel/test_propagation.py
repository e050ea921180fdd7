"""Trace context as text: what goes out, what comes in, and that nothing which comes in can hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from septum.otel import propagation

if TYPE_CHECKING:
    from collections.abc import Iterator

SPAN = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1))
REMOTE = SpanContext(SPAN.trace_id, SPAN.span_id, is_remote=True, trace_flags=TraceFlags(1))
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def inside() -> Iterator[None]:
    """Make `SPAN` current."""
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(SPAN)))
    yield
    context.detach(token)


@pytest.fixture
def use() -> Iterator[Any]:
    """Return a function that sets the global propagator, which is put back afterwards."""
    before = propagate.get_global_textmap()
    yield propagate.set_global_textmap
    propagate.set_global_textmap(before)


def span_in(found: context.Context) -> SpanContext:
    return trace.get_current_span(found).get_span_context()


@pytest.mark.usefixtures("inside")
def test_inject_describes_the_current_span() -> None:
    """`send(body, headers=propagation.inject())` is all that a sender needs."""
    assert propagation.inject() == {"traceparent": TRACEPARENT}


def test_inject_describes_another_context() -> None:
    """A context that is given is used instead of the current one, with its baggage and its trace state."""
    state = SpanContext(SPAN.trace_id, SPAN.span_id, is_remote=False, trace_flags=TraceFlags(1), trace_state=TraceState([("ot", "th:8")]))
    given_context = baggage.set_baggage("tenant", "acme", trace.set_span_in_context(NonRecordingSpan(state), context.Context()))

    assert propagation.inject(context=given_context) == {"traceparent": TRACEPARENT, "tracestate": "ot=th:8", "baggage": "tenant=acme"}


def test_with_nothing_to_describe_inject_returns_a_copy() -> None:
    """Outside of any span the headers are as they were, in a dict of their own."""
    headers = {"kind": "order"}

    injected = propagation.inject(headers)

    assert injected == {"kind": "order"}
    assert injected is not headers
    assert propagation.inject() == {}


@pytest.mark.usefixtures("inside")
def test_inject_replaces_the_trace_context_of_a_message_that_is_passed_on() -> None:
    """The old one goes, its trace state too and however it is written; other headers stay, and the mapping that was given is unchanged."""
    headers = {"kind": "order", "Traceparent": TRACEPARENT.replace("-b7", "-c8"), "TraceState": "other=1", "baggage": "tenant=acme"}
    before = dict(headers)

    injected = propagation.inject(headers)

    assert injected == {"kind": "order", "traceparent": TRACEPARENT, "baggage": "tenant=acme"}
    assert headers == before


def test_extract_holds_what_the_headers_say_and_nothing_else(inside: None) -> None:
    """The sender's span, remote, with its trace state and baggage; nothing of the current context."""
    headers = {"traceparent": TRACEPARENT.replace("-b7", "-c8"), "tracestate": "ot=th:8,v=1", "baggage": "tenant=acme"}

    found = propagation.extract(headers)

    sender = span_in(found)
    assert (sender.trace_id, sender.span_id, sender.is_remote) == (SPAN.trace_id, 0xC8AD6B7169203331, True)
    assert sender.trace_state.to_header() == "ot=th:8,v=1"
    assert baggage.get_all(found) == {"tenant": "acme"}
    assert propagation.extract({}) == propagation.extract(None) == context.Context()


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_header_names_are_read_in_any_case(name: str) -> None:
    """Brokers and proxies change the case of names."""
    assert span_in(propagation.extract({name: TRACEPARENT})) == REMOTE
    assert propagation.sender_context({name: TRACEPARENT}) == REMOTE


def test_there_and_back_is_the_same_span(inside: None) -> None:
    """What inject writes, extract and sender_context read."""
    assert span_in(propagation.extract(propagation.inject())) == REMOTE
    assert propagation.sender_context(propagation.inject({"kind": "order"})) == REMOTE


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"kind": "order"},
        {"baggage": "tenant=acme"},
        {"tracestate": "ot=th:8"},
        {"traceparent": ""},
        {"traceparent": "00-not-a-trace-01"},
        {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"},
        {"traceparent": TRACEPARENT.encode()},
        {"traceparent": None},
        {"traceparent": [TRACEPARENT]},
        {b"traceparent": TRACEPARENT},
        {7: TRACEPARENT},
        7,
        "traceparent",
    ],
)
def test_headers_without_a_sender_that_can_be_read_have_none(headers: Any) -> None:
    """Nothing, something else, malformed values, bytes, and what is no mapping at all: None, and no error."""
    assert propagation.sender_context(headers) is None


def test_a_value_that_is_no_text_does_not_hide_the_others() -> None:
    """Headers as a broker delivers them: what can be read is."""
    headers: Any = {7: "x", "offset": 12, "baggage": b"\xff", "traceparent": TRACEPARENT}

    assert propagation.sender_context(headers) == REMOTE
    assert span_in(propagation.extract(headers)) == REMOTE


ANYTHING = st.none() | st.integers() | st.binary() | st.text()


@pytest.mark.slow
@given(headers=ANYTHING | st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage", "Traceparent"]) | ANYTHING, ANYTHING))
@example(headers={"traceparent": TRACEPARENT, "tracestate": ","})
def test_no_headers_can_make_it_raise(headers: Any) -> None:
    """Whatever stands there, the answer is a valid span or None."""
    found = propagation.sender_context(headers)

    assert found is None or found.is_valid


class Plain(TextMapPropagator):
    """Writes two numbers under a name of its own, and counts how often it is read."""

    def __init__(self) -> None:
        self.read = 0

    @property
    def fields(self) -> set[str]:
        return {"X-Plain"}

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        span = trace.get_current_span(context).get_span_context()
        setter.set(carrier, "X-Plain", f"{span.trace_id} {span.span_id}")

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
        self.read += 1
        for name in getter.keys(carrier):
            assert isinstance(name, str)
        trace_id, span_id = (getter.get(carrier, "X-Plain") or ["0 0"])[0].split()
        return trace.set_span_in_context(NonRecordingSpan(SpanContext(int(trace_id), int(span_id), is_remote=True)), context)


@pytest.mark.usefixtures("inside")
def test_the_global_propagator_decides_how_it_is_written(use: Any) -> None:
    """Another one writes and is read under its own names; W3C headers then mean nothing."""
    use(Plain())

    assert propagation.inject() == {"X-Plain": f"{SPAN.trace_id} {SPAN.span_id}"}
    found = propagation.sender_context({"x-plain": "7 8"})
    assert found is not None
    assert (found.trace_id, found.span_id) == (7, 8)
    assert propagation.sender_context({"traceparent": TRACEPARENT}) is None

    use(TraceContextTextMapPropagator())
    assert propagation.sender_context({"x-plain": "7 8"}) is None
    assert propagation.sender_context({"traceparent": TRACEPARENT}) == REMOTE


def test_headers_with_no_trace_context_are_not_parsed(use: Any) -> None:
    """Messages have headers for other reasons too, and many of them: a look at the names is enough."""
    plain = Plain()
    use(plain)

    assert [propagation.sender_context(headers) for headers in (None, {}, {"kind": "order"})] == [None] * 3
    assert plain.read == 0


def test_a_propagator_that_raises_means_no_sender(use: Any) -> None:
    """Its error does not reach the machine."""
    use(Plain())

    assert propagation.sender_context({"X-Plain": "not numbers"}) is None


@pytest.mark.usefixtures("inside")
def test_with_propagation_turned_off_nothing_is_written_or_read(use: Any) -> None:
    """`OTEL_PROPAGATORS=none`."""
    use(CompositePropagator([]))

    assert propagation.inject() == {}
    assert propagation.sender_context({"traceparent": TRACEPARENT}) is None
