"""Paired differences between confirmed networks on the test records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis.questions.confirmation.resampling import RunScores
from analysis.questions.confirmation.results import LAW, SEARCHED, Contestant, Difference
from analysis.questions.confirmation.uncertainty import SeedVariance, contrast
from analysis.stats.regression import holm

Pair = tuple[float, str, list[Contestant], str, list[Contestant]]


def find_differences(
    contestants: Sequence[Contestant],
    scores: Mapping[str, Mapping[str, RunScores]],
    seeds: Mapping[str, Mapping[str, SeedVariance]],
) -> tuple[Difference, ...]:
    """Set each budget's first searched network against every reference, and law against opposite.

    p-values are Holm's within a metric and a kind: a question with many pairs does not blunt one
    with few.
    """
    pairs = _pairs(contestants)
    found: list[Difference] = []
    for metric, own in scores.items():
        for kind in (SEARCHED, LAW):
            rows = [
                _difference(pair, metric, own, seeds[metric]) for pair in pairs if pair[1] == kind
            ]
            adjusted = holm(np.array([row.p for row in rows], dtype=float))
            found += [
                replace(row, p_adjusted=float(q)) for row, q in zip(rows, adjusted, strict=True)
            ]
    return tuple(found)


def _pairs(contestants: Sequence[Contestant]) -> list[Pair]:
    pairs: list[Pair] = []
    for budget in sorted({c.budget for c in contestants}):
        own = [c for c in contestants if c.budget == budget]
        first = [c for c in own if c.group == "searched"][:1]
        if first:
            pairs += [(budget, SEARCHED, first, c.name, [c]) for c in own if c.group == "reference"]
        law, against = ([c for c in own if c.group == g] for g in ("law", "against the law"))
        if law and against:
            pairs.append((budget, LAW, law, "against the law", against))
    return pairs


def _difference(
    pair: Pair,
    metric: str,
    scores: Mapping[str, RunScores],
    seeds: Mapping[str, SeedVariance],
) -> Difference:
    budget, kind, first, second_name, second = pair
    weights: dict[str, float] = {}
    for side, sign in ((first, 1.0), (second, -1.0)):
        for c in side:
            weights[c.architecture_hash] = weights.get(c.architecture_hash, 0.0) + sign / len(side)
    found = contrast(scores, weights, seeds)
    name = first[0].name if kind == SEARCHED else "law"
    return Difference(
        budget, name, second_name, kind, metric, found.estimate, found.p, p_adjusted=np.nan
    )
