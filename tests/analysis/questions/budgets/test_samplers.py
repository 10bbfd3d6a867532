"""Optuna's samplers propose networks of the space within their budgets, and learn from trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.errors import AnalysisError
from analysis.questions.budgets.samplers import SAMPLERS, Asked, ask_samplers
from analysis.trials.table import TrialTable
from models import load_space
from models.shape import DEFAULT
from models.space import Space
from tests.analysis.simulate import PLANTED, true_error

LOW = 3e6


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_are_new_and_within_their_budgets(sampler: str, planted: TrialTable) -> None:
    space, budgets = load_space("ecg-cnn"), (3e7, 3e8)
    found = ask_samplers(sampler, space, planted, budgets, 4, low=LOW, shape=DEFAULT, seed=3)
    assert [one.budget for one in found] == [*budgets] * 2
    hashes = {one.architecture.hash for one in found}
    assert len(hashes) == 4
    assert not hashes & set(planted.frame["architecture_hash"])
    assert all(LOW <= one.flops == one.architecture.cost().flops <= one.budget for one in found)


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_proposals_are_truly_better_than_random_ones_of_like_cost(
    sampler: str, planted: TrialTable
) -> None:
    space, designs = load_space("ecg-cnn"), planted.designs()
    found = ask_samplers(sampler, space, planted, (1e8,), 8, low=LOW, shape=DEFAULT, seed=3)
    rows = [dict(one.architecture.factors) | {"flops": one.flops} for one in found]
    truth, trained = (1 - true_error(frame, PLANTED) for frame in (pd.DataFrame(rows), designs))
    alike = [np.abs(np.log(designs["flops"] / one.flops)) < 0.5 for one in found]
    shares = [(trained[near] < own).mean() for near, own in zip(alike, truth, strict=True)]
    assert np.mean(shares) > 0.65


def test_nsga2_breeds_from_what_was_trained(planted: TrialTable) -> None:
    """Generations are of 50: what was trained makes up the first six of 300 networks."""
    asked = Asked("nsga2", load_space("ecg-cnn"), planted, 1e8, seed=3)
    asked.ask()
    generation = asked.study.trials[-1].system_attrs["NSGAIISampler:generation"]
    assert generation == len(planted.designs()) // 50


def test_a_sampler_that_finds_nothing_new_is_told(planted: TrialTable) -> None:
    space = load_space("ecg-cnn")
    with pytest.raises(AnalysisError, match="none in 200 proposals"):
        ask_samplers("tpe", space, planted, (3e7,), 1, low=2.9999e7, shape=DEFAULT, seed=3)


def test_constraints_of_a_space_are_kept(planted: TrialTable) -> None:
    whole = load_space("ecg-cnn")
    space = Space(whole.name, whole.family, whole.factors, constraints=("depth <= 8",))
    found = ask_samplers("tpe", space, planted, (3e8,), 5, low=LOW, shape=DEFAULT, seed=3)
    depths = [one.architecture.factors["depth"] for one in found]
    assert max(float(depth) for depth in depths) <= 8
