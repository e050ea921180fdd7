"""Classes whose functions see their names, made from what a test writes, and what is said where that is refused."""

from __future__ import annotations

import textwrap
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from septum._errors import DefinitionError
from septum._scope import OwnNames, see_own_names

if TYPE_CHECKING:
    from collections.abc import Callable


def own_names(cls: type) -> OwnNames:
    """Let each function in the body of *cls* see the names of *cls*."""
    bodies = {name: value for name, value in vars(cls).items() if isinstance(value, FunctionType | staticmethod)}
    return see_own_names(cls, {name: getattr(cls, name) for name in bodies})


def compiled(source: str, **names: object) -> dict[str, Any]:
    """Run *source*, which makes a class Idle, as a module of its own, and let Idle's functions see Idle's names."""
    module: dict[str, Any] = {"__name__": "compiled", **names}
    exec(compile(textwrap.dedent(source), "<compiled>", "exec"), module)
    own_names(module["Idle"])
    return module


def refusal(make: Callable[[], object]) -> tuple[str, tuple[str, ...]]:
    """Return the text and the names of the DefinitionError that *make* raises."""
    with pytest.raises(DefinitionError) as caught:
        make()
    return str(caught.value), caught.value.names  # type: ignore[attr-defined]
