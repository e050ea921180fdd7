"""Whether a snapshot fits a definition: by its hash and version, through migrations, and state by state."""

from __future__ import annotations

import base64
import json
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from septum._difference import tell_difference
from septum._errors import DefinitionChanged
from septum._migrations import find_chain
from septum._snapshot import Definition, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum._graph import Graph
    from septum._migrations import Migration

_MOST_BYTES: Final = 1 << 24
"""What a packed graph may come to: a hundred thousand states; whoever packs more wants to fill our memory."""

_DUE: Final = {"timeout": "on_timeout", "fail": "on_fail"}


@lru_cache(maxsize=64)
def describe(graph: Graph) -> Definition:
    """Return what a snapshot keeps of *graph*; made once, since it is the same for every snapshot of a definition."""
    text = json.dumps(graph.to_dict(), separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")
    return Definition(hash=graph.hash, version=graph.initial.spec.definition_version, graph=packed)


def fit(snapshot: Snapshot, graph: Graph, migrations: Iterable[Migration]) -> Snapshot:
    """Return *snapshot* as one of *graph*'s definition, checked to the last field; itself if it is one already.

    Raises:
        DefinitionChanged: It is of another definition, and no chain of *migrations* leads to this one, or to states that are not here.
        BadSnapshot: It is no snapshot that a machine can be in, or a migration made it so.
    """
    snapshot = Snapshot.from_plain(snapshot.to_plain())
    found, today = snapshot.definition, describe(graph)
    ours, theirs = _names(today), _names(found)
    if found.hash != today.hash or (found.version != today.version and len(ours) == len(theirs) == 2):  # noqa: PLR2004 - both have versions
        same = ours & theirs
        chain = find_chain(migrations, theirs - same, ours - same)
        if chain is None:
            raise _changed(snapshot, graph, today)
        for migration in chain:
            snapshot = migration(snapshot)
    _check_states(snapshot, graph, today)
    return snapshot


def _names(definition: Definition) -> set[str]:
    return {name for name in (definition.hash, definition.version) if name is not None}


def _check_states(snapshot: Snapshot, graph: Graph, today: Definition) -> None:
    """Refuse a snapshot whose states are not (or no longer) what it needs."""
    decided = snapshot.decided
    places = [(snapshot.state, "state"), *[(name, "stack") for name in snapshot.stack], *[(name, "retries") for name in snapshot.retries]]
    if decided is not None:
        places += [(name, "decided") for name in (decided.target, *decided.below) if name is not None]
    missing = [f"State {name!r}, which stands in the snapshot's `{place}`, is gone." for name, place in places if name not in graph.by_name]
    node = graph.by_name.get(snapshot.state)
    handler = _DUE.get(snapshot.stage)
    if node is not None and handler is not None and getattr(node, handler) is None:
        missing.append(f"State {snapshot.state!r} has no {handler} any more, which was due.")
    if missing:
        raise _refusal(snapshot, today, missing)


def _changed(snapshot: Snapshot, graph: Graph, today: Definition) -> DefinitionChanged:
    found = snapshot.definition
    differences: list[str] = []
    if found.version != today.version:
        differences.append(f"The version is {today.version!r} instead of {found.version!r}.")
    if found.hash != today.hash:
        differences += _name_differences(found.graph, graph)
    return _refusal(snapshot, today, differences)


def _refusal(snapshot: Snapshot, today: Definition, differences: list[str]) -> DefinitionChanged:
    found = snapshot.definition
    lines = "".join(f"\n  {line}" for line in differences)
    # By version where the two have one each, else by hash.
    ends = (found.version, today.version)
    if None in ends or ends[0] == ends[1]:
        ends = (found.hash, today.hash)
    if ends[0] == ends[1]:
        fix = "Bring back what is gone, or give today's definition a version (`@septum.state(version=...)`) and write a migration to it."
    else:
        fix = (
            f"Give restore(migrations=[...]) a function decorated with @septum.migrate({ends[0]!r}, {ends[1]!r}), "
            "which returns the snapshot as today's definition has it."
        )
    return DefinitionChanged(
        f"the snapshot of machine {snapshot.name!r} is of definition {found.hash}, and today's is {today.hash}. "
        f"What does not fit:{lines}\n{fix}",
        found=found.hash,
        expected=today.hash,
        differences=tuple(differences),
    )


def _name_differences(packed: str, graph: Graph) -> list[str]:
    """Return what is different in *graph* from the packed one, a line each."""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(base64.b64decode(packed, validate=True), _MOST_BYTES)
        return tell_difference(json.loads(text), graph.to_dict())
    except Exception:  # noqa: BLE001 - it only serves to say more, and whoever wrote it may have written anything
        return ["The snapshot's own graph cannot be read."]
