"""RecorderHooks: every kind of fact is kept, in order."""

from __future__ import annotations

from septum import facts
from septum.testing import RecorderHooks
from tests.samples import SAMPLES


def test_every_fact_of_every_kind_is_kept_in_order() -> None:
    """The recorder overrides every hook method there is, and keeps the very objects."""
    recorder = RecorderHooks()

    for fact in SAMPLES:
        getattr(recorder, fact.told_as)(fact)

    assert recorder.facts == SAMPLES
    assert all(kept is fact for kept, fact in zip(recorder.facts, SAMPLES, strict=True))
    assert {type(fact) for fact in SAMPLES} == set(facts.FACTS)


def test_of_gives_the_facts_of_the_classes_asked_for() -> None:
    """Several classes keep their common order; none gives nothing."""
    recorder = RecorderHooks()
    for fact in SAMPLES:
        getattr(recorder, fact.told_as)(fact)

    chosen = recorder.of(facts.VisitEnded, facts.VisitStarted)

    assert chosen == [fact for fact in SAMPLES if isinstance(fact, facts.VisitStarted | facts.VisitEnded)]
    assert recorder.of() == []


def test_names_are_those_of_the_hook_methods() -> None:
    """`names()` is the short form to compare a whole run with."""
    recorder = RecorderHooks()
    recorder.facts += [fact for fact in SAMPLES if isinstance(fact, facts.RunStarted | facts.Overdue)]

    assert recorder.names() == [fact.told_as for fact in recorder.facts]
    assert set(recorder.names()) == {"run_started", "overdue"}


def test_clear_forgets_what_was_told() -> None:
    """Afterwards the recorder is as new, and the list is still the same object."""
    recorder = RecorderHooks()
    kept = recorder.facts
    recorder.facts += SAMPLES
    assert repr(recorder) == f"<RecorderHooks facts={len(SAMPLES)}>"

    recorder.clear()

    assert (recorder.facts, recorder.names(), repr(recorder)) == ([], [], "<RecorderHooks facts=0>")
    assert recorder.facts is kept
