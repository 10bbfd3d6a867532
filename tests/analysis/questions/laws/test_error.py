"""The error law: planted floors and exponents covered, nulls refused, quantile regression exact."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import QuantileRegressor

from analysis.page.words import gate_words
from analysis.questions.laws.error import error_law, pinball, quantile_fit
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import NOTHING, Truth, simulate
from tests.analysis.told import refused


@pytest.mark.parametrize("quantile", [0.1, 0.5])
def test_quantile_regression_is_that_of_scikit_learn(quantile: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.random(300)
    e = 0.3 + 0.5 * x + rng.gamma(2.0, 0.05, 300)
    found = quantile_fit(x[None], e, quantile)[0]
    model = QuantileRegressor(quantile=quantile, alpha=0.0).fit(x[:, None], e)
    exact = pinball(e - model.predict(x[:, None]), quantile).sum()
    ours = pinball(e - found[0] - found[1] * x, quantile).sum()
    assert ours <= exact * 1.001
    assert found == pytest.approx([model.intercept_, model.coef_[0]], abs=0.01)


def test_floor_and_slope_are_never_negative() -> None:
    x = np.linspace(0, 1, 50)
    falling, through = quantile_fit(x[None], 1 - x, 0.5)[0], quantile_fit(x[None], x - 0.2, 0.5)[0]
    assert falling == pytest.approx([0.5, 0.0], abs=0.02)
    assert through[0] == 0.0


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("studies", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_intervals_cover_the_planted_exponent(studies: int) -> None:
    truth = Truth(floor=0.3, amplitude=0.06, exponent=0.3, noise=0.005)
    hits = []
    for seed in range(studies):
        table = simulate(truth, architectures=250, replicates=(0, 1), seed=seed)
        law = error_law(table, bootstraps=100 if studies > 20 else 50, seed=seed)
        assert law.stands
        hits.append(law.exponent.low <= 0.3 <= law.exponent.high)
    assert np.mean(hits) >= (0.65 if studies < 20 else 0.88)


@pytest.mark.parametrize("studies", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_no_law_where_cost_does_not_matter(studies: int) -> None:
    found = 0
    for seed in range(studies):
        table = simulate(NOTHING, architectures=150, replicates=(0, 1), seed=700 + seed)
        found += error_law(table, bootstraps=40, seed=seed).stands
    assert found <= 0.05 * studies


def test_a_power_law_without_floor_claims_none() -> None:
    truth = Truth(floor=0.0, amplitude=0.4, exponent=0.15, noise=0.01)
    law = error_law(simulate(truth, architectures=200, replicates=(0, 1), seed=1), bootstraps=60)
    assert law.stands
    assert law.floor.low < 0.1
    assert not law.floor_supported or law.floor.estimate < 0.15


def test_the_curve_is_the_law(planted: TrialTable) -> None:
    law = error_law(planted, bootstraps=30)
    assert law.curve["error"].to_numpy() == pytest.approx(law.error_at(law.curve["cost"]))
    assert (law.curve["error"].diff().dropna() <= 1e-12).all()
    below = planted.designs()["error"] <= law.error_at(planted.designs()["flops"])
    assert below.mean() == pytest.approx(0.1, abs=0.04)
    assert law.profile["loss"].min() == 1


def test_narrow_costs_are_refused() -> None:
    table = simulate(architectures=100, replicates=(0, 1), flops_range=(5e7, 3e8), seed=2)
    decades = error_law(table, bootstraps=20).gates[0]
    assert gate_words(decades, "asks") == "the costs span at least 1.5 decades"
    assert not decades.passed


def test_few_trials_are_refused(small: TrialTable) -> None:
    few = from_frame(small.frame.head(20), factors=small.factors)
    assert "20 architectures" in refused(error_law(few))
