"""SARIF 2.1.0, the OASIS format that code scanners exchange."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from septum.replay._report import Case, Problem

_ROOT = "%SRCROOT%"  # the name that GitHub's code scanning and others expect


def as_sarif(rules: Mapping[str, str], cases: Sequence[Case]) -> str:
    """Return the problems of *cases* as a SARIF log with one run; files below the current directory are relative to it.

    Args:
        rules: Every kind of problem that there may be, with what it says.
        cases: What was looked at.
    """
    kinds = list(rules)
    run = {
        "tool": {
            "driver": {
                "name": "septum replay",
                "version": metadata.version("septum"),
                "rules": [
                    {"id": kind, "name": kind.title().replace("-", ""), "shortDescription": {"text": text}} for kind, text in rules.items()
                ],
            }
        },
        "originalUriBaseIds": {_ROOT: {"uri": f"{Path.cwd().as_uri()}/"}},
        "results": [_describe(problem, kinds) for case in cases for problem in case.problems],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _describe(problem: Problem, kinds: list[str]) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if problem.state:
        location["logicalLocations"] = [{"fullyQualifiedName": problem.state, "kind": "type"}]
    file, _, line = problem.where.rpartition(":")
    if file and line.isdecimal():
        location["physicalLocation"] = {"artifactLocation": _locate(file), "region": {"startLine": int(line)}}
    return {
        "ruleId": problem.kind,
        "ruleIndex": kinds.index(problem.kind),
        "level": "error",
        "message": {"text": problem.text},
        "locations": [location] if location else [],
        # Runs come and go; what is wrong with which state is the same thing.
        "partialFingerprints": {
            "septumReplay/v1": hashlib.sha256(f"{problem.kind}\0{problem.state}\0{problem.key}".encode(errors="replace")).hexdigest()
        },
        "properties": dict(problem.details),
    }


def _locate(file: str) -> dict[str, str]:
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return {"uri": path.as_uri()} if path.is_absolute() else {"uri": quote(path.as_posix()), "uriBaseId": _ROOT}
