"""A study of before with two precisions: named, and their difference tested."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.questions.trust.precision import precision_difference
from analysis.trials.table import TrialTable
from tests.analysis.simulate import PLANTED, simulate


def trained_in(table: TrialTable, precisions: np.ndarray, bonus: float = 0.0) -> TrialTable:
    frame = table.frame.assign(precision=precisions)
    frame["macro_f1"] += bonus * (precisions == "bf16")
    return replace(table, frame=frame)


def drawn(table: TrialTable, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(np.array(["fp32", "bf16"], object), len(table.frame), p=[0.7, 0.3])


def test_one_precision_needs_no_word() -> None:
    table = simulate(PLANTED, architectures=40, replicates=(4, 2))
    assert precision_difference(table) is None
    assert precision_difference(trained_in(table, np.full(len(table.frame), "fp32"))) is None


def test_a_planted_difference_is_found_with_its_sign() -> None:
    table = simulate(PLANTED, architectures=200, replicates=(10, 2), seed=3)
    found = precision_difference(trained_in(table, drawn(table, 1), bonus=0.02))
    assert found is not None
    assert (found.precision, found.other) == ("fp32", "bf16")
    assert sum(found.trials.values()) == len(table.frame)
    assert found.effect.low < 0.02 < found.effect.high
    assert found.p < 1e-6


def test_the_null_is_rejected_as_often_as_it_should_be() -> None:
    table = simulate(PLANTED, architectures=150, replicates=(10, 2), seed=4)
    p = [precision_difference(trained_in(table, drawn(table, seed))).p for seed in range(200)]  # type: ignore[union-attr]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_too_few_in_one_precision_are_counted_and_not_tested() -> None:
    table = simulate(PLANTED, architectures=60, replicates=(4, 2))
    precisions = np.full(len(table.frame), "fp32", object)
    precisions[:3] = "bf16"
    found = precision_difference(trained_in(table, precisions))
    assert found is not None
    assert found.trials == {"fp32": len(table.frame) - 3, "bf16": 3}
    assert np.isnan(found.effect.estimate)
