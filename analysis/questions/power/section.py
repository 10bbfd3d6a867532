"""How many more trials would settle what is open."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Paragraph, Section
from analysis.page.quantities import fixed, percent, short, words
from analysis.page.words import Text, say
from analysis.questions.context import Context, Question
from analysis.questions.fronts.figures import hypervolume_curve
from analysis.questions.fronts.numbers import growth_of_front
from analysis.questions.power.figures import learning_curve
from analysis.questions.power.needs import EFFECT, EXPONENT, Need, Power
from analysis.questions.power.numbers import trials_needed
from analysis.stats.refusal import Refusal

MOST = 10**6
text = Text("power")


def section(context: Context) -> Section:
    """Tabulate what each question needs, and draw what further trials would add."""
    found, growth = context.of(trials_needed), context.known(growth_of_front)
    blocks: list[Block] = (
        [Paragraph(say(found), "refusal")] if isinstance(found, Refusal) else _needs(context, found)
    )
    if growth is not None:
        drawn = hypervolume_curve(growth.sizes, growth.mean, growth.low, growth.high)
        blocks.append(text.figure("hypervolume", drawn))
    return Section("more", "How many more trials", tuple(blocks))


def need_sentence(found: Power, goal: str) -> str:
    """Say what the trials resolve and what a smaller effect would take."""
    effects = [need for need in found.needs if need.kind == "effect"]
    if not effects:
        return text("nothing")
    worst = max(effects, key=lambda need: need.more or 0)
    return text(
        "needs",
        settled=sum(need.settled for need in effects),
        of=len(effects),
        goal=goal,
        more=worst.more,
        factor=worst.question.split(":")[0],
        among=worst.question.partition(", ")[2],
    )


def _needs(context: Context, found: Power) -> list[Block]:
    unit = context.unit
    goal = f"{abs(unit.scale) * EFFECT:g} {unit.unit}".strip()
    shown = _shown(context, found.needs)
    blocks: list[Block] = [
        Paragraph(need_sentence(found, goal)),
        text.table("power", shown, found.to_frame(), goal=goal, exponent=f"{EXPONENT:.2f}"),
    ]
    if not found.learning.empty:
        blocks.append(text.figure("learning_curve", learning_curve(found)))
    return blocks


def _shown(context: Context, needs: tuple[Need, ...]) -> pd.DataFrame:
    def number(need: Need, value: float) -> str:
        if not np.isfinite(value):
            return "–"
        if need.kind == "effect":
            return context.unit.number(value)
        return fixed(value, 4 if need.kind == "noise" else 2)

    return pd.DataFrame(
        {
            "question": [_question(need) for need in needs],
            "estimate": [number(need, need.estimate) for need in needs],
            "seen now": [
                percent(need.detectable)
                if need.kind == "noise"
                else number(need, need.detectable).lstrip("+−")
                for need in needs
            ],
            "have": [str(need.n) for need in needs],
            "needed": ["–" if need.settled else _count(need.needed) for need in needs],
            "more": ["–" if need.settled else _count(need.more) for need in needs],
            "answered": ["yes" if need.settled else "no" for need in needs],
        }
    )


def _question(need: Need) -> str:
    name, _, compared = need.question.partition(": ")
    if need.kind == "effect":
        return f"{words(name)}: {compared}"
    before, _, after = need.question.partition("growth of ")
    factor, _, rest = after.partition(" ")
    return need.question if before else f"growth of {words(factor)} {rest}"


def _count(count: int | None) -> str:
    if count is None:
        return "–"
    return f"> {short(MOST)}" if count > MOST else short(count)


QUESTION = Question("power", section)
