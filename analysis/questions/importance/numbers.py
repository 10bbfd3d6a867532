"""Results of the importances, by the names that a context knows them by.

The primary method are SHAP values of a surrogate that beats the cost alone. What could contradict
it is PED-ANOVA, which needs no surrogate; what both cannot tell apart, the ties of the design show.
"""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.questions.estimates import SURROGATES
from analysis.questions.importance.agreement import Agreement, agreement
from analysis.questions.importance.shap import Importance, Subset, importance
from analysis.stats.refusal import Refusal
from analysis.stats.ties import Design, design
from analysis.surrogates.surrogate import Target

Importances = dict[Subset, Importance]


def importance_for_score(context: Context) -> Importances | Refusal:
    """Explain the score as it is."""
    return _importance(context, "score")


def importance_at_equal_cost(context: Context) -> Importances | Refusal:
    """Explain the score among networks of equal cost."""
    return _importance(context, "equal cost")


def agreement_on_score(context: Context) -> Agreement | Refusal:
    """Rank the factors by another method, for the score as it is."""
    return _agreement(context, "score")


def agreement_at_equal_cost(context: Context) -> Agreement | Refusal:
    """Rank the factors by another method, among networks of equal cost."""
    return _agreement(context, "equal cost")


IMPORTANCES = {"score": importance_for_score, "equal cost": importance_at_equal_cost}
AGREEMENTS = {"score": agreement_on_score, "equal cost": agreement_at_equal_cost}


def ties_of_design(context: Context) -> Design | Refusal:
    """Measure which factors go together by design."""
    return design(context.table)


def _importance(context: Context, target: Target) -> Importances | Refusal:
    fitted = context.of(SURROGATES[target])
    if isinstance(fitted, Refusal):
        return fitted
    return importance(context.table, fitted, bootstraps=context.bootstraps, seed=context.seed)


def _agreement(context: Context, target: Target) -> Agreement | Refusal:
    explained = context.of(IMPORTANCES[target])
    if isinstance(explained, Refusal):
        return explained
    return agreement(context.table, explained["all"])
