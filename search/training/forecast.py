"""How long a trial will take, from what trials took on the same device.

Time follows activations far more closely than FLOPs: most of a step moves memory. The forecast is
seconds = passes × (overhead + a · activations + f · FLOPs) with non-negative numbers fitted to the
relative error of trials that are done, where passes counts records seen in training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from search.errors import StudyError


@dataclass(frozen=True, slots=True)
class DeviceRate:
    """Seconds for one record's training step, in parts; `trials` says what it was fitted to."""

    seconds_per_record: float
    seconds_per_activation: float
    seconds_per_flop: float
    trials: int

    def seconds(
        self, activations: npt.ArrayLike, flops: npt.ArrayLike, passes: npt.ArrayLike
    ) -> npt.NDArray[np.float64]:
        """Return the expected seconds of trials that train on `passes` records in all."""
        each = (
            self.seconds_per_record
            + self.seconds_per_activation * np.asarray(activations, dtype=np.float64)
            + self.seconds_per_flop * np.asarray(flops, dtype=np.float64)
        )
        return each * np.asarray(passes, dtype=np.float64)


TYPICAL_CPU = DeviceRate(1e-4, 1.3e-8, 0.0, 0)
"""One core of 2020s server hardware: a guess for before the first trial is done."""


def fit_rate(
    activations: npt.ArrayLike,
    flops: npt.ArrayLike,
    passes: npt.ArrayLike,
    seconds: npt.ArrayLike,
) -> DeviceRate:
    """Return the rate that fits finished trials of one device best; each trial counts the same."""
    columns = [np.asarray(v, dtype=np.float64) for v in (activations, flops, passes, seconds)]
    acts, work, seen, took = (column[np.isfinite(np.sum(columns, axis=0))] for column in columns)
    if not len(took) or np.any(took <= 0) or np.any(seen <= 0):
        raise StudyError("Expected at least one finished trial with records and seconds above 0.")
    parts = np.column_stack([np.ones_like(acts), acts, work]) * (seen / took)[:, None]
    scale = np.maximum(parts.max(axis=0), 1e-300)  # so that no column drowns in rounding
    fitted, _ = nnls(parts / scale, np.ones_like(took))
    overhead, per_activation, per_flop = (float(v) for v in fitted / scale)
    return DeviceRate(overhead, per_activation, per_flop, len(took))


def typical_error(
    activations: npt.ArrayLike,
    flops: npt.ArrayLike,
    passes: npt.ArrayLike,
    seconds: npt.ArrayLike,
    folds: int = 5,
) -> float | None:
    """Return the median relative error of a predicted trial, each predicted from the others.

    Cross-validated, every fifth trial in one fold; None for fewer than two trials a fold.
    """
    columns = np.array([activations, flops, passes, seconds], dtype=np.float64)
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    fold = np.arange(columns.shape[1]) % folds
    if columns.shape[1] < 2 * folds:
        return None
    errors = []
    for held in range(folds):
        acts, work, seen, took = columns[:, fold == held]
        rate = fit_rate(*columns[:, fold != held])
        errors.append(np.abs(rate.seconds(acts, work, seen) / took - 1))
    return float(np.median(np.concatenate(errors)))
