"""Which factors go together by design: what importances must be read beside."""

from __future__ import annotations

from analysis.page.blocks import Block, Details, FigureBlock, Heading, Paragraph
from analysis.page.quantities import words
from analysis.page.text import listed
from analysis.questions.importance.ties import Design
from analysis.questions.power.figures import ties
from analysis.report.results import Results


def ties_sentence(found: Design) -> str:
    """Say which factors go together by design."""
    pairs = [f"{words(p.first)} with {words(p.second)} ({_signed(p.strength)})"
             for p in found.between]  # fmt: skip
    costs = [f"{words(pair.first)} ({_signed(pair.strength)})" for pair in found.with_cost]
    between = (
        f"Factors that go together by design: {listed(pairs)}. SHAP and permutation cannot tell "
        "such factors apart well; trust the effects at equal cost and the accumulated local "
        "effects there."
        if pairs
        else "No two factors go together by design strongly enough to matter (|strength| ≥ 0.2)."
    )
    with_cost = (
        f" With the compute go {listed(costs)}: their importance for the score is partly that of "
        "the compute they need."
        if costs
        else " No factor goes with the compute."
    )
    return between + with_cost


def ties_blocks(results: Results) -> list[Block]:
    """Draw the ties of the design."""
    found = results.design
    blocks: list[Block] = [Heading("Which factors go together by design")]
    if found is None or found.refusal is not None or not found.pairs:
        reason = (found.refusal if found is not None else None) or results.reasons.get(
            "design", "no two factors vary"
        )
        return [*blocks, Paragraph(f"Not looked at: {reason.rstrip('.')}.", "refusal")]
    figure = FigureBlock(
        "ties",
        "Strongest ties in the design.",
        "Spearman's correlation for two ordered columns, the correlation ratio of ranks where one "
        "has no order, Cramér's V where neither has (both 0 to 1). Filled: beyond doubt (Holm over "
        "all pairs) and at least 0.2. All pairs are in the CSV.",
        ties(found),
    )
    return [
        *blocks,
        Paragraph(ties_sentence(found)),
        Details("How strong the ties are", (figure,)),
    ]


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
