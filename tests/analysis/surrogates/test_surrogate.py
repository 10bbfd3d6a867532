"""The surrogate: chosen by unseen architectures, adequate only when it beats the cost alone."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.page.words import say
from analysis.stats.noise import noise
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import Target, surrogate
from analysis.surrogates.trees import Trees
from analysis.trials.table import TrialTable
from tests.analysis.simulate import NOTHING, simulate
from tests.analysis.told import refused

QUICK = (QuadraticRidge(), Trees())


@pytest.mark.parametrize("target", ["score", "equal cost"])
def test_planted_effects_make_it_adequate(planted: TrialTable, target: Target) -> None:
    result = surrogate(planted, target, noise=noise(planted), models=QUICK, repeats=2)
    assert result.adequate
    assert result.gain.low > 0.05
    assert result.quality.r2 <= result.ceiling
    assert result.quality.r2 > 0.9 * result.ceiling
    assert 0.85 <= result.quality.coverage <= 0.95
    assert result.quality.tau_within > 0.6
    assert result.quality.r2_new_costs > 0.5
    frame = result.to_frame()
    assert frame.loc[frame["chosen"], "r2"].item() == frame.query("kind == 'model'")["r2"].max()


@pytest.mark.parametrize("target", ["score", "equal cost"])
def test_where_only_flops_matter_it_is_refused(flops_only: TrialTable, target: Target) -> None:
    result = surrogate(flops_only, target, models=QUICK, repeats=1)
    assert not result.adequate
    assert "does not beat the cost alone" in say(result.refusal)


@pytest.mark.parametrize("studies", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_pure_noise_is_refused_at_the_stated_rate(studies: int) -> None:
    passed = [
        surrogate(
            simulate(NOTHING, architectures=60, replicates=(0, 1), seed=seed),
            "equal cost",
            models=QUICK[:1],
            repeats=1,
        ).adequate
        for seed in range(studies)
    ]
    assert sum(passed) <= max(1, 0.05 * studies)


def test_out_of_fold_predictions_do_not_see_their_own_score(planted: TrialTable) -> None:
    result = surrogate(planted, "equal cost", models=QUICK[1:], repeats=1)
    designs = planted.designs()
    x, y = planted.codes(designs), designs["score"].to_numpy()
    inside = QUICK[1].fit(x, y, planted.factors, 0).predict(x)
    assert np.abs(inside - y).mean() < np.abs(result.predictions["predicted"] - y).mean()


def test_a_handful_of_trials_is_refused() -> None:
    table = simulate(architectures=15, replicates=(0, 1), seed=9)
    assert "15 architectures" in refused(surrogate(table, models=QUICK, repeats=1))
