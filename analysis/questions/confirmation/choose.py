"""Whom to confirm: per budget the best candidates by estimated score, and the known CNNs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.errors import AnalysisError
from analysis.page.quantities import short
from analysis.questions.budgets.recommend import WINDOW, estimated_scores, recommend
from analysis.questions.fronts.pareto import Shrunken
from analysis.questions.laws.scaled import scaled_architectures, study_space
from analysis.questions.laws.shape import ShapeLaw
from analysis.stats.noise import noise
from analysis.surrogates.surrogate import Target, surrogate
from analysis.trials.table import TrialTable
from models import Architecture, ModelError
from models.references.budget import reference_within
from search.confirm import Candidate

RIVALS = (
    *("resnet18", "xresnet1d50", "resnet1d-wang", "inception1d", "ribeiro", "net1d"),
    *("mobilenetv2", "efficientnet-b0", "regnetx-200mf", "convnext-atto"),
)
"""One reference CNN per family; its width is fitted to each budget."""

TARGETS: tuple[Target, ...] = ("score", "equal cost")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Candidates of all budgets, and why some that were asked for are not among them."""

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]


def choose_candidates(
    table: TrialTable,
    budgets: Sequence[float],
    *,
    samples: int,
    leads: int,
    outputs: int,
    top: int = 5,
    references: Sequence[str] = RIVALS,
    shrunken: Shrunken | None = None,
    laws: Sequence[ShapeLaw] = (),
    seed: int = 0,
) -> Chosen:
    """Choose for each budget from scores on validation records.

    Searched: the `top` networks by shrunken, not observed, score that use at least 75 % of the
    budget, filled up with cheaper ones. References: each in its widest form within the budget.
    Law: three compound-scaled networks and their opposites of equal FLOPs, where a law stands.
    A budget that the study does not cover is left out with a note; AnalysisError if all are.
    """
    shape = {"samples": samples, "leads": leads, "outputs": outputs}
    candidates: list[Candidate] = []
    notes: list[str] = []
    for budget in budgets:
        try:
            candidates += _searched(table, budget, top, shrunken, seed)
        except AnalysisError as error:
            notes.append(f"{short(budget)}: {error}")
            continue
        known = choose_references([budget], **shape, references=references)
        candidates += known.candidates
        notes += known.notes
        candidates += _by_law(table, budget, laws, shape, seed, notes)
    if not candidates:
        raise AnalysisError(notes[0] if notes else "Expected at least one budget, got none.")
    return Chosen(tuple(candidates), tuple(dict.fromkeys(notes)))


def choose_references(
    budgets: Sequence[float],
    *,
    samples: int,
    leads: int,
    outputs: int,
    references: Sequence[str] = RIVALS,
) -> Chosen:
    """Choose each known CNN in its widest form within each budget; a note where none fits."""
    candidates: list[Candidate] = []
    notes: list[str] = []
    for budget in budgets:
        for name in references:
            try:
                network = reference_within(
                    name, budget, samples=samples, leads=leads, outputs=outputs
                )
            except ModelError as error:
                notes.append(str(error))
                continue
            candidates.append(Candidate(network, budget, "reference", network.name))
    return Chosen(tuple(candidates), tuple(dict.fromkeys(notes)))


def _searched(
    table: TrialTable, budget: float, top: int, shrunken: Shrunken | None, seed: int
) -> list[Candidate]:
    """Return the top networks of a budget by estimated score."""
    pick = recommend(table, budget, seed=seed, shrunken=shrunken)
    if pick.refusal:
        raise AnalysisError(pick.refusal)
    designs = table.designs()
    cost = designs[table.cost].to_numpy(float)
    score = designs["score"].to_numpy(float) if shrunken is None else shrunken.mean
    within = np.flatnonzero(cost <= budget)
    near = cost[within] >= (1 - WINDOW) * budget
    order = within[np.lexsort((-score[within], ~near))][:top]
    found = []
    for row in order:
        stored = designs["architecture"].iloc[row]
        network = Architecture.from_json(str(stored))
        found.append(Candidate(network, budget, "searched", network.hash[:8]))
    return found


def _by_law(
    table: TrialTable,
    budget: float,
    laws: Sequence[ShapeLaw],
    shape: dict[str, int],
    seed: int,
    notes: list[str],
) -> list[Candidate]:
    """Return the law's networks and their opposites, none where no law stands."""
    space = study_space(table)
    if space is None or not laws:
        return []
    try:
        scaled = scaled_architectures(table, laws, [budget], space, **shape, seed=seed)[budget]
    except AnalysisError as error:
        notes.append(str(error))
        return []
    return [
        Candidate(network, budget, group, network.hash[:8])
        for group, networks in (("law", scaled.law), ("against the law", scaled.against))
        for network in networks
    ]


def estimate_scores(table: TrialTable, *, seed: int = 0) -> Shrunken | None:
    """Estimate every network's score as the report does; None where noise is unknown."""
    measured = noise(table)
    fitted = []
    for target in TARGETS:
        try:
            fitted.append(surrogate(table, target, noise=measured, seed=seed))
        except AnalysisError:
            continue  # the cost alone is the prior then
    return estimated_scores(table, measured, fitted)
