"""Who and what is in a store: the flow from files to splits, and the table of characteristics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_pipeline.store import SPLITS, Store

GROUPS = ("all", *SPLITS)


@dataclass(frozen=True, slots=True)
class Flow:
    """How many records were found, excluded for which reason, and kept; rows are windows."""

    found: int
    excluded: dict[str, int]
    kept: int
    rows: int
    records: dict[str, int]
    """Records per split."""


def flow(store: Store) -> Flow:
    """Count the records from the raw files to the splits; found is excluded and kept together."""
    reasons = store.excluded.groupby(["path", "record"], sort=False)["reason"].first()
    kept = store.records.drop_duplicates("path")
    # A record of which only a window repeats another is kept.
    lost = reasons[~reasons.index.get_level_values("path").isin(set(kept["path"]))]
    counts = {str(reason): int(n) for reason, n in lost.value_counts().items()}
    return Flow(
        found=len(kept) + sum(counts.values()),
        excluded=counts,
        kept=len(kept),
        rows=len(store),
        records={split: int((kept["split"] == split).sum()) for split in SPLITS},
    )


def characteristics(store: Store) -> pd.DataFrame:
    """Describe the records of all and of each split, one line per characteristic, as text.

    Ages are median and quartiles of those known; shares are of the records of the column.
    """
    first = store.records.drop_duplicates("path")
    labels = store.labels[first.index.to_numpy()]
    rows = {group: _rows_of(first, group) for group in GROUPS}
    lines = [
        ("Records", {g: f"{len(r):,}" for g, r in rows.items()}),
        ("Patients known", {g: f"{_patients(first, r):,}" for g, r in rows.items()}),
        ("Age, years: median (quartiles)", {g: _age(first, r) for g, r in rows.items()}),
    ]
    unknown = first["age"].isna().to_numpy()
    lines.append(("Age not known", _shares(rows, unknown)))
    for sex, name in (("female", "Female"), ("male", "Male"), ("", "Sex not known")):
        lines.append((name, _shares(rows, (first["sex"] == sex).to_numpy())))
    for source in sorted(first["source"].unique()):
        lines.append((f"Source {source}", _shares(rows, (first["source"] == source).to_numpy())))
    lines += label_lines(store.classes, store.class_names, labels, rows)
    table = pd.DataFrame([{"characteristic": name, **cells} for name, cells in lines])
    return table[["characteristic", *GROUPS]]


def label_lines(
    classes: Sequence[str],
    names: dict[str, str],
    labels: NDArray[np.uint8],
    rows: dict[str, NDArray[np.int64]],
) -> list[tuple[str, dict[str, str]]]:
    """Return a line per class with its full name, the commonest first."""
    order = np.argsort(-labels.sum(axis=0, dtype=np.int64), kind="stable").tolist()
    lines = []
    for index in order:
        short = classes[index]
        name = names[short] if names[short] == short else f"{names[short]} ({short})"
        lines.append((name, _shares(rows, labels[:, index].astype(bool))))
    without = labels.sum(axis=1) == 0
    if without.any():
        lines.append(("none of these diagnoses", _shares(rows, without)))
    return lines


def _rows_of(first: pd.DataFrame, group: str) -> NDArray[np.int64]:
    if group == "all":
        return np.arange(len(first))
    return np.flatnonzero((first["split"] == group).to_numpy())


def _shares(rows: dict[str, NDArray[np.int64]], chosen: NDArray[np.bool_]) -> dict[str, str]:
    return {group: _share(int(chosen[r].sum()), len(r)) for group, r in rows.items()}


def _share(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / of:.1f} %)" if of else "0"


def _patients(first: pd.DataFrame, rows: NDArray[np.int64]) -> int:
    return int(first["patient"].iloc[rows].replace("", np.nan).nunique())


def _age(first: pd.DataFrame, rows: NDArray[np.int64]) -> str:
    ages = first["age"].iloc[rows].dropna()
    if ages.empty:
        return "–"
    low, middle, high = np.percentile(ages, [25, 50, 75])
    return f"{middle:.0f} ({low:.0f}–{high:.0f})"
