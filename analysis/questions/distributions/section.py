"""How scores are distributed, overall and for each value of a factor at equal compute."""

from __future__ import annotations

from analysis.page.blocks import Block, FigureBlock, Paragraph, Section
from analysis.page.quantities import words
from analysis.page.words import Text, say
from analysis.questions.context import Context, Question
from analysis.questions.distributions.figures import (
    best_of_n_curve,
    factor_distribution,
    score_distribution,
)
from analysis.questions.distributions.numbers import factors_at_equal_cost, spaces_at_equal_cost
from analysis.questions.fronts.numbers import shown_metrics
from analysis.stats.interval import ALPHA
from analysis.stats.refusal import Refusal

text = Text("distributions")


def section(context: Context) -> Section:
    """Draw score distributions, matched distributions per factor and the best-of-n curve."""
    table, objective = context.table, context.table.objective
    blocks: list[Block] = [
        text.figure(
            f"distribution_{metric}",
            score_distribution(table, metric),
            key="distribution",
            metric=metric,
        )
        for metric in shown_metrics(table)
    ]
    blocks += [*_factors(context), *_spaces(context)]
    blocks.append(text.figure("best_of_n", best_of_n_curve(table, objective), metric=objective))
    return Section("spread", "How scores are distributed", tuple(blocks))


def _factors(context: Context) -> list[Block]:
    """Compare the values of every factor at equal compute."""
    found = context.of(factors_at_equal_cost)
    if isinstance(found, Refusal):
        return [Paragraph(say(found), "refusal")]
    ordered = sorted(found, key=lambda c: (c.p_holm, -max(c.distances)))
    panels = [
        FigureBlock(
            f"distribution_{c.factor}",
            words(c.factor),
            text("panel", gap=max(c.distances), p=c.p_holm, bins=max(c.n_bins)),
            factor_distribution(c, context.table.objective),
        )
        for c in ordered
    ]
    told = sum(c.settled for c in ordered)
    return [
        text.paragraph("factors", told=told, of=len(ordered), alpha=ALPHA),
        text.grid("distribution_by_factor", panels),
    ]


def _spaces(context: Context) -> list[Block]:
    """Draw two design spaces at equal compute, where a second study was given."""
    if context.other is None:
        return []
    found = context.of(spaces_at_equal_cost)
    if isinstance(found, Refusal):
        return [Paragraph(say(found), "refusal")]
    size, p = context.unit.written(found.difference), found.matched.p_value
    drawn = factor_distribution(found.matched, context.table.objective)
    blocks: list[Block] = [
        text.paragraph("spaces", names=found.names, size=size, told=p < ALPHA, p=p)
    ]
    if found.unlike:
        blocks.append(text.paragraph("unlike", "caution", unlike=found.unlike))
    return [*blocks, text.figure("distribution_of_spaces", drawn, names=found.names)]


QUESTION = Question("distributions", section)
