"""Macro scores of trained networks on the test records, and in draws of their patients.

Networks are judged on the same records and over the same classes: those with a positive record,
in a draw those with one in it. A class that is left out for one network is left out for all, or a
difference would be one between averages of different things. A patient's records are drawn
together, and the same patients for every network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from analysis.stats.patients import draw_patients, number_patients

Floats = NDArray[np.float64]
METRICS = ("macro_f1", "macro_auroc")
DRAWS_AT_ONCE = 200  # keeps 20,000 records within about a hundred MB


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training's probabilities (records, classes) and thresholds (classes,)."""

    probabilities: NDArray[np.floating]
    thresholds: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RunScores:
    """One metric of a network's runs: on the records as they are, and in each draw of patients.

    observed (runs,); drawn (runs, draws), NaN where no class is defined.
    """

    observed: Floats
    drawn: Floats


def score_networks(
    labels: ArrayLike,
    patients: ArrayLike,
    runs: Mapping[str, Sequence[Run]],
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    classes: Sequence[int] | None = None,
) -> dict[str, dict[str, RunScores]]:
    """Score every run of every network, {metric: {network: scores}}; the draws are paired.

    labels (records, classes) 0/1; patients (records,). `classes` are columns, all by default.
    """
    truth = np.asarray(labels).astype(bool)
    columns = np.arange(truth.shape[1]) if classes is None else np.asarray(classes)
    truth = truth[:, columns]
    owner, count = number_patients(patients)
    weights = np.ones((count, 1 + draws))  # the first draw has everybody once
    for draw in range(1, 1 + draws):
        weights[:, draw] = draw_patients(count, rng)
    each = {name: np.empty((len(METRICS), len(own), 1 + draws)) for name, own in runs.items()}
    for start in range(0, 1 + draws, DRAWS_AT_ONCE):
        part = slice(start, start + DRAWS_AT_ONCE)
        by_record = weights[owner, part]
        for name, own in runs.items():
            for place, run in enumerate(own):
                values = np.asarray(run.probabilities, dtype=np.float64)[:, columns]
                decided = values > run.thresholds[columns]
                each[name][0, place, part] = _macro(weighted_f1(truth, decided, by_record))
                each[name][1, place, part] = _macro(weighted_auroc(truth, values, by_record))
    return {
        metric: {name: RunScores(one[place, :, 0], one[place, :, 1:]) for name, one in each.items()}
        for place, metric in enumerate(METRICS)
    }


def weighted_f1(truth: NDArray[np.bool_], decided: NDArray[np.bool_], weights: Floats) -> Floats:
    """F1 (classes, draws) of weighted records; NaN where nothing is positive.

    truth and decided are (records, classes), weights (records, draws).
    """
    positive = truth.T @ weights
    hits = (truth & decided).T @ weights
    named = positive + decided.T @ weights
    return np.divide(2 * hits, named, out=np.full_like(hits, np.nan), where=positive > 0)


def weighted_auroc(truth: NDArray[np.bool_], values: Floats, weights: Floats) -> Floats:
    """AUROC (classes, draws) of weighted records, ties counted half; NaN without both kinds.

    truth and values are (records, classes), weights (records, draws).
    """
    areas = np.full((truth.shape[1], weights.shape[1]), np.nan)
    everyone = weights.sum(axis=0)
    for own, ranks, area in zip(truth.T, values.T, areas, strict=True):
        positive, negative = np.flatnonzero(own), np.flatnonzero(~own)
        levels, level = np.unique(ranks[positive], return_inverse=True)
        # A negative loses to all levels above it, and half of the one that it ties with.
        above = np.searchsorted(levels, ranks[negative], "right")
        tied = np.searchsorted(levels, ranks[negative], "left")
        half = tied < above
        shares = np.concatenate([np.where(half, 0.5, 1.0), np.full(half.sum(), 0.5)])
        places = np.concatenate([above, tied[half]])
        losers = np.concatenate([negative, negative[half]])
        size = len(levels), len(own)
        lost = csr_array((shares, (places, losers)), shape=(size[0] + 1, size[1])) @ weights
        beaten = np.cumsum(lost[:-1], axis=0)
        drawn = csr_array((np.ones(len(positive)), (level, positive)), shape=size) @ weights
        positives = drawn.sum(axis=0)
        pairs = positives * (everyone - positives)
        np.divide((drawn * beaten).sum(axis=0), pairs, out=area, where=pairs > 0)
    return areas


def _macro(per_class: Floats) -> Floats:
    """Mean over the classes that are defined, per draw."""
    defined = np.isfinite(per_class)
    total = np.where(defined, per_class, 0.0).sum(axis=0)
    count = defined.sum(axis=0)
    means = np.full(len(total), np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
