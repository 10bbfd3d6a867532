"""How many more trials would settle an effect or a law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.questions.effects.main import Effects
from analysis.questions.laws.error import ErrorLaw
from analysis.questions.laws.shape import ShapeLaw
from analysis.stats.noise import Noise
from analysis.stats.regression import folds, r_squared
from analysis.surrogates.surrogate import Surrogate, fit_target
from analysis.trials.table import TrialTable

EFFECT = 0.003  # score: 0.3 points, about the smallest difference worth a design choice
EXPONENT = 0.05
NOISE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Need:
    """One question: what is known now and how many architectures would answer it.

    `error` is the standard error now, `detectable` the smallest effect found with 80 % power now
    (half-width of the interval for exponents). `needed` counts architectures in all to reach
    `goal`; `needed_as_estimated` those that settle the effect if it is as large as it looks.
    """

    question: str
    kind: str
    estimate: float
    error: float
    detectable: float
    goal: float
    n: int
    needed: int
    needed_as_estimated: int | None
    settled: bool

    @property
    def more(self) -> int:
        """How many more architectures."""
        return max(0, self.needed - self.n)


@dataclass(frozen=True, slots=True, eq=False)
class Power:
    """All questions; `learning` holds how the surrogate improves with architectures."""

    needs: tuple[Need, ...]
    learning: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return one row per question, for the CSV."""
        columns = list(Need.__dataclass_fields__)
        rows = [{name: getattr(need, name) for name in columns} for need in self.needs]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.assign(more=[need.more for need in self.needs])


def power(
    effects: Effects,
    shape_laws: Sequence[ShapeLaw] = (),
    error_law: ErrorLaw | None = None,
    noise: Noise | None = None,
    learning: pd.DataFrame | None = None,
    *,
    effect: float = EFFECT,
    exponent: float = EXPONENT,
) -> Power:
    """Extrapolate standard errors by 1/√n to the number of architectures that suffices.

    n' = n ((z(1 − α/2) + z(0.8)) · se / effect)², with α = 0.05 shared by all factors
    (Bonferroni, slightly more than Holm asks); exponents: 95 % interval of ± `exponent`.
    """
    needs = []
    z = stats.norm.ppf(1 - 0.025 / max(len(effects.effects), 1)) + stats.norm.ppf(0.8)
    for found in effects.effects:
        looks = abs(found.estimate)
        needs.append(
            Need(
                f"{found.factor}: {found.level} against {found.baseline}",
                "effect",
                found.estimate,
                found.se,
                float(z * found.se),
                effect,
                effects.n,
                _grown(effects.n, z * found.se / effect),
                _grown(effects.n, z * found.se / looks) if looks > 0 else None,
                found.settled,
            )
        )
    exponents = [
        (f"growth of {found.factor} with cost", found.exponent, found.low, found.high, law.n,
         law.refusal is None)
        for law in shape_laws
        for found in law.exponents
    ]  # fmt: skip
    if error_law is not None and np.isfinite(error_law.exponent):
        ends = (error_law.exponent_low, error_law.exponent_high)
        done = error_law.refusal is None
        exponents.append(
            ("exponent of the error law", error_law.exponent, *ends, error_law.n, done)
        )
    for question, estimate, low, high, n, claimed in exponents:
        half = (high - low) / 2
        needed = _grown(n, half / exponent)
        settled = claimed and half <= exponent
        needs.append(
            Need(
                question,
                "exponent",
                estimate,
                half / 1.96,
                half,
                exponent,
                n,
                needed,
                None,
                settled,
            )
        )
    if noise is not None:
        needs.append(_noise_need(noise))
    return Power(tuple(needs), pd.DataFrame() if learning is None else learning)


def _grown(n: int, ratio: float) -> int:
    return int(min(np.ceil(n * ratio**2), 10**7))


def _noise_need(noise: Noise) -> Need:
    """Count further seeds (not architectures) for an sd known within a fifth."""
    freedom = noise.degrees_of_freedom
    needed = int(np.ceil(1.96**2 / (2 * NOISE_SHARE**2)))
    half = 1.96 / np.sqrt(2 * freedom) if freedom > 0 else float("inf")
    return Need(
        "seed noise (further seeds of replicated architectures)",
        "noise",
        noise.sd,
        noise.sd * half / 1.96,
        half,
        NOISE_SHARE,
        freedom,
        needed,
        None,
        freedom >= needed,
    )


def learning(
    table: TrialTable, surrogate: Surrogate, *, draws: int = 6, seed: int = 0
) -> pd.DataFrame:
    """Follow the surrogate's R² on unseen architectures as it is fitted to more.

    Columns: n, r2, low, high (10th and 90th percentile over random subsets). A curve that still
    rises at its end says that more trials help.
    """
    designs = table.designs()
    x, c, y = table.codes(designs), table.log_cost(designs), designs["score"].to_numpy(float)
    n, rng = len(y), np.random.default_rng(seed)
    rows = []
    for size in np.unique(np.geomspace(max(16, n / 8), 0.8 * n, 5).astype(int)):
        found = []
        for draw in range(draws):
            test = folds(c, 5, rng) == 0
            train = rng.choice(np.flatnonzero(~test), min(size, int((~test).sum())), replace=False)
            model = fit_target(
                surrogate.candidate, surrogate.target, x[train], c[train], y[train],
                table.factors, seed + draw,
            )  # fmt: skip
            found.append(r_squared(y[test], model.predict(x[test], c[test])))
        low, high = np.quantile(found, [0.1, 0.9])
        rows.append((int(size), float(np.mean(found)), float(low), float(high)))
    return pd.DataFrame(rows, columns=["n", "r2", "low", "high"])
