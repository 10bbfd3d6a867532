"""How training went: what learned nothing, learning curves, failures, scores by class."""

from __future__ import annotations

import pandas as pd

from analysis.page.blocks import Block, Details, Paragraph, Section
from analysis.page.quantities import fixed, percent, quantity, score, short, words
from analysis.page.words import Text, say
from analysis.questions.context import Context, Finding, Question
from analysis.questions.training.failures import Failures
from analysis.questions.training.figures import learning_curves
from analysis.questions.training.nothing import Collapse
from analysis.questions.training.numbers import (
    collapses_by_factor,
    failures_by_factor,
    late_gain,
    runs_without_learning,
)
from analysis.stats.interval import ALPHA, PERCENT
from analysis.stats.refusal import Refusal
from analysis.trials.collapsed import GUESSING_AUROC
from analysis.trials.table import SEARCHED

LONGEST_REASON = 160
MOST_NAMED = 12
WORDS = {"failures": ("failed", "failing"), "nothing": ("learned nothing", "learning nothing")}
CLASS_SCORES = {"f1": "F1", "auroc": "AUROC", "auprc": "AUPRC"}
text = Text("training")


def section(context: Context) -> Section:
    """Say what learned nothing, whether curves still rose, and what failed."""
    blocks: list[Block] = []
    if len(context.designs):
        blocks += [*_nothing(context), *_curves(context)]
    blocks += [*_shrunk(context), *_failures(context), *_classes(context)]
    return Section("training", "How training went", tuple(blocks))


def finding(context: Context) -> Finding:
    """Say which choices make networks learn nothing, where some do."""
    found, blamed = context.known(runs_without_learning), context.known(collapses_by_factor)
    if found is None or not (found.shared or (blamed is not None and blamed.telling)):
        return Finding("What does not train", ())
    sentences = [nothing_sentence(found)]
    if blamed is not None and blamed.telling:
        factors = [factor.factor for factor in blamed.telling]
        sentences.append(text("goes_with", factors=factors))
    return Finding("What does not train", tuple(sentences))


def nothing_sentence(found: Collapse) -> str:
    """Say how many networks learned nothing, and what they share."""
    return text("nothing", found=found, limit=GUESSING_AUROC)


def _shrunk(context: Context) -> list[Block]:
    """Say how many runs took their batches in parts, which changes batch normalisation."""
    recipe, done = context.table.study.definition.get("recipe", {}), context.table.complete()
    if "micro_batch" not in done or "batch_size" not in recipe:
        return []
    shrunk = int((done["micro_batch"] < recipe["batch_size"]).sum())
    if not shrunk:
        return []
    return [text.paragraph("shrunk", n=shrunk, all=len(done), batch=recipe["batch_size"])]


def _nothing(context: Context) -> list[Block]:
    """Say how many networks learned nothing, name them, and what goes with it."""
    found = context.of(runs_without_learning)
    if isinstance(found, Refusal):
        return [Paragraph(say(found), "refusal")]
    if not found.runs:
        return [text.paragraph("all_learned", known="macro_auroc" in context.table.frame)]
    numbers = found.trials["trial"].astype(int).tolist()
    named = [f"trial {number}" for number in numbers[:MOST_NAMED]]
    more = len(numbers) - len(named)
    shown = found.trials.drop(columns=list(context.table.factor_names)).head(MOST_NAMED)
    shown = shown.assign(
        trial=shown["trial"].astype(int).astype(str),
        architecture_hash=shown["architecture_hash"].str[:8],
        **{context.table.cost: shown[context.table.cost].map(short)},
        **{name: shown[name].map(score) for name in shown.columns[3:-1]},
    )
    shown.columns = [
        "trial",
        "network",
        *(quantity(name).name for name in shown.columns[2:-1]),
        "why",
    ]
    blame = context.of(collapses_by_factor)
    return [
        Paragraph(nothing_sentence(found), "caution"),
        text.paragraph(
            "aside" if found.aside else "kept", named=named, more=more, majority=found.majority
        ),
        *([Paragraph(say(blame))] if isinstance(blame, Refusal) else _blame(blame, "nothing")),
        Details(
            "The runs that learned nothing",
            (text.table("learned_nothing", shown, found.trials, listed=len(shown), of=found.runs),),
        ),
    ]


def _curves(context: Context) -> list[Block]:
    """Draw the learning curves, and say whether they still rose."""
    curves, table, found = context.curves, context.table, context.of(late_gain)
    blocks: list[Block] = []
    if curves is not None and not curves.empty:
        drawn = learning_curves(table, curves)
        blocks.append(text.figure("learning_curves", drawn, metric=table.objective))
    if isinstance(found, Refusal):
        return [*blocks, Paragraph(say(found), "refusal")]
    said = text("rising", found=found, gain=context.unit.written(found.gain))
    return [*blocks, Paragraph(said, "caution" if found.favours_cost else "text")]


def _failures(context: Context) -> list[Block]:
    """Tabulate failed trials by reason, and say which factors go with failing."""
    failed, cost = context.table.failed(), context.table.cost
    if failed.empty:
        return [text.paragraph("no_failure")]
    reason = failed["failure"] if "failure" in failed else pd.Series(None, index=failed.index)
    reasons = reason.fillna("no reason was recorded").astype(str)
    reasons = reasons.where(reasons.str.len() <= LONGEST_REASON, reasons.str[:LONGEST_REASON] + "…")
    grouped = failed.assign(reason=reasons).groupby("reason")
    costs = grouped[cost].agg(
        lambda c: f"{short(c.min())} to {short(c.max())}" if c.notna().any() else "–"
    )
    shown = pd.DataFrame({"trials": grouped.size(), "of cost": costs})
    shown = shown.sort_values("trials", ascending=False).reset_index().astype(str)
    ended = int(context.table.frame["state"].isin(["complete", "failed"]).sum())
    data = failed.assign(reason=reasons)
    table = text.table("failures", shown, data, failed=len(failed), ended=ended)
    found = context.of(failures_by_factor)
    if isinstance(found, Refusal):
        return [table, Paragraph(say(found), "refusal")]
    return [table, *_blame(found, "failures")]


def _blame(found: Failures, what: str) -> list[Block]:
    """Say which factors go with it at equal cost, with the rate of each of their levels."""
    verb, noun = WORDS[what]
    said = text(
        "blame",
        n=found.n,
        share=found.share,
        cost_p=found.cost_p,
        alpha=ALPHA,
        dearer=found.dearer,
        factors=[factor.factor for factor in found.telling],
        verb=verb,
        noun=noun,
    )
    if not found.telling:
        return [Paragraph(said)]
    rows = [(factor, level) for factor in found.telling for level in factor.levels]
    shown = pd.DataFrame(
        {
            "factor": [words(factor.factor) for factor, _ in rows],
            "level": [level.level for _, level in rows],
            verb: [f"{level.failed} of {level.n}" for _, level in rows],
            "expected": [fixed(level.expected, 1) for _, level in rows],
            "share": [percent(level.share.estimate) for _, level in rows],
            f"{PERCENT} interval": [
                f"{percent(level.share.low)} to {percent(level.share.high)}" for _, level in rows
            ],
        }
    )
    table = text.table(f"{what}_by_factor", shown, found.to_frame(), key="by_factor", verb=verb)
    return [Paragraph(said, "caution"), table]


def _classes(context: Context) -> list[Block]:
    """Tabulate the scores by class of the network with the best score."""
    frame = context.class_scores
    if frame is None or frame.empty or context.designs.empty:
        return []
    complete = context.table.complete(SEARCHED)
    best = complete.iloc[int(context.table.score(complete).to_numpy().argmax())]
    rows = frame[frame["trial"] == best["trial"]].sort_values("positives", ascending=False)
    if rows.empty:
        return []
    shown = pd.DataFrame(
        {
            "class": rows["class"].astype(str),
            "validation records with it": rows["positives"].astype(int).astype(str),
            **{title: rows[key].map(score) for key, title in CLASS_SCORES.items() if key in rows},
        }
    )
    network = str(best["architecture_hash"])[:8]
    return [text.table("class_scores", shown, rows, trial=best["trial"], network=network)]


QUESTION = Question("training", section, finding, without_networks=True)
