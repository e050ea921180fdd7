"""What can be seen of a machine from outside, at any moment and without a change to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from septum._hooks import Hooks
from septum._keeper import Keeper
from septum._mode import CLOSED, DONE, FAILED, FRESH
from septum._registry import StateRegistry

if TYPE_CHECKING:
    from septum._facts import VisitStarted
    from septum._graph import Graph
    from septum._queue import OverflowPolicy
    from septum._states import StateSpec

T = TypeVar("T")


class _EnterTimes(Hooks):
    """Remembers when each state was entered last."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    def visit_started(self, fact: VisitStarted, /) -> None:
        self.times[fact.state] = fact.wall / 1e9


class Window(Keeper[T]):
    """A machine that can be looked at."""

    __slots__ = ()

    @property
    def context(self) -> Self:
        """What handlers get as `ctx`: the machine itself."""
        return self

    @property
    def graph(self) -> Graph:
        """The definition, with everything reachable from the initial and the error state."""
        return self._plan.graph

    @property
    def current_state(self) -> StateSpec | None:
        """The state that the machine is in; None before it entered the first."""
        return None if self._mode & FRESH else self._node.spec

    @property
    def state_stack(self) -> list[StateSpec]:
        """The states that `Pop` returns to, the last one on top; a copy."""
        return [] if self._aside is None else [node.spec for node in self._aside.stack]

    @property
    def queue_depth(self) -> int:
        """How many messages wait."""
        return len(self._mailbox)

    @property
    def is_complete(self) -> bool:
        """Whether the machine has reached its end."""
        return bool(self._mode & DONE)

    @property
    def has_ended(self) -> bool:
        """Whether it can do nothing more without `reset()`: it is complete, closed, or an exception came out of its last call."""
        return bool(self._mode & (DONE | CLOSED | FAILED))

    @property
    def initial_state(self) -> StateSpec:
        """Where the machine begins."""
        return self._plan.initial.spec

    @property
    def error_state(self) -> StateSpec | None:
        """Where it goes with an exception that nothing else handles."""
        return None if self._plan.error is None else self._plan.error.spec

    @property
    def max_queue_size(self) -> int:
        """Most messages that wait, as given."""
        return self._plan.limit

    @property
    def queue_overflow_policy(self) -> OverflowPolicy:
        """What happens to a message that finds no room, as given."""
        return self._plan.policy

    @property
    def retry_counters(self) -> dict[str, int]:
        """Retry counts above zero by full name of the state; a copy."""
        return {} if self._aside is None else dict(self._aside.retries)

    @property
    def registry(self) -> StateRegistry:
        """The old way to ask about definitions."""
        return StateRegistry()

    @property
    def state_enter_times(self) -> dict[str, float]:
        """When each state was last entered, in seconds since the Unix epoch, by full name.

        Recorded from the first time that it is asked for; asking makes the machine an observed one.
        """
        aside = self._side()
        for hook in aside.hooks:
            if isinstance(hook, _EnterTimes):
                return dict(hook.times)
        times = _EnterTimes()
        self.attach(times)
        return dict(times.times)
