"""The one table of metrics: how each is called, counted, stored and computed.

Whatever shows, stores or reads a score follows this table; a new metric is one entry here and the
function that computes it in `metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from data_pipeline.labels import WEIGHTS
from search.training import metrics


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A whole fold to score: labels, probabilities and decisions, each (records, classes).

    `empty_classes` is what F1 does with a class that no record has (`metrics.f1_per_class`).
    """

    labels: npt.NDArray[Any]
    probabilities: npt.NDArray[Any]
    decisions: npt.NDArray[Any]
    empty_classes: metrics.EmptyClasses = "challenge"

    @property
    def official(self) -> bool:
        """Whether the classes can be the 26 that the Challenge scores."""
        return len(self.labels.T) == len(WEIGHTS)


@dataclass(frozen=True, slots=True)
class Metric:
    """One score of a fold.

    `label` is its name for readers, `unit` what the axis of a figure says, `low` and `high` the
    range of its values, `higher` whether more is better. The objective is stored as the value of
    a trial, all others as its attributes.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    meaning: str
    compute: Callable[[Fold], float]
    higher: bool = True
    objective: bool = False

    @property
    def tested(self) -> str:
        """Name of the attribute with the score on test records."""
        return f"test_{self.name}"


METRICS = (
    Metric(
        "macro_f1",
        "Macro-F1",
        "0 to 1",
        0.0,
        1.0,
        "F1 averaged over the classes, with thresholds chosen on training records",
        lambda fold: metrics.macro_f1(
            fold.labels, fold.decisions, empty_classes=fold.empty_classes
        ),
        objective=True,
    ),
    Metric(
        "macro_auroc",
        "Macro-AUROC",
        "0 to 1",
        0.0,
        1.0,
        "area under the ROC curve, averaged over the classes",
        lambda fold: metrics.macro_auroc(fold.labels, fold.probabilities),
    ),
    Metric(
        "macro_auprc",
        "Macro-AUPRC",
        "0 to 1",
        0.0,
        1.0,
        "area under the precision–recall curve, averaged over the classes",
        lambda fold: metrics.macro_auprc(fold.labels, fold.probabilities),
    ),
    Metric(
        "challenge_score",
        "Challenge score",
        "1 is best",
        float("-inf"),
        1.0,
        "the official score of the PhysioNet/CinC Challenge 2021; NaN without its 26 classes",
        lambda fold: (
            metrics.challenge_score(fold.labels, fold.decisions) if fold.official else float("nan")
        ),
    ),
    Metric(
        "ece",
        "Calibration error",
        "0 to 1",
        0.0,
        1.0,
        "expected calibration error of the probabilities, averaged over the classes",
        lambda fold: metrics.expected_calibration_error(fold.labels, fold.probabilities),
        higher=False,
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}
OBJECTIVE = next(metric for metric in METRICS if metric.objective)
ATTRIBUTES = tuple(metric.name for metric in METRICS if not metric.objective)
TESTED = tuple(metric.tested for metric in METRICS)
