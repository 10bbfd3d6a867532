"""Who and what the study is of: the flow from files to splits, and the table of characteristics."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.page.blocks import Block, Details, Drawing, Section
from analysis.page.words import Text
from analysis.questions.cohort.figures import flow_svg
from analysis.questions.context import Context, Question
from data_pipeline.cohort import NO_LABEL, full_name

TITLE = "The ECGs"
text = Text("cohort")


def section(context: Context) -> Section:
    """Draw the flow and tabulate the records; without a cohort, count them by diagnosis."""
    cohort = context.cohort
    blocks: list[Block] = []
    if cohort is None:
        blocks.append(text.paragraph("unknown", ours=context.table.study.ours))
    else:
        blocks.append(Drawing(flow_svg(cohort.flow), text("flow")))
        table = cohort.characteristics
        titled = table.rename(columns={"characteristic": "", "all": "all records"})
        labels = {NO_LABEL, *(full_name(name, cohort.names) for name in cohort.names)}
        is_label = table["characteristic"].isin(labels)  # there are many of them
        blocks += [
            text.table("cohort", titled[~is_label], table),
            Details(
                "Diagnoses by split",
                (text.table("cohort_diagnoses", titled[is_label]),),
            ),
        ]
    return Section("cohort", TITLE, (*blocks, *_labels(context)))


def _labels(context: Context) -> list[Block]:
    """Tabulate how often each class occurs, where no table of the cohort says so."""
    labels = context.table.study.data.get("labels")
    if context.cohort is not None or not isinstance(labels, Mapping) or not labels:
        return []
    counts = sorted(labels.items(), key=lambda item: -int(item[1]))
    rows = [(str(name), str(int(count))) for name, count in counts]
    data = pd.DataFrame(rows, columns=["class", "records"])
    shown = data.assign(**{"class": [full_name(name, context.names) for name in data["class"]]})
    return [Details("Records by diagnosis", (text.table("labels", shown, data),))]


QUESTION = Question("cohort", section, without_networks=True)
