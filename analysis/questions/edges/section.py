"""Whether the space is wide enough: factors whose best value lies at an end of it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.page.blocks import Block, Paragraph, Section
from analysis.page.quantities import p_cell, percent, words
from analysis.page.words import Text, say
from analysis.questions.context import Context, Finding, Question
from analysis.questions.edges.numbers import best_values
from analysis.questions.edges.optima import Optima, Optimum
from analysis.stats.interval import PERCENT
from analysis.stats.refusal import Refusal
from analysis.trials.factors import label

TITLE = "Is the space wide enough?"
text = Text("edges")


def section(context: Context) -> Section:
    """Tabulate the best values, and say where the space should be wider."""
    found = context.of(best_values)
    if isinstance(found, Refusal):
        return Section("edges", TITLE, (Paragraph(say(found), "refusal"),))
    blocks: list[Block] = [text.paragraph("intro", found=found)]
    blocks.append(Paragraph(widen_sentence(found) or text("wide")))
    leaning = [one for one in found.optima if one.end and not one.open and not one.last]
    if leaning:
        blocks.append(text.paragraph("leans", parts=_parts(leaning)))
    final = [one.factor for one in found.optima if one.end and one.last]
    if final:
        blocks.append(text.paragraph("last", factors=final))
    if found.kinds:
        parts = [f"{words(name)} {level}" for name, level in found.kinds.items()]
        blocks.append(text.paragraph("kinds", parts=parts))
    blocks.append(text.table("space_edges", _shown(found), found.to_frame()))
    return Section("edges", TITLE, tuple(blocks))


def finding(context: Context) -> Finding:
    """Say where the space should be wider."""
    found = context.known(best_values)
    told = widen_sentence(found) if found is not None else ""
    return Finding("Where to look next", (told,) if told else ())


def widen_sentence(found: Optima) -> str:
    """Name the ends of the space where better values may lie beyond; "" where there are none."""
    return text("widen", found=found, parts=_parts(found.open)) if found.open else ""


def _parts(optima: Sequence[Optimum]) -> list[str]:
    return [text("part", one=one, end=label(one.end_value)) for one in optima]


def _shown(found: Optima) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "factor": [words(one.factor) for one in found.optima],
            "best": [label(one.best) for one in found.optima],
            f"{PERCENT} interval": [f"{label(o.low)} to {label(o.high)}" for o in found.optima],
            "end": [f"{label(o.end_value)} ({o.end})" if o.end else "–" for o in found.optima],
            "best at the end": [percent(one.at_end) for one in found.optima],
            "best tenth there": [percent(o.top_there) if o.end else "–" for o in found.optima],
            "all there": [percent(o.all_there) if o.end else "–" for o in found.optima],
            "p of the effect": [p_cell(one.p_adjusted) for one in found.optima],
            "widen": ["yes" if one.open else "no" for one in found.optima],
        }
    )


QUESTION = Question("edges", section, finding)
