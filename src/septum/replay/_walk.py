"""From drafts to runs: parts put together, what one signal lacks taken from another, gaps found. Nothing is made up."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

from septum import semconv
from septum.replay._drafts import Draft, Seen, seconds
from septum.replay._model import Gap, Message, Run, RunError, Step
from septum.replay._signals import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from septum.replay._record import Record

_CONTINUED = semconv.VisitOutcome.CONTINUED
_INITIAL = semconv.TransitionKind.INITIAL

_MAY_RETRY: Final = {None, semconv.VisitOutcome.RETRY, semconv.VisitOutcome.ERROR, semconv.VisitOutcome.TIMEOUT}
"""Outcomes of a visit that a retry may have ended, so that the run may have ended in the delay, without another visit."""

_ROUNDING: Final = 2000
"""Nanoseconds by which two parts of a visit may lie apart: Jaeger's format knows only microseconds."""


def build_run(draft: Draft, definition: Mapping[str, object] | None, *, truncated: bool, records: Iterable[Record] = ()) -> Run:
    """Return the run that a draft is of, once everything has come in."""
    tape = draft.tape
    if tape is not None:
        tape.finish()
    outcome, end, error = _ending(draft)
    visits, torn = _visits(draft, definition)
    numbers = sorted(visits)
    starts = [segment.start for segment in draft.segments] + [seen.start for seen in visits.values()]
    started: int = min(starts if draft.began is None else [draft.began, *starts], default=0)
    steps = tuple(_steps(draft, visits, numbers, started))
    ends = [seen.start if seen.end is None else seen.end for seen in visits.values()] + [segment.end for segment in draft.segments]
    last: int = max(ends, default=started)
    if error is not None and steps and all(other.type != error for other in draft.errors):
        draft.errors.append(RunError(steps[-1].visit, steps[-1].state, error, "raised", end or last))
    errors = sorted(dict.fromkeys(draft.errors), key=lambda error: (error.visit, error.wall))
    gaps = (*_record_gaps(draft), *_visit_gaps(steps, torn, _highest(draft), ended=outcome is not None, exact=draft.tape is not None))
    return Run(
        run_id=draft.run_id,
        machine_id=draft.machine_id,
        machine_name=draft.machine_name,
        definition_hash=draft.definition_hash,
        source="recording" if tape is not None else "spans" if draft.has_spans else "events",
        outcome=outcome,
        started=started,
        duration=max(0, (last if end is None else end) - started),
        steps=steps,
        messages=_messages(draft),
        errors=tuple(errors),
        gaps=gaps,
        duplicates=draft.duplicates,
        truncated=truncated and (outcome is None or bool(gaps)),
        segments=max(1, len(draft.numbers)),
        definition=definition,
        files=tuple(draft.files),
        records=records,
    )


def _ending(draft: Draft) -> tuple[str | None, int | None, str | None]:
    """Return how and when the run ended, and what it failed with if its span tells that."""
    found: tuple[str | None, int | None, str | None] = (None, None, None)
    if draft.segments:
        last = max(draft.segments, key=lambda segment: segment[:3])
        if last.outcome not in {None, semconv.RunOutcome.CONTINUED}:
            found = last.outcome, last.end, last.error
    if draft.ended is not None and (found[1] is None or draft.ended[0] > found[1]):
        found = draft.ended[1], draft.ended[0], None
    # What went on later has no end yet.
    return (None, None, None) if found[1] is not None and draft.resumed > found[1] else found


# ---- visits


def _visits(draft: Draft, definition: Mapping[str, object] | None) -> tuple[dict[int, Seen], set[int]]:
    """Return what is known of each visit, and the numbers of those of which a part is missing."""
    found: dict[int, Seen] = {}
    torn: set[int] = set()
    has_events = draft.entries or draft.last or (draft.began is not None and draft.tape is None)
    told = _told(draft, definition) if has_events else {}
    for number, seen in draft.visits.items():
        if isinstance(seen, list) or seen.outcome == _CONTINUED or seen.kind is None:
            found[number], whole = _join(seen if isinstance(seen, list) else [seen])
            if not whole:
                torn.add(number)
        else:
            found[number] = seen
    for others in (draft.recorded, told):
        for number, seen in others.items():
            known = found.get(number)
            if known is None:
                found[number] = seen
            elif known.kind is None or known.outcome is None or others is draft.recorded:
                first, second = (seen, known) if others is draft.recorded else (known, seen)
                found[number] = _fill(first, second)
            if number in torn and found[number].kind is not None and found[number].end is not None:
                torn.discard(number)
    torn.update(number for number, seen in found.items() if seen.kind is None)
    return found, torn


def _join(parts: list[Seen]) -> tuple[Seen, bool]:
    """Return a visit from its parts, and whether they are all there."""
    parts.sort(key=lambda part: (part.start, part.end or 0, part.outcome != _CONTINUED))
    first, last = parts[0], parts[-1]
    whole = first.kind is not None and last.outcome != _CONTINUED
    for one, other in pairwise(parts):
        if one.outcome == _CONTINUED and other.start - (one.end or 0) > _ROUNDING:
            whole = False
    if last.outcome == _CONTINUED:
        last = last._replace(outcome=None, end=None)
    joined = last._replace(seq=first.seq, kind=first.kind, stack=first.stack, start=first.start, retry=first.retry, limit=first.limit)
    return joined, whole


def _fill(first: Seen, second: Seen) -> Seen:
    """Return *first* with what it lacks from *second*."""
    filled: Seen = build(Seen, tuple([there if here is None else here for here, there in zip(first, second, strict=True)]))
    if first.kind is None and second.kind is not None:
        # The beginning is the other's.
        filled = filled._replace(start=second.start, seq=second.seq or first.seq)
    return filled


def _told(draft: Draft, definition: Mapping[str, object] | None) -> dict[int, Seen]:
    """Return what events tell of each visit: its beginning by the transition to it, its end by the one to the next."""
    entries, found = draft.entries, dict[int, Seen]()
    # After a retry whose delay was not to end, no transition is told.
    numbers = {*entries, *draft.retries, *(number - 1 for number in entries if entries[number].kind != _INITIAL)}
    if draft.last is not None:
        numbers.add(draft.last[0])
    if draft.ended is not None and draft.ended[3]:
        numbers.add(draft.ended[3])
    if draft.began is not None and not entries and (draft.ended is None or draft.ended[3] == 1):
        numbers.add(1)
    stack: tuple[str, ...] | None = ()
    before = 0
    for number in sorted(numbers):
        entry, after = entries.get(number), entries.get(number + 1)
        if number > before + 1 and before:
            stack = None
        before = number
        stack = _next_stack(stack, entry, first=number == 1, pushes=definition)
        ended = draft.ended if draft.ended is not None and after is None and draft.ended[3] == number else None
        again = draft.retries.get(number)
        state = entry.state if entry else after.source if after else again[3] if again else ended[2] if ended else None
        if state is None:
            continue
        kind = entry.kind if entry else _INITIAL if number == 1 and draft.began is not None else None
        start = entry.wall if entry else draft.began if number == 1 and draft.began is not None else None
        outcome, target, label = draft.left.get(number), None, None
        end: int | None = None
        if after is not None:
            start = after.wall - after.dwell if start is None else start
            end, target, label = start + after.dwell, after.state, after.label
        elif draft.last is not None and draft.last[0] == number:
            label, end = draft.last[1:]
        elif again is not None:
            # The next visit never began, or is not told of.
            target, end = state, again[2]
        elif ended is not None:
            end = ended[0]
        if start is None:
            start = end or 0
        retry, limit = draft.retries.get(number - 1, (None, None))[:2] if kind == semconv.TransitionKind.RETRY else (0, None)
        fired = draft.fired.get(number)
        timeout = _timeout(definition, state) if fired is None else fired[1]
        found[number] = Seen(0, state, kind, stack, start, end, outcome, target, label, None, retry if kind else None, limit, timeout)
    return found


def _next_stack(stack: tuple[str, ...] | None, entry: Any, *, first: bool, pushes: Mapping[str, object] | None) -> tuple[str, ...] | None:
    """Return the stack after an entry; None where that cannot be told."""
    if entry is None:
        return () if first else None
    if entry.kind == semconv.TransitionKind.POP:
        # What came up must have been on top.
        return stack[:-1] if stack and stack[-1] == entry.state else None
    if entry.kind != semconv.TransitionKind.PUSH or stack is None:
        return stack
    ways = {
        tuple(targets[:0:-1])
        for name, edges in _pushes(pushes)
        if _is_same(name, entry.source)
        for label, targets in edges
        if label == entry.label and targets and _is_same(targets[0], entry.state)
    }
    if len(ways) != 1:
        return None
    # The definition has full names, events have names below the module.
    names = {entry.source, entry.state, *stack}
    return (*stack, *(next((short for short in names if _is_same(full, short)), full.rpartition(".")[2]) for full in ways.pop()))


def _pushes(definition: Mapping[str, object] | None) -> Iterator[tuple[str, list[tuple[str | None, list[str]]]]]:
    """Yield name and pushes of each state of a definition as `Graph.to_dict` has it; nothing where it is not like that."""
    try:
        for state in cast("Any", definition or {}).get("states", ()):
            pushes = [edge for edge in state["edges"] if edge["kind"] == "push"]
            yield str(state["name"]), [(edge["label"], [str(target) for target in edge["targets"]]) for edge in pushes]
    except (AttributeError, KeyError, TypeError):
        return


def _timeout(definition: Mapping[str, object] | None, state: str) -> float | None:
    """Return the seconds that a state has in a definition; None where they are not known."""
    try:
        found = [each for each in cast("Any", definition or {}).get("states", ()) if _is_same(str(each["name"]), state)]
        return seconds(found[0], "timeout") if len(found) == 1 and found[0]["timeout"] is not None else None
    except (AttributeError, KeyError, TypeError):
        return None


def _is_same(full: str, short: str) -> bool:
    return full == short or full.endswith(f".{short}")


# ---- steps and gaps


def _steps(draft: Draft, visits: dict[int, Seen], numbers: list[int], started: int) -> Iterator[Step]:
    entries, fired = draft.entries, draft.fired
    before: Seen | None = None
    previous = 0
    for number in numbers:
        seen = visits[number]
        seq, state, kind, stack, start, end, outcome, target, label, error, retry, limit, timeout = seen
        entry = entries.get(number)
        source = way = None
        if before is not None and number == previous + 1 and before.target is not None and kind != _INITIAL:
            source, way = before.state, before.exit
        elif entry is not None:
            source, way = entry.source, entry.label
        shot = fired.get(number) if fired else None
        timed_out = None if shot is None else max(0, shot[0] - start)
        if timeout is None and shot is not None:
            timeout = shot[1]
        stay = None if end is None else end - start
        yield build(
            Step,
            (
                number, seq, state, kind, way, source, stack, start - started, start, stay, outcome, target, label, error, retry, limit,
                timeout, timed_out,
            ),
        )  # fmt: skip
        before, previous = seen, number


def _highest(draft: Draft) -> int:
    """Return the highest number of a visit that anything tells of."""
    numbers = [*draft.fired, *(message.visit for message in draft.messages), *(error.visit for error in draft.errors)]
    if draft.tape is not None:
        numbers.append(draft.tape.last_visit)
    if draft.ended is not None:
        numbers.append(draft.ended[3])
    return max(numbers, default=0)


def _visit_gaps(steps: tuple[Step, ...], torn: set[int], highest: int, *, ended: bool, exact: bool) -> Iterator[Gap]:
    if not steps:
        yield Gap("visits", 1, None)
        return
    before = steps[0].visit - 1 if steps[0].kind == _INITIAL else 0
    for step in steps:
        if step.visit > before + 1:
            yield Gap("visits", before + 1, step.visit - 1)
        before = step.visit
    last = steps[-1]
    if highest > last.visit:
        yield Gap("visits", last.visit + 1, highest)
    elif ended and not exact and last.target is not None and (last.target != last.state or last.outcome not in _MAY_RETRY):
        yield Gap("visits", last.visit + 1, None)
    # One that has no end, though another follows or the run is over.
    broken = torn | {step.visit for step in steps[:-1] if step.duration is None}
    if ended and last.duration is None:
        broken.add(last.visit)
    elif not ended and last.kind is not None:
        broken.discard(last.visit)
    yield from _ranges("parts", sorted(broken))


def _record_gaps(draft: Draft) -> Iterator[Gap]:
    if draft.tape is not None:
        for first, last in draft.tape.order.gaps:
            yield Gap("records", first, last)


def _ranges(what: Any, numbers: list[int]) -> Iterator[Gap]:
    first: int | None = None
    for place, number in enumerate(numbers):
        first = number if first is None else first
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield Gap(what, first, number)
            first = None


# ---- messages


def _messages(draft: Draft) -> tuple[Message, ...]:
    """Return the messages, with where they were sent from if that has a span, in the order of their first moment."""
    found: list[Message] = []
    seen: set[int] = set()
    for message in (*draft.numbered.values(), *draft.messages):
        if message.number and message.number in seen:
            continue
        if message.number:
            seen.add(message.number)
        seq, wall = draft.sent.get(message.number, (0, 0)) if not message.queued else (0, 0)
        found.append(message._replace(queued=seq, queued_at=wall) if seq else message)
    found.sort(key=lambda message: (message.queued_at or message.taken_at or message.dropped_at, message.taken))
    return tuple(found)
