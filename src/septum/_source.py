"""Where states and edges stand in source files, and the comments there that allow a finding.

The line of a state is known without reading its file; the others are looked up when somebody asks.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import tokenize
from types import CodeType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from septum._node import Edge
    from septum._states import StateSpec

_ALLOW: Final = re.compile(r"#\s*septum:\s*allow\s+(?P<codes>SEP\d+(?:\s*,\s*SEP\d+)*)(?P<reason>[^#]*)")


class Allowance(NamedTuple):
    """A comment `# septum: allow SEP102 reason`: the codes, why, and its place as `"file:line"`."""

    codes: tuple[str, ...]
    reason: str
    where: str


def find_place(spec: StateSpec) -> str:
    """Return `"file:line"` of the first line of *spec*, its decorator's; empty if it was not written in a file."""
    file, line = _find_first_line(spec)
    return f"{file}:{line}" if file else ""


def find_edge_places(spec: StateSpec, edges: Sequence[Edge]) -> list[str]:
    """Return `"file:line"` for each of the *edges* that *spec* lists: its own, else that of the list; empty without a source file."""
    function = None if spec.transitions is None else inspect.unwrap(spec.transitions)
    code = getattr(function, "__code__", None)
    if code is None:
        return [""] * len(edges)
    first: int = code.co_firstlineno
    lines = [first] * len(edges)
    try:
        # The function may be indented, so it stands in a block of its own, from line 2 on.
        tree = ast.parse(f"if True:\n{_indent(inspect.getsource(code))}")
    except (OSError, SyntaxError):
        tree = None
    if tree is not None:
        lines = [first if line is None else first + line - 2 for line in _find_edge_lines(tree, edges)]
    return [f"{code.co_filename}:{line}" for line in lines]


def read_allowances(spec: StateSpec) -> list[Allowance]:
    """Return the comments on the lines of *spec* from its decorator to its `def` or `class` that allow a finding."""
    file, line = _find_first_line(spec)
    if not file:
        return []
    linecache.checkcache(file)
    found: list[Allowance] = []
    for token in _read_header(linecache.getlines(file)[line - 1 :]):
        for match in _ALLOW.finditer(token.string):
            codes = tuple(re.findall(r"SEP\d+", match["codes"]))
            found.append(Allowance(codes, match["reason"].strip(" :-"), f"{file}:{line - 1 + token.start[0]}"))
    return found


def _indent(source: str) -> str:
    return source if source[:1].isspace() else source.replace("\n", "\n ").join((" ", ""))


def _find_first_line(spec: StateSpec) -> tuple[str, int]:
    """Return file and line; those of a class are known to its code, which the code around it keeps."""
    origin = spec.origin
    if origin.body is not None and origin.scope is not None:
        bodies = [code for code in _list_inner(origin.scope) if code.co_qualname == origin.body.__qualname__]
        near = [code for code in bodies if code.co_firstlineno <= origin.line] or bodies
        if near:
            return near[-1].co_filename, near[-1].co_firstlineno
    return origin.file, origin.line


def _list_inner(scope: CodeType) -> list[CodeType]:
    """Return the codes written in *scope*, also that of a class with type parameters, which has another around it (PEP 695)."""
    inner = [code for code in scope.co_consts if isinstance(code, CodeType)]
    return [code for outer in inner for code in (_list_inner(outer) if outer.co_name.startswith("<generic") else [outer])]


def _read_header(lines: Sequence[str]) -> Iterator[tokenize.TokenInfo]:
    """Yield the comments from the first of *lines* to the end of the `def` or `class` that they begin with."""
    is_named = False
    try:
        for token in tokenize.generate_tokens(iter(lines).__next__):
            if token.type == tokenize.COMMENT:
                yield token
            is_named = is_named or (token.type == tokenize.NAME and token.string in {"def", "class"})
            if is_named and token.type == tokenize.NEWLINE:
                return
    except (tokenize.TokenError, SyntaxError):
        return


def _find_edge_lines(tree: ast.Module, edges: Sequence[Edge]) -> list[int | None]:
    """Return the line of each edge in the function that *tree* is: its place in the list returned, else where its label is used."""
    nodes = list(ast.walk(tree))
    returned = [node.value for node in nodes if isinstance(node, ast.Return)] or [
        node.body for node in nodes if isinstance(node, ast.Lambda)
    ]
    if len(returned) == 1:
        value = returned[0]
        elements = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
        if len(elements) == len(edges) and not any(isinstance(element, ast.Starred) for element in elements):
            return [None if element is None else element.lineno for element in elements]
    labels = [node for node in nodes if isinstance(node, ast.Attribute)]
    return [
        min((node.lineno for node in labels if edge.label is not None and node.attr == edge.label.name), default=None) for edge in edges
    ]
