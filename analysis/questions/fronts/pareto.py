"""Pareto fronts of score over cost: observed, estimated under noise, and their hypervolume.

Costs are exact and lower is better; scores are noisy and higher is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from analysis.stats.interval import Interval, Z, normal
from analysis.stats.shrinkage import Shrunken

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS_AT_ONCE = 250  # keeps 5,000 networks within a few tens of MB


@dataclass(frozen=True, slots=True)
class EstimatedFront:
    """Front of the shrunken means with what noise leaves open.

    `membership[i]` is the probability that network i is on the true front. `grid_cost` with
    `expected`, `lower`, `upper` is what the network that is expected to score best within each cost
    truly scores. (The best true score there is a little higher, but nobody knows whose it is.)
    """

    members: Ints
    membership: Floats
    grid_cost: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    hypervolume: Interval
    observed_hypervolume: float
    draws: int


def front(cost: ArrayLike, score: ArrayLike) -> Ints:
    """Rows that no other row beats in both, by ascending cost; of exact twins, the first.

    Row i is dominated by j when j costs no more and scores no less, and one of the two strictly.
    """
    costs = np.asarray(cost, dtype=np.float64)
    scores = np.asarray(score, dtype=np.float64)
    order = np.lexsort((-scores, costs))
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(scores[order])[:-1]))
    return order[scores[order] > best_before[: order.size]].astype(np.int64)


def reference_point(cost: ArrayLike, score: ArrayLike) -> tuple[float, float]:
    """Return the hypervolume's corner: the greatest cost and the lowest score there are."""
    return float(np.max(np.asarray(cost))), float(np.min(np.asarray(score)))


def hypervolume(
    cost: ArrayLike, score: ArrayLike, reference: tuple[float, float], cheapest: float, best: float
) -> float:
    """Share of the box [cheapest, reference cost] x [reference score, best] under the front.

    Cost counts in log10: HV = sum_i (u_{i+1} - u_i)(s_i - s_r) over the front by ascending cost,
    with u_{k+1} = u_r, as a share of (u_r - u_0)(best - s_r). NaN for a box without area; `best`
    only sets the unit, so a front above it gives more than 1.
    """
    costs = np.asarray(cost, dtype=np.float64)
    scores = np.asarray(score, dtype=np.float64)
    limit, floor = np.log10(reference[0]), reference[1]
    area = (limit - np.log10(cheapest)) * (best - floor)
    if not area > 0:
        return float("nan")
    inside = (costs <= reference[0]) & (scores > floor)
    members = front(costs[inside], scores[inside])
    position = np.maximum(np.log10(costs[inside][members]), np.log10(cheapest))
    widths = np.diff(np.append(position, limit))
    return float(widths @ (scores[inside][members] - floor) / area)


def hypervolume_growth(
    cost: ArrayLike,
    score: ArrayLike,
    sizes: Sequence[int],
    rng: np.random.Generator,
    orders: int = 100,
) -> tuple[Floats, Floats, Floats]:
    """Hypervolume of the first n networks in random order: mean, 5 % and 95 % of the orders."""
    costs = np.asarray(cost, dtype=np.float64)
    scores = np.asarray(score, dtype=np.float64)
    corner = reference_point(costs, scores)
    box = (float(costs.min()), float(scores.max()))
    values = np.empty((orders, len(sizes)))
    for row in range(orders):
        shuffled = rng.permutation(costs.size)
        for column, size in enumerate(sizes):
            taken = shuffled[:size]
            values[row, column] = hypervolume(costs[taken], scores[taken], corner, *box)
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    return values.mean(axis=0), low, high


def estimate_front(
    cost: ArrayLike,
    score: ArrayLike,
    posterior: Shrunken,
    rng: np.random.Generator,
    *,
    draws: int = 2000,
    grid_points: int = 60,
) -> EstimatedFront:
    """Follow what is expected to be best; draw true scores to see who may be on the front."""
    costs = np.asarray(cost, dtype=np.float64)
    scores = np.asarray(score, dtype=np.float64)
    grid = np.geomspace(costs.min(), costs.max(), grid_points)
    grid[-1] = costs.max()  # geomspace may end a rounding error below it
    corner, cheapest, top = reference_point(costs, scores), float(costs.min()), float(scores.max())
    ladder = _Ladder(costs)
    counts = np.zeros(costs.size)
    for start in range(0, draws, DRAWS_AT_ONCE):
        size = min(DRAWS_AT_ONCE, draws - start)
        drawn = rng.standard_normal((size, costs.size)) * np.sqrt(posterior.variance)
        counts += ladder.members(drawn + posterior.mean).sum(axis=0)
    members = front(costs, posterior.mean)
    taken = members[np.searchsorted(costs[members], grid, side="right") - 1]
    margin = Z * np.sqrt(posterior.variance[taken])
    expected = hypervolume(costs, posterior.mean, corner, cheapest, top)
    # The area is linear in the members' scores: each weighs as much as its step is wide.
    widths = np.diff(np.log10(costs[members]), append=np.log10(corner[0]))
    area = (np.log10(corner[0]) - np.log10(cheapest)) * (top - corner[1])
    error = np.sqrt(widths**2 @ posterior.variance[members]) / area if area > 0 else np.nan
    return EstimatedFront(
        members=members,
        membership=counts / draws,
        grid_cost=grid,
        expected=posterior.mean[taken],
        lower=posterior.mean[taken] - margin,
        upper=posterior.mean[taken] + margin,
        hypervolume=normal(expected, float(error)),
        observed_hypervolume=hypervolume(costs, scores, corner, cheapest, top),
        draws=draws,
    )


def dominance(cost: ArrayLike, posterior: Shrunken, rows: Ints | None = None) -> Floats:
    """Return P(i dominates rows[j]) (n, rows): i costs no more and its true score is no lower.

    Costs are exact; true scores are taken as independent N(mean, variance) (arXiv:2503.21495).
    """
    costs = np.asarray(cost, dtype=np.float64)
    those = np.arange(costs.size) if rows is None else rows
    ahead = posterior.mean[:, None] - posterior.mean[those]
    spread = np.sqrt(posterior.variance[:, None] + posterior.variance[those])
    certain = np.where(ahead >= 0, np.inf, -np.inf)
    z = np.divide(ahead, spread, out=certain, where=spread > 0)
    chance = np.where(costs[:, None] <= costs[those], ndtr(z), 0.0)
    chance[those, np.arange(len(those))] = 0.0
    return np.asarray(chance)


class _Ladder:
    """Fronts of many draws of scores over the same costs at once; agrees with `front` of each."""

    def __init__(self, costs: Floats) -> None:
        self.order = np.argsort(costs, kind="stable")
        ordered = costs[self.order]
        self.first = np.searchsorted(ordered, ordered, side="left")
        self.last = np.searchsorted(ordered, ordered, side="right") - 1

    def members(self, drawn: Floats) -> NDArray[np.bool_]:
        """Tell who is on the front of each draw (draws, n)."""
        ordered = drawn[:, self.order]
        running = np.maximum.accumulate(ordered, axis=1)
        before = np.where(self.first > 0, running[:, self.first - 1], -np.inf)
        members = np.empty(drawn.shape, dtype=bool)
        members[:, self.order] = (ordered > before) & (ordered == running[:, self.last])
        return members
