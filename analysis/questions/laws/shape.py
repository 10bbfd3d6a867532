"""How the best depth, width and the rest grow with cost: w*(C) = w1 C^p, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import AnalysisError
from analysis.questions.laws.error import decades_gate
from analysis.questions.laws.growth import GROWTH, Exponent, Outcome, growth_gates, outcome
from analysis.questions.laws.surface import (
    COLLINEAR,
    Surface,
    fit_exponents,
    fit_surface,
    left_over,
)
from analysis.stats.interval import ALPHA, LEVEL, Interval, Z, percentiles, row_of
from analysis.stats.refusal import Gate, Refusal, failed
from analysis.stats.regression import folds
from analysis.trials.factors import FactorInfo
from analysis.trials.table import TrialTable

FEWEST_DESIGNS = 60
PERMUTATIONS = 499
IMMATERIAL = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ShapeLaw:
    """A joint law of some factors; not claimed where it does not stand.

    `curve` holds per factor and cost the best value with its band: factor, cost, value, low,
    high, and whether it is `inside` the sampled range.
    """

    factors: tuple[str, ...]
    exponents: tuple[Exponent, ...]
    reference_cost: float
    decades: float
    n: int
    curve: pd.DataFrame
    gates: tuple[Gate, ...]

    @property
    def outcome(self) -> Outcome:
        """A law, a best shape that does not grow, one whose growth is open, or nothing of it."""
        return outcome(self.exponents, self.gates)

    @property
    def stands(self) -> bool:
        """Whether every gate is met."""
        return self.outcome == "law"

    @property
    def missed(self) -> tuple[Gate, ...]:
        """The gates it is refused for; where there is no best shape, its growth is no question."""
        missed = failed(self.gates)
        return (
            missed if self.outcome != "none" else tuple(g for g in missed if g.code not in GROWTH)
        )

    @property
    def refusal(self) -> Refusal:
        """Why it is not claimed, where it does not stand."""
        about = {"factors": self.factors, "gates": self.missed}
        if self.outcome == "constant":
            return Refusal("laws.constant", about | {"exponents": self.exponents})
        if self.outcome == "open":
            return Refusal("laws.open", about)
        return Refusal("laws.gates", about)

    def optimum(self, cost: float) -> Mapping[str, float]:
        """Return the best value of each factor at a cost."""
        relative = cost / self.reference_cost
        return {e.factor: e.best.estimate * relative**e.exponent.estimate for e in self.exponents}

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor, for the CSV."""
        frame = pd.DataFrame([row_of(e) | {"growth": e.verdict} for e in self.exponents])
        return frame.assign(reference_cost=self.reference_cost, n=self.n)


def shape_laws(
    table: TrialTable, *, bootstraps: int = 400, seed: int = 0
) -> tuple[ShapeLaw | Refusal, ...]:
    """Look for a joint law of the size factors and for one of each other spaced-by-ratios factor.

    Size factors are the logarithmic numbers that the cost grows with (depth, width); the others
    are choices such as kernel sizes, and numbers that cost nothing.
    """
    spaced = [f for f in table.factors if f.logarithmic and not f.nuisance]
    grow = _grow(table, [f for f in spaced if f.kind != "choice"])
    sizes = [f.name for f in spaced if f.name in grow]
    others = [[f.name] for f in spaced if f.name not in grow]
    groups = [sizes, *others] if sizes else others
    asked = {"bootstraps": bootstraps, "seed": seed, "family": len(spaced)}
    return tuple(shape_law(table, group, **asked) for group in groups)


def _grow(table: TrialTable, factors: Sequence[FactorInfo]) -> set[str]:
    """Return the factors whose doubling, all else equal, raises the cost by a tenth or more."""
    designs = table.designs()
    if len(designs) < 3 * len(table.factors):
        return {factor.name for factor in factors}
    codes, c = table.codes(designs), table.log_cost(designs) / np.log(2)
    slopes = np.linalg.lstsq(np.column_stack([np.ones(len(c)), codes]), c, rcond=None)[0][1:]
    by_name = dict(zip(table.factor_names, slopes, strict=True))
    return {factor.name for factor in factors if by_name[factor.name] >= np.log2(1.1)}


def shape_law(
    table: TrialTable,
    names: Sequence[str],
    *,
    bootstraps: int = 400,
    seed: int = 0,
    family: int | None = None,
) -> ShapeLaw | Refusal:
    """Fit a spline in ln C plus a quadratic surface in the factors' logs z.

    e = B(c)'g + exp(−k c~) [sum_j (b_j + h_j c~) z_j + z'Qz] + other factors; the best z at c is
    −½ Q⁻¹ (b + h c~), so the exponents are −½ Q⁻¹ h. Regressing ln w on ln C over good models
    would return the design's own slope instead. `family` counts the factors whose growth is asked
    for, these or more.

    Raises:
        AnalysisError: a factor is unknown or not spaced by ratios.
    """
    designs = table.designs()
    n = len(designs)
    infos = [table.factor(name) for name in names]
    if not all(factor.logarithmic for factor in infos):
        raise AnalysisError(
            f"A scaling law of {' and '.join(names)} needs factors spaced by ratios: leave the "
            "others out."
        )
    terms = 2 * len(names) + len(names) * (len(names) + 1) // 2
    wanted = max(FEWEST_DESIGNS, 2 * (5 + 2 * len(table.factors) + terms))
    about: dict[str, Any] = {"factors": tuple(names)}
    if n < wanted:
        return Refusal("laws.shape_few", about | {"n": n, "needed": wanted})
    c = table.log_cost(designs)
    if np.ptp(c) == 0 or any(designs[name].nunique() < 3 for name in (*names, "error")):
        return Refusal("laws.shape_flat", about)
    surface = fit_surface(table, designs, infos, c - c.mean())
    if left_over(surface.base, surface.z[:, surface.kept]) < COLLINEAR:
        return Refusal("stats.collinear", about)
    return _law(surface, tuple(names), float(c.mean()), bootstraps, seed, family or len(names))


def _law(
    surface: Surface,
    names: tuple[str, ...],
    middle: float,
    bootstraps: int,
    seed: int,
    family: int,
) -> ShapeLaw:
    t, z, n = surface.t, surface.z, len(surface.t)
    decades = float(np.ptp(t) / np.log(10))
    rng = np.random.default_rng(seed)
    _, intercepts, exponents = surface.optimum(fit_exponents(surface, np.arange(n))[0])
    curved = 0
    drawn = np.empty((bootstraps, 2, len(names)))
    for b in range(bootstraps):
        q, *drawn[b] = surface.optimum(fit_exponents(surface, rng.integers(0, n, n))[0])
        curved += bool(np.linalg.eigvalsh(q).min() > 0)
    low, high = percentiles(drawn)
    se = (high[1] - low[1]) / (2 * Z)  # of the interval: draws have heavy tails
    p = np.minimum(1.0, family * 2 * stats.norm.sf(np.abs(exponents) / np.maximum(se, 1e-12)))
    design = np.linalg.lstsq(np.column_stack([np.ones(n), t]), z, rcond=None)[0][1]
    rows = []
    for j, name in enumerate(names):
        best = np.exp(surface.centre[j] + np.array([intercepts[j], low[0, j], high[0, j]]))
        growth = Interval(*(float(x) for x in (exponents[j], low[1, j], high[1, j])))
        rows.append(
            Exponent(
                name,
                growth,
                float(se[j]),
                float(p[j]),
                Interval(*best.tolist()),
                float(design[j]),
            )
        )
    grid = np.linspace(t.min(), t.max(), 41)
    path = intercepts + exponents * grid[:, None]  # (41, k)
    inside = (path >= z.min(0)) & (path <= z.max(0))
    gates = (
        Gate("laws.curved", curved >= LEVEL * bootstraps, {"share": curved / bootstraps}),
        Gate("laws.inside", bool(inside.all(1).mean() >= 0.8), {"share": inside.all(1).mean()}),
        _by_chance(surface, rng),
        decades_gate(decades),
        _stable(surface, exponents, se),
        _predictive(surface, rng),
        _sum_rule(surface, drawn[:, 1], names),
        *growth_gates(rows),
    )
    curve = _curve(surface, names, drawn, grid, np.exp(grid + middle), path, inside)
    return ShapeLaw(names, tuple(rows), float(np.exp(middle)), decades, n, curve, gates)


def _curve(
    surface: Surface,
    names: Sequence[str],
    drawn: np.ndarray,
    grid: np.ndarray,
    costs: np.ndarray,
    path: np.ndarray,
    inside: np.ndarray,
) -> pd.DataFrame:
    """Tabulate the best value of each factor along centred ln costs `grid`, with its band."""
    band = percentiles(drawn[:, None, 0] + drawn[:, None, 1] * grid[:, None])
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "factor": name,
                    "cost": costs,
                    "value": np.exp(surface.centre[j] + path[:, j]),
                    "low": np.exp(surface.centre[j] + np.clip(band[0, :, j], -50, 50)),
                    "high": np.exp(surface.centre[j] + np.clip(band[1, :, j], -50, 50)),
                    "inside": inside[:, j],
                }
            )
            for j, name in enumerate(names)
        ],
        ignore_index=True,
    )


def _by_chance(surface: Surface, rng: np.random.Generator) -> Gate:
    """Permute what spline and other factors leave of the error within bins of like cost."""
    base, _ = np.linalg.qr(surface.base)
    shape = surface.shape - base @ (base.T @ surface.shape)
    shape, _ = np.linalg.qr(shape)
    left = surface.e - base @ (base.T @ surface.e)
    bins = np.array_split(np.argsort(surface.t, kind="stable"), max(2, min(10, len(left) // 10)))
    permuted = np.tile(left, (PERMUTATIONS + 1, 1))
    for row in permuted[1:]:
        for part in bins:
            row[part] = rng.permutation(row[part])
    permuted -= (permuted @ base) @ base.T
    explained = ((permuted @ shape) ** 2).sum(1) / (permuted**2).sum(1)
    p = float((explained >= explained[0] - 1e-12).mean())
    return Gate("laws.matters", p < ALPHA, {"p": p, "needed": ALPHA})


def _stable(surface: Surface, exponents: np.ndarray, se: np.ndarray) -> Gate:
    """Leave out the cheapest and the most expensive tenth."""
    edges = np.quantile(surface.t, [0.1, 0.9])
    shifts = []
    for keep in (surface.t > edges[0], surface.t < edges[1]):
        _, _, again = surface.optimum(fit_exponents(surface, np.flatnonzero(keep))[0])
        shifts.append(np.abs(again - exponents))
    # Two, as dropping a tenth moves a true exponent by about 0.7 standard errors; and a shift
    # of 0.02 is of no matter however small the standard error.
    worst = float(np.max(np.array(shifts) / np.maximum(2 * se, IMMATERIAL)))
    return Gate("laws.stable", worst < 1, {"shift": float(np.max(shifts)), "share": worst})


def _predictive(surface: Surface, rng: np.random.Generator, repeats: int = 3) -> Gate:
    """Compare the normal log-score of unseen architectures with and without shape."""
    n = len(surface.t)
    squares = np.zeros((2, n))
    for _ in range(repeats):
        fold = folds(surface.t, 5, rng)
        for k in range(5):
            train, test = fold != k, fold == k
            weights = np.linalg.lstsq(surface.base[train], surface.e[train], rcond=None)[0]
            _, shaped = fit_exponents(surface, np.flatnonzero(train))
            for m, predicted in enumerate((surface.base @ weights, shaped)):
                squares[m, test] += (surface.e[test] - predicted[test]) ** 2 / repeats
    gain = float(0.5 * np.log(squares[0].mean() / squares[1].mean()))
    return Gate("laws.predictive", gain > 0, {"gain": gain})


def _sum_rule(surface: Surface, exponents: np.ndarray, names: Sequence[str]) -> Gate:
    """Hold the cost that the law's factors take up against the cost there is.

    With c = sum_j a_j z_j + rest, the exponents must satisfy sum_j a_j s_j <= 1: what is missing
    to one goes to factors outside the law, and more than one is impossible.
    """
    columns = np.hstack([np.ones((len(surface.t), 1)), surface.z])
    shares = np.linalg.lstsq(columns, surface.t, rcond=None)[0][1 : 1 + len(names)]
    low, high = percentiles(exponents @ shares).tolist()
    return Gate("laws.sum", low <= 1.0 + 1e-9, {"low": low, "high": high})
