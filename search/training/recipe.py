"""The recipe: everything about training that is not the architecture.

One recipe per study, stored and hashed with it. The defaults come from the experiment in
studies/recipe, chosen on validation records only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, StrictBool, StrictFloat, StrictInt, StrictStr

from data_pipeline.alterations import ALTERATIONS
from definitions import build, definition, key
from definitions.plugins import Registry
from search.errors import StudyError

if TYPE_CHECKING:
    from torch import Tensor

    from data_pipeline.batches import AugmentOptions

Loss = Callable[["Tensor", "Tensor", "Tensor", "Recipe"], "Tensor"]
MULTILABEL_LOSSES, EXCLUSIVE_LOSSES = ("bce", "asymmetric"), ("cross_entropy",)


def _ours(name: str) -> Loss:
    """Return a loss of ours that imports torch when it is first computed."""

    def compute(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
        found: Loss = getattr(import_module("search.training.loss"), name)
        return found(logits, labels, weights, recipe)

    return compute


LOSSES: Registry[Loss] = Registry(
    "loss", {name: _ours(name) for name in (*MULTILABEL_LOSSES, *EXCLUSIVE_LOSSES)}
)


def _alteration(name: str) -> str:
    return ALTERATIONS.known(name) if name else name


@definition(StudyError, "a recipe")
class Recipe:
    """How to train one network; change a field and the hash changes.

    Fields that begin with `augment_` are those of `data_pipeline.batches.AugmentOptions`.
    """

    epochs: Annotated[StrictInt, key("Passes over the training records.", ge=1, le=10_000)] = 20
    batch_size: Annotated[
        StrictInt, key("Records per step; the gradient is their mean.", ge=2, le=65_536)
    ] = 64

    # AdamW; weight decay spares biases and normalisation.
    learning_rate: Annotated[StrictFloat, key("Highest learning rate.", gt=0, le=10)] = 5e-3
    warmup: Annotated[
        StrictFloat, key("Share of all steps in which the rate rises linearly.", ge=0, le=1)
    ] = 0.1
    final_learning_rate: Annotated[
        StrictFloat,
        key("Where the half cosine ends: a share of learning_rate.", ge=0, le=1),
    ] = 0.01
    # 0.05 in each of 21 steps, which is what the experiment had, is 1 in an epoch.
    weight_decay: Annotated[
        StrictFloat, key("Weight decay of AdamW, per epoch or per step.", ge=0, le=1e6)
    ] = 1.0
    weight_decay_per: Annotated[
        Literal["epoch", "step"],
        key(
            "epoch: its steps share weight_decay, so that neither records nor batch size change "
            "how far weights decay; step: each has all of it."
        ),
    ] = "epoch"
    gradient_clip: Annotated[
        StrictFloat, key("Largest global norm of the gradient.", gt=0, le=1e6)
    ] = 1.0

    # Ridnik et al. 2021 for the asymmetric loss and the three numbers it takes.
    loss: Annotated[
        StrictStr,
        AfterValidator(LOSSES.known),
        key(
            "Binary cross-entropy, the asymmetric loss, or for exclusive classes cross-entropy.",
            expected=f"one of {', '.join(map(repr, LOSSES))}, or a plug-in's",
            choices=LOSSES,
        ),
    ] = "bce"
    positive_weight_power: Annotated[
        StrictFloat,
        key("A positive weighs (negatives / positives) to this power.", ge=0, le=1),
    ] = 0.0
    positive_weight_limit: Annotated[
        StrictFloat, key("Largest weight of a positive.", ge=1, le=1e6)
    ] = 20.0
    focus_negative: Annotated[
        StrictFloat, key("Asymmetric loss: exponent for negatives.", ge=0, le=1e6)
    ] = 4.0
    focus_positive: Annotated[
        StrictFloat, key("Asymmetric loss: exponent for positives.", ge=0, le=1e6)
    ] = 1.0
    probability_shift: Annotated[
        StrictFloat, key("Asymmetric loss: shift of a negative's probability.", ge=0, le=0.5)
    ] = 0.05

    prior_bias: Annotated[
        StrictBool, key("Start the last bias at the training prevalence of each class.")
    ] = True
    average_epochs: Annotated[
        StrictFloat,
        key("Score a moving average of the weights over so many epochs; 0: off.", ge=0, le=1e6),
    ] = 0.0
    # metrics.best_thresholds
    threshold_slack: Annotated[
        StrictFloat,
        key(
            "A class's threshold is the mean of all whose training F1 is within this / √positives "
            "of the best; 0: the best.",
            ge=0,
            le=1e6,
        ),
    ] = 0.5
    empty_classes: Annotated[
        Literal["ignore", "challenge"],
        key(
            "What the macro-F1 does with a class that no record scored has: ignore it, or, the "
            "Challenge's rule, count it as 0 for a network with a false alarm."
        ),
    ] = "ignore"
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        key(
            "Of training; scores are computed in fp32. auto: what suits the device of the study's "
            "first worker, for all of them."
        ),
    ] = "auto"

    init: Annotated[
        StrictStr,
        key(
            "Trained network (.safetensors) to start from: its trunk, with a new head. The study "
            "is then of this network alone, trained replicates.seeds times.",
            max_length=4096,
        ),
    ] = ""
    init_hash: Annotated[
        StrictStr,
        key(
            "SHA-256 of what init holds, which is what the recipe's hash stands for.",
            expected="64 hexadecimal digits; filled in where the file is read",
            pattern="^([0-9a-f]{64})?$",
        ),
    ] = ""

    augment_crop_samples: Annotated[
        StrictInt | None,
        key(
            "Length of a random crop; else the whole record.",
            expected="a whole number from 1 to 1e9",
            ge=1,
            le=1_000_000_000,
        ),
    ] = None
    augment_gain: Annotated[
        StrictFloat, key("Sd of the logarithm of a record's gain.", ge=0, le=1e6)
    ] = 0.0
    augment_noise: Annotated[
        StrictFloat, key("Sd of white noise, in units of the signals.", ge=0, le=1e6)
    ] = 0.0
    augment_wander: Annotated[
        StrictFloat, key("Largest baseline wander, in units of the signals.", ge=0, le=1e6)
    ] = 0.0
    augment_lead_dropout: Annotated[
        StrictFloat, key("Probability that a lead is blanked.", ge=0, le=0.95)
    ] = 0.1
    augment_mask: Annotated[
        StrictFloat, key("Largest share of a record that is blanked.", ge=0, le=0.95)
    ] = 0.2
    augment_warp: Annotated[StrictFloat, key("Largest relative change of speed.", ge=0, le=0.5)] = (
        0.0
    )
    augmentation: Annotated[
        StrictStr,
        AfterValidator(_alteration),
        key('A plug-in\'s, after the others; "": none.', expected="a plug-in's augmentation"),
    ] = ""

    @property
    def hash(self) -> str:
        """Return 16 hex digits that stand for every field."""
        text = json.dumps(self.hashed(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def hashed(self) -> dict[str, Any]:
        """Return what the hash stands for: all fields, but for what once went without saying."""
        content = self.to_dict()
        del content["init"]  # where it lies
        if not self.init_hash:
            del content["init_hash"]
        if self.empty_classes == "challenge":
            del content["empty_classes"]
        if self.weight_decay_per == "step":
            del content["weight_decay_per"]
        return content

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain data, but for a plug-in's augmentation if there is none."""
        plain = asdict(self)
        if not self.augmentation:
            del plain["augmentation"]
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return a recipe with some fields changed from the defaults."""
        return build(cls, values)

    def described(self) -> dict[str, Any]:
        """Return what is told to others: all fields, without the place of a file."""
        content = self.to_dict()
        if not self.init_hash:
            del content["init"], content["init_hash"]
        return content | ({"init": Path(self.init).name} if self.init_hash else {})

    def starting_from(self, network: Path | str) -> Recipe:
        """Return the recipe that starts from a trained network, by the hash of its content."""
        from search.training.start import start_values

        start = start_values(Path(network), self.init_hash)
        return replace(self, init=start["init"], init_hash=start["init_hash"])

    def with_precision(self, precision: str) -> Recipe:
        """Return the recipe with the precision that was settled."""
        return Recipe.from_dict({**self.to_dict(), "precision": precision})

    def augment_options(self) -> AugmentOptions | None:
        """Return the augmentation of training batches, None when all of it is off."""
        from data_pipeline.batches import AugmentOptions  # imports torch

        prefix = "augment_"
        chosen = {
            field.name.removeprefix(prefix): getattr(self, field.name)
            for field in fields(self)
            if field.name.startswith(prefix)
        }
        own = ALTERATIONS[self.augmentation] if self.augmentation else None
        options = AugmentOptions(**chosen, own=own)
        return None if options == AugmentOptions() else options
