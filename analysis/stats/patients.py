"""Bootstrap intervals of whole-fold scores, drawing patients, not records.

Records of one patient resemble each other; drawing records as if they were independent makes
intervals too narrow. The interval covers the chance in who was recorded, not that of training
(for which replicates are).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.stats.interval import Interval, percentiles
from data_pipeline.labels import ABBREVIATIONS
from search.errors import StudyError
from search.training import metrics

# Below, an interval holds the truth far less often than it says: of AUROC, in a simulation with 350
# patients, in 52, 78, 80, 87 and 89 % of the cases with 2, 4, 5, 10 and 15 positive ones.
FEWEST_PATIENTS = 5

Score = Callable[
    [npt.NDArray[np.generic], npt.NDArray[np.generic]], float | npt.NDArray[np.float64]
]


def number_patients(patients: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], int]:
    """Number the patients from 0: return each record's patient (records,) and their count."""
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    return np.asarray(owner, dtype=np.int64), int(owner.max(initial=-1)) + 1


def draw_patients(count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw as many patients as there are, with replacement: how often each came (count,)."""
    return np.bincount(rng.integers(0, count, count), minlength=count)


def bootstrap_intervals(
    score: Score,
    labels: npt.ArrayLike,
    outputs: npt.ArrayLike,
    patients: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
) -> tuple[Interval, ...]:
    """Return the interval of a score, or one per class for a score that returns a vector.

    `score(labels, outputs)` is a function of `metrics`; `patients` (records,) holds equal
    values for records of one patient. Percentile bootstrap (Efron & Tibshirani 1993, chapter 13);
    draws in which a score is undefined are left out, and an interval of fewer than half the draws
    is NaN.
    """
    truth, values, owners = np.asarray(labels), np.asarray(outputs), np.asarray(patients)
    if not len(truth) == len(values) == len(owners) or not len(owners):
        raise StudyError(
            "Expected labels, outputs and patients of the same records, got "
            f"{len(truth)}, {len(values)} and {len(owners)}."
        )
    owner, count = number_patients(owners)
    estimate = np.atleast_1d(score(truth, values))
    draws = np.empty((resamples, len(estimate)))
    for draw in draws:
        chosen = np.repeat(np.arange(len(owner)), draw_patients(count, rng)[owner])
        draw[:] = score(truth[chosen], values[chosen])
    return tuple(
        Interval(float(value), *_limits(column))
        for value, column in zip(estimate, draws.T, strict=True)
    )


def interval_table(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    decisions: npt.ArrayLike,
    patients: npt.ArrayLike,
    sources: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    classes: Sequence[str] = ABBREVIATIONS,
    resamples: int = 1000,
) -> pd.DataFrame:
    """Return F1, AUROC and AUPRC of every class and their macro means, for all and each source.

    labels, probabilities and decisions are (records, classes).
    Columns: source ("all" first), class ("macro" first), score, estimate, low, high, records,
    patients, positives. `sources` (records,) holds names. A class with fewer than FEWEST_PATIENTS
    patients of either kind has no interval (NaN): so few are drawn too much alike.
    """
    truth, values = np.asarray(labels), np.asarray(probabilities)
    owners, origins, chosen = np.asarray(patients), np.asarray(sources), np.asarray(decisions)
    rows = []
    for source in ["all", *np.unique(origins)]:
        own = np.ones(len(truth), dtype=bool) if source == "all" else origins == source
        positives = truth[own].sum(axis=0).astype(int)
        counts = [int(truth[own].any(axis=1).sum()), *positives.tolist()]
        enough = [True, *(kind_patients(truth[own], owners[own]) >= FEWEST_PATIENTS)]
        for name, score in _TABLE_SCORES.items():
            outputs = chosen[own] if name == "f1" else values[own]
            intervals = bootstrap_intervals(
                score, truth[own], outputs, owners[own], rng, resamples=resamples
            )
            for label, count, drawn, interval in zip(
                ["macro", *classes], counts, enough, intervals, strict=True
            ):
                row = {"source": str(source), "class": label, "score": name} | asdict(interval)
                limits = {} if drawn else {"low": np.nan, "high": np.nan}
                counted = {"records": len(owners[own]), "patients": len(np.unique(owners[own]))}
                rows.append(row | limits | counted | {"positives": count})
    return pd.DataFrame(rows)


def kind_patients(labels: npt.ArrayLike, patients: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Count the patients with a positive and with a negative record, per class the fewer.

    labels (records, classes) 0/1; patients (records,). Returns (classes,).
    """
    truth = np.asarray(labels).astype(bool)
    owner, count = number_patients(patients)
    have = np.zeros((2, count, truth.shape[1]), dtype=bool)
    for kind in (0, 1):
        np.logical_or.at(have[kind], owner, truth == kind)
    return np.asarray(have.sum(axis=1).min(axis=0), dtype=np.int64)


def _with_macro(per_class: Callable[..., npt.NDArray[np.float64]]) -> Score:
    """Return a score that puts the macro mean before the classes."""

    def score(
        labels: npt.NDArray[np.generic], outputs: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.float64]:
        scores = per_class(labels, outputs)
        return np.concatenate([[metrics.macro_mean(scores)], scores])

    return score


_TABLE_SCORES: dict[str, Score] = {
    "f1": _with_macro(metrics.f1_per_class),
    "auroc": _with_macro(metrics.auroc_per_class),
    "auprc": _with_macro(metrics.auprc_per_class),
}


def _limits(draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the limits of the draws that are defined, NaN where fewer than half are."""
    defined = draws[np.isfinite(draws)]
    return percentiles(defined) if 2 * len(defined) >= len(draws) else np.full(2, np.nan)
