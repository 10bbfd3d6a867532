"""Whether more compute never hurts, and whether more of a factor helps at equal compute."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import isotonic_regression

from analysis.stats.regression import fit_spline, holm
from analysis.trials.table import TrialTable

BINS = 10
FEWEST_IN_BIN = 6
DRAWS = 999
COLUMNS = ("cost", "score", "se", "isotonic", "n")


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
    refusal: str | None = None

    @property
    def rises(self) -> bool:
        """Whether the means are compatible with a score that never falls with cost."""
        return self.refusal is None and self.p >= 0.05

    def to_frame(self) -> pd.DataFrame:
        """Return one row per bin, for the CSV."""
        return self.curve


@dataclass(frozen=True, slots=True)
class Trend:
    """Trend of the score along one ordered factor within bins of cost (Jonckheere-Terpstra).

    `dominance` is the share of pairs of like cost in which the network with more of the factor
    scores better, less the share in which it scores worse (−1 to 1, Goodman and Kruskal's gamma
    up to ties of the score), `p` two-sided, `p_adjusted` Holm's over the factors.
    """

    factor: str
    dominance: float
    z: float
    p: float
    p_adjusted: float
    bins: int
    pairs: int


def monotone(table: TrialTable, *, seed: int = 0) -> Monotone:
    """Hold the mean score in bins of cost against isotonic regression (pool adjacent violators)."""
    designs = table.designs()
    n = len(designs)
    bins = _bins(n)
    cost, score = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    if bins < 3 or np.ptp(cost) == 0 or np.ptp(score) == 0:
        reason = f"a rise with cost is not tested: {n} architectures, or one cost or one score"
        nan = float("nan")
        return Monotone(pd.DataFrame(columns=COLUMNS), nan, nan, nan, n, reason)
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


def trends(table: TrialTable) -> tuple[Trend, ...]:
    """Test every ordered factor for a trend of the score within bins of cost.

    S sums over pairs of one bin the sign of (difference in factor × difference in score); its
    variance is that of Kendall's S with ties, which makes it the Jonckheere-Terpstra test in each
    bin. A spline in ln cost is taken off the score before, as costs still differ within a bin.
    """
    designs = table.designs()
    n = len(designs)
    bins = _bins(n)
    c, y = table.log_cost(designs), designs["score"].to_numpy(float)
    if bins < 1 or n < 2 * FEWEST_IN_BIN:
        return ()
    left = y - fit_spline(c, y)(c)
    parts = np.array_split(np.arange(n), bins)
    found = []
    for factor in table.factors:
        codes = factor.code(designs[factor.name])
        if not factor.ordered or len(np.unique(codes)) < 2:
            continue
        each = [kendall_s(codes[part], left[part]) for part in parts]
        total, variance, pairs = (float(sum(column)) for column in zip(*each, strict=True))
        if variance <= 0:
            continue
        z = total / float(np.sqrt(variance))
        p = 2 * float(stats.norm.sf(abs(z)))
        found.append(Trend(factor.name, total / pairs, z, p, p, bins, int(pairs)))
    adjusted = holm(np.array([trend.p for trend in found]))
    final = [replace(t, p_adjusted=float(p)) for t, p in zip(found, adjusted, strict=True)]
    return tuple(sorted(final, key=lambda trend: trend.p))


def trends_frame(found: tuple[Trend, ...]) -> pd.DataFrame:
    """Return one row per factor, for the CSV."""
    columns = list(Trend.__dataclass_fields__)
    return pd.DataFrame([{c: getattr(t, c) for c in columns} for t in found], columns=columns)


def rising(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the closest sequence that never falls, by weighted least squares."""
    return np.asarray(isotonic_regression(values, weights=weights).x)


def kendall_s(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Return Kendall's S, its variance under independence with ties, and the pairs untied in x."""
    n = len(x)
    sign_x = np.sign(x[:, None] - x[None, :])
    s = float((sign_x * np.sign(y[:, None] - y[None, :])).sum() / 2)
    tied_x, tied_y = (np.unique(v, return_counts=True)[1].astype(float) for v in (x, y))

    def moments(t: np.ndarray) -> tuple[float, float, float]:
        return (
            float((t * (t - 1) * (2 * t + 5)).sum()),
            float((t * (t - 1)).sum()),
            float((t * (t - 1) * (t - 2)).sum()),
        )

    (x5, x1, x2), (y5, y1, y2) = moments(tied_x), moments(tied_y)
    variance = (n * (n - 1) * (2 * n + 5) - x5 - y5) / 18 + x1 * y1 / (2 * n * max(n - 1, 1))
    if n > 2:
        variance += x2 * y2 / (9 * n * (n - 1) * (n - 2))
    return s, variance, float(np.abs(sign_x).sum() / 2)


def _bins(n: int) -> int:
    return int(min(BINS, n // FEWEST_IN_BIN))
