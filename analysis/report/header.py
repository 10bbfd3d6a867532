"""The head of the page: which study, how many trials, which code, which data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.page.blocks import Banner, Header
from analysis.page.quantities import difference, quantity, short
from analysis.page.text import listed, networks
from analysis.precision import PrecisionDifference, precision_difference
from analysis.report.results import Results
from analysis.trials.table import TrialTable


def header(results: Results) -> Header:
    """Gather the facts of the study from the table, its definition and what was given."""
    table, designs = results.table, results.designs
    study, frame = table.study, table.frame
    counts = frame["state"].value_counts()
    facts = [("Trials", ", ".join(f"{counts[s]} {s}" for s in counts.index))]
    facts.append(("Planned", str(study.planned)))
    if len(designs):
        cost = designs[table.cost]
        facts.append(("Networks", f"{len(designs)} distinct, {int(designs['repeats'].sum())} runs"))
        facts.append((quantity(table.cost).axis, f"{short(cost.min())} to {short(cost.max())}"))
    definition = study.definition
    facts += [
        (title, str(definition[key]))
        for key, title in (("space", "Design space"), ("seed", "Study seed"))
        if definition.get(key) not in (None, "")
    ]
    facts += _data_facts(study.data)
    for column, title in (
        ("data_hash", "Data hash"),
        ("recipe_hash", "Recipe hash"),
        ("git_commit", "Commit"),
        ("precision", "Trained in"),
        ("device", "Trained on"),
        ("host", "Hosts"),
    ):
        facts += _distinct(frame, column, title)
    recipe = definition.get("recipe")
    if isinstance(recipe, Mapping) and recipe:
        facts.append(("Recipe", ", ".join(f"{k} {v}" for k, v in _telling(recipe).items())))
    facts += [
        (str(key).replace("_", " ").capitalize(), str(value))
        for key, value in results.facts.items()
        if key != "synthetic"
    ]
    facts.append(("Analysis", f"seed {results.seed}, {results.bootstraps} bootstraps"))
    merged = dict(facts)  # what was given to the report goes before what the table says
    return Header(study.name, _subtitle(results), tuple(merged.items()), _banners(results))


def trial_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Count trials by role and state."""
    counts = pd.crosstab(frame["role"], frame["state"])
    counts["all"] = counts.sum(axis=1)
    counts.loc["all"] = counts.sum()
    counts.columns.name = None
    return counts.reset_index(names="role").astype(str)


def _subtitle(results: Results) -> str:
    table, n = results.table, len(results.designs)
    if n == 0:
        return "No network has finished training yet."
    records = table.study.data.get("records")
    trained = f" trained on {records} ECG records" if records else " trained"
    cost = results.designs[table.cost]
    unit = "FLOPs per ECG" if table.cost == "flops" else quantity(table.cost).axis.lower()
    return f"{networks(table, n)}{trained}, from {short(cost.min())} to {short(cost.max())} {unit}."


def _banners(results: Results) -> tuple[Banner, ...]:
    banners = []
    if results.synthetic:
        banners.append(
            Banner(
                "alarm",
                "Synthetic ECGs – not a medical result.",
                "These networks were trained on made-up signals. The report shows that the "
                "software works; its numbers say nothing about real ECGs or patients.",
            )
        )
    table = results.table
    if table.study.condition:
        banners.append(
            Banner(
                "caution",
                "Only a part of the study.",
                f"These are its networks that meet “{table.study.condition}”; what is said of all "
                "networks is said of them.",
            )
        )
    precisions = precision_difference(table)
    if precisions is not None:
        banners.append(
            Banner("caution", "Trained in more than one precision.", _precisions(table, precisions))
        )
    ended = int(table.frame["state"].isin(["complete", "failed"]).sum())
    if ended < table.study.planned:
        banners.append(
            Banner(
                "caution",
                "The study is not finished.",
                f"{ended} of {table.study.planned} planned trials have ended; every number below "
                "will still move.",
            )
        )
    return tuple(banners)


def _precisions(table: TrialTable, found: PrecisionDifference) -> str:
    """Say how many trials each precision has, and what it does to the score."""
    counts = listed([f"{count} in {name}" for name, count in found.trials.items()])
    if np.isnan(found.estimate):
        return (
            f"Of the complete trials, {counts}: too few in one of them to test whether that moves "
            "the score."
        )
    verdict = "a" if found.p < 0.05 else "no"
    size = difference(table.objective).written(found.estimate, found.low, found.high)
    return (
        f"Of the complete trials, {counts}. Among networks of equal design, {found.other} minus "
        f"{found.precision} is {size} of {quantity(table.objective).name} (95 % interval, "
        f"p = {found.p:.2g}): {verdict} statistically significant difference."
    )


def _data_facts(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write the facts of the data that fit into a line; the labels have a table of their own."""
    titles = {"records": "Records", "sample_rate_hz": "Sample rate (Hz)", "hash": "Data hash"}
    return [
        (titles.get(key, key.replace("_", " ").capitalize()), str(value))
        for key, value in data.items()
        if key not in ("synthetic", "labels", "hash") and isinstance(value, str | int | float)
    ]


def _distinct(frame: pd.DataFrame, column: str, title: str) -> list[tuple[str, str]]:
    """Name the value of a column, or how many there are."""
    if column not in frame:
        return []
    values = [str(value) for value in frame[column].dropna().unique() if str(value)]
    if not values:
        return []
    shown = ", ".join(value[:12] if len(value) >= 32 else value for value in values[:3])
    return [(title, shown if len(values) <= 3 else f"{shown} and {len(values) - 3} more")]


def _telling(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is switched off."""
    return {k: v for k, v in recipe.items() if v not in (None, 0, 0.0, False, "")}
