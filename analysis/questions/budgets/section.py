"""The best architecture per budget: the pick, what to expect of it, and how it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.page.blocks import Block, Details, Drawing, Paragraph, Section, TableBlock
from analysis.page.quantities import quantity, score, short, words
from analysis.page.text import listed, unit_of_cost
from analysis.questions.budgets.recommend import Recommendation, to_frame
from analysis.questions.laws.scaled import study_shape
from analysis.report.results import Results
from analysis.trials.factors import label

if TYPE_CHECKING:
    from models import Architecture


def budgets_section(results: Results) -> Section:
    """Tabulate the picks, then how each is built."""
    table, picks = results.table, [r for r in results.recommendations if r.refusal is None]
    blocks: list[Block] = []
    if "recommendations" in results.reasons:
        blocks.append(Paragraph(results.reasons["recommendations"], "refusal"))
    refused = [r for r in results.recommendations if r.refusal is not None]
    name = quantity(table.objective).name
    if picks:
        blocks.append(
            TableBlock(
                "recommendations",
                "Best architecture per budget.",
                f"The budget is an upper bound on {unit_of_cost(table)}. “Expected” is the "
                f"{name} to expect of a new training of this architecture, corrected for the "
                "luck of having been picked; “regret” is how much a perfect choice among the "
                "candidates is expected to exceed it; “equals” is how many candidates noise does "
                "not tell from the best, of which the smallest is named.",
                _shown(results, picks),
                to_frame(results.recommendations),
            )
        )
        if results.shrunken is None:
            blocks.append(
                Paragraph(
                    "Intervals, regret and correction for luck are missing: "
                    + (
                        results.noise.refusal
                        if results.noise is not None and results.noise.refusal
                        else "the seed noise is unknown, as no network was trained with several "
                        "seeds."
                    ),
                    "refusal",
                )
            )
        blocks += [Paragraph(text) for text in _notes(picks)]
        built = [block for pick in _distinct(picks) for block in _how_built(results, pick)]
        blocks.append(Details("How these networks are built, and their equals", tuple(built)))
    blocks += _by_law(results)
    for refusal in refused:
        blocks.append(
            Paragraph(
                f"{short(refusal.budget)} {unit_of_cost(table)}: {refusal.refusal}", "refusal"
            )
        )
    if not blocks:
        blocks.append(Paragraph("No budget lies within the range that was sampled.", "refusal"))
    return Section("budgets", "Which network for which budget", tuple(blocks))


def _by_law(results: Results) -> list[Block]:
    """Tabulate the networks that the scaling laws give, where laws stand."""
    if not results.scaled:
        return []
    shape, rows = study_shape(results.table), []
    for budget, (following, _) in results.scaled.items():
        for network in following:
            cost = network.cost(**shape)
            row = {"budget": short(budget), "network": network.hash[:8], "cost": short(cost.flops)}
            row |= {"parameters": short(cost.params)}
            rows.append(row | {words(k): label(v) for k, v in network.factors.items()})
    shown = pd.DataFrame(rows)
    names = listed([words(f) for law in results.shape_laws if not law.refusal for f in law.factors])
    caption = (
        f"Networks with the {names} that the scaling laws give at a budget, and the other factors "
        "of networks that did well for their compute. They were not trained: a law is confirmed "
        "only when such networks beat others of equal compute that go against it."
    )
    table = TableBlock("scaled_networks", "Scaled by the law.", caption, shown, shown)
    return [Details("Networks that the scaling law gives", (table,))]


def resolved(pick: Recommendation) -> Architecture | None:
    """Return a pick's architecture; None where the study did not store architectures of ours."""
    from models import Architecture, ModelError

    if not pick.architecture:
        return None
    try:
        return Architecture.from_json(pick.architecture)
    except (ModelError, ValueError, TypeError):
        return None


def drawing(results: Results, architecture: Architecture) -> Drawing:
    """Draw an architecture with its stages to scale."""
    from models.diagram import architecture_svg

    shape = study_shape(results.table)
    svg = architecture_svg(
        architecture, samples=shape["samples"], leads=shape["leads"], outputs=shape["outputs"]
    )
    return Drawing(svg, "Stages to scale: breadth is the length of the signal, height its width.")


def stage_rows(results: Results, architecture: Architecture) -> pd.DataFrame:
    """Describe an architecture stage by stage, with the whole in the last row."""
    shape = study_shape(results.table)
    rows = architecture.describe(**shape)
    shown = pd.DataFrame(
        {
            "stage": [row.stage for row in rows],
            "blocks": [str(row.blocks) if row.blocks else "" for row in rows],
            "width out": [str(row.width) for row in rows],
            "length out": [str(row.length) for row in rows],
            "parameters": [short(row.params) for row in rows],
            "FLOPs": [short(row.flops) for row in rows],
            "activations": [short(row.activations) for row in rows],
        }
    )
    cost = architecture.cost(**shape)
    shown.loc[len(shown)] = [
        "whole", "", "", "", short(cost.params), short(cost.flops), short(cost.activations)
    ]  # fmt: skip
    return shown


def _shown(results: Results, picks: list[Recommendation]) -> pd.DataFrame:
    table = results.table
    columns: dict[str, list[str]] = {
        "budget": [short(pick.budget) for pick in picks],
        "network": [pick.architecture_hash[:8] for pick in picks],
        "cost": [short(pick.costs[table.cost]) for pick in picks],
    }
    if "params" in table.costs:
        columns["parameters"] = [short(pick.costs["params"]) for pick in picks]
    columns["expected"] = [score(pick.expected) if pick.interval else "–" for pick in picks]
    columns["95 % interval"] = [
        f"{score(pick.interval[0])} to {score(pick.interval[1])}" if pick.interval else "–"
        for pick in picks
    ]
    columns["regret"] = [score(pick.regret) if pick.regret is not None else "–" for pick in picks]
    columns["observed"] = [score(pick.observed) for pick in picks]
    if "macro_auroc" in table.metrics and table.objective != "macro_auroc":
        columns["AUROC"] = [score(pick.scores["macro_auroc"]) for pick in picks]
    columns["runs"] = [str(pick.runs) for pick in picks]
    columns["equals"] = [
        f"{len(pick.indistinguishable)} of {pick.candidates}" if pick.interval else "–"
        for pick in picks
    ]
    return pd.DataFrame(columns)


def _distinct(picks: list[Recommendation]) -> list[Recommendation]:
    """Keep the first pick of each architecture."""
    return list({pick.architecture_hash: pick for pick in reversed(picks)}.values())[::-1]


def _notes(picks: list[Recommendation]) -> list[str]:
    """Say each note once, with the budgets it holds for."""
    holders: dict[str, list[str]] = {}
    for pick in picks:
        for note in pick.notes:
            holders.setdefault(note, []).append(short(pick.budget))
    return [
        f"{note[0].upper()}{note[1:]}"
        + ("." if len(budgets) == len(picks) else f" (budget {listed(budgets)}).")
        for note, budgets in holders.items()
    ]


def _how_built(results: Results, pick: Recommendation) -> list[Block]:
    factors = ", ".join(f"{words(name)} {label(value)}" for name, value in pick.factors.items())
    cost = f"{short(pick.costs[results.table.cost])} {unit_of_cost(results.table)}"
    blocks: list[Block] = [Paragraph(f"{pick.architecture_hash[:8]} ({cost}): {factors}.")]
    architecture = resolved(pick)
    if architecture is not None:
        blocks += [
            drawing(results, architecture),
            TableBlock(
                f"stages_{pick.architecture_hash[:8]}",
                "Stages.",
                "As built, with the exact cost of each for one ECG.",
                stage_rows(results, architecture),
            ),
        ]
    if len(pick.indistinguishable) > 1:
        rivals = pd.DataFrame(
            {
                "network": [c.architecture_hash[:8] for c in pick.indistinguishable],
                "cost": [short(c.cost) for c in pick.indistinguishable],
                "observed": [score(c.observed) for c in pick.indistinguishable],
                "expected": [score(c.expected) for c in pick.indistinguishable],
                "P(best)": [f"{c.probability:.0%}" for c in pick.indistinguishable],
            }
        )
        blocks.append(
            TableBlock(
                f"rivals_{pick.architecture_hash[:8]}",
                "Networks that cannot be told from the best.",
                "P(best) is the probability of being the best candidate.",
                rivals.head(12),
            )
        )
    return blocks
