"""Architectures by what a user types: a name of the family or of a reference CNN, or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from definitions.files import read_at_most
from models.architecture import Architecture
from models.errors import ModelError
from models.family import family, family_names
from models.references import reference, reference_names
from models.shape import DEFAULT, Shape

MOST_BYTES = 16_000_000
"""Hundreds of times the largest architecture of ours."""


def find_architecture(name: str | Path) -> Architecture:
    """Return `ecgscale-m`, a reference CNN (`mobilenetv2@0.5`), or what a JSON file holds."""
    return find_with_shape(name)[0]


def find_with_shape(name: str | Path) -> tuple[Architecture, Shape]:
    """Return a network, also of a trained one's file, and the shape it was made for, else usual."""
    path = Path(name)
    if path.suffix == ".safetensors":
        from models.export import load_network

        network: Any = load_network(path)
        card = network.card
        return network.architecture, Shape(card.samples, len(card.leads), len(card.classes))
    if path.suffix != ".json":
        if str(name) in family_names():
            return family(str(name)), DEFAULT
        if str(name).partition("@")[0] not in reference_names():
            raise ModelError(
                "expected a network's name or an architecture's .json file, got "
                f"{str(name)!r}; there are {', '.join((*family_names(), *reference_names()))}"
            )
        return reference(str(name)), DEFAULT
    try:
        text = read_at_most(path, MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"expected a readable architecture at {path}: {error}") from None
    chosen = Architecture.from_json(text)
    try:
        return chosen, Shape.of(json.loads(text).get("provenance", {}).get("input", {}))
    except (AttributeError, TypeError, ValueError):
        raise ModelError(
            f"expected provenance.input of samples, leads and outputs in {path}, got something "
            "else: write the file again, or remove its provenance"
        ) from None


def find_architectures(name: str | Path) -> tuple[Architecture, ...]:
    """Return those of all JSON files of a folder, by their names; else the one `name` means."""
    path = Path(name)
    if not path.is_dir():
        return (find_architecture(name),)
    files = sorted(path.glob("*.json"))
    if not files:
        raise ModelError(f"expected architectures (.json files) in the folder {path}, got none")
    return tuple(find_architecture(file) for file in files)
