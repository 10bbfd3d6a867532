"""Score against cost: Pareto fronts, and how much of them luck could have made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Details, FigureBlock, Section
from analysis.page.quantities import percent, quantity, score, short
from analysis.page.text import unit_of_cost
from analysis.page.words import Text, say
from analysis.questions.context import Context, Finding, Question
from analysis.questions.estimates import expected_scores
from analysis.questions.fronts.figures import pareto_front
from analysis.questions.fronts.numbers import COSTS, better_up, estimated_fronts, shown_metrics
from analysis.questions.fronts.pareto import EstimatedFront, dominance, front, reference_point
from analysis.questions.laws.numbers import rise_with_cost
from analysis.questions.laws.section import epochs_hedge, growth_sentences
from analysis.stats.refusal import Refusal

LIKELY = 0.1
MOST_SHOWN = 25
NEAR = 0.01
text = Text("fronts")


def section(context: Context) -> Section:
    """Draw the fronts of the objective and of AUROC over every cost that was measured."""
    table, metrics = context.table, shown_metrics(context.table)
    found = context.of(estimated_fronts)
    fronts = {} if isinstance(found, Refusal) else found
    blocks: list[Block] = [text.paragraph("intro")]
    for metric in metrics:
        estimated = fronts.get((metric, table.cost))
        drawn = pareto_front(table, metric, table.cost, estimated)
        about = _about(context, metric, estimated)
        blocks.append(text.figure(f"front_{metric}_{table.cost}", drawn, key="front", **about))
    blocks += _members(context, fronts.get((table.objective, table.cost)))
    if isinstance(found, Refusal):
        blocks.append(text.paragraph("only_observed", "refusal", reason=say(found)))
    panels = [
        FigureBlock(
            f"front_{metric}_{cost}",
            f"{quantity(metric).name} against {quantity(cost).name.lower()}",
            "",
            pareto_front(table, metric, cost, fronts.get((metric, cost)), small=True),
        )
        for metric in metrics
        for cost in COSTS
        if cost in table.costs and cost != table.cost
    ]
    if panels:
        blocks.append(text.grid("fronts_other_costs", panels))
    return Section("fronts", "What compute buys", tuple(blocks))


def finding(context: Context) -> Finding:
    """Say what compute buys, and from where on it buys little."""
    table, sentences = context.table, growth_sentences(context)
    fronts, rise = context.known(estimated_fronts), context.known(rise_with_cost)
    estimated = (fronts or {}).get((table.objective, table.cost))
    if estimated is not None:
        best = float(estimated.expected[-1])
        enough = float(estimated.grid_cost[int(np.argmax(estimated.expected >= best - NEAR))])
        most = float(estimated.grid_cost[-1])
        key = "enough" if most / enough >= 2 else "rises"
        about = {"enough": enough, "most": most, "times": most / enough, "near": f"{NEAR:.2f}"}
        sentences.append(text(key, cost=unit_of_cost(table), **about))
    elif rise is not None and not rise.rises:
        sentences.append(Text("laws")("never"))
    if sentences:
        sentences.append(epochs_hedge(context))
    return Finding("What compute buys", tuple(filter(None, sentences)))


def _about(context: Context, metric: str, estimated: EstimatedFront | None) -> dict[str, Any]:
    """Say what the caption of a front needs."""
    cost = context.table.cost
    used = context.designs[context.designs[metric].notna()]
    about: dict[str, Any] = {"metric": metric, "cost": cost, "n": len(used)}
    scores = better_up(context.table, used, metric)
    about |= {"members": len(front(used[cost], scores)), "estimated": estimated}
    if estimated is not None:
        volume = estimated.observed_hypervolume
        about["likely"] = int((estimated.membership >= 0.5).sum())
        about["volume"] = volume if np.isfinite(volume) else None
        corner = reference_point(used[cost], scores)
        about["corner"] = (corner[0], abs(corner[1]))
    return about


def _members(context: Context, estimated: EstimatedFront | None) -> list[Block]:
    """Tabulate the networks that may be on the front, each with its strongest rival."""
    table, designs = context.table, context.designs
    shrunken = context.known(expected_scores)
    if estimated is None or shrunken is None or not table.maximize:
        return []
    rows = np.flatnonzero(estimated.membership >= LIKELY)
    beaten = dominance(designs[table.cost], shrunken, rows)
    rival = beaten.argmax(axis=0)
    hashes = designs["architecture_hash"].to_numpy()
    data = pd.DataFrame(
        {
            "architecture_hash": hashes[rows],
            table.cost: designs[table.cost].to_numpy()[rows],
            "observed": designs[table.objective].to_numpy(float)[rows],
            "expected": shrunken.mean[rows],
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
    members = text.table("front_members", shown, data, left=left)
    return [Details("The networks that may be on the front", (members,))]


QUESTION = Question("fronts", section, finding)
