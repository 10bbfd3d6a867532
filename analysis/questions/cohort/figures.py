"""The flow of records, drawn as a paper does: down what is left, aside what is excluded."""

from __future__ import annotations

from html import escape

from data_pipeline.cohort import Flow

WIDTH, BOX, LINE, GAP = 460, 220, 17, 26
PAD = 9


def flow_svg(flow: Flow) -> str:
    """Return the flow from the files that were found to the splits as SVG."""
    lost = [f"{reason}: {count:,}" for reason, count in flow.excluded.items()]
    excluded = [f"Excluded: {sum(flow.excluded.values()):,}", *lost] if lost else []
    windows = [] if flow.rows == flow.kept else [f"in {flow.rows:,} windows"]
    unused = [f"of them not used: {flow.unused:,}"] if flow.unused else []
    found, kept = ["Records found", f"{flow.found:,}"], ["Records prepared", f"{flow.kept:,}"]
    parts: list[str] = []
    y = 4.0
    top = _box(parts, found, 0, y, BOX)
    if lost:
        beside = _box(parts, excluded, BOX + GAP, y, WIDTH - BOX - GAP, bold=1)
        parts.append(_arrow(BOX, y + 22, BOX + GAP, y + 22))
        below = max(top, beside)
    else:
        below = top
    y = below + GAP
    parts.append(_arrow(BOX / 2, top, BOX / 2, y))
    bottom = _box(parts, [*kept, *windows, *unused], 0, y, BOX)
    y = bottom + GAP
    third = (WIDTH - 2 * 12) / 3
    ends = []
    for place, (split, count) in enumerate(flow.records.items()):
        x = place * (third + 12)
        ends.append(_box(parts, [split.capitalize(), f"{count:,}"], x, y, third))
        parts.append(_arrow(BOX / 2, bottom, x + third / 2, y))
    height = max(ends) + 4
    said = ", ".join((" ".join(found), *excluded, " ".join(kept)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" role="img" aria-label="{escape(said)}" font-size="13" '
        f'font-family="system-ui, sans-serif" fill="currentColor">{"".join(parts)}</svg>'
    )


def _box(
    parts: list[str], lines: list[str], x: float, y: float, width: float, *, bold: int = 2
) -> float:
    """Add a box with lines of text, the first `bold` of them bold; return its lower end."""
    height = 2 * PAD + LINE * len(lines)
    parts.append(
        f'<rect x="{x + 1:.0f}" y="{y:.0f}" width="{width - 2:.0f}" height="{height}" rx="4" '
        'fill="none" stroke="currentColor" stroke-opacity="0.6"/>'
    )
    for number, line in enumerate(lines):
        weight = ' font-weight="600"' if number < bold else ""
        parts.append(
            f'<text x="{x + PAD + 2:.0f}" y="{y + PAD + LINE * (number + 0.75):.0f}"{weight}>'
            f"{escape(line)}</text>"
        )
    return y + height


def _arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    return (
        f'<line x1="{x0:.0f}" y1="{y0:.0f}" x2="{x1:.0f}" y2="{y1:.0f}" stroke="currentColor" '
        'stroke-opacity="0.6"/>'
    )
