"""How training went, by the names that a context knows the results by.

Runs that learned nothing are found by one rule for the whole analysis (`TrialTable.collapsed`).
Which choices go with that, and with failing, is a test by permutation at equal cost, apart from
the scores; what the estimates are with those runs is asked of the effects.
"""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.questions.training.failures import Failures, collapses, failures
from analysis.questions.training.nothing import Collapse, learned_nothing
from analysis.questions.training.rising import Rising, rising
from analysis.stats.refusal import Refusal


def runs_without_learning(context: Context) -> Collapse | Refusal:
    """Name what learned nothing."""
    return learned_nothing(context.table)


def collapses_by_factor(context: Context) -> Failures | Refusal:
    """Test which factors go with learning nothing."""
    return collapses(context.table, seed=context.seed)


def failures_by_factor(context: Context) -> Failures | Refusal:
    """Test which factors go with failing."""
    return failures(context.table, seed=context.seed)


def late_gain(context: Context) -> Rising | Refusal:
    """Measure how fast scores still rose at the end."""
    return rising(context.table, context.curves)
