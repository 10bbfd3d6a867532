"""Design factors as Optuna distributions, and back from the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from models import Factor
from search.errors import StudyError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distributions(factors: Iterable[Factor]) -> dict[str, BaseDistribution]:
    """Translate factors one to one."""
    return {factor.name: distribution(factor) for factor in factors}


def distribution(factor: Factor) -> BaseDistribution:
    """Translate one factor."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if factor.kind == "choice":
        return CategoricalDistribution(factor.choices)
    if factor.low is None or factor.high is None:
        raise StudyError(
            f"expected low and high for the factor {factor.name}, got "
            f"{factor.low} and {factor.high}: correct the design space"
        )
    try:
        if factor.kind == "int":
            step = int(factor.step or 1)
            return IntDistribution(int(factor.low), int(factor.high), log=factor.log, step=step)
        return FloatDistribution(factor.low, factor.high, log=factor.log, step=factor.step)
    except ValueError as error:
        raise StudyError(f"the factor {factor.name} is no Optuna distribution: {error}") from None
