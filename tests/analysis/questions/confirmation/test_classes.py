"""Which diagnoses count for a macro score, and which score decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from analysis.errors import AnalysisError
from analysis.questions.confirmation.classes import class_sets, declared_metric
from analysis.questions.confirmation.compare import compare
from analysis.questions.confirmation.results import SEARCHED
from analysis.questions.confirmation.tables import metrics_table
from analysis.trials.table import TrialTable
from tests.analysis.questions.confirmation.confirmations import CLASSES, with_a_tiny_class


def with_scores(study: TrialTable, **settings: object) -> TrialTable:
    definition = {**study.study.definition, "scores": settings}
    return replace(study, study=replace(study.study, definition=definition))


def test_classes_are_sorted_by_their_positive_test_records(study: TrialTable) -> None:
    labels = np.zeros((60, 4), dtype=np.uint8)
    for column, positives in enumerate((30, 5, 4, 0)):
        labels[:positives, column] = 1
    sets = class_sets(study, CLASSES, labels, np.arange(60))
    assert sets.occurring == CLASSES[:3]
    assert sets.frequent == CLASSES[:2]
    assert sets.columns[""] == [0, 1, 2, 3]
    assert sets.columns["frequent_"] == [0, 1]
    assert (
        class_sets(with_scores(study, fewest_positives=4), CLASSES, labels, np.arange(60)).frequent
        == ()
    ), "all that occur are frequent, so there is nothing to tell apart"


def test_macro_scores_are_told_without_tiny_classes_too(study: TrialTable) -> None:
    confirmed, labels = with_a_tiny_class({"a": (1.5, "searched"), "b": (1.0, "reference")})
    found = compare(study, confirmed, draws=30)
    (own,) = (c for c in found.contestants if c.name == "a")
    trials = confirmed.trials.query("architecture_hash == 'a'")["trial"]
    values = [confirmed.outputs[trial].probabilities.astype(float)[:, :3] for trial in trials]
    truth = labels[:, :3]
    for metric, score in (
        ("macro_f1", lambda one: f1_score(truth, one > 0.5, average="macro")),
        ("macro_auroc", lambda one: roc_auc_score(truth, one, average="macro")),
        ("macro_auprc", lambda one: average_precision_score(truth, one, average="macro")),
    ):
        want = np.mean([score(one) for one in values])
        assert own.test[f"frequent_{metric}"].estimate == pytest.approx(want, abs=1e-12)
        assert own.test[metric].estimate != own.test[f"frequent_{metric}"].estimate
    assert found.primary == "macro_f1"
    assert set(found.secondary) >= {"frequent_macro_f1", "frequent_macro_auprc", "macro_auprc"}
    table = metrics_table(found)
    assert list(table.shown.columns)[2:6] == ["F1", "AUROC", "AUPRC", "F1, n ≥ 5"]
    assert len(table.shown) == 1


def test_the_declared_metric_decides(study: TrialTable) -> None:
    confirmed, _ = with_a_tiny_class({"a": (1.5, "searched"), "b": (1.0, "reference")})
    found = compare(with_scores(study, primary="frequent_macro_auroc"), confirmed, draws=30)
    assert found.primary == "frequent_macro_auroc"
    (pair,) = found.compared(SEARCHED)
    assert pair.metric == "frequent_macro_auroc"
    everything = compare(
        with_scores(study, primary="frequent_macro_auroc", fewest_positives=1), confirmed, draws=30
    )
    assert everything.primary == "macro_auroc", "all classes that occur are frequent enough"


def test_a_metric_that_test_records_have_not_is_refused(study: TrialTable) -> None:
    for name in ("ece", "rare_macro_f1", "frequent_ece"):
        with pytest.raises(AnalysisError, match=f"not by {name}"):
            declared_metric(with_scores(study, primary=name))
