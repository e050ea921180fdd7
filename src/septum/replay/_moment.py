"""What was the case at one moment of a run."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from septum import semconv
from septum.replay._model import At

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum.replay._model import Message, Run, Step


_KEEPS = {semconv.TransitionKind.PUSH, semconv.TransitionKind.POP, semconv.TransitionKind.RETRY}
"""Ways into a visit that leave the count of the visit before as it is."""


def look(run: Run, seq: int | None, visit: int | None) -> At:
    """Do what `Run.at` does."""
    if visit is not None:
        step = run.step(visit)
        if step is None:
            raise LookupError(f"visit {visit} of run {run.run_id} is not known; {_known(run)}")
        return _at(run, step.seq, step, step.wall)
    if seq is None:
        raise LookupError("say which moment: at(seq), or at(visit=number)")
    numbered = [step for step in run.steps if step.seq]
    place = bisect_right(numbered, seq, key=_seq_of) - 1
    if place < 0:
        raise LookupError(f"nothing is known of run {run.run_id} at {seq}; {_known(run)}")
    step = numbered[place]
    return _at(run, seq, step, max([step.wall, *_walls(run, step, seq)]))


def move(at: At, by: int) -> At | None:
    """Return the moment before (-1) or after (1) *at*."""
    run = at.run
    if not at.seq:
        place = bisect_left(run.steps, at.step.visit, key=_visit_of) + by
        return look(run, None, run.steps[place].visit) if 0 <= place < len(run.steps) else None
    moments = run.moments
    place = bisect_right(moments, at.seq) if by > 0 else bisect_left(moments, at.seq) - 1
    if not 0 <= place < len(moments) or moments[place] < next(step.seq for step in run.steps if step.seq):
        return None
    return look(run, moments[place], None)


def _at(run: Run, seq: int, step: Step, wall: int) -> At:
    following = run.step(step.visit + 1)
    last = step is run.steps[-1]
    # The next step's number is not reached yet, so that a moment after the end of this one is between the two.
    over = step.end is not None and wall >= step.end and wall > step.wall
    between = over and (following is None or wall < following.wall)
    deadline = None
    if step.timeout is not None and not between and (step.timed_out is None or wall < step.wall + step.timed_out):
        deadline = step.wall + round(step.timeout * 1e9) - wall
    return At(
        run=run,
        seq=seq,
        wall=wall,
        at=wall - run.started,
        step=step,
        state=step.state,
        stack=step.stack,
        retries=_retries(run.steps, step),
        mailbox=tuple(message for message in run.messages if _waits(message, seq, wall)),
        deadline=deadline,
        between=between,
        exact=last or (following is not None and (following.seq > 0 or not seq)),
    )


def _walls(run: Run, step: Step, seq: int) -> Iterable[int]:
    """Yield when the facts happened that are known from the step's beginning up to *seq*."""
    for message in run.messages:
        for number, wall in ((message.queued, message.queued_at), (message.taken, message.taken_at), (message.dropped, message.dropped_at)):
            if step.seq < number <= seq:
                yield wall
    moments = run.moments
    if moments and seq > moments[-1] and step.end is not None and step is run.steps[-1]:
        yield step.end


def _waits(message: Message, seq: int, wall: int) -> bool:
    """Say whether a message is in the mailbox at a moment: by sequence numbers where both have one, else by the clock."""

    def happened(number: int, at: int) -> bool:
        return number <= seq if number and seq else bool(at) and at <= wall

    return (
        happened(message.queued, message.queued_at)
        and not happened(message.taken, message.taken_at)
        and not happened(message.dropped, message.dropped_at)
    )


def _retries(steps: tuple[Step, ...], until: Step) -> dict[str, int]:
    """Return for each state at which retry it is: a count lives until the state is left by an edge that resets it."""
    counts: dict[str, int] = {}
    before: Step | None = None
    for step in steps:
        if before is not None and (step.kind not in _KEEPS or step.visit != before.visit + 1):
            counts.pop(before.state, None)
        if step.retry:
            counts[step.state] = step.retry
        if step is until:
            break
        before = step
    return counts


def _known(run: Run) -> str:
    if not run.steps:
        return "no visit of it was seen"
    first, last = run.steps[0], run.steps[-1]
    numbers = [step.seq for step in run.steps if step.seq]
    return f"known are visits {first.visit} to {last.visit}" + (f", and numbers from {numbers[0]} on" if numbers else ", and no numbers")


def _seq_of(step: Step) -> int:
    return step.seq


def _visit_of(step: Step) -> int:
    return step.visit
