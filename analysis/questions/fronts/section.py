"""Score against cost: Pareto fronts, and how much of them luck could have made."""

from __future__ import annotations

import numpy as np
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
from analysis.page.quantities import percent, quantity, score, short
from analysis.page.text import plural
from analysis.questions.fronts.figures import pareto_front
from analysis.questions.fronts.pareto import EstimatedFront, dominance, front, reference_point
from analysis.report.results import FRONT_COSTS, Results

LIKELY = 0.1
MOST_SHOWN = 25


def fronts_section(results: Results) -> Section:
    """Draw the fronts of the objective and of AUROC over every cost that was measured."""
    table = results.table
    metrics = [m for m in dict.fromkeys((table.objective, "macro_auroc")) if m in table.metrics]
    blocks: list[Block] = [
        Paragraph(
            "A network is on the Pareto front when none that costs less, or as much, scores "
            "better. The observed front takes scores as they came; because scores are noisy it "
            "flatters its members. The estimated front corrects for that.",
        )
    ]
    for metric in metrics:
        estimated = results.fronts.get((metric, table.cost))
        blocks.append(
            FigureBlock(
                f"front_{metric}_{table.cost}",
                f"{quantity(metric).name} against {quantity(table.cost).name.lower()}.",
                _caption(results, metric, table.cost),
                pareto_front(table, metric, table.cost, estimated),
            )
        )
    blocks += _members(results)
    if not results.fronts:
        reason = results.noise.refusal if results.noise is not None else None
        blocks.append(
            Paragraph(
                "Only observed fronts are drawn. " + (reason or "The seed noise is not known."),
                "refusal",
            )
        )
    panels = tuple(
        FigureBlock(
            f"front_{metric}_{cost}",
            f"{quantity(metric).name} against {quantity(cost).name.lower()}",
            "",
            pareto_front(table, metric, cost, results.fronts.get((metric, cost)), small=True),
        )
        for metric in metrics
        for cost in FRONT_COSTS
        if cost in table.costs and cost != table.cost
    )
    if panels:
        blocks.append(
            GridBlock(
                "fronts_other_costs",
                "The same over other costs.",
                "Marks as above: grey all networks, orange-red the observed front, blue the "
                "estimated front with its 95 % band.",
                panels,
            )
        )
    return Section("fronts", "What compute buys", tuple(blocks))


def _caption(results: Results, metric: str, cost: str) -> str:
    designs, estimated = results.designs, results.fronts.get((metric, cost))
    used = designs[designs[metric].notna()]
    members = front(used[cost], used[metric])
    text = (
        f"Each point is one of {plural(len(used), 'network')}, the mean over its seeds; "
        f"{len(members)} are on the observed front."
    )
    if estimated is None:
        return text
    likely = int((estimated.membership >= 0.5).sum())
    return (
        f"{text} Circled in blue: networks that are on the true front with a probability of at "
        f"least 10 % ({plural(likely, 'network')} with at least 50 %), larger circles for higher "
        f"ones.{_hypervolume_sentence(estimated, used[cost], used[metric])}"
    )


def _hypervolume_sentence(estimated: EstimatedFront, cost: pd.Series, objective: pd.Series) -> str:
    low, high = estimated.hypervolume_interval
    if not np.isfinite(estimated.observed_hypervolume):
        return ""
    dearest, lowest = reference_point(cost, objective)
    return (
        f" Hypervolume (log cost, reference point {short(dearest)} and {score(lowest)}) "
        f"{estimated.observed_hypervolume:.3f} of the box observed; corrected for noise {low:.3f} "
        f"to {high:.3f} (95 %)."
    )


def _members(results: Results) -> list[Block]:
    """Tabulate the networks that may be on the front, each with its strongest rival."""
    table, designs = results.table, results.designs
    estimated = results.fronts.get((table.objective, table.cost))
    if estimated is None or results.shrunken is None or not table.maximize:
        return []
    rows = np.flatnonzero(estimated.membership >= LIKELY)
    beaten = dominance(designs[table.cost], results.shrunken, rows)
    rival = beaten.argmax(axis=0)
    hashes = designs["architecture_hash"].to_numpy()
    data = pd.DataFrame(
        {
            "architecture_hash": hashes[rows],
            table.cost: designs[table.cost].to_numpy()[rows],
            "observed": designs[table.objective].to_numpy(float)[rows],
            "expected": results.shrunken.mean[rows],
            "front_probability": estimated.membership[rows],
            "rival": hashes[rival],
            "rival_dominates_probability": beaten[rival, np.arange(len(rows))],
        }
    )
    likeliest = data.nlargest(MOST_SHOWN, "front_probability").sort_index()
    shown = pd.DataFrame(
        {
            "network": likeliest["architecture_hash"].str[:8],
            "cost": likeliest[table.cost].map(short),
            "observed": likeliest["observed"].map(score),
            "expected": likeliest["expected"].map(score),
            "P(on front)": likeliest["front_probability"].map(percent),
            "strongest rival": likeliest["rival"].str[:8],
            "P(rival dominates)": likeliest["rival_dominates_probability"].map(percent),
        }
    )
    left = f", the {MOST_SHOWN} likeliest of {len(data)}" if len(data) > MOST_SHOWN else ""
    caption = (
        f"Networks that are on the true front with a probability of at least 10 %{left}. The "
        "strongest "
        "rival costs no more and is the likeliest to score better as well."
    )
    members = TableBlock("front_members", "Who may be on the front.", caption, shown, data)
    return [Details("The networks that may be on the front", (members,))]
