"""Networks that were not trained yet and may beat the best known one within a budget.

Thompson sampling with bootstrapped refits (Osband and Van Roy 2015): each proposal is the best of
a large pool by one refit of the surrogate to resampled trials, hence the best in one world that
the trials leave possible. Where the surrogate is sure, the refits agree and the proposals are
alike; where it is not, they spread by themselves, without a constant that weighs one against the
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.questions.context import Context
from analysis.questions.estimates import best_surrogate, expected_candidates
from analysis.stats.refusal import Refusal
from analysis.surrogates.surrogate import Data, Surrogate, fit_target
from analysis.trials.table import TrialTable
from models import Architecture
from models.pool import Pool

Floats = NDArray[np.float64]

REFITS = 64


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a surrogate expects of a network (`expected` score, its `sd`; in the objective).

    `probability` is that of a true score above that of the best expected network trained within
    the budget.
    """

    expected: float
    sd: float
    probability: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A network to train for a budget, and what to expect of it where a surrogate says that."""

    architecture: Architecture
    budget: float
    flops: int
    outlook: Outlook | None = None


def propose(
    context: Context, pool: Pool, budgets: Sequence[float], count: int
) -> tuple[Proposal, ...] | Refusal:
    """Choose `count` networks of a pool, as many for each budget, none that was planned before.

    Refits learn from the random and the proposed trials alike. Refused where no surrogate predicts
    better than the cost alone, or without replicates.
    """
    best, known = context.of(best_surrogate), context.of(expected_candidates)
    if isinstance(best, Refusal):
        return best
    if isinstance(known, Refusal):
        return known
    table, rng = context.table.candidates, np.random.default_rng([context.seed, 11])
    predicted = _refits(table, best, pool, rng, context.seed)
    taken = set(table.frame["architecture_hash"])
    designs = table.designs()
    cost, sign = designs[table.cost].to_numpy(float), 1.0 if table.maximize else -1.0
    worlds = rng.permutation(REFITS)
    found: list[Proposal] = []
    for number in range(count):
        budget = budgets[number % len(budgets)]
        within = np.flatnonzero(pool.flops <= budget)
        world = predicted[worlds[number % REFITS]]
        place = _best_new(pool, within[np.argsort(-world[within], kind="stable")], taken)
        if place is None:
            continue
        architecture = pool.architecture(place)
        taken.add(architecture.hash)
        mean, sd = float(predicted[:, place].mean()), float(predicted[:, place].std(ddof=1))
        # What no surrogate explains is as much of a proposal's score as of any other's.
        sd = float(np.hypot(sd, np.sqrt(known.spread_variance)))
        rival = int(np.argmax(np.where(cost <= budget, known.mean, -np.inf)))
        lead, doubt = mean - known.mean[rival], np.hypot(sd, np.sqrt(known.variance[rival]))
        beats = float(stats.norm.cdf(lead / doubt)) if doubt > 0 else float(lead > 0)
        flops = int(pool.flops[place])
        outlook = Outlook(sign * mean, sd, beats)
        found.append(Proposal(architecture, budget, flops, outlook))
    return tuple(found)


def _refits(
    table: TrialTable, best: Surrogate, pool: Pool, rng: np.random.Generator, seed: int
) -> Floats:
    """Predict the pool by the surrogate fitted to resampled networks (refits, pool)."""
    data, columns = Data.of(table), pd.DataFrame(pool.values)
    for factor in table.factors:
        if factor.name not in columns:  # a rate drawn for each trial: that of the middle one
            columns[factor.name] = table.designs()[factor.name].median()
    x, log_cost = table.codes(columns), np.log(pool.flops)
    predicted = np.empty((REFITS, len(pool)))
    for row in predicted:
        weights = np.bincount(rng.integers(0, len(data), len(data)), minlength=len(data))
        fitted = fit_target(best.model, best.target, data, seed, weights.astype(float))
        row[:] = fitted.predict(x, log_cost)
    return predicted


def _best_new(pool: Pool, order: NDArray[np.int64], taken: set[str]) -> int | None:
    """Return the first of the pool's places in order whose network is not taken."""
    return next((int(i) for i in order if pool.architecture(int(i)).hash not in taken), None)
