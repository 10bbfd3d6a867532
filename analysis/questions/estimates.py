"""The one estimate of what every network is expected to score.

Report, `recommend`, the choice of candidates to confirm, the family, dashboard and notebooks all
take it from here, so that they name the same networks.
"""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.stats.noise import Noise, noise
from analysis.stats.refusal import Refusal
from analysis.stats.shrinkage import Shrunken, cost_trend_prior, shrink
from analysis.surrogates.surrogate import Surrogate, Target, surrogate
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


def expected_scores(context: Context) -> Shrunken | Refusal:
    """Shrink the scores of `table.designs()` towards a prediction that has not seen them.

    That of the adequate surrogate which predicts best, else of the cost alone. Refused where noise
    is unknown: without replicates the observed scores are all there is.
    """
    table, measured = context.table, context.of(seed_noise)
    if isinstance(measured, Refusal):
        return measured
    designs = table.designs()
    cost, score = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    fitted = [context.known(compute) for compute in SURROGATES.values()]
    adequate = [one for one in fitted if one is not None and one.adequate]
    if adequate:
        best = max(adequate, key=lambda one: one.quality.r2)
        predicted = best.predictions.set_index("architecture_hash")["predicted"]
        prior = predicted.loc[designs["architecture_hash"]].to_numpy(float)
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
    """Return the expected score of every network of `table.designs()`; None without replicates."""
    return Context(table, seed=seed).known(expected_scores)


def _surrogate(context: Context, target: Target) -> Surrogate | Refusal:
    measured = context.known(seed_noise)
    return surrogate(context.table, target, noise=measured, seed=context.seed)
