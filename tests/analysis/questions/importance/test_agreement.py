"""Three methods side by side: they agree on what is strong, and say so."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.questions.importance.agreement import Agreement, agreement
from analysis.questions.importance.shap import importance
from analysis.surrogates.candidates import QuadraticRidge
from analysis.surrogates.surrogate import surrogate
from analysis.trials.table import TrialTable
from tests.analysis.simulate import simulate


def compare(table: TrialTable) -> Agreement:
    model = surrogate(table, "equal cost", candidates=[QuadraticRidge()], repeats=1)
    explained = importance(table, model, subsets=["all"], bootstraps=5)["all"]
    return agreement(table, model, explained)


@pytest.fixture(scope="module")
def compared(planted: TrialTable) -> Agreement:
    return compare(planted)


def test_all_three_find_the_strongest_factor(compared: Agreement) -> None:
    strong = {"residual", "grouping", "kernel_size"}
    assert set(compared.importances["SHAP"].nlargest(3).index) == strong
    assert set(compared.importances["permutation"].nlargest(3).index) == strong
    assert compared.importances["PED-ANOVA"].nlargest(4).index.isin(strong).sum() >= 2


def test_taus_are_a_correlation_matrix(compared: Agreement) -> None:
    assert compared.taus.shape == (3, 3)
    assert (compared.taus.to_numpy() == compared.taus.to_numpy().T).all()
    assert compared.taus.loc["SHAP", "permutation"] > 0.5
    assert list(compared.to_frame()["SHAP rank"].sort_values()) == list(range(1, 11))


def test_permuting_costs_twice_the_variance_of_an_effect(
    compared: Agreement, planted: TrialTable
) -> None:
    designs = planted.designs()
    depth = np.log2(designs["depth"]) - np.log2([3, 24]).mean()
    effect = (0.020 + 0.008 * depth) * (designs["residual"].astype(float) - 0.5)
    expected = 2 * effect.var() / designs["score"].var()
    assert compared.importances.loc["residual", "permutation"] == pytest.approx(expected, rel=0.25)


def test_too_few_on_top_leaves_ped_anova_out() -> None:
    result = compare(simulate(architectures=36, replicates=(0, 1), seed=3))
    assert "PED-ANOVA" in str(result.refusal)
    assert list(result.importances) == ["SHAP", "permutation"]
