"""Networks set against each other within a budget, paired on the test records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.questions.confirmation.resampling import RunScores
from analysis.questions.confirmation.results import LAW, SEARCHED, Contestant, Pair
from analysis.questions.confirmation.uncertainty import SeedVariance, contrast
from analysis.stats.regression import holm


@dataclass(frozen=True, slots=True)
class _Sides:
    """Who is set against whom within a budget."""

    budget: float
    kind: str
    first: Sequence[Contestant]
    second: Sequence[Contestant]
    names: tuple[str, str]


def find_pairs(
    contestants: Sequence[Contestant],
    scores: Mapping[str, Mapping[str, RunScores]],
    seeds: Mapping[str, Mapping[str, SeedVariance]],
) -> tuple[Pair, ...]:
    """Set each budget's first searched network against every reference, and law against opposite.

    p-values are Holm's within a metric and a kind: a question with many pairs does not blunt one
    with few.
    """
    sides = _sides(contestants)
    found: list[Pair] = []
    for metric, own in scores.items():
        for kind in (SEARCHED, LAW):
            rows = [_pair(one, metric, own, seeds[metric]) for one in sides if one.kind == kind]
            adjusted = holm(np.array([row.p for row in rows], dtype=float))
            found += [
                replace(row, p_adjusted=float(q)) for row, q in zip(rows, adjusted, strict=True)
            ]
    return tuple(found)


def _sides(contestants: Sequence[Contestant]) -> list[_Sides]:
    sides: list[_Sides] = []
    for budget in sorted({c.budget for c in contestants}):
        own = [c for c in contestants if c.budget == budget]
        first = [c for c in own if c.group == "searched"][:1]
        if first:
            sides += [
                _Sides(budget, SEARCHED, first, [c], (first[0].name, c.name))
                for c in own
                if c.group == "reference"
            ]
        law, against = ([c for c in own if c.group == g] for g in ("law", "against the law"))
        if law and against:
            sides.append(_Sides(budget, LAW, law, against, ("law", "against the law")))
    return sides


def _pair(
    sides: _Sides,
    metric: str,
    scores: Mapping[str, RunScores],
    seeds: Mapping[str, SeedVariance],
) -> Pair:
    weights: dict[str, float] = {}
    for side, sign in ((sides.first, 1.0), (sides.second, -1.0)):
        for c in side:
            weights[c.architecture_hash] = weights.get(c.architecture_hash, 0.0) + sign / len(side)
    found = contrast(scores, weights, seeds)
    first, second = sides.names
    return Pair(
        sides.budget, first, second, sides.kind, metric, found.interval, found.p, p_adjusted=np.nan
    )
