"""Score against cost: Pareto fronts, and how much of them luck could have made."""

from __future__ import annotations

import numpy as np

from analysis.figures.fronts import hypervolume_curve, pareto_front
from analysis.pareto import EstimatedFront, front
from analysis.quantities import quantity
from analysis.report.blocks import Block, FigureBlock, GridBlock, Paragraph, Section
from analysis.report.results import FRONT_COSTS, Results
from analysis.report.text import plural


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
    if results.growth is not None:
        g = results.growth
        blocks.append(
            FigureBlock(
                "hypervolume",
                "Would more networks have helped?",
                "Hypervolume under the observed front (log cost; share of the box between the "
                "cheapest and dearest network and the lowest and highest score) as networks are "
                "added in random order. A curve that has become flat says that more random "
                "networks would add little.",
                hypervolume_curve(g.sizes, g.mean, g.low, g.high),
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
        f"ones.{_hypervolume_sentence(estimated)}"
    )


def _hypervolume_sentence(estimated: EstimatedFront) -> str:
    low, high = estimated.hypervolume_interval
    if not np.isfinite(estimated.observed_hypervolume):
        return ""
    return (
        f" Hypervolume {estimated.observed_hypervolume:.3f} observed; corrected for noise "
        f"{low:.3f} to {high:.3f} (95 %)."
    )
