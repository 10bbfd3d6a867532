"""Reading, preparing, splitting and feeding twelve-lead ECGs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from data_pipeline.errors import DataError

if TYPE_CHECKING:
    from data_pipeline.options import PrepareOptions
    from data_pipeline.prepare import prepare_store
    from data_pipeline.store import Store, open_store

__all__ = ["DataError", "PrepareOptions", "Store", "open_store", "prepare_store"]

_HOMES = {
    "PrepareOptions": "data_pipeline.options",
    "prepare_store": "data_pipeline.prepare",
    "Store": "data_pipeline.store",
    "open_store": "data_pipeline.store",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that importing the package costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
