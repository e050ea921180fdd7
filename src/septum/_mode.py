"""Where a machine stands, in one integer: the stage in its low bits, flags above.

One comparison of the whole tells the fast loops that nothing special is the matter.
"""

from __future__ import annotations

from typing import Final

# The stage, the low bits of a machine's mode: which call is due. A call that did not return is due again.
FIRST: Final = 0  # on_state with ctx.msg None, which begins a visit
WAIT: Final = 1  # nothing, until a message or the deadline comes
ENTER: Final = 2  # on_enter, then FIRST
ENTER_WAIT: Final = 3  # on_enter, then WAIT (after Restart)
LEAVE: Final = 4  # on_leave, then the move that was decided
DELAY: Final = 5  # nothing, until the retry's delay is over
TIMEOUT: Final = 6  # on_timeout
FAIL: Final = 7  # on_fail
STAGE: Final = 7
# The flags above it.
BUSY: Final = 8  # inside tick, run, serve or reset
FRESH: Final = 16  # the initial state was not entered yet
DONE: Final = 32  # complete
CLOSED: Final = 64  # closed: `async with` has ended
OBSERVED: Final = 128  # somebody listens: there is a Watch
WATCHED: Final = BUSY | OBSERVED
RETRIED: Final = 256  # some state has a retry count
TRAPPED: Final = 512  # there is a trap_fn
STOPPING: Final = 1024  # stop() was called
BLOCKED: Final = 2048  # waits for a message or a moment
EQUIPPED: Final = 4096  # has hooks that it did not look at yet
FAILED: Final = 8192  # an exception came out of the last call
CHANGED: Final = 16384  # others listen than when the call began
PAUSED: Final = 32768  # inside a call, and between two steps: the event loop has its turn
SLOW_MAIL: Final = FRESH | DONE | CLOSED | OBSERVED | STOPPING | BLOCKED
NOT_RUNNING: Final = FRESH | DONE | CLOSED
