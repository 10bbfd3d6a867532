"""Pick the architecture for a compute budget, with what noise leaves open about the pick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.questions.fronts.pareto import front
from analysis.stats.interval import Interval
from analysis.stats.refusal import Refusal
from analysis.stats.shrinkage import Shrunken
from analysis.trials.factors import Level, plain
from analysis.trials.table import SEARCHED, TrialTable

Floats = NDArray[np.float64]

WINDOW = 0.25  # candidates cost between (1 − WINDOW) and 1 of the budget
MIN_CANDIDATES = 10
DRAWS = 4000
KEEP_PROBABILITY = 0.1
PREFERENCE = ("latency_ms", "params")  # among equals the smaller, by the first that is known


@dataclass(frozen=True, slots=True)
class Alternative:
    """A network that could be the best within the budget.

    `probability` is that of being the best candidate, `expected` the shrunken score.
    """

    architecture_hash: str
    cost: float
    observed: float
    expected: float
    probability: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The architecture to use within a budget.

    `expected` with its `interval` is the score to expect of a new run's architecture, corrected
    for selection; `regret` is how much the best candidate is expected to exceed it. Without known
    noise they are the observed score and None. `indistinguishable` are the networks, the pick
    among them, that noise does not tell from the best.
    """

    budget: float
    cost: str
    metric: str
    architecture_hash: str
    architecture: str | None
    factors: dict[str, Level]
    costs: dict[str, float]
    scores: dict[str, float]
    runs: int
    candidates: int
    cheapest_candidate: float
    observed: float
    expected: float
    interval: Interval | None
    regret: float | None
    indistinguishable: tuple[Alternative, ...]
    notes: tuple[Refusal, ...]


def recommend(
    table: TrialTable,
    budget: float,
    shrunken: Shrunken | None,
    *,
    seed: int = 0,
    tolerance: float = 0.001,
) -> Recommendation | Refusal:
    """Pick the architecture for a budget in the table's cost.

    Candidates cost (1 − 0.25) to 1 of the budget, or are the ten most expensive within it where
    those are fewer; a cheaper network on the estimated front is one too. Within them the smallest
    within one standard error of the best expected score is taken, or a network that is expected
    to score more than it and costs no more. The pick is the best of what is so taken at this and
    at every smaller budget: more of it never gets a network expected to score less.

    Args:
        table: The trials.
        budget: Upper bound on the table's cost, in its unit.
        shrunken: What every network is expected to score (`estimate(table)`); None without
            replicates, where the best observed score is taken.
        seed: Seed of the posterior draws.
        tolerance: Difference in score that does not matter: kept as indistinguishable are
            networks with P(best expected − own true score < tolerance) >= 0.1.
    """
    refusal = _refuse(table, budget)
    if refusal is not None:
        return refusal
    designs = table.designs()
    cost, observed = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    mean = observed if shrunken is None else shrunken.mean
    chosen = _Choice(table, shrunken).at(budget)
    rows = np.union1d(_candidates(cost, mean, budget), [chosen])
    kept: tuple[Alternative, ...] = ()
    interval, regret = None, None
    if shrunken is not None:
        kept, regret = _alternatives(table, shrunken, rows, chosen, seed, tolerance)
        margin = float(shrunken.margin[chosen])
        expected = _turned(table, mean[chosen])
        interval = Interval(expected, expected - margin, expected + margin)
    row = designs.iloc[chosen]
    return Recommendation(
        budget=budget,
        cost=table.cost,
        metric=table.objective,
        architecture_hash=str(row["architecture_hash"]),
        architecture=str(row["architecture"]) if "architecture" in row else None,
        factors={name: plain(row[name]) for name in table.factor_names},
        costs={name: float(row[name]) for name in table.costs},
        scores={name: float(row[name]) for name in table.metrics},
        runs=int(row["repeats"]),
        candidates=rows.size,
        cheapest_candidate=float(cost[rows].min()),
        observed=_turned(table, observed[chosen]),
        expected=_turned(table, mean[chosen]),
        interval=interval,
        regret=regret,
        indistinguishable=kept,
        notes=_notes(cost[rows], budget, shrunken),
    )


def ranked(
    table: TrialTable, budget: float, shrunken: Shrunken | None
) -> NDArray[np.int64] | Refusal:
    """Return the rows of `table.designs()` within a budget in the order to confirm them.

    The pick of `recommend` first, then those that use at least 75 % of the budget by their
    expected score, then cheaper ones.
    """
    refusal = _refuse(table, budget)
    if refusal is not None:
        return refusal
    designs = table.designs()
    cost = designs[table.cost].to_numpy(float)
    mean = designs["score"].to_numpy(float) if shrunken is None else shrunken.mean
    within = np.flatnonzero(cost <= budget)
    near = cost[within] >= (1 - WINDOW) * budget
    first = within == _Choice(table, shrunken).at(budget)
    return within[np.lexsort((-mean[within], ~near, ~first))]


def recommend_all(
    table: TrialTable,
    shrunken: Shrunken | None,
    *,
    budgets: Sequence[float] = (),
    seed: int = 0,
) -> dict[float, Recommendation | Refusal]:
    """Recommend for each budget, by default the round ones within the sampled range."""
    chosen = budgets or round_budgets(table)
    return {b: recommend(table, b, shrunken, seed=seed) for b in chosen}


def round_budgets(table: TrialTable) -> tuple[float, ...]:
    """Return the budgets 1, 3 × 10^k from the cheapest to about the most expensive network."""
    costs = table.complete(SEARCHED)[table.cost].to_numpy(float)
    if costs.size == 0:
        return ()
    exponents = range(int(np.floor(np.log10(costs.min()))), int(np.log10(costs.max())) + 2)
    rounded = [digit * 10.0**k for k in exponents for digit in (1, 3)]
    return tuple(b for b in rounded if costs.min() < b and (1 - WINDOW) * b <= costs.max())


def _refuse(table: TrialTable, budget: float) -> Refusal | None:
    """Say why no architecture can be named, or None."""
    if table.complete(SEARCHED).empty:
        return Refusal("report.nothing")
    cost = table.designs()[table.cost].to_numpy(float)
    about = {"budget": budget, "cost": table.cost, "where": table.study.condition}
    if not np.isfinite(budget) or budget < cost.min():
        return Refusal("budgets.small", about | {"lowest": float(cost.min())})
    if (1 - WINDOW) * budget > cost.max():
        return Refusal("budgets.large", about | {"highest": float(cost.max()), "window": WINDOW})
    within = int((cost <= budget).sum())
    if within < MIN_CANDIDATES:
        return Refusal("budgets.few", about | {"n": within, "needed": MIN_CANDIDATES})
    return None


def _candidates(cost: Floats, mean: Floats, budget: float) -> NDArray[np.int64]:
    """Return the rows to choose from."""
    within = np.flatnonzero(cost <= budget)
    near = within[cost[within] >= (1 - WINDOW) * budget]
    if near.size < MIN_CANDIDATES:
        near = within[np.argsort(-cost[within], kind="stable")[:MIN_CANDIDATES]]
    best_cheaper = within[front(cost[within], mean[within])[-1]]
    return np.union1d(near, [best_cheaper]).astype(np.int64)


class _Choice:
    """Which row of `table.designs()` is taken at a budget, given what is taken at smaller ones."""

    def __init__(self, table: TrialTable, shrunken: Shrunken | None) -> None:
        designs = table.designs()
        self.cost = designs[table.cost].to_numpy(float)
        self.observed = designs["score"].to_numpy(float)
        self.mean = self.observed if shrunken is None else shrunken.mean
        # Without known noise no score equals the best.
        self.error = 0 * self.mean if shrunken is None else np.sqrt(shrunken.variance)
        name = next((name for name in PREFERENCE if name in designs), None)
        known = name is not None and bool(designs[name].notna().all())
        self.size = designs[name].to_numpy(float) if known and shrunken is not None else None

    def at(self, budget: float) -> int:
        """Return the row with the best expected score of those taken at budgets up to this."""
        # Between these, the candidates do not change.
        steps = np.unique(np.concatenate([self.cost, self.cost / (1 - WINDOW), [budget]]))
        tenth = np.sort(self.cost)[MIN_CANDIDATES - 1]
        taken = [self._alone(step) for step in steps[(steps >= tenth) & (steps <= budget)]]
        return taken[int(np.argmax(self.mean[taken]))]

    def _alone(self, budget: float) -> int:
        """Return the smallest candidate that equals the best, or one that beats it.

        Candidates of a narrow range of cost may all be beaten by a cheaper and smaller network.
        """
        rows = _candidates(self.cost, self.mean, budget)
        best = rows[np.argmax(self.mean[rows])]
        equal = rows[self.mean[rows] >= self.mean[best] - self.error[best]]
        if self.size is None:
            return int(equal[np.argmax(self.observed[equal])])
        smallest = equal[np.argmin(self.size[equal])]
        beats = self.mean > self.mean[smallest]
        beats &= (self.size <= self.size[smallest]) & (self.cost <= self.cost[smallest])
        return int(np.argmax(np.where(beats, self.mean, -np.inf)) if beats.any() else smallest)


def _alternatives(
    table: TrialTable,
    shrunken: Shrunken,
    rows: NDArray[np.int64],
    chosen: int,
    seed: int,
    tolerance: float,
) -> tuple[tuple[Alternative, ...], float]:
    """Draw true scores of the rows: those that may be the best, and the regret of the chosen."""
    designs, mean, scale = table.designs(), shrunken.mean[rows], np.sqrt(shrunken.variance[rows])
    place = int(np.searchsorted(rows, chosen))
    draws = mean + scale * np.random.default_rng(seed).standard_normal((DRAWS, rows.size))
    close = (mean.max() - draws < tolerance).mean(axis=0) >= KEEP_PROBABILITY
    close[[int(np.argmax(mean)), place]] = True
    first = np.bincount(draws.argmax(axis=1), minlength=rows.size) / DRAWS
    kept = sorted(np.flatnonzero(close), key=lambda i: -mean[i])
    alternatives = tuple(
        Alternative(
            str(designs["architecture_hash"].iloc[rows[i]]),
            float(designs[table.cost].iloc[rows[i]]),
            _turned(table, designs["score"].iloc[rows[i]]),
            _turned(table, mean[i]),
            float(first[i]),
        )
        for i in kept
    )
    return alternatives, float((draws.max(axis=1) - draws[:, place]).mean())


def _notes(cost: Floats, budget: float, shrunken: Shrunken | None) -> tuple[Refusal, ...]:
    """Say what a reader of the pick should know."""
    notes = []
    if (cost >= (1 - WINDOW) * budget).sum() < MIN_CANDIDATES:
        notes.append(Refusal("budgets.few_near", {"needed": MIN_CANDIDATES, "window": WINDOW}))
    if shrunken is None:
        notes.append(Refusal("budgets.no_noise"))
    elif not shrunken.spread_resolved:
        notes.append(Refusal("budgets.not_resolved"))
    return tuple(notes)


def _turned(table: TrialTable, score: float) -> float:
    """Turn a score where more is better into the objective."""
    return float(score) if table.maximize else -float(score)


def to_frame(found: Mapping[float, Recommendation | Refusal]) -> pd.DataFrame:
    """Return one row per budget; of a refused one only the code of the reason."""
    rows: list[dict[str, object]] = []
    for budget, r in found.items():
        if isinstance(r, Refusal):
            rows.append({"budget": budget, "refusal": r.code})
            continue
        interval = r.interval or Interval(r.expected)
        row: dict[str, object] = {"budget": budget, "refusal": ""}
        row |= {"architecture_hash": r.architecture_hash, "expected": r.expected}
        row |= {"interval_low": interval.low, "interval_high": interval.high}
        row |= {"observed": r.observed, "regret": np.nan if r.regret is None else r.regret}
        row |= {"runs": r.runs, "candidates": r.candidates}
        row |= {"indistinguishable": len(r.indistinguishable)}
        rows.append(row | r.costs | r.scores | r.factors)
    return pd.DataFrame(rows)
