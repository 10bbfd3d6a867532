"""Whom to confirm: per budget the best candidates by estimated score, and the references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.errors import AnalysisError
from analysis.page.quantities import short
from analysis.page.words import say
from analysis.questions.budgets.recommend import ranked
from analysis.questions.laws.scaled import scaled_architectures, study_space
from analysis.questions.laws.shape import ShapeLaw
from analysis.stats.refusal import Refusal
from analysis.stats.shrinkage import Shrunken
from analysis.trials.table import TrialTable
from models import Architecture, ModelError, Shape
from models.references.budget import reference_within
from search.confirm import Candidate

RIVALS = (
    *("resnet18", "xresnet1d50", "resnet1d-wang", "inception1d", "ribeiro", "net1d"),
    *("mobilenetv2", "efficientnet-b0", "regnetx-200mf", "convnext-atto"),
)
"""One reference CNN per family; its width is fitted to each budget."""


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
    laws: Sequence[ShapeLaw | Refusal] = (),
    seed: int = 0,
) -> Chosen:
    """Choose for each budget from scores on validation records.

    Searched: what `recommend` names for the budget, then the `top` by expected, not observed, score
    that use at least 75 % of it, filled up with cheaper ones. References: each in its widest form
    within the budget. Law: three compound-scaled networks and their opposites of equal FLOPs,
    where a law stands. A budget that the study does not cover is left out with a note;
    AnalysisError if all are.
    """
    shape = Shape(samples, leads, outputs)
    candidates: list[Candidate] = []
    notes: list[str] = []
    for budget in budgets:
        try:
            candidates += _searched(table, budget, top, shrunken)
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
    """Choose each reference in its widest form within each budget; a note where none fits."""
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
    table: TrialTable, budget: float, top: int, shrunken: Shrunken | None
) -> list[Candidate]:
    """Return the network recommended for a budget, and the next by expected score."""
    table = table.candidates
    order = ranked(table, budget, shrunken)
    if isinstance(order, Refusal):
        raise AnalysisError(say(order))
    designs = table.designs()
    found = []
    for row in order[:top]:
        stored = designs["architecture"].iloc[row]
        network = Architecture.from_json(str(stored))
        found.append(Candidate(network, budget, "searched", network.hash[:8]))
    return found


def _by_law(
    table: TrialTable,
    budget: float,
    laws: Sequence[ShapeLaw | Refusal],
    shape: Shape,
    seed: int,
    notes: list[str],
) -> list[Candidate]:
    """Return the law's networks and their opposites, none where no law stands."""
    space = study_space(table)
    if space is None or not laws:
        return []
    scaled = scaled_architectures(table, laws, budget, space, shape, seed=seed)
    if isinstance(scaled, Refusal):
        notes.append(say(scaled))
        return []
    return [
        Candidate(network, budget, group, network.hash[:8])
        for group, networks in (("law", scaled.law), ("against the law", scaled.against))
        for network in networks
    ]
