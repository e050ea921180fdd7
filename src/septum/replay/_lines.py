"""Which line of the program is meant: where a handler answers, asks or waits."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from septum import _errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType, TracebackType

_OURS: Final = os.path.dirname(os.path.abspath(_errors.__file__)) + os.sep  # noqa: PTH100, PTH120 - compared with file names as text
_ASYNCIO: Final = os.path.dirname(os.path.abspath(inspect.getfile(__import__("asyncio")))) + os.sep  # noqa: PTH100, PTH120 - as above


def is_users(code: CodeType) -> bool:
    """Say whether *code* is neither Septum's nor asyncio's."""
    return not code.co_filename.startswith((_OURS, _ASYNCIO, "<frozen"))


def users_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of the user's, from *frame* outwards; None if there is none."""
    while frame is not None and not is_users(frame.f_code):
        frame = frame.f_back
    return frame


def waiting_frame(call: object) -> FrameType | None:
    """Return the innermost frame of the user's in which a suspended coroutine waits; None if there is none."""
    found: FrameType | None = None
    while call is not None:
        frame = getattr(call, "cr_frame", None) or getattr(call, "gi_frame", None) or getattr(call, "ag_frame", None)
        if frame is not None and is_users(frame.f_code):
            found = frame
        call = getattr(call, "cr_await", None) or getattr(call, "gi_yieldfrom", None) or getattr(call, "ag_await", None)
    return found


def raising_frame(trace: TracebackType | None) -> tuple[FrameType, int] | None:
    """Return the innermost frame of the user's in a traceback, and its line; None if there is none."""
    found = None
    while trace is not None:
        if is_users(trace.tb_frame.f_code):
            found = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    return found


def say(path: str, line: int) -> str:
    """Return a line as "path:line", relative to the current directory where it lies in it, with the text of the line if it can be read."""
    text = linecache.getline(path, line).strip()
    try:
        near = os.path.relpath(path)
    except ValueError:  # another drive
        near = path
    shown = path if near.startswith("..") else near
    return f"{shown}:{line}{f'  {text}' if text else ''}"


def code_of(handler: Any) -> CodeType | None:
    """Return the code of a handler as the user wrote it; None of one that has none."""
    function = inspect.unwrap(getattr(handler, "__func__", handler))
    return cast("CodeType | None", getattr(function, "__code__", None))


def line_of_answer(handler: Any, name: str | None) -> str | None:
    """Return where *handler* answers *name*, as far as its source tells; else where it is defined.

    Args:
        handler: A handler of a state.
        name: A label ("Events.GOT"), a marker or a state, as it is told of; None for the answer None.
    """
    code = code_of(handler)
    if code is None:
        return None
    lines = [line for said, line in _returns(code) if said == (name or "None").rpartition(".")[2].partition("(")[0]]
    return say(code.co_filename, lines[0] if len(lines) == 1 else code.co_firstlineno)


@cache
def _returns(code: CodeType) -> tuple[tuple[str, int], ...]:
    """Return what stands behind each `return` of a function, the last part of its name, with the line."""
    try:
        lines, first = inspect.getsourcelines(code)
        source = inspect.cleandoc("\n" + "".join(lines)) if lines and lines[0][:1].isspace() else "".join(lines)
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple((said, line + first - 1) for said, line in _find_returns(tree.body[0]))


def _find_returns(node: ast.AST) -> Iterator[tuple[str, int]]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.Return):
            said = inner.value
            yield from ((name, inner.lineno) for name in _names(said))
        elif not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _find_returns(inner)


def _names(said: ast.expr | None) -> Iterator[str]:
    match said:
        case None | ast.Constant(value=None):
            yield "None"
        case ast.Constant(value=str(text)):
            yield text
        case ast.Attribute(attr=name) | ast.Name(id=name):
            yield name
        case ast.Call(func=function):
            yield from _names(function)
        case ast.IfExp(body=one, orelse=other):
            yield from _names(one)
            yield from _names(other)
        case _:
            pass
