"""Programs that a type checker must refuse; `make lint` fails when one of the ignores is not needed. Never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from septum import Graph, LabeledTransition, Push, SharedContext, StateConfiguration, StateMachine, StateRef, StateSpec, facts, septum
from septum.testing import MachineFactory, MachineStateful, ManualClock, assert_path, explore


@septum.state
def Only() -> None:
    """A state."""

    @septum.on_state
    async def on_state(ctx: SharedContext[int]) -> None:
        assert ctx.common + "text"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
        assert ctx.message  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

    _ = on_state


def refused(spec: StateSpec, fact: facts.VisitStarted) -> None:
    """Each line is one mistake."""
    StateMachine(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StateMachine(spec, queue_overflow_policy="drop_oldst")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StateMachine(spec, hooks=[print])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    StateConfiguration(timeout="5 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StateConfiguration(timout=5.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    StateMachine[int](spec, common_data="text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fact.state = "another"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert fact.label  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    septum.state(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    septum.on_state(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    septum.events(print)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    LabeledTransition("GO", spec)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    LabeledTransition(spec)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    Push(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StateRef(spec)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Graph.of(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    spec.config.timeout = 5.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    SharedContext(print, print)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def refused_in_tests(spec: StateSpec, clock: ManualClock, machine_factory: MachineFactory) -> None:
    """Mistakes in tests of machines."""
    machine = StateMachine[int](spec, common_data=1, clock=clock)
    assert_path(machine)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_path(machine, ["Idle", "Fetching"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_path(["Idle"], "Idle")  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    explore(spec, 9)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    explore(spec, max_depht=9)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    explore(spec)[0].steps[0].way = "GO"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    await explore(spec)[0].drive(machine)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    machine_factory(spec, queue_overflow_policy="drop_oldst")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    machine_factory(spec, timeout=5.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await clock.advance("5 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await clock.advance_to_next(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Graph.of(spec).diff("other")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Graph.of(spec).to_text(heat={"a": "hot"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


class Refused(MachineStateful):
    """Its messages are no strategy, and its expected exceptions no exceptions."""

    messages = "pay"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    expected = (int,)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    error_state = 3  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
