"""Refinement of a study of ours: what to train next, from what its random sample has shown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.errors import AnalysisError
from analysis.page.words import say
from analysis.questions.budgets.propose import Proposal, propose
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
    unfinished: bool = False,
) -> tuple[Proposal, ...]:
    """Propose networks of the study's space, by default for the usual budgets within its range.

    Every call looks at other candidates. Raises StudyError while planned trials are left, unless
    `unfinished`; AnalysisError where the trials do not tell one network from another.
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
    pool = pool_of(
        space, candidates, flops_range=(low, wanted[-1]), seed=study.planned, **study.shape
    )
    found = propose(Context(table, seed=study.planned), pool, wanted, count)
    if isinstance(found, Refusal):
        raise AnalysisError(say(found))
    return found
