"""The networks this project hands out, one per budget: `family("ecgscale-m")`.

Each file beside this one was written by `ecgscale family` from the confirmation of the study under
`studies/` that its provenance names; nothing in it was typed by hand.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from models.architecture import Architecture
from models.errors import ModelError


def family_names() -> tuple[str, ...]:
    """Return the networks' names, the cheapest first."""
    return tuple(sorted(_stored(), key=lambda name: provenance(name)["budget_flops"]))


def family(name: str) -> Architecture:
    """Return the architecture of one of `family_names()`; ModelError for another name."""
    return Architecture.from_json(_read(name))


def called(architecture_hash: str) -> str | None:
    """Return the name of the network of the family with this hash, None of any other."""
    return _names().get(architecture_hash)


def provenance(name: str) -> dict[str, Any]:
    """Return the study, budget, costs, seeds, and validation and test scores of a network."""
    return dict(json.loads(_read(name))["provenance"])


def _read(name: str) -> str:
    if name not in _stored():
        raise ModelError(f"expected one of {', '.join(family_names())}, got {name!r}")
    return _stored()[name]


@cache
def _names() -> dict[str, str]:
    return {json.loads(text)["hash"]: name for name, text in _stored().items()}


@cache
def _stored() -> dict[str, str]:
    """Return the files' contents by the names of the networks."""
    return {
        path.name.removesuffix(".json"): path.read_text(encoding="utf-8")
        for path in files(__name__).iterdir()
        if path.name.endswith(".json")
    }
