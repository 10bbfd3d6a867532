"""All numbers of part A on poor, odd and foreign studies: refusals, never a crash."""

from __future__ import annotations

import warnings

import numpy as np
import optuna
import pandas as pd
import pytest

from analysis.page.words import say
from analysis.questions.effects.main import Effects, effects
from analysis.questions.importance.shap import importance
from analysis.questions.laws.error import ErrorLaw, error_law
from analysis.questions.laws.shape import shape_laws
from analysis.questions.power.needs import learning, power
from analysis.stats.noise import Noise, noise
from analysis.stats.refusal import Refusal
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import Surrogate, surrogate
from analysis.trials.table import TrialTable, from_frame, from_optuna
from tests.analysis.simulate import simulate


def everything(table: TrialTable) -> list[str]:
    """Compute it all; return the refusals."""
    measured, found = noise(table), effects(table)
    law, laws = error_law(table, bootstraps=20), shape_laws(table, bootstraps=20)
    model = surrogate(table, "equal cost", models=[QuadraticRidge()], repeats=1)
    results: list[object] = [measured, found, law, *laws, model]
    if isinstance(model, Surrogate):
        results.append(importance(table, model, bootstraps=30))
    if isinstance(found, Effects):
        curve = learning(table, model) if isinstance(model, Surrogate) else None
        error = law if isinstance(law, ErrorLaw) else None
        seeds = measured if isinstance(measured, Noise) else None
        assert "more" in power({"": found}, laws, error, seeds, curve).to_frame()
    return [say(result) for result in results if isinstance(result, Refusal)]


@pytest.mark.parametrize("count", [1, 2, 5, 9, 25])
def test_a_few_trials_are_refused_without_a_crash(count: int) -> None:
    table = simulate(architectures=30, replicates=(0, 1), seed=1)
    few = from_frame(table.frame.head(count), factors=table.factors)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        reasons = everything(few)
    assert any("needed" in reason for reason in reasons)


def test_a_constant_score_is_refused() -> None:
    table = simulate(architectures=60, replicates=(5, 2), seed=2)
    same = from_frame(table.frame.assign(macro_f1=0.5), factors=table.factors)
    assert any("same score" in reason for reason in everything(same))
    assert not effects(same).settled


def test_one_cost_for_all_is_no_crash() -> None:
    table = simulate(architectures=60, replicates=(5, 2), seed=3)
    same = from_frame(table.frame.assign(flops=1e8), factors=table.factors)
    assert any("one cost" in reason for reason in everything(same))


def test_a_factor_without_variation_is_no_crash() -> None:
    table = simulate(architectures=60, replicates=(5, 2), seed=4)
    fixed = table.frame.assign(width=64, grouping="dense")
    everything(from_frame(fixed, factors=table.factors))


def test_any_optuna_study_is_analysed() -> None:
    def objective(trial: optuna.Trial) -> float:
        units = trial.suggest_int("units", 8, 512, log=True)
        rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
        trial.suggest_categorical("activation", ["relu", "tanh", "gelu"])
        trial.set_user_attr("macs", units * 100)
        return float(3 / np.sqrt(units) + (np.log10(rate) + 3) ** 2 / 10 + rng.normal(0, 0.02))

    rng = np.random.default_rng(0)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=120)
    optuna.logging.set_verbosity(verbosity)
    table = from_optuna(study, cost="macs")
    model = surrogate(table, "equal cost", models=[QuadraticRidge()], repeats=1)
    views = importance(table, model, bootstraps=40)
    first = views["all"].factors[0]
    assert first.factor == "rate"
    assert first.important
    assert next(e for e in effects(table).effects if e.factor == "activation").p_adjusted > 0.05
    # The score is minus the loss, so the best rate in the middle shows as a bend, not a slope.
    assert next(e for e in effects(table).effects if e.factor == "rate").settled
    assert error_law(table, bootstraps=40).stands
    everything(table)


def test_the_order_of_rows_does_not_matter() -> None:
    table = simulate(architectures=80, replicates=(6, 3), seed=5)
    shuffled = from_frame(table.frame.sample(frac=1, random_state=1), factors=table.factors)
    for compute in (
        lambda t: noise(t).replicates,
        lambda t: effects(t).to_frame(),
        lambda t: error_law(t, bootstraps=10).to_frame(),
    ):
        pd.testing.assert_frame_equal(compute(table), compute(shuffled))
