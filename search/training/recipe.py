"""The recipe: everything about training that is not the architecture.

One recipe per study, stored and hashed with it. The defaults come from the experiment in
studies/recipe, chosen on validation records only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from search.errors import StudyError

if TYPE_CHECKING:
    from data_pipeline.batches import AugmentOptions

LOSSES = ("bce", "asymmetric")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train one network; change a field and the hash changes.

    Fields that begin with `augment_` are those of `data_pipeline.batches.AugmentOptions`.
    """

    # Length and size of the steps. The gradient of a batch is the mean over its records.
    epochs: int = 20
    batch_size: int = 64

    # AdamW. The rate rises linearly over the first `warmup` share of all steps and falls along a
    # half cosine to `final_learning_rate` (a share of `learning_rate`). Weight decay spares biases
    # and normalisation; gradients are clipped to a global norm.
    learning_rate: float = 5e-3
    warmup: float = 0.1
    final_learning_rate: float = 0.01
    weight_decay: float = 0.05
    gradient_clip: float = 1.0

    # Loss. Positives of a class weigh (negatives / positives) ** positive_weight_power, at most
    # positive_weight_limit. The asymmetric loss (Ridnik et al. 2021) takes the three numbers after.
    loss: str = "bce"
    positive_weight_power: float = 0.0
    positive_weight_limit: float = 20.0
    focus_negative: float = 4.0
    focus_positive: float = 1.0
    probability_shift: float = 0.05

    # Start the last bias at the training prevalence of each class.
    prior_bias: bool = True

    # Score an exponential moving average of the weights over about this many epochs; 0 = off.
    average_epochs: float = 0.0

    # Decide a class by the mean of all thresholds whose training F1 is within
    # threshold_slack / √positives of the best; 0 takes the best (metrics.best_thresholds).
    threshold_slack: float = 0.5

    # Of forward and backward passes in training; scores are computed in fp32. "auto" is settled for
    # the whole study by its first worker: bf16 where its device multiplies it fast, else fp32.
    precision: str = "auto"

    augment_crop_samples: int | None = None
    augment_gain: float = 0.0
    augment_noise: float = 0.0
    augment_wander: float = 0.0
    augment_lead_dropout: float = 0.1
    augment_mask: float = 0.2
    augment_warp: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    @property
    def hash(self) -> str:
        """Return 16 hex digits that stand for every field."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return a recipe with some fields changed from the defaults."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise StudyError(f"A recipe has no {name!r}; it has {', '.join(known)}.")
        # Whole numbers are fine where a fraction is meant, and must hash alike.
        chosen: dict[str, Any] = {
            name: float(value) if _KINDS[name] is float and type(value) is int else value
            for name, value in values.items()
        }
        return cls(**chosen)

    def augment_options(self) -> AugmentOptions | None:
        """Return the augmentation of training batches, None when all of it is off."""
        from data_pipeline.batches import AugmentOptions  # imports torch

        prefix = "augment_"
        chosen = {
            field.name.removeprefix(prefix): getattr(self, field.name)
            for field in fields(self)
            if field.name.startswith(prefix)
        }
        options = AugmentOptions(**chosen)
        return None if options == AugmentOptions() else options


_KINDS: dict[str, Any] = {field.name: type(field.default) for field in fields(Recipe)}
_KINDS["augment_crop_samples"] = int

# Lowest and highest valid value; the lowest itself is excluded where that is marked.
_ABOVE_ZERO = ("learning_rate", "gradient_clip")
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch_size": (2, 1_000_000),
    "learning_rate": (0, 10),
    "warmup": (0, 1),
    "final_learning_rate": (0, 1),
    "positive_weight_power": (0, 1),
    "positive_weight_limit": (1, 1e6),
    "probability_shift": (0, 0.5),
    "augment_crop_samples": (1, 1_000_000_000),
    "augment_lead_dropout": (0, 0.95),
    "augment_mask": (0, 0.95),
    "augment_warp": (0, 0.5),
}


def _check(name: str, value: Any) -> None:
    if name == "augment_crop_samples" and value is None:
        return
    kind = _KINDS[name]
    if type(value) is not kind:
        raise StudyError(f"Recipe field {name} must be {kind.__name__}, got {value!r}.")
    if kind is str:
        choices = LOSSES if name == "loss" else PRECISIONS
        if value not in choices:
            raise StudyError(f"Recipe field {name} must be one of {choices}, got {value!r}.")
    elif kind is not bool:
        low, high = _RANGES.get(name, (0, 1e6))
        if not low <= value <= high or (name in _ABOVE_ZERO and value == 0):
            above = "more than 0 and at most" if name in _ABOVE_ZERO else f"from {low:g} to"
            raise StudyError(f"Recipe field {name} must be {above} {high:g}, got {value!r}.")
