"""What one trial is judged by, from the outputs on whole folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.labels import ABBREVIATIONS
from models.prediction import decided
from search.training import metrics
from search.training.metric_table import OBJECTIVE, PER_CLASS, Fold, metrics_of, objective_metric


@dataclass(frozen=True, slots=True)
class Scoring:
    """By what a study judges networks: its objective, and whose metrics there are besides ours."""

    objective: str = OBJECTIVE.name
    plugins: tuple[str, ...] = ()


DEFAULT_SCORING = Scoring()


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Scores of one fold: every metric of the study by its name, and one dict per class.

    `values` holds the objective, too, where it is of one class. NaN where a score is undefined.
    """

    values: Mapping[str, float]
    per_class: tuple[dict[str, Any], ...]


def score_fold(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    classes: Sequence[str] | None = None,
    *,
    empty_classes: metrics.EmptyClasses = "challenge",
    exclusive: bool = False,
    scoring: Scoring = DEFAULT_SCORING,
) -> FoldScores:
    """Score probabilities (records, classes) decided by thresholds from other records.

    The Challenge score is NaN unless the classes are the 26 scored ones.
    """
    truth, values, cuts = np.asarray(labels), np.asarray(probabilities), np.asarray(thresholds)
    choices = decided(values, cuts, exclusive)
    fold = Fold(truth, values, choices, empty_classes, tuple(classes or ()))
    names = classes or (ABBREVIATIONS if fold.official else [str(k) for k in range(len(truth.T))])
    columns = {
        "positives": truth.sum(axis=0).astype(int),
        **{name: scores(fold) for name, (_, scores) in PER_CLASS.items()},
        "ece": metrics.calibration_error_per_class(truth, values),
        "threshold": cuts,
    }
    own = metrics_of(scoring.plugins, exclusive=exclusive)
    if scoring.objective not in {metric.name for metric in own}:
        own = (*own, objective_metric(scoring.objective, classes))
    return FoldScores(
        values={metric.name: float(metric.compute(fold)) for metric in own},
        per_class=tuple(
            {"class": name} | {key: column[k].item() for key, column in columns.items()}
            for k, name in enumerate(names)
        ),
    )
