"""Intervals of differences of a few seeds hold the truth at their rate, whatever varies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.questions.confirmation.resampling import METRICS, RunScores, score_networks
from analysis.questions.confirmation.uncertainty import contrast, half_width, seed_variances
from tests.analysis.questions.confirmation.confirmations import make_outputs, runs_of


def certain(scores: dict[str, np.ndarray]) -> dict[str, RunScores]:
    """Scores that draws of patients do not change: seeds alone vary."""
    return {
        name: RunScores(own, np.repeat(own[:, None], 9, axis=1)) for name, own in scores.items()
    }


def test_two_networks_that_vary_alike_give_students_t_test() -> None:
    scores = {"a": np.array([0.50, 0.52, 0.51]), "b": np.array([0.47, 0.49, 0.47])}
    found = contrast(certain(scores), {"a": 1.0, "b": -1.0}, seed_variances(scores))
    want = stats.ttest_ind(scores["a"], scores["b"])
    assert found.p == pytest.approx(want.pvalue)
    limits = want.confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((limits.low, limits.high))


def test_without_spread_between_seeds_patients_alone_count() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.02, 4000)
    scores = {"a": RunScores(np.full(3, 0.5), np.tile(drawn, (3, 1)))}
    found = contrast(scores, {"a": 1.0}, seed_variances({"a": scores["a"].observed}))
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.96 * 0.02, rel=0.05)


def test_a_network_with_one_seed_borrows_the_spread_of_the_others() -> None:
    rng = np.random.default_rng(0)
    scores = {f"n{i}": rng.normal(0.5, 0.02, 3) for i in range(20)} | {"one": np.array([0.5])}
    found = seed_variances(scores)["one"]
    assert 0.015 < np.sqrt(found.value) < 0.025
    none = seed_variances({"a": np.array([0.4]), "b": np.array([0.5])})
    alone = certain({"a": np.array([0.4]), "b": np.array([0.5])})
    unknown = contrast(alone, {"a": 1.0, "b": -1.0}, none)
    assert unknown.interval.estimate == pytest.approx(-0.1)
    assert np.isnan([unknown.interval.low, unknown.interval.high, unknown.p]).all()


def test_a_network_that_varies_more_than_all_others_keeps_its_own_spread() -> None:
    rng = np.random.default_rng(1)
    scores = {f"n{i}": rng.normal(0.5, 0.002 * 10 ** rng.normal(), 6) for i in range(30)}
    found = seed_variances(scores)
    observed = {name: np.var(own, ddof=1) for name, own in scores.items()}
    most = max(observed, key=observed.__getitem__)
    assert 0.5 * observed[most] < found[most].value <= observed[most]
    assert found[most].freedom < 15


@pytest.mark.parametrize("networks", [2, 8, 30])
@pytest.mark.parametrize("seeds", [2, 3])
def test_seeds_alone_are_covered(networks: int, seeds: int) -> None:
    rng = np.random.default_rng(networks)
    covered = []
    for _ in range(600):
        scores = {f"n{i}": rng.normal(0.5, 0.02, seeds) for i in range(networks)}
        found = contrast(certain(scores), {"n0": 1.0, "n1": -1.0}, seed_variances(scores))
        covered.append(found.interval.low <= 0 <= found.interval.high)
    assert 0.91 <= np.mean(covered) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_intervals_of_a_difference_cover_at_their_rate(spread: float) -> None:
    """Networks that are equal on average: the interval of two's difference holds 0."""
    covered: dict[str, list[bool]] = {metric: [] for metric in METRICS}
    for trial in range(150):
        rng = np.random.default_rng(trial)
        labels, patients, outputs = make_outputs(
            {f"n{i}": 1.0 for i in range(4)}, rng, spread=spread
        )
        scores = score_networks(labels, patients, runs_of(outputs), rng, draws=200)
        for metric, own in scores.items():
            seeds = seed_variances({name: one.observed for name, one in own.items()})
            found = contrast(own, {"n0": 1.0, "n1": -1.0}, seeds)
            covered[metric].append(found.interval.low <= 0 <= found.interval.high)
    for own in covered.values():
        assert 0.89 <= np.mean(own) <= 0.99


def test_half_width_is_that_of_a_t_interval() -> None:
    assert half_width(4.0, 2) == pytest.approx(2 * stats.t.ppf(0.975, 2))
