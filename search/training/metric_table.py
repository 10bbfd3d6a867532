"""The one table of metrics: how each is called, counted, stored and computed.

Whatever shows, stores or reads a score follows this table; a new metric is one entry here and the
function that computes it in `metrics`. Plug-ins add theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.labels import ABBREVIATIONS, WEIGHTS
from definitions import hint
from definitions.plugins import PluginError, Registry
from search.errors import StudyError
from search.training import metrics


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A whole fold to score: labels, probabilities and decisions, each (records, classes).

    `empty_classes` is what F1 does with a class that no record has (`metrics.f1_per_class`);
    `classes` names the columns, where that is known.
    """

    labels: npt.NDArray[Any]
    probabilities: npt.NDArray[Any]
    decisions: npt.NDArray[Any]
    empty_classes: metrics.EmptyClasses = "challenge"
    classes: tuple[str, ...] = ()

    @property
    def official(self) -> bool:
        """Whether the classes are, or without names can be, the 26 that the Challenge scores."""
        if self.classes:
            return self.classes == ABBREVIATIONS
        return len(self.labels.T) == len(WEIGHTS)


@dataclass(frozen=True, slots=True)
class Metric:
    """One score of a fold.

    `label` is its name for readers, `unit` what the axis of a figure says, `low` and `high` the
    range of its values, `higher` whether more is better, `exclusive` whether it is of exclusive
    classes alone. The objective is stored as the value of a trial, all others as its attributes.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    meaning: str
    compute: Callable[[Fold], float]
    higher: bool = True
    exclusive: bool = False

    @property
    def tested(self) -> str:
        """Name of the attribute with the score on test records."""
        return f"test_{self.name}"


_BUILT_IN = (
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
    Metric(
        "accuracy",
        "Accuracy",
        "0 to 1",
        0.0,
        1.0,
        "share of records whose most probable class is theirs; of exclusive classes alone",
        lambda fold: float((fold.labels.astype(bool) & fold.decisions).any(axis=1).mean()),
        exclusive=True,
    ),
    Metric(
        "balanced_accuracy",
        "Balanced accuracy",
        "0 to 1",
        0.0,
        1.0,
        "recall averaged over the classes; of exclusive classes alone",
        lambda fold: metrics.macro_mean(metrics.recall_per_class(fold.labels, fold.decisions)),
        exclusive=True,
    ),
)
PER_CLASS: Mapping[str, tuple[str, Callable[[Fold], npt.NDArray[Any]]]] = {
    "f1": (
        "F1",
        lambda fold: metrics.f1_per_class(
            fold.labels, fold.decisions, empty_classes=fold.empty_classes
        ),
    ),
    "auroc": ("AUROC", lambda fold: metrics.auroc_per_class(fold.labels, fold.probabilities)),
    "auprc": ("AUPRC", lambda fold: metrics.auprc_per_class(fold.labels, fold.probabilities)),
}
"""Scores of one class, which can be an objective as in "f1:AF": label, and function to (classes,).
"""


def _facts(metric: Metric) -> dict[str, Any]:
    """Return what a reader must know of a plug-in's metric."""
    limits = [value if np.isfinite(value) else None for value in (metric.low, metric.high)]
    return {
        "label": metric.label,
        "unit": metric.unit,
        "limits": limits,
        "meaning": metric.meaning,
        "higher": metric.higher,
    }


def _absent(name: str, facts: Mapping[str, Any]) -> Metric:
    """Return a plug-in's metric as a study tells of it, to show and not to compute."""

    def compute(_: Fold) -> float:
        raise PluginError(f"expected the plug-in that adds the metric {name!r}, got none: load it")

    low, high = facts["limits"]
    return Metric(
        name,
        str(facts["label"]),
        str(facts["unit"]),
        -np.inf if low is None else float(low),
        np.inf if high is None else float(high),
        str(facts["meaning"]),
        compute,
        bool(facts["higher"]),
    )


METRICS: Registry[Metric] = Registry(
    "metric", {metric.name: metric for metric in _BUILT_IN}, facts=_facts, absent=_absent
)
OBJECTIVE = METRICS["macro_f1"]
"""What a study maximises unless it says otherwise."""
ATTRIBUTES = tuple(one.name for one in _BUILT_IN if one != OBJECTIVE and not one.exclusive)
TESTED = tuple(one.tested for one in _BUILT_IN if not one.exclusive)


def metrics_of(plugins: Collection[str] = (), *, exclusive: bool = False) -> tuple[Metric, ...]:
    """Return the metrics of a study: ours and its plug-ins', of its kind of classes."""
    return tuple(one for one in METRICS.of(plugins).values() if exclusive or not one.exclusive)


def objective_metric(name: str, classes: Sequence[str] | None = None) -> Metric:
    """Return a metric by name, also that of one class, such as "f1:AF"; StudyError says what is.

    Without classes any class is taken.
    """
    if name in METRICS:
        return METRICS[name]
    kind, colon, wanted = name.partition(":")
    if kind not in PER_CLASS or not colon:
        raise StudyError(
            f"expected objective to be a metric ({', '.join(METRICS)}) or one of a class, such as "
            f"'f1:AF', got {name!r}: {hint(name, METRICS, 'change it')}"
        )
    if classes is not None and wanted not in classes:
        raise StudyError(
            f"expected objective to be the {kind} of a class of the store ({', '.join(classes)}), "
            f"got {name!r}: {hint(wanted, classes, 'change it')}"
        )
    label, scores = PER_CLASS[kind]

    def compute(fold: Fold) -> float:
        return float(scores(fold)[fold.classes.index(wanted)])

    meaning = f"{label} of the class {wanted}"
    return Metric(name, f"{label} of {wanted}", "0 to 1", 0.0, 1.0, meaning, compute)
