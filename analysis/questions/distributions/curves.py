"""Distributions of scores: EDFs, FLOPs-matched comparisons and best-of-n curves.

A score is better when it is higher. A curve here is the share of networks that score at least x,
the mirror image of the error EDF of Radosavovic et al. (NDS, arXiv:1905.13214, and RegNet,
arXiv:2003.13678), so that everything that holds for one holds for the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from analysis.stats.coding import groups
from analysis.stats.interval import ALPHA
from analysis.stats.matching import (
    DEFAULT_BINS,
    Floats,
    Ints,
    log_flops_bins,
    matched_weights,
    permute_within,
)
from analysis.stats.regression import holm
from analysis.trials.table import TrialTable

PERMUTATIONS_AT_ONCE = 250  # keeps a test on 5,000 networks within 100 MB


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """The share of networks that score at least `scores[i]`, weighted, with its DKW half-width."""

    name: str
    n: int
    scores: Floats
    share: Floats
    band: float


@dataclass(frozen=True, slots=True)
class MatchedComparison:
    """Score curves of one factor's values at equal FLOPs, and the test that they are one curve.

    `distances[i]` is the largest vertical gap between the curve of value i and that of all other
    networks, both weighted to the same FLOPs; `p_value` is of the largest of them, from
    permuting the values within FLOPs bins.
    """

    factor: str
    curves: tuple[ScoreCurve, ...]
    distances: tuple[float, ...]
    n_bins: tuple[int, ...]
    p_value: float
    p_holm: float
    permutations: int

    @property
    def settled(self) -> bool:
        """Whether the values differ statistically significantly, all factors considered."""
        return self.p_holm < ALPHA


@dataclass(frozen=True, slots=True)
class BestOfN:
    """Expected best score of n random networks, with a simultaneous band (NaN where open)."""

    sizes: Ints
    expected: Floats
    lower: Floats
    upper: Floats
    n: int


def dkw_half_width(n: float) -> float:
    """Half-width of the Dvoretzky-Kiefer-Wolfowitz band, sqrt(ln(2 / alpha) / 2n) (Massart)."""
    return min(1.0, math.sqrt(math.log(2 / ALPHA) / (2 * n))) if n > 0 else 1.0


def share_at_least(scores: ArrayLike, weights: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Return the distinct scores, ascending, and the weighted share that scores at least each."""
    values = np.asarray(scores, dtype=np.float64)
    weight = np.ones(values.size) if weights is None else np.asarray(weights, dtype=np.float64)
    distinct, position = np.unique(values, return_inverse=True)
    mass = np.bincount(position, weights=weight, minlength=distinct.size)
    total = np.cumsum(mass[::-1])[::-1]
    return distinct, total / total[0] if distinct.size else np.zeros(0)


def score_curve(name: str, scores: ArrayLike, weights: ArrayLike | None = None) -> ScoreCurve:
    """Build the curve of one group; with weights, the band uses Kish's effective n."""
    values = np.asarray(scores, dtype=np.float64)
    weight = np.ones(values.size) if weights is None else np.asarray(weights, dtype=np.float64)
    used = weight > 0
    distinct, share = share_at_least(values[used], weight[used])
    squares = float((weight**2).sum())
    effective = float(weight.sum()) ** 2 / squares if squares else 0.0
    return ScoreCurve(name, int(used.sum()), distinct, share, dkw_half_width(effective))


def weighted_distance(scores: ArrayLike, group: NDArray[np.bool_], weights: Floats) -> float:
    """Largest vertical distance between the weighted EDFs of a group and its complement."""
    values = np.asarray(scores, dtype=np.float64)
    order, last = _order_and_last(values)
    signed = np.where(group, weights, -weights)[order]
    gaps = np.abs(np.cumsum(signed))[last]
    return float(gaps.max()) if gaps.size else 0.0


def compare_at_equal_flops(
    factor: str,
    labels: Sequence[str],
    scores: ArrayLike,
    flops: ArrayLike,
    *,
    order: Sequence[str],
    rng: np.random.Generator,
    n_bins: int = DEFAULT_BINS,
    permutations: int = 999,
) -> MatchedComparison | None:
    """Compare the score curves of a factor's values at equal FLOPs; None if nothing overlaps.

    The p-value is (1 + #{D* >= D}) / (1 + permutations) for the largest distance of any value
    against the rest, so one test covers the factor however many values it has.
    """
    values = np.asarray(scores, dtype=np.float64)
    label = np.asarray(labels, dtype=object)
    bins = log_flops_bins(flops, n_bins)
    groups = [(name, label == name) for name in order]
    weighted = [(name, group, matched_weights(bins, group)) for name, group in groups]
    weighted = [entry for entry in weighted if entry[2].any()]
    if len(weighted) < 2:
        return None
    observed = [weighted_distance(values, group, weights) for _, group, weights in weighted]
    exceeding, drawn = 0, 0
    while drawn < permutations:
        copies = min(PERMUTATIONS_AT_ONCE, permutations - drawn)
        shuffled = permute_within(bins, copies, rng)
        largest = np.zeros(copies)
        for _, group, weights in weighted:
            np.maximum(largest, _distances(values, group, weights, shuffled), out=largest)
        exceeding += int((largest >= max(observed) - 1e-12).sum())
        drawn += copies
    p_value = (1 + exceeding) / (1 + permutations)
    return MatchedComparison(
        factor=factor,
        curves=tuple(
            score_curve(name, values[group], weights[group]) for name, group, weights in weighted
        ),
        distances=tuple(observed),
        n_bins=tuple(int(np.unique(bins[weights > 0]).size) for _, _, weights in weighted),
        p_value=p_value,
        p_holm=p_value,
        permutations=permutations,
    )


def compare_factors(
    table: TrialTable, *, seed: int = 0, permutations: int = 999
) -> tuple[MatchedComparison, ...]:
    """Compare the values of every factor at equal cost, with Holm's correction over factors."""
    designs = table.whole.designs()
    n_bins = int(np.clip(len(designs) // 12, 1, DEFAULT_BINS))
    comparisons = []
    for index, factor in enumerate(table.factors):
        group, order = groups(factor, designs[factor.name])
        rng = np.random.default_rng([seed, index])  # the same for a factor whatever else is there
        comparison = compare_at_equal_flops(
            factor.name,
            [order[place] for place in group],
            designs["score"],
            designs[table.cost],
            order=order,
            rng=rng,
            n_bins=n_bins,
            permutations=permutations,
        )
        comparisons += [comparison] if comparison else []
    return tuple(adjust(comparisons))


def adjust(comparisons: Sequence[MatchedComparison]) -> list[MatchedComparison]:
    """Set Holm's p-value over all the comparisons made."""
    adjusted = holm(np.array([comparison.p_value for comparison in comparisons]))
    return [replace(c, p_holm=float(p)) for c, p in zip(comparisons, adjusted, strict=True)]


def best_of_n(scores: ArrayLike, sizes: Sequence[int] | None = None) -> BestOfN:
    """Expected maximum of m of the N scores drawn without replacement, unbiased for each m <= N.

    E[max_m] = sum_{i=m..N} y_(i) C(i-1, m-1) / C(N, m) (Tang et al. 2020, arXiv:2004.13705).
    The band is the expectation under the DKW limits of the EDF raised to the power m, with unseen
    mass at 0 and 1, the limits of a score; NaN where unseen top mass would dominate the upper.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    total = ordered.size
    if sizes is None:
        sizes = sorted({round(m) for m in np.geomspace(1, total, 40)}) if total else []
    size = np.asarray([m for m in sizes if 1 <= m <= total], dtype=np.int64)
    rank = np.arange(1, total + 1)
    half_width = dkw_half_width(total)
    expected, lower, upper = (np.full(size.size, np.nan) for _ in range(3))
    for position, m in enumerate(size):
        tail = rank[m - 1 :]
        log_weight = (
            gammaln(tail)
            - gammaln(m)
            - gammaln(tail - m + 1)
            - (gammaln(total + 1) - gammaln(m + 1) - gammaln(total - m + 1))
        )
        expected[position] = float(np.exp(log_weight) @ ordered[m - 1 :])
        high_cdf = np.minimum(1.0, rank / total + half_width) ** m
        lower[position] = float(np.diff(high_cdf, prepend=half_width**m) @ ordered)
        low_cdf = np.maximum(0.0, rank / total - half_width) ** m
        unseen = 1.0 - low_cdf[-1]
        if unseen < 0.5:
            upper[position] = float(np.diff(low_cdf, prepend=0.0) @ ordered + unseen)
    return BestOfN(size, expected, lower, upper, total)


def _order_and_last(values: Floats) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the ascending order and which places end a run of ties."""
    order = np.argsort(values, kind="stable")
    last = np.append(np.diff(values[order]) > 0, True) if values.size else np.zeros(0, dtype=bool)
    return order, last


def _distances(values: Floats, group: NDArray[np.bool_], weights: Floats, shuffled: Ints) -> Floats:
    """Distances after moving group and weight, which travel together within a bin."""
    order, last = _order_and_last(values)
    signed = np.where(group, weights, -weights)
    gaps: Floats = np.abs(np.cumsum(signed[shuffled[:, order]], axis=1))[:, last]
    largest: Floats = gaps.max(axis=1)
    return largest
