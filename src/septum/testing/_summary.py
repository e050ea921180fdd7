"""Transition coverage as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from septum.testing._covered import percent
from septum.testing._goals import KINDS, describe_goal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum.testing._covered import Covered


def summarize(covered: Sequence[Covered]) -> str:
    """Return a line for each definition with what was reached of each kind, and below it what was not; a total if there are several."""
    lines: list[str] = []
    for each in covered:
        parts = [f"{name} {reached}/{there}" for kind, name in KINDS.items() for reached, there in [each.tally(kind)] if there]
        lines.append(f"{each.target}  {percent([each]):.2f} %  {', '.join(parts)}")
        if each.missing:
            lines.append("  never:")
            lines += [f"    {describe_goal(goal, each.graph)}" for goal in each.missing]
    if len(covered) > 1:
        lines.append(f"total  {percent(covered):.2f} %")
    return "\n".join(lines)
