"""The folds of a study: which records of its store it trains, validates and tests on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_pipeline import DataError
from data_pipeline.degenerate import label_warnings, learnable
from search.definition import DataPlan
from search.errors import StudyError

if TYPE_CHECKING:
    from data_pipeline import Store
    from data_pipeline.batches import ResidentRecords

FOLDS: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")


def fold_rows(store: Store, chosen: DataPlan) -> dict[str, NDArray[np.int64]]:
    """Return the row numbers of each fold, ascending; StudyError for what the store lacks.

    With a source left out, all its records are the test fold and its patients are nowhere else. For
    exclusive classes, only records with exactly one.
    """
    try:
        rows: dict[str, NDArray[np.int64]]
        if chosen.without_source:
            rows = dict(store.without_source(chosen.without_source).items())
        else:
            rows = {fold: store.rows(fold) for fold in FOLDS}
        share = store.rows("train", fraction=chosen.train_fraction)
    except DataError as error:
        raise StudyError(f"[data] of the study does not fit {store.path}: {error}") from None
    rows = {**rows, "train": np.intersect1d(rows["train"], share)}
    if chosen.exclusive:
        single = store.labels.sum(axis=1) == 1
        rows = {fold: own[single[own]] for fold, own in rows.items()}
    return rows


def not_exclusive(store: Store, chosen: DataPlan) -> int:
    """Count the records that are left out because they have not exactly one class."""
    everyone = replace(chosen, task="multilabel")
    return _count(store, everyone) - _count(store, chosen)


def _count(store: Store, chosen: DataPlan) -> int:
    return sum(map(len, fold_rows(store, chosen).values()))


def data_facts(store: Store, chosen: DataPlan) -> dict[str, Any]:
    """Describe the store and the folds that a study's trials are trained on."""
    rows = fold_rows(store, chosen)
    used = np.concatenate(list(rows.values()))
    labels = store.labels[used].sum(axis=0)
    left_out = {"not_exclusive": not_exclusive(store, chosen)} if chosen.exclusive else {}
    return {
        "hash": store.hash,
        "sample_rate_hz": store.sample_rate_hz,
        "samples": int(store.samples),
        "leads": int(store.signals.shape[1]),
        "outputs": len(store.classes),
        "synthetic": bool(store.synthetic),
        "records": len(used),
        "splits": {fold: len(rows[fold]) for fold in FOLDS},
        "labels": {name: int(n) for name, n in zip(store.classes, labels, strict=True)},
        **left_out,
    }


def study_warnings(store: Store, chosen: DataPlan) -> list[str]:
    """Return what is wrong with the labels of the folds that a study trains and is scored on."""
    warnings = label_warnings(store.labels, fold_rows(store, chosen), store.classes)
    if chosen.exclusive and (count := not_exclusive(store, chosen)):
        warnings.insert(0, f"{count:,} records are excluded: they have not exactly one class")
    return warnings


def require_learnable(store: Store, chosen: DataPlan) -> None:
    """Refuse folds that nothing can be learned from, or on which nothing can be scored."""
    rows = fold_rows(store, chosen)
    for fold in FOLDS[:2]:
        if not learnable(store.labels, rows[fold]).any():
            raise StudyError(
                f"expected a class with positive and negative records in the {fold} split of "
                f"{store.path}, got none among its {len(rows[fold])}: see 'ecgscale store "
                f"{store.path}' and prepare it with other labels, more records or another split"
            )


@dataclass(slots=True)
class Folds:
    """The folds on a device, each copied there when it is first asked for.

    A search never asks for the test fold.
    """

    store: Store
    chosen: DataPlan
    device: str
    _loaded: dict[str, ResidentRecords] = field(default_factory=dict)

    def records(self, fold: str) -> ResidentRecords:
        """Return one of FOLDS."""
        if fold not in self._loaded:
            import torch

            from data_pipeline.batches import ResidentRecords

            rows = fold_rows(self.store, self.chosen)[fold]
            device = torch.device(self.device)
            self._loaded[fold] = ResidentRecords.from_store(
                self.store, rows, device, exclusive=self.chosen.exclusive
            )
        return self._loaded[fold]

    def sources(self, fold: str) -> list[str]:
        """Return the source of every record of a fold."""
        rows = fold_rows(self.store, self.chosen)[fold]
        return [str(name) for name in self.store.records["source"].to_numpy()[rows]]
