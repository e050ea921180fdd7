"""Compares what a machine under replay does with its recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, cast

from septum import semconv
from septum._mode import ENTER_WAIT, WAIT
from septum.logs import type_name
from septum.replay import _lines as lines
from septum.replay._divergence import Halt
from septum.replay._effects import Effects
from septum.replay._script import GAP, NOTHING, START
from septum.replay._telling import in_words, name_message, number_of, say_answer
from septum.replay._values import class_name

if TYPE_CHECKING:
    from septum import facts
    from septum.replay._divergence import Divergence
    from septum.replay._payloads import Payloads
    from septum.replay._script import Script

_ANSWER_KIND: Final = semconv.ANSWER_KIND
_ANSWER_NAME: Final = semconv.ANSWER_NAME
_STATE: Final = semconv.STATE_NAME
_HANDLER: Final = semconv.HANDLER_NAME
_ERROR: Final = semconv.ERROR_TYPE
_SOURCE: Final = semconv.TRANSITION_FROM_STATE
_TARGET: Final = semconv.TRANSITION_TO_STATE
_LABEL: Final = semconv.TRANSITION_LABEL
_KIND: Final = semconv.TRANSITION_KIND
_DIGEST: Final = semconv.RECORDING_COMMON_DIGEST
_DURATION: Final = semconv.HANDLER_DURATION
_NOT_KNOWN: Final = (object(), None)

_ANSWER_ADVICE: Final = (
    "The handler saw the same message and the same results of ctx as then: either it was changed since, or it decides by something that "
    "the recording does not have (a clock, chance, a network, data from elsewhere); ask for those through ctx."
)
_CLOSE: Final = 1e-6
_UNKNOWN: Final = frozenset({NOTHING, GAP, START})
_THE_END: Final = _UNKNOWN | {"end"}
_ENDS_STEPS: Final = _THE_END | {"message", "dropped", "snapshot"}


class Judge(Effects):
    """Holds one machine to one recording: whatever it tells must be what is next there.

    Attributes:
        exhausted_after: The index of the record after which it was told that no retry is left; 0 for none.
    """

    def __init__(self, script: Script, payloads: Payloads) -> None:
        super().__init__(script, payloads)
        self.exhausted_after: int = 0
        # By edge, the attributes of the two records that its steps had last: a recording has many steps with the same ones.
        self._known: dict[tuple[str, str, str], tuple[object, object]] = {}

    def passed(self, step: facts.Passed, /) -> None:
        """Compare a step along a plain edge: the answer of `on_state`, and the transition."""
        script = self.script
        edge = step[4]
        known = self._known.get(edge, _NOT_KNOWN)
        if script.next[9] is known[0] and self.halt is None:
            script.advance()
            if script.next[9] is known[1]:
                script.advance()
            else:
                self._compare_edge(edge)
        else:
            attributes = self._compare_answer(edge)
            self._known[edge] = attributes, self._compare_edge(edge)
        self.calls += 1
        self.transitions += 1
        self.path.append(edge)
        record = script.next
        if record[0] != "handler" or _DURATION in record[9]:
            script.begin_call()
            if record[0] in _ENDS_STEPS and self._reach("handler").event in _THE_END:
                # The next handler must not be called any more.
                raise Halt(None)

    def _compare_answer(self, edge: tuple[str, str, str]) -> object:
        """Compare the answer that leads along *edge*, and return the attributes to know it by."""
        record = self._reach("handler")
        source, _, label = edge
        attributes = record.attributes
        known = (attributes.get(_HANDLER), attributes.get(_STATE), attributes.get(_ANSWER_KIND), attributes.get(_ANSWER_NAME))
        if self.halt is not None or record.event != "handler" or known != ("on_state", self._names[source], "label", label):
            self._judge_handler("on_state", source, semconv.AnswerKind.LABEL, label, None)
        self.script.advance()
        if _DIGEST in attributes:
            self._compare_common(attributes[_DIGEST], "on_state", source)
            return None
        return attributes

    def _compare_edge(self, edge: tuple[str, str, str]) -> object:
        """Compare the transition along *edge*, and return the attributes to know it by."""
        record = self._reach("transition")
        source, target = self._names[edge[0]], self._names[edge[1]]
        attributes = record.attributes
        known = (attributes.get(_SOURCE), attributes.get(_TARGET), attributes.get(_LABEL), attributes.get(_KIND))
        if record.event != "transition" or known != (source, target, edge[2], "label"):
            self.diverge("machine", f"transition {source} -> {target} ({edge[2]})")
        self.script.advance()
        return attributes

    def handler_finished(self, fact: facts.HandlerFinished, /) -> None:
        """Compare how a handler ended."""
        handler, state, error = fact.handler, fact.state, fact.exception
        if self.halt is not None:
            raise self.halt
        record = self.script.next
        if record.event != "handler":
            record = self._reach("handler")
        attributes = record.attributes
        kind, name = (None, None) if error is not None else self._called.answer(state, fact.answer)
        cut = error is not None and _is_cut(error, handler, state)
        failed = None if error is None or cut else class_name(type(error))
        if (
            record.event != "handler"
            or attributes[_STATE] != self._names[state]
            or attributes[_HANDLER] != handler
            or attributes.get(_ANSWER_KIND) != kind
            or attributes.get(_ANSWER_NAME) != (name or None)
            or (attributes.get(_ERROR) != failed and not cut)
            or bool(attributes.get(semconv.HANDLER_CUT)) != cut
        ):
            self._judge_handler(handler, state, kind, name, error)
        self.script.advance()
        self.calls += 1
        if _DIGEST in attributes:
            self._compare_common(attributes[_DIGEST], handler, state)
        if handler == "on_enter" and self.actor.stage == ENTER_WAIT:
            # What the machine waits for may be there already, and is taken in this very step.
            self.set_clock(self._reach("taken"), WAIT)

    def foresee(self, handler: str, state: str, answer: object) -> Divergence | None:
        """Return what an answer that is about to be given will differ in; None if it is the recorded one."""
        record = next((other for other in (self.script.next, *self.script.ahead()) if not self.is_outside(other)), self.script.next)
        attributes = record.attributes
        kind, name = self._called.answer(state, answer)
        known = (record.event, attributes.get(_HANDLER), attributes.get(_STATE), attributes.get(_ANSWER_KIND), attributes.get(_ANSWER_NAME))
        if known == ("handler", handler, self.name(state), kind, name or None) or record.event in _UNKNOWN:
            return None
        found = f"{handler} of {self.name(state)} {say_answer(kind, name)}"
        return self.describe("answer", found, expected=in_words(record), handler=handler)

    def _judge_handler(self, handler: str, state: str, kind: str | None, name: str | None, error: BaseException | None) -> NoReturn:
        """End the replay at a handler that is not as recorded."""
        if self.halt is not None:
            raise self.halt
        record = self.script.next
        who = f"{handler} of {self.name(state)}"
        function = getattr(self.actor.plan.graph.by_name[state], handler)
        trace = None if error is None else error.__traceback__
        place = lines.raising_frame(trace)
        if error is not None and place is not None:
            where: str | None = lines.say(place[0].f_code.co_filename, place[1])
        else:
            where = lines.line_of_answer(function, None if kind is None else name)
        if error is None:
            found = f"{who} {say_answer(kind, name)}"
        elif _is_cut(error, handler, state):
            found = f"{who} was cut at its deadline"
        else:
            found = f"{who} raised {class_name(type(error))}: {error}"
        attributes = record.attributes
        if record.event == "message":
            self.diverge("message", f"{found}, and did not send it", handler=handler, where=where, trace=trace)
        if record.event == "effect":
            self.diverge("call", f"{found}, without asking for it", handler=handler, where=where, trace=trace)
        if record.event != "handler" or (attributes[_STATE], attributes[_HANDLER]) != (self.name(state), handler):
            self.diverge("handler", found, handler=handler, where=where, trace=trace)
        self.diverge("answer", found, handler=handler, where=where, advice=_ANSWER_ADVICE, trace=trace)

    def _compare_common(self, digest: object, handler: str, state: str) -> None:
        if not self._compares_common or self._digests is None or self._digests.of_common(self.actor.common) in {None, digest}:
            return
        where = lines.line_of_answer(getattr(self.actor.plan.graph.by_name[state], handler), None)
        self.diverge(
            "common",
            f"ctx.common is another: {self.actor.common!r}",
            expected=f"{in_words(self.script.last)}, and left ctx.common with the digest {digest}",
            handler=handler,
            where=where,
            advice="Something else than the handlers changed it, or a handler put something into it that the recording does not have.",
        )

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        """Compare a transition."""
        record = self._reach("transition")
        attributes = record.attributes
        names = self._names
        source, target = names[fact.source], None if fact.target is None else names[fact.target]
        known = (attributes.get(_SOURCE), attributes.get(_TARGET), attributes.get(_LABEL), attributes.get(_KIND))
        if record.event != "transition" or known != (source, target, fact.label, fact.kind):
            way = fact.label if fact.kind == "label" else fact.kind if fact.label is None else f"{fact.label}, {fact.kind}"
            self.diverge("machine", f"transition {source} -> {target or 'the end'} ({way})")
        self.script.advance()
        self.transitions += 1
        self.path.append((fact.source, fact.target, fact.label, fact.kind))

    def message_queued(self, fact: facts.MessageQueued, /) -> None:
        """Compare a message that a handler sent; those from outside are let in here and need no comparison."""
        script = self.script
        if self._injecting is not None:
            if script.next is not self._injecting:
                self.diverge("machine", f"{name_message(fact.number, type_name(fact.message))} was queued")
            script.advance()
            return
        record = script.next
        if record.event != "message" or not self._is_meant(record, fact.message):
            self._diverge_at_frame("message", f"{self._who()} sent a message ({type_name(fact.message)}): {fact.message!r}")
        script.advance()

    def _who(self) -> str:
        return f"{self.name(self.actor.state)}"

    def message_taken(self, fact: facts.MessageTaken, /) -> None:
        """Compare which message was taken."""
        record = self.script.next
        attributes = record.attributes
        number = fact.number
        if record.event != "taken" or (number_of(record) != number) or attributes.get(semconv.MESSAGE_TYPE) != type_name(fact.message):
            self.diverge("machine", f"{name_message(number, type_name(fact.message))} was taken")
        self.script.advance()

    def message_dropped(self, fact: facts.MessageDropped, /) -> None:
        """Compare which message was dropped, by the mailbox or at the end."""
        record = self._reach("dropped") if self._injecting is None else self.script.next
        attributes = record.attributes
        known = (attributes.get(semconv.DROP_REASON), attributes.get(semconv.MESSAGE_TYPE))
        if record.event != "dropped" or known != (fact.reason, type_name(fact.message)):
            self.diverge("machine", f"{name_message(fact.number, type_name(fact.message))} was dropped ({fact.reason})")
        self.script.advance()

    def retry_scheduled(self, fact: facts.RetryScheduled, /) -> None:
        """Compare a retry and its delay."""
        self._compare_timer(
            semconv.TimerKind.RETRY_BACKOFF, fact.state, fact.delay, f"retry {fact.count} of {{}} was scheduled (in {fact.delay:g} s)"
        )

    def retries_exhausted(self, _: facts.RetriesExhausted, /) -> None:
        """Note that a fact was told after the last record that has none of its own."""
        self.exhausted_after = self.script.last.index

    def timeout_fired(self, fact: facts.TimeoutFired, /) -> None:
        """Compare a timeout."""
        self._compare_timer(semconv.TimerKind.TIMEOUT, fact.state, fact.after, f"the timeout of {{}} fired ({fact.after:g} s)")

    def _compare_timer(self, kind: str, state: str, duration: float, words: str) -> None:
        record = self._reach("timer")
        attributes = record.attributes
        known = (attributes.get(semconv.TIMER_KIND), attributes.get(_STATE))
        if (
            record.event != "timer"
            or known != (kind, self._names[state])
            or abs(cast("float", attributes[semconv.TIMER_DURATION]) - duration) > _CLOSE
        ):
            self.diverge("machine", words.format(self.name(state)))
        self.script.advance()

    def stack_pushed(self, fact: facts.StackPushed, /) -> None:
        """Compare what was pushed."""
        self._compare_stack(semconv.StackChange.PUSHED, fact.states, fact.depth)

    def stack_popped(self, fact: facts.StackPopped, /) -> None:
        """Compare what was popped."""
        self._compare_stack(semconv.StackChange.POPPED, fact.states, fact.depth)

    def _compare_stack(self, change: str, states: tuple[str, ...], depth: int) -> None:
        record = self._reach("stack")
        attributes = record.attributes
        named = tuple(self._names[state] for state in states)
        known = (attributes.get(semconv.STACK_CHANGE), tuple(cast("tuple[str, ...]", attributes.get(semconv.STACK_STATES, ()))))
        if record.event != "stack" or known != (change, named) or attributes.get(semconv.STACK_DEPTH) != depth:
            self.diverge("machine", f"{', '.join(named)} {change} ({depth} on the stack)")
        self.script.advance()

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Compare where an exception went."""
        if self.halt is not None:
            raise self.halt
        record = self._reach("error")
        attributes = record.attributes
        known = (attributes.get(semconv.ERROR_DESTINATION), attributes.get(_ERROR))
        if record.event != "error" or known != (fact.to, class_name(type(fact.exception))):
            place = lines.raising_frame(fact.exception.__traceback__)
            where = None if place is None else lines.say(place[0].f_code.co_filename, place[1])
            found = f"{class_name(type(fact.exception))}: {fact.exception} of {self.name(fact.state)} went to {fact.to}"
            self.diverge("machine", found, where=where, trace=fact.exception.__traceback__)
        self.script.advance()

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Compare the end, where the machine came to it by itself."""
        record = self._reach("end")
        if record.event != "end" or record.attributes.get(semconv.RUN_OUTCOME) != fact.outcome:
            self.diverge("machine", f"the run ended in {self.name(fact.state)}: {fact.outcome}")
        self.script.advance()


def _is_cut(error: BaseException, handler: str, state: str) -> bool:
    return type(error) is TimeoutError and str(error) == f"{handler} of {state} was cut at its deadline"
