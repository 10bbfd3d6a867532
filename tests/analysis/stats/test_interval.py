"""Intervals: one level, limits by closed forms, rows of tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from analysis.stats.interval import ALPHA, LEVEL, PERCENT, TAILS, Interval, Z, normal, row_of


def test_everything_follows_from_one_level() -> None:
    assert pytest.approx(1 - LEVEL) == ALPHA
    assert TAILS[1] - TAILS[0] == pytest.approx(LEVEL)
    assert stats.norm.cdf(Z) - stats.norm.cdf(-Z) == pytest.approx(LEVEL)
    assert float(PERCENT.removesuffix(" %")) == pytest.approx(100 * LEVEL)
    assert normal(1.0, 0.5) == Interval(1.0, 1.0 - 0.5 * Z, 1.0 + 0.5 * Z)


def test_an_interval_without_limits_is_not_known() -> None:
    assert not Interval(0.3).known
    assert Interval(0.3, 0.1, 0.5).half == pytest.approx(0.2)
    assert np.isnan(Interval(0.3).half)


@dataclass(frozen=True, slots=True)
class Found:
    name: str
    effect: Interval
    best: Interval
    hidden: int


def test_a_row_names_the_limits_after_their_field() -> None:
    found = Found("depth", Interval(1, 0, 2), Interval(8, 7, 9), 3)
    assert row_of(found, "hidden") == {
        "name": "depth", "estimate": 1, "low": 0, "high": 2,
        "best": 8, "best_low": 7, "best_high": 9,
    }  # fmt: skip
