"""Whether scores still rose when training ended, and for which networks most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.stats.interval import ALPHA, Interval, normal
from analysis.stats.refusal import Refusal
from analysis.trials.table import SEARCHED, TrialTable

FEWEST_CURVES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Rising:
    """Gain in score per epoch from epoch `first` to `last`, mean over networks.

    The last epoch of all is left out: its score takes other records than those before it.
    `with_cost` is Spearman's correlation of a network's gain with its cost. `gains` has one row
    per run: trial, cost, gain.
    """

    first: int
    last: int
    epochs: int
    gain: Interval
    with_cost: float
    with_cost_p: float
    gains: pd.DataFrame

    @property
    def rises(self) -> bool:
        """Whether scores still rose, statistically significantly."""
        return self.gain.low > 0

    @property
    def favours_cost(self) -> bool:
        """Whether longer training would favour networks with more compute."""
        return self.rises and self.with_cost > 0 and self.with_cost_p < ALPHA


def rising(table: TrialTable, curves: pd.DataFrame | None) -> Rising | Refusal:
    """Fit a line to the last third of every run's curve (trial, epoch, value)."""
    if curves is None or curves.empty:
        return Refusal("laws.no_curves")
    values = curves.rename(columns={table.objective: "value"})
    known = table.complete(SEARCHED)[["trial", table.cost]].rename(columns={table.cost: "cost"})
    wide = values[values["trial"].isin(known["trial"])].pivot_table("value", "trial", "epoch")
    wide = wide.dropna() if table.maximize else -wide.dropna()
    epochs = int(wide.columns.max()) if wide.size else 0
    last = epochs - 1
    first = min(last - 1, 2 * last // 3)
    if first < 1 or len(wide) < FEWEST_CURVES:
        numbers = {"n": len(wide), "needed": FEWEST_CURVES, "epochs": epochs}
        return Refusal("laws.short_curves", numbers)
    late = wide.loc[:, first:last]
    gain = np.polyfit(late.columns.to_numpy(float), late.to_numpy(float).T, 1)[0]
    gains = pd.DataFrame({"trial": wide.index, "gain": gain}).merge(known, on="trial")
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    flat = gains["gain"].nunique() < 2 or gains["cost"].nunique() < 2
    found = (0.0, 1.0) if flat else stats.spearmanr(gains["gain"], gains["cost"])
    mean = normal(float(gain.mean()), error)
    return Rising(first, last, epochs, mean, float(found[0]), float(found[1]), gains)
