"""Design spaces: named factors, constraints, and the rule that turns values into a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import StrictStr

from definitions import build, definition, hint, key, number, shown
from definitions.plugins import PluginError, Registry
from models import ecg_cnn, ecg_cnn_2, regnet
from models.architecture import Architecture, Value
from models.constraints import Kind, check_constraint, holds
from models.errors import ModelError
from models.factors import Factor
from models.layers import Sequence

if TYPE_CHECKING:
    from torch import nn

MOST_CONSTRAINTS = 50


@dataclass(frozen=True, slots=True)
class Family:
    """A rule from values to layers, the factors it needs with default ranges, and constraints.

    limits: lowest and highest number that a factor may be given, by name. module: of a family whose
    networks are no trees of layers, what builds one from values, leads and outputs.
    """

    build: Callable[[Mapping[str, Value]], Sequence]
    factors: tuple[Factor, ...]
    limits: Mapping[str, tuple[float, float]]
    constraints: tuple[str, ...] = ()
    module: Callable[[Mapping[str, Value], int, int], nn.Module] | None = None

    def allowed(self, factor: Factor) -> str:
        """Say what values a factor of this family may be given."""
        if words := _words(factor):
            return "true or false" if True in words else f"one of {', '.join(map(shown, words))}"
        low, high = self.limits[factor.name]
        kind = "a whole number" if is_whole(factor) else "a number"
        return f"{kind} from {number(low)} to {number(high)}"


_BUILT_IN = {
    "ecg-cnn": Family(ecg_cnn.ecg_cnn, ecg_cnn.FACTORS, ecg_cnn.LIMITS),
    "ecg-hybrid": Family(ecg_cnn.ecg_cnn, ecg_cnn.HYBRID_FACTORS, ecg_cnn.LIMITS),
    "ecg-cnn-2": Family(ecg_cnn.ecg_cnn, ecg_cnn_2.FACTORS, ecg_cnn.LIMITS),
    "regnet1d": Family(
        regnet.regnet1d,
        regnet.REGNET1D_FACTORS,
        regnet.REGNET1D_LIMITS,
        regnet.REGNET1D_CONSTRAINTS,
    ),
}
FAMILIES: Registry[Family] = Registry(
    "family", _BUILT_IN, facts=lambda family: {"traced": family.module is not None}
)


Constraints = Annotated[
    tuple[StrictStr, ...], key("Comparisons of factors.", max_length=MOST_CONSTRAINTS)
]


@definition(ModelError, "a design space")
class Space:
    """A design space: factors that vary, drawn independently, and values that are fixed.

    `constraints` are comparisons between them; a draw that breaks one is drawn anew, which ties the
    factors it names.
    """

    name: StrictStr
    family: StrictStr
    factors: tuple[Factor, ...]
    fixed: tuple[tuple[StrictStr, Value], ...] = ()
    constraints: Constraints = ()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def traced(self) -> bool:
        """Whether a plug-in builds the networks, so that their cost is counted by tracing."""
        return FAMILIES[self.family].module is not None

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
        return build(cls, data)


def family_of(name: str) -> Family:
    """Return a family by name."""
    if name not in FAMILIES:
        raise ModelError(
            f"expected a design space ({', '.join(FAMILIES)}) or the path of a TOML file, "
            f"got {shown(name)}: {hint(name, FAMILIES, 'choose one of these')}"
        )
    try:
        return FAMILIES[name]
    except PluginError as error:  # of a study's plug-in that is not loaded
        raise ModelError(str(error)) from None


def is_whole(factor: Factor) -> bool:
    """Return whether a family's factor takes whole numbers alone."""
    return factor.kind == "int" or any(isinstance(choice, int) for choice in factor.choices)


def _words(factor: Factor) -> list[str | bool]:
    """Return the words (or true and false) that a factor has in place of numbers."""
    return [choice for choice in factor.choices if isinstance(choice, str | bool)]


def _check(space: Space) -> None:
    """Raise ModelError unless every point of the space can be built."""
    family = family_of(space.family)
    known = {factor.name: factor for factor in family.factors}
    given = [factor.name for factor in space.factors] + [name for name, _ in space.fixed]
    for name in given:
        if name not in known or given.count(name) > 1:
            raise ModelError(
                f"expected each factor of {space.family} once, got {shown(name)}; "
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
    kinds = {name: _kind(factor) for name, factor in known.items()}
    for text in space.constraints:
        check_constraint(text, kinds)


def _kind(factor: Factor) -> Kind:
    words = _words(factor)
    if not words:
        return "number"
    return "truth" if isinstance(words[0], bool) else "word"


def _check_value(known: Factor, value: object, family: Family) -> None:
    """Raise ModelError unless the family can build with this value of a factor."""
    if words := _words(known):
        fits = value in words and type(value) is type(words[0])
    else:
        low, high = family.limits[known.name]
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and low <= value <= high and not (is_whole(known) and value % 1)  # type: ignore[operator]
    if not fits:
        raise ModelError(
            f"expected {known.name} to be {family.allowed(known)}, got {shown(value)}: change it"
        )
