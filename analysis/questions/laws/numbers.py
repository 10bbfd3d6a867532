"""Results of the laws, by the names that a context knows them by.

The primary methods are a quantile regression of the error on a floor and a power of the cost, and
a quadratic surface in the logarithms of the sizes whose optimum moves with the cost. Each law must
pass its gates; isotonic regression, which assumes no form, is the check on both.
"""

from __future__ import annotations

import numpy as np

from analysis.questions.budgets.recommend import round_budgets
from analysis.questions.context import Context
from analysis.questions.laws.error import ErrorLaw, error_law
from analysis.questions.laws.monotone import Monotone, monotone
from analysis.questions.laws.scaled import (
    Scaled,
    scaled_architectures,
    standing,
    study_shape,
    study_space,
)
from analysis.questions.laws.shape import ShapeLaw, shape_laws
from analysis.stats.refusal import Refusal

SCALED_BUDGETS = 4


def law_of_error(context: Context) -> ErrorLaw | Refusal:
    """Fit the error over cost."""
    return error_law(context.table, seed=context.seed)


def laws_of_shape(context: Context) -> tuple[ShapeLaw | Refusal, ...] | Refusal:
    """Fit the best sizes over cost."""
    return shape_laws(context.table, seed=context.seed) or Refusal("laws.no_sizes")


def rise_with_cost(context: Context) -> Monotone | Refusal:
    """Hold the mean score against a curve that never falls with cost."""
    return monotone(context.table, seed=context.seed)


def scaled_networks(context: Context) -> dict[float, Scaled | Refusal] | Refusal:
    """Build one network for some budgets from the laws that stand."""
    laws = context.of(laws_of_shape)
    if isinstance(laws, Refusal):
        return laws
    space = study_space(context.table)
    if space is None:
        return Refusal("laws.no_space")
    ceiling = min((float(law.curve["cost"].max()) for law in standing(laws)), default=0.0)
    budgets = [budget for budget in round_budgets(context.table) if budget <= ceiling]
    places = np.unique(np.linspace(0, len(budgets) - 1, SCALED_BUDGETS).round().astype(int))
    shape = study_shape(context.table)
    return {
        budgets[place]: scaled_architectures(
            context.table, laws, budgets[place], space, shape, count=1, seed=context.seed
        )
        for place in places
        if budgets
    }
