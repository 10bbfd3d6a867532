"""Whether the trials can be trusted: negative control, failures, seed-to-seed variability."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.page.blocks import Block, Details, Paragraph, Section
from analysis.page.quantities import fixed, percent, short, words
from analysis.page.words import Text, say
from analysis.questions.context import Context, Question
from analysis.questions.estimates import seed_noise
from analysis.questions.trust.failures import Failures
from analysis.questions.trust.figures import leak_check, noise_by_cost
from analysis.questions.trust.leak import CHANCE, METRIC
from analysis.questions.trust.numbers import failures_by_factor, leak_verdict
from analysis.stats.interval import ALPHA, PERCENT
from analysis.stats.refusal import Refusal

LONGEST_REASON = 160
KINDS = {"missing": "caution", "passed": "good", "undecided": "caution", "failed": "alarm"}
text = Text("trust")


def section(context: Context) -> Section:
    """Show the negative control, the trials by role and state, and the failures by reason."""
    table = context.table
    blocks: list[Block] = [leak_paragraph(context)]
    verdict = context.known(leak_verdict)
    if verdict is not None and verdict.trials and METRIC in table.metrics and len(context.designs):
        blocks.append(text.figure("leak_check", leak_check(table, METRIC, CHANCE)))
    counts = trial_counts(table.frame)
    blocks.append(text.table("trials_by_role", counts, counts))
    blocks += [*_failures(context), *_noise(context), *_labels(context)]
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
            follows=found.trend_p < ALPHA,
            p=found.trend_p,
        ),
    ]


def _failures(context: Context) -> list[Block]:
    failed, cost = context.table.failed(), context.table.cost
    if failed.empty:
        return [text.paragraph("no_failure")]
    reason = failed["failure"] if "failure" in failed else pd.Series(None, index=failed.index)
    reasons = reason.fillna("no reason was recorded").astype(str)
    reasons = reasons.where(reasons.str.len() <= LONGEST_REASON, reasons.str[:LONGEST_REASON] + "…")
    grouped = failed.assign(reason=reasons).groupby("reason")
    costs = grouped[cost].agg(
        lambda c: f"{short(c.min())} to {short(c.max())}" if c.notna().any() else "–"
    )
    shown = pd.DataFrame({"trials": grouped.size(), "of cost": costs})
    shown = shown.sort_values("trials", ascending=False).reset_index().astype(str)
    ended = int(context.table.frame["state"].isin(["complete", "failed"]).sum())
    data = failed.assign(reason=reasons)
    table = text.table("failures", shown, data, failed=len(failed), ended=ended)
    found = context.of(failures_by_factor)
    if isinstance(found, Refusal):
        return [table, Paragraph(say(found), "refusal")]
    return [table, *_blame(found)]


def _blame(found: Failures) -> list[Block]:
    """Say which factors go with failing at equal cost, with the rate of each of their levels."""
    said = text(
        "failures",
        n=found.n,
        share=found.share,
        cost_p=found.cost_p,
        alpha=ALPHA,
        dearer=found.dearer,
        factors=[factor.factor for factor in found.telling],
    )
    if not found.telling:
        return [Paragraph(said)]
    rows = [(factor, level) for factor in found.telling for level in factor.levels]
    shown = pd.DataFrame(
        {
            "factor": [words(factor.factor) for factor, _ in rows],
            "level": [level.level for _, level in rows],
            "failed": [f"{level.failed} of {level.n}" for _, level in rows],
            "expected": [fixed(level.expected, 1) for _, level in rows],
            "share": [percent(level.share.estimate) for _, level in rows],
            f"{PERCENT} interval": [
                f"{percent(level.share.low)} to {percent(level.share.high)}" for _, level in rows
            ],
        }
    )
    table = text.table("failures_by_factor", shown, found.to_frame())
    return [Paragraph(said, "caution"), table]


def _labels(context: Context) -> list[Block]:
    """Tabulate how often each class occurs in the data."""
    labels = context.table.study.data.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        return []
    counts = sorted(labels.items(), key=lambda item: -int(item[1]))
    rows = [(str(name), str(int(count))) for name, count in counts]
    shown = pd.DataFrame(rows, columns=["class", "records"])
    return [Details("The data: records by class", (text.table("labels", shown, shown),))]


QUESTION = Question("trust", section, without_networks=True)
