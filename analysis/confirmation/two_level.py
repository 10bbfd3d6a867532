"""Bootstrap of macro scores over patients and seeds, paired between networks.

Two networks are judged on the same records, so their difference is drawn with the same patients in
both. A patient's records are drawn together, and of every network its seeds are drawn too: the
interval covers whom the test split happened to hold and how trainings happened to go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
DRAWS_AT_ONCE = 200  # keeps 20,000 records within a few tens of MB


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training's probabilities (records, classes) and thresholds (classes,)."""

    probabilities: NDArray[np.floating]
    thresholds: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Scores of each network in each draw, {metric: {network: (draws,)}}; the draws are paired."""

    scores: Mapping[str, Mapping[str, Floats]]

    def difference(self, metric: str, first: str, second: str) -> Floats:
        """Return first - second in each draw."""
        return self.scores[metric][first] - self.scores[metric][second]


def bootstrap_networks(
    labels: ArrayLike,
    patients: ArrayLike,
    runs: Mapping[str, Sequence[Run]],
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    classes: Sequence[int] | None = None,
) -> Draws:
    """Draw patients (the same for all networks) and seeds (of each network), and score.

    labels (records, classes) 0/1; patients (records,). Metrics: macro_f1 and macro_auroc, over
    `classes` (columns, all by default) where they are defined in the draw.
    """
    truth = np.asarray(labels).astype(bool)
    columns = np.arange(truth.shape[1]) if classes is None else np.asarray(classes)
    truth = truth[:, columns]
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    count = int(owner.max()) + 1
    scores: dict[str, dict[str, Floats]] = {"macro_f1": {}, "macro_auroc": {}}
    weights = np.empty((draws, count))
    for draw in weights:
        draw[:] = np.bincount(rng.integers(0, count, count), minlength=count)
    for name, own in runs.items():
        each = np.empty((2, len(own), draws))
        for place, run in enumerate(own):
            values = np.asarray(run.probabilities, dtype=np.float64)[:, columns]
            decided = values > run.thresholds[columns]
            for start in range(0, draws, DRAWS_AT_ONCE):
                part = slice(start, start + DRAWS_AT_ONCE)
                by_record = weights[part][:, owner]
                each[0, place, part] = _macro(weighted_f1(truth, decided, by_record))
                each[1, place, part] = _macro(weighted_auroc(truth, values, by_record))
        chosen = rng.integers(0, len(own), (len(own), draws))
        for metric, one in zip(scores, each, strict=True):
            scores[metric][name] = np.take_along_axis(one, chosen, axis=0).mean(axis=0)
    return Draws(scores)


def weighted_f1(truth: NDArray[np.bool_], decided: NDArray[np.bool_], weights: Floats) -> Floats:
    """F1 (draws, classes) of weighted records; NaN where nothing is positive or decided.

    truth and decided are (records, classes), weights (draws, records).
    """
    hits = weights @ (truth & decided)
    named = weights @ truth + weights @ decided
    return np.divide(2 * hits, named, out=np.full_like(hits, np.nan), where=named > 0)


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
