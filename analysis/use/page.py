"""The page of an evaluation, and the tables beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.page.blocks import (
    Banner,
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Header,
    Paragraph,
    Section,
    TableBlock,
)
from analysis.page.quantities import score, short
from analysis.page.render import Words, render
from analysis.page.text import listed, plural
from analysis.stats.patients import FEWEST_PATIENTS
from analysis.use.calibration import ALL, expected_counts, reliability
from analysis.use.evaluate import Evaluation
from analysis.use.figures import reliability_curves, scores_by_row
from analysis.use.scores import MACRO, METRICS, Scored, score_evaluated
from analysis.use.tables import LABELS, of_everyone, signed, summary_table, wide_table

WORDS = Words("external validation of ECG networks", "This evaluation", "every score", "scores")


def write_evaluation(
    evaluation: Evaluation, out: Path, *, seed: int = 0, draws: int = 1000
) -> tuple[Path, Scored]:
    """Score, draw and write out/evaluation.html and out/tables/*.csv; return page and scores."""
    rng = np.random.default_rng(seed)
    scored = score_evaluated(evaluation.evaluated, rng, draws=draws)
    curves = reliability(evaluation.evaluated, rng)
    counts = expected_counts(evaluation.evaluated)
    sections = (
        _found(evaluation, scored),
        _by_class(evaluation, scored),
        _by_group(scored),
        _calibration(evaluation, curves, counts),
        _origins(evaluation),
    )
    page = render(_header(evaluation, seed, draws), sections, WORDS)
    tables = Path(out) / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for name, data in page.tables.items():
        data.to_csv(tables / f"{name}.csv", index=False)
    scored.scores.to_csv(tables / "scores.csv", index=False)
    path = Path(out) / "evaluation.html"
    path.write_text(page.html, encoding="utf-8")
    return path, scored


def _rule(evaluation: Evaluation) -> str:
    """Say how a class is decided, and which records are not."""
    if not any(network.card.exclusive for network in evaluation.networks):
        return ""
    return (
        "A network of exclusive classes decides the most probable one; "
        f"{evaluation.left_out:,} records are excluded that have not exactly one of the classes. "
    )


def _found(evaluation: Evaluation, scored: Scored) -> Section:
    evaluated, everyone = evaluation.evaluated, of_everyone(scored.scores)
    enough = [n for n, own in zip(evaluated.classes, evaluated.enough, strict=True) if own]
    few = [
        f"{name} ({count})"
        for name, own, count in zip(
            evaluated.classes, evaluated.enough, evaluated.labels.sum(axis=0), strict=True
        )
        if not own
    ]
    blocks: list[Block] = [
        Paragraph(
            f"Scores over the {len(enough)} of {len(evaluated.classes)} classes that at least "
            f"{FEWEST_PATIENTS} patients have, and as many have not: "
            f"{', '.join(enough) or 'none'}. F1, sensitivity and specificity are at the thresholds "
            f"that the networks came with, chosen on their training records. {_rule(evaluation)}"
            "Intervals are of "
            f"patients drawn again ({len(np.unique(evaluated.patients))} patients). A network that "
            "was trained several times has the mean score of its trainings; the chance in training "
            "is not in the intervals."
        )
    ]
    if few:
        blocks.append(
            Paragraph(
                f"Too few patients to be judged by, with the number of positive records: "
                f"{', '.join(few)}. They have no interval below and are in no mean.",
                "caution",
            )
        )
    for names, who in (
        (evaluation.only_networks, "the networks"),
        (evaluation.only_store, "the records"),
    ):
        if names:
            blocks.append(Paragraph(f"Known to {who} alone, and excluded: {', '.join(names)}."))
    blocks.append(
        TableBlock(
            "macro",
            "Means over the classes.",
            "95 % intervals in brackets.",
            summary_table(scored),
            everyone[everyone["class"] == MACRO],
        )
    )
    if len(scored.differences):
        blocks.append(_differences(scored))
    return Section("findings", "What was found", tuple(blocks))


def _differences(scored: Scored) -> TableBlock:
    """Tabulate each network minus the first."""
    shown = scored.differences.assign(
        value=[signed(row) for row in scored.differences.itertuples()]
    ).pivot(index="network", columns="metric", values="value")
    order = list(dict.fromkeys(scored.differences["network"]))
    against = scored.differences["against"].iloc[0]
    return TableBlock(
        "differences",
        f"Each network minus {against}.",
        "On the same draws of patients; not corrected for the number of comparisons.",
        shown.loc[order, list(METRICS)].rename(columns=LABELS).reset_index(),
        scored.differences,
    )


def _by_class(evaluation: Evaluation, scored: Scored) -> Section:
    evaluated = evaluation.evaluated
    everyone = of_everyone(scored.scores)
    named = dict(zip(evaluated.classes, evaluated.names, strict=True))
    judged = [n for n, own in zip(evaluated.classes, evaluated.enough, strict=True) if own]
    blocks: list[Block] = []
    if judged:
        blocks += [
            FigureBlock(
                f"classes_{metric}",
                f"{LABELS[metric]} of each class.",
                "Classes with enough patients; bars are 95 % intervals.",
                scores_by_row(
                    everyone[everyone["metric"] == metric], "class", judged, LABELS[metric]
                ),
            )
            for metric in ("auroc", "f1")
        ]
    for name in evaluated.networks:
        own = everyone[(everyone["network"] == name) & (everyone["class"] != MACRO)]
        shown = wide_table(own, "class")
        shown.insert(1, "diagnosis", shown["class"].map(named))
        counts = own.drop_duplicates("class").set_index("class")["positives"]
        shown.insert(2, "positive", shown["class"].map(counts).astype(str))
        table = TableBlock(f"classes_of_{_file(name)}", f"{name}.", "", shown, own)
        blocks.append(Details(f"All classes of {name}", (table,)))
    return Section("classes", "By class", tuple(blocks))


def _by_group(scored: Scored) -> Section:
    macro = scored.scores[(scored.scores["class"] == MACRO) & (scored.scores["kind"] != "all")]
    if macro.empty:
        nothing = "All records are of one source, one sex and one age group, as far as is known."
        return Section("groups", "By group", (Paragraph(nothing),))
    blocks: list[Block] = [
        Paragraph(
            "Means over the classes with enough patients in that group. Groups have different "
            "classes in their means, so compare networks within a group, not groups.",
            "caution",
        )
    ]
    auroc = macro[macro["metric"] == "auroc"]
    for kind in dict.fromkeys(auroc["kind"]):
        own = auroc[(auroc["kind"] == kind) & auroc["estimate"].notna()]
        if own.empty:
            continue
        groups = list(dict.fromkeys(own["group"]))
        blocks.append(
            FigureBlock(
                f"groups_{kind}",
                f"AUROC by {kind}.",
                "Bars are 95 % intervals.",
                scores_by_row(own, "group", groups, "Mean AUROC"),
            )
        )
    shown = wide_table(macro, "kind", "group", "network")
    counts = macro.drop_duplicates(["kind", "group"]).set_index(["kind", "group"])
    keys = pd.MultiIndex.from_frame(shown[["kind", "group"]])
    shown.insert(2, "records", counts["records"].loc[keys].astype(str).to_numpy())
    shown.insert(3, "classes", counts["classes"].loc[keys].astype(str).to_numpy())
    table = TableBlock("groups", "All groups.", "", shown, macro)
    return Section("groups", "By group", (*blocks, Details("All scores by group", (table,))))


def _calibration(evaluation: Evaluation, curves: pd.DataFrame, counts: pd.DataFrame) -> Section:
    if curves.empty:
        nothing = Paragraph("No class has enough patients for a curve.", "refusal")
        return Section("calibration", "Calibration", (nothing,))
    first = next(iter(evaluation.evaluated.networks))
    own = curves[(curves["network"] == first) & (curves["class"] != ALL)]
    panels = tuple(
        FigureBlock(f"reliability_{name}", str(name), "", reliability_curves(rows, small=True))
        for name, rows in own.groupby("class", sort=False)
    )
    shown = counts[counts["observed"] > 0].assign(
        expected=counts["expected"].map(lambda v: f"{v:.1f}"),
        ratio=counts["ratio"].map(lambda v: f"{v:.2f}"),
        observed=counts["observed"].astype(str),
    )
    return Section(
        "calibration",
        "Calibration",
        (
            Paragraph(
                "A calibrated network that says 0.3 is right in three of ten cases. Rates of "
                "diagnoses differ between hospitals, so that probabilities seldom hold elsewhere "
                "as they are: thresholds and calibration need records of one's own."
            ),
            FigureBlock(
                "reliability",
                "Observed share over predicted probability.",
                "All classes with enough patients together; bars and table have 95 % intervals.",
                reliability_curves(curves[curves["class"] == ALL]),
            ),
            GridBlock("reliability_classes", f"The classes of {first}.", "", panels),
            Details(
                "Expected and observed positives",
                (
                    TableBlock(
                        "expected",
                        "Positives that a network expects (the sum of its probabilities).",
                        "",
                        shown.reset_index(drop=True),
                        counts,
                    ),
                ),
            ),
        ),
    )


def _origins(evaluation: Evaluation) -> Section:
    rows = []
    for network in evaluation.networks:
        card, architecture = network.card, network.architecture
        cost = architecture.cost(card.samples, len(card.leads), len(card.classes))
        rows.append(
            {
                "file": network.path.name,
                "network": architecture.name,
                "FLOPs": short(cost.flops),
                "parameters": short(cost.params),
                "study": card.study,
                "seed": "" if card.seed is None else str(card.seed),
                "training records": str(card.records.get("train", "")),
                "validation macro-F1": score(card.scores.get("validation macro_f1", np.nan)),
                "validation AUROC": score(card.scores.get("validation macro_auroc", np.nan)),
                "data hash": card.data_hash[:12],
            }
        )
    frame = pd.DataFrame(rows)
    table = TableBlock("networks", "The networks.", "Scores are from their cards.", frame, frame)
    return Section("networks", "Networks", (table,))


def _header(evaluation: Evaluation, seed: int, draws: int) -> Header:
    store, evaluated = evaluation.store, evaluation.evaluated
    banners = []
    if store.synthetic or any(network.card.synthetic_data for network in evaluation.networks):
        banners.append(
            Banner("alarm", "Synthetic ECGs – not a medical result.", "These signals are made up.")
        )
    if evaluation.seen and evaluation.split != "test":
        banners.append(
            Banner(
                "alarm",
                "Not new to the networks.",
                "A network was trained, or its thresholds and choice made, with these records: the "
                "scores say nothing about other ones. Take --split test.",
            )
        )
    sources = sorted(set(evaluated.groups["source"]))
    own = "; a part of the store that it was trained on" if evaluation.seen else ""
    facts = (
        ("Records", f"{len(evaluated.labels)}, of {store.path.name} ({evaluation.split}{own})"),
        ("Patients", str(len(np.unique(evaluated.patients)))),
        ("Sources", ", ".join(sources)),
        ("Classes in common", str(len(evaluated.classes))),
        ("Data hash", store.hash),
        ("Analysis", f"seed {seed}, {draws} draws of patients"),
    )
    names = listed(list(evaluated.networks))
    return Header(
        f"{listed(sources)}: {plural(len(evaluated.networks), 'network')}",
        f"{names} on {plural(len(evaluated.labels), 'record')} that they were not trained on."
        if not banners
        else names,
        facts,
        tuple(banners),
    )


def _file(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)
