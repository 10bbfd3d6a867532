"""Scores as they are to be expected: pulled towards a prediction by their share of noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.stats.interval import TAILS
from analysis.stats.regression import fit_spline

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shrunken:
    """Empirical-Bayes posterior N(mean, variance) of each network's true score.

    `noise_variance` is that of one run; `spread_variance` (tau2) is how much true scores scatter
    about `prior`, and `spread_resolved` whether they scatter at all beyond noise. A network with
    n runs keeps tau2 / (tau2 + noise / n) of its own deviation.
    """

    mean: Floats
    variance: Floats
    prior: Floats
    noise_variance: Floats
    spread_variance: float
    spread_resolved: bool
    noise_freedom: float = float("inf")

    @property
    def margin(self) -> Floats:
        """Half the interval of each true score, by Student's t as the noise was estimated, too."""
        return np.asarray(stats.t.ppf(TAILS[1], self.noise_freedom) * np.sqrt(self.variance))


def shrink(
    score: ArrayLike,
    runs: ArrayLike,
    noise_variance: ArrayLike,
    prior: ArrayLike,
    *,
    noise_freedom: float = float("inf"),
) -> Shrunken:
    """Pull each mean of `runs` scores towards its prior by its share of noise.

    `prior` must not have seen the network's own score (cross-fitted), else it pulls too hard.
    B = tau2 / (tau2 + sigma2 / n), m = prior + B (y - prior), v = B sigma2 / n, where
    tau2 = mean of (y - prior)^2 - sigma2 / n, and at least one standard error of that: a small
    study that shows no spread does not prove that there is none. The standard error counts that
    the noise itself was estimated, with `noise_freedom` degrees of freedom.
    """
    scores = np.asarray(score, dtype=np.float64)
    expected = np.asarray(prior, dtype=np.float64)
    noise = np.broadcast_to(np.asarray(noise_variance, dtype=np.float64), scores.shape)
    per_mean = noise / np.asarray(runs, dtype=np.float64)
    n = max(scores.size, 1)
    residual, luck = float(((scores - expected) ** 2).sum() / n), float(per_mean.sum() / n)
    estimate = residual - luck
    error = float(np.hypot(residual * np.sqrt(2 / n), luck * np.sqrt(2 / noise_freedom)))
    error = error if luck > 0 else 0.0
    spread = max(0.0, estimate, error)
    total = spread + per_mean
    keep = np.divide(spread, total, out=np.ones_like(per_mean), where=total > 0)
    return Shrunken(
        mean=expected + keep * (scores - expected),
        variance=keep * per_mean,
        prior=expected,
        noise_variance=noise.copy(),
        spread_variance=spread,
        spread_resolved=estimate > 2 * error,
        noise_freedom=noise_freedom,
    )


def cost_trend_prior(
    cost: ArrayLike, score: ArrayLike, *, fold_count: int = 10, knots: int = 4
) -> Floats:
    """Predict each score from log cost alone, cross-fitted: the prior where no surrogate holds.

    A natural spline, within the range of the scores; folds are dealt along cost.
    """
    log_cost = np.log(np.asarray(cost, dtype=np.float64))
    scores = np.asarray(score, dtype=np.float64)
    n = scores.size
    if n < 3:
        return np.full(n, scores.mean() if n else np.nan)
    fold = np.empty(n, dtype=np.int64)
    fold[np.argsort(log_cost, kind="stable")] = np.arange(n) % min(fold_count, n)
    predicted = np.empty(n)
    for number in range(int(fold.max()) + 1):
        left_out = fold == number
        predicted[left_out] = fit_spline(log_cost[~left_out], scores[~left_out], knots)(
            log_cost[left_out]
        )
    return np.clip(predicted, scores.min(), scores.max())
