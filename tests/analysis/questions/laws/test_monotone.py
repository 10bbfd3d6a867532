"""Rises with cost: PAVA by its closed form, known truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.questions.laws.monotone import monotone, rising
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import FLOPS_ONLY, NOTHING, simulate
from tests.analysis.told import refused


def test_isotonic_regression_is_its_min_max_formula() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=12), rng.uniform(0.5, 3, 12)

    def mean(i: int, j: int) -> float:
        return float(np.average(values[i : j + 1], weights=weights[i : j + 1]))

    n = len(values)
    closed = [max(min(mean(i, j) for j in range(k, n)) for i in range(k + 1)) for k in range(n)]
    assert rising(values, weights) == pytest.approx(closed)


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


def test_few_trials_are_refused(small: TrialTable) -> None:
    few = from_frame(small.frame.head(10), factors=small.factors)
    assert "10 architectures" in refused(monotone(few))
