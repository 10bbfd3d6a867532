"""A model of the score that stands in for training, and whether it is good enough to explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import AnalysisError
from analysis.stats.noise import Noise
from analysis.stats.regression import (
    Spline,
    fit_spline,
    folds,
    natural_spline,
    r_squared,
    spline_knots,
)
from analysis.surrogates.candidates import CANDIDATES, Candidate, Fitted
from analysis.trials.factors import FactorInfo
from analysis.trials.table import TrialTable

Target = Literal["score", "equal cost"]
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
    the mean and the cost-only spline, with its 95 % bootstrap interval; `predictions` holds per
    architecture the out-of-fold prediction of each: architecture_hash, cost, score, predicted,
    predicted_from_cost. `refusal` says why it is not adequate.
    """

    target: Target
    candidate: Candidate
    candidates: tuple[Quality, ...]
    baselines: tuple[Quality, ...]
    gain: float
    gain_low: float
    gain_high: float
    ceiling: float
    interval: float
    n: int
    repeats: int
    predictions: pd.DataFrame
    refusal: str | None = None

    @property
    def adequate(self) -> bool:
        """Whether it beats the baselines beyond doubt, so that explaining it makes sense."""
        return self.refusal is None

    @property
    def quality(self) -> Quality:
        """The quality of the chosen model."""
        return next(q for q in self.candidates if q.name == self.candidate.name)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model, baselines last, for the CSV."""
        rows = [
            {"model": q.name, "kind": kind, "chosen": q.name == self.candidate.name}
            | {f: getattr(q, f) for f in Quality.__dataclass_fields__ if f != "name"}
            for kind, group in (("candidate", self.candidates), ("baseline", self.baselines))
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


def fit_target(
    candidate: Candidate,
    target: Target,
    x: np.ndarray,
    log_cost: np.ndarray,
    y: np.ndarray,
    factors: Sequence[FactorInfo],
    seed: int,
    weights: np.ndarray | None = None,
) -> TargetModel:
    """Fit a candidate to scores, beside a free spline in ln cost for "equal cost".

    The spline is given all it can explain: what is left to the factors is what they do among
    architectures of one cost.
    """
    if target == "score":
        return TargetModel(candidate.fit(x, y, factors, seed, weights), None)
    knots = spline_knots(log_cost)
    free = natural_spline(log_cost, knots) if len(knots) > 1 else np.ones((len(y), 1))
    model = candidate.fit(x, y, factors, seed, weights, free)
    return TargetModel(model, fit_spline(log_cost, y - model.predict(x), weights=weights))


def surrogate(
    table: TrialTable,
    target: Target = "score",
    *,
    noise: Noise | None = None,
    candidates: Sequence[Candidate] = CANDIDATES,
    repeats: int | None = None,
    seed: int = 0,
) -> Surrogate:
    """Choose a model by repeated 5-fold cross-validation over architectures, stratified by cost.

    Every architecture is one row, so its seeds never lie on both sides of a fold. The gate: its
    R² beats that of the mean and of a spline in ln cost, with the lower limit of the bootstrap
    interval of the difference above zero.

    Raises:
        AnalysisError: there are fewer than 8 architectures, or they all have one score.
    """
    designs = table.designs()
    n = len(designs)
    if n < 8 or np.ptp(designs["score"]) == 0:
        what = "all of one score" if n >= 8 else f"at least {FEWEST_DESIGNS} are needed"
        raise AnalysisError(f"surrogate not adequate: {n} architectures, {what}.")
    rng = np.random.default_rng(seed)
    x, c, y = table.codes(designs), table.log_cost(designs), designs["score"].to_numpy(float)
    if repeats is None:
        repeats = 5 if n <= 1000 else 2
    splits = [folds(c, min(FOLDS, n), rng) for _ in range(repeats)]
    predicted: dict[str, np.ndarray] = {}
    for candidate in candidates:
        predicted[candidate.name] = np.array(
            [_out_of_fold(candidate, target, x, c, y, table.factors, f, seed) for f in splits]
        )
    baselines = {
        "mean": np.array([_held_out(f, lambda t, _: np.full(n, y[t].mean())) for f in splits]),
        "cost alone": np.array(
            [_held_out(f, lambda t, _: fit_spline(c[t], y[t])(c)) for f in splits]
        ),
        "linear": np.array(
            [_held_out(f, lambda t, _: _linear(target, table.factors, x, c, y, t)) for f in splits]
        ),
    }
    chosen = max(candidates, key=lambda k: _mean_r2(y, predicted[k.name]))
    bins = np.minimum((5 * (c - c.min()) / max(float(np.ptp(c)), 1e-12)).astype(int), 4)
    qualities = []
    for candidate in candidates:
        new = float("nan")
        if candidate is chosen and len(np.unique(bins)) > 1 and n >= FEWEST_DESIGNS:
            apart = _out_of_fold(candidate, target, x, c, y, table.factors, bins, seed)
            new = r_squared(y, apart)
        qualities.append(_quality(candidate.name, y, c, predicted[candidate.name], splits, new))
    best = predicted[chosen.name].mean(0)
    rivals = [baselines["mean"].mean(0), baselines["cost alone"].mean(0)]
    gain, low, high = _gain(y, best, rivals, rng)
    quality = next(q for q in qualities if q.name == chosen.name)
    return Surrogate(
        target=target,
        candidate=chosen,
        candidates=tuple(qualities),
        baselines=tuple(_quality(k, y, c, v, splits, float("nan")) for k, v in baselines.items()),
        gain=gain,
        gain_low=low,
        gain_high=high,
        ceiling=noise.ceiling if noise is not None else float("nan"),
        interval=float(np.quantile(np.abs(y - best), 0.9)),
        n=n,
        repeats=repeats,
        predictions=pd.DataFrame(
            {
                "architecture_hash": designs["architecture_hash"],
                "cost": designs[table.cost],
                "score": y,
                "predicted": best,
                "predicted_from_cost": rivals[1],
            }
        ),
        refusal=_refusal(n, quality, gain, low, high),
    )


def _refusal(n: int, quality: Quality, gain: float, low: float, high: float) -> str | None:
    if n < FEWEST_DESIGNS:
        return f"surrogate not adequate: {n} architectures, at least {FEWEST_DESIGNS} are needed"
    if low > 0:
        return None
    return (
        f"surrogate not adequate: the best model ({quality.name}, R² {quality.r2:.2f} on unseen "
        f"architectures) does not beat the cost alone beyond doubt "
        f"(gain in R² {gain:+.2f}, 95 % interval {low:+.2f} to {high:+.2f})"
    )


def _held_out(fold: np.ndarray, predict: object) -> np.ndarray:
    """Collect predictions of each fold by what was fitted to the others (n,)."""
    out = np.empty(len(fold))
    for k in np.unique(fold):
        test = fold == k
        out[test] = predict(~test, test)[test]  # type: ignore[operator]
    return out


def _out_of_fold(
    candidate: Candidate,
    target: Target,
    x: np.ndarray,
    c: np.ndarray,
    y: np.ndarray,
    factors: Sequence[FactorInfo],
    fold: np.ndarray,
    seed: int,
) -> np.ndarray:
    out = np.empty(len(y))
    for k in np.unique(fold):
        t = fold != k
        model = fit_target(candidate, target, x[t], c[t], y[t], factors, seed)
        out[~t] = model.predict(x[~t], c[~t])
    return out


def _linear(
    target: Target,
    factors: Sequence[FactorInfo],
    x: np.ndarray,
    c: np.ndarray,
    y: np.ndarray,
    train: np.ndarray,
) -> np.ndarray:
    """Predict all rows by least squares on the factors, one column per unordered level."""
    columns = [np.ones(len(x))]
    for j, factor in enumerate(factors):
        levels = range(1, len(factor.choices)) if not factor.ordered else ()
        columns += [x[:, j] == level for level in levels] or [x[:, j]]
    design = np.column_stack(columns).astype(float)
    base = fit_spline(c[train], y[train])(c) if target == "equal cost" else np.zeros(len(y))
    weights = np.linalg.lstsq(design[train], (y - base)[train], rcond=None)[0]
    return np.asarray(base + design @ weights)


def _mean_r2(y: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean([r_squared(y, row) for row in predicted]))


def _quality(
    name: str,
    y: np.ndarray,
    c: np.ndarray,
    predicted: np.ndarray,
    splits: Sequence[np.ndarray],
    new: float,
) -> Quality:
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
) -> tuple[float, float, float]:
    """Return the smaller gain in R² over the rivals with its 95 % bootstrap interval."""
    n = len(y)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=1000).astype(float)
    mean = (weights @ y) / n
    total = weights @ y**2 - n * mean**2
    gains = []
    for rival in rivals:
        better = (y - rival) ** 2 - (y - best) ** 2
        low, high = np.quantile((weights @ better) / total, [0.025, 0.975])
        estimate = float(better.sum() / ((y - y.mean()) ** 2).sum())
        gains.append((estimate, float(low), float(high)))
    return min(gains)
