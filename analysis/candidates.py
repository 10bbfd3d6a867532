"""Models that may stand in for training: each fits, predicts and explains itself exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import numpy as np
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import RidgeCV

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


class Candidate(Protocol):
    """A kind of model that can be fitted."""

    @property
    def name(self) -> str:
        """How the report calls it."""

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        factors: Sequence[FactorInfo],
        seed: int,
        weights: np.ndarray | None = None,
    ) -> Fitted:
        """Fit to coded factors (n, p) and scores (n,), with weights of rows (n,) or without."""


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

    def curved(self) -> np.ndarray:
        """Tell which columns of `main` bend (they are shrunk like pairs)."""
        if self.levels:
            return np.zeros(len(self.levels), dtype=bool)
        return np.array([False, True]) if self.squared else np.array([False])

    def crossed(self, x: np.ndarray) -> np.ndarray:
        main = self.main(x)
        return main if self.levels else main[:, :1]


@dataclass(frozen=True, slots=True, eq=False)
class FittedQuadratic:
    """Squares and pairwise products of the factors; SHAP in closed form."""

    bases: tuple[_Basis, ...]
    intercept: float
    mains: tuple[np.ndarray, ...]
    pairs: dict[tuple[int, int], np.ndarray]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the score (n,)."""
        total = np.full(len(x), self.intercept)
        for j, (basis, weights) in enumerate(zip(self.bases, self.mains, strict=True)):
            total += basis.main(x[:, j]) @ weights
        crossed = [basis.crossed(x[:, j]) for j, basis in enumerate(self.bases)]
        for (j, k), weights in self.pairs.items():
            total += ((crossed[j] @ weights) * crossed[k]).sum(1)
        return total

    def shap(self, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
        """Return interventional SHAP values (n, p) and the mean prediction on the background."""
        return self.interactions(x, background).sum(2), float(self.predict(background).mean())

    def interactions(self, x: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Return interventional SHAP interaction values (n, p, p).

        For a term t(x_j, x_k) the four coalition values are its mean over the background with
        none, one or both arguments taken from x; the Shapley formula is applied to them.
        """
        p = len(self.bases)
        out = np.zeros((len(x), p, p))
        for j, (basis, weights) in enumerate(zip(self.bases, self.mains, strict=True)):
            own = basis.main(x[:, j]) @ weights
            out[:, j, j] = own - (basis.main(background[:, j]) @ weights).mean()
        here = [basis.crossed(x[:, j]) for j, basis in enumerate(self.bases)]
        there = [basis.crossed(background[:, j]) for j, basis in enumerate(self.bases)]
        for (j, k), weights in self.pairs.items():
            both = ((here[j] @ weights) * here[k]).sum(1)
            neither = float(((there[j] @ weights) * there[k]).sum(1).mean())
            first = here[j] @ (weights @ there[k].mean(0))
            second = here[k] @ (there[j].mean(0) @ weights)
            pair = (both - first - second + neither) / 2
            out[:, j, k] = out[:, k, j] = pair
            out[:, j, j] += first - neither
            out[:, k, k] += second - neither
        return out


@dataclass(frozen=True, slots=True)
class QuadraticRidge:
    """Ridge regression on factors, squares and pairwise products.

    The penalty, and how much harder squares and pairs are shrunk than straight effects, are
    chosen inside each fit by leave-one-out error: with few trials it is all but linear.
    """

    name: str = "quadratic ridge"
    curved_scales: tuple[float, ...] = (0.05, 0.2, 0.6)

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        factors: Sequence[FactorInfo],
        seed: int,
        weights: np.ndarray | None = None,
    ) -> FittedQuadratic:
        """Fit to coded factors (n, p) and scores (n,), with weights of rows (n,) or without."""
        bases = tuple(_basis(x[:, j], factor) for j, factor in enumerate(factors))
        mains = [basis.main(x[:, j]) for j, basis in enumerate(bases)]
        crossed = [basis.crossed(x[:, j]) for j, basis in enumerate(bases)]
        blocks, pairs = list(mains), list(combinations(range(len(bases)), 2))
        for j, k in pairs:
            product = crossed[j][:, :, None] * crossed[k][:, None, :]
            blocks.append(product.reshape(len(x), -1))
        flags = [basis.curved() for basis in bases]
        flags += [np.ones(block.shape[1], dtype=bool) for block in blocks[len(bases) :]]
        curved = np.concatenate(flags)
        columns = np.hstack(blocks)
        best: tuple[float, np.ndarray, float] | None = None
        for scale in self.curved_scales:
            scales = np.where(curved, scale, 1.0)
            model = RidgeCV(alphas=np.logspace(-1, 4, 16)).fit(
                columns * scales, y, sample_weight=weights
            )
            if best is None or model.best_score_ > best[0]:
                best = (model.best_score_, model.coef_ * scales, float(model.intercept_))
        assert best is not None
        _, slopes, intercept = best
        parts = np.split(slopes, np.cumsum([block.shape[1] for block in blocks])[:-1])
        shapes = {(j, k): (crossed[j].shape[1], crossed[k].shape[1]) for j, k in pairs}
        return FittedQuadratic(
            bases,
            intercept,
            tuple(parts[: len(bases)]),
            {
                pair: part.reshape(shapes[pair])
                for pair, part in zip(pairs, parts[len(bases) :], strict=True)
            },
        )


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

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        factors: Sequence[FactorInfo],
        seed: int,
        weights: np.ndarray | None = None,
    ) -> FittedTrees:
        """Fit to coded factors (n, p) and scores (n,), with weights of rows (n,) or without."""
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
                n_estimators=50,
                min_samples_leaf=max(2, len(x) // 80),
                max_depth=6,
                max_features=0.6 if kind is RandomForestRegressor else 1.0,
                random_state=seed,
            )
        low, high = x.min(0), x.max(0)
        fitted = FittedTrees(model, low, np.where(high > low, high - low, 1.0) / 4096)
        model.fit(fitted.whole(x), y, sample_weight=weights)
        return fitted


CANDIDATES: tuple[Candidate, ...] = (
    QuadraticRidge(),
    Trees("gradient boosting"),
    Trees("extra trees"),
    Trees("random forest"),
)


def explain(model: Fitted, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
    """Return SHAP values (n, p) and their largest additivity error, refusing a wrong sum."""
    values, base = model.shap(x, background)
    gap = float(np.abs(values.sum(1) + base - model.predict(x)).max()) if len(x) else 0.0
    if gap > ADDITIVITY_TOLERANCE:
        raise RuntimeError(f"SHAP values miss the prediction by {gap:.2g}")
    return values, gap
