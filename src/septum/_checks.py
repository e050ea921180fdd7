"""What is wrong with a definition, as far as its states show it one by one: a small function for each kind of finding."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from septum import _findings as findings
from septum._findings import error, warning
from septum._source import find_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from septum._findings import Finding
    from septum._graph import Graph, Node


def check(graph: Graph) -> tuple[Finding, ...]:
    """Return all findings about *graph*, errors first, each kind in the order of the states."""
    found = [finding for find in _CHECKS for node in graph.nodes for finding in find(node)]
    places = {name: find_place(graph.by_name[name].spec) for name in {finding.state for finding in found}}
    return findings.sort(replace(finding, where=places[finding.state]) for finding in found)


def require_valid(graph: Graph) -> tuple[Finding, ...]:
    """Return the warnings about *graph*.

    Raises:
        DefinitionError: There are errors; `findings` has them, and the warnings after them.
    """
    found = check(graph)
    if any(finding.severity == "error" for finding in found):
        raise findings.refuse(graph.initial.name, found)
    return found


def _find_two_edges(node: Node) -> Iterator[Finding]:
    counts = Counter(edge.label for edge in node.edges if edge.label is not None)
    for label, count in counts.items():
        if count > 1:
            text = f"State {node.name!r} has multiple transitions for {type(label).__name__}.{label.name}: {count} of them."
            yield error(findings.TWO_EDGES, node.name, text, "Keep one, or give each its own label.")


def _find_bad_timeout(node: Node) -> Iterator[Finding]:
    if node.timeout is not None and not _is_at_least_zero(node.timeout):
        text = f"State {node.name!r} has timeout={node.timeout!r}."
        yield error(findings.BAD_TIMEOUT, node.name, text, "Give seconds, zero or more, or None for no deadline.")


def _find_bad_retries(node: Node) -> Iterator[Finding]:
    if not _is_limit(node.spec.config.retries):
        text = f"State {node.name!r} has retries={node.spec.config.retries!r}."
        yield error(findings.BAD_RETRIES, node.name, text, "Give a whole number, zero or more, or None for no limit.")


def _find_bad_policy(node: Node) -> Iterator[Finding]:
    policy = node.retry
    if policy is None:
        return
    if not (
        _is_limit(policy.max)
        and all(_is_at_least_zero(number) for number in (policy.base, policy.factor, policy.max_delay, policy.jitter))
        and policy.jitter <= 1
        and math.isfinite(policy.base)
        and math.isfinite(policy.factor)
    ):
        hint = "max is a whole number or None; base, factor and max_delay are zero or more; jitter is from 0 to 1."
        yield error(findings.BAD_POLICY, node.name, f"State {node.name!r} has retry={policy!r}.", hint)


def _find_bad_expect(node: Node) -> Iterator[Finding]:
    if node.expect is not None and not _is_at_least_zero(node.expect):
        text = f"State {node.name!r} has expect={node.expect!r}."
        yield error(findings.BAD_EXPECT, node.name, text, "Give seconds, zero or more, or None.")


def _find_unused_events(node: Node) -> Iterator[Finding]:
    labels = {edge.label for edge in node.edges}
    # An Events class that nobody decorated is known by the labels that are used.
    own = f"{node.spec.qualname}.<locals>."
    used = {type(label) for label in labels if label is not None and type(label).__qualname__.startswith(own)}
    events = node.spec.Events or (used.pop() if len(used) == 1 else ())
    unused = [member.name for member in events if member not in labels]
    if unused and not node.terminal:
        text = f"State {node.name!r} declares Events without a transition: {', '.join(unused)}."
        yield warning(
            findings.UNUSED_EVENT, node.name, text, "Answering one raises UnknownTransition. Add its LabeledTransition, or remove it."
        )


def _find_missing_labels(node: Node) -> Iterator[Finding]:
    for edge in node.edges:
        if edge.label is None and edge.targets:
            text = f"State {node.name!r} lists {edge.name} without a label."
            yield warning(
                findings.NO_LABEL, node.name, text, "Write LabeledTransition(Events.X, ...), so that traces and drawings can name it."
            )


def _find_terminal_edges(node: Node) -> Iterator[Finding]:
    if node.terminal and node.edges:
        text = f"State {node.name!r} is terminal and has transitions: {', '.join(edge.name for edge in node.edges)}."
        if node.timeout is not None and node.on_timeout is not None:
            hint = "Only its on_timeout can take them; what on_state answers is ignored. Remove them, or terminal=True."
        else:
            hint = "They are never taken. Remove them, or terminal=True."
        yield warning(findings.TERMINAL_EDGES, node.name, text, hint)


def _find_missing_on_timeout(node: Node) -> Iterator[Finding]:
    if node.timeout is not None and node.on_timeout is None:
        text = f"State {node.name!r} has timeout={node.timeout!r} and no on_timeout."
        yield warning(
            findings.NO_ON_TIMEOUT, node.name, text, "UnhandledTimeout is raised when it passes. Add an @septum.on_timeout handler."
        )


def _find_missing_on_fail(node: Node) -> Iterator[Finding]:
    if node.retries is not None and node.on_fail is None:
        text = f"State {node.name!r} allows {node.retries!r} retries and has no on_fail."
        yield warning(findings.NO_ON_FAIL, node.name, text, "RetriesExhausted is raised after them. Add an @septum.on_fail handler.")


def _find_repeated_handlers(node: Node) -> Iterator[Finding]:
    for kind in node.spec.repeated:
        text = f"State {node.name!r} declares {kind} more than once."
        yield warning(findings.REPEATED_HANDLER, node.name, text, "The last one counts. Remove the others.")


def _is_at_least_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0  # NaN is not


def _is_limit(value: object) -> bool:
    return value is None or (isinstance(value, int) and _is_at_least_zero(value))


_CHECKS: Final[tuple[Callable[[Node], Iterator[Finding]], ...]] = (
    _find_two_edges,
    _find_bad_timeout,
    _find_bad_retries,
    _find_bad_policy,
    _find_bad_expect,
    _find_unused_events,
    _find_missing_labels,
    _find_terminal_edges,
    _find_missing_on_timeout,
    _find_missing_on_fail,
    _find_repeated_handlers,
)
