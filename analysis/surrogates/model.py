"""What a model that may stand in for training must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from analysis.trials.factors import FactorInfo

ADDITIVITY_TOLERANCE = 1e-6


class Fitted(Protocol):
    """A fitted model of a score as a function of coded factors (n, p)."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the score (n,)."""

    def shap(self, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
        """Return interventional SHAP values (n, p) and the mean prediction on the background."""


@dataclass(frozen=True, slots=True)
class Affordable:
    """Rows explained and background rows, in each of 200 refits."""

    rows: int
    background: int


class Model(Protocol):
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


def explain(model: Fitted, x: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
    """Return SHAP values (n, p) and their largest additivity error, refusing a wrong sum."""
    values, base = model.shap(x, background)
    gap = float(np.abs(values.sum(1) + base - model.predict(x)).max()) if len(x) else 0.0
    if gap > ADDITIVITY_TOLERANCE:
        raise RuntimeError(f"SHAP values miss the prediction by {gap:.2g}")
    return values, gap
