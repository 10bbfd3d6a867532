"""Fronts, hypervolume, shrinkage and membership against closed forms and known truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from analysis.questions.fronts.pareto import (
    dominance,
    estimate_front,
    front,
    hypervolume,
    hypervolume_growth,
)
from analysis.stats.shrinkage import cost_trend_prior, shrink


def best_within(cost: np.ndarray, score: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The best score among those that cost at most each limit, one by one."""
    return np.array([score[cost <= limit].max(initial=-np.inf) for limit in limits])


points = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), min_size=1, max_size=25)


def dominated(i: int, cost: np.ndarray, score: np.ndarray) -> bool:
    no_worse = (cost <= cost[i]) & (score >= score[i])
    better = (cost < cost[i]) | (score > score[i])
    return bool((no_worse & better).any())


@given(points)
@settings(max_examples=200, deadline=None)
def test_front_is_what_nothing_dominates(pairs: list[tuple[int, int]]) -> None:
    cost, score = np.array(pairs, dtype=float).T
    found = front(cost, score)
    truth = {(cost[i], score[i]) for i in range(cost.size) if not dominated(i, cost, score)}
    assert [(cost[i], score[i]) for i in found] == sorted(truth)


@given(points)
@settings(max_examples=100, deadline=None)
def test_hypervolume_is_that_of_optuna(pairs: list[tuple[int, int]]) -> None:
    log_cost, score = np.array(pairs, dtype=float).T
    share = hypervolume(10**log_cost, score, (1e13, -1.0), 1.0, 12.0)
    losses = np.column_stack([log_cost, -score])
    independent = compute_hypervolume(losses, np.array([13.0, 1.0]))
    assert share == pytest.approx(independent / (13 * 13))


def test_hypervolume_of_a_staircase() -> None:
    n = 6
    cost, score = 10.0 ** np.arange(n), np.arange(n) / n
    # Steps of width 1 (in log10) and heights 0, 1/n, ..., the last of width 0.
    area = sum(i / n for i in range(n - 1))
    assert hypervolume(cost, score, (cost[-1], 0.0), 1.0, 1.0) == pytest.approx(area / (n - 1))


def test_hypervolume_without_area_is_nan() -> None:
    assert np.isnan(hypervolume([5.0], [0.5], (5.0, 0.5), 5.0, 0.5))


def test_hypervolume_growth_ends_at_the_whole() -> None:
    rng = np.random.default_rng(0)
    cost, score = 10 ** rng.uniform(6, 9, 50), rng.random(50)
    mean, low, high = hypervolume_growth(cost, score, (5, 20, 50), rng, orders=40)
    whole = hypervolume(cost, score, (cost.max(), score.min()), cost.min(), score.max())
    assert [mean[-1], low[-1], high[-1]] == pytest.approx([whole] * 3)
    assert mean[0] < mean[1] < mean[2]


def _noisy_study(seed: int, noise: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    cost = 10 ** rng.uniform(6, 9, 300)
    truth = 0.4 + 0.05 * (np.log10(cost) - 6) + rng.normal(0, 0.01, 300)
    return cost, truth, truth + rng.normal(0, noise, 300)


def test_shrinkage_recovers_the_spread_and_beats_the_raw_scores() -> None:
    spreads, raw_errors, errors, optimism = [], [], [], []
    for seed in range(30):
        cost, truth, score = _noisy_study(seed, 0.015)
        posterior = shrink(score, 1, 0.015**2, cost_trend_prior(cost, score))
        spreads.append(posterior.spread_variance)
        raw_errors.append(np.mean((score - truth) ** 2))
        errors.append(np.mean((posterior.mean - truth) ** 2))
        pick = posterior.mean.argmax()
        optimism.append(posterior.mean[pick] - truth[pick])
    assert np.sqrt(np.mean(spreads)) == pytest.approx(0.01, rel=0.15)
    assert np.mean(errors) < 0.4 * np.mean(raw_errors)
    assert abs(np.mean(optimism)) < 0.003  # the raw winner is over-stated by about .02


def test_shrinkage_without_noise_keeps_the_scores() -> None:
    posterior = shrink([0.1, 0.5], 1, 0.0, [0.3, 0.3])
    np.testing.assert_allclose(posterior.mean, [0.1, 0.5])
    np.testing.assert_array_equal(posterior.variance, 0)


def test_more_runs_shrink_less() -> None:
    posterior = shrink([0.5, 0.5, 0.1], [1, 4, 1], 0.01, [0.3, 0.3, 0.3])
    assert posterior.mean[1] > posterior.mean[0] > 0.3
    assert posterior.variance[1] < posterior.variance[0]


def test_membership_without_noise_is_the_observed_front() -> None:
    cost, truth, _ = _noisy_study(1, 0.0)
    exact = shrink(truth, 1, 0.0, cost_trend_prior(cost, truth))
    result = estimate_front(cost, truth, exact, np.random.default_rng(0), draws=20)
    observed = front(cost, truth)
    assert set(np.flatnonzero(result.membership == 1)) == set(observed)
    assert result.membership.sum() == observed.size
    assert result.hypervolume.estimate == pytest.approx(result.observed_hypervolume)


@given(points)
@settings(max_examples=60, deadline=None)
def test_many_draws_at_once_agree_with_each(pairs: list[tuple[int, int]]) -> None:
    log_cost, score = np.array(pairs, dtype=float).T
    score = score + np.arange(score.size) * 1e-6  # no exact twins
    cost = 10**log_cost
    exact = shrink(score, 1, 0.0, score)
    result = estimate_front(cost, score, exact, np.random.default_rng(0), draws=3, grid_points=7)
    assert set(np.flatnonzero(result.membership)) == set(front(cost, score))
    np.testing.assert_allclose(result.expected, best_within(cost, score, result.grid_cost))
    volumes = (result.hypervolume.low, result.hypervolume.high, result.hypervolume.estimate)
    np.testing.assert_allclose(volumes, result.observed_hypervolume)


def test_membership_probabilities_are_calibrated() -> None:
    claimed, true = [], []
    for seed in range(40):
        cost, truth, score = _noisy_study(seed, 0.01)
        posterior = shrink(score, 1, 0.01**2, cost_trend_prior(cost, score))
        result = estimate_front(cost, score, posterior, np.random.default_rng(seed), draws=200)
        is_member = np.zeros(cost.size)
        is_member[front(cost, truth)] = 1
        claimed.append(result.membership)
        true.append(is_member)
    probability, outcome = np.concatenate(claimed), np.concatenate(true)
    for low, high in ((0.05, 0.2), (0.2, 0.4), (0.4, 0.8)):
        chosen = (probability >= low) & (probability < high)
        expected = probability[chosen].mean()
        error = np.sqrt(expected * (1 - expected) / chosen.sum())
        assert abs(outcome[chosen].mean() - expected) < 4 * error


def test_front_band_holds_what_the_choice_truly_scores_and_the_raw_front_flatters() -> None:
    held, cells, volumes, optimism = 0, 0, 0, []
    for seed in range(60):
        cost, truth, score = _noisy_study(seed, 0.01)
        posterior = shrink(score, 1, 0.01**2, cost_trend_prior(cost, score))
        result = estimate_front(cost, score, posterior, np.random.default_rng(seed), draws=50)
        steps = np.searchsorted(cost[result.members], result.grid_cost, side="right") - 1
        chosen = truth[result.members[steps]]
        held += int(((result.lower <= chosen) & (chosen <= result.upper)).sum())
        cells += chosen.size
        optimism.append(np.mean(best_within(cost, score, result.grid_cost) - result.expected))
        corner, box = (cost.max(), score.min()), (cost.min(), score.max())
        widths = np.diff(np.log10(cost[result.members]), append=np.log10(cost.max()))
        area = (np.log10(cost.max()) - np.log10(box[0])) * (box[1] - corner[1])
        true_volume = widths @ (truth[result.members] - corner[1]) / area
        volumes += result.hypervolume.low <= true_volume <= result.hypervolume.high
        assert result.hypervolume.low < result.hypervolume.estimate < result.hypervolume.high
        assert result.hypervolume.estimate < result.observed_hypervolume
    assert 0.9 < held / cells < 0.99
    assert volumes >= 52
    assert np.mean(optimism) > 0.01


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
def test_prior_survives_few_networks(count: int) -> None:
    rng = np.random.default_rng(count)
    cost, score = 10 ** rng.uniform(6, 9, count), rng.random(count)
    prior = cost_trend_prior(cost, score)
    assert np.isfinite(prior).all()
    assert (prior >= score.min()).all()
    assert (prior <= score.max()).all()


def test_prior_of_one_network_never_saw_its_own_score() -> None:
    cost = np.geomspace(1e6, 1e9, 40)
    score = 0.1 * np.log10(cost)
    changed = score.copy()
    changed[7] += 0.05
    assert cost_trend_prior(cost, changed)[7] == pytest.approx(cost_trend_prior(cost, score)[7])


def test_dominance_is_what_draws_say() -> None:
    cost = np.array([1.0, 2.0, 2.0, 3.0])
    score, noise = np.array([0.50, 0.52, 0.51, 0.505]), np.full(4, 2e-4)
    posterior = shrink(score, np.array([1, 1, 3, 1]), noise, np.full(4, 0.505))
    chance = dominance(cost, posterior)
    rng = np.random.default_rng(0)
    drawn = posterior.mean + np.sqrt(posterior.variance) * rng.standard_normal((200_000, 4))
    for i in range(4):
        for j in range(4):
            counted = (drawn[:, i] >= drawn[:, j]).mean() if i != j and cost[i] <= cost[j] else 0
            assert chance[i, j] == pytest.approx(counted, abs=0.005)
    assert dominance(cost, posterior, np.array([3, 1])) == pytest.approx(chance[:, [3, 1]])


def test_without_noise_dominance_is_yes_or_no() -> None:
    cost, score = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.6])
    exact = shrink(score, 1, 0.0, np.full(3, 0.5))
    assert dominance(cost, exact).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
