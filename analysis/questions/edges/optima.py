"""The best value of each ordered factor at equal cost, and whether it lies at an end of the space.

Kinds and switches have no end. The curve is that of the effects at equal cost: value and square
beside a spline in ln cost, so that the rest of the network gives way to a costlier value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.questions.effects.main import Effects
from analysis.stats.coding import MOST_LEVELS, CodedFactor, EqualCost, equal_cost
from analysis.stats.interval import ALPHA, percentiles, row_of
from analysis.stats.regression import fit_spline
from analysis.trials.table import TrialTable

BOOTSTRAPS = 1000
STEPS = 20  # of a curve over many values
TOP = 0.1


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best value of a factor on its fitted curve, with the 95 % bootstrap interval.

    `end` is the end of the space that it lies at, "" where it lies at none or the interval reaches
    both, and `at_end` the share of bootstraps with the best value there. The check: `top_there` is
    the share of the best tenth of networks in the third of the values at that end, `all_there` that
    of all. `last` says that nothing lies beyond: there is no value below zero.
    """

    factor: str
    best: float
    low: float
    high: float
    end: Literal["", "lowest", "highest"]
    end_value: float
    at_end: float
    top_there: float
    all_there: float
    p_adjusted: float
    last: bool

    @property
    def open(self) -> bool:
        """Whether a better value may lie beyond the end, and the space should be wider there."""
        agree = self.top_there >= self.all_there
        return bool(self.end) and self.p_adjusted < ALPHA and agree and not self.last


@dataclass(frozen=True, slots=True, eq=False)
class Optima:
    """Best values of the ordered factors among n networks: all, or those with `condition` `at`.

    `kinds` has the best level of every unordered factor whose effect is significant.
    """

    optima: tuple[Optimum, ...]
    n: int
    kinds: Mapping[str, str]
    condition: str = ""
    at: str = ""

    @property
    def open(self) -> tuple[Optimum, ...]:
        """Those at an end of the space."""
        return tuple(one for one in self.optima if one.open)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor, for the CSV."""
        rows = [row_of(one) | {"open": one.open} for one in self.optima]
        return pd.DataFrame(rows).assign(condition=self.condition, at=self.at, n=self.n)


def optima(
    table: TrialTable,
    measured: Effects,
    expected: np.ndarray,
    *,
    condition: str = "",
    at: str = "",
    seed: int = 0,
) -> Optima:
    """Find the best value of every ordered factor of three or more values.

    `measured` are the factors' effects among these networks, `expected` the score of each row of
    `table.designs()`.
    """
    designs = table.designs()
    setup, n = equal_cost(table, designs), len(designs)
    c = table.log_cost(designs)
    left = expected - fit_spline(c, expected)(c)
    top = left >= np.quantile(left, 1 - TOP)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), BOOTSTRAPS)
    found: list[Optimum] = []
    kinds: dict[str, str] = {}
    for effect in measured.effects:
        one = setup.factors[effect.factor]
        if not one.factor.ordered:
            kinds |= {effect.factor: effect.level} if effect.settled else {}
        elif len(np.unique(one.codes)) > 2:
            found.append(_optimum(one, setup, times, top, effect.p_adjusted))
    return Optima(tuple(sorted(found, key=lambda o: o.p_adjusted)), n, kinds, condition, at)


def _optimum(
    coded: CodedFactor, setup: EqualCost, times: np.ndarray, top: np.ndarray, p: float
) -> Optimum:
    codes, name = coded.codes, coded.factor.name
    present = np.unique(codes)
    grid = (
        present if len(present) <= MOST_LEVELS else np.linspace(present[0], present[-1], STEPS + 1)
    )
    columns = np.hstack([setup.nuisance(name), _bent(codes, codes)])
    curve = _bent(grid, codes)
    once = np.ones((1, len(codes)))
    best = int(np.argmax(curve @ _weights(columns, setup.score, once)[0]))
    drawn = np.argmax(_weights(columns, setup.score, times) @ curve.T, axis=1)
    low, high = percentiles(drawn, "nearest").astype(int)
    ends: dict[str, int] = {"lowest": 0, "highest": len(grid) - 1}
    reached = [end for end, place in ends.items() if place in (low, high)]
    end = reached[0] if len(reached) == 1 and ends[reached[0]] == best else ""
    place = best
    third = np.quantile(codes, 1 / 3 if end == "lowest" else 2 / 3, method="nearest")
    there = codes <= third if end == "lowest" else codes >= third
    values = _values(coded, grid)
    return Optimum(
        factor=name,
        best=values[best],
        low=values[low],
        high=values[high],
        end=end,  # type: ignore[arg-type]
        end_value=values[place],
        at_end=float((drawn == place).mean()) if end else float("nan"),
        top_there=float(there[top].mean()),
        all_there=float(there.mean()),
        p_adjusted=p,
        last=end == "lowest" and values[0] == 0,
    )


def _bent(codes: np.ndarray, all_codes: np.ndarray) -> np.ndarray:
    """Return value and square (n, 2), standardised by all codes."""
    z = (codes - all_codes.mean()) / all_codes.std()
    return np.column_stack([z, z**2])


def _weights(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Regress y on x (n, p), each row taken so many `times` (draws, n): the last two weights."""
    p = x.shape[1]
    squares = (times @ (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)).reshape(-1, p, p)
    joint = times @ (x * y[:, None])
    return np.asarray((np.linalg.pinv(squares, hermitian=True) @ joint[:, :, None])[:, -2:, 0])


def _values(coded: CodedFactor, grid: Sequence[float] | np.ndarray) -> list[float]:
    """Turn codes of a grid back into values."""
    nearest = [int(np.abs(coded.codes - code).argmin()) for code in grid]
    if len(np.unique(coded.codes)) <= MOST_LEVELS:
        return [float(coded.values.iloc[place]) for place in nearest]
    return [float(2**code if coded.factor.logarithmic else code) for code in grid]
