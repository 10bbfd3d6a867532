"""Ties in the design: found where planted, measured as textbooks do, absent in random draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.stats.ties import association, design
from analysis.trials.table import from_frame
from tests.analysis.simulate import simulate
from tests.analysis.told import refused


def test_a_kernel_tied_to_the_depth_is_seen_and_random_factors_are_not() -> None:
    tied = design(simulate(architectures=200, replicates=(0, 1), correlated=True, seed=1))
    assert ("depth", "kernel_size") in {(p.first, p.second) for p in tied.between}
    free = design(simulate(architectures=200, replicates=(0, 1), seed=1))
    assert ("depth", "kernel_size") not in {(p.first, p.second) for p in free.between}
    # Equal counts per range of compute: what makes networks dear goes with the cost.
    assert {"width", "expansion"} <= {pair.first for pair in free.with_cost}
    assert "residual" not in {pair.first for pair in free.with_cost}


def test_measures_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    x, group, kind = rng.normal(size=90), rng.integers(0, 3, 90), rng.integers(0, 2, 90)
    y = x + rng.normal(size=90)
    assert association(x, y, True, True)[0] == pytest.approx(stats.spearmanr(x, y).statistic)
    # With two groups eta is the point-biserial correlation of the ranks.
    eta, _, _ = association(x, kind.astype(float), True, False)
    assert eta == pytest.approx(abs(np.corrcoef(stats.rankdata(x), kind)[0, 1]))
    v, p, _ = association(group.astype(float), kind.astype(float), False, False)
    table = pd.crosstab(group, kind)
    assert v == pytest.approx(stats.contingency.association(table, method="cramer"))
    assert p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    assert association(kind.astype(float), x, False, True)[0] == pytest.approx(eta)


def test_few_trials_are_refused() -> None:
    table = simulate(architectures=10, replicates=(0, 1), seed=1)
    few = from_frame(table.frame.head(6), factors=table.factors)
    assert "10 architectures" in refused(design(few))
