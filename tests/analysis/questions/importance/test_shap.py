"""SHAP importances: planted truth found, nulls not, intervals, shadows, small studies."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.questions.importance.shap import Importance, importance
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import surrogate
from analysis.surrogates.trees import Trees
from analysis.trials.table import TrialTable
from tests.analysis.simulate import NAMES, PLANTED, Truth, centred_codes, simulate
from tests.analysis.told import refused

QUICK = (QuadraticRidge(),)


@pytest.fixture(scope="module")
def explained(planted: TrialTable) -> Importance:
    model = surrogate(planted, "equal cost", models=QUICK, repeats=1)
    return importance(planted, model, subsets=["all"], bootstraps=60)["all"]


def test_planted_factors_lead_and_are_important(explained: Importance) -> None:
    assert {f.factor for f in explained.factors[:3]} == {"residual", "grouping", "kernel_size"}
    important = {f.factor for f in explained.factors if f.important}
    assert {"residual", "grouping", "kernel_size", "se_ratio"} <= important
    assert "stem_kernel" not in important
    signs = {f.factor: f.direction for f in explained.factors}
    assert signs["residual"] > 0.5
    assert signs["kernel_size"] > 0.9
    assert np.isnan(signs["grouping"])


def test_rows_ranks_and_shares_are_consistent(explained: Importance) -> None:
    frame = explained.to_frame()
    assert frame["share"].sum() == pytest.approx(1)
    assert explained.ranks.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(NAMES)))
    assert (frame["low"] <= frame["importance"]).all()
    assert (frame["importance"] <= frame["high"]).all()
    mean = explained.values.abs().mean()
    assert frame.set_index("factor")["importance"].to_dict() == pytest.approx(mean.to_dict())
    assert len(explained.values) == len(explained.designs) == explained.n
    assert explained.additivity_gap < 1e-6


def test_same_seed_same_numbers(small: TrialTable) -> None:
    model = surrogate(small, models=QUICK, repeats=1)
    one, two = (importance(small, model, bootstraps=20, seed=4)["all"] for _ in range(2))
    assert one.to_frame().equals(two.to_frame())


def test_trees_find_the_same(planted: TrialTable) -> None:
    model = surrogate(planted, "equal cost", models=[Trees()], repeats=1)
    result = importance(planted, model, subsets=["all"], bootstraps=8)["all"]
    assert {f.factor for f in result.factors[:3]} == {"residual", "grouping", "kernel_size"}


def test_best_quarter_is_its_own_question() -> None:
    # Without residual connections nothing works: among the best quarter all have them.
    table = simulate(Truth(effects={"residual": -0.2, "kernel_size": -0.006}), seed=11)
    model = surrogate(table, "equal cost", models=QUICK, repeats=1)
    views = importance(table, model, bootstraps=30)
    assert views["all"].factors[0].factor == "residual"
    assert views["best quarter"].factors[0].factor == "kernel_size"
    assert views["best quarter"].n == pytest.approx(125, abs=2)


@pytest.mark.parametrize("studies", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_intervals_cover_the_true_importance(studies: int) -> None:
    truth = Truth(effects={"residual": -0.012, "kernel_size": -0.006, "se_ratio": -0.005})
    hits, tried = 0, 0
    for seed in range(studies):
        table = simulate(truth, architectures=200, replicates=(0, 1), seed=1000 + seed)
        model = surrogate(table, "equal cost", models=QUICK, repeats=1)
        result = importance(table, model, subsets=["all"], bootstraps=40, seed=seed)["all"]
        z = centred_codes(table.designs())
        for factor in result.factors:
            if factor.factor in truth.effects:
                j = NAMES.index(factor.factor)
                true = np.abs(truth.effects[factor.factor] * (z[:, j] - z[:, j].mean())).mean()
                hits += factor.importance.low <= true <= factor.importance.high
                tried += 1
    assert hits / tried >= (0.65 if studies < 10 else 0.88)


@pytest.mark.parametrize("studies", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_a_factor_that_never_matters_is_not_called_important(studies: int) -> None:
    false = tried = 0
    for seed in range(studies):
        table = simulate(PLANTED, architectures=120, replicates=(0, 1), seed=100 + seed)
        model = surrogate(table, "equal cost", models=QUICK, repeats=1)
        result = importance(table, model, subsets=["all"], bootstraps=40, seed=seed)["all"]
        false += sum(f.important for f in result.factors if f.factor == "stem_kernel")
        tried += 1
    assert false / tried <= 0.05


def test_what_no_surrogate_predicts_is_not_explained() -> None:
    table = simulate(Truth(noise=0.02), architectures=42, replicates=(3, 3), seed=12)
    model = surrogate(table, models=QUICK, repeats=2)
    assert "not adequate" in refused(importance(table, model, bootstraps=100))
