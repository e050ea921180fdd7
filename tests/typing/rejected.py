"""Programs that a type checker must refuse; `make lint` fails when one of the ignores is not needed. Never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from septum import Graph, LabeledTransition, Push, SharedContext, StateConfiguration, StateMachine, StateRef, StateSpec, facts, septum


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
