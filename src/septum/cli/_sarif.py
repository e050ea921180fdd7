"""What `septum check` found as SARIF 2.1.0, the OASIS format that code scanners exchange."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from septum import _findings
from septum.cli._findings import Place, show_path
from septum.cli._rules import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum import Finding
    from septum.cli._findings import Findings

_ROOT = "%SRCROOT%"  # the name that GitHub's code scanning and others expect


def as_sarif(findings: Findings) -> str:
    """Return *findings* as a SARIF log with one run; files below the current directory are relative to it."""
    codes = sorted({finding.code for finding in findings.all})
    graphs = [each.report.graph for each in findings.checked if each.report.graph is not None]
    places = {node.name: graph.where(node) for graph in graphs for node in graph.nodes}
    run = {
        "tool": {
            "driver": {
                "name": "septum",
                "version": metadata.version("septum"),
                "rules": [_describe_rule(code) for code in codes],
            }
        },
        "originalUriBaseIds": {_ROOT: {"uri": f"{Path.cwd().as_uri()}/"}},
        "results": [_describe(finding, codes, places) for finding in findings.all],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def name_rule(code: str) -> str:
    """Return what the kind of finding *code* is called in one word: `"EmptyPop"`."""
    return next(name.title().replace("_", "") for name, value in vars(_findings).items() if value == code)


def _describe_rule(code: str) -> dict[str, Any]:
    says, do = (f"{text[0].upper()}{text[1:]}." for text in RULES[code])
    text = says.replace("`", "")
    return {
        "id": code,
        "name": name_rule(code),
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": do.replace("`", ""), "markdown": do},
    }


def _describe(finding: Finding, codes: list[str], places: Mapping[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": finding.severity,
        "message": {"text": f"{finding.message} {finding.hint}".rstrip()},
        "locations": [_locate(finding.state, Place.of(finding))],
        # Lines move; what is wrong with which state stays the same.
        "partialFingerprints": {
            "septumFinding/v1": hashlib.sha256(f"{finding.code}\0{finding.state}\0{finding.message}".encode()).hexdigest()
        },
    }
    if finding.path:
        steps = [
            {"location": {**_locate(state, Place.at(places.get(state, ""))), "message": {"text": f"{state} answers {answer}"}}}
            for state, answer in finding.path
        ]
        result["codeFlows"] = [{"message": {"text": show_path(finding)}, "threadFlows": [{"locations": steps}]}]
    return result


def _locate(state: str, place: Place | None) -> dict[str, Any]:
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": state, "kind": "type"}]}
    if place is not None:
        file = {"uri": Path(place.file).as_uri()} if Path(place.file).is_absolute() else {"uri": quote(place.file), "uriBaseId": _ROOT}
        location["physicalLocation"] = {"artifactLocation": file, "region": {"startLine": place.line}}
    return location
