"""Intervals of scores the slow way: every draw of patients scored by the functions of `metrics`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.stats.interval import Interval
from analysis.stats.patients import (
    FEWEST_PATIENTS,
    corrected_limits,
    draw_patients,
    kind_patients,
    number_patients,
)
from data_pipeline.labels import ABBREVIATIONS
from search.errors import StudyError
from search.training import metrics

Score = Callable[
    [npt.NDArray[np.generic], npt.NDArray[np.generic]], float | npt.NDArray[np.float64]
]


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
    values for records of one patient. Scores lie within [0, 1]. Draws in which a score is
    undefined are left out; fewer than half the draws, or draws that are all alike, make no interval
    (NaN).
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
        Interval(float(value), *corrected_limits(float(value), column))
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
    patients of either kind has no interval (NaN): so few are drawn too much alike. Nor has a macro
    score over classes most of which have none.
    """
    truth, values = np.asarray(labels), np.asarray(probabilities)
    owners, origins, chosen = np.asarray(patients), np.asarray(sources), np.asarray(decisions)
    rows = []
    for source in ["all", *np.unique(origins)]:
        own = np.ones(len(truth), dtype=bool) if source == "all" else origins == source
        positives = truth[own].sum(axis=0).astype(int)
        counts = [int(truth[own].any(axis=1).sum()), *positives.tolist()]
        known = kind_patients(truth[own], owners[own]) >= FEWEST_PATIENTS
        occur = truth[own].any(axis=0)
        enough = [2 * known.sum() > occur.sum(), *known]
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
