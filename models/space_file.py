"""Design spaces from TOML files, and the built-in ones by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import StrictBool, StrictStr

from definitions import build, definition, hint, joined, key, shown
from definitions.toml import read_toml
from models.architecture import Value
from models.errors import ModelError
from models.factors import MOST_CHOICES, Factor, Limit
from models.space import FAMILIES, MOST_CONSTRAINTS, Constraints, Family, Space, family_of, is_whole


@definition(ModelError, "a design space")
class SpaceFile:
    """What the file of a design space may hold; what it leaves out is as in the family."""

    name: Annotated[
        StrictStr | None, key("Name of the space; else that of the file.", max_length=100)
    ] = None
    family: Annotated[
        StrictStr,
        key(
            "Rules that build a network.", expected=f"one of {', '.join(FAMILIES)}, or a plug-in's"
        ),
    ] = "ecg-cnn"
    constraints: Annotated[
        Constraints | None,
        key(
            'Comparisons such as "depth >= stages"; what breaks one is drawn anew.',
            expected=f"a list of texts, at most {MOST_CONSTRAINTS}",
        ),
    ] = None
    factors: Annotated[
        Mapping[str, Any] | None,
        key(
            "What differs from the family: a value, which fixes the factor, or another range.",
            expected="a table of factors",
        ),
    ] = None


@definition(ModelError, "the range of a factor")
class FactorRange:
    """What a factor may be given in place of its own range: other ends, or choices."""

    low: Annotated[Limit | None, key("Lowest value.", expected="a number")] = None
    high: Annotated[Limit | None, key("Highest value.", expected="a number")] = None
    step: Annotated[Limit | None, key("Distance of the values.", expected="a number")] = None
    log: Annotated[StrictBool | None, key("Draw log-uniformly.")] = None
    choices: Annotated[
        tuple[Value, ...] | None,
        key(
            "Values, each as likely; instead of the others.",
            expected=f"a list of at most {MOST_CHOICES:,} values",
            max_length=MOST_CHOICES,
        ),
    ] = None


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
    data = read_toml(path, "a design space", ModelError)
    try:
        return space_from_table(data, path.stem)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def space_from_table(data: Mapping[str, Any], name: str) -> Space:
    """Return the design space of a TOML table; `name` is used if it holds none."""
    asked = build(SpaceFile, data)
    family = family_of(asked.family)
    changes = asked.factors or {}
    _check_names(changes, family, asked.family)
    ranges = {known.name: changes.get(known.name, {}) for known in family.factors}
    return Space(
        asked.name or name,
        asked.family,
        tuple(
            _changed(known, ranges[known.name])
            for known in family.factors
            if isinstance(ranges[known.name], Mapping)
        ),
        tuple((key, value) for key, value in ranges.items() if not isinstance(value, Mapping)),
        family.constraints if asked.constraints is None else asked.constraints,
    )


def _check_names(changes: Mapping[str, Any], family: Family, name: str) -> None:
    known = [factor.name for factor in family.factors]
    for word, value in changes.items():
        if word not in known:
            raise ModelError(
                f"expected factors of {name} ({joined(known)}), got {shown(word)}: "
                f"{hint(word, known, 'rename or remove it')}"
            )
        if not isinstance(value, Mapping | bool | int | float | str):
            raise ModelError(
                f"expected factors.{word} to be a value, a range or {{ choices = […] }}, "
                f"got {shown(value)}: change it"
            )


def _changed(known: Factor, change: Mapping[str, Any]) -> Factor:
    """Return the family's factor with another range; ranges become choices and back as asked."""
    if not change:
        return known
    asked = build(FactorRange, change, f"factors.{known.name}")
    if asked.choices is not None:
        if len(change) > 1:
            raise ModelError(
                f"factor {known.name!r}: expected either choices, or low and high with step and "
                f"log, got {', '.join(change)}: keep one of the two"
            )
        return Factor.choice(known.name, *asked.choices)

    def asked_or_known(name: str) -> Any:
        value = getattr(asked, name)
        return getattr(known, name) if value is None else value

    return Factor(
        known.name,
        "int" if is_whole(known) else "float",
        *(asked_or_known(name) for name in ("low", "high", "step", "log")),
    )
