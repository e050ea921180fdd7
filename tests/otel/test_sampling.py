"""Which runs are kept: each as a whole, in the share that was asked for, and so that samplers elsewhere can agree."""

from __future__ import annotations

import asyncio
import random
import re
import sys
import uuid
from contextlib import AsyncExitStack, nullcontext
from importlib import import_module
from math import sqrt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON, Decision, SamplingResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, TraceState

from septum import Repeat, StateConfiguration, StateMachine, facts, septum
from septum.otel import OTelHooks
from septum.otel.sampling import RunConsistentSampler, from_argument
from septum.testing import RecorderHooks
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace.sampling import Sampler

RUN = "0190b3a2-7c4e-7d31-9f52-5a1be2d8c001"
RUN_RANDOMNESS = 0x344FF434E2A3B7
MOST = 1 << 56

ratios = st.floats(0, 1, allow_subnormal=False)
run_ids = st.uuids().map(str) | st.text()


def span_context(
    *, sampled: bool, state: Sequence[tuple[str, str]] = (), remote: bool = False, trace_id: int = 0xABC << 64 | 0x123
) -> SpanContext:
    return SpanContext(trace_id, 0xDEF, is_remote=remote, trace_flags=TraceFlags(int(sampled)), trace_state=TraceState(list(state)))


def below(parent: SpanContext | None) -> Context:
    """Return a context in which *parent* is current, or none."""
    return Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())


def first_segment(span: SpanContext) -> Link:
    return Link(span, {"septum.link.type": "first_segment"})


def decide(
    sampler: Sampler, run_id: object = None, *, parent: SpanContext | None = None, trace_id: int = 7, **given_: Any
) -> SamplingResult:
    attributes: Any = {} if run_id is None else {"septum.run.id": run_id}
    return sampler.should_sample(below(parent), trace_id, "run M", attributes=attributes, **given_)


def kept(result: SamplingResult) -> bool:
    return result.decision is Decision.RECORD_AND_SAMPLE


def entry(state: TraceState | None) -> dict[str, str]:
    """Return the sub-keys of the `ot` entry that have a value in hexadecimal digits."""
    text = state.get("ot", "") if state else ""
    return {key: value for key, _, value in (member.partition(":") for member in text.split(";")) if re.fullmatch("[0-9a-f]+", value)}


def randomness(span: SpanContext) -> str:
    """Return what a sampler further down takes for the randomness of *span*, as OpenTelemetry says it shall."""
    return entry(span.trace_state).get("rv", f"{span.trace_id % MOST:014x}")


ids = st.integers(1, MOST**2)
sound = [(), (("vendor", "1"),), (("ot", "rv:80000000000000"),), (("ot", "th:4;rv:80000000000000"), ("vendor", "1"))]
unsound = [(("ot", "th:4"),), (("ot", "th:c;rv:80000000000000"),), (("ot", "th:;rv:x"),)]
parents = (
    st.none()
    | st.builds(span_context, sampled=st.booleans(), state=st.sampled_from(sound), remote=st.just(value=False), trace_id=ids)
    | st.builds(span_context, sampled=st.booleans(), state=st.sampled_from(sound + unsound), remote=st.just(value=True), trace_id=ids)
)


@pytest.mark.slow
@given(ratio=ratios, run_id=run_ids, parent=parents, segments=st.integers(1, 4))
def test_all_traces_of_a_run_agree(ratio: float, run_id: str, parent: SpanContext | None, segments: int) -> None:
    """Whether it began in a request or by itself: all segments, and all spans in them, have the decision that the first one has."""
    provider = TracerProvider(sampler=RunConsistentSampler(ratio), resource=Resource.get_empty(), shutdown_on_exit=False)
    tracer = provider.get_tracer("septum")
    found: list[SpanContext] = []
    for segment in range(segments):
        attributes = {"septum.run.id": run_id, "septum.run.segment": segment}
        links = [Link(found[-1], {"septum.link.type": "previous_segment"}), first_segment(found[0])] if found else []
        root = tracer.start_span("run M", below(parent if segment == 0 else None), attributes=attributes, links=links)
        found.append(root.get_span_context())
        child = tracer.start_span("visit M.A", trace.set_span_in_context(root, Context()), attributes=attributes).get_span_context()
        assert (child.trace_flags.sampled, child.trace_state) == (found[-1].trace_flags.sampled, found[-1].trace_state)

    first = found[0]
    if parent is not None:
        assert first.trace_flags.sampled == parent.trace_flags.sampled
    assert {span.trace_flags.sampled for span in found} == {first.trace_flags.sampled}
    assert {randomness(span) for span in found} == {randomness(first)}
    thresholds = {entry(span.trace_state).get("th") for span in found if span.trace_flags.sampled}
    assert len(thresholds) == int(first.trace_flags.sampled)


@pytest.mark.slow
@given(ratio=ratios, run_id=run_ids, trace_ids=st.lists(ids, min_size=2, max_size=4))
def test_roots_of_a_run_agree_without_links_and_in_any_process(ratio: float, run_id: str, trace_ids: list[int]) -> None:
    """The run id is enough: each root is decided by a sampler of its own, which knows nothing of the others."""
    results = [decide(RunConsistentSampler(ratio), run_id, trace_id=trace_id) for trace_id in trace_ids]

    assert len({(result.decision, (result.trace_state or {}).get("ot")) for result in results}) == 1


@given(run_id=run_ids, smaller=ratios, larger=ratios)
def test_a_larger_share_contains_the_smaller(run_id: str, smaller: float, larger: float) -> None:
    """Services that keep different shares keep the same runs as far as the smaller share goes: that is what consistent means."""
    smaller, larger = sorted((smaller, larger))

    assert kept(decide(RunConsistentSampler(smaller), run_id)) <= kept(decide(RunConsistentSampler(larger), run_id))


@pytest.mark.parametrize("ratio", [0.001, 0.01, 0.1, 1 / 3, 0.5, 0.9, 0.99])
def test_the_share_of_kept_runs_is_the_ratio(ratio: float) -> None:
    """Of n runs, n times ratio are kept, give or take four standard deviations of the binomial law; the run ids are always the same."""
    source, sampler, n = random.Random(4), RunConsistentSampler(ratio), 5000

    count = sum(kept(decide(sampler, str(uuid.UUID(int=source.getrandbits(128), version=4)))) for _ in range(n))

    assert abs(count - n * ratio) <= 4 * sqrt(n * ratio * (1 - ratio))


@pytest.mark.parametrize("ratio", [0.01, 0.5])
def test_the_share_of_other_traces_is_the_ratio(ratio: float) -> None:
    """Spans that belong to no run are kept in the same share, by trace id."""
    source, sampler, n = random.Random(4), RunConsistentSampler(ratio), 5000

    count = sum(kept(decide(sampler, trace_id=source.getrandbits(128))) for _ in range(n))

    assert abs(count - n * ratio) <= 4 * sqrt(n * ratio * (1 - ratio))


@given(run_id=run_ids, trace_id=ids)
def test_none_and_all(run_id: str, trace_id: int) -> None:
    """0 keeps nothing, 1 keeps everything, exactly."""
    for given_run in (run_id, None):
        assert not kept(decide(RunConsistentSampler(0), given_run, trace_id=trace_id))
        result = decide(RunConsistentSampler(1), given_run, trace_id=trace_id)
        assert kept(result)
        assert entry(result.trace_state)["th"] == "0"


def test_randomness_and_threshold_are_written_to_the_trace_state() -> None:
    """`rv` is the hash of the run id, the same in every release; `th` is there if the run was kept. W3C text carries both."""
    assert {ratio: dict(decide(RunConsistentSampler(ratio), RUN).trace_state or {}) for ratio in (1, 0.875, 0.5, 0)} == {
        1: {"ot": f"th:0;rv:{RUN_RANDOMNESS:x}"},
        0.875: {"ot": f"th:2;rv:{RUN_RANDOMNESS:x}"},
        0.5: {"ot": f"rv:{RUN_RANDOMNESS:x}"},
        0: {"ot": f"rv:{RUN_RANDOMNESS:x}"},
    }


def test_the_decision_is_randomness_against_threshold() -> None:
    """Kept from the threshold on: OpenTelemetry's rule."""
    boundary = 1 - RUN_RANDOMNESS / MOST

    assert [kept(decide(RunConsistentSampler(ratio), RUN)) for ratio in (boundary - 1e-9, boundary + 1e-9)] == [False, True]


@given(ratio=ratios, run_id=run_ids)
def test_opentelemetry_s_own_consistent_sampler_agrees(ratio: float, run_id: str) -> None:
    """The SDK's probability sampler, at the same ratio and given what was written, decides the same and writes the same."""
    experimental = pytest.importorskip("opentelemetry.sdk.trace._sampling_experimental")
    theirs = experimental.composite_sampler(experimental.composable_traceid_ratio_based(ratio))

    ours = decide(RunConsistentSampler(ratio), run_id)
    again = decide(theirs, run_id, trace_id=7, trace_state=ours.trace_state)

    assert (again.decision, entry(again.trace_state)) == (ours.decision, entry(ours.trace_state))


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("run_id", [RUN, None])
def test_a_span_with_a_parent_follows_it(sampled: bool, remote: bool, ratio: float, run_id: str | None) -> None:
    """Decision, attributes and trace state are those of the SDK's ParentBased, whatever the ratio and the run id."""
    parent = span_context(sampled=sampled, remote=remote, state=[("ot", "th:0;rv:80000000000000;x:1"), ("vendor", "1")])

    ours, theirs = (decide(sampler, run_id, parent=parent) for sampler in (RunConsistentSampler(ratio), DEFAULT_ON))

    assert (ours.decision, ours.attributes, ours.trace_state) == (theirs.decision, theirs.attributes, theirs.trace_state)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_later_segment_follows_the_first(sampled: bool) -> None:
    """Its flag decides, also against the run id; the randomness of its trace is taken over, and a threshold that fits it."""
    first = span_context(sampled=sampled, trace_id=0xAB00000000000123)

    result = decide(RunConsistentSampler(float(not sampled)), RUN, links=[first_segment(first)])

    assert kept(result) is sampled
    assert dict(result.trace_state or {}) == {"ot": "rv:00000000000123"}


def test_other_links_decide_nothing() -> None:
    """Links to messages and to other segments, without attributes, or to no span at all."""
    yes, no = span_context(sampled=True), trace.INVALID_SPAN_CONTEXT
    links = [
        Link(yes),
        Link(yes, {"septum.link.type": "previous_segment"}),
        Link(yes, {"septum.link.type": "spawned_by"}),
        first_segment(no),
    ]

    assert not kept(decide(RunConsistentSampler(0), RUN, links=links))


def test_a_threshold_of_the_first_segment_that_cannot_be_right_is_left_out() -> None:
    """It was kept for another reason than probability (a request that somebody forced): no count may be made from it."""
    states = {"th:4;rv:80000000000000": "th:4;rv:80000000000000", "th:c;rv:80000000000000": "rv:80000000000000"}

    for state, expected in states.items():
        first = span_context(sampled=True, state=[("ot", state)])
        assert dict(decide(RunConsistentSampler(1), RUN, links=[first_segment(first)]).trace_state or {}) == {"ot": expected}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ([], []),
        ([("vendor", "1")], [("vendor", "1")]),
        ([("ot", "th:4;rv:80000000000000")], [("ot", "th:4;rv:80000000000000")]),
        ([("ot", "th:c;rv:80000000000000")], [("ot", "rv:80000000000000")]),
        ([("vendor", "1"), ("ot", "x:1;th:c;rv:80000000000000;y:2")], [("ot", "rv:80000000000000;x:1;y:2"), ("vendor", "1")]),
        ([("ot", "th:f")], []),
        ([("ot", "th:nonsense")], [("ot", "th:nonsense")]),
    ],
)
def test_a_threshold_from_elsewhere_that_cannot_be_right_is_erased(state: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    """A remote parent is kept though its randomness does not reach its threshold; everything else in the trace state is handed on."""
    result = decide(RunConsistentSampler(1), RUN, parent=span_context(sampled=True, remote=True, state=state))

    assert list((result.trace_state or {}).items()) == expected


def test_a_dropped_parent_s_trace_state_is_handed_on_as_it_is() -> None:
    """What it says is the business of who made it."""
    state = [("ot", "th:c;rv:80000000000000"), ("vendor", "1")]

    result = decide(RunConsistentSampler(1), RUN, parent=span_context(sampled=False, remote=True, state=state))

    assert list((result.trace_state or {}).items()) == state


@pytest.mark.parametrize(
    ("given_state", "expected"),
    [
        ([("vendor", "1"), ("other", "2")], [("ot", f"th:0;rv:{RUN_RANDOMNESS:x}"), ("vendor", "1"), ("other", "2")]),
        ([("vendor", "1"), ("ot", "x:1;rv:80000000000000;th:8;y:2")], [("ot", f"th:0;rv:{RUN_RANDOMNESS:x};x:1;y:2"), ("vendor", "1")]),
        ([("ot", "rv:short;th:;x:1")], [("ot", f"th:0;rv:{RUN_RANDOMNESS:x};x:1")]),
        ([("ot", f"x:{'1' * 200};y:{'2' * 40}")], [("ot", f"th:0;rv:{RUN_RANDOMNESS:x};x:{'1' * 200}")]),
        ([("ot", "1" * 257)], [("ot", f"th:0;rv:{RUN_RANDOMNESS:x}")]),
        (
            [(f"vendor{number}", "1") for number in range(32)],
            [("ot", f"th:0;rv:{RUN_RANDOMNESS:x}"), *((f"vendor{number}", "1") for number in range(31))],
        ),
    ],
    ids=["others", "other sub-keys", "malformed", "too long with ours", "too long", "full"],
)
def test_what_else_is_in_the_trace_state_is_kept(
    given_state: list[tuple[str, str]], expected: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """Other members, and other sub-keys of `ot`, as far as there is room; the SDK has nothing to complain of."""
    state = TraceState()
    state._dict.update(given_state)  # What was received may be longer than what may be written.

    result = decide(RunConsistentSampler(1), RUN, trace_state=state)

    assert list((result.trace_state or {}).items()) == expected
    assert caplog.records == []


def test_other_roots_take_their_randomness_from_the_trace() -> None:
    """From an explicit value if the trace state has one, else from the last 56 bits of the trace id, to which no `rv` is added."""
    sampler = RunConsistentSampler(0.5)
    high, low, explicit = 0x80 << 48, (0x80 << 48) - 1, TraceState([("ot", "rv:80000000000000")])

    results = [
        decide(sampler, trace_id=1 << 100 | high),
        decide(sampler, trace_id=1 << 100 | low),
        decide(sampler, trace_id=low, trace_state=explicit),
    ]

    assert [(kept(result), dict(result.trace_state or {})) for result in results] == [
        (True, {"ot": "th:8"}),
        (False, {}),
        (True, {"ot": "th:8;rv:80000000000000"}),
    ]


@pytest.mark.parametrize("run_id", [7, True, None])
def test_what_is_no_run_id_is_none(run_id: object) -> None:
    """An attribute of that name from elsewhere, of another type: the trace id decides."""
    assert dict(decide(RunConsistentSampler(1), run_id).trace_state or {}) == {"ot": "th:0"}


def test_another_sampler_may_decide_about_other_roots() -> None:
    """`root=` is asked about spans that have no parent and belong to no run, and about nothing else."""
    on, off = RunConsistentSampler(0.0, root=ALWAYS_ON), RunConsistentSampler(1.0, root=ALWAYS_OFF)
    parent = span_context(sampled=True)

    assert [kept(decide(sampler)) for sampler in (on, off)] == [True, False]
    assert [kept(decide(sampler, RUN)) for sampler in (on, off)] == [False, True]
    assert [kept(decide(sampler, parent=parent)) for sampler in (on, off)] == [True, True]


def test_a_kept_span_has_its_attributes_and_a_dropped_one_none() -> None:
    """As with the SDK's own samplers."""
    assert [dict(decide(RunConsistentSampler(ratio), RUN).attributes or {}) for ratio in (1, 0)] == [{"septum.run.id": RUN}, {}]
    assert kept(RunConsistentSampler(1).should_sample(None, 7, "name"))


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan"), float("inf"), 2, -1])
def test_a_share_below_none_or_above_all_is_refused(ratio: float) -> None:
    """The error says what was given and what may be."""
    with pytest.raises(ValueError, match=rf"^ratio must lie between 0 \(no run\) and 1 \(every run\), not {ratio!r}$"):
        RunConsistentSampler(ratio)


@pytest.mark.parametrize("ratio", ["0.1", None, True])
def test_a_share_that_is_no_number_is_refused(ratio: Any) -> None:
    """A text, a missing value, a switch."""
    with pytest.raises(TypeError, match=r"^ratio must be a number from 0 \(no run\) to 1 \(every run\), not "):
        RunConsistentSampler(ratio)


def test_a_root_that_is_no_sampler_is_refused() -> None:
    """A number, say, which was meant to be one."""
    root: Any = 0.5
    with pytest.raises(TypeError, match=r"^root must be an OpenTelemetry Sampler or None, not 0\.5; "):
        RunConsistentSampler(0.1, root=root)


def test_the_description_says_what_it_is() -> None:
    """For logs of the SDK, in its form."""
    assert RunConsistentSampler(0.25).get_description() == "RunConsistentSampler{0.25}"
    assert RunConsistentSampler(1, root=ALWAYS_OFF).get_description() == "RunConsistentSampler{1,root:AlwaysOffSampler}"


def test_the_environment_s_argument_is_the_ratio() -> None:
    """`OTEL_TRACES_SAMPLER_ARG` as the SDK hands it over; missing, it keeps all; nonsense is an error, which the SDK reports."""
    assert [from_argument(text).ratio for text in ("0.25", " 1 ", "", "  ", None)] == [0.25, 1.0, 1.0, 1.0, 1.0]
    for nonsense in ("much", "2"):
        with pytest.raises(ValueError, match=nonsense):
            from_argument(nonsense)


@septum.state(config=StateConfiguration(can_dwell=True))
def Renewing() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            return Repeat

    @septum.transitions
    def transitions():
        return [Repeat]


@pytest.mark.parametrize("scope", ["run", "visit"])
@pytest.mark.parametrize("request_", [None, True, False], ids=["no request", "kept request", "dropped request"])
def test_machines_are_kept_whole(scope: Any, request_: bool | None) -> None:
    """Each run is exported with all its visits, in whatever traces they are, or not at all: as its request is, or else as its id says."""
    sampler, recorder = RunConsistentSampler(0.5), RecorderHooks()
    tracing = Tracing(sampler)
    hooks = OTelHooks(tracer_provider=tracing.provider, detail="visits", trace_scope=scope, segment_max_visits=2)

    async def main() -> None:
        for number in range(16):
            fsm = StateMachine(Renewing, name="M", hooks=[hooks, recorder])
            request = None if request_ is None else NonRecordingSpan(span_context(sampled=request_, trace_id=number + 1))
            async with AsyncExitStack() as stack:
                with nullcontext() if request is None else trace.use_span(request):
                    await stack.enter_async_context(fsm)
                for _ in range(4):
                    fsm.send_message("renew")
                    await fsm.tick()

    asyncio.run(main())
    hooks.close()
    tracing.provider.shutdown()

    run_ids = [fact.run_id for fact in recorder.of(facts.RunStarted)]
    chosen = [run_id for run_id in run_ids if (kept(decide(sampler, run_id)) if request_ is None else request_)]
    visits = [(span.attributes or {})["septum.run.id"] for span in tracing.spans if span.name == "visit M.Renewing"]
    assert len(run_ids) == 16
    assert visits == [run_id for run_id in chosen for _ in range(5)]


def test_without_the_sdk_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ImportError that names the command."""
    monkeypatch.delitem(sys.modules, "septum.otel.sampling")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.sampling", None)

    with pytest.raises(ImportError) as raised:
        import_module("septum.otel.sampling")

    assert str(raised.value) == 'septum.otel.RunConsistentSampler needs opentelemetry-sdk; install it with: pip install "septum[otlp]"'
