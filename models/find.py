"""Architectures by what a user types: a name of the family or of a reference CNN, or a file."""

from __future__ import annotations

from pathlib import Path

from models.architecture import Architecture
from models.errors import ModelError
from models.family import family, family_names
from models.references import reference, reference_names


def find_architecture(name: str | Path) -> Architecture:
    """Return `ecgscale-m`, a reference CNN (`mobilenetv2@0.5`), or what a JSON file holds."""
    path = Path(name)
    if path.suffix != ".json":
        if str(name) in family_names():
            return family(str(name))
        if str(name).partition("@")[0] not in reference_names():
            raise ModelError(
                "expected a network's name or an architecture's .json file, got "
                f"{str(name)!r}; there are {', '.join((*family_names(), *reference_names()))}"
            )
        return reference(str(name))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"expected a readable architecture at {path}: {error}") from None
    return Architecture.from_json(text)


def find_architectures(name: str | Path) -> tuple[Architecture, ...]:
    """Return those of all JSON files of a folder, by their names; else the one `name` means."""
    path = Path(name)
    if not path.is_dir():
        return (find_architecture(name),)
    files = sorted(path.glob("*.json"))
    if not files:
        raise ModelError(f"expected architectures (.json files) in the folder {path}, got none")
    return tuple(find_architecture(file) for file in files)
