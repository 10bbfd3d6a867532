"""Sampling of architectures, stratified in log FLOPs, without duplicates, from one seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from models.architecture import Architecture, Value
from models.cost import tree_cost
from models.errors import ModelError
from models.layers import Sequence
from models.shape import DEFAULT, Shape
from models.space import Space
from models.widen import advice

CHUNK = 256
HOPELESS_AFTER = 10_000
PROPOSALS_PER_ARCHITECTURE = 400
LONGEST_WAIT = 50_000
"""Proposals without a new network: a bin with 1 in 4,000 of them waits as long once in 270,000."""
CHUNK_TRACED, HASTE_TRACED = 16, 20
"""Where networks are counted by tracing, a thousand times slower: small chunks, less patience."""


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
    (low, high), shape = flops_range, Shape(samples, leads, outputs)
    _check_request(space, count, low, high, bins)
    rng = np.random.default_rng(seed)
    edges = np.geomspace(low, high, bins + 1)
    log_edges = [math.log(edge) for edge in edges]
    width = (log_edges[-1] - log_edges[0]) / bins
    wanted = [count // bins + (i < count % bins) for i in range(bins)]
    found: list[list[Architecture]] = [[] for _ in range(bins)]
    known: set[str] = set()
    hits = [0] * bins
    offered = _Offered()
    duplicates = proposals = latest = 0
    chunk, haste = (CHUNK_TRACED, HASTE_TRACED) if space.traced else (CHUNK, 1)
    while sum(map(len, found)) < count:
        if _is_hopeless(found, count, proposals * haste, (proposals - latest) * haste):
            raise _too_few(space, found, wanted, edges, offered, proposals, shape)
        proposals += chunk
        for values, layers, flops in points_of(space, rng, chunk, shape):
            offered.add(flops, values)
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
            latest = proposals
    order = _balanced_order(wanted, rng)
    return Sample(
        architectures=tuple(found[place][i] for place, i in order),
        bins=tuple(place for place, _ in order),
        edges=tuple(float(edge) for edge in edges),
        accepted=tuple(wanted),
        hits=tuple(hits),
        proposals=proposals,
        duplicates=duplicates,
        refused=proposals - len(offered.flops),
    )


def points_of(
    space: Space, rng: np.random.Generator, count: int, shape: Shape
) -> Iterator[tuple[dict[str, Value], Sequence, int]]:
    """Draw points independently; yield those that the space allows, with their layers and FLOPs."""
    columns = {factor.name: factor.draw(rng, count) for factor in space.factors}
    for row in zip(*columns.values(), strict=True):
        values = dict(zip(columns, row, strict=True))
        if space.allows(values):
            layers = space.layers(values)
            yield values, layers, tree_cost(layers, **shape).flops


@dataclass(slots=True)
class _Offered:
    """What a space offers: the FLOPs of all proposals, the points of the fewest and the most."""

    flops: list[int] = field(default_factory=list)
    least: dict[str, Value] = field(default_factory=dict)
    most: dict[str, Value] = field(default_factory=dict)
    ends: tuple[float, float] = (math.inf, -math.inf)

    def add(self, flops: int, values: dict[str, Value]) -> None:
        """Note one more."""
        self.flops.append(flops)
        low, high = self.ends
        if flops < low:
            self.least = values
        if flops > high:
            self.most = values
        self.ends = min(low, flops), max(high, flops)


def _balanced_order(wanted: list[int], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return (bin, number in bin), each round visiting every bin once in random order."""
    order: list[tuple[int, int]] = []
    for i in range(max(wanted)):
        ready = [place for place, size in enumerate(wanted) if i < size]
        order += [(int(place), i) for place in rng.permutation(ready)]
    return order


def _check_request(space: Space, count: int, low: float, high: float, bins: int) -> None:
    if not 0 < low < high or count < 1 or not 1 <= bins <= count:
        raise ModelError(
            f"expected 0 < low < high FLOPs and 1 ≤ bins ≤ count, got FLOPs {low:g} to {high:g}, "
            f"{bins} bins and {count} architectures"
        )
    points = math.prod(factor.values for factor in space.factors)
    if points < count:
        raise ModelError(
            f"expected {count} different architectures of {space.name}, but its factors have only "
            f"{points:,} points: ask for fewer, or widen them"
        )


def _is_hopeless(found: list[list[Architecture]], count: int, tried: int, waited: int) -> bool:
    """Return whether a bin has stayed empty, or unfilled, for too many proposals."""
    return (
        (tried >= HOPELESS_AFTER and not all(found))
        or tried >= HOPELESS_AFTER + PROPOSALS_PER_ARCHITECTURE * count
        or waited >= LONGEST_WAIT
    )


def _too_few(
    space: Space,
    found: list[list[Architecture]],
    wanted: list[int],
    edges: np.ndarray,
    offered: _Offered,
    tried: int,
    shape: Shape,
) -> ModelError:
    """Say what was found, what is missing and what the space offers."""
    if not offered.flops:
        return ModelError(
            f"none of {tried} proposals of {space.name} meets {' and '.join(space.constraints)}; "
            "widen the ranges of the factors or drop a constraint"
        )
    empty = [place for place, members in enumerate(found) if not members]
    short = empty or [i for i, members in enumerate(found) if len(members) < wanted[i]]
    count = sum(wanted)
    gaps = [f"{edges[i]:.3g} to {edges[i + 1]:.3g}" for i in short]
    more = f" and {len(gaps) - 1} more bins" if len(gaps) > 1 else ""
    lowest, low, high, highest = np.quantile(offered.flops, (0, 0.01, 0.99, 1))
    return ModelError(
        f"expected {count} different architectures of {space.name} in {len(found)} bins, found "
        f"{sum(map(len, found))} in {tried} proposals and too few at {gaps[0]} FLOPs{more}; choose "
        f"FLOPs that the space offers: 98 % lie between {low:.3g} and {high:.3g}, all between "
        f"{lowest:.3g} and {highest:.3g}{_advice(space, edges, short, offered, shape)}"
    )


def _advice(
    space: Space, edges: np.ndarray, short: list[int], offered: _Offered, shape: Shape
) -> str:
    """Say which factor to widen for the bins at the ends of what a space offers."""
    (least, most), said = offered.ends, []
    if _middle(edges, short[-1]) > most:
        said.append(advice(space, offered.most, _middle(edges, short[-1]), shape))
    if _middle(edges, short[0]) < least:
        said.append(advice(space, offered.least, _middle(edges, short[0]), shape))
    wider = ", and ".join(filter(None, said))
    return f"; or widen {wider}" if wider else ""


def _middle(edges: np.ndarray, place: int) -> float:
    """Return the middle of a bin, on the scale of logarithms."""
    return math.sqrt(edges[place] * edges[place + 1])
