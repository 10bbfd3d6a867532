"""Results of the fronts, by the names that a context knows them by.

The primary method draws true scores from what every network is expected to score and follows the
front of each draw; the front of the scores as they came is the check, and flatters its members.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.questions.context import Context
from analysis.questions.estimates import expected_scores
from analysis.questions.fronts.pareto import EstimatedFront, estimate_front, hypervolume_growth
from analysis.stats.noise import noise
from analysis.stats.refusal import Refusal
from analysis.stats.shrinkage import Shrunken, cost_trend_prior, shrink
from analysis.trials.table import TrialTable

Fronts = dict[tuple[str, str], EstimatedFront]
COSTS = ("flops", "params", "activations", "latency_ms")
FEWEST_DESIGNS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """Hypervolume of the observed front against the number of networks trained."""

    sizes: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def shown_metrics(table: TrialTable) -> list[str]:
    """Name the metrics whose fronts and distributions are shown: the objective, and AUROC."""
    metrics = dict.fromkeys((table.objective, "macro_auroc"))
    return [metric for metric in metrics if metric in table.metrics]


def estimated_fronts(context: Context) -> Fronts | Refusal:
    """Estimate the front of each shown metric over every cost that was measured."""
    table, designs = context.table, context.designs
    shrunken = context.of(expected_scores)
    if isinstance(shrunken, Refusal):
        return shrunken
    if len(designs) < FEWEST_DESIGNS:
        return Refusal("fronts.few", {"n": len(designs), "needed": FEWEST_DESIGNS})
    found: Fronts = {}
    for metric in shown_metrics(table):
        own = shrunken if metric == table.objective else _other_metric(table, metric)
        if own is None or designs[metric].isna().any():
            continue
        for cost in dict.fromkeys((table.cost, *COSTS)):
            if cost in table.costs:
                rng = np.random.default_rng([context.seed, 1])
                one = estimate_front(designs[cost], better_up(table, designs, metric), own, rng)
                found[metric, cost] = one
    return found


def better_up(table: TrialTable, designs: pd.DataFrame, metric: str) -> pd.Series:
    """Return a metric turned so that more is better."""
    return designs["score"] if metric == table.objective else designs[metric]


def _other_metric(table: TrialTable, metric: str) -> Shrunken | None:
    """Shrink a metric that is not the objective, by its own noise and towards the cost."""
    measured = noise(table, metric)
    if isinstance(measured, Refusal):
        return None
    designs = table.designs()
    cost, scores = designs[table.cost].to_numpy(float), designs[metric].to_numpy(float)
    return shrink(
        scores,
        designs["repeats"],
        measured.sd_at(cost) ** 2,
        cost_trend_prior(cost, scores),
        noise_freedom=measured.degrees_of_freedom,
    )


def growth_of_front(context: Context) -> Growth | Refusal:
    """Follow the hypervolume in random orders of the networks."""
    designs, n = context.designs, len(context.designs)
    cost, score = designs[context.table.cost], designs["score"]
    if n < FEWEST_DESIGNS or min(np.ptp(score), np.ptp(cost)) == 0:
        return Refusal("fronts.few", {"n": n, "needed": FEWEST_DESIGNS})
    sizes = np.unique(np.geomspace(2, n, 15).round().astype(np.int64))
    rng = np.random.default_rng([context.seed, 2])
    return Growth(sizes, *hypervolume_growth(cost, score, sizes.tolist(), rng, orders=60))
