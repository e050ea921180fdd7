"""DOT as SVG, by Graphviz: the system's `dot` where there is one, whose fonts are set up, else the one that pygraphviz brings."""

from __future__ import annotations

import shutil
import subprocess
from importlib import import_module
from typing import Any

from septum._errors import drawing_failed, graphviz_missing


def render(source: str) -> str:
    """Return *source*, which is DOT, as the text of an SVG image.

    Raises:
        GraphvizMissing: There is neither a program `dot` on the path nor the package pygraphviz.
        DrawingError: Graphviz could not draw it.
    """
    program = shutil.which("dot")
    return _render_by_package(source) if program is None else _render_by_program(program, source)


def _render_by_program(program: str, source: str) -> str:
    done = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, check=False)  # noqa: S603 - found on the path
    if done.returncode:
        raise drawing_failed(program, done.stderr.decode(errors="replace").strip())
    return done.stdout.decode()


def _render_by_package(source: str) -> str:
    try:
        package: Any = import_module("pygraphviz")
    except ImportError:
        raise graphviz_missing() from None
    try:
        drawn: bytes = package.AGraph(string=source).draw(format="svg", prog="dot")
    except Exception as error:
        raise drawing_failed("pygraphviz", str(error)) from error
    return drawn.decode()
