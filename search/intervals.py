"""Bootstrap intervals of whole-fold scores, drawing patients, not records.

Records of one patient resemble each other; drawing records as if they were independent makes
intervals too narrow. The interval covers the chance in who was recorded, not that of training
(for which replicates are).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.errors import StudyError

Score = Callable[
    [npt.NDArray[np.generic], npt.NDArray[np.generic]], float | npt.NDArray[np.float64]
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with its percentile interval; NaN where the fold or most draws lack the class."""

    estimate: float
    low: float
    high: float
    records: int
    patients: int


def bootstrap_intervals(
    score: Score,
    labels: npt.ArrayLike,
    outputs: npt.ArrayLike,
    patients: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[Interval, ...]:
    """Return the interval of a score, or one per class for a score that returns a vector.

    `score(labels, outputs)` is a function of `search.metrics`; `patients` (records,) holds equal
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
    _, owner = np.unique(owners, return_inverse=True)
    count = int(owner.max()) + 1
    by_patient = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])
    estimate = np.atleast_1d(score(truth, values))
    draws = np.empty((resamples, len(estimate)))
    for draw in draws:
        chosen = np.concatenate([by_patient[p] for p in rng.integers(0, count, count)])
        draw[:] = score(truth[chosen], values[chosen])
    tail = 100 * (1 - level) / 2
    return tuple(
        Interval(float(value), *_percentiles(column, tail), len(owner), count)
        for value, column in zip(estimate, draws.T, strict=True)
    )


def by_source(
    score: Score,
    labels: npt.ArrayLike,
    outputs: npt.ArrayLike,
    patients: npt.ArrayLike,
    sources: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    level: float = 0.95,
) -> dict[str, tuple[Interval, ...]]:
    """Return `bootstrap_intervals` within every source (records,) of names."""
    truth, values = np.asarray(labels), np.asarray(outputs)
    owners, origins = np.asarray(patients), np.asarray(sources)
    result = {}
    for source in np.unique(origins):
        own = origins == source
        result[str(source)] = bootstrap_intervals(
            score, truth[own], values[own], owners[own], rng, resamples=resamples, level=level
        )
    return result


def _percentiles(draws: npt.NDArray[np.float64], tail: float) -> tuple[float, float]:
    defined = draws[np.isfinite(draws)]
    if 2 * len(defined) < len(draws):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)
