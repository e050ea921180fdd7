"""`septum graph`: a definition as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from septum._errors import DrawingError
from septum.cli._heat import read_heat
from septum.cli._target import TARGET, find_definition, find_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum import Graph
    from septum.cli._heat import By, Heat

_EXAMPLES = """\b
In this terminal:
  septum graph app.states:Idle
For a page of Markdown:
  septum graph app.states:Idle --format mermaid
As an image, laid out by Graphviz:
  septum graph app.states:Idle -o idle.svg
Where does production spend its time?
  septum graph app.states:Idle --heat spans.jsonl --by time -o heat.svg
With an error state, and the state that it is in:
  septum graph app.states:Idle --error-state Lost --current Working
"""

_SUFFIXES: Final = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".json": "json", ".txt": "text"}


@click.command(epilog=_EXAMPLES)
@click.argument("target", metavar="MODULE:STATE", type=TARGET)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["mermaid", "dot", "svg", "json", "text"]),
    help="What to draw; without it what the name after --output says, else text.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file, not to stdout.")
@click.option("--error-state", metavar="STATE", help="The machine's error state: MODULE:STATE, or STATE of the same module.")
@click.option("--current", metavar="STATE", help="A state to highlight: MODULE:STATE, or STATE of the same module.")
@click.option("--heat", "recording", metavar="FILE", help="Colour states and edges by what this recording, or these spans, did.")
@click.option("--by", type=click.Choice(["count", "time"]), default="count", show_default=True, help="What counts as heat of a state.")
def graph(
    *, target: str, kind: str | None, output: Path | None, error_state: str | None, current: str | None, recording: str | None, by: By
) -> None:
    """Draw the states that a machine can reach, and every edge between them.

    Thick arrows push, dotted ones depend on the stack, red is the error state. With --heat, what was used most is the reddest, and what
    was never used is grey.
    """
    drawn = find_definition(target, error_state=error_state).graph()
    heat = None if recording is None else read_heat(drawn, recording, by)
    chosen = find_state(current, beside=target.rpartition(":")[0]) if current else None
    if chosen is not None and drawn.find(chosen) is None:
        raise click.ClickException(f"{chosen.name} is no state of this definition. There are {', '.join(drawn.by_name)}.")
    for warning in [] if heat is None else _list_doubts(heat, str(recording)):
        click.echo(f"Warning: {warning}", err=True)
    kind = kind or (output and _SUFFIXES.get(output.suffix.lower())) or "text"
    try:
        text = _draw(drawn, kind, {"current": chosen, "heat": heat and heat.as_mapping(), "unit": "s" if by == "time" else ""}, heat)
    except DrawingError as error:
        raise click.ClickException(str(error)) from None
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(output), str(error.strerror)) from None


def _draw(drawn: Graph, kind: str, look: Mapping[str, Any], heat: Heat | None) -> str:
    if kind == "json":
        return json.dumps(as_data(drawn, heat), indent=2, ensure_ascii=False)
    draw = {"mermaid": drawn.to_mermaid, "dot": drawn.to_dot, "svg": drawn.to_svg, "text": drawn.to_text}[kind]
    return draw(**look)


def as_data(drawn: Graph, heat: Heat | None) -> dict[str, object]:
    """Return *drawn* for programs: `Graph.to_dict`, its hash, and the heat of states and edges if there is any."""
    data: dict[str, object] = {"hash": drawn.hash, **drawn.to_dict()}
    if heat is not None:
        edges = [{"state": state, "edge": edge, "count": count} for (state, edge), count in heat.edges.items()]
        data["heat"] = {"runs": heat.runs, "states": heat.states, "edges": edges, "errors": heat.errors}
    return data


def _list_doubts(heat: Heat, recording: str) -> list[str]:
    """Return why the heat may not be that of this definition, a sentence each."""
    doubts: list[str] = []
    if not heat.runs:
        doubts.append(f"there is no run in {recording}.")
    if heat.others:
        doubts.append(f"{heat.others} of {heat.runs} runs in {recording} are of another definition.")
    if heat.unknown:
        names = ", ".join(f"{name} ({count})" for name, count in heat.unknown.most_common())
        doubts.append(f"visits of states that are not drawn are left out: {names}.")
    return doubts
