"""What the random seed alone does to a score, from architectures trained more than once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.stats.interval import TAILS, Interval, Z, normal
from analysis.stats.refusal import Refusal
from analysis.stats.regression import fit_spline
from analysis.trials.table import TrialTable

FEWEST_FOR_TREND = 10


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Seed noise, in the unit of the objective.

    `sd` is pooled over architectures; `trend` is the slope of ln sd per factor of ten in cost;
    the ceilings are the largest R² any model of the architecture can reach, on the scores as they
    are and at equal cost. `replicates` has one row per architecture with several seeds:
    architecture_hash, cost, mean, sd, seeds.
    """

    metric: str
    sd: Interval
    degrees_of_freedom: int
    trend: Interval
    ceiling: float
    ceiling_equal_cost: float
    replicates: pd.DataFrame

    @property
    def slope(self) -> float:
        """Slope of ln variance per ln cost, shrunk by what its own error explains of it.

        (1 − (error / slope)²)₊ of the estimate, as James and Stein: a test would follow a trend
        too steep or none. Few replicated networks bear none.
        """
        found, error = self.trend.estimate, self.trend.half / Z
        if len(self.replicates) < FEWEST_FOR_TREND or found == 0:
            return 0.0
        return float(max(0.0, 1 - (error / found) ** 2) * found * 2 / np.log(10))

    def sd_at(self, cost: np.ndarray) -> np.ndarray:
        """Return the sd at these costs, along the trend within the costs that were replicated."""
        c, own = np.log(np.asarray(cost, dtype=float)), np.log(self.replicates["cost"].to_numpy())
        freedom, variances = self.replicates["seeds"] - 1, self.replicates["sd"] ** 2
        level = np.average(variances * np.exp(-self.slope * own), weights=freedom)
        return np.asarray(np.sqrt(level * np.exp(self.slope * np.clip(c, own.min(), own.max()))))


def noise(table: TrialTable, metric: str | None = None) -> Noise | Refusal:
    """Estimate the seed noise of a metric (by default the objective).

    sigma² = sum over architectures of squared deviations from their mean / sum of (seeds − 1).
    The trend is a gamma regression of the variances on ln cost, whose dispersion 2/(seeds − 1)
    is that of normal noise.
    """
    metric = metric or table.objective
    frame = table.learned
    frame = frame[np.isfinite(frame[metric].astype(float))]
    grouped = frame.groupby("architecture_hash")
    replicates = pd.DataFrame(
        {
            "cost": grouped[table.cost].mean().astype(float),
            "mean": grouped[metric].mean().astype(float),
            "sd": grouped[metric].std().astype(float),
            "seeds": grouped.size(),
        }
    )
    replicates = replicates[replicates["seeds"] > 1].sort_values("cost").reset_index()
    freedom = replicates["seeds"].to_numpy(float) - 1
    total = int(freedom.sum())
    if total < 2:
        return Refusal("stats.noise", {"n": len(replicates)})
    variances = replicates["sd"].to_numpy() ** 2
    pooled = float((variances * freedom).sum() / total)
    low, high = (float(np.sqrt(pooled * total / stats.chi2.ppf(q, total))) for q in TAILS[::-1])
    c = np.log(replicates["cost"].to_numpy())
    slope, error = _gamma_trend(c, variances, freedom, pooled)
    per_decade = np.log(10) / 2
    designs = table.designs()
    y = designs[metric].to_numpy(float)
    averaged = float((pooled / designs["repeats"].to_numpy()).mean())
    flat = y - fit_spline(table.log_cost(designs), y)(table.log_cost(designs))
    return Noise(
        metric=metric,
        sd=Interval(float(np.sqrt(pooled)), low, high),
        degrees_of_freedom=total,
        trend=normal(slope * per_decade, error * per_decade),
        ceiling=_ceiling(averaged, y),
        ceiling_equal_cost=_ceiling(averaged, flat),
        replicates=replicates,
    )


def _ceiling(noise_variance: float, values: np.ndarray) -> float:
    """Return 1 − noise variance / variance, within [0, 1]."""
    variance = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    return float(np.clip(1 - noise_variance / variance, 0.0, 1.0)) if variance > 0 else 0.0


def _gamma_trend(
    c: np.ndarray, variances: np.ndarray, freedom: np.ndarray, pooled: float
) -> tuple[float, float]:
    """Fit ln E[s²] = middle + slope · (c − mean c): return the slope and its standard error."""
    centred = c - np.average(c, weights=freedom)
    weights = freedom / 2
    spread = float((weights * centred**2).sum())
    middle, slope = float(np.log(max(pooled, 1e-300))), 0.0
    if spread <= 0 or len(c) < 3:
        return 0.0, 0.0
    for _ in range(50):  # Fisher scoring; the columns are orthogonal under these weights
        ratio = variances / np.exp(middle + slope * centred) - 1
        step = float((weights * ratio).sum() / weights.sum())
        turn = float((weights * ratio * centred).sum() / spread)
        middle, slope = middle + np.clip(step, -1, 1), slope + np.clip(turn, -1, 1)
        if abs(step) + abs(turn) < 1e-10:
            break
    return slope, 1 / np.sqrt(spread)
