"""Bounds on rates counted in simulated studies, with what chance lets a count do."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats

BY_CHANCE = 0.01  # a true rate at its bound fails a test this rarely


def at_most(found: Sequence[bool], rate: float, what: str) -> None:
    """Fail where so many would be found less than once in a hundred times, were this the rate."""
    count, of = sum(found), len(found)
    assert of, f"{what}: nothing was counted"
    assert stats.binom.sf(count - 1, of, rate) > BY_CHANCE, f"{what}: {count} of {of} > {rate}"


def at_least(found: Sequence[bool], rate: float, what: str) -> None:
    """Fail where so few would be found less than once in a hundred times, were this the rate."""
    at_most([not each for each in found], 1 - rate, f"not {what}")


def covered(hits: Sequence[bool], what: str, low: float = 0.90, high: float = 0.98) -> None:
    """Fail where intervals cover less than 90 % or more than 98 % of the truths."""
    at_least(hits, low, what)
    at_most(hits, high, what)
