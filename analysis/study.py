"""The trial table of a study in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.factors import from_distribution
from analysis.table import StudyFacts, TrialTable
from search.records import read_definition, read_distributions, read_trials

if TYPE_CHECKING:
    from search.database.storage import Storage


def read_table(study: str, storage: Storage) -> TrialTable:
    """Read a study's trials, factors and facts; the table may have no complete trial yet.

    Raises:
        StudyError: there is no such study, or the database does not answer.
    """
    definition = read_definition(study, storage)
    data, planned = definition.pop("data"), definition.pop("planned")
    distributions = read_distributions(study, storage)
    return TrialTable(
        read_trials(study, storage),
        tuple(from_distribution(name, kind) for name, kind in distributions.items()),
        StudyFacts(study, planned, definition=definition, data=data),
    )
