"""What tests of machines need: time that stands still, tasks that come to rest, facts that are kept.

Import it in tests only; `import septum` does not.
"""

from __future__ import annotations

from septum.testing._clock import ManualClock, ManualTimer
from septum.testing._recorder import RecorderHooks
from septum.testing._settle import settle

__all__ = ["ManualClock", "ManualTimer", "RecorderHooks", "settle"]
