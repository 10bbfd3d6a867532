"""All numbers of a report, computed once; a part that cannot be computed leaves its reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.distributions import MatchedComparison, compare_factors
from analysis.errors import AnalysisError
from analysis.importance import Importance, Subset, importance
from analysis.likely_best import LikelyBest, likely_best
from analysis.noise import Noise, noise
from analysis.pareto import (
    EstimatedFront,
    Shrunken,
    cost_trend_prior,
    estimate_front,
    hypervolume_growth,
    shrink,
)
from analysis.recommend import Recommendation, recommend_all
from analysis.surrogate import FEWEST_DESIGNS, Surrogate, Target, surrogate
from analysis.trials import SEARCHED, TrialTable

Floats = NDArray[np.float64]
P = ParamSpec("P")
Result = TypeVar("Result")
TARGETS: tuple[Target, ...] = ("score", "equal cost")

log = logging.getLogger(__name__)

NOT_COMPUTED = "This part could not be computed"
FRONT_COSTS = ("flops", "params", "activations", "latency_ms")
FEWEST_FOR_FRONT = 3


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """Hypervolume of the observed front against the number of networks trained."""

    sizes: NDArray[np.int64]
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What was computed from a table; `reasons` says for each missing part why."""

    table: TrialTable
    designs: pd.DataFrame
    seed: int
    bootstraps: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    curves: pd.DataFrame | None = None
    class_scores: pd.DataFrame | None = None
    noise: Noise | None = None
    surrogates: Mapping[Target, Surrogate] = field(default_factory=dict)
    importances: Mapping[tuple[Target, Subset], Importance] = field(default_factory=dict)
    comparisons: tuple[MatchedComparison, ...] = ()
    likely_best: tuple[LikelyBest, ...] = ()
    shrunken: Shrunken | None = None
    fronts: Mapping[tuple[str, str], EstimatedFront] = field(default_factory=dict)
    growth: Growth | None = None
    recommendations: tuple[Recommendation, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether the ECGs were made up."""
        return bool(self.facts.get("synthetic", self.table.study.synthetic))


class Parts:
    """Compute parts one after another and keep the reason of each that cannot be."""

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self.reasons: dict[str, str] = {}
        self._progress = progress

    def attempt(
        self, name: str, make: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result | None:
        """Return the result or None; an unforeseen error must not cost the rest of the page."""
        if self._progress is not None:
            self._progress(name)
        try:
            return make(*args, **kwargs)
        except AnalysisError as error:
            self.reasons[name] = str(error)
        except Exception as error:
            log.warning("Part '%s' of the report failed", name, exc_info=True)
            self.reasons[name] = f"{NOT_COMPUTED} ({type(error).__name__}: {error})."
        return None


def compute(
    table: TrialTable,
    *,
    seed: int = 0,
    bootstraps: int = 200,
    facts: Mapping[str, Any] | None = None,
    curves: pd.DataFrame | None = None,
    class_scores: pd.DataFrame | None = None,
    progress: Callable[[str], None] | None = None,
) -> Results:
    """Compute everything a report shows.

    Args:
        table: The trials.
        seed: Seed of every permutation, bootstrap and posterior draw.
        bootstraps: Refits per interval of an importance.
        facts: Rows for the page's header; `synthetic` overrides what the table says.
        curves: Validation score by epoch: trial, epoch, value.
        class_scores: Scores by class: trial, class, positives, f1, auroc, auprc.
        progress: Called with the name of each part before it is computed.
    """
    parts = Parts(progress)
    # Without a complete trial there are no columns to average either.
    designs = pd.DataFrame() if table.complete(SEARCHED).empty else table.designs()
    if designs.empty:
        parts.reasons["everything"] = (
            "No randomly drawn network has finished training, so there is nothing to analyse yet."
        )
        return Results(
            table,
            designs,
            seed,
            bootstraps,
            facts or {},
            curves,
            class_scores,
            reasons=parts.reasons,
        )
    measured = parts.attempt("noise", noise, table)
    surrogates: dict[Target, Surrogate] = {}
    for target in TARGETS:
        name = f"surrogate of {target}"
        reason = _nothing_to_learn(designs)
        if reason:  # it would refuse, after much fitting
            parts.reasons[name] = reason
            continue
        fitted = parts.attempt(name, surrogate, table, target, noise=measured, seed=seed)
        if fitted is not None:
            surrogates[target] = fitted
    importances: dict[tuple[Target, Subset], Importance] = {}
    for target, fitted in surrogates.items():
        name = f"importance for {target}"
        explained = parts.attempt(name, importance, table, fitted, bootstraps=bootstraps, seed=seed)
        importances |= {(target, subset): each for subset, each in (explained or {}).items()}
    shrunken = parts.attempt("shrinkage", _shrunken, designs, table, measured, surrogates)
    fronts = {}
    for metric in dict.fromkeys((table.objective, "macro_auroc")):
        for cost in FRONT_COSTS:
            if metric in table.metrics and cost in table.costs:
                name = f"front of {metric} over {cost}"
                estimated = parts.attempt(name, _front, table, metric, cost, shrunken, seed)
                if estimated is not None:
                    fronts[metric, cost] = estimated
    return Results(
        table=table,
        designs=designs,
        seed=seed,
        bootstraps=bootstraps,
        facts=facts or {},
        curves=curves,
        class_scores=class_scores,
        noise=measured,
        surrogates=surrogates,
        importances=importances,
        comparisons=parts.attempt("distributions", compare_factors, table, seed=seed) or (),
        likely_best=parts.attempt("likely best ranges", likely_best, table, seed=seed) or (),
        shrunken=shrunken,
        fronts=fronts,
        growth=parts.attempt("hypervolume", _growth, table, designs, seed),
        recommendations=parts.attempt(
            "recommendations", recommend_all, table, seed=seed, shrunken=shrunken
        )
        or (),
        reasons=parts.reasons,
    )


def _nothing_to_learn(designs: pd.DataFrame) -> str | None:
    """Say why no surrogate need be tried, or None."""
    if len(designs) < FEWEST_DESIGNS:
        return (
            f"surrogate not adequate: {len(designs)} architectures, at least {FEWEST_DESIGNS} are "
            "needed."
        )
    if np.ptp(designs["score"]) == 0:
        return "surrogate not adequate: all architectures have the same score."
    return None


def _shrunken(
    designs: pd.DataFrame,
    table: TrialTable,
    measured: Noise | None,
    surrogates: Mapping[Target, Surrogate],
) -> Shrunken | None:
    """Shrink towards the surrogate that predicts best where one is adequate, else the cost."""
    if measured is None or not measured.known:
        return None
    cost, score = designs[table.cost].to_numpy(float), designs["score"].to_numpy(float)
    adequate = [s for s in surrogates.values() if s.adequate]
    if adequate:
        best = max(adequate, key=lambda s: s.quality.r2)
        prior = best.predictions.set_index("architecture_hash")["predicted"]
        expected = prior.loc[designs["architecture_hash"]].to_numpy(float)
    else:
        expected = cost_trend_prior(cost, score)
    return shrink(
        score,
        designs["repeats"],
        measured.sd_at(cost) ** 2,
        expected,
        noise_freedom=measured.degrees_of_freedom,
    )


def _front(
    table: TrialTable, metric: str, cost: str, shrunken: Shrunken | None, seed: int
) -> EstimatedFront | None:
    """Estimate a front; for a metric other than the objective, with noise of its own."""
    designs = table.designs()
    if len(designs) < FEWEST_FOR_FRONT or designs[metric].isna().any():
        return None
    costs, scores = designs[cost].to_numpy(float), designs[metric].to_numpy(float)
    if metric != table.objective or not table.maximize:
        measured = noise(table, metric)
        if not measured.known:
            return None
        by_cost = designs[table.cost].to_numpy(float)
        shrunken = shrink(
            scores,
            designs["repeats"],
            measured.sd_at(by_cost) ** 2,
            cost_trend_prior(by_cost, scores),
            noise_freedom=measured.degrees_of_freedom,
        )
    if shrunken is None:
        return None
    return estimate_front(costs, scores, shrunken, np.random.default_rng([seed, 1]))


def _growth(table: TrialTable, designs: pd.DataFrame, seed: int) -> Growth | None:
    """Follow the hypervolume in random orders of the networks."""
    n = len(designs)
    if n < FEWEST_FOR_FRONT or min(np.ptp(designs["score"]), np.ptp(designs[table.cost])) == 0:
        return None
    sizes = np.unique(np.geomspace(2, n, 15).round().astype(np.int64))
    rng = np.random.default_rng([seed, 2])
    mean, low, high = hypervolume_growth(
        designs[table.cost], designs["score"], sizes.tolist(), rng, orders=60
    )
    return Growth(sizes, mean, low, high)
