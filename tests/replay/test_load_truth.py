"""What is loaded is what happened: random machines, exported by the real SDK through OTLP, against the facts that they told."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from septum import facts
from septum.replay import MemorySink, Recorder, Run, load
from septum.testing import RecorderHooks
from tests.model.generate import programs
from tests.replay.exported import LEFT_OPEN, SCOPES, SEGMENT, Exported, Program, Visit, play, walk_of_facts, walk_of_runs

THOROUGH = os.environ.get("SEPTUM_MODEL_EXAMPLES")
seldom = settings(max_examples=int(THOROUGH or 60), deadline=None, suppress_health_check=list(HealthCheck), derandomize=THOROUGH is None)
FIELDS = Visit._fields


def outcomes(told: RecorderHooks) -> dict[str, str]:
    """Return how each run ended."""
    return {fact.run_id: fact.outcome for fact in told.of(facts.RunEnded)}


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", SCOPES)
@pytest.mark.parametrize("age", [900.0, 1.0])
def test_spans_alone_give_the_whole_walk(trace_scope: Any, age: float) -> None:
    """Every visit of every run, over short segments: number, state, way in, stack, times, way out; no gap, and how the run ended."""

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        exported = Exported(trace_scope=trace_scope, events=False, segment_max_visits=SEGMENT, segment_max_age=age)
        told = play(program, exported.hooks)
        runs = load(exported.lines())
        assert walk_of_runs(runs) == walk_of_facts(told)
        # A run that is ended in a retry's delay has no open visit, and with a trace for each visit nothing else could tell.
        silent = {run.run_id for run in runs if trace_scope == "visit" and run.steps[-1].target is not None}
        assert {run.run_id: run.outcome for run in runs if run.run_id not in silent} == {
            run: outcome for run, outcome in outcomes(told).items() if run not in silent
        }
        assert [(run.gaps, run.duplicates, run.truncated, run.source) for run in runs] == [((), 0, False, "spans")] * len(runs)
        check_moments(runs)

    law()


@pytest.mark.slow
def test_events_alone_give_the_walk() -> None:
    """Every visit: number, state, way in, way out and when it began; no gap. What events do not tell is None and never wrong."""

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        exported = Exported(trace_scope="visit", detail="visits")
        told = play(program, exported.hooks)
        runs = load(exported.log_lines())
        expected, found = walk_of_facts(told), walk_of_runs(runs)
        assert [same(visit, "seq", "end", "outcome", "stack", "exit") for visit in found] == [
            same(visit, "seq", "end", "outcome", "stack", "exit") for visit in expected
        ]
        for visit, truth in zip(found, expected, strict=True):
            assert visit.outcome in {None, truth.outcome}
            assert visit.stack in {None, truth.stack}
            # A transition is told with the visit that it leads to, which a retry's delay may never come to.
            assert visit.exit == truth.exit or (visit.exit, visit.outcome) == (None, None)
            assert abs(visit.end - truth.end) < 1000
        assert {run.run_id: run.outcome for run in runs} == outcomes(told)
        assert {run.gaps for run in runs} <= {()}

    law()


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", SCOPES)
def test_with_spans_lost_what_is_loaded_is_true_and_what_is_missing_is_a_gap(trace_scope: Any) -> None:
    """A tenth of the spans is dropped at random: no step is made up, every visit is either there or in a gap, never both."""

    @seldom
    @given(programs(), st.randoms(use_true_random=False))
    def law(program: Program, chance: Any) -> None:
        exported = Exported(trace_scope=trace_scope, events=False, segment_max_visits=SEGMENT, segment_max_age=2.0)
        told = play(program, exported.hooks)
        runs = load(exported.lines([span for span in exported.spans() if chance.random() >= 0.1]))
        check_against(runs, told)

    law()


@pytest.mark.slow
def test_with_events_lost_what_is_loaded_is_true_and_what_is_missing_is_a_gap() -> None:
    """The same of events: a lost transition takes the end of one visit and the beginning of the next along."""

    @seldom
    @given(programs(), st.randoms(use_true_random=False))
    def law(program: Program, chance: Any) -> None:
        exported = Exported(trace_scope="visit", detail="visits")
        told = play(program, exported.hooks)
        logs = [log for log in exported.logs() if chance.random() >= 0.1 or "transition" not in str(log.log_record.event_name)]
        check_against(load(exported.log_lines(logs)), told)

    law()


@pytest.mark.slow
def test_spans_and_events_together_make_up_for_each_other() -> None:
    """With each lost at random, what one lacks is taken from the other, and all that is told is true."""

    @seldom
    @given(programs(), st.randoms(use_true_random=False))
    def law(program: Program, chance: Any) -> None:
        exported = Exported(trace_scope="run", segment_max_visits=SEGMENT)
        told = play(program, exported.hooks)
        spans = [span for span in exported.spans() if chance.random() >= 0.3]
        logs = [log for log in exported.logs() if chance.random() >= 0.3]
        check_against(load([exported.log_lines(logs), exported.lines(spans)]), told)

    law()


@pytest.mark.slow
@pytest.mark.parametrize("level", ["metadata", "full"])
def test_a_recording_gives_the_walk_that_spans_give(level: Any) -> None:
    """Every visit in all its parts but for the moment at which a retry's delay was over; from memory and from a file alike."""

    @seldom
    @given(programs())
    def law(program: Program) -> None:
        sink = MemorySink()
        recorder = Recorder(sink, level=level)
        told = play(program, recorder)
        recorder.close()
        runs = load(sink.records)
        assert [visit._replace(wall=0, end=0) for visit in walk_of_runs(runs)] == [
            visit._replace(wall=0, end=0) for visit in walk_of_facts(told)
        ]
        for visit, truth in zip(walk_of_runs(runs), walk_of_facts(told), strict=True):
            assert visit.end == truth.end
            assert visit.wall <= truth.wall
            assert visit.kind == "retry" or visit.wall == truth.wall
        assert {run.run_id: run.outcome for run in runs} == outcomes(told)
        assert [(run.gaps, run.duplicates, run.truncated, run.source) for run in runs] == [((), 0, False, "recording")] * len(runs)
        check_moments(runs)
        check_mailbox(runs, told)

    law()


@pytest.mark.slow
def test_with_records_lost_what_is_loaded_is_true_and_what_is_missing_is_a_gap() -> None:
    """A tenth of the records is dropped at random, and a tenth is there twice."""

    @seldom
    @given(programs(), st.randoms(use_true_random=False))
    def law(program: Program, chance: Any) -> None:
        sink = MemorySink()
        recorder = Recorder(sink)
        told = play(program, recorder)
        recorder.close()
        kept = [record for record in sink.records if chance.random() >= 0.1]
        twice = [record for record in kept if chance.random() < 0.1]
        mixed = kept + twice
        chance.shuffle(mixed)
        runs = load(mixed)
        check_against(runs, told)
        assert sum(run.duplicates for run in runs) == len(twice)
        lost = {(gap.first, gap.last) for run in runs for gap in run.gaps if gap.what == "records"}
        for record in sink.records:
            assert record in kept or any(first <= record.index <= last for first, last in lost) or record.index > max(kept_of(record, kept))

    law()


def kept_of(record: Any, kept: list[Any]) -> list[int]:
    """Return the indexes that were kept of the run of *record*; 0 besides."""
    return [0, *(other.index for other in kept if other.run_id == record.run_id)]


def check_mailbox(runs: list[Run], told: RecorderHooks) -> None:
    """Check for each fact that the mailbox holds what was queued and neither taken nor dropped, by the facts up to there."""
    for run in runs:
        waiting: set[int] = set()
        for fact in told.facts:
            if fact.run_id != run.run_id:
                continue
            match fact:
                case facts.MessageQueued():
                    waiting.add(fact.number)
                case facts.MessageTaken() | facts.MessageDropped():
                    waiting.discard(fact.number)
                case facts.RunEnded():
                    break  # what is dropped after it is no part of the run
                case _:
                    continue
            if fact.visit:
                assert {message.number for message in run.at(fact.seq).mailbox} == waiting


def same(visit: Visit, *but: str) -> tuple[Any, ...]:
    """Return a visit without some fields."""
    return tuple(value for name, value in zip(FIELDS, visit, strict=True) if name not in but)


def check_against(runs: list[Run], told: RecorderHooks) -> None:
    """Check that every step is one that happened, true in all that it says, and that every other visit stands in a gap."""
    truth = {(visit.run, visit.visit): visit for visit in walk_of_facts(told)}
    numbers = defaultdict[str, list[int]](list)
    for run_id, number in truth:
        numbers[run_id].append(number)
    ends = outcomes(told)
    for run in runs:
        seen = {step.visit for step in run.steps}
        assert seen <= set(numbers[run.run_id])
        torn = {number for gap in run.gaps if gap.what == "parts" for number in range(gap.first, (gap.last or 0) + 1)}
        assert torn <= seen
        for visit in walk_of_runs([run]):
            check_visit(visit, truth[run.run_id, visit.visit], torn=visit.visit in torn)
        missing = [gap for gap in run.gaps if gap.what == "visits"]
        lost = {number for number in numbers[run.run_id] if any(gap.first <= number <= (gap.last or number) for gap in missing)}
        assert not lost & seen
        # Only behind the last that was seen there may be more that nothing tells of, and only if its end is lost too.
        rest = set(numbers[run.run_id]) - seen - lost
        assert all(number > max(seen, default=0) for number in rest)
        assert not rest or not run.complete
        assert run.outcome in {None, ends[run.run_id]}
        assert not run.complete or seen == set(numbers[run.run_id])


def check_visit(visit: Visit, truth: Visit, *, torn: bool) -> None:
    """Check that a visit says nothing that is not true; all of it if it is whole."""
    for name, found, expected in zip(FIELDS, visit, truth, strict=True):
        if name == "seq":
            assert found in {0, expected} or torn
        elif name in {"wall", "end"}:
            # Of a part that is seen alone, the beginning is later. Events tell durations as fractions of seconds.
            # A recording has the end of a retry's delay, which is noticed a little later.
            assert found is None or abs(found - expected) < 1000 or torn or (name == "wall" and visit.kind == "retry" and found < expected)
        elif found is None:
            assert torn or name in {*LEFT_OPEN, "stack", "outcome"} or expected is None
        else:
            assert found == expected, name


def check_moments(runs: list[Run]) -> None:
    """Check that stepping forward from the first moment and back from the last comes by the same moments."""
    for run in runs:
        at = run.at(visit=run.steps[0].visit)
        there = [at]
        while (following := there[-1].forward()) is not None:
            there.append(following)
        back = [there[-1]]
        while (before := back[-1].back()) is not None:
            back.append(before)
        assert back[::-1] == there
        assert {at.step for at in there} == set(run.steps)
        assert [at.wall for at in there] == sorted(at.wall for at in there)
