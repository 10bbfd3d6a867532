"""Searched networks against known CNNs per budget, on test records that nothing was chosen by.

Every contestant was trained under the same recipe with the same number of fresh seeds and the same
learning rates. Which searched network stands for its budget was decided before any of them was
trained again, by the order of the candidates; which rate, on validation records. Differences are
then measured on the test records, paired by patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.questions.confirmation.differences import find_differences
from analysis.questions.confirmation.multiplier import multiplier
from analysis.questions.confirmation.resampling import METRICS, Run, RunScores, score_networks
from analysis.questions.confirmation.results import Comparison, Contestant
from analysis.questions.confirmation.uncertainty import (
    SeedVariance,
    contrast,
    half_width,
    seed_variances,
)
from analysis.questions.fronts.pareto import EstimatedFront, estimate_front
from analysis.stats.interval import Interval, wilson
from analysis.stats.patients import FEWEST_PATIENTS, interval_table, kind_patients
from analysis.stats.shrinkage import Shrunken
from analysis.trials.table import TrialTable
from search.confirm import Entry
from search.reading.records import Confirmed

NEAR = 0.15  # FLOPs of random networks that count as equal
RARE = 0.02  # share of the records below which a class is rare
DETAIL_DRAWS = 200


def compare(
    table: TrialTable,
    confirmed: Confirmed,
    *,
    shrunken: Shrunken | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the confirmed networks of each budget.

    Intervals and p-values allow for patients and seeds (`uncertainty`).
    Raises AnalysisError if nothing was confirmed, nothing of it is done, or the table's objective
    is not one that is measured on test records.
    """
    if table.objective not in METRICS:
        raise AnalysisError(
            f"Confirmed networks are compared by {' or '.join(METRICS)}, not by "
            f"{table.objective}: choose one of them as the objective."
        )
    if not confirmed.rounds:
        raise AnalysisError(
            "Nothing was confirmed on test records: plan it with 'ecgscale confirm' when the "
            "search is done."
        )
    first, later = confirmed.rounds[0], confirmed.rounds[1:]
    added = _added(confirmed)
    entries = [*first.entries, *added]
    runs = _chosen_runs(confirmed, table.objective, added)
    done = [entry for entry in entries if entry.architecture_hash in runs]
    missing = {entry.name for entry in entries if entry.architecture_hash not in runs}
    if not done:
        raise AnalysisError("No confirmed network has finished training: run the workers first.")
    some = next(iter(confirmed.outputs.values()))
    outputs = {
        hash_: [
            Run(confirmed.outputs[int(t)].probabilities, confirmed.thresholds[int(t)])
            for t in own["trial"]
        ]
        for hash_, own in runs.items()
    }
    rng = np.random.default_rng([seed, 8])
    scores = score_networks(some.labels, some.patients, outputs, rng, draws=draws)
    rare = _rare_classes(table, confirmed.classes, some.labels, some.patients)
    if rare:
        columns = [confirmed.classes.index(name) for name in rare]
        drawn = score_networks(
            some.labels, some.patients, outputs, rng, draws=draws, classes=columns
        )
        scores |= {f"rare_{metric}": each for metric, each in drawn.items()}
    seeds = {
        metric: seed_variances({name: one.observed for name, one in own.items()})
        for metric, own in scores.items()
    }
    validation = seed_variances(
        {hash_: own[table.objective].to_numpy(float) for hash_, own in runs.items()}
    )
    fronts = _fronts(table, shrunken, seed)
    contestants = tuple(
        _contestant(
            entry,
            runs[entry.architecture_hash],
            table,
            _test_scores(entry.architecture_hash, scores, seeds),
            validation[entry.architecture_hash],
            fronts,
        )
        for entry in done
    )
    shown = _shown_in_detail(contestants)
    return Comparison(
        contestants,
        find_differences(contestants, scores, seeds),
        table.objective,
        records=len(some.labels),
        patients=len(np.unique(some.patients)),
        classes=int((np.asarray(some.labels).sum(axis=0) > 0).sum()),
        rare=rare,
        draws=draws,
        added=tuple(dict.fromkeys(entry.name for entry in added)),
        left_out=sum(len(one.entries) for one in later) - len(added),
        seeds=first.seeds,
        missing=tuple(sorted(missing)),
        detailed=shown.name,
        details=interval_table(
            some.labels,
            outputs[shown.architecture_hash][0].probabilities,
            outputs[shown.architecture_hash][0].thresholds,
            some.patients,
            some.sources,
            rng,
            classes=confirmed.classes,
            resamples=DETAIL_DRAWS,
        ),
    )


def _shown_in_detail(contestants: Sequence[Contestant]) -> Contestant:
    """Choose the first searched network of the largest budget, or the first one of all there."""
    largest = max(c.budget for c in contestants)
    own = [c for c in contestants if c.budget == largest]
    return next((c for c in own if c.group == "searched"), own[0])


def _added(confirmed: Confirmed) -> dict[Entry, int]:
    """Return the known networks of later rounds that count, with their round.

    Whoever planned a later round may have seen the test scores of the first. That would flatter a
    searched network, but not a known one, whose width follows from the budget: it counts if it had
    the same seeds and rates as the first round's and enters one of its budgets.
    """
    first = confirmed.rounds[0]
    inside = {(entry.budget, entry.architecture_hash) for entry in first.entries}
    budgets = {entry.budget for entry in first.entries}
    added: dict[Entry, int] = {}
    for number, one in enumerate(confirmed.rounds[1:], start=1):
        alike = (one.seeds, one.learning_rates) == (first.seeds, first.learning_rates)
        for entry in one.entries:
            place = (entry.budget, entry.architecture_hash)
            known = entry.group == "reference" and entry.budget in budgets
            if alike and known and place not in inside:
                added[entry] = number
                inside.add(place)
    return added


def _chosen_runs(
    confirmed: Confirmed, objective: str, added: Mapping[Entry, int]
) -> dict[str, pd.DataFrame]:
    """Return each network's runs at the learning rate with its best mean validation score.

    Of the first round, and of a later one those of the networks that it `added`. Rates with fewer
    finished seeds than another stand back: the best of fewer draws is not the better rate.
    """
    trials = confirmed.trials[confirmed.trials["trial"].isin(list(confirmed.outputs))]
    hashes = {entry.architecture_hash: number for entry, number in added.items()}
    earlier = {entry.architecture_hash for entry in confirmed.rounds[0].entries}
    counted = {**hashes, **dict.fromkeys(earlier, 0)}
    usable = trials[trials["round"] == trials["architecture_hash"].map(counted)]
    chosen = {}
    for hash_, own in usable.groupby("architecture_hash"):
        by_rate = own.groupby("learning_rate")[objective].agg(["mean", "count"])
        full = by_rate[by_rate["count"] == by_rate["count"].max()]
        chosen[str(hash_)] = own[own["learning_rate"] == full["mean"].idxmax()]
    return chosen


def _rare_classes(
    table: TrialTable, classes: Sequence[str], labels: np.ndarray, patients: np.ndarray
) -> tuple[str, ...]:
    """Return the classes that few records of the store have and enough test patients."""
    counts = table.study.data.get("labels", {})
    records = table.study.data.get("records", 0)
    enough = kind_patients(labels, patients) >= FEWEST_PATIENTS
    return tuple(
        name
        for place, name in enumerate(classes)
        if enough[place] and 0 < counts.get(name, 0) < RARE * records
    )


def _test_scores(
    hash_: str,
    scores: Mapping[str, Mapping[str, RunScores]],
    seeds: Mapping[str, Mapping[str, SeedVariance]],
) -> dict[str, Interval]:
    """Return a network's mean over seeds with its interval within [0, 1], per metric."""
    found = {}
    for metric, own in scores.items():
        one = contrast(own, {hash_: 1.0}, seeds[metric]).estimate
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
    designs = table.designs()
    flops = designs[table.cost].to_numpy(float)
    near = np.abs(flops / costs[table.cost] - 1) <= NEAR
    near &= (designs["architecture_hash"] != hash_).to_numpy()
    better = int((designs["score"].to_numpy(float)[near] > validation).sum())
    count = int(near.sum())
    share = wilson(better, count) if count else None
    return Contestant(
        budget=entry.budget,
        group=entry.group,
        name=entry.name,
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
