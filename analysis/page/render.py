"""Turn sections into one HTML page without any reference to the network."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment
from jinja2.loaders import BaseLoader
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.page.blocks import (
    Block,
    Details,
    Drawing,
    FigureBlock,
    GridBlock,
    Header,
    Heading,
    Paragraph,
    Section,
    TableBlock,
)


@dataclass(slots=True)
class Page:
    """The page and the tables that belong beside it."""

    html: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: int = 0
    numbered: int = 0


def render(top: Header, sections: Sequence[Section]) -> Page:
    """Render all sections and collect their tables."""
    page = Page()
    body = [
        {"anchor": section.anchor, "title": section.title, "html": _blocks(section.blocks, page)}
        for section in sections
    ]
    template = Environment(loader=BaseLoader(), autoescape=True).from_string(_asset("page.html"))
    page.html = template.render(
        header=top,
        sections=body,
        style=Markup(_asset("style.css")),
        script=Markup(_asset("page.js")),
        # A "</script" within the library would end the element that holds it.
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")) if page.figures else "",
        tables=sorted(page.tables),
    )
    return page


def _asset(name: str) -> str:
    """Read a file that lies beside this module."""
    return (files("analysis.page") / name).read_text(encoding="utf-8")


def _blocks(blocks: Sequence[Block], page: Page) -> Markup:
    return Markup("\n").join(_block(block, page) for block in blocks)


def _block(block: Block, page: Page) -> Markup:
    match block:
        case Heading(text):
            return Markup("<h3>{}</h3>").format(text)
        case Paragraph(text, kind, title):
            bold = Markup("<b>{}.</b> ").format(title) if title else ""
            return Markup('<p class="{}">{}{}</p>').format(kind, bold, unbroken(text))
        case Drawing(svg, caption):
            return Markup('<figure class="drawing">{}<figcaption>{}</figcaption></figure>').format(
                Markup(svg), caption
            )
        case FigureBlock():
            page.tables[block.name] = block.drawn.data
            page.numbered += 1
            return Markup('<figure id="{}">{}{}</figure>').format(
                block.name, _plot(block, page), _caption(block, f"Figure {page.numbered}. ")
            )
        case GridBlock():
            page.tables[block.name] = pd.concat(
                [panel.drawn.data for panel in block.panels], ignore_index=True
            )
            page.numbered += 1
            number = f"Figure {page.numbered}. "
            panels = Markup("").join(
                Markup('<div class="panel"><h4>{}</h4>{}<p>{}</p></div>').format(
                    panel.title, _plot(panel, page), panel.caption
                )
                for panel in block.panels
            )
            return Markup('<figure id="{}"><div class="grid">{}</div>{}</figure>').format(
                block.name, panels, _caption(block, number)
            )
        case TableBlock():
            if block.data is not None:
                page.tables[block.name] = block.data
            return Markup(
                '<figure id="{}" class="table">{}<div class="scroll">{}</div></figure>'
            ).format(block.name, _caption(block, ""), table_html(block.shown))
        case Details(summary, inner):
            return Markup("<details><summary>{}</summary>{}</details>").format(
                summary, _blocks(inner, page)
            )


def _caption(block: FigureBlock | GridBlock | TableBlock, number: str) -> Markup:
    with_file = not isinstance(block, TableBlock) or block.data is not None
    link = (
        Markup(' <a class="csv" href="tables/{0}.csv" download>CSV</a>').format(block.name)
        if with_file
        else ""
    )
    if not isinstance(block, TableBlock):
        link += Markup(' <button class="svg" type="button">SVG</button>')
    return Markup("<figcaption><b>{}{}</b> {}{}</figcaption>").format(
        number, block.title, unbroken(block.caption), link
    )


def _plot(block: FigureBlock, page: Page) -> Markup:
    """Place a figure's data in the page; the script draws it."""
    page.figures += 1
    figure: dict[str, Any] = json.loads(block.drawn.figure.to_json())
    text = json.dumps({"data": figure["data"], "layout": figure["layout"]}, separators=(",", ":"))
    return Markup(
        '<div class="plot" role="img" aria-label="{}" style="height:{}px">'
        '<script type="application/json">{}</script></div>'
    ).format(
        f"{block.title} {block.caption}", figure["layout"]["height"], Markup(_inside_script(text))
    )


def unbroken(text: str) -> str:
    """Keep numbers with their signs and units in one line, and write minus signs as such."""
    text = re.sub(r"(?<![\w.-])-(?=\d)", "−", text)
    return re.sub(r" (?=%)| (?=[±=<] [\d+−])|(?<=[±=<]) (?=[\d+−])", "\u00a0", text)


def _inside_script(text: str) -> str:
    """Escape JSON so that nothing in it can end the script element."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def table_html(frame: pd.DataFrame) -> Markup:
    """Write a table of text; numbers are aligned right."""
    numeric = [
        frame[name].map(lambda v: bool(str(v)) and str(v)[0] in "0123456789−–+.<").all()
        for name in frame
    ]
    head = "".join(
        f'<th class="{"n" if right else "t"}" scope="col">{html.escape(str(name))}</th>'
        for name, right in zip(frame, numeric, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td class="{"n" if right else "t"}">{html.escape(str(value))}</td>'
            for value, right in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    return Markup(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
