"""Every score against scikit-learn, a literal transcription of the definition, or a closed form."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from data_pipeline.labels import NORMAL, WEIGHTS
from search.errors import StudyError
from search.training import metrics


def fold(seed: int, records: int = 400, classes: int = 26, levels: int | None = None):
    """Draw labels (rare to common, many records without any) and outputs that know a little."""
    rng = np.random.default_rng(seed)
    labels = rng.random((records, classes)) < np.geomspace(0.005, 0.4, classes)
    labels[rng.random(records) < 0.3] = False
    outputs = rng.normal(size=labels.shape) + 1.5 * labels
    if levels:
        outputs = np.round(outputs * levels) / levels
    return labels.astype(np.uint8), outputs


def reference_auroc(labels, outputs):
    return [
        roc_auc_score(y, p) if 0 < y.sum() < len(y) else np.nan
        for y, p in zip(labels.T, outputs.T, strict=True)
    ]


def reference_auprc(labels, outputs):
    return [
        average_precision_score(y, p) if y.any() else np.nan
        for y, p in zip(labels.T, outputs.T, strict=True)
    ]


def literal_challenge_score(weights, labels, outputs, normal):
    """Follow the published definition record by record and pair by pair."""

    def total(chosen):
        matrix = np.zeros(weights.shape)
        for i in range(len(labels)):
            named = float(max(np.sum(np.any((labels[i], chosen[i]), axis=0)), 1))
            for j in range(labels.shape[1]):
                if labels[i, j]:
                    for k in range(labels.shape[1]):
                        if chosen[i, k]:
                            matrix[j, k] += 1.0 / named
        return np.nansum(weights * matrix)

    inactive = np.zeros(labels.shape, dtype=bool)
    inactive[:, normal] = 1
    observed, correct, lowest = total(outputs), total(labels), total(inactive)
    return (observed - lowest) / (correct - lowest) if correct != lowest else 0.0


# ---- Ranking scores and F1 against scikit-learn ---- #


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize("seed", range(4))
def test_ranking_scores_equal_scikit_learn(seed, levels):
    labels, outputs = fold(seed, levels=levels)
    labels[:, 3] = 0
    labels[:, 20] = 1
    expected = reference_auroc(labels, outputs), reference_auprc(labels, outputs)
    np.testing.assert_allclose(metrics.auroc_per_class(labels, outputs), expected[0], atol=1e-12)
    np.testing.assert_allclose(metrics.auprc_per_class(labels, outputs), expected[1], atol=1e-12)
    assert metrics.macro_auroc(labels, outputs) == pytest.approx(np.nanmean(expected[0]), abs=1e-12)
    assert metrics.macro_auprc(labels, outputs) == pytest.approx(np.nanmean(expected[1]), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_f1_equals_scikit_learn_also_where_a_class_is_empty(seed):
    labels, outputs = fold(seed)
    labels[:, [2, 9]] = 0  # never true: one is never decided, the other has false alarms
    labels[:7] = 0  # records without any label
    decisions = outputs > 1
    decisions[:, 2] = False
    expected = f1_score(labels, decisions, average=None, zero_division=np.nan)
    ours = metrics.f1_per_class(labels, decisions)
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    assert np.isnan(ours[2])
    assert ours[9] == 0
    assert metrics.macro_f1(labels, decisions) == pytest.approx(
        f1_score(labels, decisions, average="macro", zero_division=np.nan), abs=1e-12
    )
    there = labels.any(axis=0)
    assert metrics.macro_f1(labels, decisions, empty_classes="ignore") == pytest.approx(
        f1_score(labels[:, there], decisions[:, there], average="macro"), abs=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 5), st.integers(1, 4))
def test_small_folds_with_many_ties_equal_scikit_learn(seed, records, classes, levels):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (records, classes))
    outputs = rng.integers(0, levels, (records, classes)) / levels
    for ours, theirs in (
        (metrics.auroc_per_class, reference_auroc),
        (metrics.auprc_per_class, reference_auprc),
    ):
        np.testing.assert_allclose(ours(labels, outputs), theirs(labels, outputs), atol=1e-12)


def test_nothing_to_score_is_nan_and_says_so():
    labels, outputs = np.zeros((5, 3), dtype=int), np.zeros((5, 3))
    assert np.isnan(metrics.macro_auroc(labels, outputs))
    assert np.isnan(metrics.macro_auprc(labels, outputs))
    assert np.isnan(metrics.macro_f1(labels, outputs))
    empty = np.zeros((0, 3))
    for score in (metrics.macro_auroc, metrics.macro_auprc, metrics.macro_f1):
        assert np.isnan(score(empty, empty))
    assert np.isnan(metrics.expected_calibration_error(empty, empty))


# ---- The Challenge's score ---- #


@pytest.mark.parametrize("seed", range(5))
def test_challenge_score_equals_the_literal_definition(seed):
    labels, outputs = fold(seed, records=60)
    decisions = outputs > np.random.default_rng(seed).normal(size=26)
    labels[:3], decisions[2:5] = 0, False  # records without labels, without decisions, and neither
    expected = literal_challenge_score(WEIGHTS, labels.astype(bool), decisions, NORMAL)
    assert metrics.challenge_score(labels, decisions) == pytest.approx(expected, abs=1e-12)


def test_challenge_score_of_the_labels_is_one_and_of_sinus_rhythm_everywhere_zero():
    labels, _ = fold(0)
    inactive = np.zeros_like(labels)
    inactive[:, NORMAL] = 1
    assert metrics.challenge_score(labels, labels) == 1
    assert metrics.challenge_score(labels, inactive) == 0
    assert metrics.challenge_score(np.zeros_like(labels), labels) == 0  # nothing labelled


def test_records_without_labels_do_not_move_the_challenge_score():
    labels, outputs = fold(1)
    decisions = outputs > 1
    more = np.vstack([labels, np.zeros((50, 26))]), np.vstack([decisions, np.ones((50, 26))])
    assert metrics.challenge_score(*more) == pytest.approx(
        metrics.challenge_score(labels, decisions), abs=1e-12
    )


def test_challenge_score_by_hand():
    # Two classes, weight 1/2 between them. Record 1: {0} decided {0,1} -> (1 + 1/2) / 2 = 3/4.
    # Record 2: {1} decided {} -> 0. Labels score 2; "class 0 everywhere" scores 1 + 1/2 * 1/2.
    weights = [[1, 0.5], [0.5, 1]]
    score = metrics.challenge_score([[1, 0], [0, 1]], [[1, 1], [0, 0]], weights=weights, normal=0)
    assert score == pytest.approx((0.75 - 1.25) / (2 - 1.25))


# ---- Calibration ---- #


def test_calibration_error_closed_forms():
    labels = np.repeat([[1], [0]], 50, axis=0)
    assert metrics.expected_calibration_error(labels, np.full((100, 1), 0.5)) == 0
    assert metrics.expected_calibration_error(labels, np.full((100, 1), 0.8)) == pytest.approx(0.3)
    assert metrics.expected_calibration_error(labels, labels) == 0
    assert metrics.expected_calibration_error(labels, 1 - labels) == 1
    # Two bins, each off by its own amount: (40 |0.9 - 1| + 60 |0.2 - 1/6|) / 100.
    split = np.where(np.arange(100) < 40, 0.9, 0.2)[:, None]
    assert metrics.expected_calibration_error(labels, split) == pytest.approx(0.04 + 0.02)
    # A class that never occurs is as wrong as it is confident.
    assert metrics.expected_calibration_error(np.zeros((10, 1)), np.full((10, 1), 0.25)) == 0.25


def test_calibration_error_equals_a_slow_loop_over_bins():
    labels, outputs = fold(3, records=300, classes=5)
    probabilities = 1 / (1 + np.exp(-outputs))
    expected = []
    for y, p in zip(labels.T, probabilities.T, strict=True):
        edges = np.linspace(0, 1, 11)
        error = 0.0
        for low, high in pairwise(edges):
            inside = (p >= low) & ((p < high) | (high == 1))
            if inside.any():
                error += inside.mean() * abs(p[inside].mean() - y[inside].mean())
        expected.append(error)
    measured = metrics.calibration_error_per_class(labels, probabilities, bins=10)
    np.testing.assert_allclose(measured, expected, atol=1e-12)


def test_a_calibrated_classifier_has_little_calibration_error():
    rng = np.random.default_rng(0)
    probabilities = rng.random((20_000, 3))
    labels = rng.random((20_000, 3)) < probabilities
    assert metrics.expected_calibration_error(labels, probabilities) < 0.02
    assert metrics.expected_calibration_error(labels, probabilities**2) > 0.1


# ---- Thresholds ---- #


@pytest.mark.parametrize("levels", [None, 3])
def test_best_thresholds_reach_the_best_f1_of_all_thresholds(levels):
    labels, outputs = fold(5, levels=levels)
    probabilities = 1 / (1 + np.exp(-outputs))
    thresholds = metrics.best_thresholds(labels, probabilities)
    reached = metrics.f1_per_class(labels, probabilities > thresholds)
    for column in range(labels.shape[1]):
        truth = labels[:, column]
        if truth.any():
            precision, recall, _ = precision_recall_curve(truth, probabilities[:, column])
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
            assert reached[column] == pytest.approx(f1.max(), abs=1e-12)


def test_best_thresholds_lie_midway_and_leave_unseen_classes_undecided():
    probabilities = np.array([[0.9, 1.0], [0.6, 0.5], [0.2, 0.1]])
    thresholds = metrics.best_thresholds([[1, 0], [1, 0], [0, 0]], probabilities)
    np.testing.assert_allclose(thresholds, [0.4, 1.0])
    assert not (probabilities > thresholds)[:, 1].any()
    everything = metrics.best_thresholds([[1], [1]], [[0.4], [0.8]])
    np.testing.assert_allclose(everything, [0.2])
    assert metrics.best_thresholds(np.zeros((0, 2)), np.zeros((0, 2))).tolist() == [1.0, 1.0]


def literal_thresholds(labels, probabilities, slack):
    """Try every cut between two different probabilities, one class at a time."""
    thresholds = []
    for y, p in zip(labels.T, probabilities.T, strict=True):
        values = [*sorted(set(p), reverse=True), 0.0]
        cuts = [(high + low) / 2 for high, low in pairwise(values)]
        f1 = [f1_score(y, p > cut, zero_division=0.0) for cut in cuts]
        near = [c for c, f in zip(cuts, f1, strict=True) if f >= max(f1) - slack / y.sum() ** 0.5]
        thresholds.append(np.mean(near))
    return thresholds


@pytest.mark.parametrize("levels", [None, 5])
def test_slack_averages_over_all_cuts_that_are_nearly_as_good(levels):
    labels, outputs = fold(4, records=60, classes=3, levels=levels)
    labels[0] = 1
    probabilities = 1 / (1 + np.exp(-outputs))
    measured = metrics.best_thresholds(labels, probabilities, slack=0.5)
    np.testing.assert_allclose(measured, literal_thresholds(labels, probabilities, 0.5), atol=1e-12)


def test_slack_decides_rare_classes_better_on_other_records():
    """Thresholds of 400 records on 400 others, 5 % positives: a gain of about 0.013 in F1."""
    gains = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = rng.random((800, 8)) < 0.05
        probabilities = 1 / (1 + np.exp(-2 * (rng.normal(size=labels.shape) + 2 * labels) + 4.9))
        here, there = slice(0, 400), slice(400, 800)
        exact, mean = (
            metrics.best_thresholds(labels[here], probabilities[here], slack=slack)
            for slack in (0.0, 0.5)
        )
        gains.append(
            metrics.macro_f1(labels[there], probabilities[there] > mean)
            - metrics.macro_f1(labels[there], probabilities[there] > exact)
        )
    assert np.mean(gains) > 3 * np.std(gains) / np.sqrt(len(gains))


# ---- Misuse ---- #


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.macro_f1([[1, 0]], [[1]]), "one shape"),
        (lambda: metrics.macro_auroc([1, 0], [0.2, 0.1]), "one shape"),
        (lambda: metrics.macro_f1([[1, 0]], [[0.3, 0.7]]), "0 and 1 only"),
        (lambda: metrics.macro_auroc([[1], [0]], [[np.nan], [0]]), "without NaN"),
        (lambda: metrics.expected_calibration_error([[1]], [[3.0]]), "apply the sigmoid"),
        (lambda: metrics.challenge_score([[1, 0]], [[1, 0]]), "needs 26 classes"),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(StudyError, match=message):
        call()
