"""Which networks fail: P(fail | factors), looked at apart from the scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.questions.distributions.curves import levels, log_flops_bins, permute_within
from analysis.stats.regression import holm
from analysis.trials.table import SEARCHED, TrialTable

FEWEST = 8
BINS = 6
PERMUTATIONS = 999


@dataclass(frozen=True, slots=True)
class LevelFailures:
    """How many architectures of one level failed, with Wilson's 95 % interval of the share.

    `expected` is how many would have at the rate of their bins of cost.
    """

    level: str
    n: int
    failed: int
    expected: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FactorFailures:
    """Failures over the levels of one factor, tested by permutation within bins of cost."""

    factor: str
    levels: tuple[LevelFailures, ...]
    p: float
    p_adjusted: float


@dataclass(frozen=True, slots=True, eq=False)
class Failures:
    """All failures; `factors` are tested (most certain first) unless `refusal` says why not."""

    n: int
    failed: int
    low: float
    high: float
    cost_p: float
    dearer: bool
    factors: tuple[FactorFailures, ...]
    refusal: str | None = None

    @property
    def share(self) -> float:
        """Share of the architectures that failed."""
        return self.failed / self.n if self.n else float("nan")

    @property
    def telling(self) -> tuple[FactorFailures, ...]:
        """Factors whose levels fail at different rates beyond doubt."""
        return tuple(factor for factor in self.factors if factor.p_adjusted < 0.05)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor and level, for the CSV."""
        columns = list(LevelFailures.__dataclass_fields__)
        rows = [
            {"factor": factor.factor}
            | {name: getattr(level, name) for name in columns}
            | {"p": factor.p, "p_adjusted": factor.p_adjusted}
            for factor in self.factors
            for level in factor.levels
        ]
        return pd.DataFrame(rows, columns=["factor", *columns, "p", "p_adjusted"])


def failures(table: TrialTable, *, seed: int = 0) -> Failures:
    """Compare the levels of every factor by how often their networks failed, at equal cost.

    One row per architecture, failed if any of its runs did. Statistic: sum over levels of
    (observed − expected)² / expected, expected from the rate of each bin of ln cost; its p-value
    is from permuting which networks of a bin failed. Cost itself: the rank-sum test.
    """
    frame = table.frame
    ended = frame[frame["role"].isin(SEARCHED) & frame["state"].isin(["complete", "failed"])]
    ended = ended[ended[table.cost] > 0]
    broken = ended.index.isin(table.failed().index)
    grouped = ended.assign(broken=broken).groupby("architecture_hash", sort=True)
    designs = grouped[[*table.factor_names, table.cost]].first()
    fails = grouped["broken"].any().to_numpy(bool)
    n, count = len(designs), int(fails.sum())
    low, high = wilson(count, n)
    nan = float("nan")
    if count < FEWEST or n - count < FEWEST:
        which = "failed" if count < FEWEST else "did not"
        reason = (
            f"no factor is blamed: {min(count, n - count)} of {n} architectures {which}, "
            f"{FEWEST} are needed"
        )
        return Failures(n, count, low, high, nan, False, (), reason)
    bins = log_flops_bins(designs[table.cost], int(np.clip(n // 12, 1, BINS)))
    rates = np.bincount(bins, fails) / np.maximum(np.bincount(bins), 1)
    expected = rates[bins]
    rng = np.random.default_rng(seed)
    permuted = fails[np.vstack([np.arange(n), permute_within(bins, PERMUTATIONS, rng)])]
    found = []
    for factor in table.factors:
        names, order = levels(factor, designs[factor.name])
        member = np.array(names, dtype=object)[:, None] == np.array(order, dtype=object)
        if len(order) < 2:
            continue
        own = expected @ member
        observed = permuted @ member.astype(float)
        statistic = ((observed - own) ** 2 / np.maximum(own, 1e-9)).sum(1)
        p = float((statistic >= statistic[0] - 1e-9).mean())
        parts = []
        for k, name in enumerate(order):
            total, bad = int(member[:, k].sum()), int(fails[member[:, k]].sum())
            parts.append(
                LevelFailures(name, total, bad, float(own[k]), bad / total, *wilson(bad, total))
            )
        found.append(FactorFailures(factor.name, tuple(parts), p, p))
    adjusted = holm(np.array([factor.p for factor in found]))
    final = [replace(f, p_adjusted=float(p)) for f, p in zip(found, adjusted, strict=True)]
    cost = designs[table.cost].to_numpy(float)
    test = stats.mannwhitneyu(cost[fails], cost[~fails])
    half = test.statistic > fails.sum() * (~fails).sum() / 2
    return Failures(
        n, count, low, high, float(test.pvalue), bool(half),
        tuple(sorted(final, key=lambda factor: factor.p)),
    )  # fmt: skip


def wilson(count: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    if n == 0:
        return 0.0, 1.0
    interval = stats.binomtest(count, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)
