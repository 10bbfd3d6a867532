"""Small pieces of sentences."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.page.quantities import quantity, score
from analysis.stats.interval import PERCENT, Interval
from analysis.trials.table import SEARCHED, TrialTable


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun.removesuffix('is')}es" if noun.endswith("sis") else f"{count} {noun}s"


def networks(table: TrialTable, count: int) -> str:
    """Count networks, and say that they were drawn at random where that is known."""
    drawn = table.study.ours and table.roles == SEARCHED
    return plural(count, "randomly drawn network" if drawn else "network")


def listed(items: Sequence[str]) -> str:
    """Join with commas and an "and"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def interval(found: Interval) -> str:
    """Write the limits of a score."""
    return f"{PERCENT} interval {score(found.low)} to {score(found.high)}"


def unit_of_cost(table: TrialTable) -> str:
    """Name what is counted as cost."""
    return "FLOPs per ECG" if table.cost == "flops" else quantity(table.cost).axis.lower()
