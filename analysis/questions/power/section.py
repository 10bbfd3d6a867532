"""How many more trials would settle what is open."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, FigureBlock, Paragraph, Section, TableBlock
from analysis.page.quantities import percent, short, words
from analysis.page.text import plural
from analysis.questions.effects.section import difference_of
from analysis.questions.fronts.figures import hypervolume_curve
from analysis.questions.power.figures import learning_curve, networks_needed
from analysis.questions.power.needs import EFFECT, EXPONENT, Need
from analysis.report.results import Results

MOST = 10**6


def more_section(results: Results) -> Section:
    """Tabulate what each question needs, and draw what further trials would add."""
    blocks: list[Block] = []
    found = results.power
    if found is None or not found.needs:
        reason = results.reasons.get("power") or (
            results.effects.refusal if results.effects is not None else None
        )
        blocks.append(
            Paragraph(f"Not computed: {(reason or 'no effects').rstrip('.')}.", "refusal")
        )
    else:
        blocks.append(Paragraph(need_sentence(results)))
        blocks.append(
            FigureBlock(
                "networks_needed",
                "Networks that would answer each question.",
                "Number of networks in all for an effect of the goal below to be found with 80 % "
                "probability, or an exponent to be known within it; the dashed line is how many "
                "there are. Filled: answered already. Extrapolated from today's standard errors.",
                networks_needed(found),
            )
        )
        blocks.append(
            TableBlock(
                "power",
                "What is known now, and what it would take.",
                f"Effects: goal {_goal(results)}; “seen now” is the smallest effect found with "
                f"80 % power today. Exponents: goal ± {EXPONENT:g}; “seen now” is half the 95 % "
                "interval. The last row counts further seeds, for an sd of the noise known within "
                "a fifth.",
                _shown(results, found.needs),
                found.to_frame(),
            )
        )
        if not found.learning.empty:
            blocks.append(
                FigureBlock(
                    "learning_curve",
                    "Would more networks teach the surrogate more?",
                    "R² on unseen networks as the surrogate is fitted to more of them. A curve "
                    "that still rises at its end says that more trials help.",
                    learning_curve(found),
                )
            )
    if results.growth is not None:
        g = results.growth
        blocks.append(
            FigureBlock(
                "hypervolume",
                "Would more networks move the front?",
                "Hypervolume under the observed front (log cost; share of the box between the "
                "cheapest and dearest network and the lowest and highest score) as networks are "
                "added in random order. A curve that has become flat says that more random "
                "networks would add little.",
                hypervolume_curve(g.sizes, g.mean, g.low, g.high),
            )
        )
    return Section("more", "How many more trials", tuple(blocks))


def need_sentence(results: Results) -> str:
    """Say what the trials resolve and what a smaller effect would take."""
    assert results.power is not None
    effects = [need for need in results.power.needs if need.kind == "effect"]
    if not effects:
        return "No effect could be measured, so none can be planned for."
    settled = sum(need.settled for need in effects)
    worst = max(effects, key=lambda need: need.needed)
    text = f"{settled} of {plural(len(effects), 'effect')} are settled."
    if worst.more == 0:
        return f"{text} An effect of {_goal(results)} would have been found for every factor."
    return (
        f"{text} To find effects of {_goal(results)} with 80 % probability for every factor, "
        f"{short(worst.more)} more networks would be needed (most for "
        f"{words(worst.question.split(':')[0])})."
    )


def _goal(results: Results) -> str:
    unit = difference_of(results)
    return f"{abs(unit.scale) * EFFECT:g} {unit.unit}".strip()


def _shown(results: Results, needs: tuple[Need, ...]) -> pd.DataFrame:
    unit = difference_of(results)

    def number(need: Need, value: float) -> str:
        if not np.isfinite(value):
            return "–"
        if need.kind == "noise":
            return f"{value:.4f}"
        if need.kind == "exponent":
            return f"{value:.2f}".replace("-", "−")
        return unit.number(value)

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
            "needed": [_count(need.needed) for need in needs],
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


def _count(count: int) -> str:
    return f"> {short(MOST)}" if count > MOST else short(count)
