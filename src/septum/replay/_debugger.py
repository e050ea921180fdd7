"""`--pdb`: stops in the handler that left the recording, while its frame is still there."""

from __future__ import annotations

import dis
import pdb  # noqa: T100 - this is what it is for
import sys
from typing import TYPE_CHECKING, Any, Final

from septum.replay import _lines as lines

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    from septum._graph import Graph, Node
    from septum.replay._divergence import Divergence
    from septum.replay._judge import Judge

_RETURNS: Final = frozenset(number for name, number in dis.opmap.items() if name in {"RETURN_VALUE", "RETURN_CONST"})
_HANDLERS: Final = ("on_state", "on_enter", "on_leave", "on_timeout", "on_fail")


class Debugger:
    """Watches the handlers of one definition: `with Debugger(...)` while they run.

    A handler's frame is gone once it has answered, so every answer is looked at before: at the `return` itself.
    """

    def __init__(self, graph: Graph, judge: Judge) -> None:
        self._judge = judge
        self._codes: dict[CodeType, tuple[str, Node]] = {}
        self._before: Any = None
        self._stopped = False
        for node in graph.nodes:
            for name in _HANDLERS:
                handler = getattr(node, name)
                code = None if handler is None else lines.code_of(handler)
                if code is not None:
                    self._codes[code] = (name, node)

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._see_call)
        self._judge.stop = self.stop

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _see_call(self, frame: FrameType, event: str, _: object) -> Any:
        return self._see_return if event == "call" and frame.f_code in self._codes else None

    def _see_return(self, frame: FrameType, event: str, answer: object) -> Any:
        # A coroutine that is suspended "returns" as well.
        if event == "return" and not self._stopped and frame.f_code.co_code[frame.f_lasti] in _RETURNS:
            name, node = self._codes[frame.f_code]
            divergence = self._judge.foresee(name, node.name, answer)
            if divergence is not None:
                self.stop(frame, None, divergence)
        return self._see_return

    def stop(self, frame: FrameType | None, trace: TracebackType | None, divergence: Divergence) -> None:
        """Let the user look at *frame*, or at where *trace* ends."""
        if self._stopped or (frame is None and trace is None):
            return
        self._stopped = True
        tracing = sys.gettrace()
        sys.settrace(None)
        debugger = pdb.Pdb()
        debugger.message(f"The replay left the recording.\n{divergence}")
        debugger.reset()
        if trace is not None:
            place = lines.raising_frame(trace)
            while trace.tb_next is not None and place is not None and trace.tb_frame is not place[0]:
                trace = trace.tb_next
        debugger.interaction(frame, trace)
        sys.settrace(tracing)
