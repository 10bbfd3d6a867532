"""Turn sections into one HTML page without any reference to the network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Header,
    Section,
    TableBlock,
)
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
    drawn = any(_figures(section.blocks) for section in sections)
    template = _environment().get_template("page.html")
    html = template.render(
        header=top,
        sections=sections,
        numbers=count(1),
        # A "</script" within the library would end the element that holds it.
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")) if drawn else "",
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
    environment.filters |= {"unbroken": unbroken, "drawing": _drawing, "columns": _columns}
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


def _figures(blocks: Sequence[Block]) -> bool:
    """Say whether any block needs the library that draws."""
    return any(
        isinstance(block, FigureBlock | GridBlock)
        or (isinstance(block, Details) and _figures(block.blocks))
        for block in blocks
    )


def _drawing(drawn: Drawn) -> dict[str, Any]:
    """Return a figure's data for the page's script, and its height in pixels."""
    figure: dict[str, Any] = json.loads(drawn.figure.to_json())
    text = json.dumps({"data": figure["data"], "layout": figure["layout"]}, separators=(",", ":"))
    # Nothing in it may end the script element.
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return {"json": Markup(safe), "height": figure["layout"]["height"]}


def _columns(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Name a table's columns, and the side that they are aligned to: numbers right."""

    def numeric(value: object) -> bool:
        return bool(str(value)) and str(value)[0] in "0123456789−–+.<"

    sides = {True: "n", False: "t"}
    return [{"name": str(c), "side": sides[all(map(numeric, frame[c]))]} for c in frame]
