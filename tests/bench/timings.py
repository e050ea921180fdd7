"""The arithmetic of the harness: what samples say, and in which order they are taken."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Pair = tuple[str, str]
"""A subject and a metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timing: `count` operations took `elapsed` ns, the calibration loop `before` and `after` it."""

    count: int
    elapsed: int
    before: int
    after: int

    @property
    def norm(self) -> float:
        """Time an operation, in calibration loops."""
        return self.elapsed / self.count / ((self.before + self.after) / 2)


@dataclass(slots=True)
class Timings:
    """All samples of one run, by subject and metric."""

    samples: dict[Pair, list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def has(self, pair: Pair) -> bool:
        """Say whether *pair* was measured."""
        return bool(self.samples.get(pair))

    def unit(self) -> float:
        """Return the median calibration loop in ns: what turns a norm into a time."""
        return median((sample.before + sample.after) / 2 for samples in self.samples.values() for sample in samples)

    def norm(self, pair: Pair) -> float:
        """Return the median of *pair*'s norms."""
        return median(sample.norm for sample in self.samples[pair])

    def ns(self, pair: Pair) -> float:
        """Return *pair*'s time an operation, in ns of a machine at its median speed."""
        return self.norm(pair) * self.unit()

    def spread(self, pair: Pair) -> tuple[float, float]:
        """Return the first and the third quartile of *pair*'s norms, in ns as `ns` gives them."""
        norms = sorted(sample.norm for sample in self.samples[pair])
        return norms[len(norms) // 4] * self.unit(), norms[(len(norms) * 3) // 4] * self.unit()

    def ratio(self, pair: Pair, base: Pair) -> float:
        """Return how many times *base*'s time an operation of *pair* takes."""
        return self.norm(pair) / self.norm(base)


LONG_SAMPLE_NS = 60_000_000
LEAST_ROUNDS = 3


def rounds_for(elapsed: int, rounds: int) -> int:
    """Return how many rounds a pair takes part in whose sample lasts *elapsed* ns: fewer when it is long, so that it costs no minutes."""
    return min(rounds, max(LEAST_ROUNDS, rounds * LONG_SAMPLE_NS // max(elapsed, LONG_SAMPLE_NS)))


def turns(rounds: Mapping[Pair, int]) -> Iterator[Pair]:
    """Yield the pairs in the order of their samples: round by round, a pair with fewer rounds spread evenly over all of them."""
    most = max(rounds.values(), default=0)
    for number in range(most):
        for pair, share in rounds.items():
            if number * share // most != (number + 1) * share // most:
                yield pair
