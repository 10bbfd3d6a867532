"""Compute every part of a report, each on its own so that one failure costs one part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.budgets.recommend import Recommendation, estimated_scores, recommend_all
from analysis.questions.confirmation.compare import compare
from analysis.questions.distributions.curves import compare_factors
from analysis.questions.distributions.likely_best import likely_best
from analysis.questions.distributions.spaces import compare_spaces
from analysis.questions.effects.interactions import interactions
from analysis.questions.effects.main import effects
from analysis.questions.fronts.pareto import (
    EstimatedFront,
    Shrunken,
    cost_trend_prior,
    estimate_front,
    hypervolume_growth,
    shrink,
)
from analysis.questions.importance.agreement import Agreement, agreement
from analysis.questions.importance.ale import Ale, accumulated
from analysis.questions.importance.shap import Importance, Subset, importance
from analysis.questions.importance.ties import design
from analysis.questions.laws.error import error_law
from analysis.questions.laws.monotone import monotone, trends
from analysis.questions.laws.scaled import Scaled, scaled_architectures, study_shape, study_space
from analysis.questions.laws.shape import ShapeLaw, shape_laws
from analysis.questions.power.needs import learning, power
from analysis.questions.trust.failures import failures
from analysis.report.results import FRONT_COSTS, TARGETS, Growth, Parts, Results
from analysis.stats.noise import Noise, noise
from analysis.surrogates.surrogate import FEWEST_DESIGNS, Surrogate, Target, surrogate
from analysis.trials.table import SEARCHED, TrialTable
from search.reading.records import Confirmed

FEWEST_FOR_FRONT = 3
ALE_FACTORS = 6
SCALED_BUDGETS = 4


def compute(
    table: TrialTable,
    *,
    seed: int = 0,
    bootstraps: int = 200,
    facts: Mapping[str, Any] | None = None,
    curves: pd.DataFrame | None = None,
    class_scores: pd.DataFrame | None = None,
    confirmed: Confirmed | None = None,
    other: TrialTable | None = None,
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
        confirmed: What was confirmed on test records.
        other: A study of another design space to compare with at equal FLOPs.
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
    fitted = _surrogates(parts, table, designs, measured, seed)
    explained = _importances(parts, table, fitted, bootstraps, seed)
    shrunken = parts.attempt("shrinkage", estimated_scores, table, measured, fitted.values())
    picks = parts.attempt("recommendations", recommend_all, table, seed=seed, shrunken=shrunken)
    found = parts.attempt("effects", effects, table)
    law = parts.attempt("error law", error_law, table, seed=seed)
    laws = parts.attempt("shape laws", shape_laws, table, seed=seed) or ()
    curve = parts.attempt("learning curve", _learning, table, fitted, seed)
    needed = None
    if found is not None:
        needed = parts.attempt("power", power, found, laws, law, measured, curve)
    return Results(
        table=table,
        designs=designs,
        seed=seed,
        bootstraps=bootstraps,
        facts=facts or {},
        curves=curves,
        class_scores=class_scores,
        design=parts.attempt("design", design, table),
        failures=parts.attempt("failures", failures, table, seed=seed),
        noise=measured,
        effects=found,
        interactions=parts.attempt("interactions", interactions, table),
        monotone=parts.attempt("rise with cost", monotone, table, seed=seed),
        trends=parts.attempt("trends", trends, table) or (),
        surrogates=fitted,
        importances=explained,
        agreements=_agreements(parts, table, fitted, explained, seed),
        ale=parts.attempt("accumulated local effects", _ale, table, fitted, explained, seed) or (),
        error_law=law,
        shape_laws=laws,
        scaled=_scaled(parts, table, laws, picks or (), seed),
        power=needed,
        comparisons=parts.attempt("distributions", compare_factors, table, seed=seed) or (),
        likely_best=parts.attempt("likely best ranges", likely_best, table, seed=seed) or (),
        shrunken=shrunken,
        fronts=_fronts(parts, table, shrunken, seed),
        growth=parts.attempt("hypervolume", _growth, table, designs, seed),
        recommendations=picks or (),
        spaces=None
        if other is None
        else parts.attempt("spaces", compare_spaces, table, other, seed=seed),
        rivals=None
        if confirmed is None
        else parts.attempt("confirmation", compare, table, confirmed, shrunken=shrunken, seed=seed),
        reasons=parts.reasons,
    )


def _surrogates(
    parts: Parts, table: TrialTable, designs: pd.DataFrame, measured: Noise | None, seed: int
) -> dict[Target, Surrogate]:
    found: dict[Target, Surrogate] = {}
    for target in TARGETS:
        name = f"surrogate of {target}"
        reason = _nothing_to_learn(designs)
        if reason:  # it would refuse, after much fitting
            parts.reasons[name] = reason
            continue
        fitted = parts.attempt(name, surrogate, table, target, noise=measured, seed=seed)
        if fitted is not None:
            found[target] = fitted
    return found


def _importances(
    parts: Parts,
    table: TrialTable,
    surrogates: Mapping[Target, Surrogate],
    bootstraps: int,
    seed: int,
) -> dict[tuple[Target, Subset], Importance]:
    found: dict[tuple[Target, Subset], Importance] = {}
    for target, fitted in surrogates.items():
        name = f"importance for {target}"
        explained = parts.attempt(name, importance, table, fitted, bootstraps=bootstraps, seed=seed)
        found |= {(target, subset): each for subset, each in (explained or {}).items()}
    return found


def _agreements(
    parts: Parts,
    table: TrialTable,
    surrogates: Mapping[Target, Surrogate],
    importances: Mapping[tuple[Target, Subset], Importance],
    seed: int,
) -> dict[Target, Agreement]:
    """Hold the rankings of other methods beside those importances that may be relied on."""
    found: dict[Target, Agreement] = {}
    for target, fitted in surrogates.items():
        explained = importances.get((target, "all"))
        if explained is not None and explained.refusal is None:
            name = f"agreement on {target}"
            agreed = parts.attempt(name, agreement, table, fitted, explained, seed=seed)
            if agreed is not None:
                found[target] = agreed
    return found


def _ale(
    table: TrialTable,
    surrogates: Mapping[Target, Surrogate],
    importances: Mapping[tuple[Target, Subset], Importance],
    seed: int,
) -> tuple[Ale, ...]:
    """Accumulate the effects of the factors that matter most at equal cost."""
    fitted, explained = surrogates.get("equal cost"), importances.get(("equal cost", "all"))
    if fitted is None or explained is None or explained.refusal is not None:
        return ()
    names = [factor.factor for factor in explained.factors][:ALE_FACTORS]
    return accumulated(table, fitted, names, seed=seed)


def _learning(
    table: TrialTable, surrogates: Mapping[Target, Surrogate], seed: int
) -> pd.DataFrame | None:
    """Follow the surrogate of the score, or of what is left at equal cost, as trials are added."""
    fitted = surrogates.get("equal cost") or surrogates.get("score")
    if fitted is None or fitted.n < FEWEST_DESIGNS:
        return None
    return learning(table, fitted, seed=seed)


def _scaled(
    parts: Parts,
    table: TrialTable,
    laws: tuple[ShapeLaw, ...],
    picks: tuple[Recommendation, ...],
    seed: int,
) -> dict[float, Scaled]:
    """Build one network per budget from the laws that stand, where the study's space is known."""
    space = study_space(table)
    standing = [law for law in laws if law.refusal is None]
    ceiling = min((float(law.curve["cost"].max()) for law in standing), default=0.0)
    budgets = [pick.budget for pick in picks if pick.refusal is None and pick.budget <= ceiling]
    if space is None or not budgets:
        return {}
    places = np.unique(np.linspace(0, len(budgets) - 1, SCALED_BUDGETS).round().astype(int))
    found: dict[float, Scaled] = {}
    for budget in (budgets[place] for place in places):
        made = parts.attempt(
            f"network scaled by the law to {budget:g}",
            scaled_architectures,
            table, laws, [budget], space, **study_shape(table), count=1, seed=seed,
        )  # fmt: skip
        found |= made or {}
    return found


def _fronts(
    parts: Parts, table: TrialTable, shrunken: Shrunken | None, seed: int
) -> dict[tuple[str, str], EstimatedFront]:
    found = {}
    for metric in dict.fromkeys((table.objective, "macro_auroc")):
        for cost in dict.fromkeys((table.cost, *FRONT_COSTS)):
            if metric in table.metrics and cost in table.costs:
                name = f"front of {metric} over {cost}"
                estimated = parts.attempt(name, _front, table, metric, cost, shrunken, seed)
                if estimated is not None:
                    found[metric, cost] = estimated
    return found


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
