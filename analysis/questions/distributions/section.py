"""How scores are distributed, overall and for each value of a factor at equal compute."""

from __future__ import annotations

import pandas as pd

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Paragraph,
    Section,
    TableBlock,
)
from analysis.page.quantities import difference, p_value, percent, quantity, short, words
from analysis.page.text import listed, unit_of_cost
from analysis.questions.distributions.figures import (
    best_of_n_curve,
    caption,
    factor_distribution,
    score_distribution,
)
from analysis.questions.distributions.likely_best import FEWEST, LikelyBest, to_frame
from analysis.report.results import Results
from analysis.trials.factors import label


def spread_section(results: Results) -> Section:
    """Draw score distributions, matched distributions per factor and the best-of-n curve."""
    table = results.table
    metrics = [m for m in dict.fromkeys((table.objective, "macro_auroc")) if m in table.metrics]
    blocks: list[Block] = [
        FigureBlock(
            f"distribution_{metric}",
            f"Distribution of {quantity(metric).name}.",
            "How many of the networks score at least this: the further right a curve, the better "
            "the networks. Black: all, with a simultaneous 95 % band (Dvoretzky–Kiefer–Wolfowitz); "
            "colours: thirds by compute.",
            score_distribution(table, metric),
        )
        for metric in metrics
    ]
    if results.comparisons:
        ordered = sorted(results.comparisons, key=lambda c: (c.p_holm, -max(c.distances)))
        told = sum(c.p_holm < 0.05 for c in ordered)
        blocks.append(
            Paragraph(
                "Is a value of a design choice better at equal compute? Each curve below is "
                "weighted so that all values of a factor are compared over the same FLOPs; the "
                "p-value is from permuting values among networks of like FLOPs, corrected for the "
                f"number of factors (Holm). {told} of {len(ordered)} factors differ at p < 0.05."
            )
        )
        blocks.append(
            GridBlock(
                "distribution_by_factor",
                "Score distributions at equal compute.",
                "Factors by p-value; numeric factors are cut into thirds.",
                tuple(
                    FigureBlock(
                        f"distribution_{c.factor}",
                        words(c.factor),
                        caption(c),
                        factor_distribution(c, table.objective),
                    )
                    for c in ordered
                ),
            )
        )
    else:
        reason = results.reasons.get("distributions", "too few networks share a range of compute")
        blocks.append(Paragraph(f"Factors are not compared at equal compute: {reason}.", "refusal"))
    blocks += _spaces(results)
    blocks += _likely_best(results)
    blocks.append(
        FigureBlock(
            "best_of_n",
            "How many random networks to try.",
            f"Expected best {quantity(table.objective).name} of n networks drawn at random from "
            "those trained (unbiased; noise included, so the value of many tries is flattered).",
            best_of_n_curve(table, table.objective),
        )
    )
    return Section("spread", "How scores are distributed", tuple(blocks))


def _spaces(results: Results) -> list[Block]:
    """Draw two design spaces at equal compute, where a second study was given."""
    found = results.spaces
    if found is None:
        reason = results.reasons.get("spaces")
        return [Paragraph(reason, "refusal")] if reason else []
    first, second = found.names
    unit = difference(results.table.objective)
    told = found.matched.p_value < 0.05
    blocks: list[Block] = [
        Paragraph(
            f"At equal compute a random network of {first} scores "
            f"{unit.written(found.difference, found.low, found.high)} against one of {second}; "
            + ("the two" if told else "no difference between the two")
            + (" differ" if told else " can be told")
            + f" ({p_value(found.matched.p_value)}, permutation within ranges of compute)."
        )
    ]
    if found.unlike:
        blocks.append(
            Paragraph(
                f"The two studies also differ in {listed(found.unlike)}: the difference may be "
                "that of data or training, not of the design spaces.",
                "caution",
            )
        )
    blocks.append(
        FigureBlock(
            "distribution_of_spaces",
            f"{first} against {second}.",
            "Share of networks that score at least this, weighted to the same compute.",
            factor_distribution(found.matched, results.table.objective),
        )
    )
    return blocks


def _likely_best(results: Results) -> list[Block]:
    """Tabulate where the best networks of each range of compute lie."""
    if not results.likely_best:
        return []
    ranges = list(dict.fromkeys((e.cost_low, e.cost_high) for e in results.likely_best))
    found = {(e.factor, e.cost_low): e for e in results.likely_best}
    shown = pd.DataFrame({"factor": [words(name) for name in results.table.factor_names]})
    for low, high in ranges:
        shown[f"{short(low)} to {short(high)}"] = [
            _range_text(found[name, low]) for name in results.table.factor_names
        ]
    table = TableBlock(
        "likely_best",
        "Likely best values.",
        f"Columns are ranges of {unit_of_cost(results.table)}. Numbers: the best network's value, "
        "median and 95 % range over draws of a quarter of the networks; switches and kinds: how "
        "often each was the best. Descriptive (RegNet's empirical bootstrap), no test; ranges of "
        f"fewer than {FEWEST} networks are left out.",
        shown,
        to_frame(results.likely_best),
    )
    return [Details("Where the best networks lie", (table,))]


def _range_text(entry: LikelyBest) -> str:
    if entry.shares:
        return ", ".join(f"{name} {percent(share)}" for name, share in entry.shares)
    return f"{label(entry.middle)} ({label(entry.low)} to {label(entry.high)})"
