"""How far a mean over a few seeds, or a difference of such means, can be trusted.

Two things vary: whom the test split happened to hold, and how trainings happened to go. The first
is drawn (`resampling`). Of the second there are a handful of seeds per network, too few to draw
from: their variance is added, and t intervals with Satterthwaite's degrees of freedom allow for how
badly it is known. That rests on variances being alike or, if unlike, not those of the networks of
one side: where a single network varies four times as much as all others, or all of the smallest
budget three times, one family in 15 held a significant pair of equals, in place of one in 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from analysis.questions.confirmation.resampling import RunScores
from analysis.stats.interval import TAILS, Interval

Floats = NDArray[np.float64]
MOST_COMMON = 2.0  # degrees of freedom that the common variance counts for at most
FEWEST_DEFINED = 0.5  # share of the draws in which a score must be defined


@dataclass(frozen=True, slots=True)
class SeedVariance:
    """Variance of one training's score between seeds, and the degrees of freedom it is known by.

    `shared` are those of all networks together: variances that were drawn towards a common one
    are not known independently of each other.
    """

    value: float
    freedom: float
    shared: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of networks' mean scores, its interval, and the p-value of 0."""

    interval: Interval
    p: float


def seed_variances(scores: Mapping[str, Floats]) -> dict[str, SeedVariance]:
    """Estimate each network's variance between seeds from its (runs,) scores and all others'.

    Two or three seeds say little about one network, so its variance is drawn towards the mean of
    all, the moderated variance of Smyth (2004, doi:10.2202/1544-6115.1027), but never counting
    that for more than `MOST_COMMON` degrees of freedom, and the mean where Smyth takes the centre
    of the logarithms. Some networks vary several times as much as others, and 34 with three seeds
    each do not tell how many: with all the weight that fits best, a family of 22 pairs of equal
    networks then held a significant one in 12 to 16 of 100 simulated studies, so in 3 to 5
    (tests/analysis/questions/confirmation/test_family_wise.py). A network with one seed has the
    common variance; all are NaN where no network has two.
    """
    freedom = np.array([len(own) - 1 for own in scores.values()], dtype=float)
    several = freedom > 0
    if not several.any():
        return dict.fromkeys(scores, SeedVariance(np.nan, np.nan, np.nan))
    observed = np.array([np.var(own, ddof=1) if len(own) > 1 else 0.0 for own in scores.values()])
    common = float(np.average(observed[several], weights=freedom[several]))
    weight = min(_weight(observed[several], freedom[several]), MOST_COMMON)
    total = float(freedom.sum())
    found = {}
    for name, variance, own in zip(scores, observed, freedom, strict=True):
        known = weight + own
        moderated = (weight * common + own * variance) / known if known > 0 else np.nan
        found[name] = SeedVariance(float(moderated), min(known, total) or np.nan, total)
    return found


def _weight(variances: Floats, freedom: Floats) -> float:
    """Say for how many degrees of freedom the common variance counts, by how alike they are.

    The weight of the scaled inverse chi-square that variances come from, by the moments of their
    logarithms (Smyth 2004, section 6.2): infinite where they differ no more than chance makes them,
    0 for one alone.
    """
    middle = float(np.median(variances))
    if len(variances) < 2 or middle == 0:
        return 0.0
    logs = np.log(np.maximum(variances, 1e-5 * middle))  # equal scores have no logarithm
    logs += np.log(freedom / 2) - special.digamma(freedom / 2)
    excess = float(np.var(logs, ddof=1) - special.polygamma(1, freedom / 2).mean())
    if excess <= 1e-3:
        return float("inf")
    return float(2 * optimize.brentq(lambda h: special.polygamma(1, h) - excess, 1e-6, 2e3))


def contrast(
    scores: Mapping[str, RunScores],
    weights: Mapping[str, float],
    seeds: Mapping[str, SeedVariance],
) -> Contrast:
    """Estimate the sum of weights times mean scores, with its interval and p-value.

    The draws' variance holds how patients tell one seed from another, which the variance between
    seeds holds too: that part is taken out of the draws, not counted twice.
    """
    value = sum(weight * float(scores[name].observed.mean()) for name, weight in weights.items())
    drawn = sum(
        (weight * scores[name].drawn.mean(axis=0) for name, weight in weights.items()),
        np.zeros(1),
    )
    defined = np.isfinite(drawn)
    if defined.mean() < FEWEST_DEFINED:
        return Contrast(Interval(value), np.nan)
    patients = float(np.var(drawn[defined], ddof=1))
    chance, doubt, shared = 0.0, 0.0, np.inf
    for name, weight in weights.items():
        count = len(scores[name].observed)
        patients -= weight**2 * _interplay(scores[name].drawn[:, defined]) / count
        part = weight**2 * seeds[name].value / count
        chance += part
        if part != 0:
            doubt += part**2 / seeds[name].freedom
            shared = min(shared, seeds[name].shared)
    variance = max(patients, 0.0) + chance
    doubt = max(doubt, chance**2 / shared)
    return _t(value, variance, variance**2 / doubt if doubt > 0 else np.inf)


def half_width(variance: float, freedom: float) -> float:
    """Return half the t interval of a mean with this variance."""
    return float(stats.t.ppf(TAILS[1], freedom) * np.sqrt(variance))


def _interplay(drawn: Floats) -> float:
    """Variance of what draws (runs, draws) of patients do to one run and not to all; 0 for one."""
    if len(drawn) < 2:
        return 0.0
    own = drawn - drawn.mean(axis=1, keepdims=True)
    return float(np.var(own, axis=0, ddof=1).mean())


def _t(value: float, variance: float, freedom: float) -> Contrast:
    if not np.isfinite(variance):
        return Contrast(Interval(value), np.nan)
    half = half_width(variance, freedom)
    if variance == 0:
        p = 1.0 if value == 0 else 0.0
    else:
        p = float(2 * stats.t.sf(abs(value) / np.sqrt(variance), freedom))
    return Contrast(Interval(value, value - half, value + half), p)
