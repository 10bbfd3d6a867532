"""Results on distributions, by the names that a context knows them by.

The primary method compares whole distributions at equal FLOPs by permutation, which assumes no
form; its check are the effects at equal cost, with which it must agree where a factor shifts the
mean.
"""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.questions.distributions.curves import MatchedComparison, compare_factors
from analysis.questions.distributions.spaces import SpacesComparison, compare_spaces
from analysis.stats.refusal import Refusal


def factors_at_equal_cost(context: Context) -> tuple[MatchedComparison, ...] | Refusal:
    """Compare the values of every factor."""
    found = compare_factors(context.table, seed=context.seed)
    return found or Refusal("distributions.no_range")


def spaces_at_equal_cost(context: Context) -> SpacesComparison | Refusal:
    """Compare with another study's design space."""
    if context.other is None:
        return Refusal("distributions.no_other")
    return compare_spaces(context.table, context.other, seed=context.seed)
