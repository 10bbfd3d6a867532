"""The chapter for clinicians: what the recommended network is worth, diagnosis by diagnosis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Details, FigureBlock, GridBlock, Paragraph, Section
from analysis.page.quantities import short
from analysis.page.words import Text, say
from analysis.questions.context import Context, Finding, Question
from analysis.questions.diagnoses.examples import example_blocks
from analysis.questions.diagnoses.figures import (
    calibration_of_classes,
    curves_of_class,
    curves_of_classes,
)
from analysis.questions.diagnoses.numbers import Diagnoses, diagnoses
from analysis.stats.patients import FEWEST_PATIENTS, kind_patients
from analysis.stats.refusal import Refusal
from analysis.use.calibration import ALL
from analysis.use.curves import PRECISION, ROC
from analysis.use.figures import reliability_curves, scores_by_row
from analysis.use.scores import MACRO
from analysis.use.tables import LABELS, of_everyone, wide_table
from data_pipeline.cohort import full_name

TITLE = "Diagnosis by diagnosis"
SHOWN = ("auroc", "auprc", "sensitivity", "specificity", "ppv")
TOGETHER = 6  # diagnoses in one figure
text = Text("diagnoses")


def section(context: Context) -> Section:
    """Tabulate the scores of every diagnosis, draw their curves, compare groups of patients."""
    found = context.of(diagnoses)
    if isinstance(found, Refusal):
        reason = text("missing", reason=say(found))
        return Section("diagnoses", TITLE, (Paragraph(reason, "refusal"),))
    evaluated = found.evaluated
    blocks: list[Block] = [
        text.paragraph(
            "how",
            network=found.contestant.name,
            flops=f"{short(found.contestant.costs['flops'])} FLOPs",
            budget=short(found.contestant.budget),
            records=len(evaluated.labels),
            patients=len(np.unique(evaluated.patients)),
            trainings=found.contestant.seeds,
            fewest=FEWEST_PATIENTS,
        ),
        _table(context, found),
        *_curves(context, found),
        *_groups(context, found),
        *example_blocks(context, found),
    ]
    return Section("diagnoses", TITLE, tuple(blocks))


def finding(context: Context) -> Finding:
    """Say how well the recommended network finds each diagnosis."""
    found = context.known(diagnoses)
    if found is None or not found.evaluated.enough.any():
        return Finding(TITLE, ())
    own = of_everyone(found.scored.scores)
    auroc = own[(own["metric"] == "auroc") & own["low"].notna() & (own["class"] != MACRO)]
    if auroc.empty:
        return Finding(TITLE, ())
    ordered = auroc.sort_values("estimate", ascending=False)
    ends = [
        (full_name(str(row["class"]), context.names), float(row["estimate"]))
        for row in ordered.iloc[[0, 1, -1] if len(ordered) > 2 else [0]].to_dict("records")
    ]
    said = text(
        "finding",
        network=found.contestant.name,
        records=len(found.evaluated.labels),
        good=int((auroc["estimate"] >= 0.9).sum()),
        diagnoses=len(auroc),
        best=ends[:2],
        worst=ends[2:],
        few=len(found.evaluated.classes) - len(auroc),
        fewest=FEWEST_PATIENTS,
    )
    return Finding(TITLE, (said,))


def _table(context: Context, found: Diagnoses) -> Block:
    evaluated, scores = found.evaluated, of_everyone(found.scored.scores)
    counts = dict(zip(evaluated.classes, evaluated.labels.sum(axis=0).tolist(), strict=True))
    patients = dict(
        zip(evaluated.classes, kind_patients(evaluated.labels, evaluated.patients), strict=True)
    )
    present = sorted((c for c in counts if counts[c]), key=lambda c: -counts[c])
    rows = [MACRO, *present]
    own = scores[scores["class"].isin(rows)].set_index("class").loc[rows].reset_index()
    wide = wide_table(own, "class")
    mean = text("mean", n=int(evaluated.enough.sum()))
    shown = pd.DataFrame(
        {
            "diagnosis": [mean, *(full_name(name, context.names) for name in present)],
            "n": [f"{len(evaluated.labels):,}", *(f"{counts[name]:,}" for name in present)],
            **{LABELS[metric]: wide[LABELS[metric]] for metric in SHOWN},
        }
    )
    absent = [full_name(name, context.names) for name in counts if not counts[name]]
    few = sum(patients[name] < FEWEST_PATIENTS for name in present)
    return text.table("diagnoses", shown, scores, absent=absent, few=few, fewest=FEWEST_PATIENTS)


def _judged(found: Diagnoses) -> list[str]:
    """Return the diagnoses with enough patients, the commonest first."""
    evaluated = found.evaluated
    counts = evaluated.labels.sum(axis=0)
    order = np.argsort(-counts.astype(int), kind="stable")
    return [evaluated.classes[k] for k in order if evaluated.enough[k]]


def _curves(context: Context, found: Diagnoses) -> list[Block]:
    judged = _judged(found)
    if not judged:
        return [text.paragraph("no_curves", "refusal", fewest=FEWEST_PATIENTS)]
    most = judged[:TOGETHER]
    panels = (
        FigureBlock("roc", "ROC.", "", curves_of_classes(found, ROC, most)),
        FigureBlock("pr", "Precision–recall.", "", curves_of_classes(found, PRECISION, most)),
        FigureBlock("calibration", "Calibration.", "", calibration_of_classes(found, most)),
    )
    names = {name: full_name(name, context.names) for name in judged}
    each = tuple(
        FigureBlock(f"curves_{name}", names[name], "", curves_of_class(found, name))
        for name in judged
    )
    own = found.calibration[found.calibration["class"] != ALL]
    calibrated = tuple(
        FigureBlock(f"calibration_{name}", names[name], "", reliability_curves(rows, small=True))
        for name in judged
        if len(rows := own[own["class"] == name])
    )
    grids: list[GridBlock] = [text.grid("diagnosis_curves", each)]
    if calibrated:
        grids.append(text.grid("diagnosis_calibration", calibrated))
    return [
        text.grid("curves", panels, n=len(most)),
        Details(f"The curves of all {len(judged)} diagnoses, one by one", tuple(grids)),
    ]


def _groups(context: Context, found: Diagnoses) -> list[Block]:
    scores = found.scored.scores
    macro = scores[(scores["class"] == MACRO) & (scores["kind"] != "all")]
    macro = macro[macro["estimate"].notna()]
    if macro.empty:
        return [text.paragraph("one_group", cohort=context.cohort is not None)]
    auroc = macro[macro["metric"] == "auroc"]
    rows = auroc["kind"].astype(str) + ": " + auroc["group"].astype(str)
    drawn = scores_by_row(auroc.assign(row=rows), "row", list(rows), "Mean AUROC")
    shown = wide_table(macro, "kind", "group")[["kind", "group", *(LABELS[m] for m in SHOWN)]]
    counts = macro.drop_duplicates(["kind", "group"])
    shown.insert(2, "n", [f"{n:,}" for n in counts["records"]])
    shown.insert(3, "diagnoses", counts["classes"].astype(str).to_numpy())
    return [
        text.figure("groups", drawn, fewest=FEWEST_PATIENTS, cohort=context.cohort is not None),
        text.table("subgroups", shown, scores[scores["kind"] != "all"]),
    ]


QUESTION = Question("diagnoses", section, finding)
