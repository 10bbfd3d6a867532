"""Design spaces, architectures and their exact cost; networks are built by `models.build`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import ModelError
from models.family import family, family_names

if TYPE_CHECKING:
    from models.architecture import Architecture, StageRow
    from models.cost import Cost
    from models.factors import Factor
    from models.find import find_architecture
    from models.references import reference, reference_names
    from models.sampling import Sample, sample_architectures
    from models.shape import Shape
    from models.space import Space
    from models.space_file import load_space
    from models.trained import TrainedNetwork

# Imported when first used, so that `ecgscale --help` is quick.
_HOMES = {
    "Architecture": "models.architecture",
    "Cost": "models.cost",
    "Factor": "models.factors",
    "Sample": "models.sampling",
    "Shape": "models.shape",
    "Space": "models.space",
    "StageRow": "models.architecture",
    "find_architecture": "models.find",
    "load_space": "models.space_file",
    "reference": "models.references",
    "reference_names": "models.references",
    "sample_architectures": "models.sampling",
}
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


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load(path: str | Path) -> TrainedNetwork:
    """Return an exported network, ready to use: `models.load("network.safetensors")`.

    `predict(signal_mv, rate_hz)` takes raw ECGs to probabilities and decisions. Called, it maps
    prepared float32 (batch, leads, samples) to logits (batch, classes). In evaluation mode, with
    its `architecture` and its `card` (classes, thresholds, scores, how signals are prepared).
    """
    from models.export import load_network

    return load_network(Path(path))
