"""Failures by factor: planted causes found, chance told from cause, Wilson by its formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.questions.training.failures import failures
from analysis.stats.interval import wilson
from analysis.trials.table import TrialTable
from tests.analysis.simulate import FLOPS_ONLY, simulate
from tests.analysis.told import refused


def failing(chance: np.ndarray, table: TrialTable, seed: int) -> TrialTable:
    """Let trials fail with these chances."""
    broken = np.random.default_rng(seed).random(len(table.frame)) < chance
    frame = table.frame.copy()
    frame.loc[broken, "state"] = "failed"
    frame.loc[broken, ["macro_f1", "macro_auroc"]] = np.nan
    return replace(table, frame=frame)


def test_wilson_is_its_formula() -> None:
    n, z = 40, 1.959964
    share = 5 / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    found, none = wilson(5, n), wilson(0, 0)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-6)
    assert found.estimate == share
    assert (none.low, none.high) == (0.0, 1.0)


def test_a_planted_cause_is_found_and_only_that() -> None:
    table = simulate(FLOPS_ONLY, architectures=250, replicates=(0, 1), seed=1)
    chance = np.where(table.frame["residual"], 0.02, 0.25)
    found = failures(failing(chance, table, 5))
    assert [factor.factor for factor in found.telling] == ["residual"]
    rates = {level.level: level.share.estimate for level in found.telling[0].levels}
    assert rates["off"] > 5 * rates["on"]
    failed = sum(level.failed for level in found.telling[0].levels)
    assert found.share.estimate == failed / found.n
    assert found.share.low < found.share.estimate < found.share.high


def test_failing_at_high_cost_is_laid_at_the_cost_and_not_at_what_goes_with_it() -> None:
    falsely, seen = 0, 0
    table = simulate(FLOPS_ONLY, architectures=200, replicates=(0, 1), seed=50)
    for seed in range(12):
        chance = np.where(table.frame["flops"] > 2e8, 0.4, 0.02)
        found = failures(failing(chance, table, seed))
        falsely += bool(found.telling)
        seen += found.cost_p < 0.01 and found.dearer
    assert seen == 12
    assert falsely <= 2


def test_few_failures_are_refused_but_counted() -> None:
    found = failures(simulate(architectures=60, failures=3, seed=2))
    assert "3 of 60 architectures failed" in refused(found)


def test_a_study_without_factors_in_its_failures_survives() -> None:
    table = simulate(architectures=40, failures=0, seed=2)
    assert "0 of 40 architectures failed" in refused(failures(table))
