"""What a design space holds: how many networks, their costs, and a few of them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from models.architecture import Architecture, Value
from models.cost import Cost
from models.errors import ModelError
from models.shape import DEFAULT, Shape
from models.space import Space

ENUMERATED = 4_000
"""Points of a space that are all built, a millisecond each; above, networks are estimated."""
DRAWS = 2_000
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
SHOWN = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Survey:
    """A design space in numbers.

    points: combinations of the factors' values, infinite where one is a real number. networks:
    different ones that meet the constraints; all of them if `exact`, else at least about so many.
    allowed is the share of draws that meets the constraints; costs are of those, in order.
    """

    space: Space
    shape: Shape
    points: float
    networks: float
    exact: bool
    draws: int
    allowed: float
    costs: tuple[Cost, ...]
    examples: tuple[tuple[Architecture, Cost], ...]

    def quantile(self, share: float, of: str = "flops") -> float:
        """Return a quantile of a cost among the draws."""
        return float(np.quantile([getattr(cost, of) for cost in self.costs], share))


def survey(space: Space, shape: Shape = DEFAULT, *, draws: int = DRAWS, seed: int = 0) -> Survey:
    """Draw from a space as a study does, and count its networks.

    Up to ENUMERATED points are all built and counted. Above, the draws give a lower bound: with f1
    networks seen once and f2 twice, S + f1 (f1 - 1) / (2 (f2 + 1)) (Chao 1984, bias-corrected).
    """
    rng = np.random.default_rng(seed)
    columns = [factor.draw(rng, draws) for factor in space.factors]
    rows = list(zip(*columns, strict=True)) if columns else [()]
    drawn = list(_build(space, rows))
    if not drawn:
        raise ModelError(
            f"expected networks of {space.name} that meet {' and '.join(space.constraints)}, got "
            f"none in {draws:,} draws: widen the factors or drop a constraint"
        )
    points = math.prod(factor.values for factor in space.factors)
    exact = points <= ENUMERATED
    if exact:
        every = itertools.product(*(factor.every_value() for factor in space.factors))
        networks: float = len({one.hash for one in _build(space, every)})
    else:
        networks = chao1(Counter(one.hash for one in drawn))
    costs = tuple(one.cost(**shape) for one in drawn)
    order = np.argsort([cost.flops for cost in costs], kind="stable")
    shown = dict.fromkeys(int(order[int(share * len(order))]) for share in SHOWN)
    return Survey(
        space,
        shape,
        points,
        networks,
        exact,
        len(rows),
        len(drawn) / len(rows),
        costs,
        tuple((drawn[place], costs[place]) for place in shown),
    )


def chao1(seen: Counter[str]) -> float:
    """Estimate from below how many kinds there are, from how often each was seen."""
    often = Counter(seen.values())
    once, twice = often[1], often[2]
    return len(seen) + once * (once - 1) / (2 * (twice + 1))


def _build(space: Space, rows: Iterable[tuple[Value, ...]]) -> Iterator[Architecture]:
    """Yield the networks of rows of values, without those that break a constraint."""
    names = [factor.name for factor in space.factors]
    for row in rows:
        values = dict(zip(names, row, strict=True))
        if space.allows(values):
            yield space.named(values, space.layers(values))
