"""Rises with cost and trends of factors: PAVA by its closed form, Kendall by SciPy, truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.questions.laws.monotone import kendall_s, monotone, rising, trends, trends_frame
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import FLOPS_ONLY, NOTHING, Truth, simulate, true_error


def test_isotonic_regression_is_its_min_max_formula() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=12), rng.uniform(0.5, 3, 12)

    def mean(i: int, j: int) -> float:
        return float(np.average(values[i : j + 1], weights=weights[i : j + 1]))

    n = len(values)
    closed = [max(min(mean(i, j) for j in range(k, n)) for i in range(k + 1)) for k in range(n)]
    assert rising(values, weights) == pytest.approx(closed)


def test_kendalls_s_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, 60).astype(float), rng.integers(0, 9, 60).astype(float)
    s, variance, pairs = kendall_s(x, y)
    expected = stats.kendalltau(x, y, method="asymptotic")
    assert 2 * stats.norm.sf(abs(s / np.sqrt(variance))) == pytest.approx(expected.pvalue)
    untied = sum(a != b for k, a in enumerate(x) for b in x[:k])
    assert pairs == untied
    assert s == sum(np.sign((x[i] - x[j]) * (y[i] - y[j])) for i in range(60) for j in range(i))


def test_a_score_that_rises_with_cost_passes_and_one_that_falls_does_not() -> None:
    table = simulate(FLOPS_ONLY, architectures=200, replicates=(0, 1), seed=1)
    assert monotone(table).rises
    frame = table.frame.assign(macro_f1=1 - table.frame["macro_f1"])
    falling = monotone(replace(table, frame=frame))
    assert not falling.rises
    assert falling.violation > falling.limit


def test_a_flat_truth_is_called_falling_at_the_stated_rate() -> None:
    table = simulate(NOTHING, architectures=60, replicates=(0, 1), seed=1)
    rng, found = np.random.default_rng(0), []
    for _ in range(80):
        frame = table.frame.assign(macro_f1=0.5 + rng.normal(0, 0.01, len(table.frame)))
        found.append(monotone(replace(table, frame=frame)).p)
    assert np.mean(np.array(found) < 0.05) <= 0.11
    assert min(found) < 0.2


def test_trends_find_what_is_planted_with_its_sign() -> None:
    truth = Truth(effects={"width": -0.01, "stem_kernel": 0.006})
    found = {t.factor: t for t in trends(simulate(truth, architectures=200, seed=2))}
    assert found["width"].p_adjusted < 0.05
    assert found["width"].dominance > 0.2
    assert found["stem_kernel"].p_adjusted < 0.05
    assert found["stem_kernel"].dominance < -0.2
    assert "grouping" not in found
    assert list(trends_frame(tuple(found.values()))["factor"]) == list(found)


def test_trends_see_nothing_where_only_cost_matters() -> None:
    table = simulate(FLOPS_ONLY, architectures=100, replicates=(0, 1), seed=300)
    truth = 1 - true_error(table.frame, FLOPS_ONLY)
    rng, falsely = np.random.default_rng(0), 0
    for _ in range(40):
        frame = table.frame.assign(macro_f1=truth + rng.normal(0, 0.006, len(truth)))
        falsely += any(t.p_adjusted < 0.05 for t in trends(replace(table, frame=frame)))
    assert falsely <= 5


def test_few_trials_are_refused(small: TrialTable) -> None:
    few = from_frame(small.frame.head(10), factors=small.factors)
    assert "10 architectures" in str(monotone(few).refusal)
    assert trends(few) == ()
    assert monotone(few).to_frame().equals(pd.DataFrame(columns=monotone(few).curve.columns))
