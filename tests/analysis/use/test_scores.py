"""Scores in draws of patients, against scikit-learn and against repeated records."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from analysis.questions.confirmation.resampling import Predictions
from analysis.use.calibration import ALL, expected_counts, reliability
from analysis.use.scores import METRICS, Evaluated, score_evaluated, weighted_scores
from search.training.metrics import calibration_error_per_class
from tests.analysis.reference.intervals import interval_table


def outputs(records: int, classes: int, seed: int, ties: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((records, classes)) < 0.3
    values = np.clip(truth * 0.25 + rng.random((records, classes)) * 0.75, 0, 1)
    return truth, np.round(values * ties) / ties


def test_every_score_is_scikit_learns_with_weights():
    truth, values = outputs(300, 4, 0)
    cuts = np.array([0.4, 0.5, 0.3, 0.6])
    weights = np.random.default_rng(1).integers(0, 4, (300, 3)).astype(float)
    found = weighted_scores(truth, values, values > cuts, weights)
    assert set(found) == set(METRICS)
    for k in range(4):
        decided = values[:, k] > cuts[k]
        for draw in range(3):
            own = {"sample_weight": weights[:, draw]}
            expected = {
                "auroc": sk.roc_auc_score(truth[:, k], values[:, k], **own),
                "auprc": sk.average_precision_score(truth[:, k], values[:, k], **own),
                "f1": sk.f1_score(truth[:, k], decided, **own),
                "sensitivity": sk.recall_score(truth[:, k], decided, **own),
                "specificity": sk.recall_score(~truth[:, k], ~decided, **own),
            }
            for name, value in expected.items():
                assert found[name][k, draw] == pytest.approx(value, abs=1e-12), name


def test_a_weight_counts_like_repeated_records():
    truth, values = outputs(120, 3, 2)
    often = np.random.default_rng(3).integers(0, 3, 120)
    found = weighted_scores(truth, values, values > 0.5, often[:, None].astype(float))
    again = np.repeat(np.arange(120), often)
    expected = calibration_error_per_class(truth[again], values[again])
    np.testing.assert_allclose(found["ece"][:, 0], expected)


def on_records(truth, networks, patients=None, **groups) -> Evaluated:
    records = len(truth)
    table = pd.DataFrame({k: pd.Categorical(v, ordered=True) for k, v in groups.items()})
    return Evaluated(
        labels=truth.astype(np.uint8),
        patients=np.arange(records) if patients is None else patients,
        groups=table if groups else pd.DataFrame(index=range(records)),
        classes=tuple("ABCDEFGH"[: truth.shape[1]]),
        names=tuple("abcdefgh"[: truth.shape[1]]),
        networks=networks,
    )


def test_estimates_and_intervals_are_those_of_drawn_records():
    truth, values = outputs(150, 3, 4)
    patients = np.arange(150) // 2
    run = Predictions(values, np.full(3, 0.5))
    scores = score_evaluated(
        on_records(truth, {"n": [run]}, patients), np.random.default_rng(0)
    ).scores
    other = interval_table(
        truth, values, run.decisions, patients, np.full(150, "x"), np.random.default_rng(9),
        classes=("A", "B", "C"),
    )  # fmt: skip
    other = other[other["source"] == "all"]
    joined = scores.merge(
        other, left_on=["class", "metric"], right_on=["class", "score"], suffixes=("", "_other")
    )
    assert len(joined) == 3 * 4
    np.testing.assert_allclose(joined["estimate"], joined["estimate_other"], atol=1e-12)
    np.testing.assert_allclose(joined["low"], joined["low_other"], atol=0.02)
    np.testing.assert_allclose(joined["high"], joined["high_other"], atol=0.02)


def test_rare_classes_have_no_interval_and_are_in_no_mean():
    truth, values = outputs(100, 2, 5)
    truth[:, 1] = np.arange(100) < 4
    scored = score_evaluated(
        on_records(truth, {"n": [Predictions(values, np.full(2, 0.5))]}), _rng(), draws=50
    )
    rows = scored.scores.set_index(["class", "metric"])
    assert rows.loc[("B", "auroc"), "positives"] == 4
    assert np.isfinite(rows.loc[("B", "auroc"), "estimate"])
    assert rows.loc["B"][["low", "high"]].isna().all(axis=None)
    for metric in METRICS:
        assert rows.loc[("macro", metric), "estimate"] == rows.loc[("A", metric), "estimate"]
    assert (rows.loc["macro"]["classes"] == 1).all()


def test_trainings_of_a_network_are_averaged_and_networks_compared_on_the_same_draws():
    truth, values = outputs(200, 3, 6)
    _, noise = outputs(200, 3, 7)
    good, bad = (
        Predictions(values, np.full(3, 0.5)),
        Predictions((values + noise) / 2, np.full(3, 0.5)),
    )
    networks = {"one": [good], "same": [good, good], "both": [good, bad], "bad": [bad]}
    scored = score_evaluated(on_records(truth, networks), _rng(), draws=200)
    macro = scored.scores[scored.scores["class"] == "macro"].set_index(["network", "metric"])
    estimate = macro["estimate"]
    for metric in METRICS:
        middle = (estimate["one", metric] + estimate["bad", metric]) / 2
        assert estimate["both", metric] == pytest.approx(middle)
    differences = scored.differences.set_index(["network", "metric"])
    assert (differences.loc["same"][["difference", "low", "high"]] == 0).all(axis=None)
    row = differences.loc[("bad", "auroc")]
    assert row["low"] < row["difference"] < row["high"] < 0
    own_width = macro.loc[("bad", "auroc"), "high"] - macro.loc[("bad", "auroc"), "low"]
    assert row["high"] - row["low"] < own_width


def test_groups_are_scored_on_their_own_records():
    truth, values = outputs(200, 2, 8)
    sex = np.where(np.arange(200) % 2, "male", "female")
    run = Predictions(values, np.full(2, 0.5))
    groups = {"sex": sex, "source": np.full(200, "one")}
    scores = score_evaluated(on_records(truth, {"n": [run]}, **groups), _rng(), draws=20).scores
    assert set(scores["kind"]) == {"all", "sex"}
    own = score_evaluated(
        on_records(truth[::2], {"n": [Predictions(values[::2], np.full(2, 0.5))]}), _rng(), draws=20
    ).scores
    female = scores[scores["group"] == "female"]
    np.testing.assert_array_equal(female["estimate"], own["estimate"])
    assert set(female["records"]) == {100}


def test_a_calibrated_network_lies_on_the_diagonal_and_an_overconfident_one_below():
    rng = np.random.default_rng(10)
    values = rng.beta(0.6, 1.5, (20_000, 1))
    truth = rng.random((20_000, 1)) < values
    networks = {
        "right": [Predictions(values, np.full(1, 0.5))],
        "twice": [Predictions(values**0.5, np.ones(1))],
    }
    both = on_records(truth, networks)
    curves = reliability(both, _rng(), draws=100)
    assert set(curves["class"]) == {ALL, "A"}
    right = curves[(curves["network"] == "right") & (curves["class"] == ALL)]
    inside = (right["low"] - 0.01 <= right["predicted"]) & (
        right["predicted"] <= right["high"] + 0.01
    )
    assert len(right) == 12
    assert inside.all()
    twice = curves[(curves["network"] == "twice") & (curves["class"] == ALL)]
    assert (twice["high"] < twice["predicted"])[twice["predicted"].between(0.1, 0.9)].all()
    counts = expected_counts(both).set_index("network")
    assert counts.loc["right", "observed"] == truth.sum()
    assert counts.loc["right", "ratio"] == pytest.approx(1, abs=0.03)
    assert counts.loc["twice", "ratio"] > 1.3


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)
