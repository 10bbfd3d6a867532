"""Which diagnoses a macro score on test records is over, and which score is the primary one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.errors import AnalysisError
from analysis.page.quantities import quantity
from analysis.questions.confirmation.resampling import METRICS
from analysis.stats.patients import FEWEST_PATIENTS, kind_patients
from analysis.trials.table import TrialTable

FEWEST_POSITIVES = 5
FREQUENT, RARE = "frequent_", "rare_"
RARE_SHARE = 0.02  # of the store's records, below which a class is rare
SETTINGS = "scores"
"""Section of a study's definition with `primary` and `fewest_positives`."""


@dataclass(frozen=True, slots=True)
class ClassSets:
    """Classes by the prefix of the metrics over them.

    `occurring` have a positive test record, `frequent` at least `fewest`; `rare` are in less than
    2 % of the store's records and of enough test patients for an interval. `frequent` is empty
    where it would be all that occur.
    """

    classes: tuple[str, ...]
    occurring: tuple[str, ...]
    frequent: tuple[str, ...]
    rare: tuple[str, ...]
    fewest: int

    @property
    def columns(self) -> dict[str, list[int]]:
        """Columns of each set that is not empty; without a prefix all classes."""
        named = {"": self.classes, FREQUENT: self.frequent, RARE: self.rare}
        place = {name: column for column, name in enumerate(self.classes)}
        return {prefix: [place[one] for one in own] for prefix, own in named.items() if own}

    def measured(self, metric: str) -> str:
        """Return the metric over all that occur in place of one over classes that are the same."""
        prefix, base = split(metric)
        return metric if prefix in self.columns else base

    def described(self, metric: str) -> str:
        """Name a metric with the diagnoses it is over, if those are not all that occur."""
        prefix, base = split(metric)
        name = quantity(base).name
        if prefix == FREQUENT:
            return (
                f"{name} over the {len(self.frequent)} diagnoses with at least {self.fewest} "
                "positive test records"
            )
        if prefix == RARE:
            listed = ", ".join(self.rare)
            return f"{name} over the rare diagnoses ({listed}: under 2 % of the records each)"
        return name


def split(metric: str) -> tuple[str, str]:
    """Split a metric's name into the prefix of its classes and the metric proper."""
    prefix = next((one for one in (FREQUENT, RARE) if metric.startswith(one)), "")
    return prefix, metric.removeprefix(prefix)


def class_sets(
    table: TrialTable, classes: Sequence[str], labels: np.ndarray, patients: np.ndarray
) -> ClassSets:
    """Sort the classes by how many positive records there are of each."""
    fewest = int(_settings(table).get("fewest_positives", FEWEST_POSITIVES))
    positives = np.asarray(labels).astype(bool).sum(axis=0)
    enough = kind_patients(labels, patients) >= FEWEST_PATIENTS
    counts, records = table.study.data.get("labels", {}), table.study.data.get("records", 0)
    occurring = tuple(name for name, n in zip(classes, positives, strict=True) if n > 0)
    frequent = tuple(name for name, n in zip(classes, positives, strict=True) if n >= fewest)
    rare = tuple(
        name
        for name, known in zip(classes, enough, strict=True)
        if known and 0 < counts.get(name, 0) < RARE_SHARE * records
    )
    return ClassSets(
        tuple(classes), occurring, () if frequent == occurring else frequent, rare, fewest
    )


def declared_metric(table: TrialTable) -> str:
    """Return the metric that decides: the one the study declared, else its objective.

    Raises AnalysisError for one that is not measured on test records.
    """
    declared = str(_settings(table).get("primary") or table.objective)
    prefix, base = split(declared)
    if base not in METRICS or prefix == RARE:
        raise AnalysisError(
            f"Confirmed networks are compared by {', '.join(METRICS[:-1])} or {METRICS[-1]}, not "
            f"by {declared}: choose one of them as the objective."
        )
    return declared


def _settings(table: TrialTable) -> Mapping[str, Any]:
    found = table.study.definition.get(SETTINGS, {})
    return found if isinstance(found, Mapping) else {}
