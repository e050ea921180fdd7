"""Chromium, Graphviz and what npm brings, for tests that look at rendered pictures; `.ci/need.sh drawing` installs all of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
SVG = "{http://www.w3.org/2000/svg}"


class Drawn(NamedTuple):
    """What a person finds in a picture, texts with single spaces.

    Attributes:
        nodes: Text by the node's id.
        edges: Source, target and label, sorted.
    """

    nodes: dict[str, str]
    edges: list[tuple[str, str, str]]


def missing(what: str) -> None:
    """Skip the test, where it may be that *what* cannot be had; in CI it must be there."""
    text = f"{what} is missing: call .ci/need.sh drawing"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


def find_modules() -> Path:
    """Return the folder with `node_modules`."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "septum", f"drawing-{lock}")
    if not (folder / "ready").exists():
        missing(str(folder))
    return folder


def need_program(name: str) -> str:
    """Return where the program *name* is."""
    found = shutil.which(name)
    if found is None:
        missing(name)
    return str(found)


def squeeze(text: str) -> str:
    """Return *text* with single spaces: what is around them is the renderer's business."""
    return " ".join(text.split())


def render_mermaid(*texts: str, shots: Path | None = None) -> list[Drawn]:
    """Return what Chromium shows for each of *texts*; with *shots*, pictures are put there."""
    modules, node, chromium = find_modules(), need_program("node"), need_program("chromium")
    asked = {"chromium": chromium, "texts": texts, "shots": shots and str(shots)}
    done = subprocess.run(
        [node, str(HERE / "render.mjs"), str(modules)], input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return [_read_mermaid(text, found) for text, found in zip(texts, json.loads(done.stdout), strict=True)]


def _read_mermaid(text: str, found: dict[str, Any]) -> Drawn:
    assert "error" not in found, f"{found['error']}\n{text}"
    names: Sequence[str] = [found_node[0] for found_node in found["nodes"]]
    ids = "|".join(names)
    edges: list[tuple[str, str, str]] = []
    for name, label in found["edges"]:
        match = re.fullmatch(rf"L_({ids})_({ids})_\d+", name)
        assert match is not None, name
        edges.append((match[1], match[2], squeeze(label or "")))
    assert len(set(names)) == len(names)
    return Drawn({name: squeeze(label) for name, label in found["nodes"]}, sorted(edges))


def read_svg(text: str) -> Drawn:
    """Return what stands in an SVG that Graphviz made."""
    root = ET.fromstring(text)
    nodes: dict[str, str] = {}
    edges: list[tuple[str, str, str]] = []
    for group in root.iter(f"{SVG}g"):
        kinds = (group.get("class") or "").split()
        title = group.findtext(f"{SVG}title") or ""
        words = squeeze(" ".join(line.text or "" for line in group.iter(f"{SVG}text")))
        if "node" in kinds:
            nodes[title] = words
        elif "edge" in kinds:
            source, _, target = title.partition("->")
            edges.append((source, target, words))
    return Drawn(nodes, sorted(edges))
