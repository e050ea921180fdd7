"""xstate-statemachine: its interpreters over one definition; the async one is waited for, as a caller must who wants the outcome."""

from __future__ import annotations

import logging
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from xstate_statemachine import Interpreter, MachineLogic, SyncInterpreter, create_machine

from tests.bench.peers import Counter, async_bench, sync_bench

if TYPE_CHECKING:
    from tests.bench.metrics import Bench


@lru_cache(maxsize=2)
def _definition(counter: Counter) -> Any:
    def handle(interpreter: Any, context: Any, event: Any, action: Any) -> None:
        pass

    def receive(interpreter: Any, context: Any, event: Any, action: Any) -> None:
        counter.count += 1

    def edges(target: str) -> dict[str, Any]:
        return {"on": {"GO": {"target": target, "actions": "handle"}, "TAKE": {"target": target, "actions": "receive"}}}

    config = {"id": "toggle", "initial": "one", "states": {"one": edges("two"), "two": edges("one")}}
    return create_machine(config, logic=MachineLogic(actions={"handle": handle, "receive": receive}))


def bench(variant: str = "") -> Bench:
    """Return what is measured of xstate-statemachine: `SyncInterpreter`, or `Interpreter` for "async"."""
    logging.getLogger("xstate_statemachine").setLevel(logging.WARNING)
    if variant == "async":

        async def make_async(counter: Counter) -> Any:
            return await Interpreter(_definition(counter)).start()

        return async_bench(
            make_async,
            fire=lambda machine: partial(machine.send, "GO", wait=True),
            send=lambda machine: lambda payload: machine.send("TAKE", wait=True, payload=payload),
            end=lambda machine: machine.stop(),
        )
    return sync_bench(
        lambda counter: SyncInterpreter(_definition(counter)).start(),
        fire=lambda machine: partial(machine.send, "GO"),
        send=lambda machine: lambda payload: machine.send("TAKE", payload=payload),
    )
