"""What tests of machines need: time that stands still, tasks that come to rest, facts that are kept, paths, coverage.

Import it in tests only; `import septum` does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from septum.testing._clock import ManualClock, ManualTimer
from septum.testing._coverage import TransitionCoverage
from septum.testing._errors import CoverageError, PathError
from septum.testing._explore import Exploration, explore
from septum.testing._factory import MachineFactory
from septum.testing._path import assert_path
from septum.testing._recorder import RecorderHooks
from septum.testing._settle import settle
from septum.testing._trail import TIMEOUT, ExplorationPath, PathStep

if TYPE_CHECKING:
    from septum.testing._stateful import MachineStateful

__all__ = [
    "TIMEOUT",
    "CoverageError",
    "Exploration",
    "ExplorationPath",
    "MachineFactory",
    "MachineStateful",
    "ManualClock",
    "ManualTimer",
    "PathError",
    "PathStep",
    "RecorderHooks",
    "TransitionCoverage",
    "assert_path",
    "explore",
    "settle",
]


def __getattr__(name: str) -> object:
    """Import what needs Hypothesis when it is asked for."""
    if name != "MachineStateful":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from septum.testing._stateful import MachineStateful  # noqa: PLC0415 - it imports Hypothesis
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(
            "septum.testing.MachineStateful needs hypothesis; install it with: pip install hypothesis", name="hypothesis"
        ) from None
    return MachineStateful
