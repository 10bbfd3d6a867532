"""How training went: learning curves, and the scores by class of the best network."""

from __future__ import annotations

import pandas as pd

from analysis.page.blocks import Block, Section
from analysis.page.quantities import score
from analysis.page.words import Text
from analysis.questions.context import Context, Question
from analysis.questions.trust.figures import learning_curves
from analysis.trials.table import SEARCHED

CLASS_SCORES = {"f1": "F1", "auroc": "AUROC", "auprc": "AUPRC"}
text = Text("trust")


def section(context: Context) -> Section:
    """Draw learning curves, and the scores by class of the best network."""
    curves, table = context.curves, context.table
    blocks: list[Block] = []
    if curves is None or curves.empty or context.designs.empty:
        blocks.append(text.paragraph("no_curves", "refusal"))
    else:
        drawn = learning_curves(table, curves)
        blocks.append(text.figure("learning_curves", drawn, metric=table.objective))
    blocks += _classes(context)
    return Section("training", "How training went", tuple(blocks))


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


QUESTION = Question("training", section, without_networks=True)
