"""Design spaces: named factors, constraints, and the rule that turns values into a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models import ecg_cnn, regnet
from models.architecture import Architecture, Value
from models.constraints import check_constraint, holds
from models.errors import ModelError
from models.factors import Factor
from models.layers import Sequence


@dataclass(frozen=True, slots=True)
class Family:
    """A rule from values to layers, the factors it needs with default ranges, and constraints."""

    build: Callable[[Mapping[str, Value]], Sequence]
    factors: tuple[Factor, ...]
    constraints: tuple[str, ...] = ()
    may_be_zero: tuple[str, ...] = ("se_ratio", "attention")


FAMILIES: dict[str, Family] = {
    "ecg-cnn": Family(ecg_cnn.ecg_cnn, ecg_cnn.FACTORS),
    "ecg-hybrid": Family(ecg_cnn.ecg_cnn, ecg_cnn.HYBRID_FACTORS),
    "regnet1d": Family(regnet.regnet1d, regnet.REGNET1D_FACTORS, regnet.REGNET1D_CONSTRAINTS),
}


@dataclass(frozen=True, slots=True)
class Space:
    """A design space: factors that vary, drawn independently, and values that are fixed.

    `constraints` are comparisons between them; a draw that breaks one is drawn anew, which ties the
    factors it names.
    """

    name: str
    family: str
    factors: tuple[Factor, ...]
    fixed: tuple[tuple[str, Value], ...] = ()
    constraints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    def allows(self, values: Mapping[str, Value]) -> bool:
        """Return whether values of the factors meet the constraints."""
        return all(holds(text, {**dict(self.fixed), **values}) for text in self.constraints)

    def layers(self, values: Mapping[str, Value]) -> Sequence:
        """Return the layers at one point of the space, unchecked."""
        return FAMILIES[self.family].build({**dict(self.fixed), **values})

    def resolve(self, values: Mapping[str, Value]) -> Architecture:
        """Return the architecture at one point; ModelError names a wrong or missing factor."""
        names = {factor.name for factor in self.factors}
        if names != set(values):
            missing, extra = sorted(names - set(values)), sorted(set(values) - names)
            raise ModelError(
                f"expected the factors of {self.name} ({', '.join(sorted(names))}); "
                f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(extra) or 'none'}"
            )
        for factor in self.factors:
            factor.check(values[factor.name])
        if not self.allows(values):
            raise ModelError(
                f"expected values that meet {' and '.join(self.constraints)}, got {dict(values)}"
            )
        return self.named(values, self.layers(values))

    def named(self, values: Mapping[str, Value], layers: Sequence) -> Architecture:
        """Return layers of this space as an architecture."""
        return Architecture(
            self.name, layers, {factor.name: values[factor.name] for factor in self.factors}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the space as plain data, to be stored with a study."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Space:
        """Return the space that `to_dict` (or its JSON) holds."""
        try:
            factors = [
                {**factor, "choices": tuple(factor["choices"])} for factor in data["factors"]
            ]
            return cls(
                data["name"],
                data["family"],
                tuple(Factor(**factor) for factor in factors),
                tuple((name, value) for name, value in data["fixed"]),
                tuple(data["constraints"]),
            )
        except (KeyError, TypeError) as error:
            raise ModelError(f"expected what Space.to_dict returns; {error!r} is wrong") from None


def family_of(name: str) -> Family:
    """Return a family by name."""
    if name not in FAMILIES:
        raise ModelError(
            f"expected a design space ({', '.join(FAMILIES)}) or the path of a TOML file, "
            f"got {name!r}"
        )
    return FAMILIES[name]


def _check(space: Space) -> None:
    """Raise ModelError unless every point of the space can be built."""
    family = family_of(space.family)
    known = {factor.name: factor for factor in family.factors}
    given = [factor.name for factor in space.factors] + [name for name, _ in space.fixed]
    for name in given:
        if name not in known or given.count(name) > 1:
            raise ModelError(
                f"expected each factor of {space.family} once, got {name!r}; "
                f"the factors are {', '.join(known)}"
            )
    for name in known:
        if name not in given:
            raise ModelError(f"expected a range or a value for {name!r} in space {space.name}")
    for factor in space.factors:
        for value in factor.choices or (factor.low, factor.high):
            _check_value(known[factor.name], value, family)
    for name, value in space.fixed:
        _check_value(known[name], value, family)
    for text in space.constraints:
        check_constraint(text, given)


def _check_value(known: Factor, value: object, family: Family) -> None:
    """Raise ModelError unless the family can build with this value of a factor."""
    words = [choice for choice in known.choices if isinstance(choice, str | bool)]
    if words:
        if value not in words or type(value) is not type(words[0]):
            raise ModelError(f"expected {known.name} to be one of {words}, got {value!r}")
        return
    whole = known.kind == "int" or any(isinstance(choice, int) for choice in known.choices)
    least = 0 if known.name in family.may_be_zero else 1e-9
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e6:
        raise ModelError(f"expected {known.name} to be a positive number, got {value!r}")
    if whole and value != int(value):
        raise ModelError(f"expected {known.name} to be a whole number, got {value!r}")
