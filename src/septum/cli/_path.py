"""The path of a run in words: a line for each visit, the edges between them, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from septum._clock import show_wall
from septum.cli._recordings import plain, show_span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum.replay._model import At, Gap, Run, Step


def draw_run(run: Run) -> Iterator[str]:
    """Yield the lines of a run: what it is, its path, its end, and what is wrong with what is known of it."""
    definition = f", definition {run.definition_hash}" if run.definition_hash else ""
    yield plain(f"run {run.run_id} of {run.machine_name} ({run.machine_id}){definition}")
    yield f"began {show_wall(run.started)}, known from {run.source}"
    yield ""
    gaps = {gap.first: gap for gap in run.gaps if gap.what == "visits"}
    before: Step | None = None
    width = max((len(plain(step.state)) for step in run.steps), default=0)
    for step in run.steps:
        first = 1 if before is None else before.visit + 1
        if step.visit > first or first in gaps:
            yield from _draw_gap(gaps.get(first))
        elif before is not None:
            yield f"        |  {_draw_edge(before, step)}"
        yield _draw_step(step, width)
        before = step
    if before is not None and before.visit + 1 in gaps:
        yield from _draw_gap(gaps[before.visit + 1])
    elif before is not None and run.outcome is not None and before.exit is not None and before.target is None:
        yield f"        |  {plain(before.exit)}"
    yield ""
    yield f"{_draw_end(run)} after {show_span(run.duration)}"
    yield from _draw_doubts(run)


def _draw_step(step: Step, width: int) -> str:
    number = f"{step.visit:>6}"
    stay = "open" if step.duration is None else show_span(step.duration)
    notes = [
        f"retry {step.retry}" + (f" of {step.limit}" if step.limit is not None else "") if step.retry else "",
        f"timeout after {show_span(step.timed_out)}" if step.timed_out is not None else "",
        f"failed: {step.error}" if step.error else "",
        f"stack: {', '.join(step.stack)}" if step.stack else "",
        f"seq {step.seq}" if step.seq else "",
    ]
    return plain(f"{number}  {step.state:<{width}}  {stay:<10}  {'; '.join(filter(None, notes))}").rstrip()


def _draw_edge(before: Step, step: Step) -> str:
    kind, label = step.kind or before.outcome or "?", step.label
    if before.outcome in {"timeout", "error"} and kind != before.outcome:
        kind = f"{before.outcome}, {kind}"
    return plain(kind if label is None else label if kind == "label" else f"{label} ({kind})")


def _draw_gap(gap: Gap | None) -> Iterator[str]:
    yield "        :"
    yield f"        :  {'missing' if gap is None else f'{gap} missing'}"
    yield "        :"


def _draw_end(run: Run) -> str:
    return run.outcome if run.outcome is not None else "no end was seen"


def _draw_doubts(run: Run) -> Iterator[str]:
    for error in run.errors:
        to = f", {error.to}" if error.to else ""
        yield plain(f"error in visit {error.visit}, {error.state}: {error.type}{to}")
    for gap in run.gaps:
        if gap.what != "visits":
            yield f"gap: {gap}"
    if run.duplicates:
        yield f"copies left out: {run.duplicates}"
    if run.truncated:
        yield f"cut off: {plain(', '.join(run.files))}"


def draw_moment(at: At) -> Iterator[str]:
    """Yield the lines of one moment."""
    step = at.step
    where = f"{at.state} (left)" if at.between else at.state
    rows = {
        "moment": f"seq {at.seq}" if at.seq else f"visit {step.visit}",
        "time": f"{show_wall(at.wall)}, {show_span(at.at)} after the beginning",
        "state": f"{where}, visit {step.visit}" + (f", entered by {step.label or step.kind}" if step.kind else ""),
        "stack": "?" if at.stack is None else ", ".join(at.stack) or "empty",
        "retries": ", ".join(f"{state} {count}" for state, count in at.retries.items()) or "none",
        "mailbox": ", ".join(f"{message.type} (message {message.number})" for message in at.mailbox) or "nothing known",
        "deadline": "none" if at.deadline is None else f"in {show_span(at.deadline)}" if at.deadline >= 0 else "passed",
    }
    for name, text in rows.items():
        yield plain(f"{name:<9} {text}")
    if not at.exact:
        yield "What is known has a gap here: the machine may have been elsewhere already."


def describe_steps(run: Run) -> list[dict[str, Any]]:
    """Return the steps as JSON can hold them."""
    return [step._asdict() for step in run.steps]


def describe_moment(at: At) -> dict[str, Any]:
    """Return a moment as JSON can hold it."""
    return {
        **at._asdict(),
        "run": at.run.run_id,
        "step": at.step._asdict(),
        "retries": dict(at.retries),
        "mailbox": [message._asdict() for message in at.mailbox],
    }
