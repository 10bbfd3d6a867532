"""What each choice does at equal compute, without a surrogate: the anchor of the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Paragraph,
    Section,
    TableBlock,
)
from analysis.page.quantities import Difference, difference, p_cell, p_value, quantity, words
from analysis.page.text import listed, plural
from analysis.questions.effects.figures import effect_of_levels, forest
from analysis.questions.effects.main import Effects, FactorEffect
from analysis.questions.effects.pairs import pair_blocks
from analysis.questions.laws.monotone import trends_frame
from analysis.report.results import Results

TITLE = "Effects at equal cost"


def effects_section(results: Results) -> Section:
    """Draw the forest, say each settled effect in a sentence, then the levels and the trends."""
    found = results.effects
    blocks: list[Block] = []
    if found is None or found.refusal is not None or not found.effects:
        blocks.append(Paragraph(effects_reason(results), "refusal"))
        return Section("effects", TITLE, tuple(blocks))
    metric, unit = results.table.objective, difference_of(results)
    blocks.append(
        Paragraph(
            "The simplest question, and the one answered with the fewest assumptions: what does "
            "one choice do among networks of equal compute? Factors were drawn at random, so a "
            "difference that is more than chance is an effect. A choice that itself costs compute "
            "is charged for it: the rest of the network had to be smaller."
        )
    )
    blocks.append(
        FigureBlock(
            "effects_at_equal_cost",
            "Effect of each choice at equal compute.",
            f"{plural(found.n, 'network')}; differences in {quantity(metric).name}"
            f"{', in percentage points,' if unit.unit else ''} with 95 % intervals, from a "
            "regression on a spline in log cost and the factor. Switches and kinds: the levels "
            "named; numbers: the 90th against the 10th percentile of the values tried, on a fitted "
            "curve. Filled: beyond doubt after correction for the number of factors (Holm, p < "
            "0.05); a filled point whose interval holds zero is of a factor that is best (or "
            "worst) in between. To the "
            f"{'right' if results.table.maximize else 'left'} is better.",
            forest(found, unit),
        )
    )
    told = [effect for effect in found.effects if effect.settled]
    blocks += [Paragraph(f"{sentence(effect, unit)}, {p_value(effect.p_adjusted)}.")
               for effect in told]  # fmt: skip
    blocks.append(Paragraph(_rest(found, told, unit)))
    blocks += pair_blocks(results, unit)
    panels = tuple(
        FigureBlock(
            f"effect_{effect.factor}",
            words(effect.factor),
            "" if effect.settled else "not told from chance",
            effect_of_levels(effect, unit),
        )
        for effect in found.effects
    )
    grid = GridBlock(
        "effects_of_levels",
        "Effect of each level.",
        "Each level against the mean of all networks, at equal compute, with 95 % intervals; "
        "numbers with many values are cut into thirds.",
        panels,
    )
    blocks += [Details("The same, level by level", (grid,)), *_trends(results)]
    return Section("effects", TITLE, tuple(blocks))


def sentence(effect: FactorEffect, unit: Difference) -> str:
    """Say an effect: squeeze-and-excitation: +0.6 ± 0.3 points at equal FLOPs (0.25 against 0)."""
    written, compared = measured(effect, unit)
    return f"{words(effect.factor)}: {written} at equal FLOPs ({compared})"


def measured(effect: FactorEffect, unit: Difference) -> tuple[str, str]:
    """Write an effect's size, and what is compared: its ends, or its best level if it bends."""
    best = effect.best
    if effect.bent:
        return unit.written(best.estimate, best.low, best.high), f"best {best.level}, against all"
    return (
        unit.written(effect.estimate, effect.low, effect.high),
        f"{effect.level} against {effect.baseline}",
    )


def difference_of(results: Results) -> Difference:
    """Say how differences of the study's objective are written."""
    return difference(results.table.objective, results.table.maximize)


def effects_reason(results: Results) -> str:
    """Say why there are no effects."""
    if results.effects is not None and results.effects.refusal is not None:
        reason = results.effects.refusal
        return f"{reason[0].upper()}{reason[1:]}."
    return results.reasons.get("effects", "No factor varies, so there is no effect to measure.")


def detectable(found: Effects, unit: Difference) -> str:
    """Write the effect that would have been found with 80 % power, for the factor in the middle."""
    size = float(np.median([effect.se for effect in found.effects])) * 3.6  # Bonferroni, 80 % power
    return f"{unit.size(size)} {unit.unit}".strip()


def _rest(found: Effects, told: list[FactorEffect], unit: Difference) -> str:
    rest = [words(effect.factor) for effect in found.effects if not effect.settled]
    if not rest:
        return "Every factor has an effect beyond doubt."
    subject = listed(rest)
    start = f"{subject[0].upper()}{subject[1:]} could not be told from chance"
    return (
        f"{start}; effects of about {detectable(found, unit)} would most likely have been seen, "
        "smaller ones need more networks (see below)."
        + ("" if told else " No factor has an effect beyond doubt.")
    )


def _trends(results: Results) -> list[Block]:
    """Tabulate the trend of each ordered factor within bins of cost."""
    if not results.trends:
        return []
    shown = pd.DataFrame(
        {
            "factor": [words(t.factor) for t in results.trends],
            "more of it wins minus loses": [
                f"{100 * t.dominance:+.0f} %".replace("-", "−") for t in results.trends
            ],
            "p after Holm": [p_cell(t.p_adjusted) for t in results.trends],
        }
    )
    table = TableBlock(
        "trends",
        "Trends without a curve.",
        "Among pairs of networks of like compute that differ in the factor: how much oftener the "
        "one with more of it scores better than worse (Jonckheere–Terpstra within "
        f"{results.trends[0].bins} ranges of compute).",
        shown,
        trends_frame(results.trends),
    )
    return [Details("Is more of a factor better throughout?", (table,))]
