"""Whether what one choice does depends on another, among architectures of equal cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.stats.coding import CodedFactor, LevelEstimate, ends, equal_cost, groups
from analysis.stats.interval import ALPHA, row_of
from analysis.stats.refusal import Refusal
from analysis.stats.regression import beyond, holm, least_squares, told_by
from analysis.trials.factors import label
from analysis.trials.table import TrialTable

FEWEST_DESIGNS = 60


@dataclass(frozen=True, slots=True)
class Interaction:
    """Score at `level` minus score at `baseline` of `factor`, `within` each value of `condition`.

    `p` tests (Wald, HC3) whether a product of the two adds to what each does by itself;
    `p_adjusted` is Holm's over all pairs.
    """

    factor: str
    baseline: str
    level: str
    condition: str
    within: tuple[LevelEstimate, ...]
    p: float
    p_adjusted: float = float("nan")

    @property
    def settled(self) -> bool:
        """Whether it is statistically significant, all pairs considered."""
        return self.p_adjusted < ALPHA


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """All pairs of factors, most certain first."""

    pairs: tuple[Interaction, ...]
    n: int

    @property
    def settled(self) -> tuple[Interaction, ...]:
        """The statistically significant pairs."""
        return tuple(pair for pair in self.pairs if pair.settled)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair and value of its condition, for the CSV."""
        named = ("factor", "baseline", "level", "condition", "p", "p_adjusted")
        rows = [
            {name: getattr(pair, name) for name in named}
            | {"at": one.level, "n": one.n}
            | row_of(one.effect)
            for pair in self.pairs
            for one in pair.within
        ]
        return pd.DataFrame(rows, columns=[*named, "at", "n", "estimate", "low", "high"])


def interactions(table: TrialTable) -> Interactions | Refusal:
    """Regress the score on a spline in ln cost, two factors and their product, for each pair.

    As for single effects, factors that do not go with the cost enter as covariates.
    """
    designs = table.designs()
    n = len(designs)
    if n < FEWEST_DESIGNS:
        return Refusal("effects.few_for_pairs", {"n": n, "needed": FEWEST_DESIGNS})
    setup = equal_cost(table, designs)
    every = [
        _interaction(
            setup.factors[first], setup.factors[second], setup.nuisance(first, second), setup.score
        )
        for first, second in combinations(setup.factors, 2)
    ]
    pairs = [pair for pair in every if pair is not None]
    adjusted = holm(np.array([pair.p for pair in pairs]))
    final = [replace(pair, p_adjusted=float(p)) for pair, p in zip(pairs, adjusted, strict=True)]
    return Interactions(tuple(sorted(final, key=lambda pair: pair.p)), n)


def _interaction(
    first: CodedFactor, second: CodedFactor, nuisance: np.ndarray, y: np.ndarray
) -> Interaction | None:
    """Test the products of two factors; None where the networks cannot tell of any.

    Combinations that nobody has, as in a part of a study, leave fewer products to test.
    """
    every = (first.linear[:, :, None] * second.linear[:, None, :]).reshape(len(y), -1)
    fixed = np.hstack([nuisance, first.columns, second.columns])
    products = beyond(fixed, every)
    varied, condition = _roles(first, second)
    within = _within(varied, condition, nuisance, y)
    if not products.shape[1] or len(within) < 2:
        return None
    fit = least_squares(np.hstack([fixed, products]), y)
    p = fit.wald(np.arange(fixed.shape[1], fixed.shape[1] + products.shape[1]))
    low, high = _contrast(varied)
    return Interaction(
        varied.factor.name,
        label(varied.values.iloc[low]),
        label(varied.values.iloc[high]),
        condition.factor.name,
        within,
        p,
    )


def _roles(first: CodedFactor, second: CodedFactor) -> tuple[CodedFactor, CodedFactor]:
    """Return whose effect is told, and by whose values: the one with fewer or unordered ones."""
    kinds = [(one.factor.ordered, len(np.unique(one.codes))) for one in (first, second)]
    return (second, first) if kinds[0] < kinds[1] else (first, second)


def _contrast(varied: CodedFactor) -> tuple[int, int]:
    """Return rows of networks that have the two values compared."""
    if varied.factor.ordered:
        return ends(varied.codes)
    return int(varied.codes.argmin()), int(varied.codes.argmax())


def _within(
    varied: CodedFactor, condition: CodedFactor, nuisance: np.ndarray, y: np.ndarray
) -> tuple[LevelEstimate, ...]:
    """Estimate the effect of `varied` in each group of `condition`, in one regression.

    The slope is each group's own; the bend, for which few networks are too few, is that of all.
    Groups in which the factor does not vary are left out.
    """
    group, names = groups(condition.factor, condition.values, condition.codes)
    member = (group[:, None] == np.arange(len(names))).astype(float)
    slopes, bend = varied.linear, varied.columns[:, varied.linear.shape[1] :]
    own = [member[:, [g]] * slopes for g in range(len(names))]
    columns = np.hstack([nuisance, member[:, 1:], bend, *own])
    fit = least_squares(columns, y)
    bend_at = nuisance.shape[1] + len(names) - 1
    slopes_at = bend_at + bend.shape[1]
    low, high = _contrast(varied)
    found = []
    for g, name in enumerate(names):
        row = np.zeros(len(fit.weights))
        row[bend_at:slopes_at] = bend[high] - bend[low]
        start = slopes_at + g * slopes.shape[1]
        row[start : start + slopes.shape[1]] = slopes[high] - slopes[low]
        if not told_by(columns, row):
            continue
        found.append(LevelEstimate(name, int(member[:, g].sum()), fit.contrast(row)))
    return tuple(found)
