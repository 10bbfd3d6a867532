"""Factors as columns of a regression at equal cost: codes, contrasts and groups of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.stats.interval import Interval
from analysis.stats.refusal import Refusal
from analysis.stats.regression import natural_spline, spline_knots
from analysis.stats.ties import design
from analysis.trials.factors import FactorInfo, label
from analysis.trials.table import TrialTable

FREE_OF_COST = 0.02
ROWS_PER_COLUMN = 5
MOST_LEVELS = 6  # more values of a number are cut into thirds


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """What was estimated for one level (or range) of a factor."""

    level: str
    n: int
    effect: Interval


def factor_columns(factor: FactorInfo, codes: np.ndarray) -> np.ndarray:
    """Code a factor for least squares: dummies, or standardised value and its square."""
    if not factor.ordered:
        return np.column_stack([codes == k for k in np.unique(codes)[1:]]).astype(float)
    z = (codes - codes.mean()) / codes.std()
    return z[:, None] if len(np.unique(codes)) < 4 else np.column_stack([z, z**2])


def ends(codes: np.ndarray) -> tuple[int, int]:
    """Return a row with the 10th percentile of the codes (n,), and one with the 90th.

    The lowest and the highest where there are two values, or where the percentiles are equal.
    """
    low, high = codes.min(), codes.max()
    if len(np.unique(codes)) > 2:
        tenth, ninetieth = (np.quantile(codes, q, method="nearest") for q in (0.1, 0.9))
        if tenth < ninetieth:
            low, high = tenth, ninetieth
    return int(np.flatnonzero(codes == low)[0]), int(np.flatnonzero(codes == high)[0])


def groups(
    factor: FactorInfo, values: pd.Series, codes: np.ndarray | None = None
) -> tuple[np.ndarray, list[str]]:
    """Return each row's group (n,), and the groups' names: levels, or thirds of many numbers."""
    codes = factor.code(values) if codes is None else codes
    present = np.unique(codes)
    if factor.kind == "choice" or len(present) <= MOST_LEVELS:
        firsts = [values.iloc[int(np.flatnonzero(codes == code)[0])] for code in present]
        return np.searchsorted(present, codes), [label(value) for value in firsts]
    edges = np.quantile(codes, [1 / 3, 2 / 3], method="nearest")
    third = np.searchsorted(edges, codes)
    names = []
    for g in np.unique(third):
        inside = values[third == g].astype(float)
        names.append(f"{label(inside.min())} to {label(inside.max())}")
    return np.searchsorted(np.unique(third), third), names


@dataclass(frozen=True, slots=True, eq=False)
class CodedFactor:
    """A factor of n networks: its values, its codes (n,) and its columns of a regression (n, k)."""

    factor: FactorInfo
    values: pd.Series
    codes: np.ndarray
    columns: np.ndarray

    @property
    def linear(self) -> np.ndarray:
        """Its columns without the square."""
        return self.columns[:, :1] if self.factor.ordered else self.columns


@dataclass(frozen=True, slots=True, eq=False)
class EqualCost:
    """What regressions at equal cost share: the score, a spline in ln cost, the coded factors.

    `free` are the factors that do not go with the cost, `tied` those that the design ties to each.
    """

    score: np.ndarray
    spline: np.ndarray
    factors: Mapping[str, CodedFactor]
    free: frozenset[str]
    tied: Mapping[str, frozenset[str]]

    def held(self, *studied: str) -> tuple[str, ...]:
        """Name the factors that must be held beside the cost, as the design ties them to these."""
        ties = frozenset[str]().union(*(self.tied[name] for name in studied))
        return tuple(name for name in self.factors if name in ties and name not in studied)

    def nuisance(self, *studied: str) -> np.ndarray:
        """Return the spline, the factors held, and those that go with no cost if rows suffice.

        The latter sharpen the estimates and change no meaning.
        """
        held = self.held(*studied)
        names = [n for n in self.factors if n in self.free and n not in (*studied, *held)]
        others = [self.factors[name].columns for name in names]
        if len(self.score) <= ROWS_PER_COLUMN * sum(block.shape[1] for block in others):
            others = []
        return np.hstack([self.spline, *(self.factors[name].columns for name in held), *others])


def equal_cost(table: TrialTable, designs: pd.DataFrame) -> EqualCost:
    """Code the factors that vary among `designs`, for regressions at equal cost."""
    c = table.log_cost(designs)
    coded = {}
    for factor in table.factors:
        values = designs[factor.name]
        if values.nunique() > 1:
            codes = factor.code(values)
            coded[factor.name] = CodedFactor(factor, values, codes, factor_columns(factor, codes))
    ties = design(table, designs)
    pairs = () if isinstance(ties, Refusal) else ties.between
    return EqualCost(
        score=designs["score"].to_numpy(float),
        spline=natural_spline(c, spline_knots(c)) if np.ptp(c) > 0 else np.ones((len(c), 1)),
        factors=coded,
        free=frozenset(n for n, one in coded.items() if _explained(one.columns, c) < FREE_OF_COST),
        tied={
            name: frozenset({p.first for p in pairs if p.second == name})
            | {p.second for p in pairs if p.first == name}
            for name in coded
        },
    )


def _explained(block: np.ndarray, c: np.ndarray) -> float:
    """Return the share of the variance of ln cost that a factor explains."""
    if np.ptp(c) == 0:
        return 0.0
    design = np.column_stack([np.ones(len(c)), block])
    left = c - design @ np.linalg.lstsq(design, c, rcond=None)[0]
    return float(1 - left.var() / c.var() * (len(c) - 1) / max(len(c) - design.shape[1], 1))
