"""What users write down, checked: one way to say what a key may be, and to say what is wrong.

The lowest package: it knows nothing of ECGs, networks or studies, and imports nothing of ours.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from definitions.words import hint, joined, number, shown

if TYPE_CHECKING:
    from definitions.model import AS_GIVEN, build, definition, key

__all__ = ["AS_GIVEN", "build", "definition", "hint", "joined", "key", "number", "shown"]


def __getattr__(name: str) -> Any:
    """Import what needs pydantic on first use, so that `ecgscale --help` is quick."""
    if name in ("AS_GIVEN", "build", "definition", "key"):
        return getattr(import_module("definitions.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
