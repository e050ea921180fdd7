"""Write docs/reference/facts.md and logs.md from the code; with --check, only say whether they are what it says.

Sentences that the code does not hold (how to read a page, its example) stand here. `make lint` and tests/test_reference.py check.
"""

from __future__ import annotations

import inspect
import logging
import re
import sys
import typing
from pathlib import Path
from string import Template

from septum import Hooks, _facts, facts, logs

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"

FACTS = Template("""\
<!-- Written by .ci/reference.py from septum/_facts.py: edit the docstrings there. -->

# Facts

What a machine tells its hooks: one small frozen object for each thing that happens, given to one method of [your hook](../howto/hooks.md).
The classes are in `septum.facts`; `septum.facts.FACTS` lists them in this order.
Facts are equal when class and fields are, have a repr for people to read, and `fact.fields()` is the mapping of their fields.
States are full names, stacks are tuples of names with the bottom first, times and durations are float seconds unless a row says otherwise.
`message` and `exception` are the objects themselves: what a hook writes down, it has to redact.
`fact.machine` is the machine, while it lives; it is held weakly and is no part of what makes facts equal.

A hook that joins in the middle of a run is told `run_started` with `resumed=True` and, unless a retry's delay is running, `visit_started`.
If others were there before it, it shares their numbers, and the end of a handler whose start it missed is not told to it.

```python
import asyncio
from enum import Enum, auto

from septum import LabeledTransition, StateConfiguration, StateMachine, StateMachineComplete, septum
from septum.testing import RecorderHooks


@septum.state
def Idle():
    @septum.events
    class Events(Enum):
        START = auto()

    @septum.on_state
    async def on_state(ctx):
        return Events.START

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.START, Done)]


@septum.state(config=StateConfiguration(terminal=True))
def Done():
    @septum.on_state
    async def on_state(ctx):
        pass


async def main():
    recorder = RecorderHooks()
    try:
        await StateMachine(Idle, hooks=[recorder]).run()
    except StateMachineComplete:
        pass
    for fact in recorder.facts:
        print(fact.seq, fact.visit, fact.told_as)


asyncio.run(main())
```

```output
1 0 run_started
2 1 visit_started
3 1 handler_started
4 1 handler_finished
5 1 visit_ended
6 1 transition_taken
7 2 visit_started
8 2 handler_started
9 2 handler_finished
10 2 visit_ended
11 2 run_ended
```

## Every fact carries

| field | type | meaning |
| --- | --- | --- |
$header

| fact | hook method | told when |
| --- | --- | --- |
$index

$facts

## Closed sets

$sets
""")

LOGS = Template("""\
<!-- Written by .ci/reference.py from septum/logs.py: edit the table there. -->

# Logs

Every machine writes to the standard library's logger `septum.machine`.
While a level is off, its records, texts and facts are not made.
Septum sets up no logging: `septum` has a `NullHandler`, levels and handlers are yours.
Hooks that raise are reported on `septum.hooks`.

```python
import asyncio
import logging
import sys
from enum import Enum, auto

from septum import LabeledTransition, StateConfiguration, StateMachine, septum

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(levelname)s %(septum_machine)s %(septum_fact)s %(septum_visit)s"))
logging.getLogger("septum.machine").addHandler(handler)
logging.getLogger("septum.machine").setLevel(logging.INFO)


@septum.state
def Idle():
    @septum.events
    class Events(Enum):
        START = auto()

    @septum.on_state
    async def on_state(ctx):
        return Events.START

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.START, Done)]


@septum.state(config=StateConfiguration(terminal=True))
def Done():
    @septum.on_state
    async def on_state(ctx):
        pass


asyncio.run(StateMachine(Idle, name="order").serve())
```

```output
INFO order run_started 0
INFO order transition_taken 1
INFO order run_ended 2
```

## Levels and texts

Each text begins with the machine's name and id, as `order[0198c0de-...]: `.
Where a fact has two rows, the first whose case holds is logged.

| level | fact | case | text | of |
| --- | --- | --- | --- | --- |
$lines
| WARNING | a finding | a definition with warnings | `$finding` | code, state, message and hint |

## Fields of a record

| field | meaning |
| --- | --- |
$fields

Your own formatter reads them as it reads `%(message)s`; give it `defaults=` if it also formats records of other loggers.

## What stays out

Of a message or an exception a record holds the name of its type; of an Enum also the member, which stands in your program.
Answers, headers, reasons of snapshots and `common` are not logged at all.

ERROR records carry the exception as `exc_info`: with its traceback, and so with its text, whatever that says.
If that may hold your users' data, keep it out with a filter:

```python
def without_traceback(record):
    record.exc_info = None
    return True


logging.getLogger("septum.machine").addFilter(without_traceback)
```

To log to another place as well, attach `septum.logs.LogHooks(logger)`, a hook like any other.
""")


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def sections(kind: type) -> tuple[str, dict[str, str]]:
    """Return what a docstring says first, and what it says of each attribute."""
    text, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes:\n")
    entries = re.findall(r"^    (\w+): (.+(?:\n        .+)*)", attributes, re.MULTILINE)
    return text, {name: re.sub(r"\s+", " ", meaning) for name, meaning in entries}


def fields(kind: type[facts.Fact], names: typing.Iterable[str]) -> str:
    """Return the rows of a fact's own fields; every field has its sentence, and every sentence its field."""
    _, meanings = sections(kind)
    types = {name: text for base in reversed(kind.__mro__) for name, text in vars(base).get("__annotations__", {}).items()}
    if list(meanings) != list(names):
        raise SystemExit(f"{kind.__name__} has the fields {list(names)}, its docstring explains {list(meanings)}")
    return "\n".join(row(f"`{name}`", f"`{types[name]}`", meaning) for name, meaning in meanings.items())


def closed_sets() -> str:
    """Return a line for each Literal of the vocabulary."""
    literals = {name: value for name, value in vars(_facts).items() if typing.get_origin(value) is typing.Literal}
    return "\n".join(f"* `{name}`: {', '.join(typing.get_args(value))}" for name, value in literals.items())


def facts_page() -> str:
    """Return docs/reference/facts.md."""
    for kind in facts.FACTS:
        if not hasattr(Hooks, kind.told_as):
            raise SystemExit(f"{kind.__name__} is told as {kind.told_as}, which Hooks does not have")
    return FACTS.substitute(
        header=fields(facts.Fact, sections(facts.Fact)[1]),
        index="\n".join(
            row(f"[{kind.__name__}](#{kind.__name__.lower()})", f"`{kind.told_as}`", sections(kind)[0].partition("\n")[0])
            for kind in facts.FACTS
        ),
        facts="\n\n".join(
            f"## {kind.__name__}\n\n{sections(kind)[0]}\n\nHook method: `{kind.told_as}(fact)`\n\n"
            f"| field | type | meaning |\n| --- | --- | --- |\n{fields(kind, kind.own_fields)}"
            for kind in facts.FACTS
        ),
        sets=closed_sets(),
    )


def logs_page() -> str:
    """Return docs/reference/logs.md."""
    return LOGS.substitute(
        lines="\n".join(
            row(
                logging.getLevelName(line.level),
                f"[{line.fact.told_as}](facts.md#{line.fact.__name__.lower()})",
                line.case,
                f"`{line.text}`",
                ", ".join(line.fields),
            )
            for line in logs.LINES
        ),
        fields="\n".join(row(f"`{name}`", meaning) for name, meaning in logs.RECORD_FIELDS.items()),
        finding=logs.FINDING_TEXT,
    )


def stale() -> dict[Path, str]:
    """Return the pages that are not what the code says, with what they should be."""
    pages = {REFERENCE / "facts.md": facts_page(), REFERENCE / "logs.md": logs_page()}
    return {page: text for page, text in pages.items() if not page.is_file() or page.read_text(encoding="utf-8") != text}


def main(arguments: list[str]) -> int:
    """Write the stale pages, or with --check name them and fail."""
    pages = stale()
    if "--check" in arguments:
        for page in pages:
            sys.stderr.write(f"docs/reference/{page.name} is not what the code says: run python .ci/reference.py\n")
        return bool(pages)
    for page, text in pages.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
