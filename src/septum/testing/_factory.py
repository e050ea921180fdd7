"""What the fixture `machine_factory` gives: machines on the test's own clock, all recorded, and looked after when the test is over."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from septum import Hooks, RunResult, StateMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import TracebackType

    from septum import Clock
    from septum._queue import OverflowPolicy
    from septum._transitions import Target
    from septum.testing._clock import ManualClock
    from septum.testing._recorder import RecorderHooks

T = TypeVar("T")


class TestedMachine(StateMachine[T]):
    """A machine that knows which of its calls are at work, so that one that is left running can be named."""

    at_work: list[str]
    cancelled: str

    __test__ = False  # its name begins as those of tests do, to pytest

    @contextmanager
    def _at_work(self, call: str) -> Generator[None]:
        self.at_work.append(call)
        self.cancelled = ""
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self.cancelled = call
            raise
        finally:
            self.at_work.remove(call)

    async def initialize(self) -> None:
        with self._at_work("initialize()"):
            await super().initialize()

    async def tick(self, timeout: float | None = 0) -> None:
        with self._at_work("tick()"):
            await super().tick(timeout)

    async def run(self, max_iterations: int | None = None, timeout: float | None = 1) -> None:
        with self._at_work("run()"):
            await super().run(max_iterations, timeout)

    async def serve(self) -> RunResult:
        with self._at_work("serve()"):
            return await super().serve()

    async def reset(self) -> None:
        with self._at_work("reset()"):
            await super().reset()

    async def close(self) -> None:
        await super().close()
        self.cancelled = ""

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await super().__aexit__(kind, error, trace)
        self.cancelled = ""


class MachineFactory:
    """Makes machines for one test; the fixture `machine_factory` is one.

    A machine is left running if a call that moves it (`tick`, `run`, `serve`, `initialize`, `reset`) is still at work when the test is
    over, or was cancelled, by the end of the event loop for one, and the machine was neither closed nor called since. One that is merely
    not complete is fine: a machine that nobody calls needs nothing.

    Attributes:
        machines: What was made, in this order.
    """

    def __init__(self, recorder: RecorderHooks, clock: ManualClock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._failures = _Failures()
        self.machines: list[TestedMachine[Any]] = []

    def __call__(
        self,
        initial_state: Target,
        max_queue_size: int = 1000,
        queue_overflow_policy: OverflowPolicy = "block",
        error_state: Target | None = None,
        filter_fn: Callable[..., Any] | None = None,
        trap_fn: Callable[..., Any] | None = None,
        on_error_fn: Callable[..., Any] | None = None,
        common_data: T | None = None,
        *,
        hooks: Sequence[Hooks] = (),
        clock: Clock | None = None,
        name: str | None = None,
        machine_id: str | None = None,
        strict: bool = False,
    ) -> StateMachine[T]:
        """Return a machine that the fixture `recorder` records, on the clock of the fixture `manual_clock` unless another is given.

        The test fails if one of the machine's hooks raises, or if the machine is left running. The arguments and errors are those of
        `StateMachine`.
        """
        machine: TestedMachine[T] = TestedMachine(
            initial_state,
            max_queue_size,
            queue_overflow_policy,
            error_state,
            filter_fn,
            trap_fn,
            on_error_fn,
            common_data,
            hooks=(*hooks, self._recorder),
            clock=self._clock if clock is None else clock,
            name=name,
            machine_id=machine_id,
            strict=strict,
        )
        machine.at_work = []
        machine.cancelled = ""
        self.machines.append(machine)
        return machine

    def __enter__(self) -> Self:
        """Listen to what hooks raise from now on."""
        logging.getLogger("septum.hooks").addHandler(self._failures)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        logging.getLogger("septum.hooks").removeHandler(self._failures)

    def faults(self) -> list[str]:
        """Return a sentence for each machine that was left running and for each whose hooks raised; empty when all is well."""
        found: list[str] = []
        for machine in self.machines:
            where = f"in state {machine.state}"
            if machine.at_work:
                found.append(
                    f"machine {machine.name!r} was left running {where}: {machine.at_work[0]} is still at work. "
                    "End it with fsm.stop(), fsm.close() or `async with`, and await the task that it runs in."
                )
            elif machine.cancelled and not machine.has_ended:
                found.append(
                    f"machine {machine.name!r} was left running {where}: {machine.cancelled} was cut off when its task was cancelled, as "
                    "the end of an event loop does. Stop it before the test ends, with fsm.stop(), fsm.close() or `async with`."
                )
            count = machine.stats().hook_errors
            if count:
                times = "once" if count == 1 else f"{count} times"
                found.append(f"a hook of machine {machine.name!r} raised {times}{self._failures.text}")
        return found


class _Failures(logging.Handler):
    """Keeps what the engine logs of hooks that raised; it logs each hook and type of exception once."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and isinstance(record.args, tuple) and record.args:
            self._lines.append(f"{record.args[0]} raised {error!r}")
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            if place is not None:
                self._lines[-1] += f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}"

    @property
    def text(self) -> str:
        """What was kept, to go behind a sentence."""
        return "".join(f"\n  {line}" for line in self._lines) or "."
