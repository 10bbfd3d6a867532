"""Gradient-boosted trees of scikit-learn, explained by TreeSHAP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from analysis.surrogates.model import Affordable
from analysis.trials.factors import FactorInfo

FEW = Affordable(rows=64, background=24)


@dataclass(frozen=True, slots=True, eq=False)
class FittedTrees:
    """Trees explained by TreeSHAP.

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


@dataclass(frozen=True, slots=True)
class Trees:
    """Gradient boosting, sized so that 200 refits with SHAP stay within a minute."""

    name: str = "gradient boosting"
    affordable: Affordable = FEW

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
        model = HistGradientBoostingRegressor(
            max_iter=80,
            learning_rate=0.1,
            max_leaf_nodes=8,
            min_samples_leaf=max(3, min(20, len(x) // 25)),
            l2_regularization=1.0,
            early_stopping=False,
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
