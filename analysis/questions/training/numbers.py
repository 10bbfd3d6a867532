"""How training went, by the names that a context knows the results by."""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.questions.training.rising import Rising, rising
from analysis.stats.refusal import Refusal


def late_gain(context: Context) -> Rising | Refusal:
    """Measure how fast scores still rose at the end."""
    return rising(context.table, context.curves)
