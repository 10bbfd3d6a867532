"""How much less compute the same score needs, on a front that is known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.questions.confirmation.multiplier import multiplier
from analysis.questions.fronts.pareto import EstimatedFront, estimate_front
from analysis.stats.shrinkage import shrink


@pytest.fixture(scope="module")
def front() -> EstimatedFront:
    """Score = log10(cost) / 10."""
    cost = np.geomspace(1e6, 1e9, 200)
    score = np.log10(cost) / 10
    known = shrink(score, np.ones(200), np.full(200, 1e-10), score)
    return estimate_front(cost, score, known, np.random.default_rng(0))


def test_a_network_that_needs_ten_times_too_much(front: EstimatedFront) -> None:
    found = multiplier(front, 1e8, 0.7)
    assert found.times == pytest.approx(10, rel=0.05)
    assert found.low <= found.times <= found.high
    assert found.high / found.low < 1.1
    assert found.bound == ""


def test_a_score_that_is_badly_known_makes_a_wide_interval(front: EstimatedFront) -> None:
    found = multiplier(front, 1e8, 0.7, half=0.02)  # 0.02 is a factor of 10 ** 0.2 in cost
    assert found.times == pytest.approx(10, rel=0.05)
    assert found.low == pytest.approx(10 / 10**0.2, rel=0.08)
    assert found.high == pytest.approx(10 * 10**0.2, rel=0.08)
    alone = multiplier(front, 1e8, 0.7, half=float("nan"))
    assert alone == multiplier(front, 1e8, 0.7)


def test_scores_beyond_the_front_give_bounds(front: EstimatedFront) -> None:
    assert multiplier(front, 1e8, 0.95).bound == "at most"
    assert multiplier(front, 1e8, 0.1).bound == "at least"
