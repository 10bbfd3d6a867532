"""Who and what is in a store: the flow from files to splits, and the table of characteristics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_pipeline.store import SPLITS, Store

Rows = NDArray[np.int64]
GROUPS = ("all", *SPLITS)
AGES = ((0, 40, "under 40"), (40, 60, "40 to 59"), (60, 80, "60 to 79"), (80, 200, "80 and over"))
UNKNOWN = "unknown"
NO_LABEL = "none of these diagnoses"


@dataclass(frozen=True, slots=True)
class Flow:
    """How many records were found, excluded for which reason, and kept; rows are windows.

    `records` counts those of each split, `unused` those that are in none.
    """

    found: int
    excluded: dict[str, int]
    kept: int
    rows: int
    records: dict[str, int]
    unused: int = 0


def flow(store: Store, rows: Mapping[str, Rows] | None = None) -> Flow:
    """Count the records from the raw files to the splits; found is excluded and kept together.

    `rows` are the rows of each split, by default those of the store.
    """
    reasons = store.excluded.groupby(["path", "record"], sort=False)["reason"].first()
    kept = store.records.drop_duplicates("path")
    # A record of which only a window repeats another is kept.
    lost = reasons[~reasons.index.get_level_values("path").isin(set(kept["path"]))]
    counts = {str(reason): int(n) for reason, n in lost.value_counts().items()}
    records = {split: len(own) for split, own in _first_rows(store, rows).items() if split != "all"}
    return Flow(
        found=len(kept) + sum(counts.values()),
        excluded=counts,
        kept=len(kept),
        rows=len(store),
        records=records,
        unused=len(kept) - sum(records.values()),
    )


def characteristics(store: Store, rows: Mapping[str, Rows] | None = None) -> pd.DataFrame:
    """Describe the records of all and of each split, one line per characteristic, as text.

    Ages are median and quartiles of those known; shares are of the records of the column. `rows`
    are the rows of each split, by default those of the store.
    """
    records, labels = store.records, store.labels
    first = _first_rows(store, rows)
    used = records.iloc[first["all"]]
    lines = [
        ("Records", {g: f"{len(r):,}" for g, r in first.items()}),
        ("Patients known", {g: f"{_patients(records, r):,}" for g, r in first.items()}),
        ("Age, years: median (quartiles)", {g: _age(records, r) for g, r in first.items()}),
    ]
    unknown = records["age"].isna().to_numpy()
    lines.append(("Age not known", _shares(first, unknown)))
    for sex, name in (("female", "Female"), ("male", "Male"), ("", "Sex not known")):
        lines.append((name, _shares(first, (records["sex"] == sex).to_numpy())))
    for source in sorted(used["source"].unique()):
        lines.append((f"Source {source}", _shares(first, (records["source"] == source).to_numpy())))
    lines += label_lines(store.classes, store.class_names, labels, first)
    table = pd.DataFrame([{"characteristic": name, **cells} for name, cells in lines])
    return table[["characteristic", *GROUPS]]


def people(records: pd.DataFrame) -> pd.DataFrame:
    """Return source, sex and age group of each record, as ordered categories."""
    ages = records["age"].to_numpy(np.float64)
    named = np.full(len(records), UNKNOWN, dtype=object)
    for low, high, name in AGES:
        named[(ages >= low) & (ages < high)] = name
    sex = records["sex"].replace("", UNKNOWN).to_numpy(dtype=object)
    source = records["source"].to_numpy(dtype=object)
    in_order = {
        "source": pd.Categorical(source, sorted(set(source)), ordered=True),
        "sex": pd.Categorical(sex, sorted(set(sex)), ordered=True),
        "age": pd.Categorical(named, [*(name for _, _, name in AGES), UNKNOWN], ordered=True),
    }
    return pd.DataFrame(in_order)


def full_name(short: str, names: Mapping[str, str]) -> str:
    """Write a class as its full name with the abbreviation, as far as the name is known."""
    name = names.get(short, short)
    return name if name == short else f"{name} ({short})"


def label_lines(
    classes: Sequence[str],
    names: dict[str, str],
    labels: NDArray[np.uint8],
    rows: dict[str, Rows],
) -> list[tuple[str, dict[str, str]]]:
    """Return a line per class with its full name, the commonest first."""
    counts = labels[rows["all"]].sum(axis=0, dtype=np.int64)
    order = np.argsort(-counts, kind="stable").tolist()
    lines = []
    for index in order:
        name = full_name(classes[index], names)
        lines.append((name, _shares(rows, labels[:, index].astype(bool))))
    without = labels.sum(axis=1) == 0
    if without[rows["all"]].any():
        lines.append((NO_LABEL, _shares(rows, without)))
    return lines


def _first_rows(store: Store, rows: Mapping[str, Rows] | None) -> dict[str, Rows]:
    """Return one row per record, its first window, of all splits together and of each."""
    first = np.flatnonzero(~store.records.duplicated("path").to_numpy())
    if rows is None:
        splits = store.records["split"].to_numpy()
        rows = {split: first[splits[first] == split] for split in SPLITS}
    own: dict[str, Rows] = {split: np.intersect1d(first, rows[split]) for split in SPLITS}
    return {"all": np.sort(np.concatenate(list(own.values()))), **own}


def _shares(rows: dict[str, Rows], chosen: NDArray[np.bool_]) -> dict[str, str]:
    return {group: _share(int(chosen[r].sum()), len(r)) for group, r in rows.items()}


def _share(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / of:.1f} %)" if of else "0"


def _patients(first: pd.DataFrame, rows: Rows) -> int:
    return int(first["patient"].iloc[rows].replace("", np.nan).nunique())


def _age(first: pd.DataFrame, rows: Rows) -> str:
    ages = first["age"].iloc[rows].dropna()
    if ages.empty:
        return "–"
    low, middle, high = np.percentile(ages, [25, 50, 75])
    return f"{middle:.0f} ({low:.0f}–{high:.0f})"
