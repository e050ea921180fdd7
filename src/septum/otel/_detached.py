"""What `septum.detached` leaves behind, and the link back to it."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach, create_key, detach, get_current
from opentelemetry.trace import Link, SpanContext, get_current_span

from septum import _detached, semconv

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

_LEFT = create_key("septum.detached")

# Resetting it fails exactly where detaching would fail, and be logged: in another context than that of the block's beginning, when a task
# was abandoned inside the block and is closed by whoever collects it (test_a_block_that_is_closed_elsewhere_is_no_error).
_bracket: ContextVar[object] = ContextVar("septum.otel.detached")


def install() -> None:
    """Let `septum.detached` leave the current span; calling it again changes nothing."""
    _detached.install(_leave)


def links(context: Context | None = None) -> list[Link]:
    """Return the link to the span that `septum.detached` left, for a span that is to be the root of its own trace.

    `tracer.start_as_current_span("work", links=septum.otel.links())`; machines do that for their runs by themselves.

    Args:
        context: Where the span is to be started; None means the current context.

    Returns:
        One link, of type `spawned_by`; none where nothing was left, and none where another span has become current since.
    """
    here = get_current() if context is None else context
    left = here.get(_LEFT)
    if not isinstance(left, SpanContext) or get_current_span(here).get_span_context().is_valid:
        return []
    return [Link(left, {semconv.LINK_TYPE: semconv.LinkType.SPAWNED_BY})]


def _leave() -> Callable[[], None]:
    """Make an empty context current, and return what makes the present one current again."""
    here = get_current()
    span = get_current_span(here).get_span_context()
    left = span if span.is_valid else here.get(_LEFT)
    # "suppress_instrumentation" and its kin, which OpenTelemetry has under more than one key: who asked for silence goes on having it.
    kept = {key: value for key, value in here.items() if key.startswith("suppress_")}
    bracket, token = _bracket.set(here), attach(Context(kept if left is None else {**kept, _LEFT: left}))

    return partial(_return, bracket, token)


def _return(bracket: Token[object], token: Token[Context]) -> None:
    """Undo `_leave`, if this is the context in which it was done."""
    try:
        _bracket.reset(bracket)
    except ValueError:
        return  # Another context: there is nothing to undo here, and the one that was changed is gone.
    detach(token)
