"""The negative control: networks trained on shuffled labels must know nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.stats.interval import TAILS, Z
from analysis.trials.table import TrialTable

CHANCE = 0.5
TOLERANCE = 0.05
METRIC = "macro_auroc"
UNKNOWN_SCATTER = 0.05  # without scores by class: what controls on a few hundred records show

Outcome = Literal["missing", "passed", "undecided", "failed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the control trials say: their AUROC, and how far chance alone may take its mean."""

    outcome: Outcome
    trials: int
    mean: float
    lowest: float
    highest: float
    by_chance: float


def judge_leak(table: TrialTable, class_scores: pd.DataFrame | None = None) -> Verdict:
    """Hold the AUROC of trials with shuffled training labels against 0.5."""
    frame = table.complete(["control"])
    values = frame[METRIC].dropna().to_numpy(float) if METRIC in frame else np.zeros(0)
    n = values.size
    if n == 0:
        return Verdict("missing", 0, *[float("nan")] * 4)
    mean = float(values.mean())
    if n > 1:
        half = float(stats.t.ppf(TAILS[1], n - 1) * values.std(ddof=1) / np.sqrt(n))
    else:
        half = Z * _scatter_by_chance(table, class_scores)
    away = abs(mean - CHANCE)
    outcome: Outcome = "passed" if away <= TOLERANCE else "undecided" if away <= half else "failed"
    return Verdict(outcome, n, mean, float(values.min()), float(values.max()), half)


def _scatter_by_chance(table: TrialTable, classes: pd.DataFrame | None) -> float:
    """Return the sd that one control's macro-AUROC has at most when it knows nothing.

    A class of n₁ among n records has √((n + 1) / (12 n₁ n₀)) (Mann and Whitney 1947); the mean of
    these holds if all classes err together, as outputs of one network may.
    """
    n = table.study.data.get("splits", {}).get("validation", 0)
    if classes is None or classes.empty or n < 2:
        return UNKNOWN_SCATTER
    positives = classes.groupby("class")["positives"].first().to_numpy(float)
    positives = positives[(positives > 0) & (positives < n)]
    if not positives.size:
        return UNKNOWN_SCATTER
    return float(np.sqrt((n + 1) / (12 * positives * (n - positives))).mean())
