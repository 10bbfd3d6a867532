"""How training went: the leak check, failures, learning curves and scores by class."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    Paragraph,
    Section,
    TableBlock,
)
from analysis.page.quantities import p_value, percent, quantity, score, short, words
from analysis.page.text import listed, plural
from analysis.questions.trust.figures import leak_check, learning_curves
from analysis.questions.trust.leak import CHANCE, METRIC, judge_leak
from analysis.questions.trust.noise_figure import noise_by_cost
from analysis.report.header import trial_counts
from analysis.report.results import Results

LONGEST_REASON = 160


def checks_section(results: Results) -> Section:
    """Show the leak check, the trials by role and state, and the failures by reason."""
    table, verdict = results.table, judge_leak(results)
    blocks: list[Block] = [Paragraph(verdict.text, verdict.kind)]
    if verdict.trials and METRIC in table.metrics and len(results.designs):
        blocks.append(
            FigureBlock(
                "leak_check",
                "Networks trained on shuffled labels know nothing.",
                "Control trials are ordinary trials whose training labels were shuffled between "
                "records. Anything above chance in them would mean that the validation labels "
                "leak, or that scores are computed wrongly.",
                leak_check(table, METRIC, CHANCE),
            )
        )
    blocks.append(
        TableBlock(
            "trials_by_role",
            "Trials by role and state.",
            "Sample: drawn at random; replicate: again with other seeds; control: shuffled "
            "training labels; reference: a known network; confirm: a fresh-seed run of a pick.",
            trial_counts(table.frame),
            trial_counts(table.frame),
        )
    )
    blocks += _failures(results)
    blocks += _noise(results)
    blocks += _labels(results)
    return Section("checks", "Can the trials be trusted?", tuple(blocks))


def training_section(results: Results) -> Section:
    """Draw learning curves, and the scores by class of the best network."""
    blocks: list[Block] = []
    curves = results.curves
    if curves is None or curves.empty or results.designs.empty:
        blocks.append(Paragraph("No learning curves were given to this report.", "refusal"))
    else:
        blocks.append(
            FigureBlock(
                "learning_curves",
                "Learning curves.",
                f"Validation {quantity(results.table.objective).name} after each epoch, on part "
                "of the records before the last. Curves that still rise at the end say that longer "
                "training would change the scores, perhaps also which network is best.",
                learning_curves(results.table, curves),
            )
        )
    blocks += _classes(results)
    return Section("training", "How training went", tuple(blocks))


def _noise(results: Results) -> list[Block]:
    """Show what the random seed alone changes."""
    noise, table = results.noise, results.table
    if noise is None:
        return [Paragraph(results.reasons["noise"], "refusal")] if len(results.designs) else []
    if noise.refusal is not None:
        return [Paragraph(noise.refusal, "refusal")]
    name = quantity(noise.metric).name
    trend = (
        f"It changes with compute (p = {noise.trend_p:.3f}), and the line follows that."
        if noise.trend_p < 0.05
        else f"No trend with compute could be told (p = {noise.trend_p:.2f})."
    )
    return [
        Paragraph(
            f"Luck of the seed: training the same network again changes its {name} by a standard "
            f"deviation of {noise.sd:.4f} (95 % interval {noise.low:.4f} to {noise.high:.4f}), "
            f"so two runs of one network often differ by {1.41 * noise.sd:.3f} or more. Of the "
            f"differences between networks at equal compute, at most "
            f"{100 * noise.ceiling_equal_cost:.0f} % are more than that luck."
        ),
        FigureBlock(
            "noise",
            "What another seed changes.",
            f"{plural(len(noise.replicates), 'network')} trained with several seeds. {trend}",
            noise_by_cost(noise, table.cost),
        ),
    ]


def _failures(results: Results) -> list[Block]:
    failed = results.table.failed()
    if failed.empty:
        return [Paragraph("No trial failed.", "text")]
    reason = failed["failure"] if "failure" in failed else pd.Series(None, index=failed.index)
    reasons = reason.fillna("no reason was recorded").astype(str)
    reasons = reasons.where(reasons.str.len() <= LONGEST_REASON, reasons.str[:LONGEST_REASON] + "…")
    grouped = failed.assign(reason=reasons).groupby("reason")
    cost = results.table.cost
    shown = pd.DataFrame(
        {
            "trials": grouped.size(),
            "of cost": grouped[cost].agg(
                lambda c: f"{short(c.min())} to {short(c.max())}" if c.notna().any() else "–"
            ),
        }
    ).sort_values("trials", ascending=False)
    shown = shown.reset_index().astype(str)
    ended = int(results.table.frame["state"].isin(["complete", "failed"]).sum())
    return [
        TableBlock(
            "failures",
            "Failed trials by reason.",
            f"{plural(len(failed), 'trial')} of {ended} that ended. Failures are not random: a "
            "kind of network that fails often is judged here only by those of it that did not.",
            shown,
            failed.assign(reason=reasons),
        ),
        *_blame(results),
    ]


def _blame(results: Results) -> list[Block]:
    """Say which factors go with failing at equal cost, with the rate of each of their levels."""
    found = results.failures
    if found is None:
        return (
            [Paragraph(results.reasons["failures"], "refusal")]
            if "failures" in results.reasons
            else []
        )
    if found.refusal is not None:
        return [Paragraph(f"{found.refusal[0].upper()}{found.refusal[1:]}.", "refusal")]
    rate = f"{percent(found.share)} (95 % interval {percent(found.low)} to {percent(found.high)})"
    cost = "more" if found.dearer else "less"
    text = f"Of {plural(found.n, 'network')}, {rate} failed. " + (
        f"Those that failed cost {cost} ({p_value(found.cost_p)}). "
        if found.cost_p < 0.05
        else "Failing does not go with the compute. "
    )
    if not found.telling:
        return [Paragraph(f"{text}At equal compute no factor goes with failing beyond chance.")]
    names = listed([words(factor.factor) for factor in found.telling])
    rows = [(factor, level) for factor in found.telling for level in factor.levels]
    shown = pd.DataFrame(
        {
            "factor": [words(factor.factor) for factor, _ in rows],
            "level": [level.level for _, level in rows],
            "failed": [f"{level.failed} of {level.n}" for _, level in rows],
            "expected": [f"{level.expected:.1f}" for _, level in rows],
            "share": [percent(level.share) for _, level in rows],
            "95 % interval": [
                f"{percent(level.low)} to {percent(level.high)}" for _, level in rows
            ],
        }
    )
    return [
        Paragraph(f"{text}At equal compute, failing goes with {names}.", "caution"),
        TableBlock(
            "failures_by_factor",
            "Failures by level.",
            "“Expected” is the number at the rate of networks of like compute; p-values are from "
            "permuting failures within ranges of compute, corrected for the number of factors.",
            shown,
            found.to_frame(),
        ),
    ]


def _labels(results: Results) -> list[Block]:
    """Tabulate how often each class occurs in the data."""
    labels = results.table.study.data.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        return []
    counts = sorted(labels.items(), key=lambda item: -int(item[1]))
    shown = pd.DataFrame([(str(name), str(int(count))) for name, count in counts])
    shown.columns = pd.Index(["class", "records"])
    table = TableBlock(
        "labels", "Records by class.", "A record may have several classes, or none.", shown, shown
    )
    return [Details("The data: records by class", (table,))]


def _classes(results: Results) -> list[Block]:
    """Tabulate the scores by class of the network with the best score."""
    frame = results.class_scores
    if frame is None or frame.empty or results.designs.empty:
        return []
    complete = results.table.complete(["sample", "replicate"])
    best = complete.iloc[int(results.table.score(complete).to_numpy().argmax())]
    rows = frame[frame["trial"] == best["trial"]].sort_values("positives", ascending=False)
    if rows.empty:
        return []
    names = {"f1": "F1", "auroc": "AUROC", "auprc": "AUPRC"}
    shown = pd.DataFrame(
        {
            "class": rows["class"].astype(str),
            "validation records with it": rows["positives"].astype(int).astype(str),
            **{title: rows[key].map(score) for key, title in names.items() if key in rows},
        }
    )
    return [
        TableBlock(
            "class_scores",
            "Scores by class of the best-scoring trial.",
            f"Trial {best['trial']}, network {str(best['architecture_hash'])[:8]}. Classes with "
            "few records have scores that are little more than luck; “–” means that the "
            "validation records hold no such case.",
            shown,
            rows,
        )
    ]
