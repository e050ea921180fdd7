"""What is proved about definitions: each finding by example, and all of them against brute force and real machines."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septum import (
    Again,
    Graph,
    LabeledTransition,
    Pop,
    PopFromEmptyStack,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateSpec,
    Unhandled,
)
from septum._proofs import prove
from tests.scenes import name_case, run
from tests.small_systems import STAY, E, explore, lead, make_system, step, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum import Finding
    from septum._node import Node
    from septum._proofs import Proofs
    from tests.small_systems import Configuration, Explored, Led

MOST = 150
"""Configurations that brute force looks at from each start."""


def make(name: str, *listed: Any, on_timeout: Any = None, **limits: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    config = StateConfiguration(**limits)
    return StateSpec(
        name=f"p.{name}", qualname=name, on_state=print, on_timeout=on_timeout, transitions=lambda: list(listed), config=config
    )


def link(spec: StateSpec, *listed: Any) -> None:
    """Give *spec* its transitions, now that their targets are there."""
    spec.transitions = lambda: list(listed)


def told(initial: StateSpec, error: StateSpec | None = None, *, spins: bool = False) -> list[tuple[Any, ...]]:
    """Return code, state, message and path of what is proved, with the spins or without."""
    proofs = prove(Graph.of(initial, error))
    found = (*proofs.findings, *proofs.spins) if spins else proofs.findings
    return [(finding.code, finding.state, finding.message, finding.path) for finding in found]


def depth(initial: StateSpec, error: StateSpec | None = None) -> int | None:
    """Return the most states that can be on the stack."""
    return prove(Graph.of(initial, error)).stack_depth


def go(target: Any, label: E = E.A) -> LabeledTransition:
    """Return a labelled edge."""
    return LabeledTransition(label, target)


def test_sound_subroutine_has_no_findings() -> None:
    """What is pushed over another state pops, and the machine can end."""
    done = make("Done", terminal=True)
    ask = make("Ask", go(Pop))
    main = make("Main")
    link(main, go(Push(ask, main)), go(done, E.B))
    assert (told(main), depth(main)) == ([], 1)


def test_pop_on_an_empty_stack() -> None:
    """The shortest way there, whatever the pop's edge is called; a state that is entered with something below it only is fine."""
    sub = make("Sub", Pop)
    link(start := make("Start"), go(sub), go(Push(sub, start), E.B))
    text = "State 'p.Sub' may answer Pop while nothing is on the stack."
    assert told(start) == [("SEP101", "p.Sub", text, (("p.Start", "E.A"), ("p.Sub", "Pop")))]
    link(start, go(Push(sub, start), E.B))
    assert told(start) == []


def test_brief_proofs_have_neither_paths_nor_spins() -> None:
    """What the log says is the same; the rest costs more than all else in a large definition."""
    loop = make("Loop", Again, Pop)
    full, brief = prove(Graph.of(loop)), prove(Graph.of(loop), full=False)
    assert brief.findings == tuple(replace(finding, path=()) for finding in full.findings)
    assert (full.full, len(full.spins), brief.full, brief.spins) == (True, 1, False, ())


def test_brief_proofs_find_what_full_ones_find() -> None:
    """Also where they see at a glance that there is nothing to find, as in definitions without a stack from which every way ends."""
    empty = 0
    for seed in range(600):
        graph, _ = make_system(random.Random(seed))
        full, brief = prove(graph), prove(graph, full=False)
        assert (brief.findings, brief.stack_depth) == (tuple(replace(finding, path=()) for finding in full.findings), full.stack_depth)
        empty += not full.findings
    assert 200 < empty < 500


@pytest.mark.parametrize("error_state", [False, True])
def test_a_state_without_an_end_is_found_though_nothing_is_pushed(error_state: bool) -> None:
    """An error state that ends is a way out of it, because every state may fail."""
    trap, end = make("Trap"), make("End", go(None))
    start = make("Start", go(end), go(trap, E.B))
    proofs = prove(Graph.of(start, end if error_state else None), full=False)
    assert [(finding.code, finding.state) for finding in proofs.findings] == ([] if error_state else [("SEP104", "p.Trap")])


def test_pop_on_an_empty_stack_behind_more_steps_than_can_be_told() -> None:
    """Sixty states that each push the one before twice: the finding stays, its path would be longer than anybody's patience."""
    doubling = make("D0", go(Pop))
    for number in range(1, 61):
        doubling = make(f"D{number}", go(Push(doubling, doubling)))
    last = make("Last", go(Pop))
    start = make("Start", go(Push(doubling, last)))
    text = "State 'p.Last' may answer E.A while nothing is on the stack."
    assert (told(start), depth(start)) == ([("SEP101", "p.Last", text, ())], 61)


def test_stack_without_bound() -> None:
    """The finding names the state that pushes, says what a lap is and what it leaves; the path ends where the lap is closed."""
    menu, sub = make("Menu"), make("Sub")
    link(start := make("Start"), go(menu))
    link(menu, go(Push(sub, start, start)), go(None, E.B))
    link(sub, go(menu), go(None, E.B))
    text = (
        "The stack can grow without bound: state 'p.Menu' answers E.A again and again (Menu -> Sub -> Menu), "
        "and every time round 2 more states stay on the stack."
    )
    path = (("p.Start", "E.A"), ("p.Menu", "E.A"), ("p.Sub", "E.A"))
    assert (told(start)[0], depth(start)) == (("SEP102", "p.Menu", text, path), None)


def test_stack_grows_through_the_error_state() -> None:
    """The error state finds the stack as it was; if it leads back to the start, each failure leaves something behind."""
    sub, error = make("Sub", go(Pop)), make("Error")
    link(start := make("Start"), go(Push(sub, start)))
    link(error, go(start))
    text = (
        "The stack can grow without bound: state 'p.Start' answers E.A again and again (Start -> Sub -> Error -> Start), "
        "and every time round 1 more state stays on the stack."
    )
    path = (("p.Start", "E.A"), ("p.Sub", "error"), ("p.Error", "E.A"))
    assert (told(start, error), depth(start, error)) == ([("SEP102", "p.Start", text, path)], None)
    assert depth(start) == 1


def test_each_group_that_grows_is_told_once() -> None:
    """In the order of the states; a long lap is drawn with a gap."""
    ring = [make(f"R{number}") for number in range(12)]
    for spec, after in zip(ring, [*ring[1:], ring[0]], strict=True):
        link(spec, go(after))
    link(ring[3], go(Push(ring[4], ring[4])))
    link(own := make("Own"), go(Push(own, own)), go(ring[0], E.B))
    found = told(own)
    assert [(code, state, len(path)) for code, state, _, path in found] == [
        ("SEP102", "p.Own", 1),
        ("SEP102", "p.R3", 13),
        ("SEP105", "p.Own", 1),
        ("SEP105", "p.R3", 5),
    ]
    assert "(R0 -> R1 -> R2 -> R3 -> ... -> R8 -> R9 -> R10 -> R11 -> R0)" in found[1][2]


@pytest.mark.parametrize("width", [1, 2, 3])
def test_depth_is_that_of_the_deepest_run(width: int) -> None:
    """Pushes over one another add up, edges keep what is there, branches count by the deepest."""
    leaf = make("Leaf", go(Pop))
    middle = make("Middle", go(Push(leaf, *[leaf] * (width - 1))), go(Pop, E.B))
    start = make("Start", go(Push(middle, leaf, leaf)), go(leaf, E.B), go(middle, E.C))
    assert depth(start) == 2 + width - 1


def test_state_that_no_run_reaches() -> None:
    """Each says why: below what never pops, behind a terminal state, or only from such."""
    far = make("Far")
    lost, end = make("Lost", go(far)), make("End", go(far, E.B), terminal=True)
    link(loop := make("Loop"), Again)
    start = make("Start", go(Push(loop, lost)), go(end, E.B))
    found = [finding for finding in told(start) if finding[0] == "SEP103"]
    assert found == [
        (
            "SEP103",
            "p.Lost",
            "State 'p.Lost' is drawn as reachable, but no run reaches it: 'p.Start' pushes it below 'p.Loop', which never pops.",
            (),
        ),
        ("SEP103", "p.Far", "State 'p.Far' is drawn as reachable, but no run reaches it: 'p.End' is terminal.", ()),
    ]
    link(end)
    assert told(start)[-3][2].endswith("it can only be entered from states that are not reached either.")


def test_terminal_state_leaves_by_its_on_timeout_alone() -> None:
    """What its on_state answers is ignored; what on_timeout answers is not."""
    after = make("After", terminal=True)
    assert [code for code, *_ in told(make("End", go(after), terminal=True))] == ["SEP103"]
    assert [code for code, *_ in told(make("End", go(after), terminal=True, timeout=1))] == ["SEP103"]
    assert told(make("End", go(after), terminal=True, timeout=1, on_timeout=print)) == []


def test_no_end_can_be_reached_any_more() -> None:
    """The first state of the dead end is told, not those behind it; an edge that ends the machine is an end."""
    link(again := make("Loop"), Again)
    lost = make("Lost", go(again))
    start = make("Start", go(lost), go(None, E.B))
    text = "Once the machine is in state 'p.Lost', no terminal state can be reached any more."
    assert told(start) == [("SEP104", "p.Lost", text, (("p.Start", "E.A"),))]
    link(start, go(lost))
    assert told(start) == []


def test_no_end_can_be_reached_from_the_start() -> None:
    """Then that is all there is to say."""
    end = make("End", terminal=True)
    link(loop := make("Loop"), Again)
    start = make("Start", go(Push(loop, end)))
    text = "No terminal state can be reached from 'p.Start', where the machine begins."
    assert [finding for finding in told(start) if finding[0] == "SEP104"] == [("SEP104", "p.Start", text, ())]


def test_no_end_can_be_reached_with_this_stack() -> None:
    """A state from which one can be reached with another stack is told where it is not the right one."""
    end = make("End", terminal=True)
    link(loop := make("Loop"), Again)
    sub = make("Sub", go(Pop))
    start = make("Start", go(Push(sub, end)), go(Push(sub, loop), E.B))
    text = "Once the machine is in state 'p.Sub' with what is then below it on the stack, no terminal state can be reached any more."
    assert told(start) == [("SEP104", "p.Sub", text, (("p.Start", "E.B"),))]


def test_state_that_cannot_go_on_decides_before_what_is_below_it() -> None:
    """Pushed over an end, but with a dead end between: there is no way down to it."""
    end = make("End", terminal=True)
    link(loop := make("Loop"), Again)
    sub = make("Sub", go(Pop))
    inner = make("Inner", go(Push(sub, loop)), go(end, E.B), go(Pop, E.C))
    start = make("Start", go(Push(inner, end)))
    found = [finding[1:] for finding in told(start) if finding[0] == "SEP104"]
    text = "Once the machine is in state 'p.Sub' with what is then below it on the stack, no terminal state can be reached any more."
    assert found == [("p.Sub", text, (("p.Start", "E.A"), ("p.Inner", "E.A")))]


def test_dead_end_may_lie_below() -> None:
    """It is entered by a pop of a state that could have ended instead, by the shortest such run."""
    end = make("End", terminal=True)
    link(loop := make("Loop"), Again)
    last = make("Last", go(Pop), go(end, E.B))
    quick = make("Quick", go(Pop))
    sub = make("Sub", go(quick), go(make("Step", go(last)), E.B), go(last, E.C))
    start = make("Start", go(Push(sub, loop)))
    found = {finding[1]: finding[3] for finding in told(start) if finding[0] == "SEP104"}
    assert found == {
        "p.Quick": (("p.Start", "E.A"), ("p.Sub", "E.A")),
        "p.Loop": (("p.Start", "E.A"), ("p.Sub", "E.C"), ("p.Last", "E.A")),
    }


def test_error_state_is_a_way_to_the_end_or_away_from_it() -> None:
    """From everywhere but from itself."""
    stuck, end = make("Stuck", can_dwell=True), make("End", terminal=True)
    start = make("Start", go(stuck), go(None, E.B))
    assert [state for _, state, _, _ in told(start)] == ["p.Stuck"]
    assert told(start, end) == []
    link(start, go(None))
    assert [(state, path) for _, state, _, path in told(start, stuck)] == [("p.Stuck", (("p.Start", "error"),))]


def test_state_is_pushed_and_never_returned_to() -> None:
    """All that is below the one that never pops; the push's own finding, at the state that pushes."""
    link(loop := make("Loop"), Again)
    sub = make("Sub", go(Pop))
    link(start := make("Start"), go(Push(sub, loop, sub, start)), go(Push(sub, start), E.B))
    text = "State 'p.Start' pushes 'p.Sub', 'p.Start' below 'p.Loop', which never pops: they are never returned to."
    assert told(start) == [("SEP105", "p.Start", text, (("p.Start", "E.A"),))]
    link(start, go(Push(loop, start)))
    text = "State 'p.Start' pushes 'p.Start' below 'p.Loop', which never pops: it is never returned to."
    assert told(start)[-1] == ("SEP105", "p.Start", text, (("p.Start", "E.A"),))


def test_cycle_that_never_waits() -> None:
    """Once for each group of states that cannot wait; can_dwell or a timeout on the way makes it none."""
    b = make("B")
    link(a := make("A"), go(b))
    link(b, go(a))
    start = make("Start", go(a), can_dwell=True)
    text = "The machine can go round without ever waiting: A -> B -> A."
    path = (("p.Start", "E.A"), ("p.A", "E.A"), ("p.B", "E.A"))
    assert told(start, spins=True) == [("SEP106", "p.A", text, path)]
    assert told(start) == []
    for limits in ({"can_dwell": True}, {"timeout": 1.0}):
        b.config = StateConfiguration(**limits)
        assert told(start, spins=True) == []


@pytest.mark.parametrize(
    ("marker", "limits", "spins"),
    [
        (Again, {}, True),
        (Repeat, {}, True),
        (Restart, {}, False),
        (Unhandled, {}, False),
        (Again, {"can_dwell": True}, False),
        (Retry, {}, True),
        (Retry, {"retries": 3}, False),
        (Retry, {"retry": RetryPolicy()}, False),
        (Retry, {"retry": RetryPolicy(base=0)}, True),
        (Retry, {"retry": RetryPolicy(factor=0)}, True),
        (Retry, {"retry": RetryPolicy(max_delay=0)}, True),
        (Retry, {"retry": RetryPolicy(max=3, base=0)}, False),
    ],
    ids=name_case,
)
def test_listed_markers_may_spin(marker: Any, limits: Any, spins: bool) -> None:
    """Those that bring the state back at once, for ever; unlisted ones are not assumed."""
    found = told(make("A", marker, **limits), spins=True)
    assert [(code, path) for code, _, _, path in found] == ([("SEP106", (("p.A", marker.__name__),))] if spins else [])
    assert told(make("A", **limits), spins=True) == []


def test_cycle_at_the_end_of_a_long_way_is_told_without_its_path() -> None:
    """More steps than are spelled out."""
    spec = make("Loop", Again)
    for number in range(500):
        spec = make(f"W{number}", go(spec))
    assert told(spec, spins=True) == [("SEP106", "p.Loop", "The machine can go round without ever waiting: Loop -> Loop.", ())]


def test_cycle_may_go_over_the_stack() -> None:
    """What is pushed and popped at once is part of it, and drawn; a pop into what the start left there is no cycle."""
    sub = make("Sub", go(Pop))
    link(start := make("Start"), go(Push(sub, start)))
    text = "The machine can go round without ever waiting: Start -> Sub -> Start."
    assert told(start, spins=True) == [("SEP106", "p.Start", text, (("p.Start", "E.A"), ("p.Sub", "E.A")))]
    link(start, go(Push(sub, sub, sub)))
    assert [code for code, *_ in told(start, spins=True)] == ["SEP101"]


def of_code(proofs: Proofs, code: str) -> dict[str, Finding]:
    """Return the findings of a code by their states; each has one at most, but for SEP105."""
    return {finding.state: finding for finding in proofs.findings if finding.code == code}


def near(distances: dict[str, int], radius: float) -> dict[str, int]:
    """Return the distances that brute force is sure of."""
    return {name: distance for name, distance in distances.items() if distance < radius}


def compare(graph: Graph, most: int = MOST) -> Proofs:
    """Assert that what is proved about *graph* and what brute force finds agree, in both directions as far as either can see."""
    proofs = prove(graph)
    seen = explore(graph, (graph.initial, ()), most)
    compare_reached(graph, proofs, seen)
    compare_empty_pops(proofs, seen)
    compare_stack(graph, proofs, seen)
    compare_dead_ends(graph, proofs, seen)
    compare_never_returned(graph, proofs, seen, most)
    compare_spins(graph, proofs, seen, most)
    return proofs


def compare_reached(graph: Graph, proofs: Proofs, seen: Explored) -> None:
    """SEP103: what brute force reaches is not said to be unreached; if it saw everything, all the rest is."""
    reached = {node.name for node, _ in seen.distances}
    unreached = of_code(proofs, "SEP103").keys()
    assert not reached & unreached
    if not seen.left_out:
        assert reached | unreached == graph.by_name.keys()


def compare_empty_pops(proofs: Proofs, seen: Explored) -> None:
    """SEP101: the same states, by paths of the same length; those that are too far for brute force are walked elsewhere."""
    lengths = {name: len(finding.path) for name, finding in of_code(proofs, "SEP101").items()}
    found = {node.name: distance for node, distance in seen.empty_pops.items()}
    assert near(lengths, seen.radius) == near(found, seen.radius)
    assert found.keys() <= lengths.keys()


def compare_stack(graph: Graph, proofs: Proofs, seen: Explored) -> None:
    """SEP102 and the depth: exact where brute force saw everything; a stack that no run without a repetition could build is unbounded."""
    unbounded = of_code(proofs, "SEP102")
    deepest = max(len(stack) for _, stack in seen.distances)
    assert (proofs.stack_depth is None) == bool(unbounded)
    if not seen.left_out:
        assert proofs.stack_depth == deepest
    elif proofs.stack_depth is not None:
        assert deepest <= proofs.stack_depth <= 2 * (len(graph.nodes) - 1)


def compare_dead_ends(graph: Graph, proofs: Proofs, seen: Explored) -> None:
    """SEP104: a state is named if and only if a run passes there from where an end can be reached to where none can."""
    named = of_code(proofs, "SEP104")
    has_end = any(node.terminal or any(edge.kind == "end" for edge in node.edges) for node in graph.nodes)
    alive = seen.find_those_that_lead_to(seen.ending)
    # Of these brute force does not know.
    open_ends = seen.find_those_that_lead_to(seen.left_out) - alive
    start: Configuration = (graph.initial, ())
    if not has_end:
        assert not named
    elif start not in alive | open_ends:
        assert {name: finding.path for name, finding in named.items()} == {graph.initial.name: ()}
    elif start in alive:
        entries: dict[str, int] = {}
        for source, targets in seen.edges.items():
            for target in targets:
                if source in alive and target not in alive | open_ends:
                    name = target[0].name
                    entries[name] = min(entries.get(name, 999), seen.distances[source] + 1)
        assert entries.keys() <= named.keys()
        for name, finding in named.items():
            *_, last, here = walk(graph, finding.path)
            assert here is not None
            assert last is not None
            assert here[0].name == name
            assert not explore(graph, here, MOST).ending
            assert explore(graph, last, MOST).ending or explore(graph, last, MOST).left_out
            assert len(finding.path) <= entries.get(name, 999)
            if not open_ends:
                assert len(finding.path) == entries[name]


def can_pop(graph: Graph, node: Node, most: int) -> bool | None:
    """Say whether *node* can be popped away with everything that it pushes; None if brute force does not know."""
    alone = explore(graph, (node, ()), most)
    return True if alone.empty_pops else None if alone.left_out else False


def compare_never_returned(graph: Graph, proofs: Proofs, seen: Explored, most: int) -> None:
    """SEP105: for each push of a state that is reached, something below is lost if and only if something above it cannot be popped."""
    told = Counter((finding.state, finding.path[-1][1]) for finding in proofs.findings if finding.code == "SEP105" and finding.path)
    assert set(told.values()) <= {1}
    for node in {node for node, _ in seen.distances}:
        for name, edge in {(edge.name, edge) for edge in node.edges if edge.kind == "push"}:
            pops = [can_pop(graph, target, most) for target in edge.targets[:-1]]
            if node.terminal and (node.timeout is None or node.on_timeout is None):
                assert (node.name, name) not in told
            elif False in pops[: pops.index(None) if None in pops else None]:
                assert told[node.name, name] == 1
            elif None not in pops:
                assert (node.name, name) not in told


def compare_spins(graph: Graph, proofs: Proofs, seen: Explored, most: int) -> None:
    """SEP106: there is one if and only if somewhere a run of states that cannot wait goes on for ever."""

    def cannot_wait(node: Node) -> bool:
        return not node.may_wait

    endless: bool | None = False
    for node in {node for node, _ in seen.distances if not node.may_wait}:
        alone = explore(graph, (node, ()), most, only=cannot_wait)
        loops = any(after == here and spins_alone(here[0], kind) for here in alone.edges for _, after, kind in step(graph, here))
        if loops or has_cycle(alone) or max(len(stack) for _, stack in alone.distances) > 2 * len(graph.nodes):
            endless = True
            break
        if alone.left_out:
            endless = None
    if endless is not None and (endless or not seen.left_out):
        assert bool(proofs.spins) == endless
    for finding in proofs.spins:
        configurations = walk(graph, finding.path)
        assert any(
            comes_back(configurations, place) and all(here is not None and not here[0].may_wait for here in configurations[place:])
            for place in range(len(finding.path))
        )


def spins_alone(node: Node, kind: str) -> bool:
    """Say whether an edge of this kind brings a state back to itself without waiting, any number of times."""
    if node.may_wait:
        return False
    policy = node.retry
    return kind not in {"restart", "retry"} or (kind == "retry" and node.retries is None and (policy is None or policy.base == 0))


def has_cycle(seen: Explored) -> bool:
    """Say whether some configuration leads back to itself; those that lead to themselves alone were left out."""
    waiting = {here: len(after) for here, after in seen.edges.items()}
    before: dict[Configuration, list[Configuration]] = {}
    for source, targets in seen.edges.items():
        for target in targets:
            before.setdefault(target, []).append(source)
    ends = [here for here in seen.distances if not waiting.get(here, 0)]
    gone = 0
    while ends:
        gone += 1
        for source in before.get(ends.pop(), ()):
            waiting[source] -= 1
            if not waiting[source]:
                ends.append(source)
    return gone < len(seen.distances)


def comes_back(configurations: list[Configuration | None], place: int, more: int = 0) -> bool:
    """Say whether the last of *configurations* is that of *place* with *more* on the stack at least, and nothing below was touched."""
    first, last = configurations[place], configurations[-1]
    assert first is not None
    assert last is not None
    untouched = all(here is not None and here[1][: len(first[1])] == first[1] for here in configurations[place:])
    return untouched and last[0] is first[0] and len(last[1]) >= len(first[1]) + more


async def follow_path(graph: Graph, led: Led, finding: Finding) -> None:
    """Assert that a real machine goes along the path of *finding* and shows it at the end."""
    seen, raised = await lead(graph, led, finding.path)
    expected = walk(graph, finding.path)
    configurations = [None if here is None else (here[0].name, tuple(node.name for node in here[1])) for here in expected[1:]]
    state, label = finding.path[-1]
    if finding.code == "SEP101":
        assert (raised is None and graph.error is not None) or isinstance(raised, PopFromEmptyStack)
        # It stays where it is, or goes to the error state.
        assert seen[-1][1] == ()
        del seen[-1], configurations[-1]
        raised = None
    assert (seen, raised) == (configurations, None)
    here = expected[-1]
    if finding.code == "SEP102":
        assert any(comes_back(expected, place, more=1) for place in range(len(finding.path)))
        assert finding.state in {state for state, _ in finding.path}
    elif finding.code == "SEP104":
        assert here is not None
        assert here[0].name == finding.state
    elif finding.code == "SEP105":
        assert state == finding.state
        assert here is not None
        edge = next(edge for edge in graph.by_name[state].edges if edge.name == label)
        assert here[1][-len(edge.targets) + 1 :] == edge.targets[:0:-1]


def judge(chance: random.Random) -> Counter[str]:
    """Hold one random definition against brute force and real machines; return how often each kind of finding came."""
    graph, led = make_system(chance)
    proofs = compare(graph)

    async def scene() -> None:
        for finding in (*proofs.findings, *proofs.spins):
            if finding.path:
                await follow_path(graph, led, finding)

    run(scene())
    return Counter(finding.code for finding in (*proofs.findings, *proofs.spins))


def test_small_systems_are_judged_as_brute_force_judges_them() -> None:
    """Each finding is really there and each that is there is found, by the shortest path, which a real machine can walk."""
    counts = sum((judge(random.Random(seed)) for seed in range(120)), Counter[str]())
    assert set(counts) == {"SEP101", "SEP102", "SEP103", "SEP104", "SEP105", "SEP106"}


@pytest.mark.slow
def test_thousands_of_small_systems_are_judged_as_brute_force_judges_them() -> None:
    """The same for 2,500 definitions, with each kind of finding at least a hundred times."""
    counts = sum((judge(random.Random(seed)) for seed in range(1_000, 3_500)), Counter[str]())
    assert {code: count for code, count in counts.items() if count < 100} == {}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_systems_that_hypothesis_makes_up_are_judged_as_brute_force_judges_them(chance: random.Random) -> None:
    """The same for what Hypothesis looks for, so that a disagreement comes with the smallest definition that shows it."""
    judge(chance)


def list_runs(graph: Graph, length: int) -> Iterator[list[Configuration | None]]:
    """Yield every run of up to *length* steps, the shorter ones first."""
    runs: list[list[Configuration | None]] = [[(graph.initial, ())]]
    for _ in range(length):
        runs = [
            [*before, after] for before in runs for _, after, kind in step(graph, before[-1]) if after is not None and repeats(before, kind)
        ]  # type: ignore[arg-type]
        yield from runs


def repeats(run_so_far: list[Configuration | None], kind: str) -> bool:
    """Say whether the last state of a run may take an edge of this kind there: one to itself only if that does not wait."""
    here = run_so_far[-1]
    return here is not None and (kind not in STAY or spins_alone(here[0], kind))


@pytest.mark.slow
def test_laps_are_the_shortest_that_there_are() -> None:
    """No shorter run shows that the stack grows, or that a machine can spin, than the path of one of the findings."""
    for seed in range(3_000):
        graph, _ = make_system(random.Random(seed))
        proofs = prove(graph)
        growing = [len(finding.path) for finding in proofs.findings if finding.code == "SEP102"]
        spinning = [len(finding.path) for finding in proofs.spins]
        shortest = {"growing": 99, "spinning": 99}
        for seen in list_runs(graph, 5):
            for place in range(len(seen) - 1):
                if comes_back(seen, place, more=1):
                    shortest["growing"] = min(shortest["growing"], len(seen) - 1)
                if comes_back(seen, place) and all(here is not None and not here[0].may_wait for here in seen[place:]):
                    shortest["spinning"] = min(shortest["spinning"], len(seen) - 1)
        for found, least in ((growing, shortest["growing"]), (spinning, shortest["spinning"])):
            assert min(found, default=99) == least if least < 99 else not found or min(found) > 5
