"""Scores of networks in draws of patients: scikit-learn's, paired, and over the same classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from analysis.questions.confirmation.resampling import (
    Predictions,
    score_networks,
    weighted_f1,
    weighted_ranking,
)
from tests.analysis.questions.confirmation.confirmations import make_outputs, runs_of


def test_weighted_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((80, 3)) < 0.3
    values = rng.integers(0, 12, (80, 3)) / 12  # with ties
    weights = rng.integers(0, 4, (80, 5)).astype(float)
    decided = values > 0.6
    areas, precisions = weighted_ranking(truth, values, weights)
    f1 = weighted_f1(truth, decided, weights)
    for draw in range(5):
        for column in range(3):
            want = roc_auc_score(
                truth[:, column], values[:, column], sample_weight=weights[:, draw]
            )
            assert areas[column, draw] == pytest.approx(want, abs=1e-12)
            want = average_precision_score(
                truth[:, column], values[:, column], sample_weight=weights[:, draw]
            )
            assert precisions[column, draw] == pytest.approx(want, abs=1e-12)
            want = f1_score(truth[:, column], decided[:, column], sample_weight=weights[:, draw])
            assert f1[column, draw] == pytest.approx(want, abs=1e-12)


def test_undefined_classes_are_left_out() -> None:
    truth, values = np.array([[True, False], [False, False]]), np.array([[0.9, 0.1], [0.2, 0.1]])
    once, never = np.array([[1.0], [1.0]]), np.array([[0.0], [1.0]])
    assert np.isnan([one[1, 0] for one in weighted_ranking(truth, values, once)]).all()
    assert np.isnan(weighted_ranking(truth, values, never)[0][0, 0])
    assert np.isnan(weighted_f1(truth, values > 0.5, never)[:, 0]).all()
    assert weighted_f1(truth, values > 0.5, once)[0, 0] == 1


def test_classes_are_the_same_for_all_networks() -> None:
    """A false alarm for a diagnosis that nobody has must not cost a network a class's share."""
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 3), dtype=bool)
    labels[:20, 0] = labels[10:40, 1] = True
    values = np.where(labels, 0.8, 0.2)
    careful, alarmed = values.copy(), values.copy()
    alarmed[5, 2] = 0.9
    runs = {
        "careful": [Predictions(careful, np.full(3, 0.5))],
        "alarmed": [Predictions(alarmed, np.full(3, 0.5))],
    }
    scores = score_networks(labels, np.arange(60), runs, rng, draws=50)["macro_f1"]
    assert scores["careful"].observed == scores["alarmed"].observed == [1.0]
    np.testing.assert_array_equal(scores["careful"].drawn, scores["alarmed"].drawn)


def test_the_records_as_they_are_give_scikit_learns_scores() -> None:
    rng = np.random.default_rng(3)
    labels, patients, outputs = make_outputs({"a": 1.2}, rng)
    scores = score_networks(labels, patients, runs_of(outputs), rng, draws=3)
    for place, values in enumerate(outputs["a"]):
        want = roc_auc_score(labels, values, average="macro")
        assert scores["macro_auroc"]["a"].observed[place] == pytest.approx(want, abs=1e-12)
        want = f1_score(labels, values > 0.5, average="macro")
        assert scores["macro_f1"]["a"].observed[place] == pytest.approx(want, abs=1e-12)


def test_pairing_by_patient_narrows_the_interval() -> None:
    rng = np.random.default_rng(1)
    labels, patients, outputs = make_outputs({"a": 1.2, "b": 1.0}, rng, spread=0.0)
    scores = score_networks(labels, patients, runs_of(outputs), rng, draws=400)["macro_auroc"]
    means = [scores[name].drawn.mean(axis=0) for name in "ab"]
    assert (means[0] - means[1]).std() < 0.9 * np.hypot(*(one.std() for one in means))


def test_patients_are_drawn_whole() -> None:
    """Records of one patient that say the same are worth one record."""
    rng = np.random.default_rng(2)
    labels, _, outputs = make_outputs({"a": 1.0}, rng, records=100, seeds=1)
    many = np.repeat(labels, 6, axis=0)
    runs = {"a": [Predictions(np.repeat(outputs["a"][0], 6, axis=0), np.full(4, 0.5))]}
    same = np.repeat(np.arange(100), 6)
    whole = score_networks(many, same, runs, rng, draws=400)["macro_auroc"]["a"]
    single = score_networks(many, np.arange(600), runs, rng, draws=400)["macro_auroc"]["a"]
    assert whole.drawn.std() > 1.8 * single.drawn.std()
