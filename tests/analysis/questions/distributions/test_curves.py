"""Score curves, FLOPs matching, permutation test and best-of-n against independent answers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from analysis.questions.distributions.curves import (
    adjust,
    best_of_n,
    compare_at_equal_flops,
    compare_factors,
    dkw_half_width,
    score_curve,
    share_at_least,
    weighted_distance,
)
from analysis.stats.matching import log_flops_bins, matched_weights, permute_within
from analysis.trials.table import TrialTable


def test_share_at_least_is_scipys_survival_function() -> None:
    scores = np.random.default_rng(1).integers(0, 30, 200) / 30
    distinct, share = share_at_least(scores)
    survival = stats.ecdf(scores).sf
    # scipy's survival is strictly above x, so just below each score it is "at least".
    np.testing.assert_allclose(share, survival.evaluate(distinct - 1e-9))


def test_integer_weights_count_as_copies() -> None:
    rng = np.random.default_rng(2)
    scores, copies = rng.random(40), rng.integers(0, 4, 40)
    weighted = score_curve("weighted", scores, copies)
    repeated = score_curve("repeated", np.repeat(scores, copies))
    np.testing.assert_allclose(weighted.scores, repeated.scores)
    np.testing.assert_allclose(weighted.share, repeated.share)


def test_dkw_half_widths_of_the_specification() -> None:
    widths = [dkw_half_width(n) for n in (100, 200, 500, 1000)]
    np.testing.assert_allclose(widths, [0.136, 0.096, 0.061, 0.043], atol=5e-4)


def test_dkw_band_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        curve = score_curve("uniform", rng.random(60))
        truth = 1 - curve.scores
        # The step above each score is open: check the limits on both of its sides.
        after = np.append(curve.share[1:], 0.0)
        gap = max(np.abs(curve.share - truth).max(), np.abs(after - truth).max())
        held += gap <= curve.band
    assert held / 400 >= 0.93


def test_unit_weights_give_the_two_sample_ks_statistic() -> None:
    rng = np.random.default_rng(4)
    scores = np.round(rng.random(90), 2)  # with ties
    group = rng.random(90) < 0.4
    weights = np.where(group, 1 / group.sum(), 1 / (~group).sum())
    expected = stats.ks_2samp(scores[group], scores[~group]).statistic
    assert weighted_distance(scores, group, weights) == pytest.approx(expected)


def test_matched_weights_balance_every_common_bin_and_drop_the_others() -> None:
    bins = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    group = np.array([1, 0, 0, 1, 1, 1, 0, 0], dtype=bool)
    weights = matched_weights(bins, group)
    assert weights[bins == 1].tolist() == [0, 0]  # only one side lives there
    for side in (group, ~group):
        assert weights[side & (bins == 0)].sum() == pytest.approx(0.5)
        assert weights[side & (bins == 2)].sum() == pytest.approx(0.5)


def test_bins_cover_the_range_in_equal_steps_of_log_flops() -> None:
    assert log_flops_bins([1e6, 9e6, 11e6, 1e8], 2).tolist() == [0, 0, 1, 1]
    assert log_flops_bins([5.0, 5.0], 4).tolist() == [0, 0]
    assert log_flops_bins([], 4).size == 0


def test_permutations_stay_within_bins() -> None:
    bins = np.array([2, 0, 1, 0, 2, 2, 1, 0])
    drawn = permute_within(bins, 200, np.random.default_rng(5))
    assert (np.sort(drawn, axis=1) == np.arange(8)).all()
    assert (bins[drawn] == bins).all()
    assert len(np.unique(drawn, axis=0)) > 50


def _shifted_study(
    rng: np.random.Generator, effect: float
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Two groups with different FLOPs; score depends on FLOPs and, by `effect`, on the group."""
    log_flops = rng.uniform(6, 9, 300)
    group = rng.random(300) < (log_flops - 6) / 3
    scores = 0.1 * log_flops + effect * group + rng.normal(0, 0.02, 300)
    return ["b" if g else "a" for g in group], scores, 10**log_flops


def _p_value(seed: int, effect: float) -> float:
    rng = np.random.default_rng(seed)
    labels, scores, flops = _shifted_study(rng, effect)
    result = compare_at_equal_flops(
        "factor", labels, scores, flops, order=("a", "b"), rng=rng, n_bins=12, permutations=199
    )
    assert result is not None
    return result.p_value


def test_equal_flops_comparison_keeps_its_level_where_the_naive_test_does_not() -> None:
    naive, matched = 0, 0
    for seed in range(60):
        labels, scores, _ = _shifted_study(np.random.default_rng(seed), 0.0)
        of_b = np.array(labels) == "b"
        naive += stats.ks_2samp(scores[of_b], scores[~of_b]).pvalue < 0.05
        matched += _p_value(seed, 0.0) < 0.05
    assert naive >= 55
    assert matched <= 9  # 3 expected; binomial(60, .05) exceeds 9 once in a thousand


def test_equal_flops_comparison_finds_a_real_effect() -> None:
    assert sum(_p_value(seed, 0.03) <= 0.01 for seed in range(20)) >= 16


def test_comparison_needs_overlap() -> None:
    labels, flops = ["a"] * 5 + ["b"] * 5, [1e6] * 5 + [1e9] * 5
    rng = np.random.default_rng(0)
    result = compare_at_equal_flops("x", labels, np.arange(10), flops, order=("a", "b"), rng=rng)
    assert result is None


def test_adjusted_p_values_are_for_all_factors_together() -> None:
    labels, scores, flops = _shifted_study(np.random.default_rng(0), 0.05)
    rng = np.random.default_rng(1)
    one = compare_at_equal_flops(
        "factor", labels, scores, flops, order=("a", "b"), rng=rng, permutations=199
    )
    assert one is not None
    assert [c.p_holm for c in adjust([one, one])] == pytest.approx([2 * one.p_value] * 2)


def test_factors_with_an_effect_are_told_from_those_without(planted: TrialTable) -> None:
    found = {c.factor: c for c in compare_factors(planted, permutations=199)}
    assert set(found) == set(planted.factor_names)
    assert found["residual"].p_holm <= 0.05
    assert found["stem_kernel"].p_holm > 0.05
    on = next(curve for curve in found["residual"].curves if curve.name == "on")
    off = next(curve for curve in found["residual"].curves if curve.name == "off")
    assert np.average(on.scores) > np.average(off.scores)


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    scores = np.random.default_rng(6).random(9)
    curve = best_of_n(scores, sizes=range(1, 10))
    truth = [np.mean([max(s) for s in combinations(scores, m)]) for m in range(1, 10)]
    np.testing.assert_allclose(curve.expected, truth)
    assert (curve.lower <= curve.expected).all()


def test_best_of_n_band_holds_the_truth_of_uniform_scores() -> None:
    held = 0
    for seed in range(200):
        curve = best_of_n(np.random.default_rng(seed).random(80), sizes=(1, 2, 5, 10))
        truth = curve.sizes / (curve.sizes + 1)
        upper = np.nan_to_num(curve.upper, nan=1.0)
        held += bool(((curve.lower <= truth) & (truth <= upper)).all())
    assert held / 200 >= 0.95


def test_best_of_n_of_many_and_of_none() -> None:
    curve = best_of_n(np.random.default_rng(7).random(5000))
    assert (np.diff(curve.expected) > 0).all()
    assert curve.expected[-1] <= 1
    assert best_of_n([]).sizes.size == 0
