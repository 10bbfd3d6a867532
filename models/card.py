"""Model cards: what a user of a network must know, as data and as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from models.errors import ModelError
from models.preprocessing import Preprocessing

REQUIRED = ("name", "classes", "leads", "samples", "sample_rate_hz")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Where a network comes from, what it reads and writes, how good it is, what it is not for.

    diagnoses and codes name each of `classes` in full and by SNOMED CT. preprocessing is all that
    happens to a raw signal, None in files of before it was kept. intervals are the 95 % limits of
    `scores`, of patients drawn again. records and positives count what it was trained on; versions
    are of the software.
    """

    name: str
    classes: tuple[str, ...]
    leads: tuple[str, ...]
    samples: int
    sample_rate_hz: float
    preparation: str = ""
    thresholds: tuple[float, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    data_hash: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    study: str = ""
    seed: int | None = None
    git_commit: str = ""
    synthetic_data: bool = False
    licence: str = "MIT"
    diagnoses: tuple[str, ...] = ()
    codes: tuple[tuple[str, ...], ...] = ()
    preprocessing: Preprocessing | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    positives: Mapping[str, int] = field(default_factory=dict)
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    exclusive: bool = False

    def __post_init__(self) -> None:
        """Refuse lists that do not fit the classes."""
        for name in ("thresholds", "diagnoses", "codes"):
            given = getattr(self, name)
            if given and len(given) != len(self.classes):
                raise ModelError(
                    f"expected {len(self.classes)} {name}, got {len(given)}: one for each class"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain data."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        plain = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
        if self.preprocessing is not None:
            plain["preprocessing"] = asdict(self.preprocessing)
        return plain

    def to_json(self) -> str:
        """Return the card as JSON; scores that are not defined are left out."""
        plain = self.to_dict()
        plain["scores"] = {k: v for k, v in plain["scores"].items() if math.isfinite(v)}
        plain["intervals"] = {
            k: limits for k, limits in plain["intervals"].items() if all(map(math.isfinite, limits))
        }
        return json.dumps(plain, allow_nan=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCard:
        """Return the card that `to_dict` (or its JSON) holds, also of a later version."""
        lacking = [name for name in REQUIRED if name not in data]
        if lacking:
            raise ModelError(f"expected a model card with {', '.join(REQUIRED)}, got {data!r}")
        values = {entry.name: data[entry.name] for entry in fields(cls) if entry.name in data}
        for name in ("classes", "leads", "thresholds", "diagnoses"):
            values[name] = tuple(values.get(name, ()))
        values["codes"] = tuple(tuple(codes) for codes in values.get("codes", ()))
        values["intervals"] = {k: tuple(v) for k, v in values.get("intervals", {}).items()}
        prepared = values.get("preprocessing")
        if prepared is not None and not isinstance(prepared, Preprocessing):
            values["preprocessing"] = Preprocessing.from_dict(prepared)
        return cls(**values)
