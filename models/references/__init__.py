"""Published CNNs to compare with, as trees of layers: `reference("mobilenetv2@0.5")`."""

from models.references.catalogue import REFERENCES, Reference, reference, reference_names

__all__ = ["REFERENCES", "Reference", "reference", "reference_names"]
