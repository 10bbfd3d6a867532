"""Turn sections into one HTML page without any reference to the network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Header,
    Section,
    TableBlock,
)
from analysis.page.pack import packed_figures, packed_plotly
from analysis.page.style import Drawn


@dataclass(frozen=True, slots=True)
class Page:
    """The page and the tables that belong beside it."""

    html: str
    tables: dict[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Words:
    """What a page calls itself, its facts, and the table `all` that holds all `rows`."""

    kicker: str = "design-space study of ECG networks"
    about: str = "This study"
    rows: str = "every trial of the study"
    all: str = "trials"


REPORT = Words()


def render(top: Header, sections: Sequence[Section], words: Words = REPORT) -> Page:
    """Render all sections and collect their tables."""
    tables = dict(table for section in sections for table in _tables(section.blocks))
    figures: list[Drawn] = []  # in the order in which the template places them

    def place(drawn: Drawn) -> dict[str, int]:
        figures.append(drawn)
        return {"number": len(figures) - 1, "height": drawn.figure.layout.height}

    environment = _environment()
    environment.filters["place"] = place
    html = environment.get_template("page.html").render(
        header=top,
        sections=sections,
        numbers=count(1),
        figures=lambda: packed_figures(figures) if figures else "",
        plotly=packed_plotly,
        tables=sorted(tables),
        **asdict(words),
    )
    return Page(html, tables)


def unbroken(text: str) -> str:
    """Keep numbers with their signs and units in one line, and write minus signs as such."""
    text = re.sub(r"(?<![\w.-])-(?=\d)", "−", text)
    return re.sub(r" (?=%)| (?=[±=<] [\d+−])|(?<=[±=<]) (?=[\d+−])", "\u00a0", text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("analysis", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"unbroken": unbroken, "columns": _columns}
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.globals["next"] = next
    return environment


def _tables(blocks: Sequence[Block]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Find what each figure and table has beside the page."""
    for block in blocks:
        match block:
            case FigureBlock():
                yield block.name, block.drawn.data
            case GridBlock():
                parts = [panel.drawn.data for panel in block.panels]
                yield block.name, pd.concat(parts, ignore_index=True)
            case TableBlock() if block.data is not None:
                yield block.name, block.data
            case Details():
                yield from _tables(block.blocks)


def _columns(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Name a table's columns, and the side that they are aligned to: numbers right."""

    def numeric(value: object) -> bool:
        return bool(str(value)) and str(value)[0] in "0123456789−–+.<"

    sides = {True: "n", False: "t"}
    return [{"name": str(c), "side": sides[all(map(numeric, frame[c]))]} for c in frame]
