"""A handful of test ECGs with what the recommended network said of them, right and wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.page.blocks import Block, Details, Drawing, Heading
from analysis.page.words import Text
from analysis.questions.confirmation.resampling import Predictions
from analysis.questions.context import Context
from analysis.questions.diagnoses.numbers import Diagnoses
from data_pipeline.cohort import full_name
from data_pipeline.drawing import draw
from search.cohort import EACH

text = Text("diagnoses")


@dataclass(frozen=True, slots=True)
class Example:
    """The place of a test record, the diagnosis it was chosen for, and whether all was right."""

    record: int
    diagnosis: int
    right: bool


def choose_examples(
    labels: NDArray[np.uint8], decisions: NDArray[np.bool_], each: int = EACH
) -> list[Example]:
    """Choose records by a rule: of each diagnosis, the commonest first, the first right or wrong.

    labels and decisions are (records, classes). Right: every decision about the record is. Wrong:
    the diagnosis was missed, or named where it is not. A diagnosis that a chosen record of the same
    kind has shown is passed over.
    """
    truth = labels.astype(bool)
    order = np.argsort(-truth.sum(axis=0), kind="stable")
    right, wrong = truth & (decisions == truth).all(axis=1)[:, None], truth != decisions
    chosen: list[Example] = []
    for is_right, fits in ((True, right), (False, wrong)):
        found: list[Example] = []
        for k in order.tolist():
            if any(fits[one.record, k] for one in found):
                continue
            taken = {one.record for one in (*chosen, *found)}
            fresh = [row for row in np.flatnonzero(fits[:, k]).tolist() if row not in taken]
            found += [Example(row, k, is_right) for row in fresh[:1]]
        chosen += found[:each]
    return chosen


def example_blocks(context: Context, found: Diagnoses) -> list[Block]:
    """Draw the examples on ECG paper, where the store is at hand."""
    if context.ecgs is None:
        return [text.paragraph("no_examples")]
    name = found.contestant.name
    run = found.evaluated.networks[name][0]
    blocks: list[Block] = [
        Heading("Test ECGs, and what the network said"),
        text.paragraph("examples", network=name),
    ]
    store, rows = context.ecgs.store, context.ecgs.rows
    chosen = choose_examples(found.evaluated.labels, run.decisions, context.ecgs.each)
    first: list[Block] = []
    more: list[Block] = []
    for right in (True, False):
        own = [one for one in chosen if one.right == right]
        drawn = [
            Drawing(
                draw(store, int(rows[one.record]), _said(context, found, run, one)),
                _verdict(context, found, one),
            )
            for one in own
        ]
        first += drawn[:1]
        more += drawn[1:]
    blocks += first
    if more:
        blocks.append(Details(text("more", n=len(more)), tuple(more)))
    return blocks


def _said(context: Context, found: Diagnoses, run: Predictions, one: Example) -> list[str]:
    """Write what the network named, and what it missed, with probability and threshold."""
    classes, named = found.evaluated.classes, run.decisions[one.record]
    missed = found.evaluated.labels[one.record].astype(bool) & ~named

    def listed(chosen: NDArray[np.bool_]) -> str:
        return ", ".join(
            f"{context.names.get(classes[k], classes[k])} "
            f"({float(run.probabilities[one.record, k]):.2f}, threshold {run.thresholds[k]:.2f})"
            for k in np.flatnonzero(chosen)
        )

    lines = [f"Network: {listed(named) or 'nothing'}"]
    return [*lines, f"Missed: {listed(missed)}"] if missed.any() else lines


def _verdict(context: Context, found: Diagnoses, one: Example) -> str:
    """Say under an ECG whether the network was right."""
    evaluated = found.evaluated
    labels = evaluated.labels[one.record].astype(bool)
    has = [full_name(evaluated.classes[k], context.names) for k in np.flatnonzero(labels)]
    name = full_name(evaluated.classes[one.diagnosis], context.names)
    key = "right" if one.right else "missed" if labels[one.diagnosis] else "false_alarm"
    return text(key, labels=has, diagnosis=name)
