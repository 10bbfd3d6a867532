"""The error that good architectures reach against cost: e(C) = E + A (C/C0)^−a."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.laws.growth import KNOWN, known
from analysis.stats.interval import Interval, percentiles
from analysis.stats.refusal import Gate, Refusal, failed
from analysis.stats.regression import folds
from analysis.trials.table import TrialTable

EXPONENTS = np.geomspace(0.01, 3.0, 60)
FEWEST_DESIGNS = 40
DECADES = 1.5
ALIKE = 0.02  # of the error: ten times the cost takes off less than a fiftieth
PARAMETERS = ("floor", "amplitude", "exponent")


@dataclass(frozen=True, slots=True, eq=False)
class ErrorLaw:
    """A floor and a power law for a low quantile of the error over cost.

    `quantile` 0.1 means: the error that the best tenth of architectures stay below at a cost.
    `tenfold` is what ten times the cost takes off that error, about the reference cost.
    `curve` holds cost, error, low, high; `profile` the relative loss of each exponent with the
    best floor and amplitude; `models` the cross-validated pinball loss of each rival form. Where
    it does not stand, the numbers are shown but not claimed.
    """

    quantile: float
    reference_cost: float
    floor: Interval
    amplitude: Interval
    exponent: Interval
    tenfold: Interval
    decades: float
    n: int
    curve: pd.DataFrame
    profile: pd.DataFrame
    models: pd.DataFrame
    gates: tuple[Gate, ...]

    @property
    def stands(self) -> bool:
        """Whether every gate is met."""
        return not failed(self.gates)

    @property
    def constant(self) -> bool:
        """Whether more cost takes off next to nothing: a finding of its own."""
        next_to_nothing = ALIKE * (self.floor.estimate + self.amplitude.estimate)
        return self.decades >= 1 and self.tenfold.high < next_to_nothing

    @property
    def grows(self) -> bool:
        """Whether more cost helps, be it by a law or not."""
        needed = {"laws.decades", "laws.helps", "laws.beats_constant"}
        return not self.constant and not needed & {gate.code for gate in failed(self.gates)}

    @property
    def floor_supported(self) -> bool:
        """Whether a floor predicts unseen architectures better than none."""
        losses = self.models.set_index("model")["loss"]
        return bool(self.floor.low > 0 and losses["floor + power law"] < losses["power law"])

    def error_at(self, cost: np.ndarray) -> np.ndarray:
        """Evaluate the fitted law."""
        relative = np.asarray(cost, dtype=float) / self.reference_cost
        falling = self.amplitude.estimate * relative**-self.exponent.estimate
        return np.asarray(self.floor.estimate + falling)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per parameter, for the CSV."""
        rows = [{"parameter": k} | asdict(getattr(self, k)) for k in (*PARAMETERS, "tenfold")]
        return pd.DataFrame(rows).assign(
            quantile=self.quantile, reference_cost=self.reference_cost, n=self.n
        )


def error_law(
    table: TrialTable, *, quantile: float = 0.1, bootstraps: int = 200, seed: int = 0
) -> ErrorLaw | Refusal:
    """Fit the law to a quantile of the error by variable projection.

    For each exponent floor and amplitude follow linearly (quantile regression, both at least
    zero); what is left is a search over one number, so there are no bad optima (2603.22339).
    Rivals: a constant, a power law without floor, and a straight line in ln C.
    """
    designs = table.designs()
    e, c = designs["error"].to_numpy(float), table.log_cost(designs)
    n, rng = len(designs), np.random.default_rng(seed)
    if n < FEWEST_DESIGNS:
        return Refusal("laws.error_few", {"n": n, "needed": FEWEST_DESIGNS})
    if not (e > 0).all():
        return Refusal("laws.error_zero")
    if np.ptp(c) == 0 or np.ptp(e) == 0:
        return Refusal("laws.error_flat")
    middle, decades = float(c.mean()), float(np.ptp(c) / np.log(10))
    t = c - middle
    losses, weights = _profile(t, e, quantile)
    best = int(np.argmin(losses))
    fits = _bootstrap(t, e, quantile, weights, bootstraps, rng)
    grid = np.linspace(t.min(), t.max(), 60)
    curves = fits[:, :1] + fits[:, 1:2] * np.exp(-fits[:, 2:] * grid)
    (floor, amplitude), exponent = weights[best], float(EXPONENTS[best])
    limits, band = percentiles(fits), percentiles(curves)
    power = _bounded(exponent, limits[:, 2])
    taken = _bounded(_tenfold(amplitude, exponent), percentiles(_tenfold(*fits[:, 1:].T)))
    models, gain = _rivals(t, e, quantile, rng)
    return ErrorLaw(
        quantile=quantile,
        reference_cost=float(np.exp(middle)),
        floor=_bounded(floor, limits[:, 0]),
        amplitude=_bounded(amplitude, limits[:, 1]),
        exponent=power,
        tenfold=taken,
        decades=decades,
        n=n,
        curve=pd.DataFrame(
            {
                "cost": np.exp(grid + middle),
                "error": floor + amplitude * np.exp(-exponent * grid),
                "low": band[0],
                "high": band[1],
            }
        ),
        profile=pd.DataFrame({"exponent": EXPONENTS, "loss": losses / losses.min()}),
        models=models,
        gates=_gates(decades, taken, power, gain, *_forecast(t, e, quantile)),
    )


def _tenfold(amplitude: np.ndarray | float, exponent: np.ndarray | float) -> Any:
    """Return the fall of the error from the reference cost / √10 to the reference cost · √10."""
    return amplitude * (10 ** (exponent / 2) - 10 ** (-exponent / 2))


def _bounded(value: float, limits: np.ndarray) -> Interval:
    return Interval(float(value), *limits.tolist())


def _bootstrap(
    t: np.ndarray,
    e: np.ndarray,
    quantile: float,
    weights: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Fit to resampled architectures: floor, amplitude and exponent of each (count, 3)."""
    fits = np.empty((count, 3))
    for fit in fits:
        rows = rng.integers(0, len(t), len(t))
        losses, found = _profile(t[rows], e[rows], quantile, EXPONENTS[::2], weights[::2])
        k = int(np.argmin(losses))
        fit[:] = *found[k], EXPONENTS[2 * k]
    return fits


def pinball(residuals: np.ndarray, quantile: float) -> np.ndarray:
    """Return the quantile loss of residuals (observed − predicted)."""
    return np.asarray(np.maximum(quantile * residuals, (quantile - 1) * residuals))


def quantile_fit(
    features: np.ndarray, e: np.ndarray, quantile: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Fit e (n,) on (g, n) features with a non-negative intercept and slope, for each g at once.

    Majorise-minimise quantile regression (Hunter and Lange 2000). Returns (g, 2) weights.
    """
    scale = max(float(np.ptp(e)), 1e-12)
    flat = np.column_stack([np.full(len(features), np.quantile(e, quantile)), 0 * features[:, 0]])
    weights = flat if start is None else start
    for step in range(40) if start is None else range(12, 32):
        residuals = e - weights[:, :1] - weights[:, 1:] * features
        floor = scale * max(10.0 ** -(1 + step / 4), 1e-5)  # anneal towards the kink
        pull = 1 / (np.abs(residuals) + floor)
        target = e + (2 * quantile - 1) / pull
        total = pull.sum(1)
        mean_f = (pull * features).sum(1) / total
        mean_e = (pull * target).sum(1) / total
        spread = (pull * (features - mean_f[:, None]) ** 2).sum(1)
        joint = (pull * (features - mean_f[:, None]) * (target - mean_e[:, None])).sum(1)
        slope = np.maximum(joint / np.maximum(spread, 1e-30), 0.0)
        intercept = mean_e - slope * mean_f
        below = intercept < 0  # then the best non-negative fit has no intercept
        through = (pull * features * target).sum(1) / (pull * features**2).sum(1)
        slope = np.where(below, np.maximum(through, 0.0), slope)
        weights = np.column_stack([np.where(below, 0.0, intercept), slope])
    return weights


def _profile(
    t: np.ndarray,
    e: np.ndarray,
    quantile: float,
    exponents: np.ndarray = EXPONENTS,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    features = np.exp(-exponents[:, None] * t)
    weights = quantile_fit(features, e, quantile, start)
    residuals = e - weights[:, :1] - weights[:, 1:] * features
    return pinball(residuals, quantile).sum(1), weights


def _forms(t: np.ndarray, e: np.ndarray, quantile: float, at: np.ndarray) -> dict[str, np.ndarray]:
    """Fit each form on (t, e) and predict at other ln costs."""
    losses, weights = _profile(t, e, quantile)
    k = int(np.argmin(losses))
    law = weights[k, 0] + weights[k, 1] * np.exp(-EXPONENTS[k] * at)
    # Without a floor the law is a line in logs, and quantiles pass through the logarithm.
    logs = np.log(e)
    falling = quantile_fit((t.max() - t)[None], logs - logs.min() + 1.0, quantile)[0]
    power = np.exp(falling[0] + falling[1] * (t.max() - at) + logs.min() - 1.0)
    straight = quantile_fit((t.max() - t)[None], e, quantile)[0]
    return {
        "floor + power law": law,
        "power law": power,
        "line in ln cost": straight[0] + straight[1] * (t.max() - at),
        "constant": np.full(len(at), np.quantile(e, quantile)),
    }


def _rivals(
    t: np.ndarray, e: np.ndarray, quantile: float, rng: np.random.Generator, repeats: int = 4
) -> tuple[pd.DataFrame, Interval]:
    """Cross-validate all forms; return them and the law's gain over a constant with interval."""
    losses: dict[str, np.ndarray] = {}
    for _ in range(repeats):
        fold = folds(t, 5, rng)
        for k in range(5):
            train, test = fold != k, fold == k
            for name, predicted in _forms(t[train], e[train], quantile, t[test]).items():
                row = losses.setdefault(name, np.zeros(len(t)))
                row[test] += pinball(e[test] - predicted, quantile) / repeats
    gain = losses["constant"] - losses["floor + power law"]
    share = 1 / losses["constant"].mean()
    draws = gain[rng.integers(0, len(t), (1000, len(t)))].mean(1) * share
    frame = pd.DataFrame(
        {"model": list(losses), "loss": [float(row.mean()) for row in losses.values()]}
    )
    frame["relative"] = frame["loss"] / frame["loss"].min()
    return frame, Interval(float(gain.mean() * share), *percentiles(draws).tolist())


def _forecast(t: np.ndarray, e: np.ndarray, quantile: float) -> tuple[float, float]:
    """Fit below the 80th percentile of cost: losses above it of the law and of a constant."""
    edge = np.quantile(t, 0.8)
    train, test = t <= edge, t > edge
    forms = _forms(t[train], e[train], quantile, t[test])
    # The constant that knows no more than the law: the level of the most expensive fifth seen.
    last = t[train] >= np.quantile(t[train], 0.75)
    level = np.quantile(e[train][last], quantile)
    return (
        float(pinball(e[test] - forms["floor + power law"], quantile).mean()),
        float(pinball(e[test] - level, quantile).mean()),
    )


def _gates(
    decades: float, taken: Interval, exponent: Interval, gain: Interval, loss: float, level: float
) -> tuple[Gate, ...]:
    inside = bool(EXPONENTS[2] < exponent.low and exponent.high < EXPONENTS[-3])
    return (
        decades_gate(decades),
        Gate("laws.helps", taken.low > 0, {"tenfold": taken}),
        Gate("laws.beats_constant", gain.low > 0, {"gain": gain}),
        Gate("laws.speed", inside and known(exponent), {"exponent": exponent, "times": 10**KNOWN}),
        Gate("laws.forecast", loss <= level * 1.1, {"loss": loss, "level_loss": level}),
    )


def decades_gate(decades: float) -> Gate:
    """Ask whether the costs span enough to tell a law by."""
    return Gate("laws.decades", decades >= DECADES, {"needed": DECADES, "decades": decades})
