"""assert_path: where a machine went, compared with a line of text such as `A -START-> B -timeout-> C`."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from septum.testing._errors import ambiguous_name, unknown_name, unreadable
from septum.testing._goals import describe_edge
from septum.testing._walk import is_called, read_walk, short_name

if TYPE_CHECKING:
    from septum import Graph
    from septum.testing._walk import Source, Walk, WalkedStep

END: Final = "end"
"""What stands for the end of a machine, where an edge leads to no state."""

_STATE: Final = re.compile(r"\s*(?P<name>(?:[^\W\d]|<locals>)(?:[\w.]|<locals>)*)\s*")
_ARROW: Final = re.compile(r"-+(?P<words>[\w.\s]*)-*>")
_WORDS: Final = frozenset(
    {"label", "direct", "push", "pop", "again", "unhandled", "repeat", "restart", "retry", "error", "end", "timeout", "fail"}
)
_SHOWN_BEFORE: Final = 4


class Place(NamedTuple):
    """A state of a written path: its name, and the column in which it stands."""

    name: str
    column: int


class WrittenStep(NamedTuple):
    """A step of a written path: every one of *words* must name the transition; without any, each transition will do."""

    words: tuple[str, ...]
    target: Place

    def allows(self, step: WalkedStep) -> bool:
        """Say whether *step* is what is written."""
        target = self.target.name
        arrived = target == END if step.target is None else is_called(step.target, target)
        return arrived and all(_means(word, step.names) for word in self.words)


class WrittenPath(NamedTuple):
    """A path as a test writes it down."""

    text: str
    start: Place
    steps: tuple[WrittenStep, ...]


def assert_path(fsm_or_facts: Source, path: str) -> None:
    """Fail unless the machine's last run went exactly along *path*, from its first state to where it is now.

        assert_path(fsm, "Idle -START-> Fetching -retry-> Fetching -timeout-> Idle")

    Args:
        fsm_or_facts: A machine that has a `RecorderHooks` (one of the fixture `machine_factory` has), a `RecorderHooks`, or facts of one
            machine. Facts that begin in the middle of a run are a walk from there.
        path: States and arrows in turn. A state is its name or the last parts of it, `end` the end of a machine by an edge to None. Between
            `-` and `->` stand the names of the transition: its label (`START` or `Events.START`); its kind (direct, push, pop, again,
            repeat, restart, retry, error, end); `timeout` if a deadline brought it about, `fail` if exhausted retries did; for an error the
            class of the exception, or one that it derives from. Of several words all must fit: `-timeout SILENT->`. `->` alone is any
            transition.

    Raises:
        AssertionError: It went elsewhere; the text shows both ways and where they part.
        PathError: *path* cannot be read or names a state that is not there, or *fsm_or_facts* tells of no run, or of several machines.
    """
    __tracebackhide__ = True
    walk = read_walk(fsm_or_facts)
    written = read_path(path)
    if walk.graph is not None:
        _check_states(written, walk.graph)
    parting = find_parting(written, walk)
    if parting is not None:
        raise AssertionError(describe_parting(written, walk, parting))


def read_path(text: str) -> WrittenPath:
    """Return the path that *text* says.

    Raises:
        PathError: It is none; the text shows the column.
    """
    found = _STATE.match(text)
    if found is None:
        raise unreadable(text, len(text) - len(text.lstrip()), "the name of a state")
    start = Place(found["name"], found.start("name"))
    steps: list[WrittenStep] = []
    while found.end() < len(text):
        arrow = _ARROW.match(text, found.end())
        if arrow is None:
            raise unreadable(text, found.end(), f"an arrow such as -START-> or -> after {found['name']!r}")
        found = _STATE.match(text, arrow.end())
        if found is None:
            raise unreadable(text, arrow.end(), f"a state, or {END}, after the arrow")
        steps.append(WrittenStep(tuple(arrow["words"].split()), Place(found["name"], found.start("name"))))
    return WrittenPath(text, start, tuple(steps))


def find_parting(written: WrittenPath, walk: Walk) -> int | None:
    """Return the number of the first step at which they differ, 0 for the start; None if they do not."""
    if not is_called(walk.start, written.start.name):
        return 0
    for number, (told, step) in enumerate(zip_longest(written.steps, walk.steps), start=1):
        if told is None or step is None or not told.allows(step):
            return number
    return None


def describe_parting(written: WrittenPath, walk: Walk, parting: int) -> str:
    """Return what to say of a walk that left the path at step *parting*: both, one above the other, and what could have been."""
    names = _names_in(walk)
    above = [written.start.name, *(f"{_arrow(step.words)} {step.target.name}" for step in written.steps)]
    below = [short_name(walk.start, names), *(f"{_arrow(step.way)} {short_name(step.target, names)}" for step in walk.steps)]
    first = max(0, parting - _SHOWN_BEFORE)
    lines = ["  path:   ", "  walked: "] if not first else ["  path:   ... ", "  walked: ... "]
    mark = ""
    for number, (one, other) in enumerate(zip_longest(above, below, fillvalue="")):
        if number < first:
            continue
        if number == parting:
            mark = " " * len(lines[0]) + "^"
        width = max(len(one), len(other))
        lines = [lines[0] + one.ljust(width) + " ", lines[1] + other.ljust(width) + " "]
    text = [_sentence(written, walk, parting, names), *(line.rstrip() for line in lines), mark]
    ways = _ways_out(walk, parting, names)
    return "\n".join([*text, *([ways] if ways else [])])


def _sentence(written: WrittenPath, walk: Walk, parting: int, names: set[str]) -> str:
    machine = f"machine {walk.machine!r}" if walk.machine else "the machine"
    if parting == 0:
        return f"{machine} began in {short_name(walk.start, names)}, not in {written.start.name}"
    here = walk.start if parting == 1 else walk.steps[parting - 2].target
    where = short_name(here, names)
    if parting > len(walk.steps):
        return f"{machine} is still in {where} after {_count(len(walk.steps))}; the path goes on"
    if parting > len(written.steps):
        return f"{machine} went on from {where}, where the path ends after {_count(len(written.steps))}"
    return f"{machine} left the path in {where}, at step {parting}"


def _count(steps: int) -> str:
    return f"{steps} step{'' if steps == 1 else 's'}"


def _ways_out(walk: Walk, parting: int, names: set[str]) -> str:
    """Return what the state in which they part could have done, for whoever mistook a name."""
    here = walk.start if parting <= 1 else walk.steps[parting - 2].target
    node = None if walk.graph is None or here is None or parting == 0 else walk.graph.find(here)
    if node is None:
        return ""
    ways = [describe_edge(edge, short_name(here, names), names) for edge in node.edges]
    if node.timeout is not None:
        ways.append(f"a timeout after {node.timeout:g} s")
    return f"  {short_name(here, names)} has: {', '.join(ways) or 'no way out'}"


def _names_in(walk: Walk) -> set[str]:
    if walk.graph is not None:
        return set(walk.graph.by_name)
    return {walk.start, *(step.source for step in walk.steps), *(step.target for step in walk.steps if step.target)}


def _arrow(words: tuple[str, ...]) -> str:
    return f"-{' '.join(words)}->" if words else "->"


def _means(word: str, names: frozenset[str]) -> bool:
    return word in names or (word.lower() in _WORDS and word.lower() in names)


def _check_states(written: WrittenPath, graph: Graph) -> None:
    for place in (written.start, *(step.target for step in written.steps)):
        if place.name == END:
            continue
        found = [name for name in graph.by_name if is_called(name, place.name)]
        if not found:
            raise unknown_name(written.text, place.column, place.name, [short_name(name, graph.by_name) for name in graph.by_name])
        if len(found) > 1 and place.name not in found:
            raise ambiguous_name(written.text, place.column, place.name, found)
