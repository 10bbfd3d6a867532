"""Results of the effects at equal cost, by the names that a context knows them by.

The primary method regresses the score on the cost and one factor: no surrogate, few assumptions.
What could contradict it is a dependence between factors, so every pair is tested, too; where one is
found, all effects are measured anew within the levels of the factor that others depend on. Where
runs that learned nothing are set aside, the effects with them are measured beside.
"""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.questions.effects.interactions import Interactions, interactions
from analysis.questions.effects.main import Effects, effects
from analysis.questions.effects.within import Within, effects_by_level
from analysis.stats.refusal import Refusal


def effects_at_equal_cost(context: Context) -> Effects | Refusal:
    """Measure what each factor does."""
    return effects(context.table)


def effects_with_collapsed(context: Context) -> Effects | Refusal:
    """Measure the same with the runs that learned nothing: what setting them aside changes."""
    return effects(context.table.whole)


def effects_of_pairs(context: Context) -> Interactions | Refusal:
    """Test whether what one factor does depends on another."""
    return interactions(context.table)


def effects_within_levels(context: Context) -> Within | Refusal:
    """Measure what each factor does within the levels of the one that others depend on."""
    overall, pairs = context.of(effects_at_equal_cost), context.of(effects_of_pairs)
    if isinstance(overall, Refusal):
        return overall
    return pairs if isinstance(pairs, Refusal) else effects_by_level(context.table, overall, pairs)
