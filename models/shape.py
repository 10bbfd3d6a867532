"""The shape of what a network reads and puts out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """Samples and leads of one record, and how many outputs a network has for it.

    The defaults are those of the PhysioNet/CinC Challenge: ten seconds at 100 Hz, twelve leads, 26
    scored classes. `**shape` passes all three on by name.
    """

    samples: int = 1000
    leads: int = 12
    outputs: int = 26

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Shape:
        """Take what is known of a shape from the facts of a store or a study."""
        return cls(**{name: int(facts[name]) for name in _NAMES if name in facts})

    def keys(self) -> Iterable[str]:
        """Return the names of the three."""
        return _NAMES

    def __getitem__(self, name: str) -> int:
        return int(getattr(self, name))


_NAMES = tuple(field.name for field in fields(Shape))
DEFAULT = Shape()
