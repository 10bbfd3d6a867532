"""Optuna's samplers as proposers of networks, for those who prefer them.

Each budget has a study of its own in memory, which is told the mean score of every network that
was trained, and as a constraint by how much each exceeds the budget. The FLOPs of what a sampler
asks for are known before it is trained: beyond the budget, and trained before, it is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.errors import AnalysisError
from analysis.questions.budgets.propose import Proposal
from analysis.trials.factors import Level, plain
from analysis.trials.table import TrialTable
from models import Space
from models.shape import Shape
from search.quiet import quiet_optuna
from search.trials.distributions import distributions

if TYPE_CHECKING:
    import optuna

SAMPLERS = {"tpe": "TPESampler", "gp": "GPSampler", "nsga2": "NSGAIISampler"}
MOST_ASKED = 200


class Asked:
    """What one of Optuna's samplers wants to be trained for a budget, one network after another."""

    def __init__(
        self, sampler: str, space: Space, table: TrialTable, budget: float, *, seed: int
    ) -> None:
        import optuna

        self._distributions = distributions(space.factors)
        choose = getattr(optuna.samplers, SAMPLERS[sampler])
        with quiet_optuna():
            self.study = optuna.create_study(direction="maximize", sampler=choose(seed=seed))
        designs = table.designs()
        names = [factor.name for factor in space.factors]
        order = np.random.default_rng(seed).permutation(len(designs))
        for values in designs[[*names, table.cost, "score"]].iloc[order].to_dict("records"):
            known = {name: plain(values[name]) for name in names}
            self.learn(known, values["score"], values[table.cost] / budget)

    def ask(self) -> optuna.Trial:
        """Return the next trial that the sampler wants; until it is told, it looks elsewhere."""
        with quiet_optuna():
            return self.study.ask(self._distributions)

    def learn(self, values: Mapping[str, Level], score: float, share_of_budget: float) -> None:
        """Tell what a network scored, more being better, and its FLOPs as a share of the budget."""
        import optuna

        self.study.enqueue_trial(dict(values))
        trial = self.ask()
        trial.set_constraint("flops", float(np.log(share_of_budget)))
        sampler, told = self.study.sampler, self.study.get_trials(deepcopy=False)[trial.number]
        if isinstance(sampler, optuna.samplers.BaseGASampler):
            sampler.get_trial_generation(self.study, told)  # none yet where it did not breed it
        with quiet_optuna():
            self.study.tell(trial, float(score))


def ask_samplers(
    sampler: str,
    space: Space,
    table: TrialTable,
    budgets: Sequence[float],
    count: int,
    *,
    low: float,
    shape: Shape,
    seed: int,
) -> tuple[Proposal, ...]:
    """Return `count` new networks, as many for each budget.

    AnalysisError where a sampler asks for nothing new between `low` FLOPs and the budget.
    """
    askers = {budget: Asked(sampler, space, table, budget, seed=seed) for budget in budgets}
    taken = set(table.frame["architecture_hash"])
    found: list[Proposal] = []
    for number in range(count):
        budget = budgets[number % len(budgets)]
        for _ in range(MOST_ASKED):
            values = askers[budget].ask().params
            if not space.allows(values):
                continue
            made = space.resolve(values)
            flops = made.cost(**shape).flops
            if low <= flops <= budget and made.hash not in taken:
                break
        else:
            raise AnalysisError(
                f"Expected a new network of {low:g} to {budget:g} FLOPs from Optuna's sampler "
                f"{sampler}, got none in {MOST_ASKED} proposals: plan fewer networks, or let "
                "the surrogate propose."
            )
        taken.add(made.hash)
        found.append(Proposal(made, budget, flops))
    return tuple(found)
