"""Where the best values lie in the space, by the name that a context knows it by.

The primary method is the fitted effect of each factor at equal cost, among the networks with the
best value of what others depend on; the check is where the best tenth of the networks lies.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.questions.context import Context
from analysis.questions.edges.optima import Optima, optima
from analysis.questions.effects.numbers import effects_at_equal_cost, effects_within_levels
from analysis.questions.estimates import expected_scores
from analysis.stats.coding import groups
from analysis.stats.refusal import Refusal
from analysis.trials.table import SEARCHED, TrialTable


def best_values(context: Context) -> Optima | Refusal:
    """Find the best value of every factor, and whether it lies at an end of the space."""
    overall, within = context.of(effects_at_equal_cost), context.known(effects_within_levels)
    if isinstance(overall, Refusal):
        return overall
    table, condition, at, measured = context.table, "", "", overall
    if within is not None:
        condition, (at, measured) = within.condition, next(iter(within.levels.items()))
        table = part(table, condition, at)
    designs, every = table.designs(), context.designs
    shrunken = context.known(expected_scores)
    scores = every["score"].to_numpy(float) if shrunken is None else shrunken.mean
    expected = scores[every["architecture_hash"].isin(designs["architecture_hash"])]
    found = optima(table, measured, expected, condition=condition, at=at, seed=context.seed)
    return found if found.optima else Refusal("edges.none")


def part(table: TrialTable, condition: str, at: str) -> TrialTable:
    """Return the randomly drawn networks with one value of a factor."""
    frame = table.complete(SEARCHED)
    group, names = groups(table.factor(condition), frame[condition])
    return replace(table, frame=frame[group == names.index(at)])
