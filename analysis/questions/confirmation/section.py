"""The chapter of the confirmation: searched networks against reference architectures."""

from __future__ import annotations

from analysis.page.blocks import Block, Details, FigureBlock, Kind, Paragraph, Section
from analysis.page.quantities import quantity
from analysis.page.text import listed, plural
from analysis.page.words import say
from analysis.questions.confirmation.figures import differences_on_test, rivals_on_front
from analysis.questions.confirmation.numbers import confirmation
from analysis.questions.confirmation.results import SEARCHED, Comparison
from analysis.questions.confirmation.sentences import (
    budget_sentences,
    how_sentences,
    law_sentences,
    main_sentences,
    metric_sentences,
)
from analysis.questions.confirmation.tables import contestants_table, metrics_table
from analysis.questions.context import Context, Finding, Question
from analysis.questions.fronts.numbers import Fronts, estimated_fronts
from analysis.questions.laws.section import epochs_hedge
from analysis.stats.interval import ALPHA, PERCENT
from analysis.stats.refusal import Refusal
from analysis.trials.table import TrialTable

TITLE = "Against reference architectures"
OTHER_COSTS = ("params", "latency_ms")


def section(context: Context) -> Section:
    """Say who won within each budget, draw the differences, and tabulate every contestant."""
    found = context.of(confirmation)
    if isinstance(found, Refusal):
        kind: Kind = "text" if found.code == "confirmation.part" else "refusal"
        return Section("rivals", TITLE, (Paragraph(say(found), kind),))
    table, fronts = context.table, context.known(estimated_fronts) or {}
    own = set(table.candidates.designs()["architecture_hash"])
    blocks: list[Block] = [Paragraph(how_sentences(found, own)), Paragraph(metric_sentences(found))]
    blocks += _cautions(found)
    blocks += [Paragraph(text) for text in (*budget_sentences(found), *law_sentences(found))]
    compared = bool(found.compared(SEARCHED))
    if compared:
        blocks.append(_differences(found, found.primary, "test_differences"))
    blocks.append(_beside_front(table, found, fronts, table.cost, "rivals"))
    blocks.append(contestants_table(found, table.cost, epochs_hedge(context)))
    others = [cost for cost in OTHER_COSTS if (found.objective, cost) in fronts]
    beside = [_beside_front(table, found, fronts, cost, f"rivals_{cost}") for cost in others]
    if beside:
        blocks.append(Details("The same over other costs", tuple(beside)))
    if compared:
        blocks.append(
            Details(
                "The same by other metrics, and over other diagnoses",
                (
                    metrics_table(found),
                    *(
                        _differences(found, metric, f"test_differences_{metric}")
                        for metric in found.secondary
                    ),
                ),
            )
        )
    return Section("rivals", TITLE, tuple(blocks))


def finding(context: Context) -> Finding:
    """Count the pairs of searched and reference networks that the test records settle."""
    found = context.known(confirmation)
    return Finding(TITLE, () if found is None else tuple(main_sentences(found)))


def _cautions(found: Comparison) -> list[Block]:
    """Say what was brought in, excluded, or is not finished."""
    blocks: list[Block] = []
    if found.added:
        blocks.append(
            Paragraph(
                "Added by a later confirmation, when the first one's test scores could be "
                f"read: {listed(found.added)}. A reference architecture is fitted into its budget "
                "by rule, not chosen by scores, and was trained like the others, so it counts, and "
                "Holm's adjustment is over all pairs."
            )
        )
    if found.left_out:
        blocks.append(
            Paragraph(
                f"{plural(found.left_out, 'candidate')} of later confirmations "
                f"{'is' if found.left_out == 1 else 'are'} excluded: searched networks that may "
                "have been chosen by test scores, or reference architectures with other seeds, "
                "learning rates or budgets than the first confirmation's.",
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
    return blocks


def _beside_front(
    table: TrialTable, found: Comparison, fronts: Fronts, cost: str, name: str
) -> FigureBlock:
    return FigureBlock(
        name,
        f"Reference architectures beside the front over {quantity(cost).name.lower()}.",
        "Grey: the random networks. Line and band: the best score to expect within each cost, "
        "corrected for selection (winner's curse). Marks: confirmed networks, mean and sd over "
        "fresh seeds. All scores on validation records, on which the front stands.",
        rivals_on_front(table, found, cost, fronts.get((found.objective, cost))),
    )


def _differences(found: Comparison, metric: str, name: str) -> FigureBlock:
    return FigureBlock(
        name,
        f"Test {found.sets.described(metric)}: searched minus reference.",
        f"Right of zero the searched network scores higher. Blue: Holm-adjusted p below "
        f"{ALPHA:g}. Bars are unadjusted {PERCENT} CIs over patients and seeds.",
        differences_on_test(found, metric),
    )


QUESTION = Question("confirmation", section, finding)
