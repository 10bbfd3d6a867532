"""Which choices go with failing, and with learning nothing: looked at apart from the scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.stats.coding import groups
from analysis.stats.interval import ALPHA, Interval, row_of, wilson
from analysis.stats.matching import log_flops_bins, permute_within
from analysis.stats.refusal import Refusal
from analysis.stats.regression import holm
from analysis.trials.table import SEARCHED, TrialTable

FEWEST = 8
BINS = 6
PERMUTATIONS = 999


@dataclass(frozen=True, slots=True)
class LevelFailures:
    """How many architectures of one level failed, and their share.

    `expected` is how many would have at the rate of their bins of cost.
    """

    level: str
    n: int
    failed: int
    expected: float
    share: Interval


@dataclass(frozen=True, slots=True)
class FactorFailures:
    """Failures over the levels of one factor, tested by permutation within bins of cost."""

    factor: str
    levels: tuple[LevelFailures, ...]
    p: float
    p_adjusted: float


@dataclass(frozen=True, slots=True, eq=False)
class Failures:
    """All failures, and the factors by how surely they go with failing.

    `share` is that of all architectures; `cost_p` tests whether those that failed cost more or
    less, `dearer` says which.
    """

    n: int
    share: Interval
    cost_p: float
    dearer: bool
    factors: tuple[FactorFailures, ...]

    @property
    def telling(self) -> tuple[FactorFailures, ...]:
        """Factors whose levels fail at significantly different rates."""
        return tuple(factor for factor in self.factors if factor.p_adjusted < ALPHA)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor and level, for the CSV."""
        return pd.DataFrame(
            {"factor": factor.factor}
            | row_of(level)
            | {"p": factor.p, "p_adjusted": factor.p_adjusted}
            for factor in self.factors
            for level in factor.levels
        )


def failures(table: TrialTable, *, seed: int = 0) -> Failures | Refusal:
    """Compare the levels of every factor by how often their networks failed, at equal cost."""
    frame = table.frame
    ended = frame[frame["role"].isin(SEARCHED) & frame["state"].isin(["complete", "failed"])]
    return _blame(table, ended, table.failed(), "failed", seed)


def collapses(table: TrialTable, *, seed: int = 0) -> Failures | Refusal:
    """Compare them by how often their networks learned nothing."""
    return _blame(table, table.complete(SEARCHED), table.collapsed, "learned nothing", seed)


def _blame(
    table: TrialTable, runs: pd.DataFrame, broken: pd.DataFrame, word: str, seed: int
) -> Failures | Refusal:
    """Find the factors whose levels hold more of the `broken` runs than chance and cost explain.

    One row per architecture, broken if any of its runs is. Statistic: sum over levels of
    (observed − expected)² / expected, expected from the rate of each bin of ln cost; its p-value
    is from permuting which networks of a bin are broken. Cost itself: the rank-sum test.
    """
    runs = runs[runs[table.cost] > 0]
    marked = runs.assign(broken=runs.index.isin(broken.index))
    grouped = marked.groupby("architecture_hash", sort=True)
    designs = grouped[[*table.factor_names, table.cost]].first()
    fails = grouped["broken"].any().to_numpy(bool)
    n, count = len(designs), int(fails.sum())
    if min(count, n - count) < FEWEST:
        return Refusal("training.few", {"n": n, "failed": count, "needed": FEWEST, "word": word})
    bins = log_flops_bins(designs[table.cost], int(np.clip(n // 12, 1, BINS)))
    rates = np.bincount(bins, fails) / np.maximum(np.bincount(bins), 1)
    expected = rates[bins]
    rng = np.random.default_rng(seed)
    permuted = fails[np.vstack([np.arange(n), permute_within(bins, PERMUTATIONS, rng)])]
    found = []
    for factor in table.factors:
        group, names = groups(factor, designs[factor.name])
        if len(names) < 2:
            continue
        member = group[:, None] == np.arange(len(names))
        own = expected @ member
        observed = permuted @ member.astype(float)
        statistic = ((observed - own) ** 2 / np.maximum(own, 1e-9)).sum(1)
        p = float((statistic >= statistic[0] - 1e-9).mean())
        totals, bad = member.sum(0).tolist(), fails[:, None] & member
        parts = tuple(
            LevelFailures(name, total, failed, float(expect), wilson(failed, total))
            for name, total, failed, expect in zip(
                names, totals, bad.sum(0).tolist(), own, strict=True
            )
        )
        found.append(FactorFailures(factor.name, parts, p, p))
    adjusted = holm(np.array([factor.p for factor in found]))
    final = [replace(f, p_adjusted=float(p)) for f, p in zip(found, adjusted, strict=True)]
    cost = designs[table.cost].to_numpy(float)
    test = stats.mannwhitneyu(cost[fails], cost[~fails])
    half = test.statistic > fails.sum() * (~fails).sum() / 2
    ordered = tuple(sorted(final, key=lambda factor: factor.p))
    return Failures(n, wilson(count, n), float(test.pvalue), bool(half), ordered)
