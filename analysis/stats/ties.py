"""Which factors go together by design, with each other and with the cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.stats.interval import ALPHA, row_of
from analysis.stats.refusal import Refusal
from analysis.stats.regression import holm
from analysis.trials.factors import FactorInfo
from analysis.trials.table import TrialTable

COST = "cost"
FEWEST_DESIGNS = 10
MATERIAL = 0.2  # below this a correlation bends no effect worth mentioning


@dataclass(frozen=True, slots=True)
class Pair:
    """How strongly two columns of the design go together, with Holm's p over all pairs.

    `strength` is Spearman's correlation (with its sign) for two ordered columns, the correlation
    ratio of ranks (eta, 0 to 1) where one is unordered, Cramér's V (0 to 1) where both are.
    """

    first: str
    second: str
    strength: float
    measure: str
    p: float
    p_adjusted: float

    @property
    def material(self) -> bool:
        """Whether they go together significantly and strongly enough to matter."""
        return self.p_adjusted < ALPHA and abs(self.strength) >= MATERIAL


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """All pairs of factors, and each factor with the cost (named "cost"), strongest first."""

    pairs: tuple[Pair, ...]
    n: int

    @property
    def with_cost(self) -> tuple[Pair, ...]:
        """Factors that go with the cost."""
        return tuple(pair for pair in self.pairs if pair.second == COST and pair.material)

    @property
    def between(self) -> tuple[Pair, ...]:
        """Pairs of factors that go together."""
        return tuple(pair for pair in self.pairs if pair.second != COST and pair.material)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair, for the CSV."""
        return pd.DataFrame([row_of(pair) for pair in self.pairs])


def design(table: TrialTable, designs: pd.DataFrame | None = None) -> Design | Refusal:
    """Measure how factors are tied to each other and to the cost, by default among all networks.

    Factors drawn independently are independent; constraints, drawing by ranges of cost, failures
    and samplers that search tie them together.
    """
    designs = table.designs() if designs is None else designs
    n = len(designs)
    if n < FEWEST_DESIGNS:
        return Refusal("stats.few_for_ties", {"n": n, "needed": FEWEST_DESIGNS})
    varying = [f for f in table.factors if designs[f.name].nunique() > 1]
    columns = {f.name: f.code(designs[f.name]) for f in varying}
    infos: dict[str, FactorInfo | None] = {f.name: f for f in varying}
    cost = table.log_cost(designs)
    if np.ptp(cost) > 0:
        columns[COST], infos[COST] = cost, None
    if len(columns) < 2:
        return Refusal("stats.nothing_varies")
    found = []
    for first, second in combinations(columns, 2):
        ordered = [infos[name] is None or infos[name].ordered for name in (first, second)]  # type: ignore[union-attr]
        strength, p, measure = association(columns[first], columns[second], *ordered)
        found.append(Pair(first, second, strength, measure, p, p))
    adjusted = holm(np.array([pair.p for pair in found]))
    final = [replace(pair, p_adjusted=float(p)) for pair, p in zip(found, adjusted, strict=True)]
    return Design(tuple(sorted(final, key=lambda pair: -abs(pair.strength))), n)


def association(
    first: np.ndarray, second: np.ndarray, first_ordered: bool, second_ordered: bool
) -> tuple[float, float, str]:
    """Return strength, p-value and name of the measure that fits two coded columns (n,)."""
    if first_ordered and second_ordered:
        result = stats.spearmanr(first, second)
        return float(result.statistic), float(result.pvalue), "Spearman"
    if first_ordered or second_ordered:
        values, groups = (first, second) if first_ordered else (second, first)
        ranks = stats.rankdata(values)
        parts = [ranks[groups == level] for level in np.unique(groups)]
        between = sum(len(part) * (part.mean() - ranks.mean()) ** 2 for part in parts)
        total = float(((ranks - ranks.mean()) ** 2).sum())
        eta = float(np.sqrt(between / total)) if total > 0 else 0.0
        return eta, float(stats.kruskal(*parts).pvalue), "eta of ranks"
    counts = pd.crosstab(first, second).to_numpy()
    chi2, p, _, _ = stats.chi2_contingency(counts, correction=False)
    smaller = max(min(counts.shape) - 1, 1)
    return float(np.sqrt(chi2 / (counts.sum() * smaller))), float(p), "Cramér's V"
