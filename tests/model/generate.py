"""Hypothesis strategies for programs: random definitions, tapes and commands.

Every time that something waits for is a sum of powers of two in which each wait has one of its own: two moments are never equal by
chance (what then comes first is nobody's promise), and no sum is ever rounded.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.model.program import Answer, Call, Command, Definition, Doing, Edge, Message, Policy, State

KINDS = ["label", "label", "label", "direct", "push", "push", "pop", "pop", "again", "unhandled", "repeat", "restart", "retry", "end"]
FLAVOURS = st.sampled_from(["async", "async", "sync"])
numbers = st.integers(0, 9)
messages = st.builds(Message, st.sampled_from(["user", "user", "user", "internal", "error"]), numbers)


@st.composite
def edges(draw: st.DrawFn, states: int) -> tuple[Edge, ...]:
    """Edges of one state: no label twice, no way twice."""
    found: dict[tuple[str, tuple[int, ...]], Edge] = {}
    for label in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(KINDS))
        width = {"label": 1, "direct": 1, "push": draw(st.integers(1, 3)) if kind == "push" else 0}.get(kind, 0)
        targets = tuple(draw(st.integers(0, states - 1)) for _ in range(width))
        labelled = kind in {"label", "end"} or (kind != "direct" and draw(st.booleans()))
        way = ("label" if kind == "direct" else kind, targets)
        if way not in found:
            found[way] = Edge(label if labelled else None, kind, targets)
    return tuple(found.values())


@st.composite
def states(draw: st.DrawFn, count: int, number: int) -> State:
    """One state, with any mixture of handlers and limits."""
    handlers = {"on_state": draw(FLAVOURS)}
    wanted = draw(st.sets(st.sampled_from(["on_enter", "on_leave", "on_timeout", "on_fail"])))
    timeout = draw(st.sampled_from([None, None, 1.0, 2.5]))
    if timeout is not None and draw(st.booleans()):
        wanted.add("on_timeout")
    handlers |= {handler: draw(FLAVOURS) for handler in sorted(wanted)}
    policy = st.builds(
        Policy, max=st.sampled_from([None, 1]), base=st.sampled_from([0.0, 0.25, 2.0]), max_delay=st.sampled_from([0.5, 60.0])
    )
    return State(
        handlers=handlers,
        edges=draw(edges(count)),
        timeout=timeout,
        retries=draw(st.sampled_from([None, 0, 1, 2])),
        policy=draw(st.one_of(st.none(), policy)),
        terminal=number > 0 and draw(st.integers(0, 7)) == 7,
        can_dwell=draw(st.sampled_from([True, True, False])),
    )


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """A machine of 2 to 6 states."""
    count = draw(st.integers(2, 6))
    some = st.one_of(st.just(frozenset[int]()), st.frozensets(numbers, max_size=2))
    return Definition(
        states=tuple(draw(states(count, number)) for number in range(count)),
        error=draw(st.one_of(st.none(), st.integers(0, count - 1))),
        max_queue_size=draw(st.sampled_from([1000, 1000, 1, 2, 3])),
        policy=draw(st.sampled_from(["block", "fail", "drop_newest", "drop_oldest"])),
        filtered=draw(some),
        filter_raises=draw(some),
        has_trap=draw(st.sampled_from([False, False, True])),
        on_error=draw(st.sampled_from([None, None, "sync", "async"])),
    )


amounts = st.sampled_from([0.5, 1.0, 2.5, 4.0])
doings = st.one_of(
    st.builds(Doing, st.just("nap")),
    st.builds(Doing, st.just("hang"), amounts),
    st.builds(Doing, st.just("advance"), amounts),
    st.builds(Doing, st.just("send"), message=messages),
)
ANSWERS = (
    ["edge"] * 12
    + ["nothing"] * 3
    + ["name", "value", "state", "push", "again", "unhandled", "repeat", "restart", "retry", "pop", "rubbish"]
)
answers = st.builds(Answer, st.sampled_from(ANSWERS), numbers)
calls = st.builds(
    Call,
    doings=st.one_of(st.just(()), st.just(()), st.lists(doings, min_size=1, max_size=3).map(tuple)),
    answer=answers,
    boom=st.sampled_from([None] * 9 + [1]),
    swallow=st.booleans(),
)
cancel_at = st.one_of(st.none(), st.none(), st.integers(0, 2))
commands = st.one_of(
    st.builds(Command, st.just("tick"), st.sampled_from([0.0, 0.0, None, 0.5, 2.5]), cancel_at=cancel_at),
    st.builds(Command, st.just("tick"), st.just(0.0)),
    st.builds(Command, st.just("send"), message=messages),
    st.builds(Command, st.just("run"), st.sampled_from([0.0, 1.0, None]), limit=st.integers(1, 8), cancel_at=cancel_at),
    st.builds(Command, st.just("run"), st.just(0.0), cancel_at=cancel_at),
    st.builds(Command, st.just("advance"), st.sampled_from([0.25, 1.0, 1.5, 2.5])),
    st.sampled_from([Command("initialize"), Command("reset")]),
)


def tell_moments_apart(tape: tuple[Call, ...], orders: tuple[Command, ...]) -> tuple[tuple[Call, ...], tuple[Command, ...]]:
    """Add to each wait of its own a fraction that no other wait has."""
    made = 3

    def apart(amount: float) -> float:
        nonlocal made
        made += 1
        return amount + 0.5**made

    tape = tuple(
        replace(call, doings=tuple(replace(doing, amount=apart(doing.amount)) if doing.kind == "hang" else doing for doing in call.doings))
        for call in tape
    )
    return tape, tuple(
        replace(order, amount=apart(order.amount)) if order.kind in {"tick", "run"} and order.amount else order for order in orders
    )


@st.composite
def programs(draw: st.DrawFn) -> tuple[Definition, tuple[Call, ...], tuple[Command, ...]]:
    """A definition, what its handlers do, and what is done to the machine."""
    tape = draw(st.lists(calls, min_size=8, max_size=30).map(tuple))
    orders = draw(st.lists(commands, min_size=4, max_size=14).map(tuple))
    return draw(definitions()), *tell_moments_apart(tape, orders)
