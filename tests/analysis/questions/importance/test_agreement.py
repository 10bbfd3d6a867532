"""A second method beside SHAP: it agrees on what is strong, and says how far."""

from __future__ import annotations

import pytest

from analysis.questions.importance.agreement import Agreement, agreement
from analysis.questions.importance.shap import importance
from analysis.stats.refusal import Refusal
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import surrogate
from analysis.trials.table import TrialTable
from tests.analysis.simulate import PLANTED, simulate
from tests.analysis.told import refused


def compare(table: TrialTable) -> Agreement | Refusal:
    model = surrogate(table, "equal cost", models=[QuadraticRidge()], repeats=1)
    explained = importance(table, model, subsets=["all"], bootstraps=40)["all"]
    return agreement(table, explained)


@pytest.fixture(scope="module")
def compared(planted: TrialTable) -> Agreement:
    found = compare(planted)
    assert isinstance(found, Agreement)
    return found


def test_both_find_the_strongest_factor(compared: Agreement) -> None:
    strong = {"residual", "grouping", "kernel_size"}
    assert set(compared.importances["SHAP"].nlargest(3).index) == strong
    assert compared.importances["PED-ANOVA"].nlargest(4).index.isin(strong).sum() >= 2
    assert compared.firsts["SHAP"] == compared.importances["SHAP"].idxmax()


def test_tau_is_that_of_the_two_rankings(compared: Agreement) -> None:
    ranks = compared.to_frame()[["SHAP rank", "PED-ANOVA rank"]]
    assert sorted(ranks["SHAP rank"]) == list(range(1, 11))
    # Kendall by its definition: pairs in the same order less pairs in the other.
    a, b = ranks["SHAP rank"].to_numpy(), ranks["PED-ANOVA rank"].to_numpy()
    pairs = [(i, j) for i in range(10) for j in range(i)]
    same = sum((a[i] - a[j]) * (b[i] - b[j]) > 0 for i, j in pairs)
    other = sum((a[i] - a[j]) * (b[i] - b[j]) < 0 for i, j in pairs)
    tied = sum(b[i] == b[j] for i, j in pairs)
    assert compared.tau == pytest.approx((same - other) / (45 * (45 - tied)) ** 0.5)


def test_too_few_on_top_are_refused() -> None:
    table = simulate(PLANTED, architectures=40, replicates=(0, 1), seed=3)
    assert "PED-ANOVA needs 5 architectures" in refused(compare(table))
