"""Architectures by what a user types: a reference CNN's name, or a JSON file."""

from __future__ import annotations

from pathlib import Path

from models.architecture import Architecture
from models.errors import ModelError
from models.references import reference, reference_names


def find_architecture(name: str | Path) -> Architecture:
    """Return a reference CNN (`mobilenetv2@0.5`), or the architecture a JSON file holds."""
    path = Path(name)
    if path.suffix != ".json":
        if str(name).partition("@")[0] not in reference_names():
            raise ModelError(
                f"expected a reference CNN or an architecture's .json file, got {str(name)!r}; "
                f"the CNNs are {', '.join(reference_names())}"
            )
        return reference(str(name))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"expected a readable architecture at {path}: {error}") from None
    return Architecture.from_json(text)
