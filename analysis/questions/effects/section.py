"""What each choice does at equal compute, without a surrogate: the anchor of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.page.blocks import Block, Details, FigureBlock, Heading, Paragraph, Section
from analysis.page.quantities import Unit, p_value, words
from analysis.page.words import Text, say
from analysis.questions.context import Context, Finding, Question
from analysis.questions.effects.figures import effect_of_levels, forest
from analysis.questions.effects.main import Effects, FactorEffect
from analysis.questions.effects.numbers import (
    effects_at_equal_cost,
    effects_of_pairs,
    effects_with_collapsed,
    effects_within_levels,
)
from analysis.questions.effects.pairs import pair_blocks, within_sentence
from analysis.questions.importance.numbers import importance_at_equal_cost
from analysis.stats.interval import ALPHA, Interval
from analysis.stats.refusal import Refusal

MOST_NAMED, MOST_WITHIN = 4, 6
text = Text("effects")


def section(context: Context) -> Section:
    """Draw the forest, say each settled effect in a sentence, then the levels and the pairs."""
    found = context.of(effects_at_equal_cost)
    if isinstance(found, Refusal):
        blocks: tuple[Block, ...] = (Paragraph(say(found), "refusal"),)
    else:
        blocks = (
            *_effects(context, found),
            *pair_blocks(context),
            *_within(context),
            _levels(context, found),
        )
    return Section("effects", "Effects at equal cost", blocks)


def finding(context: Context) -> Finding:
    """Name the choices that change the score at equal compute, or say that none does."""
    found, unit = context.of(effects_at_equal_cost), context.unit
    title = "What helps"
    if isinstance(found, Refusal):
        return Finding(title, (text("unknown", reason=say(found)),))
    told = found.settled
    if not told:
        return Finding(title, (text("no_effect", detectable=detectable(found, unit)),))
    parts = _named(told, unit)
    more, rest = len(told) - len(parts), len(found.effects) - len(told)
    within = context.known(effects_within_levels)
    aside = len(context.table.aside) > 0
    changes = {
        "aside": aside,
        "unit": unit,
        "parts": parts,
        "more": more,
        "rest": rest if within is None else 0,
    }
    sentences = [text("changes", **changes)]
    pairs = context.known(effects_of_pairs)
    if pairs is not None and pairs.settled:
        sentences.append(text("depends", pair=within_sentence(pairs.settled[0], unit)))
    if within is not None:
        level, inside = next(iter(within.levels.items()))
        rest_names = [effect.factor for effect in inside.effects if not effect.settled]
        part = {"condition": within.condition, "at": level, "n": inside.n, "rest": rest_names}
        named = _named(inside.settled, unit, MOST_WITHIN)
        sentences.append(text("inside", parts=named, **part))
    sentences += _second_opinion(context, {effect.factor for effect in told})
    return Finding(title, tuple(sentences))


def _named(told: Sequence[FactorEffect], unit: Unit, most: int = MOST_NAMED) -> list[str]:
    """Say of the first few effects what is compared, and what it is worth."""
    parts = []
    for effect in told[:most]:
        written, compared = measured(effect, unit)
        parts.append(f"{words(effect.factor)} ({compared}) {written}")
    return parts


def sentence(effect: FactorEffect, unit: Unit) -> str:
    """Say an effect: squeeze-and-excitation: +0.6 ± 0.3 points at equal FLOPs (0.25 against 0)."""
    written, compared = measured(effect, unit)
    return f"{words(effect.factor)}: {written} at equal FLOPs ({compared})"


def measured(effect: FactorEffect, unit: Unit) -> tuple[str, str]:
    """Write an effect's size, and what is compared: its ends, or its best level if it bends."""
    best: tuple[Interval, str] = (effect.best.effect, f"best {effect.best.level}, against all")
    ends: tuple[Interval, str] = (effect.effect, f"{effect.level} against {effect.baseline}")
    size, compared = best if effect.bent else ends
    return unit.written(size), compared


def detectable(found: Effects, unit: Unit) -> str:
    """Write the effect that would have been found with 80 % power, for the factor in the middle."""
    size = float(np.median([effect.se for effect in found.effects])) * 3.6  # Bonferroni, 80 % power
    return f"{unit.size(size)} {unit.unit}".strip()


def _effects(context: Context, found: Effects) -> list[Block]:
    unit, told = context.unit, found.settled
    rest = [effect.factor for effect in found.effects if not effect.settled]
    return [
        text.paragraph("intro"),
        text.figure(
            "effects_at_equal_cost",
            forest(found, unit),
            n=found.n,
            metric=context.table.objective,
            unit=unit,
            alpha=ALPHA,
            maximize=context.table.maximize,
        ),
        *(Paragraph(f"{sentence(e, unit)}, {p_value(e.p_adjusted)}.") for e in told),
        text.paragraph("rest", rest=rest, detectable=detectable(found, unit))
        if rest
        else text.paragraph("none_left"),
        *(
            text.paragraph("held", "caution", factor=e.factor, held=e.held)
            for e in found.effects
            if e.held
        ),
        *_with_collapsed(context, found),
    ]


def _with_collapsed(context: Context, found: Effects) -> list[Block]:
    """Say what the effects are with the runs that learned nothing, where some were set aside."""
    whole = context.known(effects_with_collapsed) if len(context.table.aside) else None
    if whole is None:
        return []
    here = {effect.factor: effect for effect in found.effects}
    moved = [
        effect
        for effect in whole.effects
        if (own := here.get(effect.factor)) is None
        or own.settled != effect.settled
        or abs(own.effect.estimate - effect.effect.estimate) > own.effect.half
    ]
    parts = _named(moved, context.unit, len(moved))
    said = [
        f"{part}{'' if effect.settled else ' (not significant)'}"
        for part, effect in zip(parts, moved, strict=True)
    ]
    return [text.paragraph("with_collapsed", n=found.n, more=whole.n - found.n, moved=said)]


def _within(context: Context) -> list[Block]:
    """Draw the effects within each level of the factor that others depend on."""
    found, unit = context.known(effects_within_levels), context.unit
    if found is None:
        return []
    panels = [
        FigureBlock(
            f"effects_with_{found.condition}_{level}",
            f"{words(found.condition)} {level}, {inside.n} networks",
            "",
            forest(inside, unit),
        )
        for level, inside in found.levels.items()
    ]
    return [
        Heading(f"Within {words(found.condition)}"),
        text.paragraph("within_levels", condition=found.condition),
        text.grid("effects_by_level", panels),
    ]


def _levels(context: Context, found: Effects) -> Details:
    panels = [
        FigureBlock(
            f"effect_{effect.factor}",
            words(effect.factor),
            "" if effect.settled else "not statistically significant",
            effect_of_levels(effect, context.unit),
        )
        for effect in found.effects
    ]
    return Details("The same, level by level", (text.grid("effects_of_levels", panels),))


def _second_opinion(context: Context, told: set[str]) -> list[str]:
    """Say whether the importances at equal cost single out the same factors."""
    explained = context.known(importance_at_equal_cost)
    if explained is None or "all" not in explained:
        return []
    factors = explained["all"].factors
    important = {factor.factor for factor in factors if factor.important}
    if important == told:
        return [text("same_choices")]
    adds = [f.factor for f in factors if f.factor in important - told]
    misses = [f.factor for f in factors if f.factor in told - important]
    return [text("other_choices", adds=adds, misses=misses, no_one=not told & important)]


QUESTION = Question("effects", section, finding)
