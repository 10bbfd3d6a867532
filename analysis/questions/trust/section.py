"""Whether the trials can be trusted: negative control, seed-to-seed variability."""

from __future__ import annotations

import pandas as pd

from analysis.page.blocks import Block, Paragraph, Section
from analysis.page.words import Text, say
from analysis.questions.context import Context, Question
from analysis.questions.estimates import seed_noise
from analysis.questions.trust.figures import leak_check, noise_by_cost
from analysis.questions.trust.leak import CHANCE, METRIC
from analysis.questions.trust.numbers import leak_verdict
from analysis.stats.refusal import Refusal

KINDS = {"missing": "caution", "passed": "good", "undecided": "caution", "failed": "alarm"}
text = Text("trust")


def section(context: Context) -> Section:
    """Show the negative control, the trials by role and state, and the noise."""
    table = context.table
    blocks: list[Block] = [leak_paragraph(context)]
    verdict = context.known(leak_verdict)
    if verdict is not None and verdict.trials and METRIC in table.metrics and len(context.designs):
        blocks.append(text.figure("leak_check", leak_check(table, METRIC, CHANCE)))
    counts = trial_counts(table.frame)
    blocks.append(text.table("trials_by_role", counts, counts))
    blocks += _noise(context)
    return Section("checks", "Can the trials be trusted?", tuple(blocks))


def leak_paragraph(context: Context) -> Paragraph:
    """Say what the control trials show."""
    v = context.of(leak_verdict)
    if isinstance(v, Refusal):
        return Paragraph(say(v), "refusal")
    values = {"controls": text("controls", v=v), "v": v} if v.trials else {}
    return text.paragraph(f"leak_{v.outcome}", KINDS[v.outcome], **values)  # type: ignore[arg-type]


def trial_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Count trials by role and state."""
    counts = pd.crosstab(frame["role"], frame["state"])
    counts["all"] = counts.sum(axis=1)
    counts.loc["all"] = counts.sum()
    counts.columns.name = None
    return counts.reset_index(names="role").astype(str)


def _noise(context: Context) -> list[Block]:
    """Show what the random seed alone changes."""
    if context.designs.empty:
        return []
    found = context.of(seed_noise)
    if isinstance(found, Refusal):
        return [Paragraph(say(found), "refusal")]
    return [
        text.paragraph("noise", metric=found.metric, sd=found.sd, ceiling=found.ceiling_equal_cost),
        text.figure(
            "noise",
            noise_by_cost(found, context.table.cost),
            n=len(found.replicates),
            follows=found.slope != 0,
            trend=found.trend,
        ),
    ]


QUESTION = Question("trust", section, without_networks=True)
