"""Design spaces, architectures and their exact cost; networks are built by `models.build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.architecture import Architecture, StageRow
from models.cost import Cost
from models.errors import ModelError
from models.factors import Factor
from models.family import family, family_names
from models.find import find_architecture
from models.references import reference, reference_names
from models.sampling import Sample, sample_architectures
from models.shape import Shape
from models.space import Space
from models.space_file import load_space

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Architecture",
    "Cost",
    "Factor",
    "ModelError",
    "Sample",
    "Shape",
    "Space",
    "StageRow",
    "family",
    "family_names",
    "find_architecture",
    "load",
    "load_space",
    "reference",
    "reference_names",
    "sample_architectures",
]


def load(path: str | Path) -> nn.Module:
    """Return an exported network, ready to use: `models.load("network.safetensors")`.

    In evaluation mode, float32 (batch, leads, samples) to logits (batch, classes), with its
    `architecture` and its `card` (classes, thresholds, scores, how to prepare signals).
    """
    from models.export import load_network

    return load_network(Path(path))
