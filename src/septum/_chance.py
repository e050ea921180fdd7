"""Chance whose draws are told, so that a recording has them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable


class Chance(random.Random):
    """A `random.Random` that tells each draw; every other method of Random is made of these two."""

    teller: weakref.WeakMethod[Callable[..., None]] | None = None

    def random(self) -> float:
        """Draw a float in [0, 1)."""
        drawn = super().random()
        self._tell("random", (), drawn)
        return drawn

    def getrandbits(self, k: int, /) -> int:
        """Draw an int of *k* bits."""
        drawn = super().getrandbits(k)
        self._tell("getrandbits", (k,), drawn)
        return drawn

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """Draw from a normal distribution, without what Random keeps of the draw before: that may have been told to nobody."""
        self.gauss_next = None
        return super().gauss(mu, sigma)

    def _tell(self, name: str, args: tuple[object, ...], drawn: object) -> None:
        tell = None if self.teller is None else self.teller()
        if tell is not None:
            tell("random", name, args, drawn, None)
