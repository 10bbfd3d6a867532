"""Whether more compute never hurts: the check on a law that says it helps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from analysis.stats.interval import ALPHA
from analysis.stats.refusal import Refusal
from analysis.trials.table import TrialTable

BINS = 10
FEWEST_IN_BIN = 6
DRAWS = 999


@dataclass(frozen=True, slots=True, eq=False)
class Monotone:
    """Mean scores in bins of cost against the closest curve that never falls.

    `curve` has per bin: cost (geometric mean), score, se, isotonic, n. `violation` is the largest
    distance of a mean from that curve in the unit of the score, `limit` two standard errors of
    the same mean, and `p` how often noise about a flat line strays further, in standard errors.
    """

    curve: pd.DataFrame
    violation: float
    limit: float
    p: float
    n: int

    @property
    def rises(self) -> bool:
        """Whether the means are compatible with a score that never falls with cost."""
        return self.p >= ALPHA


def monotone(table: TrialTable, *, seed: int = 0) -> Monotone | Refusal:
    """Hold the mean score in bins of cost against isotonic regression (pool adjacent violators)."""
    designs = table.designs()
    n = len(designs)
    bins = _bins(n)
    cost, score = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    if bins < 3 or np.ptp(cost) == 0 or np.ptp(score) == 0:
        return Refusal("laws.no_rise", {"n": n})
    parts = np.array_split(np.arange(n), bins)  # designs are sorted by cost
    counts = np.array([len(part) for part in parts])
    means = np.array([score[part].mean() for part in parts])
    within = sum(((score[part] - score[part].mean()) ** 2).sum() for part in parts) / (n - bins)
    se = np.sqrt(within / counts)
    fitted = rising(means, counts)
    away = np.abs(means - fitted) / se
    # Of all curves that never fall, noise strays furthest from its fit about a flat one.
    rng = np.random.default_rng(seed)
    draws = se * rng.standard_normal((DRAWS, bins))
    chance = np.array([(np.abs(row - rising(row, counts)) / se).max() for row in draws])
    worst = int(np.argmax(away))
    curve = pd.DataFrame(
        {
            "cost": [float(np.exp(np.log(cost[part]).mean())) for part in parts],
            "score": means,
            "se": se,
            "isotonic": fitted,
            "n": counts,
        }
    )
    return Monotone(
        curve,
        float(abs(means[worst] - fitted[worst])),
        float(2 * se[worst]),
        float((1 + (chance >= away[worst] - 1e-12).sum()) / (1 + DRAWS)),
        n,
    )


def rising(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the closest sequence that never falls, by weighted least squares."""
    return np.asarray(isotonic_regression(values, weights=weights).x)


def _bins(n: int) -> int:
    return int(min(BINS, n // FEWEST_IN_BIN))
