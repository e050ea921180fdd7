"""Migrations: how a snapshot of an old definition becomes one of today's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from septum._snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

Change: TypeAlias = Callable[[Snapshot], "Snapshot | None"]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a version of a definition to another; `@septum.migrate` makes it, calling it calls the function.

    Attributes:
        from_version, to_version: Definition hashes, or what `@septum.state(version=...)` said.
        function: Returns the snapshot as the newer definition has it; None if nothing in it needs to change.
    """

    from_version: str
    to_version: str
    function: Change

    def __call__(self, snapshot: Snapshot, /) -> Snapshot:
        """Return *snapshot* as the newer definition has it.

        Raises:
            TypeError: The function returned something else.
            Exception: What the function raised, with a note that says which migration it was.
        """
        name = getattr(self.function, "__qualname__", repr(self.function))
        try:
            found = cast("Any", self.function(snapshot))
        except Exception as error:
            error.add_note(f"in the migration {name} of a snapshot from {self.from_version!r} to {self.to_version!r}")
            raise
        if found is None:
            return snapshot
        if not isinstance(found, Snapshot):
            raise TypeError(
                f"the migration {name} returned {type(found).__qualname__}; return the new snapshot (`snapshot.replace(...)`), "
                "or None if nothing needs to change"
            )
        return found


def migrate(from_version: str, to_version: str) -> Callable[[Change], Migration]:
    """Make a function a migration, for `StateMachine.restore(..., migrations=[...])`; several make a chain.

    A function may raise to refuse a snapshot that the newer definition has no place for.

    Args:
        from_version: What snapshots are migrated: the hash of their definition, or its version (`@septum.state(version=...)`).
        to_version: What becomes of them, in the same way.

    Raises:
        ValueError: The two are no texts, empty, or the same.
    """
    for version in (from_version, to_version):
        if not isinstance(version, str) or not version:  # pyright: ignore[reportUnnecessaryIsInstance] - not everybody checks types
            raise ValueError(f"@septum.migrate takes two versions: texts, such as a definition's hash; not {version!r}")
    if from_version == to_version:
        raise ValueError(f"@septum.migrate leads from a version to another; both are {from_version!r}")

    def decorate(function: Change) -> Migration:
        return Migration(from_version, to_version, function)

    return decorate


def find_chain(migrations: Iterable[Migration], starts: Iterable[str], goals: Iterable[str]) -> list[Migration] | None:
    """Return the shortest chain that leads from one of *starts* to one of *goals*; None if there is none.

    Raises:
        TypeError: Something among *migrations* is none.
        ValueError: Two of them lead from the same version to the same version.
    """
    ways: dict[str, dict[str, Migration]] = {}
    for migration in migrations:
        if not isinstance(migration, Migration):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            raise TypeError(f"migrations= takes functions decorated with @septum.migrate(from_version, to_version), not {migration!r}")
        onward = ways.setdefault(migration.from_version, {})
        if migration.to_version in onward:
            raise ValueError(f"two migrations lead from {migration.from_version!r} to {migration.to_version!r}; keep one")
        onward[migration.to_version] = migration
    wanted = set(goals)
    found: dict[str, list[Migration]] = {start: [] for start in starts}
    waiting = deque(found)
    while waiting:
        version = waiting.popleft()
        if version in wanted:
            return found[version]
        for target, migration in ways.get(version, {}).items():
            if target not in found:
                found[target] = [*found[version], migration]
                waiting.append(target)
    return None
