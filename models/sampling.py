"""Sampling of architectures, stratified in log FLOPs, without duplicates, from one seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.architecture import Architecture
from models.cost import tree_cost
from models.errors import ModelError
from models.shape import DEFAULT
from models.space import Space

CHUNK = 256
HOPELESS_AFTER = 10_000
PROPOSALS_PER_ARCHITECTURE = 400


@dataclass(frozen=True, slots=True)
class Sample:
    """Sampled architectures with their bins, and what it took to find them.

    Any prefix is spread over the bins as evenly as can be. `hits` counts the proposals that fell
    into each bin while sampling, full or not: hits / proposals is the share of the space there,
    which undoes the stratification. `refused` of the proposals broke a constraint.
    """

    architectures: tuple[Architecture, ...]
    bins: tuple[int, ...]
    edges: tuple[float, ...]
    accepted: tuple[int, ...]
    hits: tuple[int, ...]
    proposals: int
    duplicates: int
    refused: int


def sample_architectures(
    space: Space,
    count: int,
    *,
    flops_range: tuple[float, float],
    bins: int = 10,
    seed: int = 0,
    samples: int = DEFAULT.samples,
    leads: int = DEFAULT.leads,
    outputs: int = DEFAULT.outputs,
) -> Sample:
    """Draw `count` different architectures, as many from each equal-width bin of log FLOPs.

    Proposals are independent draws of the factors (Factor.draw), rejected when their bin is full
    or their network is known. Where `count` is no multiple of `bins`, the first bins get one more.
    ModelError if a bin stays empty or does not fill: the message says what the space offers.
    """
    low, high = flops_range
    if not 0 < low < high or count < 1 or not 1 <= bins <= count:
        raise ModelError(
            f"expected 0 < low < high FLOPs and 1 ≤ bins ≤ count, got FLOPs {low:g} to {high:g}, "
            f"{bins} bins and {count} architectures"
        )
    rng = np.random.default_rng(seed)
    edges = np.geomspace(low, high, bins + 1)
    log_edges = [math.log(edge) for edge in edges]
    width = (log_edges[-1] - log_edges[0]) / bins
    wanted = [count // bins + (i < count % bins) for i in range(bins)]
    found: list[list[Architecture]] = [[] for _ in range(bins)]
    known: set[str] = set()
    hits = [0] * bins
    flops_seen: list[int] = []
    duplicates = proposals = 0
    while sum(map(len, found)) < count:
        _give_up_if_hopeless(space, found, wanted, edges, flops_seen, proposals)
        columns = {factor.name: factor.draw(rng, CHUNK) for factor in space.factors}
        proposals += CHUNK
        for row in zip(*columns.values(), strict=True):
            values = dict(zip(columns, row, strict=True))
            if not space.allows(values):
                continue
            layers = space.layers(values)
            flops = tree_cost(layers, samples=samples, leads=leads, outputs=outputs).flops
            flops_seen.append(flops)
            if not low <= flops <= high:
                continue
            place = min(int((math.log(flops) - log_edges[0]) / width), bins - 1)
            hits[place] += 1
            if len(found[place]) == wanted[place]:
                continue
            architecture = space.named(values, layers)
            if architecture.hash in known:
                duplicates += 1
                continue
            known.add(architecture.hash)
            found[place].append(architecture)
    order = _balanced_order(wanted, rng)
    return Sample(
        architectures=tuple(found[place][i] for place, i in order),
        bins=tuple(place for place, _ in order),
        edges=tuple(float(edge) for edge in edges),
        accepted=tuple(wanted),
        hits=tuple(hits),
        proposals=proposals,
        duplicates=duplicates,
        refused=proposals - len(flops_seen),
    )


def _balanced_order(wanted: list[int], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return (bin, number in bin), each round visiting every bin once in random order."""
    order: list[tuple[int, int]] = []
    for i in range(max(wanted)):
        ready = [place for place, size in enumerate(wanted) if i < size]
        order += [(int(place), i) for place in rng.permutation(ready)]
    return order


def _give_up_if_hopeless(
    space: Space,
    found: list[list[Architecture]],
    wanted: list[int],
    edges: np.ndarray,
    flops_seen: list[int],
    tried: int,
) -> None:
    """Raise ModelError once a bin has stayed empty, or unfilled, for too many proposals."""
    count = sum(wanted)
    empty = [place for place, members in enumerate(found) if not members]
    if not (empty and tried >= HOPELESS_AFTER) and tried < (
        HOPELESS_AFTER + PROPOSALS_PER_ARCHITECTURE * count
    ):
        return
    if not flops_seen:
        raise ModelError(
            f"none of {tried} proposals of {space.name} meets {' and '.join(space.constraints)}; "
            "widen the ranges of the factors or drop a constraint"
        )
    short = empty or [i for i, members in enumerate(found) if len(members) < wanted[i]]
    gaps = [f"{edges[i]:.3g} to {edges[i + 1]:.3g}" for i in short]
    more = f" and {len(gaps) - 1} more bins" if len(gaps) > 1 else ""
    lowest, low, high, highest = np.quantile(flops_seen, (0, 0.01, 0.99, 1))
    raise ModelError(
        f"expected {count} different architectures of {space.name} in {len(found)} bins, found "
        f"{sum(map(len, found))} in {tried} proposals and too few at {gaps[0]} FLOPs{more}; choose "
        f"FLOPs that the space offers: 98 % lie between {low:.3g} and {high:.3g}, all between "
        f"{lowest:.3g} and {highest:.3g}"
    )
