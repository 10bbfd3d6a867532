"""What further trials would settle, by the names that a context knows it by.

The primary method extrapolates the standard errors of effects and exponents; the check are two
curves that assume nothing of how they shrink: what the surrogate learned and how the front grew.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.page.quantities import words
from analysis.questions.context import Context
from analysis.questions.effects.numbers import effects_at_equal_cost, effects_within_levels
from analysis.questions.estimates import seed_noise, surrogate_at_equal_cost, surrogate_of_score
from analysis.questions.laws.numbers import law_of_error, laws_of_shape
from analysis.questions.power.needs import Power, learning, power
from analysis.stats.refusal import Refusal


def trials_needed(context: Context) -> Power | Refusal:
    """Say what every effect and law would need."""
    found, within = context.of(effects_at_equal_cost), context.known(effects_within_levels)
    if isinstance(found, Refusal):
        return found
    measured, family = {"": found}, len(found.effects)
    if within is not None:  # what the others are worth is told within the best of its values
        own = tuple(effect for effect in found.effects if effect.factor == within.condition)
        at, inside = next(iter(within.levels.items()))
        measured = {"": replace(found, effects=own), f"{words(within.condition)} {at}": inside}
        family += sum(len(one.effects) for one in within.levels.values())
    return power(
        measured,
        context.known(laws_of_shape) or (),
        context.known(law_of_error),
        context.known(seed_noise),
        context.known(learning_of_surrogate),
        family=family,
    )


def learning_of_surrogate(context: Context) -> pd.DataFrame | Refusal:
    """Follow the surrogate at equal cost, or that of the score, as trials are added."""
    fitted = context.known(surrogate_at_equal_cost)
    found = fitted if fitted is not None else context.of(surrogate_of_score)
    if isinstance(found, Refusal):
        return found
    return learning(context.table, found, seed=context.seed)
