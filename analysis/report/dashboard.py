"""Put the report's main figures and its findings into optuna-dashboard."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go
from optuna_dashboard import get_note, save_note, save_plotly_graph_object

from analysis.page.blocks import Block, FigureBlock, Paragraph, Section, TableBlock
from analysis.questions.context import Context
from analysis.report.chapters import chapters
from analysis.report.header import header

if TYPE_CHECKING:
    import optuna

PREFIX = "ecgscale-"
CARD_HEIGHT = 440  # pixels; the dashboard cuts off what is taller
END = "Methods, all figures and their tables are in the report (`ecgscale report`)."
RULE = "\n\n---\n\n"
NOTED = ("findings", "budgets")
LEFT_OUT = ("learning_curves", "surrogate_", "hypervolume")  # the dashboard has its own, or minor


def publish(study: optuna.Study, context: Context) -> list[str]:
    """Save figures and a note with the findings in the study; return the figures' names.

    Publishing again replaces what was published before. The figures appear on the study's top
    page, the findings above what else its note holds.
    """
    shown = chapters(context)
    names = []
    for block in main_figures(shown):
        name = PREFIX + block.name.replace("_", "-")
        save_plotly_graph_object(study, titled(block), graph_object_id=name)
        names.append(name)
    others = get_note(study).rpartition(END)[2].removeprefix(RULE)  # the plan, somebody's words
    save_note(study, note(context, shown) + RULE + others)
    return names


def main_figures(shown: Sequence[Section]) -> Iterator[FigureBlock]:
    """Yield the large figures that are not folded away."""
    for chapter in shown:
        for block in chapter.blocks:
            if isinstance(block, FigureBlock) and not block.name.startswith(LEFT_OUT):
                yield block


def titled(block: FigureBlock) -> go.Figure:
    """Copy a figure with its title in it, and hover texts cut to their first line.

    The dashboard sends every published figure with each request for the study, so they are kept
    small; the report has the full texts.
    """
    figure: dict[str, Any] = json.loads(block.drawn.figure.to_json())
    for trace in figure["data"]:
        if isinstance(trace.get("text"), list):
            trace["text"] = [str(text).split("<br>")[0] for text in trace["text"]]
    layout = figure["layout"]
    title = "<br>".join(textwrap.wrap(block.title.rstrip("."), 36))  # beside the mode bar
    font = {"size": 14}
    layout["title"] = {"text": title, "font": font, "x": 0.01, "y": 0.98, "yanchor": "top"}
    layout["margin"]["t"] = 96
    layout["height"] = CARD_HEIGHT
    return go.Figure(figure)


def note(context: Context, shown: Sequence[Section]) -> str:
    """Write the banners, findings and picks as Markdown."""
    top = header(context)
    lines = [f"# {top.study}", "", top.subtitle, ""]
    for banner in top.banners:
        lines += [f"> **{banner.title}** {banner.text}", ""]
    for chapter in (one for one in shown if one.anchor in NOTED):
        lines += [f"## {chapter.title}", ""]
        for block in chapter.blocks:
            lines += [*_markdown(block), ""]
    lines.append(END)
    return "\n".join(lines)


def _markdown(block: Block) -> list[str]:
    match block:
        case Paragraph(text, _, title):
            return [f"**{title}.** {text}" if title else text]
        case TableBlock():
            return [f"**{block.title}** {block.caption}", "", *_table(block.shown)]
    return []


def _table(frame: pd.DataFrame) -> list[str]:
    rows = [list(map(str, frame)), ["---"] * len(frame.columns)]
    rows += [[str(value).replace("|", "\\|") for value in row] for row in frame.to_numpy().tolist()]
    return [f"| {' | '.join(row)} |" for row in rows]
