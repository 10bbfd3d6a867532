"""Studies of many trainings in one PostgreSQL: planned once, shared by any number of workers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.database.storage import open_storage as open_storage
    from search.definition import StudyDefinition as StudyDefinition
    from search.errors import StudyError as StudyError
    from search.reading.records import read_class_scores as read_class_scores
    from search.reading.records import read_curves as read_curves
    from search.reading.records import read_definition as read_definition
    from search.reading.records import read_trials as read_trials
    from search.study import create_study as create_study
    from search.study import open_study as open_study
    from search.training.recipe import Recipe as Recipe

# Imported when first used, so that `ecgscale --help` is quick.
HOMES = {
    "Recipe": "search.training.recipe",
    "StudyDefinition": "search.definition",
    "StudyError": "search.errors",
    "create_study": "search.study",
    "open_storage": "search.database.storage",
    "open_study": "search.study",
    "read_class_scores": "search.reading.records",
    "read_curves": "search.reading.records",
    "read_definition": "search.reading.records",
    "read_trials": "search.reading.records",
}
__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
