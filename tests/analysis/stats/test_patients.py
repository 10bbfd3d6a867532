"""Bootstrap intervals cover what they promise, by patient, class and source."""

import numpy as np
import pytest

from analysis.stats.patients import FEWEST_PATIENTS, kind_patients
from search.errors import StudyError
from search.training.metrics import (
    auprc_per_class,
    auroc_per_class,
    f1_per_class,
    macro_auroc,
    macro_f1,
)
from tests.analysis.reference.intervals import bootstrap_intervals, interval_table


def share(labels, outputs):
    """A score with a known spread: the share of positive labels."""
    return float(labels.mean())


def test_width_is_the_binomial_one_when_every_record_is_its_own_patient():
    labels = np.random.default_rng(0).random((400, 1)) < 0.3
    (interval,) = bootstrap_intervals(
        share, labels, labels, np.arange(400), np.random.default_rng(1), resamples=4000
    )
    sd = np.sqrt(labels.mean() * (1 - labels.mean()) / 400)
    assert interval.estimate == labels.mean()
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * sd, rel=0.08)


def test_equal_records_of_one_patient_count_once():
    """Copying every record four times under its patient must not narrow the interval."""
    labels = np.random.default_rng(0).random((100, 1)) < 0.3
    patients = np.array([f"p{i}" for i in range(100)])
    single = bootstrap_intervals(share, labels, labels, patients, np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(400)
    copies, owners = np.repeat(labels, 4, axis=0)[order], np.repeat(patients, 4)[order]
    copied = bootstrap_intervals(share, copies, copies, owners, np.random.default_rng(1))
    assert copied[0].low == pytest.approx(single[0].low)
    assert copied[0].high == pytest.approx(single[0].high)
    wrong = bootstrap_intervals(share, copies, copies, np.arange(400), np.random.default_rng(1))
    assert wrong[0].high - wrong[0].low < 0.6 * (single[0].high - single[0].low)


def test_intervals_cover_the_truth_as_often_as_promised():
    """Patients with 1 to 5 equal records each, in 120 folds: 95 % intervals hold the rate 0.4."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(120):
        sizes = rng.integers(1, 6, 80)
        owners = np.repeat(np.arange(80), sizes)
        labels = np.repeat(rng.random(80) < 0.4, sizes)[:, None]
        (interval,) = bootstrap_intervals(share, labels, labels, owners, rng, resamples=200)
        covered += interval.low <= 0.4 <= interval.high
    assert 0.89 < covered / 120 < 1.0


def test_one_interval_per_class_and_none_for_an_absent_class():
    rng = np.random.default_rng(0)
    labels = rng.random((300, 4)) < [0.5, 0.1, 0.003, 0.0]
    labels[:, 2] = np.arange(300) == 7  # a single positive: absent from a third of the draws
    outputs = rng.normal(size=labels.shape) + labels
    intervals = bootstrap_intervals(auroc_per_class, labels, outputs, np.arange(300), rng)
    assert len(intervals) == 4
    for interval in intervals[:3]:
        assert interval.low <= interval.estimate <= interval.high
    assert np.isnan([intervals[3].estimate, intervals[3].low, intervals[3].high]).all()
    f1 = bootstrap_intervals(f1_per_class, labels, outputs > 0.5, np.arange(300), rng)
    assert f1[0].high - f1[0].low < f1[1].high - f1[1].low  # rare classes are less certain


def test_the_table_scores_every_source_by_itself():
    rng = np.random.default_rng(0)
    labels = rng.random((200, 3)) < 0.3
    labels[80:, 2] = False  # a class that one source lacks
    sources = np.where(np.arange(200) < 80, "georgia", "ningbo")
    signal = labels * (sources == "georgia")[:, None]
    probabilities = 1 / (1 + np.exp(-rng.normal(size=labels.shape) - 3 * signal))
    cuts = np.array([0.8, 0.7, 0.6])
    table = interval_table(
        labels,
        probabilities,
        probabilities > cuts,
        np.arange(200),
        sources,
        rng,
        classes=["a", "b", "c"],
        resamples=100,
    ).set_index(["source", "class", "score"])
    assert len(table) == 3 * 4 * 3
    georgia, ningbo = (table.loc[source, "macro", "auroc"] for source in ("georgia", "ningbo"))
    assert georgia["estimate"] == macro_auroc(labels[:80], probabilities[:80])
    assert georgia["low"] > ningbo["high"]
    assert (georgia["records"], ningbo["records"]) == (80, 120)
    assert table.loc["all", "macro", "f1"]["estimate"] == macro_f1(labels, probabilities > cuts)
    assert table.loc["all", "b", "f1"]["positives"] == labels[:, 1].sum()
    assert np.isnan(table.loc["ningbo", "c", "auprc"]["estimate"])


def test_same_generator_same_interval():
    labels, outputs = np.random.default_rng(0).random((2, 50, 2)) < 0.5
    runs = [
        bootstrap_intervals(
            macro_f1, labels, outputs, np.arange(50) // 2, np.random.default_rng(3), resamples=50
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_records_without_a_patient_are_named():
    with pytest.raises(StudyError, match="of the same records, got 3, 3 and 2"):
        bootstrap_intervals(
            macro_f1, np.ones((3, 1)), np.ones((3, 1)), [1, 2], np.random.default_rng(0)
        )


def test_patients_of_the_rarer_kind_are_counted_once_each():
    labels = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [1, 0, 1]])
    patients = np.array(["a", "a", "b", "b"])
    assert kind_patients(labels, patients).tolist() == [1, 1, 0]


def test_a_class_of_few_patients_has_a_score_and_no_interval():
    rng = np.random.default_rng(0)
    labels = np.zeros((200, 2), dtype=bool)
    labels[: 2 * FEWEST_PATIENTS, 0] = labels[: 2 * FEWEST_PATIENTS - 2, 1] = True
    patients = np.repeat(np.arange(100), 2)
    values = rng.random(labels.shape)
    table = interval_table(
        labels, values, values > 0.5, patients, np.full(200, "x"), rng,
        classes=("enough", "few"), resamples=50,
    ).set_index(["source", "class", "score"])  # fmt: skip
    few, enough = (table.loc[("all", name, "auroc")] for name in ("few", "enough"))
    assert np.isfinite(enough[["estimate", "low", "high"]].to_numpy(float)).all()
    assert np.isfinite(few["estimate"])
    assert np.isnan(few[["low", "high"]].to_numpy(float)).all()
    assert np.isnan(table.loc[("all", "macro", "auroc"), "low"])  # one of two classes is not most


def test_a_source_of_few_records_has_scores_and_no_interval():
    rng = np.random.default_rng(1)
    labels = rng.random((120, 2)) < 0.4
    labels[0] = True, False
    sources = np.where(np.arange(120) == 0, "one", "many")
    said = rng.random(labels.shape)
    table = interval_table(
        labels, said, said > 0.5, np.arange(120), sources, rng,
        classes=("a", "b"), resamples=50,
    ).set_index(["source", "class", "score"])  # fmt: skip
    assert np.isfinite(table.loc[("one", "macro", "f1"), "estimate"])
    assert np.isnan(table.loc[("one", "macro", "f1"), "low"])
    assert np.isfinite(table.loc[("many", "macro", "f1"), "low"])


@pytest.mark.parametrize("studies", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_intervals_of_average_precision_centre_and_cover(studies):
    """Percentiles of the draws, which are too high, cover the truth in about 60 % of the cases."""
    rng = np.random.default_rng(7)
    prevalence, apart = np.array([0.05, 0.06, 0.08, 0.1, 0.15]), np.array([1.2, 2.0, 1.5, 1.0, 2.5])

    def sample(count):
        labels = rng.random((count, 5)) < prevalence
        return labels, rng.normal(size=labels.shape) + labels * apart

    def macro(labels, outputs):
        return float(np.nanmean(auprc_per_class(labels, outputs)))

    truth, covered = macro(*sample(100_000)), 0
    for _ in range(studies):
        labels, outputs = sample(150)
        (found,) = bootstrap_intervals(
            macro, labels, outputs, np.arange(150), rng, resamples=100 if studies < 20 else 200
        )
        assert found.low < found.estimate
        covered += found.low <= truth <= found.high
    assert covered / studies > (0.7 if studies < 20 else 0.87)


def test_scores_that_no_draw_changes_have_no_interval():
    labels = np.arange(40)[:, None] < 10
    (interval,) = bootstrap_intervals(
        f1_per_class, labels, ~labels, np.arange(40), np.random.default_rng(0), resamples=50
    )
    assert interval.estimate == 0
    assert not interval.known
