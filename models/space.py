"""Design spaces: named factors and the rule that turns their values into a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.architecture import Architecture, Value
from models.ecg_cnn import FACTORS as ECG_CNN_FACTORS
from models.ecg_cnn import ecg_cnn
from models.errors import ModelError
from models.factors import Factor
from models.layers import Sequence


@dataclass(frozen=True, slots=True)
class Family:
    """A rule from factor values to layers, and the factors it knows with their default ranges."""

    build: Callable[[Mapping[str, Value]], Sequence]
    factors: tuple[Factor, ...]


FAMILIES: dict[str, Family] = {
    "ecg-cnn": Family(ecg_cnn, ECG_CNN_FACTORS),
}


@dataclass(frozen=True, slots=True)
class Space:
    """A design space: the factors that vary, drawn independently, and the values that do not."""

    name: str
    family: str
    factors: tuple[Factor, ...]
    fixed: tuple[tuple[str, Value], ...] = ()

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
        return self.named(values, self.layers(values))

    def named(self, values: Mapping[str, Value], layers: Sequence) -> Architecture:
        """Return layers of this space as an architecture."""
        return Architecture(
            self.name, layers, {factor.name: values[factor.name] for factor in self.factors}
        )


def load_space(name: str) -> Space:
    """Return a built-in design space by name."""
    family = FAMILIES.get(name)
    if family is None:
        raise ModelError(f"expected a design space ({', '.join(FAMILIES)}), got {name!r}")
    return Space(name, name, family.factors)
