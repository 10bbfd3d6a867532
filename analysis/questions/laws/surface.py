"""The quadratic surface in log sizes and log cost that a law of the best shape is read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.stats.coding import factor_columns
from analysis.stats.regression import natural_spline, spline_knots
from analysis.trials.factors import FactorInfo
from analysis.trials.table import TrialTable

COLLINEAR = 0.05  # what the cost and the other factors must leave of each combination of sizes
# How fast a wrong shape costs less as networks grow, per ln cost: where all errors shrink with
# cost, so do these, and a surface of one curvature would then be biased.
FADING = np.linspace(-0.2, 0.6, 9)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The regression: t = c − mean c, natural logs z (n, k) less `centre`, design matrices.

    `kept` are the coordinates of z in `shape`: all, or all but one that follows from the others by
    t = sum_j `shares`_j z_j.
    """

    t: np.ndarray
    z: np.ndarray
    centre: np.ndarray
    e: np.ndarray
    base: np.ndarray  # (n, q): spline and other factors
    shape: np.ndarray  # (n, s): z, t z, products
    kept: np.ndarray
    shares: np.ndarray

    def optimum(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return Q of the kept z, and intercepts and exponents (k,) of all from weights (s,)."""
        q, kept_intercepts, kept_exponents = self._kept_optimum(weights)
        intercepts, exponents = np.zeros(len(self.shares)), np.zeros(len(self.shares))
        intercepts[self.kept], exponents[self.kept] = kept_intercepts, kept_exponents
        for j in np.setdiff1d(np.arange(len(self.shares)), self.kept):
            intercepts[j] = -self.shares[self.kept] @ kept_intercepts / self.shares[j]
            exponents[j] = (1 - self.shares[self.kept] @ kept_exponents) / self.shares[j]
        return q, intercepts, exponents

    def _kept_optimum(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k = len(self.kept)
        b, h, products = weights[:k], weights[k : 2 * k], weights[2 * k :]
        q = np.zeros((k, k))
        upper = np.triu_indices(k)
        q[upper] = products
        q = (q + q.T) / 2
        solve = np.linalg.pinv(q)
        return q, -0.5 * solve @ b, -0.5 * solve @ h


def fit_surface(
    table: TrialTable, designs: pd.DataFrame, infos: Sequence[FactorInfo], t: np.ndarray
) -> Surface:
    """Return the design of the regression of some factors at t = ln cost less its mean (n,)."""
    logs = np.column_stack([factor.code(designs[factor.name]) for factor in infos]) * np.log(2)
    centre = logs.mean(0)
    z = logs - centre
    others = {
        factor.name: factor_columns(factor, factor.code(designs[factor.name]))
        for factor in table.factors
        if factor not in infos and designs[factor.name].nunique() > 1
    }
    spline = natural_spline(t, spline_knots(t))
    base = _base(spline, z, others)
    shares = np.linalg.lstsq(np.column_stack([np.ones(len(t)), z]), t, rcond=None)[0][1:]
    kept = np.arange(len(infos))
    if len(infos) > 1 and left_over(base, z) < COLLINEAR:
        kept = np.delete(kept, np.argmax(np.abs(shares) * z.std(0)))
    rows, columns = np.triu_indices(len(kept))
    own = z[:, kept]
    return Surface(
        t,
        z,
        centre,
        designs["error"].to_numpy(float),
        base,
        np.hstack([own, own * t[:, None], own[:, rows] * own[:, columns]]),
        kept,
        shares,
    )


def _base(spline: np.ndarray, z: np.ndarray, others: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the spline and the other factors, but for one that has to give way.

    Where the cost is (nearly) a product of the factors, no size can change at equal cost while all
    others are held: held fixed, they leave a combination of the sizes no variation of its own, and
    its best value would be read from rounding errors. Without the factor whose absence leaves most,
    there is some; if there is not, all are held.
    """
    every = np.hstack([spline, *others.values()])
    if left_over(every, z) >= COLLINEAR:
        return every
    fewer = [
        np.hstack([spline, *(block for name, block in others.items() if name != without)])
        for without in others
    ]
    best = max(fewer, key=lambda base: left_over(base, z), default=every)
    return best if left_over(best, z) >= COLLINEAR else every


def left_over(base: np.ndarray, z: np.ndarray) -> float:
    """Return the least share of variance that `base` leaves of any combination of z (n, k)."""
    q, _ = np.linalg.qr(base)
    rest = z - q @ (q.T @ z)
    scale = np.linalg.cholesky(z.T @ z + 1e-12 * np.trace(z.T @ z) * np.eye(z.shape[1]))
    white = np.linalg.solve(scale, rest.T)
    return float(np.linalg.eigvalsh(white @ white.T).min())


def fit_exponents(surface: Surface, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit to some rows; return the shape weights (s,) and predictions for all rows (n,)."""
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for fading in FADING:
        columns = np.hstack([surface.base, surface.shape * np.exp(-fading * surface.t)[:, None]])
        gram = columns[rows].T @ columns[rows]
        weights = np.linalg.lstsq(gram, columns[rows].T @ surface.e[rows], rcond=1e-12)[0]
        predicted = columns @ weights
        loss = float(((surface.e[rows] - predicted[rows]) ** 2).sum())
        if best is None or loss < best[0]:
            best = loss, weights[surface.base.shape[1] :], predicted
    assert best is not None
    return best[1:]
