"""Which choices depend on each other: the part of the effects that is about pairs."""

from __future__ import annotations

import pandas as pd

from analysis.page.blocks import Block, Details, FigureBlock, Heading, Paragraph
from analysis.page.quantities import Unit, p_cell, p_value, words
from analysis.page.words import Text, say
from analysis.questions.context import Context
from analysis.questions.effects.figures import effect_within
from analysis.questions.effects.interactions import Interaction, Interactions
from analysis.questions.effects.numbers import effects_of_pairs
from analysis.stats.refusal import Refusal

MOST_TOLD = 4
MOST_LISTED = 10
text = Text("effects")


def within_sentence(pair: Interaction, unit: Unit) -> str:
    """Say a factor's effect at both ends of what it depends on."""
    parts = [
        f"{unit.written(one.effect)} with {words(pair.condition)} {one.level}"
        for one in (pair.within[0], pair.within[-1])
    ]
    return f"{words(pair.factor)} ({pair.level} against {pair.baseline}): {parts[0]}, {parts[1]}"


def pair_blocks(context: Context) -> list[Block]:
    """Say which choices depend on each other, and fold the strongest pairs away."""
    found, unit = context.of(effects_of_pairs), context.unit
    blocks: list[Block] = [Heading("Where one choice depends on another")]
    if isinstance(found, Refusal):
        return [*blocks, Paragraph(say(found), "refusal")]
    told, tried = found.settled[:MOST_TOLD], len(found.pairs)
    if told:
        panels = [
            FigureBlock(
                f"{pair.factor}_by_{pair.condition}",
                f"{words(pair.factor)} by {words(pair.condition)}",
                "",
                effect_within(pair, unit),
            )
            for pair in told
        ]
        blocks += [
            text.paragraph("pairs", told=len(found.settled), tried=tried),
            *(Paragraph(f"{within_sentence(p, unit)}, {p_value(p.p_adjusted)}.") for p in told),
            text.grid("effects_within", panels),
        ]
    else:
        blocks.append(text.paragraph("no_pairs", tried=tried))
    table = text.table("interactions", _shown(found, unit), found.to_frame())
    return [*blocks, Details("The strongest pairs", (table,))]


def _shown(found: Interactions, unit: Unit) -> pd.DataFrame:
    """Tabulate the strongest pairs."""
    pairs = found.pairs[:MOST_LISTED]
    return pd.DataFrame(
        {
            "choice": [f"{words(p.factor)}, {p.level} against {p.baseline}" for p in pairs],
            "depends on": [words(p.condition) for p in pairs],
            "worth": [
                "; ".join(
                    f"{unit.written(w.effect)} at {w.level}" for w in (p.within[0], p.within[-1])
                )
                for p in pairs
            ],
            "p after Holm": [p_cell(p.p_adjusted) for p in pairs],
        }
    )
