"""Pick the architecture for a compute budget, with what noise leaves open about the pick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.page.quantities import short
from analysis.questions.fronts.pareto import Shrunken, cost_trend_prior, front, shrink
from analysis.stats.noise import Noise, noise
from analysis.surrogates.surrogate import Surrogate
from analysis.trials.factors import Level
from analysis.trials.table import SEARCHED, TrialTable

Floats = NDArray[np.float64]

WINDOW = 0.25  # candidates cost between (1 − WINDOW) and 1 of the budget
MIN_CANDIDATES = 10
DRAWS = 4000
KEEP_PROBABILITY = 0.1
PREFERENCE = ("latency_ms", "params")  # among equals the smaller, by the first that is known


@dataclass(frozen=True, slots=True)
class Candidate:
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
    """The architecture to use within a budget; or `refusal`, why none can be named.

    `expected` with its 95 % `interval` is the score to expect of a new run's architecture, shrunk
    against the luck of being picked; `regret` is how much the best candidate is expected to
    exceed it. Without known noise they are the observed score and None. `indistinguishable` are
    the networks, the pick among them, that noise does not tell from the best.
    """

    budget: float
    cost: str
    metric: str
    refusal: str | None = None
    architecture_hash: str = ""
    architecture: str | None = None
    factors: dict[str, Level] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    runs: int = 0
    candidates: int = 0
    cheapest_candidate: float = float("nan")
    observed: float = float("nan")
    expected: float = float("nan")
    interval: tuple[float, float] | None = None
    regret: float | None = None
    indistinguishable: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()


def posterior(
    table: TrialTable, *, known_noise: Noise | None = None, prior: Floats | None = None
) -> Shrunken | None:
    """Shrink the scores of `table.designs()`; None where noise is unknown.

    `prior` are cross-fitted predictions of a surrogate; by default those from cost alone.
    """
    measured = noise(table) if known_noise is None else known_noise
    if not measured.known:
        return None
    designs = table.designs()
    cost, score = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    expected = cost_trend_prior(cost, score) if prior is None else prior
    variance, freedom = measured.sd_at(cost) ** 2, measured.degrees_of_freedom
    return shrink(score, designs["repeats"], variance, expected, noise_freedom=freedom)


def estimated_scores(
    table: TrialTable, measured: Noise | None, surrogates: Iterable[Surrogate]
) -> Shrunken | None:
    """Shrink scores towards the adequate surrogate that predicts best, else towards the cost.

    None where noise is unknown: without replicates the observed scores are all there is.
    """
    if measured is None or not measured.known:
        return None
    adequate = [one for one in surrogates if one.adequate]
    prior = None
    if adequate:
        best = max(adequate, key=lambda one: one.quality.r2)
        predicted = best.predictions.set_index("architecture_hash")["predicted"]
        prior = predicted.loc[table.designs()["architecture_hash"]].to_numpy(float)
    return posterior(table, known_noise=measured, prior=prior)


def recommend(
    table: TrialTable,
    budget: float,
    *,
    seed: int = 0,
    shrunken: Shrunken | None = None,
    tolerance: float = 0.001,
) -> Recommendation:
    """Pick the architecture for a budget in the table's cost.

    Candidates cost (1 − 0.25) to 1 of the budget, or are the ten dearest within it where those
    are fewer; a cheaper network on the estimated front is one too. Kept are those with
    P(best expected − own true score < tolerance) >= 0.1; the pick is the smallest within one
    standard error of the best expected score, or a network that is expected to score more than it
    and costs no more.

    Args:
        table: The trials.
        budget: Upper bound on the table's cost, in its unit.
        seed: Seed of the posterior draws.
        shrunken: `posterior(table)`, where it is known already.
        tolerance: Difference in score that does not matter.
    """
    reason = _refuse(table, budget)
    if reason:
        return Recommendation(budget, table.cost, table.objective, refusal=reason)
    designs = table.designs()
    shrunken = posterior(table) if shrunken is None else shrunken
    sign = 1.0 if table.maximize else -1.0
    cost, observed = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    mean = observed if shrunken is None else shrunken.mean
    rows = _candidates(cost, mean, budget)
    if shrunken is None:
        chosen = int(rows[np.argmax(mean[rows])])
        kept: tuple[Candidate, ...] = ()
        interval, regret = None, None
    else:
        chosen = _pick(designs, rows, cost, shrunken)
        rows = np.union1d(rows, [chosen])
        place = int(np.searchsorted(rows, chosen))
        scale = np.sqrt(shrunken.variance[rows])
        rng = np.random.default_rng(seed)
        draws = mean[rows] + scale * rng.standard_normal((DRAWS, rows.size))
        best = int(np.argmax(mean[rows]))
        close = (mean[rows][best] - draws < tolerance).mean(axis=0) >= KEEP_PROBABILITY
        close[best] = True
        close[place] = True
        margin = 1.959964 * float(scale[place])
        ends = sorted(sign * (float(mean[chosen]) + side) for side in (-margin, margin))
        interval = (ends[0], ends[1])
        regret = float((draws.max(axis=1) - draws[:, place]).mean())
        first = np.bincount(draws.argmax(axis=1), minlength=rows.size) / DRAWS
        kept = tuple(
            Candidate(
                str(designs["architecture_hash"].iloc[rows[i]]),
                float(cost[rows[i]]),
                sign * float(observed[rows[i]]),
                sign * float(mean[rows[i]]),
                float(first[i]),
            )
            for i in sorted(np.flatnonzero(close), key=lambda i: -mean[rows[i]])
        )
    row = designs.iloc[chosen]
    return Recommendation(
        budget=budget,
        cost=table.cost,
        metric=table.objective,
        architecture_hash=str(row["architecture_hash"]),
        architecture=str(row["architecture"]) if "architecture" in row else None,
        factors={name: _plain(row[name]) for name in table.factor_names},
        costs={name: float(row[name]) for name in table.costs},
        scores={name: float(row[name]) for name in table.metrics},
        runs=int(row["repeats"]),
        candidates=rows.size,
        cheapest_candidate=float(cost[rows].min()),
        observed=sign * float(observed[chosen]),
        expected=sign * float(mean[chosen]),
        interval=interval,
        regret=regret,
        indistinguishable=kept,
        notes=_notes(cost[rows], budget, shrunken),
    )


def recommend_all(
    table: TrialTable,
    budgets: Sequence[float] | None = None,
    *,
    seed: int = 0,
    shrunken: Shrunken | None = None,
) -> tuple[Recommendation, ...]:
    """Recommend for each budget; by default for the round ones within the sampled range."""
    chosen = round_budgets(table) if budgets is None else budgets
    if shrunken is None and not table.complete(SEARCHED).empty:
        shrunken = posterior(table)
    return tuple(recommend(table, budget, seed=seed, shrunken=shrunken) for budget in chosen)


def round_budgets(table: TrialTable) -> tuple[float, ...]:
    """Return the budgets 1, 2, 5 × 10^k from the cheapest to just above the dearest network."""
    costs = table.complete(SEARCHED)[table.cost].to_numpy(float)
    if costs.size == 0:
        return ()
    exponents = range(int(np.floor(np.log10(costs.min()))), int(np.log10(costs.max())) + 2)
    rounded = [digit * 10.0**k for k in exponents for digit in (1, 2, 5)]
    return tuple(b for b in rounded if costs.min() < b and (1 - WINDOW) * b <= costs.max())


def to_frame(recommendations: Sequence[Recommendation]) -> pd.DataFrame:
    """Return one row per budget, refusals with their reason, for tables and the CSV."""
    rows = []
    for r in recommendations:
        low, high = r.interval or (np.nan, np.nan)
        row: dict[str, object] = {"budget": r.budget, "refusal": r.refusal or ""}
        row |= {"architecture_hash": r.architecture_hash, "expected": r.expected}
        row |= {"interval_low": low, "interval_high": high, "observed": r.observed}
        row |= {"regret": np.nan if r.regret is None else r.regret, "runs": r.runs}
        row |= {"candidates": r.candidates, "indistinguishable": len(r.indistinguishable)}
        rows.append(row | r.costs | r.scores | r.factors)
    return pd.DataFrame(rows)


def _refuse(table: TrialTable, budget: float) -> str | None:
    """Say why no architecture can be named, or None."""
    complete = table.complete(SEARCHED)
    if complete.empty:
        return "No randomly drawn network has finished training: run the study first."
    cost = complete.groupby("architecture_hash")[table.cost].mean().to_numpy(float)
    if not np.isfinite(budget) or budget < cost.min():
        return (
            f"The cheapest network that was trained{_among(table)} costs {short(cost.min())} "
            f"{table.cost}, above this budget of {short(budget)}: choose a larger budget or sample "
            "smaller networks."
        )
    if (1 - WINDOW) * budget > cost.max():
        return (
            f"The dearest network that was trained{_among(table)} costs {short(cost.max())} "
            f"{table.cost}, less than {1 - WINDOW:.0%} of this budget of {short(budget)}: "
            "choose a smaller budget or sample larger networks."
        )
    within = int((cost <= budget).sum())
    if within < MIN_CANDIDATES:
        return (
            f"Only {within} trained networks fit into this budget of {short(budget)} {table.cost}, "
            f"and fewer than {MIN_CANDIDATES} say little about the best: train more of this size."
        )
    return None


def _among(table: TrialTable) -> str:
    where = table.study.condition
    return f" and meets “{where}”" if where else ""


def _candidates(cost: Floats, mean: Floats, budget: float) -> NDArray[np.int64]:
    """Return the rows to choose from."""
    within = np.flatnonzero(cost <= budget)
    near = within[cost[within] >= (1 - WINDOW) * budget]
    if near.size < MIN_CANDIDATES:
        near = within[np.argsort(-cost[within], kind="stable")[:MIN_CANDIDATES]]
    best_cheaper = within[front(cost[within], mean[within])[-1]]
    return np.union1d(near, [best_cheaper]).astype(np.int64)


def _pick(designs: pd.DataFrame, rows: NDArray[np.int64], cost: Floats, shrunken: Shrunken) -> int:
    """Return the row of the smallest candidate that equals the best, or of one that beats it.

    Candidates of a narrow range of cost may all be beaten by a cheaper and smaller network.
    """
    mean = shrunken.mean
    best = rows[np.argmax(mean[rows])]
    equal = rows[mean[rows] >= mean[best] - np.sqrt(shrunken.variance[best])]
    name = next((name for name in PREFERENCE if name in designs), None)
    if name is None or designs[name].isna().any():
        return int(equal[np.argmax(designs["score"].to_numpy()[equal])])
    size = designs[name].to_numpy(float)
    smallest = equal[np.argmin(size[equal])]
    beats = (mean > mean[smallest]) & (size <= size[smallest]) & (cost <= cost[smallest])
    return int(np.argmax(np.where(beats, mean, -np.inf)) if beats.any() else smallest)


def _notes(cost: Floats, budget: float, shrunken: Shrunken | None) -> tuple[str, ...]:
    """Say what a reader of the pick should know."""
    notes = []
    if (cost >= (1 - WINDOW) * budget).sum() < MIN_CANDIDATES:
        notes.append(
            f"fewer than {MIN_CANDIDATES} networks cost {1 - WINDOW:.0%} to 100% of the budget, so "
            "cheaper ones are candidates too"
        )
    if shrunken is None:
        notes.append("noise is unknown without replicates: the score of the best is over-stated")
    elif not shrunken.spread_resolved:
        notes.append(
            "beyond what cost and factors predict, differences between networks are not resolved "
            "from noise"
        )
    return tuple(notes)


def _plain(value: object) -> Level:
    """Unwrap a numpy scalar."""
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[return-value]
