"""Models that may stand in for training: each fits, predicts and explains itself exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)

from analysis.factors import FactorInfo

ADDITIVITY_TOLERANCE = 1e-6


class Fitted(Protocol):
    """A fitted model of a score as a function of coded factors (n, p)."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the score (n,)."""

    def shap(self, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
        """Return interventional SHAP values (n, p) and the mean prediction on the background."""

    def interactions(self, x: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Return SHAP interaction values (n, p, p), whose rows sum to SHAP values."""


@dataclass(frozen=True, slots=True)
class Affordable:
    """Rows explained, background rows, rows with interactions, and refits that have these."""

    rows: int
    background: int
    paired_rows: int
    paired_refits: int


class Candidate(Protocol):
    """A kind of model that can be fitted."""

    @property
    def name(self) -> str:
        """How the report calls it."""

    @property
    def affordable(self) -> Affordable:
        """How much of it can be explained in each of 200 refits."""

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        factors: Sequence[FactorInfo],
        seed: int,
        weights: np.ndarray | None = None,
        free: np.ndarray | None = None,
    ) -> Fitted:
        """Fit to coded factors (n, p) and scores (n,), with weights of rows (n,) or without.

        `free` (n, q) are columns, a constant among them, that explain what they can unpenalised.
        """


# ------------------------------------------------------------------ quadratic ridge


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

    def interactions(self, x: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Return interventional SHAP interaction values (n, p, p)."""
        here, there = self._crossed(x), self._crossed(background)
        mean, moments = there.mean(0), there.T @ there / len(there)
        first = here[:, :, None] * mean
        products = here[:, :, None] * here[:, None, :] - first - first.transpose(0, 2, 1) + moments
        out = self.owner.T @ (self.joint * products / 2) @ self.owner
        index = np.arange(len(self.bases))
        out[:, index, index] = self.shap(x, background)[0] - out.sum(2)
        return np.asarray(out)

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
    affordable: Affordable = Affordable(400, 128, 60, 10_000)

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


# ------------------------------------------------------------------ trees


@dataclass(frozen=True, slots=True, eq=False)
class FittedTrees:
    """A scikit-learn tree ensemble explained by TreeSHAP.

    TreeSHAP with a background compares in single precision (shap 0.51) and sends rows that lie
    within rounding of a threshold the wrong way; on whole numbers both sides agree exactly.
    """

    model: Any
    low: np.ndarray
    step: np.ndarray

    def whole(self, x: np.ndarray) -> np.ndarray:
        """Count in 4096ths of each factor's range (n, p)."""
        return np.asarray(np.round((x - self.low) / self.step))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the score (n,)."""
        return np.asarray(self.model.predict(self.whole(x)))

    def shap(self, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
        """Return interventional SHAP values (n, p) and the mean prediction on the background."""
        from shap import TreeExplainer  # two seconds to import

        explainer = TreeExplainer(
            self.model, self.whole(background), feature_perturbation="interventional"
        )
        values = explainer.shap_values(self.whole(x), check_additivity=False)
        return np.asarray(values), float(np.ravel(explainer.expected_value)[0])

    def interactions(self, x: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Return path-dependent SHAP interaction values (n, p, p).

        An explainer that holds a background silently returns zeros here (shap 0.51), so this one
        has none, and the sums are held against its own SHAP values.
        """
        from shap import TreeExplainer

        explainer = TreeExplainer(self.model)
        values = np.asarray(explainer.shap_interaction_values(self.whole(x)))
        phi = np.asarray(explainer.shap_values(self.whole(x), check_additivity=False))
        gap = float(np.abs(values.sum(2) - phi).max())
        if gap > ADDITIVITY_TOLERANCE:
            raise RuntimeError(f"interaction values miss the SHAP values by {gap:.2g}")
        return values


@dataclass(frozen=True, slots=True)
class Trees:
    """A kind of tree ensemble, sized so that 200 refits with SHAP stay within a minute."""

    name: str
    affordable: Affordable = Affordable(64, 24, 20, 40)

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        factors: Sequence[FactorInfo],
        seed: int,
        weights: np.ndarray | None = None,
        free: np.ndarray | None = None,
    ) -> FittedTrees:
        """Fit to coded factors (n, p) and scores (n,); whole weights repeat rows."""
        if self.name == "gradient boosting":
            model = HistGradientBoostingRegressor(
                max_iter=80,
                learning_rate=0.1,
                max_leaf_nodes=8,
                min_samples_leaf=max(3, min(20, len(x) // 25)),
                l2_regularization=1.0,
                early_stopping=False,
                random_state=seed,
            )
        else:
            kind = RandomForestRegressor if self.name == "random forest" else ExtraTreesRegressor
            model = kind(
                n_estimators=40,
                min_samples_leaf=max(2, len(x) // 80),
                max_depth=6,
                max_features=0.6 if kind is RandomForestRegressor else 1.0,
                random_state=seed,
            )
        if free is not None:
            root = np.sqrt(np.ones(len(y)) if weights is None else weights)
            y = y - free @ np.linalg.lstsq(free * root[:, None], y * root, rcond=None)[0]
        if weights is not None:  # weighted binning of gradient boosting takes a second
            rows = np.repeat(np.arange(len(y)), weights.astype(int))
            x, y = x[rows], y[rows]
        low, high = x.min(0), x.max(0)
        fitted = FittedTrees(model, low, np.where(high > low, high - low, 1.0) / 4096)
        model.fit(fitted.whole(x), y)
        return fitted


CANDIDATES: tuple[Candidate, ...] = (
    QuadraticRidge(),
    Trees("gradient boosting"),
    Trees("extra trees", Affordable(48, 16, 12, 40)),  # TreeSHAP is slow on whole forests
    Trees("random forest", Affordable(48, 16, 12, 40)),
)


def explain(model: Fitted, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
    """Return SHAP values (n, p) and their largest additivity error, refusing a wrong sum."""
    values, base = model.shap(x, background)
    gap = float(np.abs(values.sum(1) + base - model.predict(x)).max()) if len(x) else 0.0
    if gap > ADDITIVITY_TOLERANCE:
        raise RuntimeError(f"SHAP values miss the prediction by {gap:.2g}")
    return values, gap
