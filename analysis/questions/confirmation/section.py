"""Searched networks against known CNNs, on test records that nothing was chosen by."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Details, FigureBlock, Kind, Paragraph, Section, TableBlock
from analysis.page.quantities import difference, percent, quantity, score, short
from analysis.page.text import listed, plural
from analysis.page.words import say
from analysis.questions.confirmation.figures import differences_on_test, rivals_on_front
from analysis.questions.confirmation.numbers import confirmation
from analysis.questions.confirmation.results import LAW, SEARCHED, Comparison, Contestant
from analysis.questions.context import Context, Finding, Question
from analysis.questions.fronts.numbers import Fronts, estimated_fronts
from analysis.stats.interval import Interval
from analysis.stats.patients import FEWEST_PATIENTS
from analysis.stats.refusal import Refusal
from analysis.trials.table import TrialTable

TITLE = "Against known networks"
OTHER_COSTS = ("params", "latency_ms")
GROUPS = ("searched", "law", "against the law", "reference")


def section(context: Context) -> Section:
    """Say who won within each budget, draw the differences, and tabulate every contestant."""
    found = context.of(confirmation)
    if isinstance(found, Refusal):
        kind: Kind = "text" if found.code == "confirmation.part" else "refusal"
        return Section("rivals", TITLE, (Paragraph(say(found), kind),))
    fronts = context.known(estimated_fronts) or {}
    blocks: list[Block] = [Paragraph(_how(context.table, found))]
    if found.added:
        blocks.append(
            Paragraph(
                "Brought in by a later confirmation, when the first one's test scores could be "
                f"read: {listed(found.added)}. A known network is fitted into its budget by rule, "
                "not chosen by scores, and was trained like the others, so it counts, and Holm's "
                "correction is over all pairs."
            )
        )
    if found.left_out:
        blocks.append(
            Paragraph(
                f"{plural(found.left_out, 'candidate')} of later confirmations "
                f"{'is' if found.left_out == 1 else 'are'} left out: searched networks that may "
                "have been chosen by test scores, or known ones with other seeds, learning rates "
                "or budgets than the first confirmation's.",
                "caution",
            )
        )
    if found.missing:
        blocks.append(
            Paragraph(
                f"Not finished, or failed, and therefore missing here: {listed(found.missing)}.",
                "caution",
            )
        )
    fewer = sorted({c.name for c in found.contestants if c.seeds < found.seeds})
    if fewer:
        blocks.append(
            Paragraph(
                f"Of {listed(fewer)} fewer than the {found.seeds} planned seeds are done: their "
                "means are less certain, and their intervals wider.",
                "caution",
            )
        )
    blocks += [Paragraph(text) for text in budget_sentences(found)]
    blocks += [Paragraph(text) for text in law_sentences(found)]
    if any(d.kind == SEARCHED for d in found.differences):
        blocks.append(_differences(found, found.objective, "test_differences"))
    blocks.append(_beside_front(context.table, found, fronts, context.table.cost, "rivals"))
    blocks.append(_contestants(context.table, found))
    others = [cost for cost in OTHER_COSTS if (found.objective, cost) in fronts]
    beside = [
        _beside_front(context.table, found, fronts, cost, f"rivals_{cost}") for cost in others
    ]
    if beside:
        blocks.append(Details("The same over other costs", tuple(beside)))
    more = [
        _differences(found, metric, f"test_differences_{metric}")
        for metric in _other_metrics(found)
    ]
    if more:
        blocks.append(Details("The same in AUROC, and for rare classes", tuple(more)))
    blocks.append(Details("Diagnosis by diagnosis, and source by source", _in_detail(found)))
    return Section("rivals", TITLE, tuple(blocks))


def finding(context: Context) -> Finding:
    """Count the pairs of searched and known networks that the test records settle."""
    found = context.known(confirmation)
    pairs = [
        d
        for d in (() if found is None else found.differences)
        if (d.kind, d.metric) == (SEARCHED, context.table.objective)
    ]
    if found is None or not pairs:
        return Finding(TITLE, ())
    better, worse = sum(d.better for d in pairs), sum(d.worse for d in pairs)
    known = {d.second.partition("@")[0] for d in pairs}
    often = f"{better} of {plural(len(pairs), 'comparison')}"
    sentences = [
        f"Trained again with fresh seeds and scored on {plural(found.records, 'test record')}, "
        f"the searched networks are better than known ones within the same budget in {often} "
        f"({listed(sorted(known))}), worse in {worse or 'none'}, and the others are not "
        "statistically significant."
    ]
    beaten = {d.second.partition("@")[0] for d in pairs if d.better}
    if never := sorted(known - beaten):
        sentences.append(f"Never beaten statistically significantly: {listed(never)}.")
    return Finding(TITLE, tuple(sentences))


def budget_sentences(found: Comparison) -> list[str]:
    """Say for each budget how the searched network compares with the known ones."""
    unit, sentences = difference(found.objective), []
    for budget in found.budgets:
        own = [
            d
            for d in found.differences
            if d.budget == budget and d.metric == found.objective and d.kind == SEARCHED
        ]
        chosen = found.chosen(budget)
        if chosen is None:
            continue
        test = chosen.test[found.objective]
        text = (
            f"Within {short(budget)} FLOPs the searched network {chosen.name} reaches a test "
            f"{quantity(found.objective).name} of {_with_interval(test)}"
        )
        if not own:
            sentences.append(f"{text}; no known network was fitted into this budget.")
            continue
        better = [d for d in own if d.better]
        worse = [d for d in own if d.worse]
        closest = min(own, key=lambda d: d.estimate.estimate)
        text += f". Of {plural(len(own), 'known network')} it is better than {len(better)}"
        if worse:
            text += f" and worse than {len(worse)} ({listed([d.second for d in worse])})"
        undecided = len(own) - len(better) - len(worse)
        if undecided:
            text += f"; {undecided} cannot be told from it"
        margin = unit.written(closest.estimate)
        sentences.append(
            f"{text}. Against the strongest, {closest.second}, it is {margin}, that pair taken "
            "alone."
        )
    return sentences


def law_sentences(found: Comparison) -> list[str]:
    """Say whether networks scaled by the law beat their opposites of equal cost."""
    unit, sentences = difference(found.objective), []
    for d in found.differences:
        if d.kind != LAW or d.metric != found.objective:
            continue
        margin = unit.written(d.estimate)
        verdict = (
            "the law holds there"
            if d.better
            else "its opposite is better there"
            if d.worse
            else "which does not settle it"
        )
        sentences.append(
            f"Within {short(d.budget)} FLOPs networks scaled by the law score {margin} against "
            f"their opposites of equal cost: {verdict}."
        )
    return sentences


def _how(table: TrialTable, found: Comparison) -> str:
    own = set(table.designs()["architecture_hash"])
    searched = {c.architecture_hash for c in found.contestants if c.group == "searched"}
    origin = (
        "which the search never read"
        if searched <= own
        else "which this study read for nothing else (its networks are another study's, whose "
        "search may have had some of these records)"
    )
    seeds = sorted({c.seeds for c in found.contestants})
    many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        "Every network here was trained again with fresh seeds "
        f"({many} each) under the study's one recipe and was then scored on "
        f"{plural(found.records, 'test record')} of {plural(found.patients, 'patient')}, "
        f"{origin}, over the {found.classes} diagnoses that occur among them. Which searched "
        "network stands for a budget was decided before: the one with the best estimated score of "
        "the search. Intervals allow for who is in the test records "
        f"({found.draws} draws of patients, the same for both networks of a pair) and for how much "
        "a network's score changes from seed to seed (t intervals; the spread of a network is "
        "drawn towards that of all). p-values are corrected for all pairs (Holm). Known networks "
        "are taken in the widest form that fits the budget. Scores their authors reached with "
        "other recipes or data are no part of this."
    )


def _beside_front(
    table: TrialTable, found: Comparison, fronts: Fronts, cost: str, name: str
) -> FigureBlock:
    return FigureBlock(
        name,
        f"Known networks beside the front over {quantity(cost).name.lower()}.",
        "Grey: the random networks. Line and band: the best score to expect within each cost, "
        "corrected for luck. Marks: confirmed networks, mean and sd over fresh seeds. All "
        "scores on validation records, on which the front stands.",
        rivals_on_front(table, found, cost, fronts.get((found.objective, cost))),
    )


def _differences(found: Comparison, metric: str, name: str) -> FigureBlock:
    rare = metric.startswith("rare_")
    described = quantity(metric.removeprefix("rare_")).name
    which = (
        f" over the rare classes ({', '.join(found.rare)}: under 2 % of the records each)"
        if rare
        else ""
    )
    return FigureBlock(
        name,
        f"Test {described}{which}: searched minus known.",
        f"Right of zero the searched network is better. {described}, mean over seeds, with 95 % "
        "intervals over patients and seeds.",
        differences_on_test(found, metric),
    )


def _other_metrics(found: Comparison) -> list[str]:
    present = dict.fromkeys(d.metric for d in found.differences)
    return [metric for metric in present if metric != found.objective]


def _contestants(table: TrialTable, found: Comparison) -> TableBlock:
    cost, objective = table.cost, found.objective
    chosen = [found.chosen(budget) for budget in found.budgets]
    ordered = sorted(
        found.contestants, key=lambda c: (c.budget, GROUPS.index(c.group), -c.validation)
    )
    shown = pd.DataFrame(
        {
            "budget": [short(c.budget) for c in ordered],
            "network": [c.name for c in ordered],
            "kind": [f"{c.group}, chosen" if c in chosen else c.group for c in ordered],
            "FLOPs": [short(c.costs[cost]) for c in ordered],
            "parameters": [short(c.costs.get("params", np.nan)) for c in ordered],
            "validation": [score(c.validation) for c in ordered],
            f"test {quantity(objective).name}": [
                _with_interval(c.test[objective]) for c in ordered
            ],
            "test AUROC": [
                _with_interval(c.test["macro_auroc"]) if "macro_auroc" in c.test else "–"
                for c in ordered
            ],
            "beaten by": [_beaten(c) for c in ordered],
            "compute needed": [_times(c, cost) for c in ordered],
        }
    )
    return TableBlock(
        "confirmed",
        "All confirmed networks.",
        "Chosen: the searched network that stands for its budget. Beaten by: share of the random "
        "networks within ±15 % of its FLOPs that score higher on validation records. Compute "
        "needed: its FLOPs over those at which the estimated front reaches its validation score, "
        "with a 95 % interval of the front's band and the seeds' spread (2 × means that a searched "
        "network does the same with half). Test scores are means over seeds with 95 % intervals.",
        shown,
        found.to_frame(),
    )


def _in_detail(found: Comparison) -> tuple[Block, ...]:
    """Tabulate one network's scores per class over all sources, and its macro scores per source."""
    data = found.details
    cells = data.assign(
        cell=[
            _with_interval(Interval(*values))
            for values in zip(data["estimate"], data["low"], data["high"], strict=True)
        ]
    )
    tables = []
    for name, title, key, rows in (
        ("test_classes", "Per diagnosis", "class", cells[cells["source"] == "all"]),
        ("test_sources", "Per source", "source", cells[cells["class"] == "macro"]),
    ):
        wide = rows.pivot(index=key, columns="score", values="cell")
        counts = rows.drop_duplicates(key).set_index(key)
        order = counts.sort_values("positives", ascending=False).index
        shown = pd.DataFrame(
            {
                key: order,
                "positive records" if key == "class" else "records": counts.loc[
                    order, "positives" if key == "class" else "records"
                ].to_numpy(),
                "F1": wide.loc[order, "f1"].to_numpy(),
                "AUROC": wide.loc[order, "auroc"].to_numpy(),
                "AUPRC": wide.loc[order, "auprc"].to_numpy(),
            }
        )
        caption = (
            f"Test scores of network {found.detailed}, one seed, with 95 % intervals over "
            "patients. A dash: undefined on these records. Without an interval: under "
            f"{FEWEST_PATIENTS} patients with or without the diagnosis, too few for one; with "
            "under 15, those of AUROC are still somewhat too narrow."
        )
        tables.append(
            TableBlock(name, f"{title}.", caption, shown, data if key == "class" else None)
        )
    return tuple(tables)


def _with_interval(estimate: Interval) -> str:
    if not np.isfinite([estimate.low, estimate.high]).all():
        return score(estimate.estimate)
    return f"{score(estimate.estimate)} ({score(estimate.low)} to {score(estimate.high)})"


def _beaten(contestant: Contestant) -> str:
    share = contestant.beaten_by
    if share is None:
        return "–"
    return (
        f"{percent(share.estimate)} of {contestant.neighbours} "
        f"({percent(share.low)} to {percent(share.high)})"
    )


def _times(contestant: Contestant, cost: str) -> str:
    one = contestant.multipliers.get(cost)
    if one is None:
        return "–"
    sign = {"at least": "≥ ", "at most": "< "}.get(one.bound, "")
    return f"{sign}{one.times:.2g} × ({one.low:.2g} to {one.high:.2g})"


QUESTION = Question("confirmation", section, finding)
