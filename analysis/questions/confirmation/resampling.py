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
METRICS = ("macro_f1", "macro_auroc", "macro_auprc")
DRAWS_AT_ONCE = 200  # keeps 20,000 records within about a hundred MB


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """One training's probabilities (records, classes) and thresholds (classes,).

    `chosen` (records, classes) are its decisions where no thresholds make them.
    """

    probabilities: NDArray[np.floating]
    thresholds: Floats
    chosen: NDArray[np.bool_] | None = None

    @property
    def decisions(self) -> NDArray[np.bool_]:
        """Which classes are decided (records, classes)."""
        if self.chosen is not None:
            return self.chosen
        return np.asarray(np.asarray(self.probabilities, np.float64) > self.thresholds)


@dataclass(frozen=True, slots=True, eq=False)
class RunScores:
    """One metric of a network's trainings: on the records as they are, and in draws of patients.

    observed (trainings,); drawn (trainings, draws), NaN where no class is defined.
    """

    observed: Floats
    drawn: Floats


def score_networks(
    labels: ArrayLike,
    patients: ArrayLike,
    networks: Mapping[str, Sequence[Predictions]],
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    sets: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, dict[str, RunScores]]:
    """Score every training of every network, {metric: {network: scores}}; the draws are paired.

    labels (records, classes) 0/1; patients (records,). `sets` are columns by the prefix of their
    metrics' names; by default all classes, without a prefix.
    """
    truth = np.asarray(labels).astype(bool)
    owner, count = number_patients(patients)
    weights = np.ones((count, 1 + draws))  # the first draw has everybody once
    for draw in range(1, 1 + draws):
        weights[:, draw] = draw_patients(count, rng)
    chosen = {"": range(truth.shape[1])} if sets is None else sets
    columns = [np.asarray(own, dtype=np.int64) for own in chosen.values()]
    size = (len(METRICS), len(columns), 1 + draws)
    each = {name: np.empty((len(own), *size)) for name, own in networks.items()}
    for start in range(0, 1 + draws, DRAWS_AT_ONCE):
        part = slice(start, start + DRAWS_AT_ONCE)
        by_record = weights[owner, part]
        for name, own in networks.items():
            for place, one in enumerate(own):
                values = np.asarray(one.probabilities, dtype=np.float64)
                ranked = weighted_ranking(truth, values, by_record)
                f1 = weighted_f1(truth, one.decisions, by_record)
                for row, per_class in enumerate((f1, *ranked)):
                    for which, own_columns in enumerate(columns):
                        each[name][place, row, which, part] = _macro(per_class[own_columns])
    return {
        f"{prefix}{metric}": {
            name: RunScores(one[:, row, which, 0], one[:, row, which, 1:])
            for name, one in each.items()
        }
        for which, prefix in enumerate(chosen)
        for row, metric in enumerate(METRICS)
    }


def weighted_f1(truth: NDArray[np.bool_], decided: NDArray[np.bool_], weights: Floats) -> Floats:
    """F1 (classes, draws) of weighted records; NaN where nothing is positive.

    truth and decided are (records, classes), weights (records, draws).
    """
    positive = truth.T @ weights
    hits = (truth & decided).T @ weights
    named = positive + decided.T @ weights
    return np.divide(2 * hits, named, out=np.full_like(hits, np.nan), where=positive > 0)


def weighted_ranking(
    truth: NDArray[np.bool_], values: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """AUROC, ties counted half, and average precision, each (classes, draws), of weighted records.

    truth and values are (records, classes), weights (records, draws). AUROC is NaN without both
    kinds of records, average precision without positive ones.
    """
    areas = np.full((truth.shape[1], weights.shape[1]), np.nan)
    precisions = areas.copy()
    everyone = weights.sum(axis=0)
    for column, (own, ranks) in enumerate(zip(truth.T, values.T, strict=True)):
        positive, negative = np.flatnonzero(own), np.flatnonzero(~own)
        levels, level = np.unique(ranks[positive], return_inverse=True)
        # A negative is below the levels from `first` on; it may tie with the one before.
        first = np.searchsorted(levels, ranks[negative], "right")
        tied = np.searchsorted(levels, ranks[negative], "left") < first
        below = np.cumsum(_by_level(first, negative, weights, len(levels) + 1)[:-1], axis=0)
        beside = _by_level(first[tied] - 1, negative[tied], weights, len(levels))
        hits = _by_level(level, positive, weights, len(levels))
        positives = hits.sum(axis=0)
        negatives = everyone - positives
        pairs = positives * negatives
        beaten = (hits * (below + beside / 2)).sum(axis=0)
        np.divide(beaten, pairs, out=areas[column], where=pairs > 0)
        found = np.cumsum(hits[::-1], axis=0)[::-1]  # at least as high as the level
        alarms = found + negatives - below
        share = np.divide(found, alarms, out=np.zeros_like(found), where=alarms > 0)
        np.divide(
            (hits * share).sum(axis=0), positives, out=precisions[column], where=positives > 0
        )
    return areas, precisions


def _by_level(
    levels: NDArray[np.int64], records: NDArray[np.int64], weights: Floats, count: int
) -> Floats:
    """Sum the weights of records by their level: (count, draws)."""
    size = (count, len(weights))
    return np.asarray(csr_array((np.ones(len(records)), (levels, records)), shape=size) @ weights)


def _macro(per_class: Floats) -> Floats:
    """Mean over the classes that are defined, per draw."""
    defined = np.isfinite(per_class)
    total = np.where(defined, per_class, 0.0).sum(axis=0)
    count = defined.sum(axis=0)
    means = np.full(len(total), np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
