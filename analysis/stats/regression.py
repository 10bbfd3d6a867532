"""Small statistical tools shared by the methods: splines, least squares, folds, Holm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.stats.interval import ALPHA, Interval


def natural_spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Evaluate a natural cubic spline basis with intercept: (n, knots) columns.

    Linear beyond the outer knots, so a left-out range is extrapolated tamely (Hastie et al.,
    Elements of Statistical Learning, eq. 5.4-5.5). Columns are scaled to the range of the knots.
    """
    span = knots[-1] - knots[0]
    t = (np.asarray(x, dtype=float) - knots[0]) / span
    k = (knots - knots[0]) / span

    def cube(knot: float) -> np.ndarray:
        return np.asarray(np.maximum(t - knot, 0.0) ** 3)

    last = cube(k[-1])
    d = [(cube(knot) - last) / (k[-1] - knot) for knot in k[:-1]]
    return np.column_stack([np.ones_like(t), t, *(term - d[-1] for term in d[:-1])])


def spline_knots(x: np.ndarray, count: int = 5) -> np.ndarray:
    """Place knots at equal quantiles of x; fewer where x has few distinct values or rows."""
    count = int(np.clip(len(x) // 12, 3, count))
    return np.unique(np.quantile(x, np.linspace(0, 1, count)))


@dataclass(frozen=True, slots=True, eq=False)
class Spline:
    """A natural cubic spline fitted by least squares."""

    knots: np.ndarray
    weights: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate at x (n,)."""
        if len(self.knots) < 2:
            return np.full(len(x), self.weights[0])
        return np.asarray(natural_spline(x, self.knots) @ self.weights)


def fit_spline(
    x: np.ndarray, y: np.ndarray, knots: int = 5, weights: np.ndarray | None = None
) -> Spline:
    """Fit y on a natural cubic spline of x; the mean where x does not vary."""
    places = spline_knots(x, knots)
    root = np.sqrt(np.ones(len(y)) if weights is None else weights)
    if len(places) < 2:
        return Spline(places, np.array([np.average(y, weights=root**2)]))
    basis = natural_spline(x, places) * root[:, None]
    return Spline(places, np.linalg.lstsq(basis, y * root, rcond=None)[0])


@dataclass(frozen=True, slots=True, eq=False)
class LeastSquares:
    """Ordinary least squares with a heteroscedasticity-robust (HC3) covariance."""

    weights: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    degrees_of_freedom: int

    def contrast(self, row: np.ndarray, alpha: float = ALPHA) -> Interval:
        """Return row · weights with its t interval."""
        estimate = float(row @ self.weights)
        error = float(np.sqrt(max(row @ self.covariance @ row, 0.0)))
        half = float(stats.t.ppf(1 - alpha / 2, self.degrees_of_freedom)) * error
        return Interval(estimate, estimate - half, estimate + half)

    def wald(self, columns: np.ndarray) -> float:
        """Return the p-value of all of these columns' weights being zero (F form)."""
        part = self.weights[columns]
        block = self.covariance[np.ix_(columns, columns)]
        statistic = float(part @ np.linalg.pinv(block) @ part) / len(columns)
        return float(stats.f.sf(statistic, len(columns), self.degrees_of_freedom))


def least_squares(x: np.ndarray, y: np.ndarray) -> LeastSquares:
    """Regress y (n,) on the columns of x (n, p); HC3 of MacKinnon and White (1985)."""
    inverse = np.linalg.pinv(x.T @ x)
    weights = inverse @ (x.T @ y)
    residuals = y - x @ weights
    leverage = np.clip(np.einsum("ij,jk,ik->i", x, inverse, x), 0.0, 0.9999)
    scaled = x * (residuals / (1 - leverage))[:, None]
    covariance = inverse @ (scaled.T @ scaled) @ inverse
    freedom = max(len(y) - int(np.linalg.matrix_rank(x)), 1)
    return LeastSquares(weights, covariance, residuals, freedom)


def beyond(fixed: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return columns that span what `columns` (n, q) add to `fixed` (n, p): (n, at most q)."""
    rest = columns - fixed @ np.linalg.lstsq(fixed, columns, rcond=None)[0]
    _, sizes, directions = np.linalg.svd(rest, full_matrices=False)
    kept = sizes > 1e-8 * max(float(np.linalg.norm(columns)), 1e-300)
    return np.asarray(columns @ directions[kept].T)


def told_by(x: np.ndarray, row: np.ndarray) -> bool:
    """Whether row · weights is the same for all weights that fit x (n, p) equally well."""
    return bool(np.allclose(row @ np.linalg.pinv(x) @ x, row, atol=1e-6))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number by Holm's step-down method; NaN stays NaN."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    running = 0.0
    for step, i in enumerate(order):
        running = max(running, (len(order) - step) * p[i])
        adjusted[i] = min(1.0, running)
    return adjusted


def folds(log_cost: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Assign every row to one of `count` folds, stratified by cost (n,).

    Neighbours in cost are dealt out like cards: each fold spans the whole range.
    """
    order = np.argsort(log_cost, kind="stable")
    assigned = np.empty(len(order), dtype=int)
    for start in range(0, len(order), count):
        block = order[start : start + count]
        assigned[block] = rng.permutation(count)[: len(block)]
    return assigned


def r_squared(y: np.ndarray, predicted: np.ndarray) -> float:
    """Return 1 − SSE/SST; NaN where y does not vary."""
    total = float(((y - y.mean()) ** 2).sum())
    return 1.0 - float(((y - predicted) ** 2).sum()) / total if total > 0 else float("nan")
