"""Which classes a file may name: those of the program whose states it is about, and nothing else that happens to be importable."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from septum._codec import reference
from septum._errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Classes:
    """Finds the class of a name in a file, for `septum._codec.decode`.

    Found are classes of modules that are imported already: those in the packages of the definition, those that a module of the definition
    has in its own namespace, exceptions of the standard library and of Septum, and those that were *allowed*. Nothing is imported, so that
    no file can make a module run.
    """

    def __init__(self, modules: Iterable[str], *, allowed: Iterable[type[Any]] = ()) -> None:
        """Take the modules in which the definition's states stand, and classes that are allowed wherever they stand."""
        names = set(modules)
        # `__main__` is a package of its own: what the program was started with.
        self._packages = {name.partition(".")[0] for name in names}
        self._known: dict[str, type[Any]] = {reference(kind): kind for kind in allowed}
        for name in names:
            for thing in list(vars(sys.modules.get(name, sys)).values()) if name in sys.modules else ():
                if isinstance(thing, type):
                    self._known.setdefault(reference(thing), thing)

    def __call__(self, name: str) -> type[Any]:
        """Return the class of that name.

        Raises:
            CodecError: There is none, or it may not be named; the text says which, and what to do.
        """
        known = self._known.get(name)
        if known is not None:
            return known
        module, _, path = name.partition(":")
        package = module.partition(".")[0]
        found = _look_up(sys.modules.get(module), path)
        if found is None:
            hint = (
                "a class that is made inside a function has no name"
                if "<locals>" in path
                else f"is {module!r} imported, and the name still right?"
            )
            raise CodecError(f"no class {name!r} is there: {hint}", where=name)
        is_error = issubclass(found, BaseException) and (package in sys.stdlib_module_names or package == "septum")
        if package not in self._packages and not is_error:
            raise CodecError(
                f"the class {name!r} belongs to none of the definition's packages ({', '.join(sorted(self._packages)) or 'none'}); "
                "import it in a module that has states, or allow it by hand",
                where=name,
            )
        self._known[name] = found
        return found


def _look_up(module: object, path: str) -> type[Any] | None:
    """Return the class that stands at *path* in *module*, going through classes only."""
    found: object = module
    for part in path.split("."):
        if found is not module and not isinstance(found, type):
            return None
        found = None if found is None else vars(found).get(part)
    return found if isinstance(found, type) else None
