"""What each kind of finding means and what to do about it, for reports that list their rules; docs/reference/findings.md says the same."""

from __future__ import annotations

from typing import Final

RULES: Final[dict[str, tuple[str, str]]] = {
    "SEP001": (
        "a transition leads to a state that does not exist",
        "import its module; correct the name in the `StateRef`",
    ),
    "SEP002": (
        "`transitions()` raised",
        "repair it; it is called with no argument, when the first machine is constructed",
    ),
    "SEP003": (
        "`transitions()` returned what is no transition",
        "return `LabeledTransition`s, markers or states, one or a list",
    ),
    "SEP004": (
        "two different states have one name",
        "give one of them `name=`",
    ),
    "SEP005": (
        "a state has no `on_state`",
        "decorate one of its functions with `@septum.on_state`",
    ),
    "SEP006": (
        "one label has two transitions",
        "keep one",
    ),
    "SEP007": (
        "`timeout` is negative or not a number",
        "give seconds, zero or more, or None",
    ),
    "SEP008": (
        "`retries` is negative or not a whole number",
        "give zero or more, or None",
    ),
    "SEP009": (
        "a `RetryPolicy` has impossible numbers",
        "all zero or more, `jitter` from 0 to 1",
    ),
    "SEP010": (
        "`expect` is negative or not a number",
        "give seconds, zero or more, or None",
    ),
    "SEP011": (
        "in the class form, a handler uses a name that is both an attribute of the class and a different global",
        "write `Idle.name` for the one, or rename the other",
    ),
    "SEP012": (
        "a member of `Events` has no transition",
        "add its `LabeledTransition`, or remove it",
    ),
    "SEP013": (
        "a state is listed without a label",
        "write `LabeledTransition(Events.X, ...)`, so that traces and drawings can name the edge",
    ),
    "SEP014": (
        "a terminal state has transitions",
        "remove them; they are never taken, save by an `on_timeout`",
    ),
    "SEP015": (
        "a state has a timeout and no `on_timeout`",
        "add one; without it `UnhandledTimeout` is raised when the time is up",
    ),
    "SEP016": (
        "a state has retries and no `on_fail`",
        "add one; without it `RetriesExhausted` is raised after the last",
    ),
    "SEP017": (
        "a state declares the same handler twice",
        "remove one; the last counts",
    ),
    "SEP018": (
        "a comment that allows a finding silences nothing",
        "remove it, or correct its code",
    ),
    "SEP019": (
        "a comment that allows a finding gives no reason",
        "write why behind the code",
    ),
    "SEP101": (
        "a `Pop` on an empty stack can happen",
        "push the state with another below it, or answer something else where nothing was pushed",
    ),
    "SEP102": (
        "the stack can grow without bound",
        "pop before the next push, or use an edge to the state instead of a `Push`",
    ),
    "SEP103": (
        "a state is drawn as reachable, but no run reaches it",
        "repair the way there, or remove the state",
    ),
    "SEP104": (
        "from somewhere on no terminal state can be reached any more, though the machine has one",
        "add a way on",
    ),
    "SEP105": (
        "a pushed state is never returned to, because what is above it never pops",
        "let that end with a `Pop`, or do not push",
    ),
    "SEP106": (
        "the machine can go round without ever waiting",
        "give a state on the way `can_dwell=True` or a timeout, if that is not meant",
    ),
}
"""By code: what was found, and what to do, in Markdown."""
