"""Searched networks against known CNNs per budget, on test records that nothing was chosen by.

Every contestant was trained under the same recipe with the same number of fresh seeds and the same
learning rates. Which rate, and which searched network stands for its budget, is decided on
validation records; differences are then measured on the test records, paired by patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.confirmation.results import (
    Comparison,
    Contestant,
    Difference,
    Estimate,
    Multiplier,
)
from analysis.confirmation.two_level import Draws, Run, bootstrap_networks
from analysis.errors import AnalysisError
from analysis.failures import wilson
from analysis.pareto import EstimatedFront, Shrunken, estimate_front
from analysis.regression import holm
from analysis.trials import TrialTable
from search.confirm import Entry
from search.intervals import interval_table
from search.records import Confirmed

NEAR = 0.15  # FLOPs of random networks that count as equal
RARE = 0.02  # share of the records below which a class is rare
LEVEL = 0.95
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

    Intervals and p-values are of a bootstrap over patients and seeds (`analysis.two_level`).
    Raises AnalysisError if nothing was confirmed, or nothing of it is done.
    """
    if not confirmed.rounds:
        raise AnalysisError(
            "Nothing was confirmed on test records: plan it with 'ecgscale confirm' when the "
            "search is done."
        )
    # A later round was chosen by people who may have seen the test scores of the first.
    entries = confirmed.rounds[0].entries
    runs = _chosen_runs(confirmed, table.objective)
    done = [entry for entry in entries if entry.architecture_hash in runs]
    missing = tuple(
        sorted({entry.name for entry in entries if entry.architecture_hash not in runs})
    )
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
    scores = dict(bootstrap_networks(some.labels, some.patients, outputs, rng, draws=draws).scores)
    rare = _rare_classes(table, confirmed.classes, some.labels)
    if rare:
        columns = [confirmed.classes.index(name) for name in rare]
        drawn = bootstrap_networks(
            some.labels, some.patients, outputs, rng, draws=draws, classes=columns
        )
        scores |= {f"rare_{metric}": each for metric, each in drawn.scores.items()}
    observed = _observed(some.labels, outputs, confirmed.classes, rare)
    fronts = _fronts(table, shrunken, seed)
    contestants = tuple(
        _contestant(entry, runs[entry.architecture_hash], table, observed, scores, fronts)
        for entry in done
    )
    differences = _differences(contestants, observed, Draws(scores))
    shown = _shown_in_detail(contestants)
    return Comparison(
        contestants,
        differences,
        table.objective,
        records=len(some.labels),
        patients=len(np.unique(some.patients)),
        rare=rare,
        draws=draws,
        rounds=len(confirmed.rounds),
        missing=missing,
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
    """Choose the searched network with the best validation score, or the best of all."""
    searched = [c for c in contestants if c.group == "searched"]
    return max(searched or contestants, key=lambda c: c.validation)


def _chosen_runs(confirmed: Confirmed, objective: str) -> dict[str, pd.DataFrame]:
    """Return each network's runs at the learning rate with its best mean validation score."""
    first = {entry.architecture_hash for entry in confirmed.rounds[0].entries}
    chosen = {}
    for hash_, own in confirmed.trials.groupby("architecture_hash"):
        usable = own[own["trial"].isin(list(confirmed.outputs))]
        if str(hash_) not in first or usable.empty:
            continue
        means = usable.groupby("learning_rate")[objective].mean()
        chosen[str(hash_)] = usable[usable["learning_rate"] == means.idxmax()]
    return chosen


def _rare_classes(table: TrialTable, classes: Sequence[str], labels: np.ndarray) -> tuple[str, ...]:
    """Return the classes that few records of the store have and the test records have at all."""
    counts = table.study.data.get("labels", {})
    records = table.study.data.get("records", 0)
    there = np.asarray(labels).sum(axis=0) > 0
    return tuple(
        name
        for place, name in enumerate(classes)
        if there[place] and 0 < counts.get(name, 0) < RARE * records
    )


def _observed(
    labels: np.ndarray,
    outputs: Mapping[str, Sequence[Run]],
    classes: Sequence[str],
    rare: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Score each network on the test records as they are, mean over seeds, per metric."""
    from search import metrics

    truth = np.asarray(labels)
    parts = {"": list(range(len(classes)))}
    if rare:
        parts["rare_"] = [classes.index(name) for name in rare]
    found: dict[str, dict[str, float]] = {}
    for prefix, columns in parts.items():
        for hash_, own in outputs.items():
            f1 = [
                metrics.macro_f1(
                    truth[:, columns], (run.probabilities > run.thresholds)[:, columns]
                )
                for run in own
            ]
            auroc = [
                metrics.macro_auroc(truth[:, columns], run.probabilities[:, columns]) for run in own
            ]
            found.setdefault(f"{prefix}macro_f1", {})[hash_] = float(np.mean(f1))
            found.setdefault(f"{prefix}macro_auroc", {})[hash_] = float(np.mean(auroc))
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
    observed: Mapping[str, Mapping[str, float]],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    fronts: Mapping[str, EstimatedFront],
) -> Contestant:
    hash_ = entry.architecture_hash
    validation = float(table.score(runs).mean())
    costs = {cost: float(runs[cost].mean()) for cost in table.costs if cost in runs}
    designs = table.designs()
    flops = designs[table.cost].to_numpy(float)
    near = np.abs(flops / costs[table.cost] - 1) <= NEAR
    near &= (designs["architecture_hash"] != hash_).to_numpy()
    better = int((designs["score"].to_numpy(float)[near] > validation).sum())
    count = int(near.sum())
    share = Estimate(better / count, *wilson(better, count)) if count else None
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
        test={
            metric: Estimate(value[hash_], *_interval(scores[metric][hash_]))
            for metric, value in observed.items()
        },
        beaten_by=share,
        neighbours=count,
        multipliers={
            cost: multiplier(one, costs[cost], validation)
            for cost, one in fronts.items()
            if cost in costs
        },
    )


def multiplier(front: EstimatedFront, cost: float, score: float) -> Multiplier:
    """Divide a cost by that at which the estimated front reaches a score.

    The interval is that of the front's band; the score itself is taken as it is.
    """

    def needed(curve: np.ndarray) -> float:
        reached = np.flatnonzero(curve >= score)
        return float(front.grid_cost[reached[0]]) if reached.size else float("inf")

    at, early, late = (needed(c) for c in (front.median, front.upper, front.lower))
    if not np.isfinite(at):
        top = float(front.grid_cost[-1])
        return Multiplier(cost / top, 0.0, cost / min(early, top), "at most")
    bound = "at least" if at == front.grid_cost[0] else ""
    return Multiplier(cost / at, cost / late, cost / early, bound)


def _differences(
    contestants: Sequence[Contestant], observed: Mapping[str, Mapping[str, float]], draws: Draws
) -> tuple[Difference, ...]:
    """Set the best searched network of each budget against every other group's networks."""
    pairs: list[tuple[float, str, list[Contestant], str, list[Contestant]]] = []
    for budget in sorted({c.budget for c in contestants}):
        own = [c for c in contestants if c.budget == budget]
        searched = [c for c in own if c.group == "searched"]
        if searched:
            best = max(searched, key=lambda c: c.validation)
            pairs += [
                (budget, "searched against reference", [best], c.name, [c])
                for c in own
                if c.group == "reference"
            ]
        law, against = ([c for c in own if c.group == g] for g in ("law", "against the law"))
        if law and against:
            pairs.append((budget, "law against its opposite", law, "against the law", against))
    found: list[Difference] = []
    for metric in observed:
        rows = []
        for budget, kind, first, second_name, second in pairs:
            drawn = _mean(draws.scores[metric], first) - _mean(draws.scores[metric], second)
            value = float(_mean(observed[metric], first) - _mean(observed[metric], second))
            estimate = Estimate(value, *_interval(drawn))
            name = first[0].name if kind.startswith("searched") else "law"
            rows.append((budget, name, second_name, kind, estimate, two_sided(drawn)))
        adjusted = holm(np.array([row[-1] for row in rows], dtype=float))
        found += [
            Difference(budget, name, second, kind, metric, estimate, p, float(q))
            for (budget, name, second, kind, estimate, p), q in zip(rows, adjusted, strict=True)
        ]
    return tuple(found)


def _mean(values: Mapping[str, ArrayLike], of: Sequence[Contestant]) -> NDArray[np.float64]:
    """Average over networks."""
    stacked = np.asarray([values[c.architecture_hash] for c in of], dtype=np.float64)
    return np.asarray(stacked.mean(axis=0))


def two_sided(drawn: np.ndarray) -> float:
    """Return the bootstrap p-value of a difference of 0, never below 2 / (draws + 1)."""
    defined = drawn[np.isfinite(drawn)]
    if not defined.size:
        return float("nan")
    fewer = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (fewer + 1) / (defined.size + 1)))


def _interval(drawn: np.ndarray) -> tuple[float, float]:
    defined = drawn[np.isfinite(drawn)]
    if 2 * defined.size < drawn.size:
        return float("nan"), float("nan")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
