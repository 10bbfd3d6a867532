"""Describe each confirmed network: costs, scores, and how it stands among the random ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.questions.confirmation.counted import Counted
from analysis.questions.confirmation.multiplier import multiplier
from analysis.questions.confirmation.resampling import RunScores
from analysis.questions.confirmation.results import Contestant
from analysis.questions.confirmation.uncertainty import (
    SeedVariance,
    contrast,
    half_width,
    seed_variances,
)
from analysis.questions.fronts.pareto import EstimatedFront, estimate_front
from analysis.stats.interval import Interval, wilson
from analysis.stats.shrinkage import Shrunken
from analysis.trials.table import TrialTable
from models.family import called
from search.confirm import Entry

NEAR = 0.15  # share by which FLOPs of random networks may differ and count as equal

Scores = Mapping[str, Mapping[str, RunScores]]
Seeds = Mapping[str, Mapping[str, SeedVariance]]


def describe(
    table: TrialTable,
    counted: Counted,
    scores: Scores,
    seeds: Seeds,
    shrunken: Shrunken | None,
    seed: int,
) -> tuple[Contestant, ...]:
    """Describe every entry with a finished training, in the order of the candidates."""
    validation = seed_variances(
        {hash_: own[table.objective].to_numpy(float) for hash_, own in counted.runs.items()}
    )
    fronts = _fronts(table, shrunken, seed)
    return tuple(
        _contestant(
            entry,
            counted.runs[entry.architecture_hash],
            table,
            _test_scores(entry.architecture_hash, scores, seeds),
            validation[entry.architecture_hash],
            fronts,
        )
        for entry in counted.done
    )


def _test_scores(hash_: str, scores: Scores, seeds: Seeds) -> dict[str, Interval]:
    """Return a network's mean over seeds with its interval within [0, 1], per metric."""
    found = {}
    for metric, own in scores.items():
        one = contrast(own, {hash_: 1.0}, seeds[metric]).interval
        low, high = np.clip([one.low, one.high], 0.0, 1.0)
        found[metric] = Interval(one.estimate, float(low), float(high))
    return found


def _fronts(table: TrialTable, shrunken: Shrunken | None, seed: int) -> dict[str, EstimatedFront]:
    """Estimate the front of the searched networks over every cost."""
    if shrunken is None:
        return {}
    designs = table.designs()
    score = designs["score"].to_numpy(float)
    return {
        cost: estimate_front(
            designs[cost].to_numpy(float), score, shrunken, np.random.default_rng([seed, 9])
        )
        for cost in table.costs
        if designs[cost].notna().all() and (designs[cost] > 0).all()
    }


def _contestant(
    entry: Entry,
    runs: pd.DataFrame,
    table: TrialTable,
    test: Mapping[str, Interval],
    between_seeds: SeedVariance,
    fronts: Mapping[str, EstimatedFront],
) -> Contestant:
    hash_ = entry.architecture_hash
    validation = float(table.score(runs).mean())
    half = half_width(between_seeds.value / len(runs), between_seeds.freedom)
    costs = {cost: float(runs[cost].mean()) for cost in table.costs if cost in runs}
    designs = table.whole.designs()
    flops = designs[table.cost].to_numpy(float)
    near = np.abs(flops / costs[table.cost] - 1) <= NEAR
    near &= (designs["architecture_hash"] != hash_).to_numpy()
    better = int((designs["score"].to_numpy(float)[near] > validation).sum())
    count = int(near.sum())
    share = wilson(better, count) if count else None
    return Contestant(
        budget=entry.budget,
        group=entry.group,
        name=entry.name if entry.group == "reference" else called(hash_) or entry.name,
        architecture_hash=hash_,
        costs=costs,
        learning_rate=float(runs["learning_rate"].iloc[0]),
        seeds=len(runs),
        validation=validation,
        validation_sd=float(runs[table.objective].std(ddof=1)) if len(runs) > 1 else float("nan"),
        test=test,
        beaten_by=share,
        neighbours=count,
        multipliers={
            cost: multiplier(one, costs[cost], validation, half)
            for cost, one in fronts.items()
            if cost in costs
        },
    )
