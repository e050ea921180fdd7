"""`--emit-test`: a pytest file that replays a run and asserts the way that it takes."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from septum import StateMachine, StateSpec, semconv
from septum._codec import to_text
from septum.replay._divergence import ReplayError
from septum.replay._execute import execute, records_of
from septum.replay._item import Identity, Item, Part
from septum.replay._moves import recorded_path
from septum.replay._sinks import FileSink
from septum.replay._telling import in_words, is_own
from septum.replay._whatif import what_if

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from septum._codec import Json
    from septum.replay._edits import Edit
    from septum.replay._model import Run
    from septum.replay._record import Record

MOST_RECORDS: Final = 100_000
_MOST_SHOWN: Final = 40
_MOST_MOVES: Final = 200
_FUNCTIONS: Final = ("common", "filter_fn", "trap_fn", "on_error_fn", "decode")


class _Import(NamedTuple):
    """How a test gets at something: from which module, by which name in it."""

    module: str
    path: str

    @property
    def line(self) -> str:
        return f"from {self.module} import {self.path.partition('.')[0]}"


def emit_test(
    run: Run | Iterable[Record],
    target: object,
    path: str | os.PathLike[str] | None,
    *,
    name: str | None = None,
    edits: Sequence[Edit | str] = (),
    **options: Any,
) -> str:
    """Write a pytest file that replays *run* and asserts its path; the recording is written beside it.

    Where today's handlers do what was recorded, the test asserts that they go on doing so, answer by answer. Where they do not, or with
    *edits*, it asserts the path that they take today with what came from outside then: after a bug was fixed, that it stays fixed.

    Args:
        run: As for `execute`; at most 100,000 records.
        target: As for `execute`, but something that a test can import: a state or a function at the top of a module, or "module:Name".
        path: The file, which is replaced if it is there; its folder is made. The recording gets the same name with ".jsonl". None writes
            nothing.
        name: The test's name; None makes it from the file's, or from the machine's.
        edits: As for `what_if`, as text.
        options: Those of `execute` that are data, or functions at the top of a module.

    Returns:
        The text of the file.

    Raises:
        ReplayError: Something cannot be imported by a test, the run is too long, or it cannot be replayed to the end.
    """
    records = records_of(run).all()
    if len(records) > MOST_RECORDS:
        raise ReplayError(
            f"the run has {len(records)} records, too many for a test ({MOST_RECORDS}); replay it where it is: execute(run, ...)."
        )
    place, thing = _find(target)
    given = {key: value for key, value in options.items() if value is not None}
    imports = [place]
    arguments = [_argument(key, value, imports) for key, value in given.items()]
    execution = None if edits else execute(records, thing, **given)
    file = None if path is None else Path(path)
    called = name or _identifier(file.stem if file is not None else f"test_{records[0].machine_name}")
    if execution is not None and execution.ok:
        moves = [str(move) for move in recorded_path(records)]
        body = _EXECUTE
    else:
        if execution is not None and execution.verdict != "diverged":
            raise ReplayError(f"the run cannot be replayed to the end, so there is nothing to assert:\n{execution}")
        answer = what_if(records, thing, edits, **given)
        moves = [str(move) for move in answer.replayed]
        body = _WHAT_IF
    text = _fill(body, records, place, imports, arguments, called, moves, [str(edit) for edit in edits])
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_recording(file.with_suffix(".jsonl"), records)
        file.write_text(text, encoding="utf-8")
    return text


def _find(target: object) -> tuple[_Import, Any]:
    """Return how a test imports *target*, and what it is."""
    if isinstance(target, str):
        module, colon, path = target.partition(":")
        if not colon:
            module, _, path = target.rpartition(".")
        if module.endswith(".py"):
            raise ReplayError(f"{target!r}: name the module, not its file, so that the test can import it.")
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        return _Import(module, path), found
    if isinstance(target, StateMachine):
        raise ReplayError("a test cannot import a machine that was made for once: give a function that makes one, by its name.")
    place = _place_of(target)
    if place is None:
        raise ReplayError(f"{target!r} does not stand at the top of a module, so that no test can import it; name it as 'module:Name'.")
    return place, target


def _place_of(thing: Any) -> _Import | None:
    module, path = getattr(thing, "module", None), getattr(thing, "qualname", None)
    if not isinstance(thing, StateSpec):
        module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not module or not path or "<" in path:
        return None
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return _Import(module, path) if found is thing else None


def _argument(name: str, value: Any, imports: list[_Import]) -> str:
    if name in _FUNCTIONS or isinstance(value, StateSpec):
        place = _place_of(value)
        if place is None:
            raise ReplayError(f"{name}={value!r} does not stand at the top of a module; give a function that makes the machine as target.")
        imports.append(place)
        return f"{name}={place.path}"
    if name == "allowed":
        places = [_place_of(kind) for kind in value]
        if None in places:
            raise ReplayError("allowed= has a class that does not stand at the top of a module, so that no test can import it.")
        imports += [place for place in places if place is not None]
        return f"allowed=[{', '.join(place.path for place in places if place is not None)}]"
    return f"{name}={value!r}"


def _identifier(text: str) -> str:
    found = re.sub(r"\W+", "_", text).strip("_").lower()
    return found if found.startswith("test_") else f"test_{found}"


def _fill(
    body: str,
    records: list[Record],
    target: _Import,
    imports: list[_Import],
    arguments: list[str],
    name: str,
    moves: list[str],
    edits: list[str],
) -> str:
    first = records[0]
    began = datetime.fromtimestamp(first.wall / 1e9, UTC)
    outside = [record for record in records if _is_input(record)]
    shown = [f"    {record.at / 1e9:9.3f} s  {_escape(in_words(record))}" for record in outside[:_MOST_SHOWN]]
    if len(outside) > _MOST_SHOWN:
        shown.append(f"    ... and {len(outside) - _MOST_SHOWN} more")
    kept = moves[-_MOST_MOVES:]
    remark = f"  # the last {len(kept)} of {len(moves)} transitions" if len(kept) < len(moves) else ""
    path = "".join(f"    {_quote(move)},\n" for move in kept)
    return body.format(
        machine=_escape(first.machine_name),
        run_id=first.run_id,
        began=f"{began:%Y-%m-%d %H:%M:%S} UTC",
        inputs="\n".join(shown) or "    nothing",
        imports="\n".join(sorted({place.line for place in imports})),
        target=target.path,
        arguments="".join(f", {argument}" for argument in arguments),
        name=name,
        path=f"PATH = [{remark}\n{path}]",
        last=f"[-{len(kept)}:]" if remark else "",
        edits="".join(f"    {_quote(edit)},\n" for edit in edits),
    )


def _is_input(record: Record) -> bool:
    if record.event == "effect":
        return record.attributes.get(semconv.EFFECT_KIND) == "call"
    if record.event == "timer":
        return record.attributes.get(semconv.TIMER_KIND) == semconv.TimerKind.TIMEOUT
    return record.event == "message" and not is_own(record)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _quote(text: str) -> str:
    if '"' in text and "'" not in text:
        return f"'{text}'" if "\\" not in text else repr(text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_recording(path: Path, records: list[Record]) -> None:
    path.unlink(missing_ok=True)
    sink = FileSink(path, most_bytes=1 << 40)
    first = records[0]
    items = [Item(*record[:6], record.attributes, _text_of(record)) for record in records]
    sink.write([Part(Identity(first.run_id, first.machine_id, first.machine_name, first.definition_hash), items)])
    sink.close()


def _text_of(record: Record) -> str | None:
    has_text = record.attributes.get(semconv.RECORDING_ENCODING) in {semconv.RecordingEncoding.JSON, semconv.RecordingEncoding.REPR}
    return to_text(cast("Json", record.body)) if has_text else None


_HEAD: Final = '''\
"""{machine}, run {run_id}, recorded {began}.

What came from outside:

{inputs}

Written by septum; change it as you like. The recording lies beside it.
"""

from pathlib import Path

'''

_EXECUTE: Final = (
    _HEAD
    + '''\
from septum.replay import execute, load

{imports}

RECORDING = Path(__file__).with_suffix(".jsonl")

{path}


def {name}():
    """The handlers do what they did when the run was recorded, and the machine goes the same way."""
    [run] = load(RECORDING)
    execution = execute(run, {target}{arguments})
    assert execution.ok, str(execution)
    assert list(execution.path{last}) == PATH
'''
)

_WHAT_IF: Final = (
    _HEAD
    + '''\
from septum.replay import load, what_if

{imports}

RECORDING = Path(__file__).with_suffix(".jsonl")

EDITS = [
{edits}]

{path}


def {name}():
    """With what came from outside then, edits and all, the machine goes this way."""
    [run] = load(RECORDING)
    answer = what_if(run, {target}, EDITS{arguments})
    assert [str(move) for move in answer.replayed]{last} == PATH, str(answer)
'''
)
