"""Other libraries with a span for each state: by hand where they have nothing for it, made current as far as they let one do that."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry.context import attach, detach
from opentelemetry.trace import set_span_in_context
from statemachine import State, StateMachine
from transitions import Machine
from xstate_statemachine import MachineLogic, SyncInterpreter, create_machine
from xstate_statemachine.contrib.observability.otel import OpenTelemetryPlugin

from tests.bench.metrics import Bench, Loop, Metric
from tests.bench.telemetry import ENDED, VISIT, Tracing

if TYPE_CHECKING:
    from collections.abc import Callable


class StateSpan:
    """The span of the state that a machine is in, kept by hand."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracer = tracing.provider.get_tracer("bench")
        self._span: Any = None
        self._token: Any = None

    def enter(self) -> None:
        """Begin a span and make it current."""
        self._span = self._tracer.start_span("visit bench.One", attributes=VISIT)
        self._token = attach(set_span_in_context(self._span))

    def leave(self) -> None:
        """End it."""
        detach(self._token)
        self._span.set_attributes(ENDED)
        self._span.end()


def _transitions(tracing: Tracing) -> Callable[[], object]:
    class Model:
        def __init__(self) -> None:
            self.span = StateSpan(tracing)
            self.span.enter()

        def before(self) -> None:
            self.span.leave()

        def after(self) -> None:
            self.span.enter()

    model: Any = Model()
    edges = [
        {"trigger": "go", "source": "one", "dest": "two", "before": "before", "after": "after"},
        {"trigger": "go", "source": "two", "dest": "one", "before": "before", "after": "after"},
    ]
    Machine(model=model, states=["one", "two"], transitions=edges, initial="one")
    return model.go  # type: ignore[no-any-return]  # it is made at run time


def _python_statemachine(tracing: Tracing) -> Callable[[], object]:
    class Toggle(StateMachine):
        one = State(initial=True)
        two = State()
        go = one.to(two) | two.to(one)

        def __init__(self) -> None:
            self.span = StateSpan(tracing)
            super().__init__()

        def on_enter_state(self) -> None:
            self.span.enter()

        def on_exit_state(self) -> None:
            self.span.leave()

    return Toggle().go  # type: ignore[no-any-return]  # it is made at run time


def _xstate(tracing: Tracing) -> Callable[[], object]:
    logging.getLogger("xstate_statemachine").setLevel(logging.WARNING)

    def handle(interpreter: Any, context: Any, event: Any, action: Any) -> None:
        pass

    config = {
        "id": "toggle",
        "initial": "one",
        "states": {
            "one": {"on": {"GO": {"target": "two", "actions": "handle"}}},
            "two": {"on": {"GO": {"target": "one", "actions": "handle"}}},
        },
    }
    interpreter: Any = SyncInterpreter(create_machine(config, logic=MachineLogic(actions={"handle": handle})))
    interpreter.use(OpenTelemetryPlugin(tracing.provider.get_tracer("bench")))
    interpreter.start()
    return lambda: interpreter.send("GO")


_MAKERS = {"transitions": _transitions, "python-statemachine": _python_statemachine, "xstate": _xstate}


def bench(variant: str) -> Bench:
    """Return what a transition with its span costs in the library named *variant*."""
    tracing = Tracing()

    async def prepare() -> Loop:
        step = _MAKERS[variant](tracing)

        async def loop(count: int) -> None:
            for _ in range(count):
                step()

        before = tracing.spans()
        await loop(4)
        if tracing.spans() - before < 4:
            sys.exit(f"{variant} does not make a span for each state")
        return loop

    return Bench(metrics={"visit": Metric(prepare=tracing.audited(prepare))})
