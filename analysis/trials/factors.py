"""How one design factor is described and turned into numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from analysis.errors import AnalysisError

Kind = Literal["int", "float", "choice"]
Level = bool | int | float | str | None

# Drawn for every network, but no part of its shape.
NUISANCES = ("learning_rate",)


@dataclass(frozen=True, slots=True)
class FactorInfo:
    """One independent axis of a design space.

    `choices` is filled for kind "choice" only, `low` and `high` for the other two where known.
    """

    name: str
    kind: Kind
    log: bool = False
    choices: tuple[Level, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def nuisance(self) -> bool:
        """Whether it is about the training and not the network."""
        return self.name in NUISANCES

    @property
    def numeric(self) -> bool:
        """Whether the levels are numbers (and not switches or words)."""
        return self.kind != "choice" or all(
            isinstance(choice, int | float) and not isinstance(choice, bool)
            for choice in self.choices
        )

    @property
    def ordered(self) -> bool:
        """Whether "more of it" makes sense: numbers, and anything with two levels."""
        return self.numeric or len(self.choices) <= 2

    @property
    def logarithmic(self) -> bool:
        """Whether the code is log2 of the value: declared so, or choices spaced by ratios."""
        if self.kind != "choice":
            return self.log
        numbers = [float(choice) for choice in self.choices if self.numeric]  # type: ignore[arg-type]
        return len(numbers) > 2 and min(numbers) > 0 and max(numbers) >= 4 * min(numbers)

    def code(self, values: Iterable[object]) -> np.ndarray:
        """Turn values into floats (n,): log2, the value itself, or the index of the choice.

        Choices that hold a zero beside ratios (0, 1/16, 1/4) are coded by rank.
        """
        listed = list(values)
        if self.kind == "choice" and not self.logarithmic:
            index = {choice: float(i) for i, choice in enumerate(self._by_size())}
            try:
                return np.array([index[_scalar(value)] for value in listed])
            except KeyError as error:
                raise AnalysisError(
                    f"Factor '{self.name}' has the choices {list(self.choices)}, but a trial has "
                    f"{error.args[0]!r}: mend the table or the list of choices."
                ) from None
        numbers = np.array([float(value) for value in listed])  # type: ignore[arg-type]
        return np.log2(numbers) if self.logarithmic else numbers

    def distribution(self) -> BaseDistribution:
        """Return the Optuna distribution the factor was drawn from."""
        if self.kind == "choice":
            return CategoricalDistribution(self.choices)
        if self.low is None or self.high is None:
            raise AnalysisError(f"Factor '{self.name}' has no limits: give it a low and a high.")
        if self.kind == "int":
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def level_labels(self) -> tuple[str, ...]:
        """Name the levels of a choice in the order of their codes."""
        return tuple(label(choice) for choice in self._by_size())

    def _by_size(self) -> tuple[Level, ...]:
        if self.numeric or all(isinstance(choice, bool) for choice in self.choices):
            return tuple(sorted(self.choices))  # type: ignore[type-var]
        return self.choices


def label(value: object) -> str:
    """Write a level as people read it: on/off for switches, short numbers."""
    if isinstance(value, bool | np.bool_):
        return "on" if value else "off"
    if isinstance(value, float | np.floating):
        return f"{value:.3g}"
    return str(value)


def from_distribution(name: str, distribution: BaseDistribution) -> FactorInfo:
    """Describe an Optuna distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return FactorInfo(name, "choice", choices=tuple(distribution.choices))
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    kind: Kind = "int" if isinstance(distribution, IntDistribution) else "float"
    return FactorInfo(
        name, kind, distribution.log, low=float(distribution.low), high=float(distribution.high)
    )


def from_values(name: str, values: Sequence[object] | pd.Series) -> FactorInfo:
    """Guess a description from the values of a column: few distinct ones make a choice."""
    scalars = [_scalar(value) for value in values]
    distinct = set(scalars)
    if any(isinstance(value, str | bool) or value is None for value in distinct):
        return FactorInfo(name, "choice", choices=tuple(sorted(distinct, key=str)))
    numbers = np.array(scalars, dtype=float)
    if not np.isfinite(numbers).all():
        raise AnalysisError(
            f"Factor '{name}' has missing values: give every trial one, or leave the factor out."
        )
    if len(distinct) <= 6:
        return FactorInfo(name, "choice", choices=tuple(sorted(distinct)))  # type: ignore[type-var]
    low, high = float(numbers.min()), float(numbers.max())
    # Right-skewed positive values over more than a factor of four are taken as log-uniform.
    log = low > 0 and high >= 4 * low and float(np.median(numbers)) < (low + high) / 2
    whole = all(float(value).is_integer() for value in numbers)
    return FactorInfo(name, "int" if whole else "float", log, low=low, high=high)


def codes(factors: Sequence[FactorInfo], frame: pd.DataFrame) -> np.ndarray:
    """Code all factors of a frame: (rows, factors) float64."""
    if not factors:
        return np.zeros((len(frame), 0))
    return np.column_stack([factor.code(frame[factor.name]) for factor in factors])


def plain(value: object) -> Level:
    """Unwrap a numpy scalar."""
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[return-value]


def _scalar(value: object) -> Level:
    """Unwrap numpy scalars and nullable values, so that 3, 3.0 and np.int64(3) are one level."""
    value = plain(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    return value
