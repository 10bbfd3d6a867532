"""The leak check: networks trained on shuffled labels must know nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from analysis.page.quantities import score
from analysis.page.text import plural
from analysis.report.results import Results

CHANCE = 0.5
TOLERANCE = 0.05
METRIC = "macro_auroc"
UNKNOWN_SCATTER = 0.05  # without scores by class: what controls on a few hundred records show


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the control trials say; `kind` as of a paragraph."""

    text: str
    kind: Literal["good", "caution", "alarm"]
    trials: int


def judge_leak(results: Results) -> Verdict:
    """Hold the AUROC of trials with shuffled training labels against 0.5."""
    frame = results.table.complete(["control"])
    values = frame[METRIC].dropna().to_numpy(float) if METRIC in frame else np.zeros(0)
    n = values.size
    if n == 0:
        return Verdict(
            "Not checked for leaks: no trial with shuffled training labels has finished. Plan "
            "control trials; their AUROC must be near 0.5.",
            "caution",
            0,
        )
    mean = float(values.mean())
    observed = (
        f"{plural(n, 'control trial')} with shuffled training labels reached a macro-AUROC of "
        f"{score(mean)}" + (f" ({score(values.min())} to {score(values.max())})" if n > 1 else "")
    )
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    else:
        half = 1.96 * _scatter_by_chance(results)
    if abs(mean - CHANCE) <= TOLERANCE:
        return Verdict(
            f"Leak check passed: {observed}; 0.5 is what a network that has learned nothing "
            "reaches. What the other networks know they learned from the training labels.",
            "good",
            n,
        )
    if abs(mean - CHANCE) <= half:
        return Verdict(
            f"Leak check undecided: {observed}, which chance alone may do: ±{score(half)} around "
            "0.5 with so few; plan more control trials.",
            "caution",
            n,
        )
    direction = (
        "the validation labels may leak into training"
        if mean > CHANCE
        else "too few validation records, or labels and outputs are mixed up"
    )
    return Verdict(
        f"LEAK CHECK FAILED: {observed}, not near 0.5: {direction}. Do not trust the scores of "
        "this study before this is explained.",
        "alarm",
        n,
    )


def _scatter_by_chance(results: Results) -> float:
    """Return the sd that one control's macro-AUROC has at most when it knows nothing.

    A class of n₁ among n records has √((n + 1) / (12 n₁ n₀)) (Mann and Whitney 1947); the mean of
    these holds if all classes err together, as outputs of one network may.
    """
    classes = results.class_scores
    n = results.table.study.data.get("splits", {}).get("validation", 0)
    if classes is None or classes.empty or n < 2:
        return UNKNOWN_SCATTER
    positives = classes.groupby("class")["positives"].first().to_numpy(float)
    positives = positives[(positives > 0) & (positives < n)]
    if not positives.size:
        return UNKNOWN_SCATTER
    return float(np.sqrt((n + 1) / (12 * positives * (n - positives))).mean())
