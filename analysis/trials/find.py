"""The trial table of a study: in our database, in anybody's Optuna storage, or of a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import optuna
import pandas as pd

from analysis.errors import AnalysisError
from analysis.trials.factors import from_distribution
from analysis.trials.subset import only
from analysis.trials.table import (
    StudyFacts,
    TrialTable,
    from_frame,
    from_optuna,
    minimized,
)
from search.database.storage import Storage, is_embedded, open_storage
from search.reading.records import StudyReader
from search.study import study_names
from search.training.metric_table import OBJECTIVE

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def read_table(study: str, storage: Storage, where: str | None = None) -> TrialTable:
    """Read a study's trials, factors and facts; the table may have no complete trial yet.

    Raises:
        StudyError: there is no such study, or the database does not answer.
        AnalysisError: no network meets the condition `where`, or it chooses by scores.
    """
    return table_of(StudyReader(study, storage), where)


def table_of(study: StudyReader, where: str | None = None) -> TrialTable:
    """Make the trial table of a study of ours."""
    definition = study.definition()
    data, planned = definition.pop("data"), definition.pop("planned")
    table = TrialTable(
        study.trials,
        tuple(from_distribution(name, kind) for name, kind in study.distributions().items()),
        StudyFacts(study.name, planned, definition=definition, data=data),
        objective=study.objective,
        maximize=not minimized(study.objective),
    )
    return table if where is None else only(table, where)


def our_study(study: object, storage: str | Storage | BaseStorage | None) -> StudyReader | None:
    """Open a study of ours that is given by name; None for anything else."""
    if not isinstance(study, str):
        return None
    if isinstance(storage, str) and not _may_be_ours(storage):
        return None
    if storage is not None and not isinstance(storage, str | Storage):
        return None
    ours = storage if isinstance(storage, Storage) else open_storage(storage)
    return StudyReader(study, ours) if study in study_names(ours) else None


def find_table(
    study: str | optuna.Study | pd.DataFrame,
    storage: str | Storage | BaseStorage | None = None,
    *,
    cost: str = "flops",
    objective: str | None = None,
    maximize: bool | None = None,
    where: str | None = None,
) -> TrialTable:
    """Return the trial table of whatever `analysis.table` was given."""
    table = _found(study, storage, cost, objective)
    if maximize is not None:
        table = replace(table, maximize=maximize)
    return table if where is None else only(table, where)


def _found(
    study: str | optuna.Study | pd.DataFrame,
    storage: str | Storage | BaseStorage | None,
    cost: str,
    objective: str | None,
) -> TrialTable:
    if isinstance(study, pd.DataFrame):
        named = objective or OBJECTIVE.name
        return from_frame(study, objective=named, cost=cost, maximize=not minimized(named))
    table = _named(study, storage, cost) if isinstance(study, str) else from_optuna(study, cost)
    if cost != table.cost and cost not in table.costs:
        raise AnalysisError(
            f"Expected a cost that every complete trial has, got '{cost}': "
            f"'{table.study.name}' has {', '.join(table.costs)}."
        )
    if objective is not None and objective not in table.metrics:
        raise AnalysisError(
            f"Expected a metric of the trials, got '{objective}': '{table.study.name}' has "
            f"{', '.join(table.metrics)}."
        )
    if objective is None or objective == table.objective:
        return replace(table, cost=cost)
    return replace(table, cost=cost, objective=objective, maximize=not minimized(objective))


def _named(name: str, storage: str | Storage | BaseStorage | None, cost: str) -> TrialTable:
    """Read a study by its name; one of ours with all that the database knows of it."""
    ours = our_study(name, storage)
    if ours is not None:
        return table_of(ours)
    if storage is None or (isinstance(storage, str) and _may_be_ours(storage)):
        storage = open_storage(storage)
    return from_optuna(
        _load(name, storage.optuna() if isinstance(storage, Storage) else storage), cost
    )


def _may_be_ours(where: str) -> bool:
    return is_embedded(where) or where.startswith(("postgresql", "postgres:"))


def _load(name: str, storage: str | BaseStorage) -> optuna.Study:
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        names = ", ".join(optuna.get_all_study_names(storage)) or "none"
        raise AnalysisError(
            f"Expected a study called '{name}' in this storage: there are {names}."
        ) from None
