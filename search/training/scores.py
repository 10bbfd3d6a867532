"""What one trial is judged by, from the outputs on whole folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.labels import ABBREVIATIONS, WEIGHTS
from search.training import metrics


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Scores of one fold; `per_class` has one dict per class, NaN where a score is undefined."""

    macro_f1: float
    macro_auroc: float
    macro_auprc: float
    challenge_score: float
    ece: float
    per_class: tuple[dict[str, Any], ...]


def probabilities(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the sigmoid in float64, where confident outputs stay distinguishable."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, dtype=np.float64), -500, 500)))


def score_fold(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    classes: Sequence[str] | None = None,
) -> FoldScores:
    """Score probabilities (records, classes) decided by thresholds from other records.

    The Challenge score is NaN unless the classes are the 26 scored ones.
    """
    truth, values, cuts = np.asarray(labels), np.asarray(probabilities), np.asarray(thresholds)
    decisions = values > cuts
    official = truth.shape[1] == len(WEIGHTS)
    names = classes or (ABBREVIATIONS if official else [str(k) for k in range(truth.shape[1])])
    columns = {
        "positives": truth.sum(axis=0).astype(int),
        "f1": metrics.f1_per_class(truth, decisions),
        "auroc": metrics.auroc_per_class(truth, values),
        "auprc": metrics.auprc_per_class(truth, values),
        "ece": metrics.calibration_error_per_class(truth, values),
        "threshold": cuts,
    }
    return FoldScores(
        macro_f1=metrics.macro_f1(truth, decisions),
        macro_auroc=metrics.macro_auroc(truth, values),
        macro_auprc=metrics.macro_auprc(truth, values),
        challenge_score=metrics.challenge_score(truth, decisions) if official else float("nan"),
        ece=metrics.expected_calibration_error(truth, values),
        per_class=tuple(
            {"class": name} | {key: column[k].item() for key, column in columns.items()}
            for k, name in enumerate(names)
        ),
    )
