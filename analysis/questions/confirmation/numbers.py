"""The confirmation's comparison, by the name that a context knows it by."""

from __future__ import annotations

from analysis.questions.confirmation.compare import compare
from analysis.questions.confirmation.results import Comparison
from analysis.questions.context import Context
from analysis.questions.estimates import expected_scores
from analysis.stats.refusal import Refusal


def confirmation(context: Context) -> Comparison | Refusal:
    """Compare searched with reference architectures on the test records."""
    if context.table.study.condition:
        return Refusal("confirmation.part")
    if context.confirmed is None:
        return Refusal("confirmation.none")
    shrunken = context.known(expected_scores)
    return compare(context.table, context.confirmed, shrunken=shrunken, seed=context.seed)
