"""How many more trials would settle an effect or a law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.questions.effects.main import Effects, FactorEffect
from analysis.questions.laws.error import ErrorLaw
from analysis.questions.laws.growth import KNOWN
from analysis.questions.laws.shape import ShapeLaw
from analysis.stats.interval import ALPHA, Interval, Z, row_of
from analysis.stats.noise import Noise
from analysis.stats.refusal import Refusal
from analysis.stats.regression import folds, r_squared
from analysis.surrogates.surrogate import Data, Surrogate, fit_target
from analysis.trials.table import TrialTable

EFFECT = 0.003  # score: 0.3 points, about the smallest difference worth a design choice
EXPONENT = KNOWN / 2  # half an interval that tells slow from fast growth
NOISE_SHARE = 0.2
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Need:
    """One question: what is known now and how many architectures would answer it.

    `error` is the standard error now, `detectable` the smallest effect found with 80 % power now
    (half-width of the interval for exponents). `at_goal` counts architectures in all to reach
    `goal`, None where their number is not what is missing.
    """

    question: str
    kind: str
    estimate: float
    error: float
    detectable: float
    goal: float
    n: int
    at_goal: int | None
    settled: bool

    @property
    def needed(self) -> int | None:
        """How many architectures in all answer the question: no more than there are if answered."""
        return self.n if self.settled else self.at_goal

    @property
    def more(self) -> int | None:
        """How many more architectures."""
        return None if self.needed is None else max(0, self.needed - self.n)


@dataclass(frozen=True, slots=True, eq=False)
class Power:
    """All questions; `learning` holds how the surrogate improves with architectures."""

    needs: tuple[Need, ...]
    learning: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return one row per question, for the CSV."""
        frame = pd.DataFrame([row_of(need) for need in self.needs])
        for name in ("needed", "more"):
            frame[name] = pd.array([getattr(need, name) for need in self.needs], dtype="Int64")
        return frame


def power(
    measured: Mapping[str, Effects],
    shape_laws: Sequence[ShapeLaw | Refusal] = (),
    error_law: ErrorLaw | None = None,
    noise: Noise | None = None,
    learning: pd.DataFrame | None = None,
    *,
    family: int | None = None,
    effect: float = EFFECT,
    exponent: float = EXPONENT,
) -> Power:
    """Extrapolate standard errors by 1/√n to the number of architectures that suffices.

    n' = n ((z(1 − α/2) + z(0.8)) · se / effect)², with α shared by the `family` of tests
    (Bonferroni, slightly more than Holm asks; by default those given); exponents: an interval of
    ± `exponent`. `measured` holds effects by what they are measured among, "" for all.
    """
    count = family or sum(len(found.effects) for found in measured.values())
    z = float(stats.norm.ppf(1 - ALPHA / 2 / max(count, 1)) + stats.norm.ppf(POWER))
    needs = [
        _effect_need(one, among, found.n, z, effect)
        for among, found in measured.items()
        for one in found.effects
    ]
    for law in shape_laws:
        if isinstance(law, ShapeLaw):
            told = law.outcome in ("law", "constant")
            needs += [
                _exponent_need(
                    f"growth of {e.factor} with cost",
                    e.exponent,
                    law.n,
                    exponent,
                    told and e.verdict != "open",
                )
                for e in law.exponents
            ]
    if error_law is not None:
        question = "exponent of the error law"
        found_law = error_law.exponent, error_law.n, exponent, error_law.stands
        needs.append(_exponent_need(question, *found_law))
    if noise is not None:
        needs.append(_noise_need(noise))
    return Power(tuple(needs), pd.DataFrame() if learning is None else learning)


def _effect_need(found: FactorEffect, among: str, n: int, z: float, goal: float) -> Need:
    question = f"{found.factor}: {found.level} against {found.baseline}"
    return Need(
        f"{question}, {among}" if among else question,
        "effect",
        found.effect.estimate,
        found.se,
        z * found.se,
        goal,
        n,
        _grown(n, z * found.se / goal),
        found.settled,
    )


def _exponent_need(question: str, found: Interval, n: int, goal: float, settled: bool) -> Need:
    half = found.half
    at_goal = None if half <= goal else _grown(n, half / goal)
    return Need(question, "exponent", found.estimate, half / Z, half, goal, n, at_goal, settled)


def _grown(n: int, ratio: float) -> int:
    return int(min(np.ceil(n * ratio**2), 10**7))


def _noise_need(noise: Noise) -> Need:
    """Count further seeds (not architectures) for an sd known within a fifth."""
    freedom = noise.degrees_of_freedom
    needed = int(np.ceil(Z**2 / (2 * NOISE_SHARE**2)))
    half = float(Z / np.sqrt(2 * freedom))
    return Need(
        "seed noise (further seeds of replicated architectures)",
        "noise",
        noise.sd.estimate,
        noise.sd.estimate * half / Z,
        half,
        NOISE_SHARE,
        freedom,
        needed,
        freedom >= needed,
    )


def learning(
    table: TrialTable, surrogate: Surrogate, *, draws: int = 6, seed: int = 0
) -> pd.DataFrame:
    """Follow the surrogate's R² on unseen architectures as it is fitted to more.

    Columns: n, r2, low, high (10th and 90th percentile over random subsets). A curve that still
    rises at its end says that more trials help.
    """
    data = Data.of(table)
    n, rng = len(data), np.random.default_rng(seed)
    rows = []
    for size in np.unique(np.geomspace(max(16, n / 8), 0.8 * n, 5).astype(int)):
        found = []
        for draw in range(draws):
            test = folds(data.log_cost, 5, rng) == 0
            train = rng.choice(np.flatnonzero(~test), min(size, int((~test).sum())), replace=False)
            model = fit_target(surrogate.model, surrogate.target, data[train], seed + draw)
            held = data[test]
            found.append(r_squared(held.y, model.predict(held.x, held.log_cost)))
        low, high = np.quantile(found, [0.1, 0.9])
        rows.append((int(size), float(np.mean(found)), float(low), float(high)))
    return pd.DataFrame(rows, columns=["n", "r2", "low", "high"])
