"""Which design choices matter: importances of a surrogate, with its quality beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Details, Heading, Paragraph, Section
from analysis.page.quantities import fixed, words
from analysis.page.words import Text, say
from analysis.questions.context import Context, Question
from analysis.questions.estimates import SURROGATES
from analysis.questions.importance.figures import (
    beeswarm,
    importance_bars,
    predicted_against_observed,
    rankings,
    ties,
)
from analysis.questions.importance.numbers import AGREEMENTS, IMPORTANCES, ties_of_design
from analysis.questions.importance.shap import Importance, Subset
from analysis.stats.refusal import Refusal
from analysis.stats.ties import MATERIAL, Design, Pair
from analysis.surrogates.surrogate import TARGETS, Surrogate, Target

SUBSETS: dict[Subset, str] = {"all": "all networks", "best quarter": "the best quarter"}
# What the table of models shows: column, title, digits.
QUALITIES = (
    ("r2", "R²", 2),
    ("mae", "mean absolute error", 4),
    ("tau", "τ", 2),
    ("tau_within", "τ at like cost", 2),
    ("top_recall", "top-tenth recall", 2),
    ("coverage", "90 % coverage", 2),
    ("r2_new_costs", "R² on new costs", 2),
)
text = Text("importance")


def section(context: Context) -> Section:
    """Show importances for the score as it is and at equal cost, or why there are none."""
    blocks: list[Block] = [text.paragraph("intro")]
    for target in TARGETS:
        blocks += _target(context, target)
    blocks += _ties(context)
    return Section("matters", "Which design choices matter", tuple(blocks))


def quality_sentence(fitted: Surrogate) -> str:
    """Say how well the surrogate predicts, beside the cost alone and the noise ceiling."""
    return text(
        "quality",
        q=fitted.quality,
        alone=next(q.r2 for q in fitted.baselines if q.name == "cost alone"),
        gain=fitted.gain,
        ceiling=fitted.ceiling if np.isfinite(fitted.ceiling) else None,
    )


def _target(context: Context, target: Target) -> list[Block]:
    fitted, key = context.of(SURROGATES[target]), target.replace(" ", "_")
    question = text(f"question_{key}")
    if isinstance(fitted, Refusal):
        return [Heading(question), Paragraph(say(fitted), "refusal")]
    blocks: list[Block] = [Heading(question), Paragraph(quality_sentence(fitted))]
    explained = context.of(IMPORTANCES[target])
    if isinstance(explained, Refusal):
        blocks.append(Paragraph(say(explained), "refusal"))
    else:
        for subset, each in explained.items():
            blocks += _importance(context, each, f"{key}_{subset.replace(' ', '_')}", question)
        blocks += _agreement(context, target, key)
    return [*blocks, _models(context, fitted, key)]


def _importance(context: Context, found: Importance, key: str, question: str) -> list[Block]:
    table, metric = context.table, context.table.objective
    bars = text.figure(
        f"importance_{key}",
        importance_bars(found, metric),
        key="importance",
        question=question,
        which=SUBSETS[found.subset],
        n=found.n,
        bootstraps=found.bootstraps,
        metric=metric,
    )
    if found.subset != "all":
        return [Details(f"The same within {SUBSETS[found.subset]}", (bars,))]
    swarm = text.figure(f"beeswarm_{key}", beeswarm(found, table, metric), key="beeswarm")
    return [bars, swarm]


def _agreement(context: Context, target: Target, key: str) -> list[Block]:
    found = context.of(AGREEMENTS[target])
    if isinstance(found, Refusal):
        return [Paragraph(say(found), "refusal")]
    firsts = list(found.firsts.values())
    return [
        text.paragraph("agreement", tau=found.tau, firsts=firsts),
        Details(
            "The two rankings side by side",
            (text.figure(f"agreement_{key}", rankings(found), key="agreement"),),
        ),
    ]


def _models(context: Context, fitted: Surrogate, key: str) -> Details:
    frame = fitted.to_frame()
    shown = pd.DataFrame(
        {"model": frame["model"].where(~frame["chosen"], frame["model"] + " (used)")}
    )
    for column, title, digits in QUALITIES:
        shown[title] = [fixed(value, digits) for value in frame[column]]
    models = text.table(
        f"surrogate_{key}", shown, frame, key="surrogate", repeats=fitted.repeats, n=fitted.n
    )
    predictions = text.figure(
        f"surrogate_{key}_predictions",
        predicted_against_observed(fitted.predictions, context.table.objective),
        key="predictions",
    )
    return Details("How well the surrogate predicts", (models, predictions))


def _ties(context: Context) -> list[Block]:
    """Say which factors go together by design: what importances must be read beside."""
    found = context.of(ties_of_design)
    heading = Heading("Which factors go together by design")
    if isinstance(found, Refusal):
        return [heading, Paragraph(say(found), "refusal")]
    figure = text.figure("ties", ties(found), material=MATERIAL)
    return [
        heading,
        Paragraph(ties_sentence(found)),
        Details("How strong the ties are", (figure,)),
    ]


def ties_sentence(found: Design) -> str:
    """Say which factors go together by design, and which with the cost."""

    def strength(pair: Pair) -> str:
        return f"({fixed(pair.strength)})"

    return text(
        "ties",
        pairs=[f"{words(p.first)} with {words(p.second)} {strength(p)}" for p in found.between],
        costs=[f"{words(p.first)} {strength(p)}" for p in found.with_cost],
        material=MATERIAL,
    )


QUESTION = Question("importance", section)
