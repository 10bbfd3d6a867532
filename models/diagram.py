"""A picture of an architecture as SVG: stages to scale.

Each section is a box: its height is the logarithm of its channels, its width the square root of its
length (what comes out of it), its shade its share of the FLOPs. Blocks are drawn as upright lines.
"""

from __future__ import annotations

import math
from html import escape

from models.architecture import Architecture, StageRow
from models.shape import DEFAULT

HEIGHT, GAP, MARGIN, LABELS = 150.0, 36.0, 16.0, 62.0
WIDEST, NARROWEST = 120.0, 30.0


def architecture_svg(
    architecture: Architecture,
    *,
    samples: int = DEFAULT.samples,
    leads: int = DEFAULT.leads,
    outputs: int = DEFAULT.outputs,
    title: str | None = None,
) -> str:
    """Return a self-contained SVG for one record of `leads` × `samples`.

    Colours follow the page: lines and text take `currentColor`.
    """
    rows = architecture.describe(samples, leads, outputs)
    record = StageRow("record", 0, leads, samples, 0, 0, 0)
    total = max(1, sum(row.flops for row in rows))
    top = math.log2(max(row.width for row in (record, *rows)) + 1)
    x, shapes = MARGIN, []
    for row in (record, *rows):
        width = max(NARROWEST, WIDEST * math.sqrt(row.length / samples))
        height = HEIGHT * math.log2(row.width + 1) / top
        shapes.append(_section(row, x, width, height, row.flops / total))
        x += width + GAP
    full_width, full_height = x - GAP + MARGIN, HEIGHT + LABELS + 3 * MARGIN
    cost = architecture.cost(samples, leads, outputs)
    heading = title if title is not None else f"{architecture.name} {architecture.hash}"
    caption = f"{_short(cost.flops)}FLOPs · {_short(cost.params)} parameters"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full_width:.0f} {full_height:.0f}" '
        f'width="{full_width:.0f}" height="{full_height:.0f}" role="img" '
        f'aria-label="{escape(heading)}: {caption}" font-family="system-ui, sans-serif" '
        f'font-size="11" fill="currentColor">'
        f'<text x="{MARGIN}" y="{MARGIN}" font-weight="600">{escape(heading)}'
        f'<tspan font-weight="400" dx="8">{caption}</tspan></text>{"".join(shapes)}</svg>'
    )


def _section(row: StageRow, x: float, width: float, height: float, share: float) -> str:
    """Return one box, its block lines, the arrow that leads to it, and its labels."""
    middle = 2 * MARGIN + HEIGHT / 2
    y = middle - height / 2
    parts = [
        f"<g><title>{escape(_tooltip(row, share))}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3" '
        f'fill="#2563eb" fill-opacity="{0.08 + 0.82 * share:.3f}" stroke="currentColor" '
        f'stroke-opacity="0.7"/>'
    ]
    for i in range(row.blocks):
        line = x + width * (i + 0.5) / row.blocks
        parts.append(
            f'<line x1="{line:.1f}" x2="{line:.1f}" y1="{y + 4:.1f}" y2="{y + height - 4:.1f}" '
            f'stroke="currentColor" stroke-opacity="0.5"/>'
        )
    if row.stage != "record":
        parts.append(
            f'<path d="M{x - GAP + 4:.1f} {middle:.1f}h{GAP - 8:.1f}m-4 -3l4 3l-4 3" fill="none" '
            f'stroke="currentColor"/>'
        )
    labels = (row.stage, f"{row.width} × {row.length}", "" if not row.flops else _percent(share))
    for i, label in enumerate(labels):
        parts.append(
            f'<text x="{x + width / 2:.1f}" y="{2 * MARGIN + HEIGHT + 16 + 15 * i:.1f}" '
            f'text-anchor="middle">{escape(label)}</text>'
        )
    return "".join(parts) + "</g>"


def _tooltip(row: StageRow, share: float) -> str:
    blocks = f"{row.blocks} blocks, " if row.blocks else ""
    return (
        f"{row.stage}: {blocks}{row.width} channels × {row.length} samples, "
        f"{_short(row.params)} parameters, {_short(row.flops)}FLOPs ({_percent(share)})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %"


def _short(value: float) -> str:
    """Return a number with three digits and its unit prefix, such as 12.3 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} "
