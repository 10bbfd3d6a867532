"""Model cards: what a user of a network must know, as data and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Where a network comes from, what it reads and writes, how good it is, what it is not for."""

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

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain data."""
        return {**asdict(self), "scores": dict(self.scores), "recipe": dict(self.recipe)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCard:
        """Return the card that `to_dict` (or its JSON) holds."""
        names = {entry.name for entry in fields(cls)}
        if not {"name", "classes", "leads", "samples", "sample_rate_hz"} <= set(data) <= names:
            raise ModelError(f"expected a model card with {', '.join(sorted(names))}, got {data!r}")
        lists = {key: tuple(data[key]) for key in ("classes", "leads", "thresholds") if key in data}
        return cls(**{**data, **lists})

    def to_markdown(self, summary: str) -> str:
        """Return the card as Markdown; `summary` describes the network."""
        thresholds = self.thresholds or (None,) * len(self.classes)
        rows = [
            f"| {name} | {'' if threshold is None else f'{threshold:.3f}'} |"
            for name, threshold in zip(self.classes, thresholds, strict=True)
        ]
        scores = [f"| {name} | {value:.4f} |" for name, value in self.scores.items()]
        origin = {
            "Study": self.study,
            "Seed": "" if self.seed is None else str(self.seed),
            "Data hash": self.data_hash,
            "Code": self.git_commit,
        }
        warning = (
            ["", "**Trained on synthetic ECGs: this network knows nothing of real ones.**"]
            if self.synthetic_data
            else []
        )
        lines = [
            f"# {self.name}",
            *warning,
            "",
            "A convolutional network that classifies ECGs, found with ecgscale. A research tool,",
            "no medical device: not validated for diagnosis, only as good as the data it has seen.",
            "",
            "## Reads",
            "",
            f"float32 (batch, {len(self.leads)}, {self.samples}): leads {', '.join(self.leads)}; "
            f"{self.sample_rate_hz:g} Hz. {self.preparation}".rstrip(),
            "",
            "## Writes",
            "",
            "Logits, one per class; their sigmoid is a probability, decided at the threshold.",
            "",
            "| class | threshold |",
            "|---|---|",
            *rows,
            "",
            "## Network",
            "",
            summary,
            "",
            "## Scores",
            "",
            *(["| score | value |", "|---|---|", *scores] if scores else ["None recorded."]),
            "",
            "## Origin",
            "",
            *(f"* {key}: {value}" for key, value in origin.items() if value),
            f"* Recipe: `{json.dumps(dict(self.recipe), sort_keys=True)}`",
            f"* Licence: {self.licence}",
        ]
        return "\n".join(lines) + "\n"
