"""Figures as files for papers and slides, where a Chromium is at hand to draw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import plotly.io as pio

from analysis.errors import AnalysisError
from analysis.page.blocks import Block, Details, FigureBlock, GridBlock
from analysis.page.style import Drawn
from analysis.questions.context import Context
from analysis.report.chapters import chapters

FORMATS = ("svg", "pdf", "png")
WIDTH, PANEL_WIDTH = 760, 380
PNG_SCALE = 2


def write_figures(
    context: Context, out_dir: Path, formats: Sequence[str] = ("svg",)
) -> tuple[Path, ...]:
    """Write every figure of the report to out_dir/figures; return the files.

    Needs the package kaleido and a Chrome or Chromium; the report itself needs neither, and each
    of its figures has a button that saves it as SVG.
    """
    wrong = [name for name in formats if name not in FORMATS]
    if wrong:
        raise AnalysisError(f"Expected formats among {', '.join(FORMATS)}, got {wrong[0]!r}.")
    folder = Path(out_dir) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = list(_figures(context))
    paths: list[Path] = []
    for form in formats:
        files = [folder / f"{name}.{form}" for name, _, _ in drawn]
        try:
            pio.write_images(
                fig=[each.figure for _, each, _ in drawn],
                file=files,
                format=form,
                width=[width for _, _, width in drawn],
                height=[each.figure.layout.height for _, each, _ in drawn],
                scale=PNG_SCALE if form == "png" else 1,
            )
        except (RuntimeError, ValueError) as error:  # what plotly makes of a missing browser
            raise AnalysisError(
                f"Figures as files need the package kaleido and a Chromium ({_first_line(error)}): "
                "install them, or save single figures with the buttons of the report."
            ) from None
        paths += files
    return tuple(paths)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")


def _figures(context: Context) -> Iterator[tuple[str, Drawn, int]]:
    for chapter in chapters(context):
        yield from _inside(chapter.blocks)


def _inside(blocks: Sequence[Block]) -> Iterator[tuple[str, Drawn, int]]:
    for block in blocks:
        match block:
            case FigureBlock():
                yield block.name, block.drawn, WIDTH
            case GridBlock():
                for panel in block.panels:
                    yield panel.name, panel.drawn, PANEL_WIDTH
            case Details():
                yield from _inside(block.blocks)
