"""A model of the score that stands in for training, and whether it is good enough to explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.stats.interval import Interval, percentiles
from analysis.stats.noise import Noise
from analysis.stats.refusal import Gate, Refusal
from analysis.stats.regression import (
    Spline,
    fit_spline,
    folds,
    natural_spline,
    r_squared,
    spline_knots,
)
from analysis.surrogates.model import Fitted, Model
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.trees import Trees
from analysis.trials.factors import FactorInfo
from analysis.trials.table import TrialTable

Target = Literal["score", "equal cost"]
TARGETS: tuple[Target, ...] = ("score", "equal cost")
# One smooth and one stepwise model: where they predict alike, neither's shape made the answer.
MODELS: tuple[Model, ...] = (QuadraticRidge(), Trees())
FOLDS = 5
FEWEST_DESIGNS = 20


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one model predicts architectures it has not seen (means over repeats of 5 folds).

    `tau` is Kendall's rank correlation, `tau_within` the same among architectures of like cost,
    `top_recall` the share of the true best tenth among the predicted best tenth, `coverage` that
    of nominal 90 % intervals, `r2_new_costs` R² when a whole range of costs is left out.
    """

    name: str
    r2: float
    mae: float
    tau: float
    tau_within: float
    top_recall: float
    coverage: float
    r2_new_costs: float


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """The chosen model with its cross-validated quality beside its rivals and baselines.

    `target` is "score" (what matters) or "equal cost" (what matters among architectures of one
    cost: a spline in ln cost plus the model of what it leaves). `gain` is R² above the better of
    the mean and the cost-only spline; `gate` asks whether it is above zero. `predictions` holds
    per architecture the out-of-fold prediction of each: architecture_hash, cost, score,
    predicted, predicted_from_cost.
    """

    target: Target
    model: Model
    models: tuple[Quality, ...]
    baselines: tuple[Quality, ...]
    gain: Interval
    gate: Gate
    ceiling: float
    n: int
    repeats: int
    predictions: pd.DataFrame

    @property
    def adequate(self) -> bool:
        """Whether it beats the baselines, statistically significantly: worth explaining then."""
        return self.gate.passed

    @property
    def refusal(self) -> Refusal:
        """Why it is not explained, where it is not adequate."""
        return Refusal(f"{self.gate.code}_not", self.gate.values)

    @property
    def quality(self) -> Quality:
        """The quality of the chosen model."""
        return next(q for q in self.models if q.name == self.model.name)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model, baselines last, for the CSV."""
        rows = [
            {"model": q.name, "kind": kind, "chosen": q.name == self.model.name}
            | {f: getattr(q, f) for f in Quality.__dataclass_fields__ if f != "name"}
            for kind, group in (("model", self.models), ("baseline", self.baselines))
            for q in group
        ]
        return pd.DataFrame(rows)


@dataclass(frozen=True, slots=True, eq=False)
class TargetModel:
    """A model fitted to a target: `spline` of ln cost where the target is "equal cost"."""

    model: Fitted
    spline: Spline | None

    def predict(self, x: np.ndarray, log_cost: np.ndarray) -> np.ndarray:
        """Predict the score (n,)."""
        values = self.model.predict(x)
        return values if self.spline is None else values + self.spline(log_cost)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Architectures to learn from: coded factors x (n, p), ln cost (n,) and scores y (n,)."""

    factors: tuple[FactorInfo, ...]
    x: np.ndarray
    log_cost: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, table: TrialTable) -> Data:
        """Take the randomly drawn architectures of a table, one row each."""
        designs = table.designs()
        codes, c = table.codes(designs), table.log_cost(designs)
        return cls(table.factors, codes, c, designs["score"].to_numpy(float))

    def __getitem__(self, rows: np.ndarray) -> Data:
        return Data(self.factors, self.x[rows], self.log_cost[rows], self.y[rows])

    def __len__(self) -> int:
        return len(self.y)


def fit_target(
    model: Model, target: Target, data: Data, seed: int, weights: np.ndarray | None = None
) -> TargetModel:
    """Fit a model to scores, beside a free spline in ln cost for "equal cost".

    The spline is given all it can explain: what is left to the factors is what they do among
    architectures of one cost.
    """
    x, c, y = data.x, data.log_cost, data.y
    if target == "score":
        return TargetModel(model.fit(x, y, data.factors, seed, weights), None)
    knots = spline_knots(c)
    free = natural_spline(c, knots) if len(knots) > 1 else np.ones((len(y), 1))
    fitted = model.fit(x, y, data.factors, seed, weights, free)
    return TargetModel(fitted, fit_spline(c, y - fitted.predict(x), weights=weights))


def surrogate(
    table: TrialTable,
    target: Target = "score",
    *,
    noise: Noise | None = None,
    models: Sequence[Model] = MODELS,
    repeats: int | None = None,
    seed: int = 0,
) -> Surrogate | Refusal:
    """Choose a model by repeated 5-fold cross-validation over architectures, stratified by cost.

    Every architecture is one row, so its seeds never lie on both sides of a fold. The gate: its
    R² beats that of the mean and of a spline in ln cost, with the lower limit of the bootstrap
    interval of the difference above zero.
    """
    designs = table.designs()
    n = len(designs)
    if n < FEWEST_DESIGNS:
        return Refusal("surrogates.few", {"n": n, "needed": FEWEST_DESIGNS})
    if np.ptp(designs["score"]) == 0:
        return Refusal("surrogates.flat", {"n": n})
    rng = np.random.default_rng(seed)
    data = Data.of(table)
    y = data.y
    repeats = repeats or (5 if n <= 1000 else 2)
    splits = [folds(data.log_cost, FOLDS, rng) for _ in range(repeats)]
    predicted = {
        model.name: np.array([_out_of_fold(model, target, data, fold, seed) for fold in splits])
        for model in models
    }
    chosen = max(models, key=lambda k: _mean_r2(y, predicted[k.name]))
    baselines = _baselines(target, data, splits)
    best = predicted[chosen.name].mean(0)
    rivals = [baselines["mean"].mean(0), baselines["cost alone"].mean(0)]
    gain = _gain(y, best, rivals, rng)
    new = _new_costs(chosen, target, data, seed)
    qualities = tuple(
        _quality(m.name, data, predicted[m.name], splits, new if m is chosen else np.nan)
        for m in models
    )
    r2 = next(q.r2 for q in qualities if q.name == chosen.name)
    return Surrogate(
        target=target,
        model=chosen,
        models=qualities,
        baselines=tuple(_quality(k, data, v, splits, np.nan) for k, v in baselines.items()),
        gain=gain,
        gate=Gate("surrogates.beats", gain.low > 0, {"model": chosen.name, "r2": r2, "gain": gain}),
        ceiling=noise.ceiling if noise is not None else float("nan"),
        n=n,
        repeats=repeats,
        predictions=pd.DataFrame(
            {"architecture_hash": designs["architecture_hash"], "cost": designs[table.cost]}
        ).assign(score=y, predicted=best, predicted_from_cost=rivals[1]),
    )


def _baselines(target: Target, data: Data, splits: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Predict unseen architectures by what a surrogate must beat: (repeats, n) each."""
    c, y = data.log_cost, data.y
    kinds = {
        "mean": lambda t: np.full(len(y), y[t].mean()),
        "cost alone": lambda t: fit_spline(c[t], y[t])(c),
        "linear": lambda t: _linear(target, data, t),
    }
    return {name: np.array([_held_out(f, each) for f in splits]) for name, each in kinds.items()}


def _new_costs(model: Model, target: Target, data: Data, seed: int) -> float:
    """Return R² on ranges of cost that were left out one at a time; NaN where there is one."""
    c = data.log_cost
    bins = np.minimum((5 * (c - c.min()) / max(float(np.ptp(c)), 1e-12)).astype(int), 4)
    if len(np.unique(bins)) == 1:
        return float("nan")
    return r_squared(data.y, _out_of_fold(model, target, data, bins, seed))


def _held_out(fold: np.ndarray, predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Collect predictions of each fold by what was fitted to the others (n,)."""
    out = np.empty(len(fold))
    for k in np.unique(fold):
        out[fold == k] = predict(fold != k)[fold == k]
    return out


def _out_of_fold(
    model: Model, target: Target, data: Data, fold: np.ndarray, seed: int
) -> np.ndarray:
    def predict(train: np.ndarray) -> np.ndarray:
        return fit_target(model, target, data[train], seed).predict(data.x, data.log_cost)

    return _held_out(fold, predict)


def _linear(target: Target, data: Data, train: np.ndarray) -> np.ndarray:
    """Predict all rows by least squares on the factors, one column per unordered level."""
    x, c, y = data.x, data.log_cost, data.y
    columns = [np.ones(len(x))]
    for j, factor in enumerate(data.factors):
        levels = range(1, len(factor.choices)) if not factor.ordered else ()
        columns += [x[:, j] == level for level in levels] or [x[:, j]]
    design = np.column_stack(columns).astype(float)
    base = fit_spline(c[train], y[train])(c) if target == "equal cost" else np.zeros(len(y))
    weights = np.linalg.lstsq(design[train], (y - base)[train], rcond=None)[0]
    return np.asarray(base + design @ weights)


def _mean_r2(y: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean([r_squared(y, row) for row in predicted]))


def _quality(
    name: str, data: Data, predicted: np.ndarray, splits: Sequence[np.ndarray], new: float
) -> Quality:
    y, c = data.y, data.log_cost
    top = max(1, round(len(y) / 10))
    best = set(np.argsort(-y, kind="stable")[:top])
    recall = [len(best & set(np.argsort(-p, kind="stable")[:top])) / top for p in predicted]
    constant = bool(np.ptp(predicted, axis=1).max() < 0.05 * y.std())  # the mean of each fold
    tau = [float(stats.kendalltau(y, p).statistic) for p in predicted]
    return Quality(
        name=name,
        r2=_mean_r2(y, predicted),
        mae=float(np.abs(y - predicted).mean()),
        tau=float("nan") if constant else float(np.mean(tau)),
        tau_within=float("nan") if constant else _tau_within(y, c, predicted),
        top_recall=float("nan") if constant else float(np.mean(recall)),
        coverage=float(
            np.mean([_coverage(y - p, f) for p, f in zip(predicted, splits, strict=True)])
        ),
        r2_new_costs=new,
    )


def _tau_within(y: np.ndarray, c: np.ndarray, predicted: np.ndarray) -> float:
    """Average Kendall's tau over up to ten bins of like cost."""
    parts = np.array_split(np.argsort(c, kind="stable"), int(np.clip(len(y) // 8, 1, 10)))
    taus = [stats.kendalltau(y[part], p[part]).statistic for p in predicted for part in parts]
    return float(np.nanmean(taus)) if np.isfinite(taus).any() else float("nan")


def _coverage(residuals: np.ndarray, fold: np.ndarray) -> float:
    """Return how many residuals lie within the 90 % quantile of those of the other folds."""
    inside = [
        np.abs(residuals[fold == k]) <= np.quantile(np.abs(residuals[fold != k]), 0.9)
        for k in np.unique(fold)
    ]
    return float(np.concatenate(inside).mean())


def _gain(
    y: np.ndarray, best: np.ndarray, rivals: Sequence[np.ndarray], rng: np.random.Generator
) -> Interval:
    """Return the smaller gain in R² over the rivals with its bootstrap interval."""
    n = len(y)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=1000).astype(float)
    mean = (weights @ y) / n
    total = weights @ y**2 - n * mean**2
    gains = []
    for rival in rivals:
        better = (y - rival) ** 2 - (y - best) ** 2
        estimate = float(better.sum() / ((y - y.mean()) ** 2).sum())
        gains.append(Interval(estimate, *percentiles((weights @ better) / total).tolist()))
    return min(gains, key=lambda gain: gain.estimate)
