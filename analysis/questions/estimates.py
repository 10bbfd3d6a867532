"""The one estimate of what every network is expected to score.

Report, `recommend`, the choice of candidates to confirm, the family, dashboard and notebooks all
take it from here, so that they name the same networks.
"""

from __future__ import annotations

import numpy as np

from analysis.questions.context import Context
from analysis.stats.noise import Noise, noise
from analysis.stats.refusal import Refusal
from analysis.stats.shrinkage import Shrunken, cost_trend_prior, shrink
from analysis.surrogates.surrogate import Data, Surrogate, Target, fit_target, surrogate
from analysis.trials.table import TrialTable


def seed_noise(context: Context) -> Noise | Refusal:
    """Estimate what the seed alone does to the objective."""
    return noise(context.table)


def surrogate_of_score(context: Context) -> Surrogate | Refusal:
    """Fit a model of the score as it is."""
    return _surrogate(context, "score")


def surrogate_at_equal_cost(context: Context) -> Surrogate | Refusal:
    """Fit a model of the score among networks of equal cost."""
    return _surrogate(context, "equal cost")


SURROGATES = {"score": surrogate_of_score, "equal cost": surrogate_at_equal_cost}


def best_surrogate(context: Context) -> Surrogate | Refusal:
    """Return the adequate surrogate that predicts best, or why none is adequate."""
    fitted = [context.of(compute) for compute in SURROGATES.values()]
    found = [one for one in fitted if isinstance(one, Surrogate)]
    adequate = [one for one in found if one.adequate]
    if adequate:
        return max(adequate, key=lambda one: one.quality.r2)
    return found[0].refusal if found else next(one for one in fitted if isinstance(one, Refusal))


def expected_scores(context: Context) -> Shrunken | Refusal:
    """Shrink the scores of `table.designs()` towards a prediction that has not seen them.

    That of the adequate surrogate which predicts best, else of the cost alone. Refused where noise
    is unknown: without replicates the observed scores are all there is.
    """
    return _expected(context, context.table)


def expected_candidates(context: Context) -> Shrunken | Refusal:
    """Do the same for `table.candidates.designs()`: the proposed networks, too, if there are any.

    Noise, surrogate and trend are those of the random ones alone, whatever was proposed.
    """
    chosen = context.table.candidates
    return context.of(expected_scores) if chosen is context.table else _expected(context, chosen)


def _expected(context: Context, table: TrialTable) -> Shrunken | Refusal:
    measured, best = context.of(seed_noise), context.known(best_surrogate)
    if isinstance(measured, Refusal):
        return measured
    designs = table.designs()
    cost, score = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    if best is not None:
        predicted = best.predictions.set_index("architecture_hash")["predicted"]
        prior = predicted.reindex(designs["architecture_hash"]).to_numpy(float, copy=True)
        new = np.isnan(prior)
        if new.any():  # proposed networks, which the surrogate of the random ones never saw
            model = fit_target(best.model, best.target, Data.of(context.table), context.seed)
            prior[new] = model.predict(table.codes(designs[new]), table.log_cost(designs[new]))
    else:
        prior = cost_trend_prior(cost, score)
    return shrink(
        score,
        designs["repeats"],
        measured.sd_at(cost) ** 2,
        prior,
        noise_freedom=measured.degrees_of_freedom,
    )


def estimate(table: TrialTable, *, seed: int = 0) -> Shrunken | None:
    """Return what each of `table.candidates.designs()` is to score; None without replicates."""
    return Context(table, seed=seed).known(expected_candidates)


def _surrogate(context: Context, target: Target) -> Surrogate | Refusal:
    measured = context.known(seed_noise)
    return surrogate(context.table, target, noise=measured, seed=context.seed)
