"""Folds that a data set comes with, and which split each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from data_pipeline.errors import DataError
from data_pipeline.store import SPLITS

_WORDS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
TEN_FOLDS = "1-8/9/10"
"""What the authors of PTB-XL recommend for its ten folds (doi:10.1038/s41597-020-0495-6)."""


def fold_names(
    folds: Sequence[str], mapping: str | None, official: bool
) -> tuple[dict[str, str], list[str]]:
    """Return the split of every fold as written, itself where unknown, and what to tell.

    mapping lists the folds of train, validation and test, such as 1-8/9/10; without it names are
    understood, and ten numbered folds as PTB-XL's.
    """
    written = dict.fromkeys(fold for fold in folds if fold)
    if not written:
        return {}, []
    if not official:
        return {}, ["the column fold is not used; --split official takes it"]
    notes = []
    words = dict(_WORDS)
    numbers = {_plain(fold) for fold in written}
    if mapping is None and numbers <= {str(n) for n in range(1, 11)} and "10" in numbers:
        mapping = TEN_FOLDS
        notes.append(f"folds {TEN_FOLDS} are train/validation/test; --folds changes that")
    if mapping is not None:
        words |= _parse(mapping, numbers)
    return {fold: words.get(_plain(fold), fold) for fold in written}, notes


def unknown_folds(rows: Iterable[tuple[str, str]]) -> DataError | None:
    """Return what is wrong with the folds (record, fold) of an official split, if anything."""
    wrong: dict[str, list[str]] = {}
    for record, fold in rows:
        if fold not in SPLITS:
            wrong.setdefault(fold, []).append(record)
    if not wrong:
        return None
    if "" in wrong:
        return DataError(
            f"Expected a fold for every record, but {len(wrong[''])} have none, "
            f"{wrong[''][0]} among them; choose shares instead of the official split."
        )
    named = ", ".join(f"{f!r} ({len(r)} records, such as {r[0]})" for f, r in wrong.items())
    return DataError(
        f"Expected the folds train, validation and test, but got {named}; say which are which "
        f"with --folds TRAIN/VALIDATION/TEST, such as --folds {TEN_FOLDS}."
    )


def _plain(fold: str) -> str:
    word = fold.strip().lower()
    return word.partition(".")[0] if word.replace(".", "", 1).isdigit() else word


def _parse(mapping: str, present: set[str]) -> dict[str, str]:
    parts = mapping.split("/")
    words: dict[str, str] = {}
    for split, part in zip(SPLITS, parts, strict=False):
        for word in filter(None, (w.strip().lower() for w in part.split(","))):
            low, dash, high = word.partition("-")
            span = dash and low.isdigit() and high.isdigit()
            for fold in map(str, range(int(low), int(high) + 1)) if span else (word,):
                if words.setdefault(fold, split) != split:
                    raise DataError(f"Expected every fold in one split, but {fold} is in several.")
    if len(parts) != len(SPLITS) or not words:
        raise DataError(
            f"Expected --folds TRAIN/VALIDATION/TEST, such as {TEN_FOLDS}, but got {mapping!r}."
        )
    if not present & set(words):
        raise DataError(
            f"Expected --folds to name folds of the table ({', '.join(sorted(present)[:12])}), "
            f"but got {mapping!r}."
        )
    return words
