"""Results of the effects at equal cost, by the names that a context knows them by.

The primary method regresses the score on the cost and one factor: no surrogate, few assumptions.
What could contradict it is a dependence between factors, so every pair is tested, too.
"""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.questions.effects.interactions import Interactions, interactions
from analysis.questions.effects.main import Effects, effects
from analysis.stats.refusal import Refusal


def effects_at_equal_cost(context: Context) -> Effects | Refusal:
    """Measure what each factor does."""
    return effects(context.table)


def effects_of_pairs(context: Context) -> Interactions | Refusal:
    """Test whether what one factor does depends on another."""
    return interactions(context.table)
