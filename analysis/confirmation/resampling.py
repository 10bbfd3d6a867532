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

Floats = NDArray[np.float64]
METRICS = ("macro_f1", "macro_auroc")
DRAWS_AT_ONCE = 200  # keeps 20,000 records within a few tens of MB


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
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    count = int(owner.max()) + 1
    weights = np.ones((1 + draws, count))  # the first one has everybody once
    for draw in weights[1:]:
        draw[:] = np.bincount(rng.integers(0, count, count), minlength=count)
    scores: dict[str, dict[str, RunScores]] = {metric: {} for metric in METRICS}
    for name, own in runs.items():
        each = np.empty((len(METRICS), len(own), 1 + draws))
        for place, run in enumerate(own):
            values = np.asarray(run.probabilities, dtype=np.float64)[:, columns]
            decided = values > run.thresholds[columns]
            for start in range(0, 1 + draws, DRAWS_AT_ONCE):
                part = slice(start, start + DRAWS_AT_ONCE)
                by_record = weights[part][:, owner]
                each[0, place, part] = _macro(weighted_f1(truth, decided, by_record))
                each[1, place, part] = _macro(weighted_auroc(truth, values, by_record))
        for metric, one in zip(METRICS, each, strict=True):
            scores[metric][name] = RunScores(one[:, 0], one[:, 1:])
    return scores


def weighted_f1(truth: NDArray[np.bool_], decided: NDArray[np.bool_], weights: Floats) -> Floats:
    """F1 (draws, classes) of weighted records; NaN where nothing is positive.

    truth and decided are (records, classes), weights (draws, records).
    """
    positive = weights @ truth
    hits = weights @ (truth & decided)
    named = positive + weights @ decided
    return np.divide(2 * hits, named, out=np.full_like(hits, np.nan), where=positive > 0)


def weighted_auroc(truth: NDArray[np.bool_], values: Floats, weights: Floats) -> Floats:
    """AUROC (draws, classes) of weighted records, ties counted half; NaN without both kinds."""
    areas = np.full((len(weights), truth.shape[1]), np.nan)
    for column in range(truth.shape[1]):
        order = np.argsort(values[:, column], kind="stable")
        ranked, positive = values[order, column], truth[order, column]
        own = weights[:, order]
        below = np.zeros((len(weights), len(order) + 1))
        np.cumsum(np.where(positive, 0.0, own), axis=1, out=below[:, 1:])
        at = ranked[positive]
        worse = below[:, np.searchsorted(ranked, at, "left")]
        tied = below[:, np.searchsorted(ranked, at, "right")]
        drawn = own[:, positive]
        pairs = drawn.sum(axis=1) * below[:, -1]
        won = (drawn * (worse + tied)).sum(axis=1) / 2
        np.divide(won, pairs, out=areas[:, column], where=pairs > 0)
    return np.asarray(areas, dtype=np.float64)


def _macro(per_class: Floats) -> Floats:
    """Mean over the classes that are defined, per draw."""
    defined = np.isfinite(per_class)
    total = np.where(defined, per_class, 0.0).sum(axis=1)
    count = defined.sum(axis=1)
    means = np.full(len(total), np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
