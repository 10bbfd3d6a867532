"""What each factor does among architectures of equal cost, without any surrogate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.stats.coding import CodedFactor, LevelEstimate, ends, equal_cost, groups
from analysis.stats.interval import ALPHA, Interval, row_of
from analysis.stats.refusal import Refusal
from analysis.stats.regression import holm, least_squares
from analysis.trials.factors import FactorInfo, label
from analysis.trials.table import TrialTable

FEWEST_DESIGNS = 20


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """Score at `level` minus score at `baseline` of one factor, at equal cost.

    Switches: on against off. Ordered factors: the 90th against the 10th percentile of the values
    on a fitted curve. Unordered levels: the pair that differs most, its interval widened for the
    choice among pairs. `p` tests the whole factor (Wald, HC3), `p_adjusted` is Holm's over all
    factors, `levels` compares each level with the mean of all. `held` are factors that the design
    ties to this one: they are held, too.
    """

    factor: str
    baseline: str
    level: str
    effect: Interval
    se: float
    p: float
    p_adjusted: float
    levels: tuple[LevelEstimate, ...]
    held: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether it is statistically significant, all factors considered."""
        return self.p_adjusted < ALPHA

    @property
    def bent(self) -> bool:
        """Whether it matters though the two values compared do not differ: others do."""
        return self.settled and self.effect.low <= 0 <= self.effect.high

    @property
    def best(self) -> LevelEstimate:
        """The level with the best score at equal cost."""
        return max(self.levels, key=lambda level: level.effect.estimate)


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Effects of all factors in units of the score, most certain first."""

    effects: tuple[FactorEffect, ...]
    residual_sd: float
    n: int

    @property
    def settled(self) -> tuple[FactorEffect, ...]:
        """The factors with a statistically significant effect."""
        return tuple(effect for effect in self.effects if effect.settled)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor, for the CSV."""
        return pd.DataFrame([row_of(one, "levels", "held") for one in self.effects]).assign(
            n=self.n
        )


def effects(table: TrialTable) -> Effects | Refusal:
    """Regress the score on a spline in ln cost plus one factor at a time.

    Factors are drawn independently, so the coefficient is an effect: of changing this factor
    while the others give way as the design lets them to keep the cost. Other factors that do not
    go with the cost enter as covariates: that sharpens the estimate and leaves its meaning. Where
    a design ties a factor to this one, that one enters, too, or its effect would be taken for this
    one's.
    """
    designs = table.designs()
    n = len(designs)
    if n < FEWEST_DESIGNS:
        return Refusal("effects.few", {"n": n, "needed": FEWEST_DESIGNS})
    setup = equal_cost(table, designs)
    if not setup.factors:
        return Refusal("effects.fixed")
    found = [
        replace(_effect(one, setup.nuisance(name), setup.score), held=setup.held(name))
        for name, one in setup.factors.items()
    ]
    adjusted = holm(np.array([effect.p for effect in found]))
    final = [
        replace(effect, p_adjusted=float(p)) for effect, p in zip(found, adjusted, strict=True)
    ]
    columns = [one.columns for one in setup.factors.values()]
    everything = least_squares(np.hstack([setup.spline, *columns]), setup.score)
    sd = float(np.sqrt((everything.residuals**2).sum() / everything.degrees_of_freedom))
    return Effects(tuple(sorted(final, key=lambda effect: effect.p)), sd, n)


def _effect(coded: CodedFactor, nuisance: np.ndarray, y: np.ndarray) -> FactorEffect:
    factor, values, codes, block = coded.factor, coded.values, coded.codes, coded.columns
    fit = least_squares(np.hstack([nuisance, block]), y)
    k = nuisance.shape[1]
    p = fit.wald(np.arange(k, k + block.shape[1]))
    levels = _levels(factor, values, codes, nuisance, y)
    row = np.zeros(k + block.shape[1])
    alpha = ALPHA
    if factor.ordered:
        low, high = ends(codes)
        row[k:] = block[high] - block[low]
        names = [label(values.iloc[low]), label(values.iloc[high])]
    else:
        present = np.unique(codes).astype(int)
        weights = np.concatenate([[0.0], fit.weights[k:]])
        pairs = list(combinations(range(len(present)), 2))
        low, high = max(pairs, key=lambda pair: abs(weights[pair[1]] - weights[pair[0]]))
        if weights[high] < weights[low]:
            low, high = high, low
        for place, sign in ((high, 1.0), (low, -1.0)):
            if place > 0:
                row[k + place - 1] = sign
        labels = factor.level_labels()
        names = [labels[present[low]], labels[present[high]]]
        alpha = ALPHA / len(pairs)
    effect = fit.contrast(row, alpha)
    se = float(np.sqrt(row @ fit.covariance @ row))
    return FactorEffect(factor.name, names[0], names[1], effect, se, p, float("nan"), levels)


def _levels(
    factor: FactorInfo, values: pd.Series, codes: np.ndarray, nuisance: np.ndarray, y: np.ndarray
) -> tuple[LevelEstimate, ...]:
    """Estimate each level (thirds of the values where there are many) against the mean of all."""
    group, names = groups(factor, values, codes)
    dummies = (group[:, None] == np.arange(len(names))).astype(float)
    shares = dummies.mean(0)
    # Effects coded against the mean over architectures: the last level follows from the others.
    coded = dummies[:, :-1] - dummies[:, -1:] * (shares[:-1] / shares[-1])
    fit = least_squares(np.hstack([nuisance, coded]), y)
    k = nuisance.shape[1]
    out = []
    for j, name in enumerate(names):
        row = np.zeros(k + len(names) - 1)
        if j < len(names) - 1:
            row[k + j] = 1.0
        else:
            row[k:] = -shares[:-1] / shares[-1]
        out.append(LevelEstimate(name, int(dummies[:, j].sum()), fit.contrast(row)))
    return tuple(out)
