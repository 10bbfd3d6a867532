"""The one confidence level of all intervals and tests, and what an interval is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
ALPHA = round(1 - LEVEL, 12)
TAILS = (ALPHA / 2, 1 - ALPHA / 2)
Z = float(stats.norm.ppf(TAILS[1]))
PERCENT = f"{100 * LEVEL:g} %"
"""How the level is written."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence limits at `LEVEL`; NaN where they are not known."""

    estimate: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def known(self) -> bool:
        """Whether both limits are finite numbers."""
        return bool(np.isfinite([self.low, self.high]).all())

    @property
    def half(self) -> float:
        """Half the width."""
        return (self.high - self.low) / 2


def row_of(result: Any, *left_out: str) -> dict[str, Any]:
    """Return a result's fields as a row of a table; the parts of an interval each get a column.

    The first interval's limits are low and high, further ones' FIELD_low and FIELD_high; an
    `effect` is called estimate.
    """
    row: dict[str, Any] = {}
    for field in fields(result):
        value = getattr(result, field.name)
        if field.name in left_out:
            continue
        if isinstance(value, Interval):
            before = f"{field.name}_" if "low" in row else ""
            row["estimate" if field.name == "effect" else field.name] = value.estimate
            row |= {f"{before}low": value.low, f"{before}high": value.high}
        else:
            row[field.name] = value
    return row


def percentiles(draws: ArrayLike, method: str = "linear") -> NDArray[np.float64]:
    """Return the lower and the upper limit (2, ...) of draws (draws, ...)."""
    return np.asarray(np.quantile(np.asarray(draws), TAILS, axis=0, method=method))  # type: ignore[call-overload]


def normal(estimate: float, error: float) -> Interval:
    """Return the interval of a normal estimate with this standard error."""
    return Interval(estimate, estimate - Z * error, estimate + Z * error)


def wilson(count: int, n: int) -> Interval:
    """Return a share with Wilson's interval (1927); 0 to 1 for a share of nothing."""
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0)
    found = stats.binomtest(count, n).proportion_ci(LEVEL, method="wilson")
    return Interval(count / n, float(found.low), float(found.high))
