"""Design spaces from TOML files, and the built-in ones by name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.architecture import Value
from models.errors import ModelError
from models.factors import Factor
from models.space import FAMILIES, Space, family_of

_KEYS = ("low", "high", "step", "log", "choices")


def load_space(name: str | Path) -> Space:
    """Return a built-in design space by name, or the one a TOML file defines.

        family = "ecg-cnn"                                # the rules that build the network
        constraints = ["depth >= stages"]
        [factors]
        depth = { low = 4, high = 12, log = true }        # another range
        kernel_size = { choices = [3, 7, 15] }
        residual = true                                   # fixed: no longer a factor

    What a file leaves out is as in the family. ModelError says what is wrong with a file.
    """
    if str(name) in FAMILIES:
        family = FAMILIES[str(name)]
        return Space(str(name), str(name), family.factors, (), family.constraints)
    path = Path(name)
    if path.suffix != ".toml":
        family_of(str(name))
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"expected a readable design space at {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"expected TOML in {path}: {error}") from None
    return space_from_table(data, path.stem)


def space_from_table(data: Mapping[str, Any], name: str) -> Space:
    """Return the design space of a TOML table; `name` is used if it holds none."""
    unknown = set(data) - {"name", "family", "factors", "constraints"}
    if unknown or not isinstance(data.get("factors", {}), Mapping):
        raise ModelError(
            "expected name, family, constraints and a table of factors, "
            f"got {', '.join(sorted(unknown)) or 'factors that are no table'}"
        )
    name = str(data.get("name", name))
    family_name = str(data.get("family", "ecg-cnn"))
    family = family_of(family_name)
    changes = dict(data.get("factors", {}))
    factors: list[Factor] = []
    fixed: list[tuple[str, Value]] = []
    for known in family.factors:
        change = changes.pop(known.name, {})
        if isinstance(change, Mapping):
            factors.append(_changed(known, change))
        else:
            fixed.append((known.name, change))
    if changes:
        raise ModelError(
            f"expected factors of {family_name} ({', '.join(f.name for f in family.factors)}), "
            f"got {', '.join(changes)}"
        )
    given = data.get("constraints", list(family.constraints))
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise ModelError(f"expected constraints as a list of texts, got {given!r}")
    return Space(name, family_name, tuple(factors), tuple(fixed), tuple(given))


def _changed(known: Factor, change: Mapping[str, Any]) -> Factor:
    """Return the family's factor with another range; ranges become choices and back as asked."""
    unknown = set(change) - set(_KEYS)
    if unknown or ("choices" in change and len(change) > 1):
        raise ModelError(
            f"factor {known.name!r}: expected either choices, or low and high with step and log, "
            f"got {', '.join(change)}"
        )
    if not change:
        return known
    if "choices" in change:
        choices = change["choices"]
        if not isinstance(choices, list):
            raise ModelError(f"factor {known.name!r}: expected a list of choices, got {choices!r}")
        return Factor.choice(known.name, *choices)
    whole = known.kind == "int" or any(isinstance(choice, int) for choice in known.choices)
    kind = "int" if whole else "float"
    low, high = change.get("low", known.low), change.get("high", known.high)
    numbers = [value for value in (low, high, change.get("step")) if value is not None]
    if not all(isinstance(value, int | float) for value in numbers):
        raise ModelError(f"factor {known.name!r}: expected numbers, got {numbers}")
    log = bool(change.get("log", known.log))
    return Factor(known.name, kind, low, high, change.get("step", known.step), log)
