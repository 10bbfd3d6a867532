"""The recommendation for every budget, by the name that a context knows it by.

The primary method takes the smallest network that noise does not tell from the best expected one;
how many it does not tell from it, and the expected regret, are the check.
"""

from __future__ import annotations

from analysis.questions.budgets.recommend import Recommendation, recommend_all
from analysis.questions.context import Context
from analysis.questions.estimates import expected_candidates
from analysis.stats.refusal import Refusal


def recommendations(context: Context) -> dict[float, Recommendation | Refusal] | Refusal:
    """Recommend for the budgets that were confirmed, else for the round ones within the range."""
    shrunken, confirmed = context.known(expected_candidates), context.confirmed
    budgets = confirmed.rounds[0].budgets if confirmed is not None and confirmed.rounds else ()
    found = recommend_all(context.table.candidates, shrunken, budgets=budgets, seed=context.seed)
    return found or Refusal("budgets.none")


def picks(context: Context) -> list[Recommendation]:
    """Return the recommendations that were not refused, by budget."""
    found = context.known(recommendations) or {}
    return [pick for pick in found.values() if isinstance(pick, Recommendation)]
