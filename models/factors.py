"""Factors: the independent axes of a design space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import StrictBool, StrictFloat, StrictStr

from definitions import AS_GIVEN, build, definition, key, shown
from models.architecture import Value
from models.errors import ModelError

LARGEST = 1e12
MOST_STEPS = 1e6
MOST_CHOICES = 1000
Limit = Annotated[StrictFloat, key("A limit.", ge=-LARGEST, le=LARGEST), AS_GIVEN]
Choices = Annotated[tuple[Value, ...], key("Values, each as likely.", max_length=MOST_CHOICES)]


@definition(ModelError, "a factor")
class Factor:
    """One axis, as plain data that maps one to one onto an Optuna distribution.

    `kind` "int" and "float" lie between `low` and `high` (both included), on a grid of `step` if
    given, uniformly or log-uniformly; "choice" is one of `choices`, each as likely.
    """

    name: StrictStr
    kind: Literal["int", "float", "choice"]
    low: Limit | None = None
    high: Limit | None = None
    step: Limit | None = None
    log: StrictBool = False
    choices: Choices = ()

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise ModelError(f"factor {self.name!r}: {problem}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Factor:
        """Return the factor that `dataclasses.asdict` (or its JSON) holds."""
        return build(cls, values)

    @classmethod
    def integer(
        cls, name: str, low: int, high: int, *, step: int | None = None, log: bool = False
    ) -> Factor:
        """Return a factor of whole numbers."""
        return cls(name, "int", low, high, step, log)

    @classmethod
    def real(
        cls, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> Factor:
        """Return a factor of real numbers."""
        return cls(name, "float", low, high, step, log)

    @classmethod
    def choice(cls, name: str, *choices: Value) -> Factor:
        """Return a factor of listed values."""
        return cls(name, "choice", choices=choices)

    @property
    def values(self) -> float:
        """Number of values, infinite between two real numbers."""
        if self.kind == "choice":
            return len(self.choices)
        assert self.low is not None
        assert self.high is not None
        if self.low == self.high:
            return 1
        step = self.step or (1 if self.kind == "int" else 0)
        return math.floor((self.high - self.low) / step + 1.5) if step else math.inf

    def every_value(self) -> tuple[Value, ...]:
        """Return all values of a factor that has finitely many."""
        if self.kind == "choice":
            return self.choices
        assert self.low is not None
        assert self.values < math.inf
        step = self.step or 1
        numbers = (self.low + place * step for place in range(int(self.values)))
        return tuple(int(one) if self.kind == "int" else float(one) for one in numbers)

    def draw(self, rng: np.random.Generator, count: int) -> list[Value]:
        """Draw independent values with the distribution of Optuna's RandomSampler.

        Whole numbers (and floats with a step) are rounded from a range widened by half a step at
        both ends, so that the end values are as likely as the others (optuna/_transform.py).
        """
        if self.kind == "choice":
            return [self.choices[i] for i in rng.integers(len(self.choices), size=count)]
        assert self.low is not None
        assert self.high is not None
        if self.kind == "int":
            step = int(self.step or 1)
            low, high = self.low - step / 2, self.high + step / 2
            if self.log:
                drawn = np.rint(np.exp(rng.uniform(math.log(low), math.log(high), count)))
            else:
                steps = np.floor((rng.uniform(low, high, count) - self.low) / step + 0.5)
                drawn = self.low + step * steps
            return [int(v) for v in np.clip(drawn, self.low, self.high)]
        if self.step is not None:
            uniform = rng.uniform(self.low - self.step / 2, self.high + self.step / 2, count)
            drawn = np.rint((uniform - self.low) / self.step) * self.step + self.low
        elif self.log:
            drawn = np.exp(rng.uniform(math.log(self.low), math.log(self.high), count))
        else:
            drawn = rng.uniform(self.low, self.high, count)
        return [float(v) for v in np.clip(drawn, self.low, self.high)]

    def check(self, value: Value) -> None:
        """Raise ModelError unless the value belongs to the factor."""
        if self.kind == "choice":
            if value not in self.choices:
                raise ModelError(
                    f"expected {self.name} to be one of {list(self.choices)}, got {value!r}"
                )
            return
        assert self.low is not None
        assert self.high is not None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high:  # type: ignore[operator]
            raise ModelError(
                f"expected {self.name} between {self.low:g} and {self.high:g}, got {shown(value)}"
            )
        if self.kind == "int" and value != int(value):
            raise ModelError(f"expected {self.name} to be a whole number, got {value!r}")


def _problem(factor: Factor) -> str | None:
    """Return what is wrong with a factor's definition, in words, or None."""
    if factor.kind == "choice":
        if not factor.choices or len(set(factor.choices)) != len(factor.choices):
            return f"expected distinct choices, got {shown(factor.choices)}: list each once"
        return None
    low, high, step = factor.low, factor.high, factor.step
    if low is None or high is None or not low <= high:
        return f"expected low ≤ high, got low {low} and high {high}: change one"
    if factor.log and low <= 0:
        return f"expected low above 0 for a log-uniform factor, got {low}: raise it"
    if factor.log and step not in (None, 1):
        return f"expected no step for a log-uniform factor, got {step}: remove step or log"
    whole = [v for v in (low, high, step) if v is not None]
    if factor.kind == "int" and any(v != int(v) for v in whole):
        return f"expected whole numbers, got {shown(whole)}: round them"
    if step is not None and (step <= 0 or abs((high - low) / step % 1 - 0.5) < 0.499999):
        return f"expected a positive step that divides {high} − {low}, got {step}: change it"
    if step is not None and (high - low) / step > MOST_STEPS:
        return f"expected at most {MOST_STEPS:,.0f} steps, got a step of {step}: widen it"
    return None
