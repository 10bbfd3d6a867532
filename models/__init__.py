"""Design spaces, architectures and their exact cost; networks are built by `models.build`."""

from models.architecture import Architecture, StageRow
from models.cost import Cost
from models.errors import ModelError
from models.factors import Factor
from models.find import find_architecture
from models.references import reference, reference_names
from models.sampling import Sample, sample_architectures
from models.space import Space
from models.space_file import load_space

__all__ = [
    "Architecture",
    "Cost",
    "Factor",
    "ModelError",
    "Sample",
    "Space",
    "StageRow",
    "find_architecture",
    "load_space",
    "reference",
    "reference_names",
    "sample_architectures",
]
