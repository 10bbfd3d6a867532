"""The head of the page: which study, how many trials, which code, which data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.page.blocks import Banner, Header
from analysis.page.quantities import quantity, short
from analysis.page.text import listed, networks, unit_of_cost
from analysis.page.words import Text
from analysis.questions.context import Context
from analysis.questions.training.numbers import runs_without_learning
from analysis.questions.trust.precision import PrecisionDifference, precision_difference
from analysis.stats.interval import ALPHA


def header(context: Context) -> Header:
    """Gather the facts of the study from the table, its definition and what was given."""
    table, designs = context.table, context.designs
    study, frame = table.study, table.frame
    counts = frame["state"].value_counts()
    facts = [("Trials", ", ".join(f"{counts[s]} {s}" for s in counts.index))]
    facts.append(("Planned", str(study.planned)))
    if len(designs):
        cost, every = designs[table.cost], table.whole.designs()
        facts.append(("Networks", f"{len(every)} distinct, {int(every['repeats'].sum())} runs"))
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
        for key, value in context.facts.items()
        if key != "synthetic"
    ]
    facts.append(("Analysis", f"seed {context.seed}, {context.bootstraps} bootstraps"))
    merged = dict(facts)  # what was given to the report goes before what the table says
    return Header(study.name, _subtitle(context), tuple(merged.items()), _banners(context))


def _subtitle(context: Context) -> str:
    table = context.table
    if context.designs.empty:
        return "No network has finished training yet."
    records = table.study.data.get("records")
    trained = f" trained on {records} ECG records" if records else " trained"
    cost = context.designs[table.cost]
    ends = f"from {short(cost.min())} to {short(cost.max())} {unit_of_cost(table)}"
    return f"{networks(table, len(table.whole.designs()))}{trained}, {ends}."


def _banners(context: Context) -> tuple[Banner, ...]:
    banners = []
    if context.synthetic:
        banners.append(
            Banner(
                "alarm",
                "Synthetic ECGs – not a medical result.",
                "These networks were trained on made-up signals. The report shows that the "
                "software works; its numbers say nothing about real ECGs or patients.",
            )
        )
    table = context.table
    if table.study.condition:
        banners.append(
            Banner(
                "caution",
                "Only a part of the study.",
                f"These are its networks that meet “{table.study.condition}”; what is said of all "
                "networks is said of them.",
            )
        )
    nothing = context.known(runs_without_learning) if len(context.designs) else None
    if nothing is not None and nothing.runs:
        banners.append(
            Banner(
                "caution" if nothing.aside else "alarm",
                f"{nothing.networks} of {nothing.of_networks} networks learned nothing.",
                Text("training")("banner", aside=nothing.aside),
            )
        )
    precisions = precision_difference(table)
    if precisions is not None:
        banners.append(
            Banner(
                "caution", "Trained in more than one precision.", _precisions(context, precisions)
            )
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


def _precisions(context: Context, found: PrecisionDifference) -> str:
    """Say how many trials each precision has, and what it does to the score."""
    counts = listed([f"{count} in {name}" for name, count in found.trials.items()])
    size = context.unit.written(found.effect) if found.effect.known else ""
    metric = context.table.objective
    return Text("trust")(
        "precisions", counts=counts, found=found, size=size, metric=metric, alpha=ALPHA
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
    return {
        k: Path(v).name if k == "init" else v  # not where it lies
        for k, v in recipe.items()
        if v not in (None, 0, 0.0, False, "")
    }
