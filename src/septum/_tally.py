"""Transitions counted as plain ints, one for each edge: what counting costs when nobody wants to be told of every single one."""

from __future__ import annotations


class Tally:
    """The transitions of all machines that have one definition, one name and the same hooks.

    The engine counts with `x[i] += 1` in the machine's own thread; reading it from another is safe and sees whole numbers.

    Attributes:
        machine_name: What the machines are called.
        edges: Source, target and label of each plain edge (`Graph.plain`).
        plain: How often each of them was taken.
        others: The same for everything else, by (source, target, label, kind) as in `TransitionTaken`.
    """

    __slots__ = ("__weakref__", "edges", "machine_name", "others", "plain")

    def __init__(self, machine_name: str, edges: tuple[tuple[str, str, str], ...]) -> None:
        self.machine_name = machine_name
        self.edges = edges
        self.plain = [0] * len(edges)
        self.others: dict[tuple[str, str | None, str | None, str], int] = {}

    def count(self, source: str, target: str | None, label: str | None, kind: str) -> None:
        """Count one transition that is not along a plain edge."""
        key = (source, target, label, kind)
        self.others[key] = self.others.get(key, 0) + 1

    def transitions(self) -> dict[tuple[str, str | None, str | None, str], int]:
        """Return the counts so far by (source, target, label, kind), without zeros; may be asked in any thread."""
        # Copied in one go, for the machine's thread may add a key meanwhile.
        counts = self.others.copy()
        for (source, target, label), count in zip(self.edges, self.plain, strict=True):
            if count:
                key: tuple[str, str | None, str | None, str] = (source, target, label, "label")
                counts[key] = counts.get(key, 0) + count
        return counts
