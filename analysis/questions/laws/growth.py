"""What exponents say: growth with cost, none, or not enough to tell.

An interval that holds both slow and fast growth is no law, however well its curve fits; and that a
best value stays the same is a finding only where the interval excludes that it moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.stats.interval import ALPHA, Interval
from analysis.stats.refusal import Gate, failed

Verdict = Literal["grows", "shrinks", "constant", "open"]
Outcome = Literal["law", "constant", "open", "none"]
GROWTH = ("laws.known", "laws.moves")

# Over ten times the compute the ends of the interval are within a factor of two of each other. That
# tells the published exponents apart: 0.14 (width) and 0.26 (depth) of EfficientNet from about 0.5,
# where all compute goes into width.
KNOWN = float(np.log10(2.0))
# Less than a quarter more or less over ten times the compute: slower than any published law.
ALIKE = float(np.log10(1.25))


@dataclass(frozen=True, slots=True)
class Exponent:
    """Growth of one factor's best value with cost.

    `p_adjusted` is that of no growth, by the bootstrap's standard error, times the number of
    factors whose growth is asked for (Bonferroni). `best` is the best value at the law's reference
    cost, `design_slope` what a regression of the factor on the cost over all architectures gives:
    the design's own slope, which says nothing about what is good.
    """

    factor: str
    exponent: Interval
    se: float
    p_adjusted: float
    best: Interval
    design_slope: float

    @property
    def verdict(self) -> Verdict:
        """What the interval says; equivalence to no growth goes before difference from it."""
        low, high = self.exponent.low, self.exponent.high
        if max(-low, high) < ALIKE:
            return "constant"
        if known(self.exponent) and not low <= 0 <= high and self.p_adjusted < ALPHA:
            return "grows" if self.exponent.estimate > 0 else "shrinks"
        return "open"


def known(exponent: Interval) -> bool:
    """Whether an exponent is known well enough to tell slow from fast growth."""
    return exponent.high - exponent.low <= KNOWN


def growth_gates(exponents: Sequence[Exponent]) -> tuple[Gate, Gate]:
    """Ask whether all exponents are known well enough, and whether one of them says growth."""
    widest = max(exponents, key=lambda e: e.exponent.half)
    clearest = min(exponents, key=lambda e: e.p_adjusted)
    moves = any(e.verdict in ("grows", "shrinks") for e in exponents)
    return (
        Gate("laws.known", known(widest.exponent), {"e": widest, "times": 10**KNOWN}),
        Gate("laws.moves", moves, {"e": clearest, "times": 10**ALIKE}),
    )


def outcome(exponents: Sequence[Exponent], gates: Sequence[Gate]) -> Outcome:
    """Say what a law of these exponents comes to, all its gates considered."""
    missed = {gate.code for gate in failed(gates)}
    if not missed:
        return "law"
    if not missed <= set(GROWTH):
        return "none"
    return "constant" if all(e.verdict == "constant" for e in exponents) else "open"
