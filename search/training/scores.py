"""What one trial is judged by, from the outputs on whole folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.labels import ABBREVIATIONS
from search.training import metrics
from search.training.metric_table import METRICS, OBJECTIVE, Fold


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Scores of one fold: every metric of the table by its name, and one dict per class.

    NaN where a score is undefined.
    """

    values: Mapping[str, float]
    per_class: tuple[dict[str, Any], ...]

    @property
    def objective(self) -> float:
        """The metric that the study maximises."""
        return self.values[OBJECTIVE.name]


def probabilities(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the sigmoid in float64, where confident outputs stay distinguishable."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, dtype=np.float64), -500, 500)))


def score_fold(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    classes: Sequence[str] | None = None,
    *,
    empty_classes: metrics.EmptyClasses = "challenge",
) -> FoldScores:
    """Score probabilities (records, classes) decided by thresholds from other records.

    The Challenge score is NaN unless the classes are the 26 scored ones.
    """
    truth, values, cuts = np.asarray(labels), np.asarray(probabilities), np.asarray(thresholds)
    fold = Fold(truth, values, values > cuts, empty_classes)
    names = classes or (ABBREVIATIONS if fold.official else [str(k) for k in range(len(truth.T))])
    columns = {
        "positives": truth.sum(axis=0).astype(int),
        "f1": metrics.f1_per_class(truth, fold.decisions, empty_classes=empty_classes),
        "auroc": metrics.auroc_per_class(truth, values),
        "auprc": metrics.auprc_per_class(truth, values),
        "ece": metrics.calibration_error_per_class(truth, values),
        "threshold": cuts,
    }
    return FoldScores(
        values={metric.name: metric.compute(fold) for metric in METRICS},
        per_class=tuple(
            {"class": name} | {key: column[k].item() for key, column in columns.items()}
            for k, name in enumerate(names)
        ),
    )
