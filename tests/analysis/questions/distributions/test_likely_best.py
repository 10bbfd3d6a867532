"""Likely best ranges against the literal bootstrap and a planted optimum."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.questions.distributions.likely_best import best_of_draws, likely_best, to_frame
from analysis.trials.table import TrialTable
from tests.analysis.simulate import LAW, simulate


def test_one_uniform_number_does_what_the_literal_bootstrap_does() -> None:
    rng = np.random.default_rng(0)
    scores = rng.permutation(20) / 20
    literal = np.array(
        [max(rng.integers(0, 20, 5), key=lambda i: scores[i]) for _ in range(40_000)]
    )
    quick = best_of_draws(scores, 40_000, seed=1)
    expected = np.bincount(literal, minlength=20) / 40_000
    np.testing.assert_allclose(np.bincount(quick, minlength=20) / 40_000, expected, atol=0.012)


def test_planted_optima_lie_in_their_ranges() -> None:
    table = simulate(LAW, architectures=450, seed=1)
    found = {(e.factor, round(np.log10(e.cost_high))): e for e in likely_best(table)}
    for factor, (best, exponent, _) in LAW.shape.items():
        middle = [entry for (name, _), entry in found.items() if name == factor][1]
        cost = np.sqrt(middle.cost_low * middle.cost_high)
        assert middle.low <= best * (cost / 1e8) ** exponent <= middle.high
        assert middle.low < middle.middle < middle.high


def test_switches_have_shares(planted: TrialTable) -> None:
    found = [entry for entry in likely_best(planted, draws=2000) if entry.factor == "residual"]
    assert len(found) == 3
    for entry in found:
        assert sum(share for _, share in entry.shares) == pytest.approx(1)
        assert dict(entry.shares)["on"] > 0.7
    assert len(to_frame(likely_best(planted, draws=100))) == 3 * len(planted.factors)


def test_small_studies_have_none(small: TrialTable) -> None:
    assert likely_best(small) == ()
    assert to_frame(()).empty
