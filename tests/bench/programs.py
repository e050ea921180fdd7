"""The benchmarked states, for any library with the calls of `mycorrhizal.septum.core`: Septum and mycorrhizal itself."""

from __future__ import annotations

import sys
from typing import Any

from tests.bench import handlers


class Program:
    """Two states that lead to each other for each kind of handler; the attribute is the first of them."""

    def __init__(self, core: Any) -> None:
        config = core.StateConfiguration
        self.ticking = pair(core, "bench.ticking", handlers.ping, handlers.pong, config())
        self.counting = pair(core, "bench.counting", handlers.count_ping, handlers.count_pong, config())
        self.receiving = pair(core, "bench.receiving", handlers.receive_ping, handlers.receive_pong, config(can_dwell=True))
        self.timed = pair(core, "bench.timed", handlers.ping, handlers.pong, config(timeout=10.0))


def pair(core: Any, name: str, first: Any, second: Any, config: Any) -> Any:
    """Declare two states that lead to each other and return the first."""
    two: Any
    one = declare(core, f"{name}.One", first, lambda: two, config)
    two = declare(core, f"{name}.Two", second, lambda: one, config)
    return one


def declare(core: Any, name: str, handler: Any, target: Any, config: Any) -> Any:
    """Declare one state whose handler is *handler* and whose only edge leads where *target()* says."""

    def State() -> None:
        core.septum.events(handlers.Events)
        core.septum.on_state(handler)

        core.septum.transitions(lambda: [core.LabeledTransition(handlers.Events.GO, target())])

    return core.septum.state(config=config, name=name)(State)


def forget_states(core: Any, total: int) -> list[Any]:
    """Declare *total* states, take them out of the registry again and return them: as much memory in use as if they were registered."""
    pad_states(core, total)
    forgotten = list(core.get_all_states().values())
    core._clear_state_registry()
    return forgotten


def pad_states(core: Any, total: int) -> None:
    """Declare pairs of states that no machine uses until at least *total* are registered in this process."""
    registered = len(core.get_all_states())
    for number in range(registered, total, 2):
        pair(core, f"bench.spare{number}", handlers.ping, handlers.pong, core.StateConfiguration())
    if (found := len(core.get_all_states())) < total:
        sys.exit(f"{total} states were to be registered in this process, there are {found}")
