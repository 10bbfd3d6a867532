"""What a page is made of, before it is HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

if TYPE_CHECKING:
    from analysis.page.style import Drawn

Kind = Literal["text", "lead", "refusal", "caution", "good", "alarm"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text; `kind` sets how it stands out, `title` is set before it in bold."""

    text: str
    kind: Kind = "text"
    title: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a chapter."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class FigureBlock:
    """A figure with its caption; its data become tables/`name`.csv."""

    name: str
    title: str
    caption: str
    drawn: Drawn


@dataclass(frozen=True, slots=True, eq=False)
class GridBlock:
    """Small figures side by side, as many as fit, with one CSV for all."""

    name: str
    title: str
    caption: str
    panels: tuple[FigureBlock, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TableBlock:
    """A table of text as the page shows it; `data` becomes tables/`name`.csv where given."""

    name: str
    title: str
    caption: str
    shown: pd.DataFrame
    data: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A ready SVG of ours, with what it shows; the text around it is escaped, the SVG is not.

    On a wide screen two `half` ones stand side by side.
    """

    svg: str
    caption: str
    half: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Details:
    """Blocks that are folded away until asked for (and unfolded in print)."""

    summary: str
    blocks: tuple[Block, ...]


Block = Heading | Paragraph | Drawing | FigureBlock | GridBlock | TableBlock | Details


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One chapter of the page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Banner:
    """What nobody may miss."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Header:
    """Title, facts and banners."""

    study: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    banners: tuple[Banner, ...]
