"""Refinement of a study of ours: what to train next, from what its random sample has shown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.errors import AnalysisError
from analysis.page.words import say
from analysis.questions.budgets.propose import Proposal, propose
from analysis.questions.budgets.samplers import ask_samplers
from analysis.questions.context import Context
from analysis.questions.laws.scaled import study_space
from analysis.stats.refusal import Refusal
from analysis.trials.find import read_table
from models.pool import pool_of
from search.confirm import budgets_within
from search.reading.status import require_finished
from search.study import Study

COUNT = 20
CANDIDATES = 100_000


def choose_refinements(
    study: Study,
    *,
    budgets: Sequence[float] = (),
    count: int = COUNT,
    candidates: int = CANDIDATES,
    sampler: str | None = None,
    unfinished: bool = False,
) -> tuple[Proposal, ...]:
    """Propose networks of the study's space, by default for the usual budgets within its range.

    By the surrogate from a number of `candidates`, others in every call, or by one of Optuna's
    SAMPLERS. Raises StudyError while planned trials are left, unless `unfinished`; AnalysisError
    where the trials do not tell one network from another.
    """
    require_finished(study, unfinished)
    table = read_table(study.name, study.storage)
    space, (low, high) = study_space(table), study.definition.sample.flops
    wanted = sorted(budgets) or budgets_within((low, high))
    if space is None or not low < wanted[0] <= wanted[-1] <= high:
        raise AnalysisError(
            f"Expected budgets within the {low:g} to {high:g} FLOPs that {study.name} sampled, got "
            f"{', '.join(f'{budget:g}' for budget in wanted)}: give --budget."
        )
    seed, shape = study.planned, study.shape
    if sampler is not None:
        known = table.candidates
        return ask_samplers(sampler, space, known, wanted, count, low=low, shape=shape, seed=seed)
    pool = pool_of(space, candidates, flops_range=(low, wanted[-1]), seed=seed, **shape)
    found = propose(Context(table, seed=seed), pool, wanted, count)
    if isinstance(found, Refusal):
        raise AnalysisError(say(found))
    return found
