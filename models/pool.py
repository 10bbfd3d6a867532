"""Many points of a design space with their exact FLOPs, to choose from by a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.architecture import Architecture, Value
from models.errors import ModelError
from models.sampling import (
    CHUNK,
    CHUNK_TRACED,
    HOPELESS_AFTER,
    PROPOSALS_PER_ARCHITECTURE,
    points_of,
)
from models.shape import DEFAULT, Shape
from models.space import Space


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Points of a space with the exact FLOPs of their networks: values by factor, flops (n,)."""

    space: Space
    values: dict[str, list[Value]]
    flops: np.ndarray

    def __len__(self) -> int:
        return len(self.flops)

    def architecture(self, place: int) -> Architecture:
        """Return one of its networks."""
        return self.space.resolve({name: column[place] for name, column in self.values.items()})


def pool_of(
    space: Space,
    count: int,
    *,
    flops_range: tuple[float, float],
    seed: int = 0,
    samples: int = DEFAULT.samples,
    leads: int = DEFAULT.leads,
    outputs: int = DEFAULT.outputs,
) -> Pool:
    """Draw `count` points independently, as in a sample but without bins, within a range of FLOPs.

    Two points may build the same network. ModelError if the range holds next to none.
    """
    low, high = flops_range
    rng, shape = np.random.default_rng(seed), Shape(samples, leads, outputs)
    rows: list[tuple[dict[str, Value], int]] = []
    proposals, chunk = 0, CHUNK_TRACED if space.traced else CHUNK
    while len(rows) < count:
        if proposals >= HOPELESS_AFTER + PROPOSALS_PER_ARCHITECTURE * len(rows):
            raise ModelError(
                f"expected {count:,} networks of {space.name} between {low:.3g} and {high:.3g} "
                f"FLOPs, found {len(rows):,} in {proposals:,} proposals: choose FLOPs that the "
                "space offers"
            )
        proposals += chunk
        proposed = points_of(space, rng, chunk, shape)
        rows += [(values, flops) for values, _, flops in proposed if low <= flops <= high]
    by_factor = {f.name: [values[f.name] for values, _ in rows[:count]] for f in space.factors}
    return Pool(space, by_factor, np.array([flops for _, flops in rows[:count]], float))
