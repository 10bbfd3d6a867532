"""Whether the trials can be trusted, by the names that a context knows the results by."""

from __future__ import annotations

from analysis.questions.context import Context
from analysis.questions.trust.leak import Verdict, judge_leak
from analysis.stats.refusal import Refusal


def leak_verdict(context: Context) -> Verdict | Refusal:
    """Judge the negative control."""
    return judge_leak(context.table, context.class_scores)
