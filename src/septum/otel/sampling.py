"""A sampler for machines: all traces of one run are kept, or none."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.trace import get_current_span
from opentelemetry.trace.span import TraceState

from septum import semconv

try:
    from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
except ImportError as error:
    raise ImportError(
        'septum.otel.RunConsistentSampler needs opentelemetry-sdk; install it with: pip install "septum[otlp]"', name=error.name
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanContext, SpanKind
    from opentelemetry.util.types import Attributes

__all__ = ["RunConsistentSampler", "from_argument"]

_NEVER = 1 << 56
"""The threshold that no randomness reaches: it has 56 bits (OpenTelemetry, trace/tracestate-probability-sampling.md)."""

_RANDOMNESS = re.compile(r"[0-9a-fA-F]{14}")
_THRESHOLD = re.compile(r"[0-9a-fA-F]{1,14}")
_LONGEST = 256
_MOST_MEMBERS = 32


class RunConsistentSampler(Sampler):
    """Keeps a share of all runs, each whole: every segment of a run has a trace of its own, and all of them share one decision.

    * A span with a parent, in this process or another, is kept if its parent is: a run that is part of a request follows the request.
    * A later segment of a run is kept if the first one is, to which it links, whoever decided about that one.
    * The first span of a run that has no parent is decided by its `septum.run.id`: a hash of it, 56 bits, stands in for the randomness of
      the trace id and is written to the trace state (`ot=rv:...`), next to the threshold (`th:...`). Samplers further down the line, in
      other services or in a collector, that know OpenTelemetry's consistent probability sampling then agree about the whole run too.
    * Any other span without a parent is decided by *root*.

    With `trace_scope="message"` the traces are the senders', and so are the decisions about them.

    Attributes:
        ratio: The share of runs that is kept.
    """

    def __init__(self, ratio: float, *, root: Sampler | None = None) -> None:
        """Make a sampler; give it to the SDK's `TracerProvider(sampler=...)`, bare: it needs no `ParentBased` around it.

        Args:
            ratio: Share of runs to keep, from 0 for none to 1 for all.
            root: Decides about spans that have no parent and belong to no run; None keeps the same share of them, by trace id.

        Raises:
            TypeError: *ratio* is not a number, or *root* not a sampler.
            ValueError: *ratio* is below 0 or above 1.
        """
        if isinstance(ratio, bool) or not isinstance(ratio, int | float):
            raise TypeError(f"ratio must be a number from 0 (no run) to 1 (every run), not {ratio!r}")
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"ratio must lie between 0 (no run) and 1 (every run), not {ratio!r}")
        if root is not None and not isinstance(root, Sampler):
            raise TypeError(f"root must be an OpenTelemetry Sampler or None, not {root!r}; opentelemetry.sdk.trace.sampling has some")
        self.ratio = ratio
        self._root = root
        self._threshold = _NEVER - round(ratio * _NEVER)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about one span; the SDK calls it."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid:
            return _result(parent.trace_flags.sampled, attributes, _handed_on(parent))
        entry = _Entry.of(trace_state)
        first = _first_segment(links)
        run_id = attributes.get(semconv.RUN_ID) if attributes else None
        if first is not None:
            # Its randomness too, though it be that of a request's trace: what samples further down must find the same in all segments.
            entry = entry._replace(randomness=_randomness(first), threshold=_sound_threshold(first))
            kept = first.trace_flags.sampled
        elif isinstance(run_id, str):
            randomness = _hash(run_id)
            entry = entry._replace(randomness=randomness, threshold=self._threshold)
            kept = randomness >= self._threshold
        elif self._root is not None:
            return self._root.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        else:
            randomness = trace_id % _NEVER if entry.randomness is None else entry.randomness
            entry = entry._replace(threshold=self._threshold)
            kept = randomness >= self._threshold
        return _result(kept, attributes, entry.written_to(trace_state, kept=kept))

    def get_description(self) -> str:
        """Return what this sampler is, for logs."""
        root = "" if self._root is None else f",root:{self._root.get_description()}"
        return f"RunConsistentSampler{{{self.ratio}{root}}}"


def from_argument(argument: str | None) -> RunConsistentSampler:
    """Return the sampler for `OTEL_TRACES_SAMPLER=septum_run_consistent` and *argument*, the text of `OTEL_TRACES_SAMPLER_ARG`.

    Args:
        argument: The ratio; None or blank keeps every run, as the SDK's own samplers do.

    Raises:
        ValueError: *argument* is no number between 0 and 1; the SDK then says so and uses its default sampler.
    """
    return RunConsistentSampler(float(argument) if argument and argument.strip() else 1.0)


class _Entry(NamedTuple):
    """The `ot` entry of a trace state.

    Attributes:
        randomness, threshold: Sub-keys `rv` and `th`; None where they are missing or malformed.
        rest: All other sub-keys with their values.
    """

    randomness: int | None = None
    threshold: int | None = None
    rest: tuple[str, ...] = ()

    @classmethod
    def of(cls, trace_state: TraceState | None) -> _Entry:
        """Read the entry of *trace_state*."""
        text = trace_state.get("ot", "") if trace_state else ""
        if not text or len(text) > _LONGEST:
            return _NO_ENTRY
        randomness = threshold = None
        rest: list[str] = []
        for member in text.split(";"):
            key, _, value = member.partition(":")
            if key == "rv":
                randomness = int(value, 16) if _RANDOMNESS.fullmatch(value) else None
            elif key == "th":
                threshold = int(value.ljust(14, "0"), 16) if _THRESHOLD.fullmatch(value) else None
            else:
                rest.append(member)
        return cls(randomness, threshold, tuple(rest))

    def written_to(self, trace_state: TraceState | None, *, kept: bool) -> TraceState | None:
        """Return *trace_state* with this entry in place of its own; the threshold says how a span was *kept*, so a dropped one has none."""
        members = list(self.rest)
        if self.randomness is not None:
            members.insert(0, f"rv:{self.randomness:014x}")
        if kept and self.threshold is not None:
            members.insert(0, "th:" + (f"{self.threshold:014x}".rstrip("0") or "0"))
        while len(text := ";".join(members)) > _LONGEST:
            members.pop()
        others = [(key, value) for key, value in trace_state.items() if key != "ot"] if trace_state else []
        # The leftmost member is the latest, and a full state loses its rightmost (W3C Trace Context, section 3.5).
        changed = ([("ot", text)] if text else []) + others
        return TraceState(changed[:_MOST_MEMBERS]) if changed else None


_NO_ENTRY = _Entry()


def _hash(run_id: str) -> int:
    """Return the 56 bits that decide about the run *run_id*; the same in every process and release."""
    return int.from_bytes(blake2b(run_id.encode(errors="surrogatepass"), digest_size=7).digest(), "big")


def _first_segment(links: Sequence[Link] | None) -> SpanContext | None:
    """Return the root of the run's first segment, if one of *links* leads there."""
    for link in links or ():
        if link.attributes and link.attributes.get(semconv.LINK_TYPE) == semconv.LinkType.FIRST_SEGMENT and link.context.is_valid:
            return link.context
    return None


def _randomness(span: SpanContext) -> int:
    """Return what the decision about *span* was made from, or could have been."""
    explicit = _Entry.of(span.trace_state).randomness
    return span.trace_id % _NEVER if explicit is None else explicit


def _sound_threshold(span: SpanContext) -> int | None:
    """Return the threshold in the trace state of *span*, unless *span* could not have passed it."""
    threshold = _Entry.of(span.trace_state).threshold
    return None if threshold is None or _randomness(span) < threshold else threshold


def _handed_on(parent: SpanContext) -> TraceState:
    """Return the trace state for a child of *parent*: the same, but for a threshold from elsewhere that cannot be right."""
    state = parent.trace_state
    # What this sampler wrote itself is right, and children in this process are many.
    if parent.is_remote and parent.trace_flags.sampled and "ot" in state:
        entry = _Entry.of(state)
        if entry.threshold is not None and _sound_threshold(parent) is None:
            return entry._replace(threshold=None).written_to(state, kept=True) or TraceState()
    return state


def _result(kept: bool, attributes: Attributes, trace_state: TraceState | None) -> SamplingResult:  # noqa: FBT001 - the decision itself
    """Return the SDK's form of a decision."""
    if kept:
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
    return SamplingResult(Decision.DROP, None, trace_state)
