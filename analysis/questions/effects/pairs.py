"""Which choices depend on each other: the part of the effects that is about pairs."""

from __future__ import annotations

import pandas as pd

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Heading,
    Paragraph,
    TableBlock,
)
from analysis.page.quantities import Difference, p_cell, p_value, words
from analysis.page.text import plural
from analysis.questions.effects.figures import effect_within
from analysis.questions.effects.interactions import Interaction
from analysis.report.results import Results

MOST_TOLD = 4
MOST_LISTED = 10


def within_sentence(pair: Interaction, unit: Difference) -> str:
    """Say a factor's effect at both ends of what it depends on."""
    parts = [
        f"{unit.written(one.estimate, one.low, one.high)} with {words(pair.condition)} {one.level}"
        for one in (pair.within[0], pair.within[-1])
    ]
    return f"{words(pair.factor)} ({pair.level} against {pair.baseline}): {parts[0]}, {parts[1]}"


def pair_blocks(results: Results, unit: Difference) -> list[Block]:
    """Say which choices depend on each other, and fold the strongest pairs away."""
    found = results.interactions
    blocks: list[Block] = [Heading("Where one choice depends on another")]
    if found is None or found.refusal is not None:
        reason = found.refusal if found else results.reasons.get("interactions", "not computed")
        return [*blocks, Paragraph(f"Not tried: {str(reason).rstrip('.')}.", "refusal")]
    told = found.settled
    tried = f"{plural(len(found.pairs), 'pair')} of choices"
    if told:
        blocks.append(
            Paragraph(
                f"In {len(told)} of {tried} one depends on the other beyond doubt (Holm): what it "
                "is worth differs with the other."
            )
        )
        blocks += [
            Paragraph(f"{within_sentence(pair, unit)}, {p_value(pair.p_adjusted)}.")
            for pair in told[:MOST_TOLD]
        ]
        panels = tuple(
            FigureBlock(
                f"{pair.factor}_by_{pair.condition}",
                f"{words(pair.factor)} by {words(pair.condition)}",
                "",
                effect_within(pair, unit),
            )
            for pair in told[:MOST_TOLD]
        )
        blocks.append(
            GridBlock(
                "effects_within",
                "What a choice is worth, by another.",
                "Effects at equal compute with 95 % intervals, among the networks with each value "
                "of the other choice.",
                panels,
            )
        )
    else:
        blocks.append(Paragraph(f"None of {tried} was found to, beyond doubt (Holm)."))
    shown = pd.DataFrame(
        {
            "choice": [f"{words(p.factor)}, {p.level} against {p.baseline}" for p in found.pairs],
            "depends on": [words(p.condition) for p in found.pairs],
            "worth": [
                "; ".join(
                    f"{unit.written(w.estimate, w.low, w.high)} at {w.level}"
                    for w in (p.within[0], p.within[-1])
                )
                for p in found.pairs
            ],
            "p after Holm": [p_cell(p.p_adjusted) for p in found.pairs],
        }
    ).head(MOST_LISTED)
    table = TableBlock(
        "interactions",
        "The strongest pairs.",
        "Effect of the choice at the lowest and the highest value of the other.",
        shown,
        found.to_frame(),
    )
    return [*blocks, Details("The strongest pairs", (table,))]
