"""Factors against Optuna's own RandomSampler on the same distributions."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from scipy import stats

from models import Factor, ModelError, load_space

COUNT = 4000


def distribution(factor: Factor) -> optuna.distributions.BaseDistribution:
    if factor.kind == "choice":
        return CategoricalDistribution(factor.choices)
    if factor.kind == "int":
        return IntDistribution(factor.low, factor.high, log=factor.log, step=factor.step or 1)
    return FloatDistribution(factor.low, factor.high, log=factor.log, step=factor.step)


@pytest.fixture(scope="module")
def optuna_draws():
    sampler = RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    frozen = optuna.trial.create_trial(value=0.0)

    def draw(factor: Factor, count: int) -> list:
        return [
            sampler.sample_independent(study, frozen, factor.name, distribution(factor))
            for _ in range(count)
        ]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return draw


FACTORS = [
    *load_space("ecg-cnn").factors,
    Factor.integer("stepped", 10, 50, step=10),
    Factor.integer("uneven_log", 1, 9, log=True),
    Factor.real("stepped_float", 1.1, 3.0, step=0.1),
    Factor.real("log_float", 1e-3, 1e-1, log=True),
]


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_draws_are_distributed_like_those_of_optuna(factor, optuna_draws):
    ours = factor.draw(np.random.default_rng(3), 5 * COUNT)
    theirs = optuna_draws(factor, COUNT)
    assert {type(value) for value in ours} == {type(value) for value in theirs}
    assert all(
        distribution(factor)._contains(distribution(factor).to_internal_repr(v)) for v in ours
    )
    if factor.kind == "float" and factor.step is None:
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    else:
        values = sorted(set(ours), key=str)
        assert set(theirs) <= set(values)
        table = [[drawn.count(value) for value in values] for drawn in (ours, theirs)]
        assert stats.chi2_contingency(table).pvalue > 1e-3


def test_log_integers_have_the_closed_form_probabilities():
    factor = Factor.integer("depth", 3, 24, log=True)
    drawn = np.array(factor.draw(np.random.default_rng(0), 100_000))
    span = math.log(24.5 / 2.5)
    expected = [math.log((k + 0.5) / (k - 0.5)) / span for k in range(3, 25)]
    observed = [(drawn == k).sum() for k in range(3, 25)]
    assert stats.chisquare(observed, np.array(expected) * len(drawn)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ({"kind": "int", "low": 5, "high": 3}, "low ≤ high"),
        ({"kind": "int", "low": 1}, "low ≤ high"),
        ({"kind": "float", "low": 0, "high": 3, "log": True}, "above 0"),
        ({"kind": "int", "low": 16, "high": 128, "step": 8, "log": True}, "no step"),
        ({"kind": "int", "low": 1, "high": 10, "step": 4}, "divides"),
        ({"kind": "int", "low": 1.5, "high": 3}, "whole numbers"),
        ({"kind": "choice"}, "distinct choices"),
        ({"kind": "choice", "choices": (3, 3)}, "distinct choices"),
        ({"kind": "uniform", "low": 1, "high": 3}, "kind to be one of 'int', 'float', 'choice'"),
    ],
)
def test_a_wrong_factor_says_what_is_wrong(definition, says):
    with pytest.raises(ModelError, match=says):
        Factor("x", **definition)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth": 25}, "depth between 3 and 24, got 25"),
        ({"depth": 3.5}, "depth to be a whole number"),
        ({"depth": True}, "depth between"),
        ({"width": "wide"}, "width between"),
        ({"kernel_size": 4}, r"kernel_size to be one of \[3, 5, 7, 11, 15, 23\], got 4"),
        ({"colour": 1}, "unknown: colour"),
    ],
)
def test_resolve_names_what_does_not_belong(ecg_cnn, draw, change, says):
    values = dict(draw(ecg_cnn, 1)[0].factors)
    with pytest.raises(ModelError, match=says):
        ecg_cnn.resolve({**values, **change})


def test_resolve_names_missing_factors_and_load_space_the_spaces(ecg_cnn):
    with pytest.raises(ModelError, match="missing: depth, expansion"):
        ecg_cnn.resolve({})
    with pytest.raises(ModelError, match="ecg-cnn"):
        load_space("imagenet")
