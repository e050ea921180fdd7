"""Pushdown systems in the abstract: who can be popped away and how soon, heads, shortest ways, groups and laps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from septum._pushdown import Pushdown, Reach, Rule, find_components, find_lap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum._pushdown import Arc


def system(*rules: str) -> Pushdown:
    """Return the system of rules written as "0 > 1 2": from state 0 to 1 with 2 below it."""
    parts = [rule.partition(">") for rule in rules]
    found = [Rule(int(left), tuple(map(int, right.split())), (left.strip(), f"{left.strip()}:{right.strip()}")) for left, _, right in parts]
    size = 1 + max(state for rule in found for state in (rule.source, *rule.into))
    return Pushdown(size, found)


def spelled(pushdown: Pushdown, arcs: list[Arc]) -> list[str]:
    """Return the rules of the run along *arcs*."""
    return [rule.step[1] for rule in pushdown.spell(arcs)]


def reach(pushdown: Pushdown, start: int = 0) -> Reach:
    """Return the shortest ways from *start* to every head."""

    def follow(state: int) -> Iterator[tuple[int, Arc]]:
        return ((arc.target, arc) for arc in pushdown.arcs[state])

    return Reach(start, follow)


def test_pops_are_as_short_as_can_be() -> None:
    """A pop takes a step; an edge one more than its target, a push one more than all its states; nobody pops without a pop."""
    found = system("0 >", "1 > 0", "2 > 1 0 0", "2 > 3", "3 > 3", "4 > 0 3", "5 > 2", "5 > 6", "6 >").pops
    assert found == [1, 2, 5, None, None, 2, 1]


def test_state_that_stands_twice_in_a_word_is_popped_twice() -> None:
    """Each time counts, so that doubling sixty times takes more steps than fit into a machine word."""
    doubling = system("0 >", *(f"{state} > {state - 1} {state - 1}" for state in range(1, 65)))
    assert doubling.pops[64] == 2**65 - 1


def test_rules_that_need_each_other_pop_nothing() -> None:
    """The fixpoint is the least one: going round is no pop."""
    assert system("0 > 1", "1 > 0", "2 > 0 1").pops == [None, None, None]


def test_heads_lead_to_all_that_can_come_to_the_front() -> None:
    """To each state of a word, as long as those before it can be popped away; what is behind it stays below."""
    pushdown = system("0 > 1 2 3 1", "1 >", "2 > 1 1", "3 > 3")
    arcs = pushdown.arcs[0]
    assert [(arc.target, arc.cost, arc.growth) for arc in arcs] == [(1, 1, 3), (2, 2, 2), (3, 5, 1)]
    assert [spelled(pushdown, [arc]) for arc in arcs] == [
        ["0:1 2 3 1"],
        ["0:1 2 3 1", "1:"],
        ["0:1 2 3 1", "1:", "2:1 1", "1:", "1:"],
    ]


def test_what_is_popped_away_is_spelled_in_its_order() -> None:
    """Inside what is popped away, too, the state in front goes first."""
    pushdown = system("0 > 1 4", "1 > 2 3", "2 >", "3 > 2 2", "4 > 4")
    assert spelled(pushdown, pushdown.arcs[0][1:]) == ["0:1 4", "1:2 3", "2:", "3:2 2", "2:", "2:"]


def test_ways_are_the_cheapest() -> None:
    """More arcs may cost less than one that has much to pop."""
    pushdown = system("0 > 1 4", "0 > 5", "5 > 4", "1 > 2", "2 > 3", "3 >")
    found = reach(pushdown)
    assert found.costs == {0: 0, 1: 1, 5: 1, 2: 2, 4: 2, 3: 3}
    assert spelled(pushdown, found.find_way(4)) == ["0:5", "5:4"]
    assert found.find_way(0) == []


def test_search_ends_at_its_goal_or_limit() -> None:
    """With a goal what is farther is left alone, with a limit whatever does not cost less."""
    pushdown = system("0 > 1", "1 > 2", "2 > 3")

    def follow(state: int) -> Iterator[tuple[int, Arc]]:
        return ((arc.target, arc) for arc in pushdown.arcs[state])

    assert Reach(0, follow, goal=1).costs == {0: 0, 1: 1}
    assert Reach(0, follow, limit=2).costs == {0: 0, 1: 1}


def test_components_come_behind_those_they_lead_to() -> None:
    """Each once, whole, only what can be reached, in the order that a stack's depth is measured in."""
    pushdown = system("0 > 1", "1 > 2", "2 > 1", "2 > 3", "3 > 4", "4 > 4", "5 > 0")
    assert [sorted(group) for group in find_components([0], pushdown.arcs)] == [[4], [3], [1, 2], [0]]
    assert [sorted(group) for group in find_components([3, 0], pushdown.arcs)] == [[4], [3], [1, 2], [0]]


def test_components_of_a_long_chain_need_no_recursion() -> None:
    """Three thousand states in a row, and in a ring."""
    chain = [f"{state} > {state + 1}" for state in range(3_000)]
    assert len(find_components([0], system(*chain).arcs)) == 3_001
    assert len(find_components([0], system(*chain, "3000 > 0").arcs)) == 1


def test_lap_is_the_shortest_with_the_way_to_it() -> None:
    """A short lap that is far away gives way to a longer one that is near."""
    near = ["0 > 1", "1 > 2", "2 > 0"]
    far = [*near, "2 > 3", "3 > 4", "4 > 4", "4 > 0"]
    pushdown = system(*far)
    lap = find_lap(reach(pushdown).costs, pushdown.arcs, range(5), growing=False)
    assert lap is not None
    assert (lap.start, spelled(pushdown, lap.arcs), lap.cost) == (0, ["0:1", "1:2", "2:0"], 3)
    pushdown = system("0 > 1", "1 > 2", "2 > 3", "3 > 0", "1 > 1")
    lap = find_lap(reach(pushdown).costs, pushdown.arcs, range(4), growing=False)
    assert lap is not None
    assert (lap.start, spelled(pushdown, lap.arcs), lap.cost) == (1, ["1:1"], 2)


def test_growing_lap_leaves_something_on_the_stack() -> None:
    """A shorter lap that does not is no answer; where none does there is no answer."""
    pushdown = system("0 > 0", "0 > 1 0", "1 > 0")
    costs = reach(pushdown).costs
    lap = find_lap(costs, pushdown.arcs, [0, 1], growing=True)
    assert lap is not None
    assert (lap.start, spelled(pushdown, lap.arcs), lap.cost) == (0, ["0:1 0", "1:0"], 2)
    assert find_lap(costs, system("0 > 1", "1 > 0").arcs, [0, 1], growing=True) is None


def test_long_search_for_a_lap_ends_with_the_best_so_far() -> None:
    """In a ring of a thousand states every start costs the length of the ring; a few are tried."""
    pushdown = system(*(f"{state} > {(state + 1) % 1_000}" for state in range(1_000)))
    lap = find_lap(reach(pushdown).costs, pushdown.arcs, range(1_000), growing=False)
    assert lap is not None
    assert (lap.start, lap.cost) == (0, 1_000)
