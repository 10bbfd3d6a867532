"""Which factors matter: cross-fitted SHAP with bootstrap intervals and a noise floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.stats.interval import LEVEL, TAILS, Interval, row_of
from analysis.stats.refusal import Refusal
from analysis.stats.regression import folds
from analysis.surrogates.model import Fitted, explain
from analysis.surrogates.surrogate import FOLDS, Data, Surrogate, Target, fit_target
from analysis.trials.table import TrialTable

Subset = Literal["all", "best quarter"]
SHADOWS = 3
FEWEST_ROWS = 24


@dataclass(frozen=True, slots=True)
class FactorImportance:
    """Mean |SHAP| of one factor in units of the score.

    `direction` is Spearman's correlation of the factor's code with its SHAP values (NaN for
    unordered levels), `top` the probability to be among the three most important, `important`
    whether the interval lies above what permuted copies of factors reach (`floor`).
    """

    factor: str
    importance: Interval
    share: float
    rank: int
    rank_low: int
    rank_high: int
    top: float
    direction: float
    important: bool


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """Importances of all factors for one target, over all architectures or the best quarter.

    `values` holds the out-of-fold SHAP values (architectures × factors, in score units) and
    `designs` the same rows' factors and cost; `ranks` the probability of each rank per factor.
    """

    target: Target
    subset: Subset
    model: str
    factors: tuple[FactorImportance, ...]
    values: pd.DataFrame
    designs: pd.DataFrame
    ranks: pd.DataFrame
    floor: float
    additivity_gap: float
    bootstraps: int
    n: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor, most important first, for the CSV."""
        frame = pd.DataFrame([row_of(factor) for factor in self.factors])
        return frame.assign(floor=self.floor, target=self.target, subset=self.subset, n=self.n)


def importance(
    table: TrialTable,
    surrogate: Surrogate,
    *,
    subsets: Sequence[Subset] = ("all", "best quarter"),
    bootstraps: int = 200,
    seed: int = 0,
) -> dict[Subset, Importance] | Refusal:
    """Explain the surrogate, if it is adequate, on architectures it was not fitted to.

    Point estimates: 5 folds, each explained by a model of the others, with a background from
    those. Intervals: each of `bootstraps` refits resamples architectures and explains those left
    out. In every fit, three permuted copies of factors ("shadows") show what noise alone reaches.
    The best quarter is taken by out-of-fold prediction, not by the noisy score.
    """
    if not surrogate.adequate:
        return surrogate.refusal
    designs = table.designs()
    rng = np.random.default_rng(seed)
    problem = _Problem(surrogate, Data.of(table), seed)
    masks = {subset: _mask(surrogate, subset) for subset in subsets}
    masks = {subset: mask for subset, mask in masks.items() if mask.sum() >= FEWEST_ROWS}
    if not masks:
        return Refusal("importance.few", {"n": len(designs), "needed": FEWEST_ROWS})
    phi, gap = _cross_fit(problem, masks, rng)
    draws = _bootstrap(problem, masks, bootstraps, rng)
    shown = ["architecture_hash", *table.factor_names, table.cost, "score"]
    return {
        subset: _summary(problem, subset, mask, phi[subset], gap, draws[subset], designs[shown])
        for subset, mask in masks.items()
        if 2 * len(draws[subset]) >= bootstraps  # too few rows to explain in most refits
    }


@dataclass(frozen=True, slots=True)
class _Problem:
    surrogate: Surrogate
    data: Data
    seed: int

    def shadowed(self, rng: np.random.Generator) -> Data:
        """Append permuted copies of randomly chosen factors: x (n, p + shadows)."""
        data = self.data
        copied = rng.integers(0, len(data.factors), SHADOWS)
        shadows = [rng.permutation(data.x[:, j]) for j in copied]
        factors = (*data.factors, *(data.factors[j] for j in copied))
        return replace(data, factors=factors, x=np.column_stack([data.x, *shadows]))

    def fit(self, data: Data, number: int = 0, weights: np.ndarray | None = None) -> Fitted:
        """Fit the surrogate's kind of model to some architectures."""
        kind, target = self.surrogate.model, self.surrogate.target
        return fit_target(kind, target, data, self.seed + number, weights).model


def _mask(surrogate: Surrogate, subset: Subset) -> np.ndarray:
    if subset == "all":
        return np.ones(surrogate.n, dtype=bool)
    predicted = surrogate.predictions["predicted"].to_numpy()
    if surrogate.target == "equal cost":
        predicted = predicted - surrogate.predictions["predicted_from_cost"].to_numpy()
    return np.asarray(predicted >= np.quantile(predicted, 0.75))


def _some(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= count else rng.choice(rows, count, replace=False)


def _cross_fit(
    problem: _Problem, masks: dict[Subset, np.ndarray], rng: np.random.Generator
) -> tuple[dict[Subset, np.ndarray], float]:
    """Return per subset SHAP values (n, p + shadows; NaN outside), and the additivity gap."""
    n = len(problem.data)
    data = problem.shadowed(rng)
    x = data.x
    phi = {subset: np.full(x.shape, np.nan) for subset in masks}
    gap = 0.0
    fold = folds(data.log_cost, min(FOLDS, n), rng)
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        fitted = problem.fit(data[train])
        for subset, mask in masks.items():
            rows = np.flatnonzero(test & mask)
            background = _some(np.flatnonzero(train & mask), 100, rng)
            if len(rows) == 0 or len(background) == 0:
                continue
            phi[subset][rows], error = explain(fitted, x[rows], x[background])
            gap = max(gap, error)
    return phi, gap


def _bootstrap(
    problem: _Problem, masks: dict[Subset, np.ndarray], count: int, rng: np.random.Generator
) -> dict[Subset, list[np.ndarray]]:
    """Return mean |SHAP| (p + shadows,) of every refit, by subset."""
    n = len(problem.data)
    afford = problem.surrogate.model.affordable
    draws: dict[Subset, list[np.ndarray]] = {subset: [] for subset in masks}
    for b in range(count):
        data = problem.shadowed(rng)
        x = data.x
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        inside = np.flatnonzero(times)
        fitted = problem.fit(data[inside], b + 1, times[inside].astype(float))
        for subset, mask in masks.items():
            rows = _some(np.flatnonzero((times == 0) & mask), afford.rows, rng)
            background = _some(inside[mask[inside]], afford.background, rng)
            if len(rows) < 4 or len(background) < 4:
                continue
            values, _ = explain(fitted, x[rows], x[background])
            draws[subset].append(np.abs(values).mean(0))
    return draws


def _summary(
    problem: _Problem,
    subset: Subset,
    mask: np.ndarray,
    phi: np.ndarray,
    gap: float,
    draws: list[np.ndarray],
    designs: pd.DataFrame,
) -> Importance:
    factors = problem.data.factors
    p, names = len(factors), [factor.name for factor in factors]
    phi = phi[mask]
    estimate = np.abs(phi).mean(0)
    sampled = np.array(draws).reshape(-1, p + SHADOWS)
    low, high = _interval(sampled[:, :p], estimate[:p])
    floor = float(np.quantile(sampled[:, p:].max(1), LEVEL))
    place = (-sampled[:, :p]).argsort(1).argsort(1) + 1
    ranks = np.array([(place == r).mean(0) for r in range(1, p + 1)]).T
    order = np.argsort(-estimate[:p], kind="stable")
    total = float(estimate[:p].sum())
    rows = []
    for rank, j in enumerate(order, start=1):
        rows.append(
            FactorImportance(
                factor=names[j],
                importance=Interval(float(estimate[j]), float(low[j]), float(high[j])),
                share=float(estimate[j] / total) if total > 0 else 0.0,
                rank=rank,
                rank_low=int(np.quantile(place[:, j], TAILS[0], method="lower")),
                rank_high=int(np.quantile(place[:, j], TAILS[1], method="higher")),
                top=float((place[:, j] <= 3).mean()),
                direction=_direction(problem, mask, j, phi[:, j]),
                important=bool(low[j] > floor),
            )
        )
    columns = [names[j] for j in order]
    return Importance(
        target=problem.surrogate.target,
        subset=subset,
        model=problem.surrogate.model.name,
        factors=tuple(rows),
        values=pd.DataFrame(phi[:, order], columns=columns),
        designs=designs[mask].reset_index(drop=True),
        ranks=pd.DataFrame(ranks[order], index=columns, columns=range(1, p + 1)),
        floor=floor,
        additivity_gap=gap,
        bootstraps=len(draws),
        n=int(mask.sum()),
    )


def _interval(sampled: np.ndarray, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of bootstrap draws (draws, p), centred on the estimate.

    Refits see 63 % of the architectures and shrink more, so their quantiles are taken relative to
    their median; ratios keep an importance above zero.
    """
    low, middle, high = np.quantile(sampled, [TAILS[0], 0.5, TAILS[1]], axis=0)
    middle = np.maximum(middle, 1e-12)
    return estimate * low / middle, estimate * high / middle


def _direction(problem: _Problem, mask: np.ndarray, j: int, phi: np.ndarray) -> float:
    x = problem.data.x[mask, j]
    if not problem.data.factors[j].ordered or np.ptp(x) == 0 or np.ptp(phi) == 0:
        return float("nan")
    return float(stats.spearmanr(x, phi).statistic)
