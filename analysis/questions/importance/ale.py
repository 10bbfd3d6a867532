"""Accumulated local effects: what a factor does to the prediction, robust to tied factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.stats.regression import folds
from analysis.surrogates.candidate import Fitted
from analysis.surrogates.surrogate import FOLDS, Surrogate, Target, fit_target
from analysis.trials.factors import FactorInfo, label
from analysis.trials.table import TrialTable

STEPS = 10
MOST_ROWS = 600


@dataclass(frozen=True, slots=True, eq=False)
class Ale:
    """The accumulated local effect of one factor with a pointwise 95 % bootstrap band.

    `curve` has one row per node: code, value (as people write it), effect, low, high, in score
    units, with mean zero over the architectures.
    """

    factor: str
    target: Target
    curve: pd.DataFrame
    bootstraps: int

    @property
    def span(self) -> float:
        """Difference between the best and the worst value of the factor."""
        return float(np.ptp(self.curve["effect"])) if len(self.curve) else 0.0


def accumulated(
    table: TrialTable,
    surrogate: Surrogate,
    names: Sequence[str],
    *,
    bootstraps: int = 40,
    seed: int = 0,
) -> tuple[Ale, ...]:
    """Compute ALE(z) = sum over steps k up to z of the mean of f(z_k, x) − f(z_{k−1}, x).

    The mean is over architectures whose own value lies in step k (Apley and Zhu 2020), so no
    combination is asked of the surrogate that the design does not hold. Cross-fitted: each
    architecture is explained by a model that did not see it; the band is from refits to
    resampled architectures, each explaining those left out. Levels without an order are taken in
    the order of their codes.
    """
    designs = table.designs()
    x, c, y = table.codes(designs), table.log_cost(designs), designs["score"].to_numpy(float)
    rng = np.random.default_rng(seed)
    places = [table.factor_names.index(name) for name in names]
    steps = [_Steps.of(x[:, j], table.factors[j]) for j in places]
    n = len(y)

    def differences(train: np.ndarray, test: np.ndarray, number: int) -> list[np.ndarray]:
        model = fit_target(
            surrogate.candidate, surrogate.target, x[train], c[train], y[train],
            table.factors, seed + number,
        ).model  # fmt: skip
        few = test if len(test) <= MOST_ROWS else rng.choice(test, MOST_ROWS, replace=False)
        return [s.differences(model, x[few], j) for s, j in zip(steps, places, strict=True)]

    fold = folds(c, min(FOLDS, n), rng)
    parts = [
        differences(np.flatnonzero(fold != k), np.flatnonzero(fold == k), k)
        for k in np.unique(fold)
    ]
    drawn: list[list[np.ndarray]] = []
    for b in range(bootstraps):
        rows = rng.integers(0, n, n)
        left = np.setdiff1d(np.arange(n), rows)
        drawn.append(differences(rows, left, b + 1))
    out = []
    for place, step in enumerate(steps):
        effect = step.accumulate(np.sum([part[place] for part in parts], axis=0))
        again = np.array([step.accumulate(draw[place]) for draw in drawn])
        low, high = _band(effect, again)
        curve = pd.DataFrame(
            {"code": step.nodes, "value": step.labels, "effect": effect, "low": low, "high": high}
        )
        out.append(Ale(names[place], surrogate.target, curve, bootstraps))
    return tuple(out)


def ale_frame(found: Sequence[Ale]) -> pd.DataFrame:
    """Return one row per factor and node, for the CSV."""
    parts = [each.curve.assign(factor=each.factor, target=each.target) for each in found]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """The nodes of one factor, how often each occurs, and whether rows lie at or between them."""

    nodes: np.ndarray
    labels: tuple[str, ...]
    weights: np.ndarray
    at_nodes: bool

    @classmethod
    def of(cls, codes: np.ndarray, factor: FactorInfo) -> _Steps:
        distinct, counts = np.unique(codes, return_counts=True)
        at_nodes = len(distinct) <= STEPS + 2
        if at_nodes:
            nodes, weights = distinct, counts / counts.sum()
        else:
            nodes = np.unique(np.quantile(codes, np.linspace(0, 1, STEPS + 1)))
            inside = np.histogram(codes, nodes)[0] / len(codes)
            weights = (np.append(inside, 0.0) + np.append(0.0, inside)) / 2
        return cls(nodes, tuple(_written(factor, node) for node in nodes), weights, at_nodes)

    def differences(self, model: Fitted, x: np.ndarray, j: int) -> np.ndarray:
        """Return per step the sum of differences and the number of rows (2, steps)."""
        sums = np.zeros((2, len(self.nodes) - 1))
        for k, (low, high) in enumerate(zip(self.nodes[:-1], self.nodes[1:], strict=True)):
            inside = (x[:, j] >= low) & (x[:, j] <= high)
            if not self.at_nodes and k > 0:
                inside &= x[:, j] > low
            rows = x[inside]
            if len(rows):
                upper, lower = rows.copy(), rows.copy()
                upper[:, j], lower[:, j] = high, low
                sums[:, k] = (model.predict(upper) - model.predict(lower)).sum(), len(rows)
        return sums

    def accumulate(self, sums: np.ndarray) -> np.ndarray:
        """Return the centred effect at every node from `differences`."""
        steps = np.divide(sums[0], sums[1], out=np.zeros(sums.shape[1]), where=sums[1] > 0)
        effect = np.append(0.0, np.cumsum(steps))
        return np.asarray(effect - self.weights @ effect)


def _band(effect: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre the spread of the refits, which see fewer architectures, on the estimate."""
    if len(drawn) == 0:
        return np.full(len(effect), np.nan), np.full(len(effect), np.nan)
    low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975], axis=0)
    return effect + low - middle, effect + high - middle


def _written(factor: FactorInfo, code: float) -> str:
    if factor.kind == "choice" and not factor.logarithmic:
        return factor.level_labels()[round(code)]
    value = 2.0**code if factor.logarithmic else code
    return label(round(value) if factor.kind == "int" else value)
