"""The models: SHAP against brute force over coalitions, additivity."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from analysis.surrogates.model import Fitted, Model, explain
from analysis.surrogates.quadratic import _ridge
from analysis.surrogates.surrogate import MODELS
from analysis.surrogates.trees import Trees
from analysis.trials.factors import FactorInfo
from analysis.trials.table import TrialTable

MIXED = (
    FactorInfo("depth", "float"),
    FactorInfo("switch", "choice", choices=(False, True)),
    FactorInfo("kind", "choice", choices=("a", "b", "c")),
    FactorInfo("width", "float"),
)


def problem(n: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [rng.normal(size=n), rng.integers(0, 2, n), rng.integers(0, 3, n), rng.normal(size=n)]
    ).astype(float)
    y = x[:, 0] * (1 + x[:, 1]) - 0.5 * (x[:, 2] == 1) * x[:, 3] + x[:, 3] ** 2
    return x, y + rng.normal(0, 0.1, n)


def value(model: Fitted, row: np.ndarray, background: np.ndarray, known: tuple[int, ...]) -> float:
    mixed = background.copy()
    mixed[:, known] = row[list(known)]
    return float(model.predict(mixed).mean())


def brute_force(model: Fitted, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The Shapley formula over all coalitions, with interventional coalition values."""
    p = len(row)
    phi = np.zeros(p)
    for j in range(p):
        others = [k for k in range(p) if k != j]
        for size in range(p):
            weight = factorial(size) * factorial(p - size - 1) / factorial(p)
            for coalition in combinations(others, size):
                gain = value(model, row, background, (*coalition, j)) - value(
                    model, row, background, coalition
                )
                phi[j] += weight * gain
    return phi


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.name)
def test_shap_is_the_shapley_value_of_interventions(kind: Model) -> None:
    x, y = problem()
    model = kind.fit(x, y, MIXED, 0)
    values, gap = explain(model, x[:6], x[100:120])
    assert gap < 1e-6
    for row, phi in zip(x[:6:3], values[::3], strict=True):
        assert phi == pytest.approx(brute_force(model, row, x[100:120]), abs=1e-6)


def test_tree_explanations_add_up_on_a_study(planted: TrialTable) -> None:
    # With raw codes, rows within rounding of a threshold go astray and sums miss by 0.01.
    designs = planted.designs()
    x, y = planted.codes(designs), designs["score"].to_numpy()
    model = Trees().fit(x, y, planted.factors, 0)
    assert explain(model, x, x[:60])[1] < 1e-6


@pytest.mark.parametrize(("n", "width"), [(30, 40), (60, 20)])
def test_ridge_is_that_of_scikit_learn(n: int, width: int) -> None:
    rng = np.random.default_rng(1)
    columns, weights = rng.normal(size=(n, width)), rng.integers(1, 4, n).astype(float)
    y = columns[:, 0] + rng.normal(size=n)
    loss, slopes, intercept = _ridge(columns, y, weights)
    left_out = {}
    for alpha in np.logspace(-2, 4, 19):
        errors = []
        for i in range(n):
            keep = np.arange(n) != i
            alone = Ridge(alpha=alpha).fit(columns[keep], y[keep], weights[keep])
            errors.append((y[i] - alone.intercept_ - columns[i] @ alone.coef_) ** 2)
        left_out[alpha] = float(np.average(errors, weights=weights))
    best = min(left_out, key=lambda alpha: left_out[alpha])
    assert loss == pytest.approx(left_out[best])
    model = Ridge(alpha=best).fit(columns, y, weights)
    assert slopes == pytest.approx(model.coef_, abs=1e-8)
    assert intercept == pytest.approx(model.intercept_)


def test_free_columns_are_not_penalised() -> None:
    rng = np.random.default_rng(2)
    free = np.column_stack([np.ones(90), rng.normal(size=90)])
    columns = rng.normal(size=(90, 3)) + 0.4 * free[:, 1:]
    y = 5 * free[:, 1] + columns @ [1.0, 0.0, -1.0] + rng.normal(0, 0.1, 90)
    _, slopes, _ = _ridge(columns, y, None, free)
    joint = np.linalg.lstsq(np.hstack([columns, free]), y, rcond=None)[0]
    assert slopes == pytest.approx(joint[:3], abs=0.01)


def test_a_factor_that_does_not_vary_gets_nothing() -> None:
    x, y = problem(60)
    x[:, 3] = 2.0
    for kind in MODELS:
        values, _ = explain(kind.fit(x, y, MIXED, 0), x[:10], x[20:40])
        assert values[:, 3] == pytest.approx(np.zeros(10))
