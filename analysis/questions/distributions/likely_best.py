"""Where the best networks lie: RegNet's empirical bootstrap, per range of compute.

Radosavovic et al. 2020 (arXiv:2003.13678): draw a quarter of the networks with replacement, take
the best, repeat; the values of the bests say where a good network is likely to lie. It describes,
it does not test: with few networks or much noise the ranges are simply wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.trials.factors import label
from analysis.trials.table import TrialTable

SHARE_DRAWN = 0.25
FEWEST = 20  # networks in a range of compute


@dataclass(frozen=True, slots=True)
class LikelyBest:
    """Where the best value of a factor lies within a range of cost.

    For numbers `low`, `middle` and `high` are the 2.5, 50 and 97.5 % points of the best network's
    value and `shares` is empty; for other choices `shares` says how often each was the best.
    """

    factor: str
    cost_low: float
    cost_high: float
    n: int
    low: float
    middle: float
    high: float
    shares: tuple[tuple[str, float], ...]


def likely_best(
    table: TrialTable, *, parts: int = 3, draws: int = 10_000, seed: int = 0
) -> tuple[LikelyBest, ...]:
    """Find the likely best values of every factor in equally filled ranges of cost.

    Ranges with fewer than twenty networks are left out.
    """
    designs = table.designs()  # sorted by cost
    found = []
    for number, rows in enumerate(np.array_split(np.arange(len(designs)), parts)):
        if rows.size < FEWEST:
            continue
        part = designs.iloc[rows]
        best = best_of_draws(part["score"].to_numpy(float), draws, seed + number)
        cost = part[table.cost].to_numpy(float)
        for factor in table.factors:
            values = part[factor.name].iloc[best]
            low = middle = high = float("nan")
            shares: tuple[tuple[str, float], ...] = ()
            if factor.numeric:
                low, middle, high = np.quantile(
                    values.to_numpy(float), [0.025, 0.5, 0.975], method="inverted_cdf"
                )
            else:
                counted = values.map(label).value_counts(normalize=True)
                order = [name for name in factor.level_labels() if name in counted]
                shares = tuple((name, float(counted[name])) for name in order)
            found.append(
                LikelyBest(
                    factor.name, float(cost.min()), float(cost.max()), rows.size,
                    float(low), float(middle), float(high), shares,
                )
            )  # fmt: skip
    return tuple(found)


def best_of_draws(scores: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return the place of the best score of each draw of a quarter with replacement (draws,)."""
    n = len(scores)
    rng = np.random.default_rng(seed)
    order = np.argsort(-scores, kind="stable")
    # The best of m draws is the smallest of m ranks: one uniform number instead of m.
    size = max(1, round(SHARE_DRAWN * n))
    rank = np.floor(n * (1 - (1 - rng.random(draws)) ** (1 / size))).astype(int)
    return np.asarray(order[np.minimum(rank, n - 1)])


def to_frame(found: tuple[LikelyBest, ...]) -> pd.DataFrame:
    """Return one row per factor and range of cost."""
    rows = [
        {name: getattr(entry, name) for name in LikelyBest.__dataclass_fields__ if name != "shares"}
        | {"shares": "; ".join(f"{name} {share:.3f}" for name, share in entry.shares)}
        for entry in found
    ]
    return pd.DataFrame(rows)
