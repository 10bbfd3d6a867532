"""Ridge regression on factors, squares and products, with SHAP values in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.surrogates.model import Affordable
from analysis.trials.factors import FactorInfo

CHEAP = Affordable(rows=400, background=128)


@dataclass(frozen=True, slots=True, eq=False)
class _Basis:
    """One factor's columns: `main` for its own effect, the first `crossed` of them for pairs."""

    levels: tuple[float, ...]  # of an unordered factor; empty for numbers
    middle: float
    spread: float
    square_middle: float
    squared: bool

    def main(self, x: np.ndarray) -> np.ndarray:
        if self.levels:
            share = 1 / len(self.levels)
            return np.column_stack([(x == level) - share for level in self.levels])
        u = (x - self.middle) / self.spread
        if not self.squared:
            return u[:, None]
        return np.column_stack([u, u**2 - self.square_middle])

    def bent(self) -> np.ndarray:
        """Tell which columns of `main` bend (they are shrunk like pairs)."""
        if self.levels:
            return np.zeros(len(self.levels), dtype=bool)
        return np.array([False, True]) if self.squared else np.array([False])

    def crossed(self, x: np.ndarray) -> np.ndarray:
        main = self.main(x)
        return main if self.levels else main[:, :1]


@dataclass(frozen=True, slots=True, eq=False)
class FittedQuadratic:
    """Straight, bent and pairwise effects of the factors; SHAP in closed form.

    `joint` (q, q) is symmetric and holds the weights of products of the columns of `crossed`,
    whose factors `owner` (q, p) tells.
    """

    bases: tuple[_Basis, ...]
    intercept: float
    mains: tuple[np.ndarray, ...]
    joint: np.ndarray
    owner: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the score (n,)."""
        crossed = self._crossed(x)
        pairs = ((crossed @ self.joint) * crossed).sum(1) / 2
        return np.asarray(self.intercept + self._mains(x).sum(1) + pairs)

    def shap(self, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
        """Return interventional SHAP values (n, p) and the mean prediction on the background.

        For a product of two columns the values of the four coalitions are its mean over the
        background with none, one or both taken from x; the Shapley formula is applied to them.
        """
        here, there = self._crossed(x), self._crossed(background)
        mean, moments = there.mean(0), there.T @ there / len(there)
        alone = here * (self.joint @ mean) - (self.joint * moments).sum(1)
        added = (here - mean) * (here @ self.joint)
        own = self._mains(x) - self._mains(background).mean(0)
        return own + (alone + added) / 2 @ self.owner, float(self.predict(background).mean())

    def _mains(self, x: np.ndarray) -> np.ndarray:
        pairs = enumerate(zip(self.bases, self.mains, strict=True))
        return np.column_stack([basis.main(x[:, j]) @ weights for j, (basis, weights) in pairs])

    def _crossed(self, x: np.ndarray) -> np.ndarray:
        return np.hstack([basis.crossed(x[:, j]) for j, basis in enumerate(self.bases)])


@dataclass(frozen=True, slots=True)
class QuadraticRidge:
    """Ridge regression on factors, squares and pairwise products.

    The penalty, and how much harder bends and pairs are shrunk than straight effects, are chosen
    inside each fit by leave-one-out error: with few trials it is all but linear.
    """

    name: str = "quadratic ridge"
    curved_scales: tuple[float, ...] = (0.05, 0.2, 0.6)
    affordable: Affordable = CHEAP

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        factors: Sequence[FactorInfo],
        seed: int,
        weights: np.ndarray | None = None,
        free: np.ndarray | None = None,
    ) -> FittedQuadratic:
        """Fit to coded factors (n, p) and scores (n,), with weights of rows (n,) or without."""
        bases = tuple(_basis(x[:, j], factor) for j, factor in enumerate(factors))
        mains = [basis.main(x[:, j]) for j, basis in enumerate(bases)]
        blocks = [basis.crossed(x[:, j]) for j, basis in enumerate(bases)]
        owner = np.repeat(np.eye(len(bases)), [block.shape[1] for block in blocks], axis=0)
        crossed = np.hstack(blocks)
        first, second = np.nonzero(np.triu(owner @ owner.T == 0))
        columns = np.hstack([*mains, crossed[:, first] * crossed[:, second]])
        bent = np.concatenate([*(basis.bent() for basis in bases), np.ones(len(first), bool)])
        fits = []
        for scale in self.curved_scales:
            scales = np.where(bent, scale, 1.0)
            loss, slopes, intercept = _ridge(columns * scales, y, weights, free)
            fits.append((loss, scale, slopes * scales, intercept))
        _, _, slopes, intercept = min(fits, key=lambda fit: fit[0])
        ends = np.cumsum([main.shape[1] for main in mains])
        joint = np.zeros((len(owner), len(owner)))
        joint[first, second] = joint[second, first] = slopes[ends[-1] :]
        return FittedQuadratic(
            bases, intercept, tuple(np.split(slopes[: ends[-1]], ends[:-1])), joint, owner
        )


def _ridge(
    columns: np.ndarray, y: np.ndarray, weights: np.ndarray | None, free: np.ndarray | None = None
) -> tuple[float, np.ndarray, float]:
    """Fit ridge regression with the penalty of the least leave-one-out error.

    Returns that error, the slopes and the intercept. The same numbers as scikit-learn's RidgeCV
    from one decomposition for all penalties and rows, which 200 refits need; besides, the columns
    of `free` are projected out of both sides (Frisch-Waugh-Lovell) and thereby not penalised.
    """
    weights = np.ones(len(y)) if weights is None else weights
    root, total = np.sqrt(weights), weights.sum()
    q, _ = np.linalg.qr(root[:, None] * (np.ones((len(y), 1)) if free is None else free))
    left = columns * root[:, None]
    left = left - q @ (q.T @ left)
    target = y * root
    target = target - q @ (q.T @ target)
    if len(y) > columns.shape[1]:  # the Gram matrix is several times cheaper than an SVD
        squares, v = np.linalg.eigh(left.T @ left)
        d, vt = np.sqrt(np.maximum(squares, 0.0)), v.T
        u = left @ v / np.maximum(d, 1e-6)
    else:
        u, d, vt = np.linalg.svd(left, full_matrices=False)
    shrink = d[:, None] ** 2 / (d[:, None] ** 2 + np.logspace(-2, 4, 19))
    fitted = u @ (shrink * (u.T @ target)[:, None])
    leverage = u**2 @ shrink + (q**2).sum(1)[:, None]
    losses = (((target[:, None] - fitted) / np.maximum(1 - leverage, 1e-9)) ** 2).sum(0) / total
    best = int(np.argmin(losses))
    inverse = np.divide(shrink[:, best], d, out=np.zeros_like(d), where=d > 1e-6)
    slopes = vt.T @ (inverse * (u.T @ target))
    return float(losses[best]), slopes, float(weights @ (y - columns @ slopes) / total)


def _basis(x: np.ndarray, factor: FactorInfo) -> _Basis:
    if not factor.ordered:
        return _Basis(tuple(float(i) for i in range(len(factor.choices))), 0.0, 1.0, 0.0, False)
    spread = float(x.std())
    middle, spread = float(x.mean()), spread if spread > 0 else 1.0
    squared = len(np.unique(x)) > 2
    return _Basis((), middle, spread, 1.0, squared)
