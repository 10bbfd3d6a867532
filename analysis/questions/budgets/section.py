"""The best architecture per budget: the pick, what to expect of it, and how it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Details, Drawing, Heading, Paragraph, Section
from analysis.page.quantities import score, short, words
from analysis.page.text import networks, unit_of_cost
from analysis.page.words import Text, say
from analysis.questions.budgets.numbers import picks, recommendations
from analysis.questions.budgets.recommend import WINDOW, Recommendation, to_frame
from analysis.questions.context import Context, Finding, Question
from analysis.questions.estimates import expected_candidates
from analysis.questions.laws.numbers import laws_of_shape, scaled_networks
from analysis.questions.laws.scaled import Scaled, standing, study_shape
from analysis.questions.laws.section import epochs_hedge
from analysis.stats.interval import PERCENT, Interval
from analysis.stats.refusal import Refusal
from analysis.trials.factors import label
from models.family import called

if TYPE_CHECKING:
    from models import Architecture, Shape

MOST_LISTED = 12
TITLE = "Which network for which budget"
text = Text("budgets")


def section(context: Context) -> Section:
    """Tabulate the picks, then how each is built."""
    found, chosen = context.of(recommendations), picks(context)
    if isinstance(found, Refusal):
        return Section("budgets", TITLE, (Paragraph(say(found), "refusal"),))
    blocks: list[Block] = []
    if chosen:
        blocks.append(
            text.table(
                "recommendations",
                _shown(context, chosen),
                to_frame(found),
                cost=unit_of_cost(context.table),
                metric=context.table.objective,
            )
        )
        if any(pick.costs[context.table.cost] < (1 - WINDOW) * pick.budget for pick in chosen):
            hedge = epochs_hedge(context)
            blocks += [Paragraph(text("cheaper", hedge=hedge), "caution")] if hedge else []
        expected = context.of(expected_candidates)
        if isinstance(expected, Refusal):
            blocks.append(text.paragraph("missing", "refusal", reason=say(expected)))
        blocks += [Paragraph(note) for note in _notes(chosen)]
        distinct = _distinct(chosen)
        blocks.append(text.paragraph("scale"))
        for pick in distinct:
            own = [p for p in chosen if p.architecture_hash == pick.architecture_hash]
            blocks += _drawn(context, pick, [short(p.budget) for p in own])
        stages = [block for pick in distinct for block in _stages(context, pick)]
        if stages:
            blocks.append(Details("Stage by stage, and networks like them", tuple(stages)))
    blocks += _by_law(context)
    for budget, refused in found.items():
        if isinstance(refused, Refusal):
            head = f"{short(budget)} {unit_of_cost(context.table)}"
            blocks.append(Paragraph(f"{head}: {say(refused)}", "refusal"))
    return Section("budgets", TITLE, tuple(blocks))


def finding(context: Context) -> Finding:
    """Name the best network, and what its score is worth, corrected for selection."""
    table = context.table.candidates
    designs = table.designs()
    place = int(np.argmax(designs["score"].to_numpy()))
    row = designs.iloc[place]
    others = [
        (metric, float(row[metric]))
        for metric in ("macro_auroc", "challenge_score")
        if metric in table.metrics and metric != table.objective and np.isfinite(row[metric])
    ]
    observed = text(
        "best",
        networks=networks(table, len(designs)),
        aside=len(table.aside) > 0,
        metric=table.objective,
        observed=float(row[table.objective]),
        others=others,
        cost=f"{short(float(row[table.cost]))} {unit_of_cost(table)}",
    )
    shrunken = context.known(expected_candidates)
    if shrunken is None or not table.maximize:
        return Finding("The best network", (observed, text("best_by_chance")))
    mean, margin = float(shrunken.mean[place]), float(shrunken.margin[place])
    expected = Interval(mean, mean - margin, mean + margin)
    corrected = text("best_corrected", metric=table.objective, expected=expected)
    return Finding("The best network", (observed, corrected))


def _by_law(context: Context) -> list[Block]:
    """Tabulate the networks that the scaling laws give, where laws stand."""
    made, shape = context.known(scaled_networks) or {}, study_shape(context.table)
    rows = []
    for budget, scaled in made.items():
        for network in scaled.law if isinstance(scaled, Scaled) else ():
            cost = network.cost(**shape)
            row = {"budget": short(budget), "network": network.hash[:8], "cost": short(cost.flops)}
            row |= {"parameters": short(cost.params)}
            rows.append(row | {words(k): label(v) for k, v in network.factors.items()})
    if not rows:
        return []
    shown = pd.DataFrame(rows)
    laws = standing(context.known(laws_of_shape) or ())
    factors = [factor for law in laws for factor in law.factors]
    table = text.table("scaled_networks", shown, shown, factors=factors)
    return [Details("Networks that the scaling law gives", (table,))]


def named(architecture_hash: str) -> str:
    """Call a network by its name, if it is one of the family, and the start of its hash."""
    name, start = called(architecture_hash), architecture_hash[:8]
    return start if name is None else f"{name} ({start})"


def resolved(pick: Recommendation) -> Architecture | None:
    """Return a pick's architecture; None where the study did not store architectures of ours."""
    from models import Architecture, ModelError

    if not pick.architecture:
        return None
    try:
        return Architecture.from_json(pick.architecture)
    except (ModelError, ValueError, TypeError):
        return None


def drawing(shape: Shape, architecture: Architecture, name: str, caption: str) -> Drawing:
    """Draw an architecture with its stages to scale."""
    from models.diagram import architecture_svg

    return Drawing(architecture_svg(architecture, **shape, title=name), caption, half=True)


def stage_rows(shape: Shape, architecture: Architecture) -> pd.DataFrame:
    """Describe an architecture stage by stage, with the whole in the last row."""
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
    counts = [short(number) for number in (cost.params, cost.flops, cost.activations)]
    shown.loc[len(shown)] = ["whole", "", "", "", *counts]
    return shown


def _shown(context: Context, chosen: list[Recommendation]) -> pd.DataFrame:
    table = context.table
    rows = []
    for pick in chosen:
        row = {"budget": short(pick.budget), "network": named(pick.architecture_hash)}
        row["cost"] = short(pick.costs[table.cost])
        if "params" in table.costs:
            row["parameters"] = short(pick.costs["params"])
        found, known = pick.interval, pick.interval is not None
        row["expected"] = score(pick.expected) if known else "–"
        row[f"{PERCENT} interval"] = f"{score(found.low)} to {score(found.high)}" if found else "–"
        row["regret"] = "–" if pick.regret is None else score(pick.regret)
        row["observed"] = score(pick.observed)
        if "macro_auroc" in table.metrics and table.objective != "macro_auroc":
            row["AUROC"] = score(pick.scores["macro_auroc"])
        row["runs"] = str(pick.runs)
        row["alike"] = f"{len(pick.indistinguishable)} of {pick.candidates}" if known else "–"
        rows.append(row)
    return pd.DataFrame(rows)


def _distinct(chosen: list[Recommendation]) -> list[Recommendation]:
    """Keep the first pick of each architecture."""
    return list({pick.architecture_hash: pick for pick in reversed(chosen)}.values())[::-1]


def _notes(chosen: list[Recommendation]) -> list[str]:
    """Say each note once, with the budgets it holds for."""
    holders: dict[str, list[str]] = {}
    for pick in chosen:
        for note in pick.notes:
            holders.setdefault(say(note).rstrip("."), []).append(short(pick.budget))
    return [
        text("note", note=note, budgets=() if len(budgets) == len(chosen) else budgets)
        for note, budgets in holders.items()
    ]


def _drawn(context: Context, pick: Recommendation, budgets: list[str]) -> list[Block]:
    """Draw a pick, and say below how it is built."""
    factors = ", ".join(f"{words(name)} {label(value)}" for name, value in pick.factors.items())
    name, architecture = named(pick.architecture_hash), resolved(pick)
    head = text("built", network=name, budgets=budgets, factors=factors)
    if architecture is None:
        return [Paragraph(head)]
    return [drawing(study_shape(context.table), architecture, name, head)]


def _stages(context: Context, pick: Recommendation) -> list[Block]:
    """Tabulate a pick stage by stage, and the networks that are as good as it."""
    start, architecture = pick.architecture_hash[:8], resolved(pick)
    blocks: list[Block] = [Heading(named(pick.architecture_hash))]
    if architecture is not None:
        rows = stage_rows(study_shape(context.table), architecture)
        blocks.append(text.table(f"stages_{start}", rows, key="stages"))
    if len(pick.indistinguishable) > 1:
        others = pd.DataFrame(
            {
                "network": [named(c.architecture_hash) for c in pick.indistinguishable],
                "cost": [short(c.cost) for c in pick.indistinguishable],
                "observed": [score(c.observed) for c in pick.indistinguishable],
                "expected": [score(c.expected) for c in pick.indistinguishable],
                "P(best)": [f"{c.probability:.0%}" for c in pick.indistinguishable],
            }
        ).head(MOST_LISTED)
        blocks.append(text.table(f"alternatives_{start}", others, key="alternatives"))
    return blocks if len(blocks) > 1 else []


QUESTION = Question("budgets", section, finding)
