"""What events tell of runs: less than spans do, but at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from septum import semconv
from septum.replay._drafts import Entry, seconds, text, whole
from septum.replay._model import Message, RunError
from septum.replay._signals import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum.replay._drafts import Draft
    from septum.replay._signals import Event

_OF_MESSAGES = {semconv.Event.MESSAGE_DROPPED, semconv.Event.MESSAGE_UNHANDLED}


def take_event(draft: Draft, event: Event) -> None:
    """Take an event of the run.

    Raises:
        KeyError, TypeError: It is not what Septum's events are.
    """
    found, name = event.attributes, event.name
    if name not in _OF_MESSAGES:
        key = (name, event.time, found.get(semconv.VISIT_NUMBER), found.get(semconv.TRANSITION_KIND), found.get(semconv.ERROR_TYPE))
        if key in draft.told:
            draft.duplicates += 1
            return
        draft.told.add(key)
    match name:
        case semconv.Event.RUN_START:
            draft.begin(event.time)
            draft.definition_hash = text(found, semconv.MACHINE_DEFINITION_HASH) or draft.definition_hash
        case semconv.Event.RUN_END:
            # Without a number, no visit went on when it ended, or it was written by a version that told none.
            last = whole(found, semconv.VISIT_NUMBER, 0)
            draft.end(event.time, _text(found, semconv.RUN_OUTCOME), text(found, semconv.STATE_NAME), last)
            draft.left[last] = text(found, semconv.VISIT_OUTCOME)
        case semconv.Event.TRANSITION:
            _take_transition(draft, event.time, found)
        case semconv.Event.TIMEOUT:
            after = seconds(found, semconv.TIMEOUT_DURATION)
            draft.fired.setdefault(whole(found, semconv.VISIT_NUMBER, 0), (event.time, after, 0))
        case semconv.Event.RETRY:
            limit = whole(found, semconv.RETRY_LIMIT, 0) if semconv.RETRY_LIMIT in found else None
            count, state = whole(found, semconv.RETRY_COUNT, 0), _text(found, semconv.STATE_NAME)
            draft.retries[whole(found, semconv.VISIT_NUMBER, 0)] = (count, limit, event.time, state)
        case semconv.Event.HANDLER_EXCEPTION:
            visit = whole(found, semconv.VISIT_NUMBER, 0)
            draft.errors.append(RunError(visit, _text(found, semconv.STATE_NAME), _text(found, semconv.ERROR_TYPE), None, event.time))
        case semconv.Event.MESSAGE_DROPPED:
            kind, reason = _text(found, semconv.MESSAGE_TYPE), _text(found, semconv.DROP_REASON)
            draft.messages.append(Message(0, kind, dropped_at=event.time, reason=reason))
        case _:
            pass  # it tells nothing of the walk, or is newer than this version


def _take_transition(draft: Draft, time: int, found: Mapping[str, object]) -> None:
    kind, label, target = (
        _text(found, semconv.TRANSITION_KIND),
        text(found, semconv.TRANSITION_LABEL),
        text(found, semconv.TRANSITION_TO_STATE),
    )
    visit = whole(found, semconv.VISIT_NUMBER, 0)
    if kind == semconv.TransitionKind.AGAIN:
        return  # nothing was left
    if target is None:
        draft.last = (visit, label, time)
        draft.left[visit] = text(found, semconv.VISIT_OUTCOME)
        return
    dwell = round(seconds(found, semconv.DWELL) * 1e9)
    draft.left[visit - 1] = text(found, semconv.VISIT_OUTCOME)
    draft.entries[visit] = Entry(target, kind, label, _text(found, semconv.TRANSITION_FROM_STATE), time, dwell)


def _text(found: Mapping[str, object], key: str) -> str:
    value = found[key]
    if type(value) is not str:
        raise TypeError(f"{key} is {shown(value)}, no text")
    return value
