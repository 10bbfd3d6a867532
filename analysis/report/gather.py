"""Everything a report is made from, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pandas as pd

from analysis.errors import AnalysisError
from analysis.trials.find import find_table, our_study, table_of
from analysis.trials.subset import only
from analysis.trials.table import TrialTable
from search.cohort import EACH, Cohort, HeldOutEcgs, cohort_of, read_cohort
from search.database.storage import Storage
from search.study import Study, open_study

if TYPE_CHECKING:
    from data_pipeline.store import Store
    from search.reading.records import Confirmed


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A table and what is known beside it; `study` is what to publish to, where there is one."""

    table: TrialTable
    study: optuna.Study | Study | None = None
    curves: pd.DataFrame | None = None
    class_scores: pd.DataFrame | None = None
    confirmed: Confirmed | None = None
    cohort: Cohort | None = None
    ecgs: HeldOutEcgs | None = None
    other: TrialTable | None = None


def gather(
    study: str | optuna.Study | pd.DataFrame | TrialTable,
    storage: str | Storage | optuna.storages.BaseStorage | None = None,
    *,
    where: str | None = None,
    against: str | TrialTable | None = None,
    data: Path | None = None,
    ecgs: int = EACH,
) -> Material:
    """Read a study of ours with all that its database holds, or anybody's table.

    Raises:
        StudyError: there is no such study, the database does not answer, or the store `data` is
            not the one that the study was made for.
        AnalysisError: no network meets the condition `where`, or it chooses by scores.
    """
    other = find_table(against, storage) if isinstance(against, str) else against
    reader = our_study(study, storage)
    if reader is None:
        if data is not None:
            raise AnalysisError("Expected --data with a study of ecgscale, got another's table.")
        named = study if isinstance(study, TrialTable) else find_table(study, storage)
        table = named if where is None else only(named, where)
        return Material(table, study if isinstance(study, optuna.Study) else None, other=other)
    opened = open_study(reader.name, reader.storage)
    store = None if data is None else _store(opened, data)
    return Material(
        table_of(reader, where),
        opened,
        reader.curves,
        reader.class_scores,
        # Its candidates were chosen among all networks.
        reader.confirmed() if where is None else None,
        read_cohort(reader.attributes)
        if store is None
        else cohort_of(store, opened.definition.data),
        HeldOutEcgs.of(store, opened.definition.data, ecgs) if store is not None and ecgs else None,
        other,
    )


def _store(study: Study, data: Path) -> Store:
    from data_pipeline.store import open_store
    from search.worker import check_store

    store = open_store(data)
    check_store(study, store)
    return store
