"""Many machines of one kind: a pool that lends them out one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from septum._errors import NotAcquired, PoolError
from septum._machine import StateMachine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from septum._transitions import Target

T = TypeVar("T")


class FSMPool(Generic[T]):
    """A fixed number of initialised machines, lent to one user at a time.

    Args:
        state: Initial state of each machine.
        pool_size: How many machines, at least one.
        machine_arguments: Given to each `StateMachine`. `common_data` is shared by all; without it each machine has a dict of its own.

    Raises:
        DefinitionError: As `StateMachine`.
        ValueError: A pool without machines.
    """

    def __init__(self, state: Target, pool_size: int = 10, **machine_arguments: Any) -> None:
        if isinstance(pool_size, bool) or not isinstance(pool_size, int) or pool_size < 1:
            raise ValueError(f"pool_size must be an int of at least 1, not {pool_size!r}")
        self._state = state
        self._size = pool_size
        self._arguments = machine_arguments
        self._free: deque[StateMachine[T]] = deque()
        # A failed first machine says at once what is wrong with the definition.
        self._spare: StateMachine[T] | None = self._make()
        self._lent: set[StateMachine[T]] = set()
        self._failed: set[StateMachine[T]] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._open = False

    @property
    def pool_size(self) -> int:
        """How many machines the pool has."""
        return self._size

    @property
    def available(self) -> int:
        """How many machines can be acquired without waiting."""
        return len(self._free)

    def _make(self) -> StateMachine[T]:
        return StateMachine(self._state, **self._arguments)

    async def initialize(self) -> None:
        """Make and initialise all machines; a second call does nothing.

        Raises:
            Exception: What entering the initial state raised; the pool has no machines then.
        """
        if self._open:
            return
        machines = [self._spare or self._make(), *[self._make() for _ in range(self._size - 1)]]
        self._spare = None
        for machine in machines:
            await machine.initialize()
        self._free.extend(machines)
        self._open = True

    async def acquire(self) -> StateMachine[T]:
        """Lend a machine, the one that was free longest; wait while all are lent. Cancel-safe: a cancelled call has lent nothing.

        Raises:
            PoolError: The pool is not initialised, or closed (also while waiting).
        """
        self._check_open()
        first = True
        while not self._free or (first and self._waiting):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            # Whoever was woken and found nothing is still the one who waited longest.
            (self._waiting.append if first else self._waiting.appendleft)(turn)
            first = False
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake_next()
                raise
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
            self._check_open()
        machine = self._free.popleft()
        self._lent.add(machine)
        return machine

    async def release(self, fsm: StateMachine[T], *, reset: bool = True) -> None:
        """Take *fsm* back.

        A machine that is complete or closed, or that failed in `machine()`, is replaced by a new one.

        Args:
            reset: Back to its initial state; False keeps state, stack and mailbox for the next user.

        Raises:
            NotAcquired: The pool has not lent it; nothing was changed.
            Exception: What entering the initial state raised; the machine is gone and a later `release` or `acquire` is not affected.
        """
        if fsm not in self._lent:
            raise NotAcquired(
                f"{fsm!r} was released, but this pool has not lent it: it was released before, or comes from elsewhere. "
                "Release each machine once, or use `async with pool.machine() as fsm:`."
            )
        self._lent.discard(fsm)
        worn_out = fsm in self._failed or fsm.has_ended
        self._failed.discard(fsm)
        if not self._open:
            await fsm.close()
            return
        try:
            if worn_out:
                await fsm.close()
                fsm = self._make()
                await fsm.initialize()
            elif reset:
                await fsm.reset()
        except BaseException:
            # Whatever entering the initial state does, the pool keeps its size: a machine that has not started is started by its user.
            fsm = self._make()
            raise
        finally:
            if self._open:
                self._free.append(fsm)
                self._wake_next()
            else:
                await fsm.close()

    @asynccontextmanager
    async def machine(self, *, reset: bool = True) -> AsyncGenerator[StateMachine[T]]:
        """Lend a machine for the length of a block; one whose block ends with an exception is replaced."""
        fsm = await self.acquire()
        try:
            yield fsm
        except BaseException:
            self._failed.add(fsm)
            raise
        finally:
            await self.release(fsm, reset=reset)

    async def close(self) -> None:
        """Close all free machines; lent ones are closed when they are released, and waiting `acquire` calls raise."""
        self._open = False
        while self._waiting:
            self._wake_next()
        while self._free:
            await self._free.popleft().close()

    async def __aenter__(self) -> FSMPool[T]:
        """Initialize; the pool is closed at the end of the block."""
        await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def _check_open(self) -> None:
        if not self._open:
            raise PoolError("the pool has no machines: call `await pool.initialize()` first, and acquire nothing after close()")

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
