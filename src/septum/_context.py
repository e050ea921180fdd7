"""What a handler is given: `ctx`, with its message, the data that its machine shares, and the sources of all that is not determined.

A running machine is its own context: it subclasses `SharedContext`, so that there is one object and no cycle.
"""

from __future__ import annotations

import random
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast, overload

from septum._clock import LOOP_CLOCK, new_id
from septum._log import as_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from septum._log import Log

T = TypeVar("T")
R = TypeVar("R")


class SharedContext(Generic[T]):
    """The context of a machine's handlers; constructing one gives a context without a machine, to test handlers with.

    Args:
        send_message: Called with each message that the handler sends; what it returns is returned.
        log: Called with each text that the handler logs, its fields behind it; a `ctx.log` is taken as it is.

    Attributes:
        common: The data that the machine's states share.
        msg: The message that this call of `on_state` is for; None for the first call of a visit, and in every other handler.
    """

    __slots__ = ("common", "msg")

    common: T
    msg: Any

    def __init__(
        self,
        send_message: Callable[..., Any],
        log: Callable[[str], object],
        common: T,
        msg: Any = None,
    ) -> None:
        # A machine has an __init__ of its own and must not pay for this class's second use, so there is no __new__ and no
        # further slot: what a context without a machine needs is kept by a class of the same layout.
        if type(self) is SharedContext:
            self.__class__ = _DetachedContext
            _COMMON.__set__(self, _Calls(send_message, log, common))
        else:
            self.common = common
            vars(self).update(send_message=send_message, log=log)  # a user's subclass has a __dict__
        self.msg = msg

    def send_message(self, message: Any, *, headers: Mapping[str, str] | None = None) -> bool:
        """Put *message* into the machine's own mailbox.

        Args:
            message: Anything but None, which a handler could not tell from no message.
            headers: Text to travel with it, such as a trace context; None for none.

        Returns:
            True if it was queued, False if it was filtered or dropped.
        """
        raise NotImplementedError

    @property
    def log(self) -> Log:
        """The machine's log: `ctx.log("text")`, `ctx.log.warning("text", left=3)`."""
        call = getattr(self, "__dict__", {}).get("log")
        if call is None:
            raise NotImplementedError
        return as_text(call)

    @property
    def retry_count(self) -> int:
        """How many retries of this state came before this visit; 0 in the first."""
        return 0

    @property
    def state(self) -> str:
        """The full name of the current state; empty without a machine."""
        return ""

    @property
    def machine_id(self) -> str:
        """The id of the machine; empty without one."""
        return ""

    @property
    def random(self) -> random.Random:
        """Chance that a recording keeps: use it instead of the module `random`."""
        return _CHANCE

    def now(self) -> float:
        """Return seconds of the machine's clock, which a recording keeps; only differences mean anything."""
        return LOOP_CLOCK.now()

    def uuid(self) -> str:
        """Return a fresh UUID as text, which a recording keeps."""
        return new_id()

    @overload
    async def call(self, name: str, fn: Callable[..., Awaitable[R]], *args: Any) -> R: ...

    @overload
    async def call(self, name: str, fn: Callable[..., R], *args: Any) -> R: ...

    async def call(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002 - for the recording
        """Return what `fn(*args)` returns, awaited if need be; a recording keeps it, and a replay gives it back without the call.

        Args:
            name: What a recording calls it; one name for each place that calls.
            fn: Does what the machine must not do twice; sync or async.
            args: Handed to *fn*.

        Raises:
            Exception: Whatever *fn* raises; a recording keeps that as well.
        """
        result = fn(*args)
        return await result if isawaitable(result) else result


_COMMON: Any = SharedContext.__dict__["common"]
_CHANCE = random.Random()  # noqa: S311 - not for secrets


class _Calls(NamedTuple):
    """What a context without a machine was constructed with; it stands in the place of `common`."""

    send_message: Callable[..., Any]
    log: Callable[[str], object]
    common: Any


class _DetachedContext(SharedContext[Any]):
    """A context without a machine."""

    __slots__ = ()

    @property
    def _calls(self) -> _Calls:
        return cast("_Calls", _COMMON.__get__(self))

    @property
    def common(self) -> Any:
        """The data that the handler under test shares with nobody."""
        return self._calls.common

    @common.setter
    def common(self, value: Any) -> None:
        _COMMON.__set__(self, self._calls._replace(common=value))

    def send_message(self, message: Any, *, headers: Mapping[str, str] | None = None) -> Any:
        """Call the function that the context was constructed with; without `headers` if there are none."""
        send = self._calls.send_message
        return send(message) if headers is None else send(message, headers=headers)

    @property
    def log(self) -> Log:
        """What calls the function that the context was constructed with."""
        return as_text(self._calls.log)

    def __repr__(self) -> str:
        return f"SharedContext(common={self.common!r}, msg={self.msg!r})"
